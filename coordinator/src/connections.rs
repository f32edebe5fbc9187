//! Connections of clients and workers: each has a number, and those who serve it can wait for its end.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::server::Connected;
use windrow_common::{Counted, Gauge};

/// A connection, as requests that come over it carry it in their extensions.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Tells it from all others of this process.
    pub number: u64,
    /// Is cancelled when the connection has ended.
    pub ended: CancellationToken,
}

/// The stream of a connection; its end is known by its being dropped.
#[derive(Debug)]
pub(crate) struct Tracked {
    stream: TcpStream,
    connection: Connection,
    _end: DropGuard,
    _counted: Counted,
}

/// What connects, as it comes; `open` counts what is open.
pub(crate) fn incoming(listener: TcpListener, open: Gauge) -> impl Stream<Item = io::Result<Tracked>> {
    let numbers = AtomicU64::new(1);
    TcpListenerStream::new(listener).map(move |stream| {
        let stream = stream?;
        // Requests and answers are small: none waits for more to be sent with it.
        stream.set_nodelay(true)?;
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        Ok(Tracked { stream, connection: Connection { number, ended }, _end: guard, _counted: open.enter() })
    })
}

impl Connected for Tracked {
    type ConnectInfo = Connection;

    fn connect_info(&self) -> Connection {
        self.connection.clone()
    }
}

impl AsyncRead for Tracked {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tracked {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
