//! The interactive shell: a prompt, statements over several lines, backslash commands.
//!
//! ```text
//! terminal ─► editor ─► input ─┬► statement ─► runner ─► layout ─► screen ─► pager
//!               ▲              └► backslash command              └► file (\o)
//!            catalog (names for completion)
//! ```
//!
//! It owns what is between a person and a session. What it must not do: end when a statement fails or is cancelled.

use std::sync::Arc;

use windrow::Deployment;
use windrow_common::{Error, ErrorKind, Result};

pub mod backslash;
pub mod caret;
pub mod catalog;
pub mod completion;
pub mod editor;
pub mod history;
pub mod input;
pub mod keywords;
pub mod layout;
pub mod names;
pub mod pager;
pub mod runner;
pub mod screen;
pub mod terminal;
pub mod words;

use backslash::{Backslash, help};
use catalog::Catalog;
use editor::{Line, LineEditor};
use input::{Entered, Input};
use runner::Runner;
use terminal::Terminal;

use crate::interrupt::Interrupt;
use crate::output::Format;
use crate::stderr::tell;
use crate::stdout::say;
use crate::target::{self, Target};

/// Files that may include each other, one inside the other.
const DEEPEST_INCLUDE: usize = 16;

/// Opens a session and runs a shell on it until the person has enough.
pub async fn run(target: &Target, format: Format) -> Result<()> {
    let mut interrupt = Interrupt::listen_in_shell()?;
    let session = interrupt.or_cancelled(target.open()).await?;
    say(&greeting(&target.deployment()));
    let catalog = Arc::new(Catalog::default());
    let editor = LineEditor::new(Arc::clone(&catalog))?;
    let terminal = Terminal::take();
    let runner = Runner::new(session, interrupt, format);
    let mut shell = Shell { runner, editor: Some(editor), catalog, input: Input::default(), typed: String::new() };
    let result = shell.run().await;
    if shell.editor.is_none() {
        // A thread is still waiting for a key, with the terminal set for that.
        terminal.leave_line();
    }
    terminal.restore();
    target::close(shell.runner.session).await;
    result
}

fn greeting(deployment: &Deployment) -> String {
    let place = match deployment {
        Deployment::Embedded { cores: 1, .. } => "1 core of this machine".to_owned(),
        Deployment::Embedded { cores, .. } => format!("{cores} cores of this machine"),
        Deployment::LocalCluster { workers, cores, .. } => {
            format!("{workers} workers of {cores} cores in this process")
        }
        Deployment::Remote { url } => url.clone(),
    };
    format!("Windrow {} on {place}; \\? helps.", env!("CARGO_PKG_VERSION"))
}

struct Shell {
    runner: Runner,
    /// Away while a line is being read.
    editor: Option<LineEditor>,
    catalog: Arc<Catalog>,
    input: Input,
    /// What was typed since the last time nothing was begun: an entry of the history.
    typed: String,
}

/// Whether the shell goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    End,
}

impl Shell {
    async fn run(&mut self) -> Result<()> {
        loop {
            match self.line().await? {
                Line::End => return Ok(()),
                Line::Interrupted => {
                    self.input.clear();
                    self.typed.clear();
                }
                Line::Text(line) => {
                    if self.enter(&line).await == Flow::End {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Reads a line, and asks for names meanwhile.
    async fn line(&mut self) -> Result<Line> {
        let mut editor = self.editor.take().ok_or_else(|| Error::internal("two lines are read at once"))?;
        let (prompt, begun) = (self.input.prompt(), self.input.text().to_owned());
        let mut reading = tokio::task::spawn_blocking(move || {
            let line = editor.read(&prompt, &begun);
            (editor, line)
        });
        loop {
            tokio::select! {
                biased;
                () = self.runner.interrupt.wait_for_end() => return Ok(Line::End),
                read = &mut reading => {
                    let (editor, line) = read.map_err(|error| Error::internal(format!("no line: {error}")))?;
                    self.editor = Some(editor);
                    return line;
                }
                names = catalog::load(&self.runner.session), if self.catalog.is_outdated() => self.catalog.tell(names),
            }
        }
    }

    /// Does what a line says; what is wrong is told and forgotten.
    async fn enter(&mut self, line: &str) -> Flow {
        if self.input.is_empty() && matches!(line.trim().trim_end_matches(';'), "exit" | "quit") {
            return Flow::End;
        }
        if self.input.is_empty() && line.trim().trim_end_matches(';') == "help" {
            say(&help());
            return Flow::On;
        }
        let entered = self.input.enter(line);
        self.typed.push_str(line);
        if self.input.is_empty() {
            let typed = std::mem::take(&mut self.typed);
            if let Some(editor) = self.editor.as_mut().filter(|_| !typed.trim().is_empty()) {
                editor.remember(typed.trim_end());
            }
        } else {
            self.typed.push('\n');
        }
        for entered in entered {
            match self.run_entered(entered, 0).await {
                Ok(flow) if flow == Flow::End => return flow,
                Ok(_) => {}
                Err(error) => {
                    tell(&error);
                    // What follows on the same line may build on what has failed.
                    break;
                }
            }
            if self.runner.interrupt.has_ended() {
                return Flow::End;
            }
        }
        Flow::On
    }

    async fn run_entered(&mut self, entered: Entered, depth: usize) -> Result<Flow, String> {
        match entered {
            Entered::Statement(statement) => {
                let result = self.runner.run(&statement).await;
                if catalog::changes_names(&statement) {
                    self.catalog.outdate();
                }
                result.map(|()| Flow::On).map_err(|error| told(&statement, &error))
            }
            Entered::Command(line) => match Backslash::parse(&line) {
                Ok(Backslash::Quit) => Ok(Flow::End),
                Ok(Backslash::Include(path)) => Box::pin(self.include(&path, depth)).await,
                Ok(command) => {
                    self.command(command).await.map(|()| Flow::On).map_err(|error| format!("error: {error}"))
                }
                Err(error) => Err(format!("error: {error}")),
            },
        }
    }

    async fn command(&mut self, command: Backslash) -> Result<()> {
        match command {
            Backslash::Tables => self.runner.run(TABLES).await,
            Backslash::Describe(table) => self.runner.run(&format!("DESCRIBE {table}")).await,
            Backslash::Timing(wanted) => {
                self.runner.timing = wanted.unwrap_or(!self.runner.timing);
                say(if self.runner.timing { "Times are told." } else { "Times are not told." });
                Ok(())
            }
            Backslash::Expanded(wanted) => {
                self.runner.expanded = wanted.unwrap_or_else(|| self.runner.expanded.next());
                say(&format!("Each column on its own line: {}.", self.runner.expanded.name()));
                Ok(())
            }
            Backslash::Output(path) => self.runner.write_to(path),
            Backslash::Help => {
                say(&help());
                Ok(())
            }
            Backslash::Quit | Backslash::Include(_) => Ok(()),
        }
    }

    /// Runs the statements and commands of a file; the first that fails ends that.
    async fn include(&mut self, path: &str, depth: usize) -> Result<Flow, String> {
        if depth >= DEEPEST_INCLUDE {
            return Err(format!("error: {path}: files include each other more than {DEEPEST_INCLUDE} deep"));
        }
        let text = std::fs::read_to_string(path).map_err(|error| format!("error: cannot read '{path}': {error}"))?;
        let mut input = Input::default();
        if depth == 0 {
            // What came before was not meant for this file.
            self.runner.interrupt.forget();
        }
        for (number, line) in text.lines().enumerate() {
            if self.runner.interrupt.has_come() {
                return Err(format!("{path}, line {}: {}", number + 1, Error::cancelled()));
            }
            for entered in input.enter(line) {
                let result = self.run_entered(entered, depth + 1).await;
                match result.map_err(|error| format!("{path}, line {}: {error}", number + 1))? {
                    Flow::On => {}
                    // A file that ends itself does not end the shell.
                    Flow::End => return Ok(Flow::On),
                }
            }
        }
        match input.take() {
            Some(statement) => {
                let result = self.run_entered(Entered::Statement(statement), depth + 1).await;
                result.map_err(|error| format!("{path}, at its end: {error}"))
            }
            None => Ok(Flow::On),
        }
    }
}

/// What `\dt` asks.
const TABLES: &str = "SELECT table_schema AS schema, table_name AS name, \
     CASE table_type WHEN 'BASE TABLE' THEN 'table' ELSE lower(table_type) END AS type \
     FROM information_schema.tables WHERE table_schema <> 'information_schema' ORDER BY 1, 2";

/// An error as it is told, with the place in the statement if it has one.
fn told(statement: &str, error: &Error) -> String {
    if error.kind == ErrorKind::Cancelled {
        return error.to_string();
    }
    let width = crate::stdout::terminal_width().unwrap_or(80);
    match caret::pointed(statement, &error.message, width) {
        Some(place) => format!("error: {error}\n{place}"),
        None => format!("error: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_says_where_statements_run() {
        let memory = windrow_common::ByteSize::gib(1);
        assert!(greeting(&Deployment::Embedded { cores: 2, memory }).contains("2 cores of this machine"));
        assert!(greeting(&Deployment::Remote { url: "grpc://a:1".to_owned() }).contains("grpc://a:1"));
    }

    #[test]
    fn an_error_is_told_with_its_place() {
        let error = Error::user("No field named x. at Line: 1, Column: 8");
        assert_eq!(told("SELECT x", &error), format!("error: {error}\nLINE 1: SELECT x\n               ^"));
        assert_eq!(told("SELECT x", &Error::cancelled()), "cancelled");
        assert_eq!(told("SELECT x", &Error::user("no")), "error: no");
    }
}
