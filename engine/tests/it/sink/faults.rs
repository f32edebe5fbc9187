//! Stores that lose requests and answers, or that cannot decide anything once.

use windrow_common::ErrorKind;
use windrow_engine::sink::Ending;

use super::*;

#[tokio::test]
async fn a_store_that_creates_twice_is_refused_before_anything_runs() {
    for (name, fault) in
        [("t", Fault::DoneAgain), ("x.parquet", Fault::DoneAgain), ("t", Fault::Unknown), ("x.parquet", Fault::Unknown)]
    {
        let lab = Lab::bucket();
        lab.store().fail(move |op, _| if op == Op::Create { fault } else { Fault::None });
        let error = lab.prepare(&lab.spec(name, SinkMode::Overwrite)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
        assert!(error.message.contains("exactly once"), "{error}");
        assert!(lab.tree().await.is_empty(), "the probe is removed: {:?}", lab.tree().await.keys());
    }
}

#[tokio::test]
async fn answers_that_are_lost_change_nothing() {
    for lost in [Op::Create, Op::Complete] {
        for (name, mode) in [
            ("t", SinkMode::Append),
            ("t", SinkMode::Overwrite),
            ("x.parquet", SinkMode::Overwrite),
            ("x.parquet", SinkMode::ErrorIfExists),
        ] {
            let lab = Lab::bucket();
            let spec = lab.spec(name, mode);
            // Of probes, records, the manifest and the completions each answer is lost.
            lab.store().fail(move |op, _| if op == lost { Fault::AnswerLost } else { Fault::None });
            let files = lab.stage_one(&spec, 0..10).await;
            let summary = lab.publish(&spec, &files).await.unwrap();
            assert_eq!((summary.rows, summary.files), (10, 1), "{lost:?} {name} {mode:?}");
            lab.store().heal();
            assert_eq!(lab.read(name).await.unwrap(), expected(0..10));
            assert_eq!(lab.abort(&spec).await.unwrap(), Ending::Published(summary));
            assert!(!lab.is_staged().await);
        }
    }
}

/// Publishes in a store that dies with its `n`th change, which is done or not; true if it came to that. Then the store
/// comes back.
async fn dies_with_change(lab: &Lab, spec: &SinkSpec, files: &[WrittenFile], n: usize, done: bool) -> bool {
    let mut changes = 0;
    lab.store().fail(move |op, _| {
        let dead = changes > n;
        let dies = !dead && op != Op::Read && changes == n;
        changes += usize::from(op != Op::Read);
        match (dead, dies) {
            (true, _) => Fault::Refused,
            (false, true) if done => Fault::AnswerLost,
            (false, true) => Fault::Refused,
            (false, false) => Fault::None,
        }
    });
    let died = lab.publish(spec, files).await.is_err();
    lab.store().heal();
    died
}

#[tokio::test]
async fn a_store_that_dies_with_any_change_leaves_all_or_nothing_and_the_rest_is_done_later() {
    for (name, mode, after) in [
        ("t", SinkMode::Append, expected(0..30)),
        ("t", SinkMode::Overwrite, expected(10..30)),
        ("x.parquet", SinkMode::Overwrite, expected(10..30)),
    ] {
        for done in [false, true] {
            let mut deaths = 0;
            for n in 0.. {
                let lab = Lab::bucket();
                let old = lab.spec(name, SinkMode::Overwrite);
                let files = stage_for(&lab, &old, name, 0..10).await;
                lab.publish(&old, &files).await.unwrap();
                let spec = lab.spec(name, mode);
                let files = stage_for(&lab, &spec, name, 10..30).await;
                let died = dies_with_change(&lab, &spec, &files, n, done).await;
                let seen = lab.read(name).await.unwrap();
                assert!(seen == expected(0..10) || seen == after, "{name} {mode:?} change {n}, {done}: {seen:?}");
                // Its coordinator comes back, or another one gives it up: never both.
                if n % 2 == 0 {
                    lab.publish(&spec, &files).await.unwrap();
                    assert_eq!(lab.read(name).await.unwrap(), after, "{name} {mode:?} change {n}, {done}");
                } else {
                    let ending = lab.abort(&spec).await.unwrap();
                    let kept = if ending == Ending::Aborted { expected(0..10) } else { after };
                    assert_eq!(lab.read(name).await.unwrap(), kept, "{name} {mode:?} change {n}, {done}");
                    assert!(ending != Ending::Aborted || seen == kept, "what was seen stays");
                }
                assert!(!lab.is_staged().await);
                deaths += usize::from(died);
                // The last changes only clean up, and their errors are passed over.
                if !died && n > 12 {
                    break;
                }
            }
            assert!(deaths >= 3, "{name}: the store never died: the test shows nothing");
        }
    }
}

async fn stage_for(lab: &Lab, spec: &SinkSpec, name: &str, ids: Range<i64>) -> Vec<WrittenFile> {
    if name.ends_with(".parquet") { lab.stage_one(spec, ids).await } else { lab.stage(spec, ids).await }
}

#[tokio::test]
async fn an_upload_that_somebody_else_completes_just_now_is_waited_for() {
    for name in ["t", "x.parquet"] {
        let lab = Lab::bucket();
        let spec = lab.spec(name, SinkMode::Overwrite);
        let files = lab.stage_one(&spec, 0..10).await;
        let mut completions = 0;
        lab.store().fail(move |op, _| {
            completions += usize::from(op == Op::Complete);
            if op == Op::Complete && completions < 3 { Fault::NotYet } else { Fault::None }
        });
        lab.publish(&spec, &files).await.unwrap();
        assert_eq!(lab.read(name).await.unwrap(), expected(0..10));
    }
}

#[tokio::test]
async fn what_a_store_forbids_is_not_tried_for_ever() {
    let lab = Lab::bucket();
    let spec = lab.spec("t", SinkMode::Append);
    let files = lab.stage(&spec, 0..10).await;
    let completions = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&completions);
    lab.store().fail(move |op, _| {
        seen.fetch_add(usize::from(op == Op::Complete), Ordering::Relaxed);
        if op == Op::Complete { Fault::Refused } else { Fault::None }
    });
    let error = lab.publish(&spec, &files).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io, "{error}");
    assert!(completions.load(Ordering::Relaxed) <= 8);
    lab.store().heal();
    lab.publish(&spec, &files).await.unwrap();
    assert_eq!(lab.read("t").await.unwrap(), expected(0..10));
}
