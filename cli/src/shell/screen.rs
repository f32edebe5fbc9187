//! The screen that the rows of one statement go to. It holds them back until it is clear that they fit; if they do not, a
//! pager takes them, these and all that follow.

use std::cell::RefCell;
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use windrow_common::{Error, Result};

use super::pager::{LESS, Pager, Size};
use crate::output::Destination;
use crate::stdout::Closed;

/// Bytes that are gathered before they are written.
const BUFFER: usize = 64 << 10;

/// The screen. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Screen {
    inner: Rc<RefCell<Inner>>,
}

#[derive(Debug)]
struct Inner {
    size: Size,
    pager: Option<Pager>,
    held: Vec<u8>,
    running: Option<Child>,
    closed: Closed,
}

impl Screen {
    /// Standard output, with this pager or none. Sets `closed` when the pager is left before its end.
    pub fn new(size: Size, pager: Option<Pager>, closed: Closed) -> Screen {
        let inner = Inner { size, pager, held: Vec::new(), running: None, closed };
        Screen { inner: Rc::new(RefCell::new(inner)) }
    }

    /// A way to write to it.
    pub fn destination(&self) -> Destination {
        Box::new(io::BufWriter::with_capacity(BUFFER, self.clone()))
    }

    /// Prints what is held back, or waits until the person has left the pager.
    pub fn end(&self) -> Result<()> {
        let mut inner = self.inner.borrow_mut();
        let failed = |error| Error::io(format!("cannot show rows: {error}"));
        match inner.running.take() {
            Some(mut child) => {
                drop(child.stdin.take());
                child.wait().map(drop).map_err(failed)
            }
            None => {
                let held = std::mem::take(&mut inner.held);
                io::stdout().write_all(&held).and_then(|()| io::stdout().flush()).map_err(failed)
            }
        }
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.borrow_mut().write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Inner {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(child) = &mut self.running {
            return pass(child, bytes, &self.closed);
        }
        let Some(pager) = &self.pager else {
            return io::stdout().write_all(bytes);
        };
        self.held.extend_from_slice(bytes);
        if self.size.holds(&String::from_utf8_lossy(&self.held)) {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        match start(pager) {
            Ok(child) => pass(self.running.insert(child), &held, &self.closed),
            Err(error) => {
                tracing::warn!("cannot start the pager '{}': {error}", pager.command);
                self.pager = None;
                io::stdout().write_all(&held)
            }
        }
    }
}

fn start(pager: &Pager) -> io::Result<Child> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(&pager.command).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", LESS);
    }
    command.spawn()
}

fn pass(child: &mut Child, bytes: &[u8], closed: &Closed) -> io::Result<()> {
    let Some(stdin) = &mut child.stdin else { return Ok(()) };
    let written = stdin.write_all(bytes);
    if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        closed.set();
    }
    written
}
