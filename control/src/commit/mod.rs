//! The commit of what one job wrote: decided once, published by rolling forward, never both half-done and given up.
//!
//! ```text
//!   Begin ─► Deciding ──created, or found──► Publishing ──all files──► Marking ──► Published
//!               │  refused, or cancelled in time         │ a step fails too often
//!               ▼                                        ▼
//!            Aborted      InDoubt ◄─ nobody can say   Unfinished (run again: it rolls forward)
//! ```
//!
//! The decision is one object, created if absent. Whoever finds one there adopts its contents, for they may have been
//! published already. An ambiguous answer (a time-out after the request was sent) is neither success nor failure: the
//! object is read back. Once a request to create it was sent whose fate is not known, nothing is given up and nothing
//! staged is dropped. The shell carries out the I/O and brings back what it met.

mod event;
mod publication;

use windrow_common::{Error, ErrorKind, Timestamp, limits};

pub use event::{CommitAction, CommitEvent, CommitOutcome, CreateAnswer, ReadAnswer, StagedFile, StepAnswer};
use publication::{Publication, backoff};

/// What was asked of the store about the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Create,
    Read,
}

#[derive(Clone, Debug)]
enum State {
    /// Nothing was asked yet.
    Idle,
    /// The decision is open. `asked`: a question is out; else it is put again at `again_at`.
    Deciding { question: Question, asked: bool, again_at: Timestamp, tries: u32, in_doubt: bool },
    /// Decided. Files are moved to where readers look.
    Publishing(Publication),
    /// All files are there; the sign of success comes last.
    Marking { files: Vec<StagedFile>, asked: bool, again_at: Timestamp, tries: u32 },
    /// At its end.
    Over,
}

/// The commit of one job's output.
#[derive(Debug)]
pub struct Commit {
    nonce: u128,
    files: Vec<StagedFile>,
    state: State,
    cancelled: bool,
    adopted: bool,
    out: Vec<CommitAction>,
}

impl Commit {
    /// A commit of these files. `nonce` is random and tells this writer's decision from others.
    pub fn new(nonce: u128, files: Vec<StagedFile>) -> Self {
        Self { nonce, files, state: State::Idle, cancelled: false, adopted: false, out: Vec::new() }
    }

    /// Takes in one event and says what the shell must do. Answers to questions that were not asked are absorbed.
    pub fn handle(&mut self, now: Timestamp, event: CommitEvent) -> Vec<CommitAction> {
        match event {
            CommitEvent::Begin => self.begin(now),
            CommitEvent::Created(answer) => self.created(now, answer),
            CommitEvent::Read(answer) => self.read(now, answer),
            CommitEvent::Published { index, answer } => self.published(now, index, answer),
            CommitEvent::Marked(answer) => self.marked(now, answer),
            CommitEvent::Cancel => self.cancel(),
            CommitEvent::Tick => self.tick(now),
        }
        std::mem::take(&mut self.out)
    }

    /// When [`CommitEvent::Tick`] should come at the latest, to try a step again.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match &self.state {
            State::Deciding { asked: false, again_at, .. } | State::Marking { asked: false, again_at, .. } => {
                Some(*again_at)
            }
            State::Publishing(publication) => publication.next_deadline(),
            State::Idle | State::Deciding { .. } | State::Marking { .. } | State::Over => None,
        }
    }

    /// Whether the decision has fallen, so that giving up is impossible.
    pub fn is_decided(&self) -> bool {
        match self.state {
            State::Publishing(_) | State::Marking { .. } => true,
            State::Idle | State::Deciding { .. } | State::Over => false,
        }
    }

    fn begin(&mut self, now: Timestamp) {
        match self.state {
            State::Idle => self.ask(now, Question::Create, 1, false),
            State::Deciding { .. } | State::Publishing(_) | State::Marking { .. } | State::Over => {}
        }
    }

    fn ask(&mut self, now: Timestamp, question: Question, tries: u32, in_doubt: bool) {
        self.state = State::Deciding { question, asked: true, again_at: now, tries, in_doubt };
        self.out.push(match question {
            Question::Create => CommitAction::CreateManifest { nonce: self.nonce, files: self.files.clone() },
            Question::Read => CommitAction::ReadManifest,
        });
    }

    fn created(&mut self, now: Timestamp, answer: CreateAnswer) {
        let State::Deciding { question: Question::Create, asked: true, tries, in_doubt, .. } = self.state else {
            return;
        };
        match answer {
            CreateAnswer::Created => self.publish(now, self.files.clone()),
            CreateAnswer::AlreadyExists => self.ask(now, Question::Read, tries, true),
            CreateAnswer::Ambiguous(_) => self.ask(now, Question::Read, tries, true),
            CreateAnswer::Refused(error) if in_doubt => self.ask_later(now, Question::Read, tries, error),
            CreateAnswer::Refused(error) if error.kind.is_retryable() && !self.cancelled => {
                if tries >= limits::MAX_COMMIT_TRIES {
                    self.abort(error);
                } else {
                    self.pause(now, Question::Create, tries, false);
                }
            }
            CreateAnswer::Refused(error) => self.abort(error),
        }
    }

    fn read(&mut self, now: Timestamp, answer: ReadAnswer) {
        let State::Deciding { question: Question::Read, asked: true, tries, .. } = self.state else { return };
        match answer {
            ReadAnswer::Found { nonce, files } => {
                self.adopted = nonce != self.nonce;
                if self.adopted {
                    let unwanted: Vec<StagedFile> = self
                        .files
                        .iter()
                        .filter(|ours| files.iter().all(|f| f.staged != ours.staged))
                        .cloned()
                        .collect();
                    self.discard(unwanted);
                }
                self.publish(now, files);
            }
            // The request to create it may still be under way: only the store can settle it, so ask it again.
            ReadAnswer::Absent => {
                let error = Error::io("the decision is not there, and the store did not say whether it took it");
                self.ask_later(now, Question::Create, tries, error);
            }
            ReadAnswer::Failed(error) => self.ask_later(now, Question::Read, tries, error),
        }
    }

    /// Puts a question again after a pause, or gives up without knowing.
    fn ask_later(&mut self, now: Timestamp, question: Question, tries: u32, error: Error) {
        if tries >= limits::MAX_COMMIT_TRIES {
            self.end(CommitOutcome::InDoubt(error));
        } else {
            self.pause(now, question, tries, true);
        }
    }

    fn pause(&mut self, now: Timestamp, question: Question, tries: u32, in_doubt: bool) {
        let again_at = now + backoff(tries);
        self.state = State::Deciding { question, asked: false, again_at, tries: tries + 1, in_doubt };
    }

    fn publish(&mut self, now: Timestamp, files: Vec<StagedFile>) {
        let mut publication = Publication::new(files);
        self.out.extend(publication.start_due(now));
        self.state = State::Publishing(publication);
        self.mark_if_published(now);
    }

    fn published(&mut self, now: Timestamp, index: usize, answer: StepAnswer) {
        let State::Publishing(publication) = &mut self.state else { return };
        if let Some(error) = publication.answered(now, index, answer) {
            self.end(CommitOutcome::Unfinished(error));
            return;
        }
        self.out.extend(publication.start_due(now));
        self.mark_if_published(now);
    }

    fn mark_if_published(&mut self, now: Timestamp) {
        let State::Publishing(publication) = &mut self.state else { return };
        if publication.is_complete() {
            let files = publication.take_files();
            self.state = State::Marking { files, asked: true, again_at: now, tries: 1 };
            self.out.push(CommitAction::MarkSuccess);
        }
    }

    fn marked(&mut self, now: Timestamp, answer: StepAnswer) {
        let State::Marking { files, asked, again_at, tries } = &mut self.state else { return };
        if !*asked {
            return;
        }
        match answer {
            StepAnswer::Done | StepAnswer::AlreadyDone => {
                let rows = files.iter().map(|f| f.rows).sum();
                let bytes = files.iter().map(|f| f.bytes).sum();
                let outcome =
                    CommitOutcome::Published { files: files.len() as u64, rows, bytes, adopted: self.adopted };
                self.end(outcome);
            }
            StepAnswer::Failed(error) => {
                if *tries >= limits::MAX_COMMIT_TRIES || !error.kind.is_retryable() {
                    self.end(CommitOutcome::Unfinished(error));
                    return;
                }
                *asked = false;
                *again_at = now + backoff(*tries);
                *tries += 1;
            }
        }
    }

    /// Gives up, if that is still certain to be safe. Otherwise the commit goes on: its answer is what counts.
    fn cancel(&mut self) {
        self.cancelled = true;
        match self.state {
            State::Idle | State::Deciding { asked: false, in_doubt: false, .. } => self.abort(Error::cancelled()),
            State::Deciding { .. } | State::Publishing(_) | State::Marking { .. } | State::Over => {}
        }
    }

    fn abort(&mut self, error: Error) {
        let error = if self.cancelled { Error::new(ErrorKind::Cancelled, error.message) } else { error };
        self.discard(self.files.clone());
        self.end(CommitOutcome::Aborted(error));
    }

    fn discard(&mut self, files: Vec<StagedFile>) {
        if !files.is_empty() {
            self.out.push(CommitAction::Discard(files));
        }
    }

    fn end(&mut self, outcome: CommitOutcome) {
        self.state = State::Over;
        self.out.push(CommitAction::End(outcome));
    }

    fn tick(&mut self, now: Timestamp) {
        match &mut self.state {
            State::Deciding { question, asked: false, again_at, tries, in_doubt } if *again_at <= now => {
                let (question, tries, in_doubt) = (*question, *tries, *in_doubt);
                self.ask(now, question, tries, in_doubt);
            }
            State::Publishing(publication) => self.out.extend(publication.start_due(now)),
            State::Marking { asked, again_at, .. } if !*asked && *again_at <= now => {
                *asked = true;
                self.out.push(CommitAction::MarkSuccess);
            }
            State::Idle | State::Deciding { .. } | State::Marking { .. } | State::Over => {}
        }
    }
}
