//! Bugs that can be put back, each once found or feared, to show that the laws of the simulator find them. Compiled only
//! with the feature `known-bugs`, which nothing but tests turns on.

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The end of a stream is taken for the end of the worker's new incarnation, too.
    IncarnationNotCompared,
    /// An exchange is freed while one task still reads it.
    FreedOneReaderEarly,
    /// The slots of a cancelled attempt are never given back.
    SlotNotReturnedOnCancel,
    /// Consumers of an `Indeterminate` output stay as they are when a re-run gives other rows.
    VersionsMixed,
    /// A report that comes twice frees the output that was accepted the first time.
    DuplicateFrees,
}
