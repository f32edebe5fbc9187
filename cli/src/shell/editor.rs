//! Reads lines from the terminal, with history and completion. The editing itself is rustyline's.

use std::path::PathBuf;
use std::sync::Arc;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::config::{BellStyle, CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::{FileHistory, History};
use rustyline::validate::Validator;
use rustyline::{Context, Editor};
use windrow_common::{Error, Result};

use super::catalog::Catalog;
use super::completion::{complete, complete_backslash};
use super::history;
use crate::statements::{Ending, parts};

/// The terminal, and what was typed at it before.
pub struct LineEditor {
    editor: Editor<Helper, FileHistory>,
    /// Where history is kept; none when there is no place for it.
    kept: Option<PathBuf>,
}

/// What came from the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line; several when a statement was taken from history or pasted.
    Text(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D on an empty line.
    End,
}

impl std::fmt::Debug for LineEditor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineEditor").field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl LineEditor {
    /// Takes the terminal; completes from this catalog.
    pub fn new(catalog: Arc<Catalog>) -> Result<LineEditor> {
        let config = Config::builder()
            .max_history_size(history::KEPT)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(failed)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .completion_show_all_if_ambiguous(true)
            .bell_style(BellStyle::None)
            .build();
        let mut editor = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(Helper { catalog, files: FilenameCompleter::new(), begun: String::new() }));
        let kept = history::path().filter(|path| {
            let directory = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            directory.inspect_err(|error| tracing::warn!("no history: {}: {error}", path.display())).is_ok()
        });
        if let Some(path) = kept.as_ref().filter(|path| path.exists())
            && let Err(error) = editor.load_history(path)
        {
            tracing::warn!("cannot read the history in {}: {error}", path.display());
        }
        Ok(LineEditor { editor, kept })
    }

    /// Reads a line; blocks until it is there. `begun` are the lines of the same statement before it.
    pub fn read(&mut self, prompt: &str, begun: &str) -> Result<Line> {
        if let Some(helper) = self.editor.helper_mut() {
            begun.clone_into(&mut helper.begun);
        }
        match self.editor.readline(prompt) {
            Ok(text) => Ok(Line::Text(text)),
            Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(error) => Err(failed(error)),
        }
    }

    /// Keeps a statement or command for the arrow keys, in this session and in later ones.
    pub fn remember(&mut self, typed: &str) {
        let added = self.editor.add_history_entry(typed).unwrap_or(false);
        if let Some(path) = self.kept.as_ref().filter(|_| added)
            && let Err(error) = self.editor.history_mut().append(path)
        {
            tracing::warn!("cannot keep history in {}: {error}", path.display());
            self.kept = None;
        }
    }
}

fn failed(error: ReadlineError) -> Error {
    Error::io(format!("cannot read from the terminal: {error}"))
}

/// What rustyline asks of us.
struct Helper {
    catalog: Arc<Catalog>,
    files: FilenameCompleter,
    /// The lines of the statement before the one that is being typed.
    begun: String,
}

impl Completer for Helper {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (before, after) = line.split_at(at);
        let is_command = self.begun.is_empty() && before.starts_with('\\');
        if is_command && ["\\i ", "\\o "].iter().any(|command| before.starts_with(command)) {
            return self.files.complete_path(line, at);
        }
        let completion = if is_command {
            complete_backslash(before, &self.catalog.names())
        } else {
            let all = format!("{}{before}", self.begun);
            if parts(&all).ending == Ending::Quote('\'') && parts(before).ending == Ending::Quote('\'') {
                // A string is the name of a file as often as not.
                return self.files.complete_path(line, at);
            }
            let mut completion = complete(&all, after, &self.catalog.names());
            completion.start = completion.start.saturating_sub(self.begun.len());
            completion
        };
        let pair = |text: String| Pair { display: text.clone(), replacement: text };
        Ok((completion.start, completion.candidates.into_iter().map(pair).collect()))
    }
}

impl Hinter for Helper {
    type Hint = String;
}

impl Highlighter for Helper {}

impl Validator for Helper {}

impl rustyline::Helper for Helper {}
