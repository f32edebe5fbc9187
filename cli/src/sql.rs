//! `windrow sql`: runs the statements it is given, prints their rows; given none, on a terminal, it is a shell.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use windrow::Session;
use windrow_common::time::Clock;
use windrow_common::{Error, ErrorKind, Result};

use crate::drive;
use crate::interrupt::Interrupt;
use crate::output::{Format, Summary};
use crate::progress::ProgressLine;
use crate::statements::{Statement, split};
use crate::stdout::Closed;
use crate::target::{self, Target};

const EXAMPLES: &str = "\
Examples:
  windrow sql -c \"SELECT count(*) FROM 'data/*.parquet'\"
  windrow sql -f report.sql --format csv > report.csv
  echo 'SELECT 1; SELECT 2' | windrow sql --format json
  windrow sql                                    a shell
  windrow sql --connect grpc://127.0.0.1:7070 -c 'SELECT 1'

Without -c and -f the statements are read from stdin; on a terminal that is a shell with history and completion (\\?
helps). Several statements, divided by semicolons, run in order; the first that fails ends the run. Ctrl-C cancels what
runs.";

/// `windrow sql`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SqlCommand {
    /// Statements to run; may be given several times
    #[arg(short = 'c', long = "command", value_name = "SQL", conflicts_with = "file")]
    pub commands: Vec<String>,
    /// File of statements to run; - is stdin
    #[arg(short = 'f', long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// How rows are printed [default: table on a terminal, csv otherwise]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Where it runs.
    #[command(flatten)]
    pub target: Target,
}

impl SqlCommand {
    /// Runs the statements.
    pub async fn run(self) -> Result<()> {
        let format = self.format.unwrap_or_else(Format::default_for_stdout);
        format.check()?;
        if self.is_interactive() {
            return crate::shell::run(&self.target, format).await;
        }
        let statements = split(&self.script()?);
        let mut interrupt = Interrupt::listen()?;
        let session = interrupt.or_cancelled(self.target.open()).await?;
        let runner = Runner { session, format, closed: Closed::default() };
        let result = runner.run_all(&statements, &mut interrupt).await;
        target::close(runner.session).await;
        result
    }

    /// Whether somebody sits at a terminal and has given nothing to run.
    fn is_interactive(&self) -> bool {
        let is_told = !self.commands.is_empty() || self.file.is_some();
        !is_told && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
    }

    fn script(&self) -> Result<String> {
        if !self.commands.is_empty() {
            return Ok(self.commands.join(";\n"));
        }
        match &self.file {
            Some(path) if path != Path::new("-") => std::fs::read_to_string(path).map_err(|error| {
                let kind = match error.kind() {
                    std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                    std::io::ErrorKind::InvalidData => ErrorKind::User,
                    _ => ErrorKind::Io,
                };
                Error::new(kind, format!("cannot read '{}': {error}", path.display()))
            }),
            None if std::io::stdin().is_terminal() => Err(Error::user(
                "nothing to run; pass a statement with -c, a file with -f, or pipe statements in (the shell needs \
                 a terminal for its output too)",
            )),
            Some(_) | None => {
                let mut script = String::new();
                let read = std::io::stdin().read_to_string(&mut script);
                read.map_err(|error| Error::user(format!("cannot read statements from stdin: {error}")))?;
                Ok(script)
            }
        }
    }
}

struct Runner {
    session: Session,
    format: Format,
    closed: Closed,
}

impl Runner {
    async fn run_all(&self, statements: &[Statement], interrupt: &mut Interrupt) -> Result<()> {
        for (index, statement) in statements.iter().enumerate() {
            let result = self.run(statement, interrupt).await;
            if self.closed.is_set() {
                // Whoever read our rows has seen enough.
                return Ok(());
            }
            result.map_err(|error| match statements.len() {
                1 => error,
                _ if error.kind == ErrorKind::Cancelled => error,
                _ => error.context(format!("statement {} (line {})", index + 1, statement.line)),
            })?;
        }
        Ok(())
    }

    async fn run(&self, statement: &Statement, interrupt: &mut Interrupt) -> Result<()> {
        let clock = Clock::start();
        let start = clock.now();
        let mut progress = ProgressLine::new("tasks");
        let execution = drive::start(&self.session, &statement.text, interrupt, &mut progress).await?;
        let mut sink = self.format.sink(execution.schema(), &self.closed)?;
        let mut rows = 0;
        let printing = drive::finish(execution, interrupt, &mut progress, |batch, progress| {
            progress.clear();
            rows += batch.num_rows() as u64;
            sink.write(&batch)
        });
        printing.await?;
        progress.clear();
        sink.finish(Summary { rows, elapsed: Some(clock.now().since(start)) })
    }
}
