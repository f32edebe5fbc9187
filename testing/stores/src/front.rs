//! What every server here is in front of its protocol: the port and its threads, the counters, the faults.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::answer::Answer;
use crate::connection::{Connection, Resettable};
use crate::counters::{Counters, Passing};
use crate::faults::{Fault, Faults};
use crate::head::Head;
use crate::seen::Seen;

/// Bytes of the body of a request.
const MAX_BODY: usize = 1 << 30;
/// Bytes of an answer that are handed to the network at a time.
const FRAME: usize = 64 << 10;
/// Threads of a server.
const THREADS: usize = 2;

/// What is not the same for every store.
pub(crate) trait Protocol: Send + Sync + 'static {
    /// What the request asks for.
    fn seen(&self, head: &Head) -> Seen;

    /// Carries it out.
    fn answer(&self, seen: &Seen, head: &Head, body: Bytes, ignore_conditions: bool) -> Answer;

    /// An error as the protocol says it.
    fn error(&self, status: u16, seen: &Seen) -> Answer;

    /// Gives the object other contents, or none: it is deleted.
    fn replace(&self, bucket: &str, key: &str, contents: Option<Bytes>);
}

struct Shared {
    protocol: Arc<dyn Protocol>,
    faults: Faults,
    counters: Counters,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Front {
    runtime: Option<Runtime>,
    addr: SocketAddr,
    faults: Faults,
    counters: Counters,
    connections: Arc<AtomicU64>,
}

impl Front {
    /// Listens on a port of 127.0.0.1 that the system chooses.
    pub(crate) fn start(protocol: Arc<dyn Protocol>) -> io::Result<Front> {
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("store").enable_all().build()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let connections = Arc::new(AtomicU64::new(0));
        let (faults, counters) = (Faults::default(), Counters::default());
        let shared = Arc::new(Shared { protocol, faults: faults.clone(), counters: counters.clone() });
        let _inside = runtime.enter();
        let listener = Resettable::new(TcpListener::from_std(listener)?, connections.clone());
        let router = Router::new().fallback(handle).with_state(shared);
        let serving = axum::serve(listener, router.into_make_service_with_connect_info::<Connection>());
        runtime.spawn(async move { serving.await });
        drop(_inside);
        Ok(Front { runtime: Some(runtime), addr, faults, counters, connections })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Connections that were made so far.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // Not waited for: it may be dropped on a thread of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How the body of an answer ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    CutAfter(usize),
    StallAfter(usize),
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let head = Head::of(&parts);
    let seen = shared.protocol.seen(&head);
    let passing = shared.counters.enter(&seen);
    // Before the faults are asked, so that their end is not missed.
    let cleared = shared.faults.cleared();
    let faults = shared.faults.of(&seen);
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return send(Answer::text(413, "the body is too large, or ended early"), End::Whole, passing, cleared, false);
    };
    passing.received(body.len());
    let mut end = End::Whole;
    let mut ignore_conditions = false;
    let mut instead = None;
    let mut afterwards = None;
    for fault in faults {
        match fault {
            Fault::Delay(by) => late(by).await,
            Fault::Stall => {
                let _ = cleared.clone().changed().await;
            }
            Fault::Status(status) => instead = Some(shared.protocol.error(status, &seen)),
            Fault::ErrorWith200 => instead = Some(with_200(shared.protocol.error(500, &seen))),
            Fault::Reset => instead = Some(reset(&connection)),
            Fault::DoneButStatus(status) => afterwards = Some(Fault::DoneButStatus(status)),
            Fault::DoneButReset => afterwards = Some(Fault::DoneButReset),
            Fault::CutBody(bytes) => end = End::CutAfter(bytes),
            Fault::StallBody(bytes) => end = End::StallAfter(bytes),
            Fault::IgnoreConditions => ignore_conditions = true,
            Fault::Replace(contents) => shared.protocol.replace(&seen.bucket, &seen.key, Some(contents)),
            Fault::Vanish => shared.protocol.replace(&seen.bucket, &seen.key, None),
        }
    }
    if let Some(answer) = instead {
        return send(answer, End::Whole, passing, cleared, head.method == Method::HEAD);
    }
    let mut answer = shared.protocol.answer(&seen, &head, body, ignore_conditions);
    match afterwards {
        Some(Fault::DoneButStatus(status)) => answer = shared.protocol.error(status, &seen),
        Some(_) => answer = reset(&connection),
        None => {}
    }
    if let End::CutAfter(bytes) = end
        && answer.body.len() <= bytes
    {
        answer = reset(&connection);
    }
    send(answer, end, passing, cleared, head.method == Method::HEAD)
}

/// Waits. To be late is what a server here is for; no test waits so.
async fn late(by: Duration) {
    let _ = tokio::time::timeout(by, std::future::pending::<()>()).await;
}

fn with_200(mut answer: Answer) -> Answer {
    answer.status = StatusCode::OK;
    answer
}

/// Has the connection reset instead of an answer; what is returned is never sent.
fn reset(connection: &Connection) -> Answer {
    connection.reset();
    Answer::empty(500)
}

/// What is left to send.
struct Sending {
    rest: Bytes,
    end: End,
    at: usize,
    passing: Passing,
    cleared: watch::Receiver<u64>,
}

/// The answer to HEAD says how long its body is and has none.
fn send(answer: Answer, end: End, passing: Passing, cleared: watch::Receiver<u64>, is_head: bool) -> Response {
    let length = answer.body.len();
    let body = if answer.body.is_empty() || is_head {
        Body::empty()
    } else {
        let sending = Sending { rest: answer.body, end, at: 0, passing, cleared };
        Body::from_stream(stream::try_unfold(sending, next_frame))
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    let has_body = !matches!(answer.status.as_u16(), 204 | 304);
    if answer.says_length && has_body {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// The next bytes of a body, or how it breaks off.
async fn next_frame(mut sending: Sending) -> io::Result<Option<(Bytes, Sending)>> {
    let limit = match sending.end {
        End::Whole => usize::MAX,
        End::CutAfter(bytes) | End::StallAfter(bytes) => bytes,
    };
    if sending.at >= limit && !sending.rest.is_empty() {
        // What was handed over is sent before the connection goes.
        tokio::task::yield_now().await;
        if let End::StallAfter(_) = sending.end {
            let _ = sending.cleared.changed().await;
        }
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    if sending.rest.is_empty() {
        return Ok(None);
    }
    let frame = sending.rest.split_to(FRAME.min(sending.rest.len()).min(limit - sending.at));
    sending.at += frame.len();
    sending.passing.sent(frame.len());
    Ok(Some((frame, sending)))
}
