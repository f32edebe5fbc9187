//! The way to a coordinator over the network: connecting, and what its errors mean to a client.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use windrow_common::{Error, ErrorKind, Result, limits};
use windrow_proto::control::jobs_client::JobsClient;
use windrow_proto::status::{from_status, is_ours};

/// Connects to the coordinator at `url`, for example `grpc://127.0.0.1:7070`.
pub(crate) async fn connect(url: &str) -> Result<JobsClient<Channel>> {
    let address = url.strip_prefix("grpc://").or_else(|| url.strip_prefix("http://")).unwrap_or(url);
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|e| Error::user(format!("'{url}' is not an address; write for example grpc://127.0.0.1:7070: {e}")))?
        .connect_timeout(limits::CONNECT_TIMEOUT)
        .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW)
        .tcp_nodelay(true);
    let channel = endpoint
        .connect()
        .await
        .map_err(|e| Error::unavailable(format!("no coordinator answers at {url}: {}", last_cause(&e))))?;
    Ok(JobsClient::new(channel)
        .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
        .max_encoding_message_size(limits::MAX_MESSAGE_BYTES))
}

/// What `work` gives, unless whatever listens there takes the connection and then never says a word.
pub(crate) async fn answered<T>(url: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let answer = tokio::time::timeout(limits::CONNECT_TIMEOUT, work).await;
    answer.unwrap_or_else(|_| Err(no_answer(url, limits::CONNECT_TIMEOUT)))
}

/// The error of a call that was not answered in time.
pub(crate) fn no_answer(url: &str, patience: Duration) -> Error {
    Error::unavailable(format!("what listens at {url} has not answered within {} s", patience.as_secs()))
}

/// The error of a call: the coordinator's own, or that of the way to it.
pub(crate) fn remote_error(status: &tonic::Status, url: &str) -> Error {
    let error = from_status(status);
    match (&error.kind, is_ours(status)) {
        (ErrorKind::Unsupported, false) => {
            Error::new(ErrorKind::Version, format!("what answers at {url} is not a Windrow coordinator"))
        }
        (kind, false) => {
            // A connection that is closed under a call is no wish of the user's.
            let kind = if *kind == ErrorKind::Cancelled { ErrorKind::Unavailable } else { kind.clone() };
            Error::new(kind, format!("the coordinator at {url} does not answer: {}", error.message))
        }
        (_, true) => error,
    }
}

fn last_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
