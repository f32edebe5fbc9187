//! Standard output that remembers whether its reader has gone, so that `windrow … | head` ends quietly.

use std::cell::Cell;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::rc::Rc;

use windrow_common::{Error, Result};

/// Standard output, buffered. Clones share what they know, not their buffers; use one at a time and flush it.
#[derive(Debug)]
pub struct Out {
    inner: BufWriter<Stdout>,
    closed: Closed,
}

/// Whether the reader of standard output has gone.
#[derive(Clone, Debug, Default)]
pub struct Closed(Rc<Cell<bool>>);

impl Closed {
    /// Whether a write has found the pipe broken.
    pub fn is_set(&self) -> bool {
        self.0.get()
    }

    /// Remembers that the reader has gone.
    pub fn set(&self) {
        self.0.set(true);
    }
}

impl Out {
    /// Standard output.
    pub fn new(closed: &Closed) -> Out {
        Out { inner: BufWriter::with_capacity(64 << 10, io::stdout()), closed: closed.clone() }
    }

    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            self.closed.set();
        }
        result
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write(bytes);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.inner.flush();
        self.note(result)
    }
}

/// Prints a line for whoever reads standard output; a reader that has gone is not an error.
pub fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints this, all of it; a reader that has gone has seen enough, which is not an error.
pub fn print(text: &str) -> Result<()> {
    let closed = Closed::default();
    let mut out = Out::new(&closed);
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(_) if closed.is_set() => Ok(()),
        written => written.map_err(|error| Error::io(format!("cannot write to standard output: {error}"))),
    }
}

/// Prints values as JSON, a line each.
pub fn print_json(values: impl IntoIterator<Item = serde_json::Value>) -> Result<()> {
    print(&values.into_iter().map(|value| format!("{value}\n")).collect::<String>())
}

/// The width to fit, when standard output is a terminal.
pub fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    Some(console::Term::stdout().size_checked().map_or(80, |(_, columns)| usize::from(columns)))
}
