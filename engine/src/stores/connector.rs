//! How requests to object stores leave this process: on the threads for I/O, and a bounded number of them at once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Body, Frame};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    ReqwestConnector,
};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;
use windrow_common::limits;

/// Pieces of a body that wait for their reader when requests run on other threads.
const WAITING_PIECES: usize = 16;

/// Makes HTTP clients whose requests share one bound.
#[derive(Debug)]
pub(super) struct Connector {
    io: Option<Handle>,
    room: Arc<Semaphore>,
}

impl Connector {
    /// Requests run on `io`, or where they are made.
    pub(super) fn new(io: Option<Handle>) -> Self {
        Self { io, room: Arc::new(Semaphore::new(limits::STORE_REQUESTS)) }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Service { client, io: self.io.clone(), room: Arc::clone(&self.room) }))
    }
}

#[derive(Debug)]
struct Service {
    client: HttpClient,
    io: Option<Handle>,
    room: Arc<Semaphore>,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // Who holds many half-read bodies and waits for one more request must not wait for ever.
        let waiting = tokio::time::timeout(limits::STORE_REQUEST_PATIENCE, Arc::clone(&self.room).acquire_owned());
        let permit = waiting.await.ok().and_then(Result::ok);
        let client = self.client.clone();
        let Some(io) = &self.io else {
            let (parts, body) = client.execute(request).await?.into_parts();
            return Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(Counted { body, _permit: permit })));
        };
        let (pieces, body) = mpsc::channel(WAITING_PIECES);
        let (answer, answered) = tokio::sync::oneshot::channel();
        let task = io.spawn(async move {
            match client.execute(request).await {
                Err(error) => drop(answer.send(Err(error))),
                Ok(response) => {
                    let (parts, body) = response.into_parts();
                    if answer.send(Ok(parts)).is_ok() {
                        hand_over(body, pieces).await;
                    }
                }
            }
            drop(permit);
        });
        let task = AbortOnDropHandle::new(task);
        let parts = answered.await.map_err(|_| HttpError::new(HttpErrorKind::Interrupted, Stopped))??;
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(Pieces { body, _task: task })))
    }
}

fn hand_over(body: HttpResponseBody, pieces: mpsc::Sender<Result<Frame<Bytes>, HttpError>>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let mut body = Box::pin(body);
        while let Some(piece) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            if pieces.send(piece).await.is_err() {
                return;
            }
        }
    })
}

/// The threads for I/O have ended.
#[derive(Debug, thiserror::Error)]
#[error("the request was given up because this process stops")]
struct Stopped;

/// A body that counts as a request until it is read or dropped.
struct Counted {
    body: HttpResponseBody,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

/// A body that is read on other threads.
struct Pieces {
    body: mpsc::Receiver<Result<Frame<Bytes>, HttpError>>,
    _task: AbortOnDropHandle<()>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        self.body.poll_recv(cx)
    }
}
