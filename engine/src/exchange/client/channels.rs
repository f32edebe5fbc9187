//! Kept connections to each endpoint, with the limits and windows that bulk data needs. Dials what it is told and
//! nothing else: no proxies, no redirects, no names beyond `host:port`.
//!
//! A stream that its reader does not drain keeps its share of the connection's HTTP/2 window. If stalled streams could use
//! up the whole window, a stream that they wait for might never move. So a connection carries only as many streams as
//! its window can hold at once; more streams get another connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tonic::transport::{Channel, Endpoint};
use windrow_common::{Error, limits};
use windrow_proto::exchange::exchange_client::ExchangeClient;

/// Streams on one connection.
const STREAMS: u32 = 64;
/// The window of one connection: all of its streams may stall with full windows.
const WINDOW: u32 = STREAMS * limits::HTTP2_STREAM_WINDOW;
/// The largest HTTP/2 frame that we take; the default of 16 KiB makes 64 frames of every MiB.
const FRAME: u32 = 1 << 20;
/// HTTP/2 allows no larger window.
const MAX_WINDOW: u32 = (1 << 31) - 1;

const _: () = assert!(WINDOW <= MAX_WINDOW && WINDOW / STREAMS == limits::HTTP2_STREAM_WINDOW);

/// The connections. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Channels {
    io: Handle,
    open: Arc<Mutex<HashMap<String, Vec<Connection>>>>,
}

#[derive(Clone, Debug)]
struct Connection {
    channel: Channel,
    streams: Arc<AtomicU32>,
}

/// The right to one stream on a connection.
pub(super) struct Lease {
    pub(super) client: ExchangeClient<Channel>,
    streams: Arc<AtomicU32>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Channels {
    pub(super) fn new(io: Handle) -> Self {
        Self { io, open: Arc::default() }
    }

    /// A client of this endpoint. Connects when first used.
    pub(super) fn lease(&self, endpoint: &str) -> Result<Lease, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = open.entry(endpoint.to_owned()).or_default();
        let free = connections.iter().find(|c| c.streams.load(Ordering::Relaxed) < STREAMS).cloned();
        let Connection { channel, streams } = match free {
            Some(connection) => connection,
            None => {
                let connection = Connection { channel: self.dial(endpoint)?, streams: Arc::default() };
                connections.push(connection.clone());
                connection
            }
        };
        streams.fetch_add(1, Ordering::Relaxed);
        let client = ExchangeClient::new(channel)
            .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(limits::MAX_MESSAGE_BYTES);
        Ok(Lease { client, streams })
    }

    /// Forgets the connections to an endpoint that failed, so that those of dead workers do not pile up.
    pub(super) fn forget(&self, endpoint: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(endpoint);
    }

    fn dial(&self, endpoint: &str) -> Result<Channel, Error> {
        let wrong = || Error::internal(format!("'{endpoint}' is not a shuffle endpoint; host:port is wanted"));
        let uri: tonic::codegen::http::Uri = format!("http://{endpoint}").parse().map_err(|_| wrong())?;
        let plain = uri.authority().is_some_and(|a| a.as_str() == endpoint && !endpoint.contains('@'));
        if !plain || uri.port().is_none() {
            return Err(wrong());
        }
        let dial = Endpoint::from(uri)
            .connect_timeout(limits::CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME)
            .http2_keep_alive_interval(limits::HEARTBEAT_TIMEOUT)
            .keep_alive_timeout(limits::HEARTBEAT_TIMEOUT)
            .keep_alive_while_idle(true);
        let _runtime = self.io.enter();
        Ok(dial.connect_lazy())
    }
}
