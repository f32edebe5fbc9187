//! The connections of workers: who is connected, in which life, and how to tell them something.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use windrow_common::protocol::ToWorker;
use windrow_common::{Incarnation, WorkerId};

/// One open connection. Dropping it closes the worker's stream.
#[derive(Debug)]
pub struct Link {
    /// Numbers connections, so that the end of an old one is not taken for the end of its successor.
    pub connection: u64,
    /// In which life the worker is.
    pub incarnation: Incarnation,
    /// Its process.
    pub pid: u32,
    /// Messages to it.
    pub sender: mpsc::Sender<ToWorker>,
}

/// All open connections.
#[derive(Debug, Default)]
pub struct Links {
    open: BTreeMap<WorkerId, Link>,
}

/// Why a message did not go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// That life of the worker is not connected.
    NotConnected,
    /// Its queue is full or its stream is gone; the connection was closed.
    Closed,
}

impl Links {
    /// A new connection; an older one of the same worker is closed.
    pub fn open(&mut self, worker: WorkerId, link: Link) {
        self.open.insert(worker, link);
    }

    /// Whether this is the worker's current connection.
    pub fn is_current(&self, worker: WorkerId, connection: u64) -> bool {
        self.open.get(&worker).is_some_and(|link| link.connection == connection)
    }

    /// Closes a worker's connection, if it is that life's.
    pub fn close(&mut self, worker: WorkerId, incarnation: Incarnation) {
        if self.open.get(&worker).is_some_and(|link| link.incarnation == incarnation) {
            self.open.remove(&worker);
        }
    }

    /// Tells a worker something.
    pub fn send(&mut self, worker: WorkerId, incarnation: Incarnation, message: ToWorker) -> Result<(), NotSent> {
        let Some(link) = self.open.get(&worker).filter(|link| link.incarnation == incarnation) else {
            return Err(NotSent::NotConnected);
        };
        if link.sender.try_send(message).is_err() {
            self.open.remove(&worker);
            return Err(NotSent::Closed);
        }
        Ok(())
    }

    /// The process of a connected worker.
    pub fn pid(&self, worker: WorkerId) -> Option<u32> {
        self.open.get(&worker).map(|link| link.pid)
    }
}
