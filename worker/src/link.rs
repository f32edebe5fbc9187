//! How a worker reaches its coordinator: one long-lived stream of messages each way, and blobs. Over gRPC for a worker
//! process; through channels for a worker in the coordinator's own process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use windrow_common::protocol::{ToCoordinator, ToWorker};
use windrow_common::{BlobHash, Error, ErrorKind, Result, limits};
use windrow_proto::control as wire;
use windrow_proto::control::coordination_client::CoordinationClient;
use windrow_proto::protocol::{coordinator_from_wire, worker_to_wire};
use windrow_proto::status::{from_status, is_ours};

/// How often a silent connection is asked whether it is alive.
const KEEPALIVE: Duration = Duration::from_secs(2);

/// An open connection. Its end is seen as the end of `incoming`.
#[derive(Debug)]
pub struct Connection {
    /// To the coordinator.
    pub outgoing: mpsc::Sender<ToCoordinator>,
    /// From the coordinator.
    pub incoming: mpsc::Receiver<ToWorker>,
}

/// A way to the coordinator.
#[async_trait]
pub trait CoordinatorLink: std::fmt::Debug + Send + Sync {
    /// Opens a connection.
    async fn connect(&self) -> Result<Connection>;
    /// Fetches the bytes of a blob.
    async fn blob(&self, hash: BlobHash) -> Result<Arc<[u8]>>;
}

/// Over the network.
#[derive(Debug)]
pub struct GrpcLink {
    url: String,
    channel: Channel,
}

impl GrpcLink {
    /// A link to `grpc://host:port`. Does not connect yet.
    pub fn new(url: &str) -> Result<Self> {
        let address = url.strip_prefix("grpc://").or_else(|| url.strip_prefix("http://")).unwrap_or(url);
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|e| {
                Error::user(format!("'{url}' is not an address; write for example grpc://127.0.0.1:7070: {e}"))
            })?
            .connect_timeout(limits::CONNECT_TIMEOUT)
            .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW)
            .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(limits::HEARTBEAT_TIMEOUT)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true);
        Ok(Self { url: url.to_owned(), channel: endpoint.connect_lazy() })
    }

    fn client(&self) -> CoordinationClient<Channel> {
        CoordinationClient::new(self.channel.clone())
            .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(limits::MAX_MESSAGE_BYTES)
    }

    /// Why the coordinator did not take the connection. Whoever does not speak our protocol is not one.
    fn refused(&self, status: &tonic::Status) -> Error {
        let error = self.failed(status);
        match error.kind {
            ErrorKind::Unavailable => error,
            _ if is_ours(status) => error,
            _ => Error::new(
                ErrorKind::Version,
                format!("what answers at {} is not a Windrow coordinator: {}", self.url, error.message),
            ),
        }
    }

    fn failed(&self, status: &tonic::Status) -> Error {
        let error = from_status(status);
        match error.kind {
            ErrorKind::Unavailable => {
                Error::unavailable(format!("no coordinator answers at {}: {}", self.url, error.message))
            }
            _ => error,
        }
    }
}

#[async_trait]
impl CoordinatorLink for GrpcLink {
    async fn connect(&self) -> Result<Connection> {
        let (outgoing, messages) = mpsc::channel(limits::LINK_QUEUE);
        let (sender, incoming) = mpsc::channel(limits::LINK_QUEUE);
        let requests = ReceiverStream::new(messages).map(worker_to_wire);
        let mut replies = self.client().connect(requests).await.map_err(|s| self.refused(&s))?.into_inner();
        // Ends with either side of the connection.
        tokio::spawn(async move {
            loop {
                let reply = tokio::select! {
                    reply = replies.next() => reply,
                    () = sender.closed() => break,
                };
                let Some(Ok(reply)) = reply else { break };
                match coordinator_from_wire(reply) {
                    Ok(message) => {
                        if sender.send(message).await.is_err() {
                            break;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the coordinator sent something unreadable");
                        break;
                    }
                }
            }
        });
        Ok(Connection { outgoing, incoming })
    }

    async fn blob(&self, hash: BlobHash) -> Result<Arc<[u8]>> {
        let request = wire::GetBlobRequest { hash: bytes::Bytes::copy_from_slice(&hash.0) };
        let mut chunks = self.client().get_blob(request).await.map_err(|s| self.failed(&s))?.into_inner();
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.message().await.map_err(|s| self.failed(&s))? {
            bytes.extend_from_slice(&chunk.data);
        }
        Ok(bytes.into())
    }
}
