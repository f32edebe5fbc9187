//! What the commit of a job's output hears and asks for.

use windrow_common::Error;

/// One written file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFile {
    /// Where the attempt left it, relative to the target's root.
    pub staged: String,
    /// Where readers will find it, relative to the target's root.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// What came of creating the decision if absent.
#[derive(Clone, Debug, PartialEq)]
pub enum CreateAnswer {
    /// It is there, and it is ours.
    Created,
    /// One is there already: ours from before, or another's.
    AlreadyExists,
    /// Nobody knows: the request was sent and no answer came.
    Ambiguous(Error),
    /// It was certainly not created.
    Refused(Error),
}

/// What came of reading the decision.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadAnswer {
    /// This is what was decided.
    Found {
        /// By whom.
        nonce: u128,
        /// Exactly these files.
        files: Vec<StagedFile>,
    },
    /// There is none.
    Absent,
    /// It could not be read.
    Failed(Error),
}

/// What came of a step that may be repeated.
#[derive(Clone, Debug, PartialEq)]
pub enum StepAnswer {
    /// Done.
    Done,
    /// It had been done before.
    AlreadyDone,
    /// It failed, or nobody knows: it is tried again if its kind allows.
    Failed(Error),
}

/// Something that happened outside.
#[derive(Clone, Debug, PartialEq)]
pub enum CommitEvent {
    /// Start.
    Begin,
    /// Answer to [`CommitAction::CreateManifest`].
    Created(CreateAnswer),
    /// Answer to [`CommitAction::ReadManifest`].
    Read(ReadAnswer),
    /// Answer to [`CommitAction::Publish`].
    Published {
        /// Which file.
        index: usize,
        /// What came of it.
        answer: StepAnswer,
    },
    /// Answer to [`CommitAction::MarkSuccess`].
    Marked(StepAnswer),
    /// Somebody wants the job to stop. Heeded only while giving up is certain to be safe.
    Cancel,
    /// Time passed up to the deadline that the commit named.
    Tick,
}

/// Something the shell must do.
#[derive(Clone, Debug, PartialEq)]
pub enum CommitAction {
    /// Create the decision, if there is none, with these contents, durably.
    CreateManifest {
        /// Tells this writer from others.
        nonce: u128,
        /// Exactly these files.
        files: Vec<StagedFile>,
    },
    /// Read the decision.
    ReadManifest,
    /// Move a file to where readers look; if it is there already, that is `AlreadyDone`.
    Publish {
        /// Its place in the decision.
        index: usize,
        /// The file.
        file: StagedFile,
    },
    /// Write the sign of success.
    MarkSuccess,
    /// Drop these staged files: they are certainly not part of what was decided. Failure to do so harms nothing.
    Discard(Vec<StagedFile>),
    /// The commit has come to its end; no other action will come.
    End(CommitOutcome),
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CommitOutcome {
    /// Everything that was decided is published.
    Published {
        /// Files.
        files: u64,
        /// Rows in them.
        rows: u64,
        /// Bytes of them.
        bytes: u64,
        /// The decision was another's; what this writer staged was dropped.
        adopted: bool,
    },
    /// Nothing was decided and nothing will be published.
    Aborted(Error),
    /// The store would not say whether the decision fell. Nothing was dropped; committing again finds out.
    InDoubt(Error),
    /// It was decided, but not all of it could be published. Committing again rolls forward.
    Unfinished(Error),
}
