//! Runs one statement after another and sends its rows where they are wanted: to the screen, or to a file.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use arrow::datatypes::SchemaRef;
use windrow::Session;
use windrow_common::time::Clock;
use windrow_common::{Error, Result};

use super::backslash::Expanded;
use super::layout;
use super::pager::{Pager, Size};
use super::screen::Screen;
use crate::drive;
use crate::interrupt::Interrupt;
use crate::output::{Format, Look, RowSink, Summary, done};
use crate::progress::ProgressLine;
use crate::stdout::{Closed, say};

/// NULL as nothing else looks.
const DIM_NULL: &str = "\x1b[2mNULL\x1b[0m";

/// Runs statements.
pub(super) struct Runner {
    pub(super) session: Session,
    pub(super) interrupt: Interrupt,
    /// Whether times are told.
    pub(super) timing: bool,
    /// When rows are printed one below the other.
    pub(super) expanded: Expanded,
    format: Format,
    file: Option<RowFile>,
}

/// Where `\o` has sent the rows.
struct RowFile {
    path: String,
    file: File,
    format: Format,
}

/// What takes the rows of one statement.
struct Taker {
    sink: Box<dyn RowSink>,
    screen: Option<Screen>,
}

impl Runner {
    /// On this session, printing rows in this format.
    pub(super) fn new(session: Session, interrupt: Interrupt, format: Format) -> Runner {
        Runner { session, interrupt, timing: true, expanded: Expanded::default(), format, file: None }
    }

    /// Sends the rows of the statements that follow to a file, or to the screen again.
    pub(super) fn write_to(&mut self, path: Option<String>) -> Result<()> {
        self.file = None;
        let Some(path) = path else { return Ok(()) };
        let file = File::create(&path).map_err(|error| Error::user(format!("cannot write to '{path}': {error}")))?;
        let format = format_of(&path, self.format);
        self.file = Some(RowFile { path, file, format });
        Ok(())
    }

    /// Runs a statement to its end, or to Ctrl-C.
    pub(super) async fn run(&mut self, statement: &str) -> Result<()> {
        // What came before was not meant for this one.
        self.interrupt.forget();
        let clock = Clock::start();
        let start = clock.now();
        let mut progress = ProgressLine::new("tasks");
        let execution = drive::start(&self.session, statement, &mut self.interrupt, &mut progress).await?;
        let schema = execution.schema();
        let has_columns = !schema.fields().is_empty();
        let closed = Closed::default();
        let mut taker = self.taker(schema, &closed)?;
        let mut rows = 0;
        let reading = drive::finish(execution, &mut self.interrupt, &mut progress, |batch, progress| {
            progress.clear();
            rows += batch.num_rows() as u64;
            if has_columns { taker.sink.write(&batch) } else { Ok(()) }
        });
        let read = reading.await.map(drop);
        progress.clear();
        let elapsed = self.timing.then(|| clock.now().since(start));
        let summary = Summary { rows, elapsed };
        let result = match read {
            Ok(()) if has_columns => taker.sink.finish(summary),
            other => other,
        };
        drop(taker.sink);
        let shown = taker.screen.map_or(Ok(()), |screen| screen.end());
        if closed.is_set() {
            // The person has left the pager before the end, and with it the statement.
            return Ok(());
        }
        result.and(shown)?;
        self.conclude(has_columns, summary);
        Ok(())
    }

    /// Says what the sink has not said.
    fn conclude(&self, has_columns: bool, summary: Summary) {
        match &self.file {
            _ if !has_columns => say(&done(summary)),
            Some(file) => say(&format!("({summary}; written to {})", file.path)),
            None if self.format != Format::Table => say(&format!("({summary})")),
            None => {}
        }
    }

    fn taker(&self, schema: SchemaRef, closed: &Closed) -> Result<Taker> {
        if let Some(file) = &self.file {
            let look = Look { terminal: None, null: "NULL", all_columns: "" };
            let failed = |error| Error::io(format!("cannot write to '{}': {error}", file.path));
            let out = Box::new(std::io::BufWriter::new(file.file.try_clone().map_err(failed)?)) as Box<dyn Write>;
            let sink = match file.format {
                Format::Table => layout::sink(self.expanded, schema, look, out)?,
                Format::Csv | Format::Json | Format::Arrow => file.format.sink_to(schema, look, out)?,
            };
            return Ok(Taker { sink, screen: None });
        }
        let (size, pager) = (Size::of_screen(), Pager::of_environment());
        let dim = console::colors_enabled() && pager.as_ref().is_none_or(|pager| pager.colours);
        let null = if dim { DIM_NULL } else { "NULL" };
        let look = Look { terminal: Some(size.columns), null, all_columns: "\\x on" };
        let screen = Screen::new(size, pager, closed.clone());
        let sink = match self.format {
            Format::Table => layout::sink(self.expanded, schema, look, screen.destination())?,
            Format::Csv | Format::Json | Format::Arrow => self.format.sink_to(schema, look, screen.destination())?,
        };
        Ok(Taker { sink, screen: Some(screen) })
    }
}

/// How rows are written to this file: as its name says, otherwise as they are printed.
fn format_of(path: &str, printed: Format) -> Format {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "csv" => Format::Csv,
        "json" | "jsonl" | "ndjson" => Format::Json,
        "arrow" | "arrows" | "ipc" => Format::Arrow,
        _ => printed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_its_format() {
        for (path, format) in [
            ("a.csv", Format::Csv),
            ("a.JSON", Format::Json),
            ("/b.c/a.arrows", Format::Arrow),
            ("a.txt", Format::Table),
            ("a", Format::Table),
        ] {
            assert_eq!(format_of(path, Format::Table), format, "{path}");
        }
        assert_eq!(format_of("a.txt", Format::Csv), Format::Csv);
    }
}
