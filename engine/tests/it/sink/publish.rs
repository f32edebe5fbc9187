//! Deciding once and rolling forward: crashes, modes, and writers that meet.

use windrow_common::ErrorKind;
use windrow_engine::sink::Ending;

use super::*;

/// What a write that was killed leaves after recovery.
struct Killed {
    killed: bool,
    state: BTreeMap<String, Vec<u8>>,
}

/// Who comes by after a write was killed, before its own coordinator comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ComesBy {
    Nobody,
    Somebody,
    /// Readers, and that between any two steps.
    Readers,
}

/// Old rows, then an overwrite or append by a fixed write, killed after `n` steps, and recovered.
fn killed_after(lab: &Lab, n: usize, mode: SinkMode, then: ComesBy) -> Killed {
    let runtime = runtime();
    let _entered = runtime.enter();
    let fixed = |job, mode| SinkSpec { job, nonce: 7, ..lab.spec("", mode) };
    let (old, new) = (fixed(1 << 70, SinkMode::Append), fixed(2 << 70, mode));
    let staged = |spec: &SinkSpec, ids| runtime.block_on(lab.stage_as(spec, ids, [AttemptId(spec.job); 2]));
    let files = staged(&old, 0..100);
    runtime.block_on(lab.publish(&old, &files)).unwrap();
    let files = staged(&new, 100..300);

    let (before, after) =
        (expected(0..100), if mode == SinkMode::Append { expected(0..300) } else { expected(100..300) });
    let mut decided = false;
    let killed = lab.publish_until(&new, &files, n, &mut |step| {
        decided |= *step == Step::Decided;
        if then == ComesBy::Readers {
            // A reader between any two steps sees all of the old or all of the new.
            let seen = runtime.block_on(lab.read("")).unwrap();
            assert_eq!(seen, if decided { after } else { before }, "{mode:?} at {step:?}");
        }
    });
    if then == ComesBy::Somebody && decided {
        runtime.block_on(lab.recover("")).unwrap();
        assert_eq!(runtime.block_on(lab.read("")).unwrap(), after);
    }
    let summary = runtime.block_on(lab.publish(&new, &files)).unwrap();
    assert_eq!((summary.rows, summary.files), (200, 2));
    assert_eq!(runtime.block_on(lab.publish(&new, &files)).unwrap(), summary, "again");
    assert_eq!(runtime.block_on(lab.abort(&new)).unwrap(), Ending::Published(summary), "too late");
    assert_eq!(runtime.block_on(lab.read("")).unwrap(), after);
    assert!(!runtime.block_on(lab.is_staged()));
    // Manifests name the temporary directory: their number and names are compared, not their text.
    let mut state = runtime.block_on(lab.tree());
    state.iter_mut().filter(|(path, _)| path.starts_with("_windrow")).for_each(|(_, bytes)| bytes.clear());
    Killed { killed, state }
}

#[test]
fn killed_after_any_step_it_rolls_forward_to_the_same_state() {
    for new_lab in [Lab::local, Lab::bucket] {
        for mode in [SinkMode::Append, SinkMode::Overwrite] {
            let mut states = Vec::new();
            for n in 0.. {
                // In a file system readers change nothing.
                let looked = if new_lab().is_local() { ComesBy::Readers } else { ComesBy::Nobody };
                let Killed { killed, state } = killed_after(&new_lab(), n, mode, looked);
                for then in [ComesBy::Somebody, ComesBy::Readers].into_iter().filter(|then| *then != looked) {
                    let helped = killed_after(&new_lab(), n, mode, then).state;
                    assert!(state == helped, "{mode:?}: helped by {then:?} after {n} steps");
                }
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
}

#[tokio::test]
async fn modes_do_what_they_say() {
    for lab in Lab::each() {
        lab.write("t", SinkMode::ErrorIfExists, 0..100).await;
        lab.write("t", SinkMode::Append, 100..150).await;
        assert_eq!(lab.read("t").await.unwrap(), expected(0..150));
        lab.write("t", SinkMode::Overwrite, 500..600).await;
        assert_eq!(lab.read("t").await.unwrap(), expected(500..600));
        let error = lab.prepare(&lab.spec("t", SinkMode::ErrorIfExists)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::AlreadyExists);
        assert!(error.message.contains("mode 'append'") && error.message.contains("mode 'overwrite'"), "{error}");
        assert!(lab.exists("t/_SUCCESS").await);
        assert!(!lab.is_staged().await);
    }
}

#[tokio::test]
async fn foreign_files_stay_with_append_and_give_way_to_overwrite() {
    for lab in Lab::each() {
        lab.write("source", SinkMode::Append, 0..10).await;
        let source = lab.get(&format!("source/{}", lab.listed("source").await[0])).await.unwrap();
        for place in ["foreign.parquet", "year=2020/foreign.parquet", "other/table.parquet"] {
            lab.put(&format!("t/{place}"), &source).await;
        }
        lab.put("t/README.md", b"mine").await;
        lab.put("t/.keep.parquet", b"").await;
        lab.write("t", SinkMode::Append, 10..20).await;
        let names = lab.listed("t").await;
        assert!(names.contains(&"foreign.parquet".into()) && names.contains(&"year=2020/foreign.parquet".into()));
        lab.write("t", SinkMode::Overwrite, 20..30).await;
        assert_eq!(lab.read("t").await.unwrap(), expected(20..30));
        let foreign = lab.listed("t").await.into_iter().filter(|n| !n.starts_with("part-")).collect::<Vec<_>>();
        assert_eq!(foreign, ["README.md", "other/table.parquet"], "what is not of this table stays");
        let tree = lab.tree().await;
        assert!(tree.contains_key("t/.keep.parquet"));
        assert!(!tree.contains_key("t/year=2020/"), "an emptied directory goes");
    }
}

#[tokio::test]
async fn abort_leaves_nothing_and_is_final() {
    for lab in Lab::each() {
        lab.write("", SinkMode::Append, 0..10).await;
        let spec = lab.spec("", SinkMode::Overwrite);
        let files = lab.stage(&spec, 10..20).await;
        assert_eq!(lab.abort(&spec).await.unwrap(), Ending::Aborted);
        assert_eq!(lab.abort(&spec).await.unwrap(), Ending::Aborted);
        assert!(!lab.is_staged().await);
        // A coordinator that slept through it.
        assert_eq!(lab.publish(&spec, &files).await.unwrap_err().kind, ErrorKind::Cancelled);
        assert_eq!(lab.read("").await.unwrap(), expected(0..10));
    }
}

#[tokio::test]
async fn a_table_that_is_not_to_be_leaves_no_directory_and_late_attempts_make_none() {
    for lab in Lab::each() {
        let spec = lab.spec("table", SinkMode::ErrorIfExists);
        let files = lab.stage(&spec, 0..10).await;
        assert_eq!(sink::abort_new(&lab.stores, &spec).await.unwrap(), Ending::Aborted);
        let left =
            |tree: BTreeMap<String, Vec<u8>>| tree.into_keys().filter(|name| name.starts_with("table")).collect();
        let after: Vec<String> = left(lab.tree().await);
        // A bucket has no directories: what tells the late ones is the decision.
        assert!(after.iter().all(|name| !lab.is_local() && name.starts_with("table/_windrow/0")), "{after:?}");
        assert_eq!(sink::abort_new(&lab.stores, &spec).await.unwrap(), Ending::Aborted, "again");
        assert_eq!(lab.publish(&spec, &files).await.unwrap_err().kind, ErrorKind::Cancelled);
        assert_eq!(left(lab.tree().await), after);
        // What was published stays, whoever wants it gone too late.
        let spec = lab.spec("table", SinkMode::ErrorIfExists);
        let files = lab.stage(&spec, 0..10).await;
        let summary = lab.publish(&spec, &files).await.unwrap();
        assert_eq!(sink::abort_new(&lab.stores, &spec).await.unwrap(), Ending::Published(summary));
        assert_eq!(lab.read("table").await.unwrap(), expected(0..10));
    }
}

#[tokio::test]
async fn abort_takes_only_its_own() {
    for lab in Lab::each() {
        let (one, two) = (lab.spec("", SinkMode::Append), lab.spec("", SinkMode::Append));
        lab.stage(&one, 0..10).await;
        let files = lab.stage(&two, 10..20).await;
        lab.abort(&one).await.unwrap();
        lab.publish(&two, &files).await.unwrap();
        assert_eq!(lab.read("").await.unwrap(), expected(10..20));
        assert!(!lab.is_staged().await);
    }
}

#[tokio::test]
async fn the_first_decision_about_a_write_counts() {
    for lab in Lab::each() {
        let spec = lab.spec("", SinkMode::Append);
        let first = lab.stage(&spec, 0..10).await;
        let second = lab.stage(&spec, 0..10).await;
        assert!(lab.die_after(&spec, &first, 1).await, "dies right after the decision");
        // Another coordinator accepted other attempts; it finds the manifest and adopts it.
        lab.publish(&spec, &second).await.unwrap();
        assert_eq!(lab.read("").await.unwrap(), expected(0..10));
        let manifests = lab.tree().await.into_keys().filter(|name| name.ends_with(".manifest"));
        assert_eq!(manifests.count(), 1);
        assert!(!lab.is_staged().await);
    }
}

#[tokio::test]
async fn a_dead_writers_decision_is_finished_before_the_next() {
    for lab in Lab::each() {
        let dead = lab.spec("", SinkMode::Append);
        let files = lab.stage(&dead, 0..10).await;
        assert!(lab.die_after(&dead, &files, 1).await);
        lab.write("", SinkMode::Overwrite, 10..20).await;
        assert_eq!(lab.read("").await.unwrap(), expected(10..20));
        // It comes back: its rows were published, and overwritten since.
        lab.publish(&dead, &files).await.unwrap();
        assert_eq!(lab.read("").await.unwrap(), expected(10..20));
    }
}

#[tokio::test]
async fn lost_or_foreign_files_stop_the_decision() {
    for lab in Lab::each() {
        let spec = lab.spec("", SinkMode::Append);
        let files = lab.stage(&spec, 0..10).await;
        let mut bad = files.clone();
        bad[0].staged = "../../etc/passwd".into();
        assert_eq!(lab.publish(&spec, &bad).await.unwrap_err().kind, ErrorKind::Internal);
        let mut bad = files.clone();
        bad[0].name = "somebody-elses.parquet".into();
        assert_eq!(lab.publish(&spec, &bad).await.unwrap_err().kind, ErrorKind::Internal);
        let mut short = files.clone();
        short[0].bytes += 1;
        assert_eq!(lab.publish(&spec, &short).await.unwrap_err().kind, ErrorKind::Io);
        if !lab.is_local() {
            let mut swapped = files.clone();
            swapped[0].upload = files[1].upload.clone();
            swapped[0].bytes = files[1].bytes;
            assert_eq!(lab.publish(&spec, &swapped).await.unwrap_err().kind, ErrorKind::Internal);
        }
        lab.remove(&files[0].staged).await;
        let error = lab.publish(&spec, &files).await.unwrap_err();
        assert!(error.message.contains("gone"), "{error}");
        assert!(lab.listed("").await.is_empty());
    }
}

/// Publishes all of these at once; how many won, and how many were refused.
fn at_once(lab: &Lab, writes: &[(SinkSpec, Vec<WrittenFile>)], runtime: &tokio::runtime::Runtime) -> (usize, usize) {
    let barrier = std::sync::Barrier::new(writes.len());
    let publish = |spec: &SinkSpec, files: &[WrittenFile]| {
        let _entered = runtime.enter();
        barrier.wait();
        match commit::publish_watched(&lab.stores, spec, files, &mut |_| Ok(())) {
            Ok(_) => true,
            Err(e) if e.kind == ErrorKind::AlreadyExists => false,
            Err(e) => panic!("{e}"),
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = writes.iter().map(|(spec, files)| scope.spawn(|| publish(spec, files))).collect();
        let won = threads.into_iter().map(|t| t.join().unwrap()).filter(|won| *won).count();
        (won, writes.len() - won)
    })
}

#[test]
fn writers_that_meet_come_one_after_the_other() {
    for (mode, winners) in [(SinkMode::Overwrite, 4), (SinkMode::ErrorIfExists, 1), (SinkMode::Append, 4)] {
        for lab in (0..5).flat_map(|_| Lab::each()) {
            let runtime = runtime();
            let writes: Vec<_> = (0..4)
                .map(|i| {
                    let spec = lab.spec("", mode);
                    let files = runtime.block_on(lab.stage(&spec, i * 10..(i + 1) * 10));
                    (spec, files)
                })
                .collect();
            assert_eq!(at_once(&lab, &writes, &runtime).0, winners, "{mode:?}");
            let (rows, ..) = runtime.block_on(lab.read("")).unwrap();
            assert_eq!(rows, if mode == SinkMode::Append { 40 } else { 10 }, "{mode:?}");
        }
    }
}

#[test]
fn single_files_that_meet_are_one_of_them_whole() {
    for (mode, azure) in [
        (SinkMode::Overwrite, false),
        (SinkMode::ErrorIfExists, false),
        (SinkMode::Overwrite, true),
        (SinkMode::ErrorIfExists, true),
    ] {
        for _ in 0..10 {
            let lab = Lab::over(TestStore::new(azure));
            let runtime = runtime();
            let writes: Vec<_> = (1..4)
                .map(|i| {
                    let spec = lab.spec("x.parquet", mode);
                    let files = runtime.block_on(lab.stage_one(&spec, 0..i * 10));
                    (spec, files)
                })
                .collect();
            let (won, refused) = at_once(&lab, &writes, &runtime);
            // On Azure the first one to complete throws away what the others have sent.
            let all = mode == SinkMode::Overwrite && !azure;
            assert_eq!((won, refused), if all { (3, 0) } else { (1, 2) }, "{mode:?}, Azure: {azure}");
            let read = runtime.block_on(lab.read("x.parquet")).unwrap();
            assert!((1..4).any(|i| read == expected(0..i * 10)), "{read:?}");
            // Nobody is held up afterwards.
            let next = SinkSpec { mode: SinkMode::Overwrite, ..lab.spec("x.parquet", mode) };
            let files = runtime.block_on(lab.stage_one(&next, 5..10));
            runtime.block_on(lab.publish(&next, &files)).unwrap();
            assert_eq!(runtime.block_on(lab.read("x.parquet")).unwrap(), expected(5..10));
        }
    }
}

#[test]
fn the_same_write_published_by_two_at_once_is_published_once() {
    for lab in (0..10).flat_map(|_| Lab::each()) {
        let runtime = runtime();
        runtime.block_on(lab.write("", SinkMode::Append, 0..10));
        let spec = lab.spec("", SinkMode::Overwrite);
        let files = runtime.block_on(lab.stage(&spec, 10..30));
        assert_eq!(at_once(&lab, &[(spec.clone(), files.clone()), (spec, files)], &runtime), (2, 0));
        assert_eq!(runtime.block_on(lab.read("")).unwrap(), expected(10..30));
        assert!(!runtime.block_on(lab.is_staged()));
    }
}

#[tokio::test]
async fn a_publication_repeated_late_touches_nothing() {
    for lab in Lab::each() {
        lab.write("other", SinkMode::Append, 0..10).await;
        let source = lab.get(&format!("other/{}", lab.listed("other").await[0])).await.unwrap();
        lab.put("t/foreign.parquet", &source).await;
        let spec = lab.spec("t", SinkMode::Overwrite);
        let files = lab.stage(&spec, 10..20).await;
        lab.publish(&spec, &files).await.unwrap();
        assert!(!lab.exists("t/foreign.parquet").await);
        // Somebody puts a file there again, under the name that was replaced.
        lab.put("t/foreign.parquet", &source).await;
        lab.publish(&spec, &files).await.unwrap();
        assert_eq!(lab.read("t").await.unwrap(), expected((0..5).chain(10..20)));
    }
}

#[test]
fn a_publisher_that_is_overtaken_adopts_what_was_decided() {
    for mode in [SinkMode::ErrorIfExists, SinkMode::Overwrite, SinkMode::Append] {
        for lab in Lab::each() {
            let runtime = runtime();
            let _entered = runtime.enter();
            let spec = lab.spec("", mode);
            let files = runtime.block_on(lab.stage(&spec, 0..10));
            let mut overtaken = false;
            let summary = commit::publish_watched(&lab.stores, &spec, &files, &mut |step| {
                if step == Step::Verified && !overtaken {
                    overtaken = true;
                    commit::publish_watched(&lab.stores, &spec, &files, &mut |_| Ok(()))?;
                }
                Ok(())
            });
            assert_eq!(summary.unwrap().rows, 10, "{mode:?}");
            assert_eq!(runtime.block_on(lab.read("")).unwrap(), expected(0..10), "{mode:?}");
        }
    }
}

#[tokio::test]
async fn files_of_partitions_go_to_their_directories_and_leave_none_behind() {
    for lab in Lab::each() {
        lab.write("source", SinkMode::Append, 0..10).await;
        let source = lab.get(&format!("source/{}", lab.listed("source").await[0])).await.unwrap();
        let first = lab.spec("t", SinkMode::Append);
        lab.prepare(&first).await.unwrap();
        let file = lab.stage_in(&first, "t", "year=2024/month=1", &source).await;
        lab.publish(&first, std::slice::from_ref(&file)).await.unwrap();
        assert_eq!(lab.listed("t").await, std::slice::from_ref(&file.name));
        assert_eq!(lab.read("t").await.unwrap(), expected(0..5));

        // Decided and not in its place: seen, and read, in its directory.
        let second = lab.spec("t", SinkMode::Overwrite);
        lab.prepare(&second).await.unwrap();
        let next = lab.stage_in(&second, "t", "year=2025", &source).await;
        assert!(lab.die_after(&second, std::slice::from_ref(&next), 1).await);
        assert!(!lab.exists(&format!("t/{}", next.name)).await);
        let read = lab.visible().get(&lab.path(&format!("t/{}", next.name))).await.unwrap();
        assert_eq!(read.bytes().await.unwrap(), source);
        let one_level = lab.visible().list_with_delimiter(Some(&lab.path("t"))).await.unwrap();
        assert!(one_level.common_prefixes.contains(&lab.path("t/year=2025")));
        assert_eq!(lab.listed("t").await, std::slice::from_ref(&next.name));
        lab.publish(&second, std::slice::from_ref(&next)).await.unwrap();
        assert_eq!(lab.listed("t").await, [next.name]);
        let tree = lab.tree().await;
        assert!(!tree.keys().any(|name| name.starts_with("t/year=2024")), "{:?}", tree.keys());
        assert!(!lab.is_staged().await);

        // What was not staged by such a writer is refused.
        let third = lab.spec("t", SinkMode::Append);
        lab.prepare(&third).await.unwrap();
        let file = lab.stage_in(&third, "t", "year=2024/month=1", &source).await;
        for directory in ["..", "a/../..", "_hidden", ".hidden", "a//b"] {
            let mut bad = file.clone();
            bad.name = bad.name.replace("year=2024/month=1", directory);
            bad.staged = bad.staged.replace("year=2024/month=1", directory);
            assert_eq!(lab.publish(&third, &[bad]).await.unwrap_err().kind, ErrorKind::Internal, "{directory}");
        }
        lab.publish(&third, &[file]).await.unwrap();
    }
}

#[test]
fn whoever_comes_late_to_a_publication_disturbs_no_later_one() {
    for lab in Lab::each() {
        let runtime = runtime();
        let _entered = runtime.enter();
        runtime.block_on(lab.write("t", SinkMode::Append, 0..10));
        let old = runtime.block_on(lab.listed("t"))[0].clone();
        let spec = lab.spec("t", SinkMode::Overwrite);
        let files = runtime.block_on(lab.stage(&spec, 10..30));
        let result = commit::publish_watched(&lab.stores, &spec, &files, &mut |step| {
            if step == Step::Opened {
                // It stops here for long. Somebody else finishes its work, a file comes that is called like a replaced one,
                // and another write begins to be published.
                runtime.block_on(async {
                    assert!(lab.recover("t").await.unwrap());
                    lab.put(&format!("t/{old}"), b"new").await;
                    let later = lab.spec("t", SinkMode::Append);
                    let more = lab.stage(&later, 30..40).await;
                    assert!(lab.die_after(&later, &more, 2).await, "it has opened the directory");
                });
            }
            Ok(())
        });
        assert_eq!(result.unwrap().rows, 20);
        assert!(runtime.block_on(lab.exists(&format!("t/{old}"))), "it is not of the generation that was replaced");
        assert!(!runtime.block_on(lab.exists("t/_SUCCESS")), "not all files are there");
    }
}
