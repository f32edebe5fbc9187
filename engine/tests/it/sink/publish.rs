//! Deciding once and rolling forward: crashes, modes, and writers that meet.

use windrow_common::ErrorKind;
use windrow_engine::sink::Ending;

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Old rows and a foreign file, then an overwrite or append by a fixed write, killed after `n` steps.
/// Returns the state it ends in after recovery; none if it was not killed.
fn killed_after(n: usize, mode: SinkMode, by_other: bool) -> (bool, BTreeMap<PathBuf, Vec<u8>>) {
    let runtime = runtime();
    let dir = TempDir::new().unwrap();
    let fixed =
        |job, mode| SinkSpec { job, nonce: 7, target: dir.path().to_str().unwrap().into(), ..spec(dir.path(), mode) };
    let (old, new) = (fixed(1 << 70, SinkMode::Append), fixed(2 << 70, mode));
    let attempts = |spec: &SinkSpec, ids: std::ops::Range<i64>| {
        let middle = (ids.start + ids.end) / 2;
        let plan = plan(&[vec![batch(ids.start..middle)], vec![batch(middle..ids.end)]], spec);
        let id = AttemptId(spec.job);
        runtime.block_on(async {
            sink::prepare(spec).await.unwrap();
            [run(&plan, 0, id).await.unwrap(), run(&plan, 1, id).await.unwrap()].concat()
        })
    };
    let files = attempts(&old, 0..100);
    runtime.block_on(sink::publish(&old, files)).unwrap();
    let files = attempts(&new, 100..300);

    let (before, after) =
        (expected(0..100), if mode == SinkMode::Append { expected(0..300) } else { expected(100..300) });
    let mut decided = false;
    let killed = publish_until(&new, &files, n, &mut |step| {
        decided |= *step == Step::Decided;
        // A reader between any two steps sees all of the old or all of the new.
        let seen = runtime.block_on(read(dir.path())).unwrap();
        assert_eq!(seen, if decided { after } else { before }, "{mode:?} at {step:?}");
    });
    if by_other && decided {
        // Somebody else comes by and finishes it.
        runtime.block_on(commit::recover(dir.path())).unwrap();
        assert_eq!(runtime.block_on(read(dir.path())).unwrap(), after);
    }
    let summary = runtime.block_on(sink::publish(&new, files.clone())).unwrap();
    assert_eq!((summary.rows, summary.files), (200, 2));
    assert_eq!(runtime.block_on(sink::publish(&new, files)).unwrap(), summary, "again");
    assert_eq!(runtime.block_on(sink::abort(&new)).unwrap(), Ending::Published(summary), "too late");
    assert_eq!(runtime.block_on(read(dir.path())).unwrap(), after);
    assert!(!is_staged(dir.path()));
    // Manifests name the temporary directory: their number and names are compared, not their text.
    let mut state = tree(dir.path());
    state.iter_mut().filter(|(path, _)| path.starts_with("_windrow")).for_each(|(_, bytes)| bytes.clear());
    (killed, state)
}

#[test]
fn killed_after_any_step_it_rolls_forward_to_the_same_state() {
    for mode in [SinkMode::Append, SinkMode::Overwrite] {
        let mut states = Vec::new();
        for n in 0.. {
            let (killed, state) = killed_after(n, mode, false);
            assert!(state == killed_after(n, mode, true).1, "{mode:?}: helped after {n} steps");
            states.push(state);
            if !killed {
                break;
            }
        }
        let steps = if mode == SinkMode::Append { 8 } else { 10 };
        assert_eq!(states.len(), steps + 1, "every step was a place to die");
        for (n, state) in states.iter().enumerate() {
            assert!(*state == states[0], "{mode:?}: killed after {n} steps: {:?}", state.keys());
        }
    }
}

#[tokio::test]
async fn modes_do_what_they_say() {
    let dir = TempDir::new().unwrap();
    let target = dir.path().join("t");
    write(&target, SinkMode::ErrorIfExists, 0..100).await;
    write(&target, SinkMode::Append, 100..150).await;
    assert_eq!(read(&target).await.unwrap(), expected(0..150));
    write(&target, SinkMode::Overwrite, 500..600).await;
    assert_eq!(read(&target).await.unwrap(), expected(500..600));
    let error = sink::prepare(&spec(&target, SinkMode::ErrorIfExists)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AlreadyExists);
    assert!(error.message.contains("mode 'append'") && error.message.contains("mode 'overwrite'"), "{error}");
    assert!(target.join("_SUCCESS").exists());
    assert!(!is_staged(dir.path()));
}

#[tokio::test]
async fn foreign_files_stay_with_append_and_give_way_to_overwrite() {
    let dir = TempDir::new().unwrap();
    let other = TempDir::new().unwrap();
    write(other.path(), SinkMode::Append, 0..10).await;
    let source = other.path().join(&listed(other.path()).await[0]);
    for place in ["foreign.parquet", "year=2020/foreign.parquet", "other/table.parquet"] {
        let place = dir.path().join(place);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::copy(&source, place).unwrap();
    }
    std::fs::write(dir.path().join("README.md"), "mine").unwrap();
    let hidden = dir.path().join(".keep.parquet");
    std::fs::write(&hidden, "").unwrap();
    write(dir.path(), SinkMode::Append, 10..20).await;
    let names = listed(dir.path()).await;
    assert!(names.contains(&"foreign.parquet".into()) && names.contains(&"year=2020/foreign.parquet".into()));
    write(dir.path(), SinkMode::Overwrite, 20..30).await;
    assert_eq!(read(dir.path()).await.unwrap(), expected(20..30));
    let foreign = listed(dir.path()).await.into_iter().filter(|n| !n.starts_with("part-")).collect::<Vec<_>>();
    assert_eq!(foreign, ["README.md", "other/table.parquet"], "what is not of this table stays");
    assert!(hidden.exists());
}

#[tokio::test]
async fn abort_leaves_nothing_and_is_final() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), SinkMode::Append, 0..10).await;
    let spec = spec(dir.path(), SinkMode::Overwrite);
    let files = stage(&spec, 10..20).await;
    assert_eq!(sink::abort(&spec).await.unwrap(), Ending::Aborted);
    assert_eq!(sink::abort(&spec).await.unwrap(), Ending::Aborted);
    assert!(!is_staged(dir.path()));
    // A coordinator that slept through it.
    assert_eq!(sink::publish(&spec, files).await.unwrap_err().kind, ErrorKind::Cancelled);
    assert_eq!(read(dir.path()).await.unwrap(), expected(0..10));
}

#[tokio::test]
async fn a_table_that_is_not_to_be_leaves_no_directory_and_late_attempts_make_none() {
    let parent = TempDir::new().unwrap();
    let target = parent.path().join("table");
    let spec = spec(&target, SinkMode::ErrorIfExists);
    let files = stage(&spec, 0..10).await;
    let late = plan(&[vec![batch(0..10)]], &spec);
    assert_eq!(sink::abort_new(&spec).await.unwrap(), Ending::Aborted);
    assert!(!target.exists());
    assert_eq!(sink::abort_new(&spec).await.unwrap(), Ending::Aborted, "again");
    let error = run(&late, 0, AttemptId(unique())).await.unwrap_err();
    assert!(typed(&error).message.contains("is gone"), "{error}");
    assert_eq!(sink::publish(&spec, files).await.unwrap_err().kind, ErrorKind::Cancelled);
    assert!(!target.exists());
    // What was published stays, whoever wants it gone too late.
    let spec = super::spec(&target, SinkMode::ErrorIfExists);
    let summary = sink::publish(&spec, stage(&spec, 0..10).await).await.unwrap();
    assert_eq!(sink::abort_new(&spec).await.unwrap(), Ending::Published(summary));
    assert_eq!(read(&target).await.unwrap(), expected(0..10));
}

#[tokio::test]
async fn abort_takes_only_its_own() {
    let dir = TempDir::new().unwrap();
    let (one, two) = (spec(dir.path(), SinkMode::Append), spec(dir.path(), SinkMode::Append));
    stage(&one, 0..10).await;
    let files = stage(&two, 10..20).await;
    sink::abort(&one).await.unwrap();
    sink::publish(&two, files).await.unwrap();
    assert_eq!(read(dir.path()).await.unwrap(), expected(10..20));
    assert!(!is_staged(dir.path()));
}

#[tokio::test]
async fn the_first_decision_about_a_write_counts() {
    let dir = TempDir::new().unwrap();
    let spec = spec(dir.path(), SinkMode::Append);
    let first = stage(&spec, 0..10).await;
    let second = stage(&spec, 0..10).await;
    assert!(publish_until(&spec, &first, 1, &mut |_| {}), "dies right after the decision");
    // Another coordinator accepted other attempts; it finds the manifest and adopts it.
    sink::publish(&spec, second).await.unwrap();
    assert_eq!(read(dir.path()).await.unwrap(), expected(0..10));
    let manifests =
        tree(&dir.path().join("_windrow")).into_keys().filter(|p| p.extension().is_some_and(|e| e == "manifest"));
    assert_eq!(manifests.count(), 1);
    assert!(!is_staged(dir.path()));
}

#[tokio::test]
async fn a_dead_writers_decision_is_finished_before_the_next() {
    let dir = TempDir::new().unwrap();
    let dead = spec(dir.path(), SinkMode::Append);
    let files = stage(&dead, 0..10).await;
    assert!(publish_until(&dead, &files, 1, &mut |_| {}));
    write(dir.path(), SinkMode::Overwrite, 10..20).await;
    assert_eq!(read(dir.path()).await.unwrap(), expected(10..20));
    // It comes back: its rows were published, and overwritten since.
    sink::publish(&dead, files).await.unwrap();
    assert_eq!(read(dir.path()).await.unwrap(), expected(10..20));
}

#[tokio::test]
async fn lost_or_foreign_files_stop_the_decision() {
    let dir = TempDir::new().unwrap();
    let spec = spec(dir.path(), SinkMode::Append);
    let files = stage(&spec, 0..10).await;
    let mut bad = files.clone();
    bad[0].staged = "../../etc/passwd".into();
    assert_eq!(sink::publish(&spec, bad).await.unwrap_err().kind, ErrorKind::Internal);
    let mut short = files.clone();
    short[0].bytes += 1;
    assert_eq!(sink::publish(&spec, short).await.unwrap_err().kind, ErrorKind::Io);
    std::fs::remove_file(dir.path().join(&files[0].staged)).unwrap();
    let error = sink::publish(&spec, files).await.unwrap_err();
    assert!(error.message.contains("share"), "{error}");
    assert!(listed(dir.path()).await.is_empty());
}

#[test]
fn writers_that_meet_come_one_after_the_other() {
    for (mode, winners) in [(SinkMode::Overwrite, 4), (SinkMode::ErrorIfExists, 1), (SinkMode::Append, 4)] {
        for _ in 0..5 {
            let dir = TempDir::new().unwrap();
            let runtime = runtime();
            let writes: Vec<_> = (0..4)
                .map(|i| {
                    let spec = spec(dir.path(), mode);
                    let files = runtime.block_on(stage(&spec, i * 10..(i + 1) * 10));
                    (spec, files)
                })
                .collect();
            let barrier = std::sync::Barrier::new(4);
            let won = std::thread::scope(|scope| {
                let threads: Vec<_> = writes
                    .iter()
                    .map(|(spec, files)| {
                        scope.spawn(|| {
                            barrier.wait();
                            match commit::publish_watched(spec, files.clone(), &mut |_| Ok(())) {
                                Ok(_) => true,
                                Err(e) if e.kind == ErrorKind::AlreadyExists => false,
                                Err(e) => panic!("{e}"),
                            }
                        })
                    })
                    .collect();
                threads.into_iter().map(|t| t.join().unwrap()).filter(|won| *won).count()
            });
            assert_eq!(won, winners, "{mode:?}");
            let (rows, ..) = runtime.block_on(read(dir.path())).unwrap();
            assert_eq!(rows, if mode == SinkMode::Append { 40 } else { 10 }, "{mode:?}");
        }
    }
}

#[test]
fn the_same_write_published_by_two_at_once_is_published_once() {
    for _ in 0..10 {
        let dir = TempDir::new().unwrap();
        let runtime = runtime();
        runtime.block_on(write(dir.path(), SinkMode::Append, 0..10));
        let spec = spec(dir.path(), SinkMode::Overwrite);
        let files = runtime.block_on(stage(&spec, 10..30));
        let barrier = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    barrier.wait();
                    commit::publish_watched(&spec, files.clone(), &mut |_| Ok(())).unwrap();
                });
            }
        });
        assert_eq!(runtime.block_on(read(dir.path())).unwrap(), expected(10..30));
        assert!(!is_staged(dir.path()));
    }
}

#[tokio::test]
async fn a_publication_repeated_late_touches_nothing() {
    let dir = TempDir::new().unwrap();
    let foreign = dir.path().join("foreign.parquet");
    let other = TempDir::new().unwrap();
    write(other.path(), SinkMode::Append, 0..10).await;
    let source = other.path().join(&listed(other.path()).await[0]);
    std::fs::copy(&source, &foreign).unwrap();
    let spec = spec(dir.path(), SinkMode::Overwrite);
    let files = stage(&spec, 10..20).await;
    sink::publish(&spec, files.clone()).await.unwrap();
    assert!(!foreign.exists());
    // Somebody puts a file there again, under the name that was replaced.
    std::fs::copy(&source, &foreign).unwrap();
    sink::publish(&spec, files).await.unwrap();
    assert_eq!(read(dir.path()).await.unwrap(), expected((0..5).chain(10..20)));
}

#[test]
fn a_publisher_that_is_overtaken_adopts_what_was_decided() {
    for mode in [SinkMode::ErrorIfExists, SinkMode::Overwrite, SinkMode::Append] {
        let dir = TempDir::new().unwrap();
        let spec = spec(dir.path(), mode);
        let files = runtime().block_on(stage(&spec, 0..10));
        let mut overtaken = false;
        let summary = commit::publish_watched(&spec, files.clone(), &mut |step| {
            if step == Step::Verified && !overtaken {
                overtaken = true;
                commit::publish_watched(&spec, files.clone(), &mut |_| Ok(()))?;
            }
            Ok(())
        });
        assert_eq!(summary.unwrap().rows, 10, "{mode:?}");
        assert_eq!(runtime().block_on(read(dir.path())).unwrap(), expected(0..10), "{mode:?}");
    }
}
