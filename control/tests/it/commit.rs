//! The commit: a store that answers truly, wrongly, late or not at all; two writers; cancel at every point.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use windrow_common::{Error, ErrorKind, Timestamp, limits};
use windrow_control::commit::*;

fn file(writer: u128, index: usize) -> StagedFile {
    StagedFile {
        staged: format!("_staged/{writer}-{index}"),
        path: format!("part-{writer}-{index}"),
        rows: 10,
        bytes: 100,
    }
}

fn files(writer: u128, count: usize) -> Vec<StagedFile> {
    (0..count).map(|index| file(writer, index)).collect()
}

/// A store with one decision, which does what it is told, or fails as it is told.
#[derive(Default)]
struct Store {
    manifest: Option<(u128, Vec<StagedFile>)>,
    published: BTreeSet<String>,
    discarded: BTreeSet<String>,
    success: bool,
    /// A decision that is still under way, and after how many requests it arrives.
    late: Option<(u32, u128, Vec<StagedFile>)>,
}

/// How the next request goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Luck {
    Good,
    /// Done, but the answer is lost.
    Silent,
    /// Not done, and the answer is lost.
    Lost,
    /// The answer is lost, and it is done only two requests later: the network held it back.
    Late,
    /// Refused, and said so.
    Refused,
}

impl Store {
    fn carry_out(&mut self, action: &CommitAction, luck: Luck) -> Option<CommitEvent> {
        let done = matches!(luck, Luck::Good | Luck::Silent);
        let answer = |already: bool| match luck {
            Luck::Good if already => StepAnswer::AlreadyDone,
            Luck::Good => StepAnswer::Done,
            Luck::Silent | Luck::Lost | Luck::Late | Luck::Refused => StepAnswer::Failed(Error::io("no answer")),
        };
        Some(match action {
            CommitAction::CreateManifest { nonce, files } => {
                let there = self.manifest.is_some();
                if luck == Luck::Late {
                    self.late = Some((2, *nonce, files.clone()));
                }
                if done && !there {
                    self.manifest = Some((*nonce, files.clone()));
                }
                CommitEvent::Created(match luck {
                    Luck::Good if there => CreateAnswer::AlreadyExists,
                    Luck::Good => CreateAnswer::Created,
                    Luck::Silent | Luck::Lost | Luck::Late => CreateAnswer::Ambiguous(Error::io("no answer")),
                    Luck::Refused => CreateAnswer::Refused(Error::io("busy")),
                })
            }
            CommitAction::ReadManifest => CommitEvent::Read(match (luck, &self.manifest) {
                (Luck::Good, Some((nonce, files))) => ReadAnswer::Found { nonce: *nonce, files: files.clone() },
                (Luck::Good, None) => ReadAnswer::Absent,
                (Luck::Silent | Luck::Lost | Luck::Late | Luck::Refused, _) => {
                    ReadAnswer::Failed(Error::io("no answer"))
                }
            }),
            CommitAction::Publish { index, file } => {
                let already = self.published.contains(&file.path);
                if done {
                    self.published.insert(file.path.clone());
                }
                CommitEvent::Published { index: *index, answer: answer(already) }
            }
            CommitAction::MarkSuccess => {
                let already = self.success;
                self.success |= done;
                CommitEvent::Marked(answer(already))
            }
            CommitAction::Discard(files) => {
                self.discarded.extend(files.iter().map(|f| f.staged.clone()));
                return None;
            }
            CommitAction::End(_) => return None,
        })
    }

    /// What is under way arrives, if its time has come.
    fn arrive(&mut self, at_last: bool) {
        if let Some((requests, nonce, files)) = self.late.take() {
            if at_last || requests == 0 {
                self.manifest.get_or_insert((nonce, files));
            } else {
                self.late = Some((requests - 1, nonce, files));
            }
        }
    }

    /// What must be true of the store at any time.
    fn check(&self) {
        let decided: BTreeMap<_, _> =
            self.manifest.iter().flat_map(|(_, files)| files).map(|f| (f.path.clone(), f.staged.clone())).collect();
        for path in &self.published {
            assert!(decided.contains_key(path), "{path} was published and not decided");
        }
        for staged in decided.values() {
            assert!(!self.discarded.contains(staged), "{staged} was decided and dropped");
        }
        assert!(!self.success || self.published.len() == decided.len(), "success before everything was there");
    }
}

/// Runs a commit to its end; the luck of each request is taken from the list, and good after that.
fn drive(store: &mut Store, writer: u128, count: usize, luck: &[Luck], cancel_after: Option<usize>) -> CommitOutcome {
    let mut commit = Commit::new(writer, files(writer, count));
    let mut luck = luck.iter().copied();
    let mut now = Timestamp(0);
    let mut events = vec![CommitEvent::Begin];
    for step in 0.. {
        assert!(step < 100_000, "it does not come to an end");
        if cancel_after == Some(step) {
            events.push(CommitEvent::Cancel);
        }
        let event = match events.pop() {
            Some(event) => event,
            None => {
                now = now.max(commit.next_deadline().expect("nothing is under way and nothing is awaited"));
                CommitEvent::Tick
            }
        };
        for action in commit.handle(now, event) {
            if let CommitAction::End(outcome) = action {
                store.arrive(true);
                store.check();
                assert!(commit.handle(now, CommitEvent::Cancel).is_empty());
                assert!(commit.handle(now, CommitEvent::Tick).is_empty());
                return outcome;
            }
            events.extend(store.carry_out(&action, luck.next().unwrap_or(Luck::Good)));
            store.arrive(false);
            store.check();
        }
    }
    unreachable!()
}

#[test]
fn decides_publishes_and_marks() {
    let mut store = Store::default();
    let outcome = drive(&mut store, 1, 100, &[], None);
    assert_eq!(outcome, CommitOutcome::Published { files: 100, rows: 1000, bytes: 10_000, adopted: false });
    assert!(store.success && store.published.len() == 100);
}

#[test]
fn nothing_written_is_published_too() {
    let mut store = Store::default();
    assert_eq!(
        drive(&mut store, 1, 0, &[], None),
        CommitOutcome::Published { files: 0, rows: 0, bytes: 0, adopted: false }
    );
    assert!(store.success);
}

#[test]
fn adopts_what_another_has_decided() {
    let mut store = Store { manifest: Some((2, files(2, 3))), ..Store::default() };
    let outcome = drive(&mut store, 1, 5, &[], None);
    assert_eq!(outcome, CommitOutcome::Published { files: 3, rows: 30, bytes: 300, adopted: true });
    assert_eq!(store.discarded.len(), 5, "what it staged itself is dropped");
}

#[test]
fn doing_it_again_changes_nothing() {
    let mut store = Store::default();
    drive(&mut store, 1, 3, &[], None);
    let before = store.published.clone();
    let outcome = drive(&mut store, 1, 3, &[], None);
    assert_eq!(outcome, CommitOutcome::Published { files: 3, rows: 30, bytes: 300, adopted: false });
    assert_eq!(store.published, before);
}

#[test]
fn an_answer_that_is_lost_is_read_back() {
    for luck in [Luck::Silent, Luck::Lost] {
        let mut store = Store::default();
        let outcome = drive(&mut store, 1, 2, &[luck], None);
        assert!(matches!(outcome, CommitOutcome::Published { adopted: false, .. }), "{luck:?}: {outcome:?}");
    }
}

#[test]
fn a_store_that_never_answers_leaves_it_in_doubt_and_drops_nothing() {
    let mut store = Store::default();
    let outcome = drive(&mut store, 1, 2, &[Luck::Silent; 100], None);
    assert!(matches!(outcome, CommitOutcome::InDoubt(_)), "{outcome:?}");
    assert!(store.discarded.is_empty());
    let outcome = drive(&mut store, 1, 2, &[], None);
    assert!(matches!(outcome, CommitOutcome::Published { .. }), "found out later");
}

#[test]
fn a_certain_refusal_aborts() {
    let mut store = Store::default();
    let outcome = drive(&mut store, 1, 2, &[Luck::Refused; 100], None);
    assert!(matches!(outcome, CommitOutcome::Aborted(_)), "{outcome:?}");
    assert_eq!(store.discarded.len(), 2);
    let mut commit = Commit::new(1, files(1, 1));
    commit.handle(Timestamp(0), CommitEvent::Begin);
    let refused = CreateAnswer::Refused(Error::new(ErrorKind::Unsupported, "this store has no create-if-absent"));
    let actions = commit.handle(Timestamp(0), CommitEvent::Created(refused));
    assert!(matches!(&actions[1], CommitAction::End(CommitOutcome::Aborted(e)) if e.kind == ErrorKind::Unsupported));
}

#[test]
fn after_the_decision_it_rolls_forward_or_says_so() {
    let mut store = Store::default();
    let mut luck = vec![Luck::Good];
    luck.extend([Luck::Refused; 8 * 4]);
    let outcome = drive(&mut store, 1, 1, &luck, None);
    assert!(matches!(&outcome, CommitOutcome::Unfinished(e) if e.message.contains("part-1-0")), "{outcome:?}");
    assert!(store.discarded.is_empty() && store.manifest.is_some());
    let outcome = drive(&mut store, 2, 4, &[], None);
    assert!(matches!(outcome, CommitOutcome::Published { files: 1, adopted: true, .. }), "{outcome:?}");
}

#[test]
fn bounded_in_what_it_does_at_once() {
    let mut commit = Commit::new(1, files(1, 1000));
    commit.handle(Timestamp(0), CommitEvent::Begin);
    let actions = commit.handle(Timestamp(0), CommitEvent::Created(CreateAnswer::Created));
    assert_eq!(actions.len(), limits::COMMIT_CONCURRENCY);
    assert!(commit.is_decided());
    let done = |index| CommitEvent::Published { index, answer: StepAnswer::Done };
    assert_eq!(commit.handle(Timestamp(0), done(0)).len(), 1);
    assert!(commit.handle(Timestamp(0), done(0)).is_empty(), "an answer that comes twice");
    assert!(commit.handle(Timestamp(0), done(999)).is_empty(), "an answer to nothing");
    assert!(commit.handle(Timestamp(0), CommitEvent::Cancel).is_empty(), "too late");
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        4 => Just(Luck::Good),
        1 => Just(Luck::Silent),
        1 => Just(Luck::Lost),
        1 => Just(Luck::Late),
        1 => Just(Luck::Refused)
    ]
}

/// Whatever the store does and whenever somebody cancels: what is published was decided, nothing decided is dropped, an
/// aborted commit leaves no decision of its own, and trying again brings it to its end.
fn never_half(first: &[Luck], second: &[Luck], count: usize, cancel: Option<usize>) {
    let mut store = Store::default();
    let outcome = drive(&mut store, 1, count, first, cancel);
    match outcome {
        CommitOutcome::Published { adopted, .. } => assert!(store.success && !adopted),
        CommitOutcome::Aborted(_) => assert!(store.manifest.is_none() && store.published.is_empty()),
        CommitOutcome::InDoubt(_) => assert!(store.published.is_empty()),
        CommitOutcome::Unfinished(_) => assert!(store.manifest.is_some()),
    }
    drive(&mut store, 2, count, second, None);
    let last = drive(&mut store, 3, count, &[], None);
    assert!(matches!(last, CommitOutcome::Published { .. }), "{last:?}");
    assert_eq!(store.published.len(), count);
}

/// Every luck of the first requests, with a cancel at every point.
#[test]
fn never_half_whenever_somebody_cancels() {
    let all = [Luck::Good, Luck::Silent, Luck::Lost, Luck::Late, Luck::Refused];
    let mut cancelled = 0;
    for n in 0..5usize.pow(4) {
        let luck: Vec<Luck> = (0..4).map(|digit| all[n / 5usize.pow(digit) % 5]).collect();
        for cancel in 0..16 {
            never_half(&luck, &[], 2, Some(cancel));
            cancelled += 1;
        }
    }
    assert_eq!(cancelled, 10_000);
}

proptest! {
    #[test]
    fn never_half_whatever_the_store_does(
        first in prop::collection::vec(luck(), 0..60),
        second in prop::collection::vec(luck(), 0..60),
        count in 0usize..5,
        cancel in prop::option::of(0usize..40),
    ) {
        never_half(&first, &second, count, cancel);
    }
}
