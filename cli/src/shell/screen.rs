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
/// Bytes that are kept for the case that there is no pager: no pipe holds more, so whoever took more has read.
const MOST_KEPT: usize = 1 << 20;
/// What the system's shell ends with when a program is not there or cannot be run.
const NO_PROGRAM: [i32; 2] = [126, 127];

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
    /// What the pager was given, until it is clear that it reads.
    kept: Option<Vec<u8>>,
    closed: Closed,
}

impl Screen {
    /// Standard output, with this pager or none. Sets `closed` when the pager is left before its end.
    pub fn new(size: Size, pager: Option<Pager>, closed: Closed) -> Screen {
        let inner = Inner { size, pager, held: Vec::new(), running: None, kept: None, closed };
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
        inner.leave_pager().map_err(failed)?;
        let held = std::mem::take(&mut inner.held);
        io::stdout().write_all(&held).and_then(|()| io::stdout().flush()).map_err(failed)
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
        if self.closed.is_set() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.running.is_some() {
            return self.pass(bytes);
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
            Ok(child) => {
                (self.running, self.kept) = (Some(child), Some(Vec::new()));
                self.pass(&held)
            }
            Err(error) => {
                tracing::warn!("cannot start the pager '{}': {error}", pager.command);
                self.pager = None;
                io::stdout().write_all(&held)
            }
        }
    }

    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(stdin) = self.running.as_mut().and_then(|child| child.stdin.as_mut()) else { return Ok(()) };
        let written = stdin.write_all(bytes);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                if self.leave_pager()? {
                    return Ok(());
                }
                self.closed.set();
                Err(error)
            }
            written => {
                self.kept = self.kept.take().filter(|kept| kept.len() <= MOST_KEPT);
                written
            }
        }
    }

    /// Waits until the person has left the pager. If there was none, prints what it was given and goes on without one;
    /// says whether that was so.
    fn leave_pager(&mut self) -> io::Result<bool> {
        let Some(mut child) = self.running.take() else { return Ok(false) };
        drop(child.stdin.take());
        let code = child.wait()?.code();
        match self.kept.take() {
            Some(kept) if code.is_some_and(|code| NO_PROGRAM.contains(&code)) => {
                self.pager = None;
                io::stdout().write_all(&kept)?;
                Ok(true)
            }
            _ => Ok(false),
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
