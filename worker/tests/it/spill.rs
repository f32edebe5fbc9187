//! Outputs on disk: equal to what was written, found damaged when they are, gone when freed.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use windrow_common::{AttemptId, ErrorKind};
use windrow_worker::budget::Share;

use crate::random;
use crate::store::numbers;
use crate::world::{JOB, World, until};

fn file(world: &World, attempt: AttemptId) -> PathBuf {
    world.store.scratch().join(format!("{}.blocks", attempt.long()))
}

/// Takes so much memory that everything goes to disk, waits until it has, and gives it back.
async fn squeeze(world: &World) {
    let all = world.budget.charge(Share::Operators, world.budget.limit());
    until(|| world.budget.stats().evictable == 0, || format!("{:?}", world.budget.stats())).await;
    until(|| world.budget.stats().store.used == 0, || format!("{:?}", world.store.stats())).await;
    drop(all);
}

async fn spilled(world: &World, attempt: u128) -> (AttemptId, Vec<(u32, RecordBatch)>) {
    let batches: Vec<_> = (0..6).map(|i| (i % 3, numbers(9_000 + i as usize, u64::from(i)))).collect();
    let attempt = world.output(attempt, 3, &batches).await;
    squeeze(world).await;
    let mut sorted = batches;
    sorted.sort_by_key(|(partition, _)| *partition);
    (attempt, sorted)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spilled_reads_back_equal() {
    let world = World::new(64 << 20);
    let (attempt, batches) = spilled(&world, 1).await;
    assert!(world.store.stats().disk_bytes > 0 && world.store.stats().mem_bytes == 0);
    assert_eq!(world.read(attempt, 0..3).await.unwrap(), batches);
    assert_eq!(world.read(attempt, 1..2).await.unwrap(), batches[2..4]);
    assert_eq!(world.budget.used(), 0);
    assert!(file(&world, attempt).exists());
    assert_eq!(world.store.files(), (1, world.store.stats().disk_bytes));
    world.store.free(&[attempt]);
    assert!(!file(&world, attempt).exists(), "a freed output leaves its file behind");
    assert_eq!(world.store.files(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_reads_back_equal() {
    let world = World::new(64 << 20);
    let batch = random::batch(&random::all_types(), 9_000, 4, true);
    let attempt = world.output(1, 1, &[(0, batch.clone())]).await;
    squeeze(&world).await;
    let read = world.read(attempt, 0..1).await.unwrap();
    let read: Vec<_> = read.into_iter().map(|(_, b)| b).collect();
    let rows: usize = read.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, batch.num_rows());
    let mut start = 0;
    for part in read {
        assert_eq!(part, batch.slice(start, part.num_rows()));
        start += part.num_rows();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_spill_more_than_fits() {
    let world = World::new(4 << 20);
    let batches: Vec<_> = (0..200).map(|i| (i % 5, numbers(9_000, u64::from(i)))).collect();
    let mut writer = world.store.writer(JOB, AttemptId(1), 5).unwrap();
    for (partition, batch) in &batches {
        writer.push(*partition, batch.clone()).await.unwrap();
        assert!(world.budget.used() <= 4 << 20, "{:?}", world.budget.stats());
    }
    let summary = writer.finish().await.unwrap();
    assert!(summary.spilled_bytes > 8 << 20, "{}", summary.spilled_bytes);
    let mut sorted = batches;
    sorted.sort_by_key(|(partition, _)| *partition);
    assert_eq!(world.read(AttemptId(1), 0..5).await.unwrap(), sorted);
    let peak = world.budget.stats().total.peak;
    assert!(peak <= (4 << 20) + 300_000, "{peak}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coldest_goes_first() {
    let world = World::new(10 << 20);
    let cold = world.output(1, 1, &[(0, numbers(400_000, 1))]).await;
    let warm = world.output(2, 1, &[(0, numbers(400_000, 2))]).await;
    world.read(cold, 0..1).await.unwrap();
    world.read(warm, 0..1).await.unwrap();
    let more = world.budget.charge(Share::Operators, 3 << 20);
    until(|| world.store.stats().disk_bytes > 0, || format!("{:?}", world.store.stats())).await;
    until(|| world.budget.above_high_water() == 0, || format!("{:?}", world.budget.stats())).await;
    assert!(file(&world, cold).exists() && !file(&world, warm).exists());
    drop(more);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_loses_the_output_by_name() {
    let world = World::new(64 << 20);
    let (attempt, _) = spilled(&world, 9).await;
    let path = file(&world, attempt);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&path, bytes).unwrap();
    let error = world.read(attempt, 0..3).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LostInput(vec![attempt]));
    assert!(error.message.contains(&path.display().to_string()) && error.message.contains("offset"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_cut_short_loses_the_output_by_name() {
    let world = World::new(64 << 20);
    let (attempt, _) = spilled(&world, 9).await;
    let path = file(&world, attempt);
    let length = std::fs::metadata(&path).unwrap().len();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
    let results: Vec<_> = world.store.read(attempt, 0..3).unwrap().collect().await;
    let error = results.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.kind, ErrorKind::LostInput(vec![attempt]), "{error}");
    assert_eq!(results.iter().filter(|r| r.is_err()).count(), 1, "a stream ends with its error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_written_is_an_io_error_and_loses_nothing() {
    let world = World::new(1 << 20);
    let attempt = world.output(1, 1, &[(0, numbers(50_000, 1))]).await;
    let scratch = world.store.scratch().to_owned();
    std::fs::remove_dir_all(&scratch).unwrap();
    let mut writer = world.store.writer(JOB, AttemptId(2), 1).unwrap();
    let mut result = Ok(());
    for i in 0..10 {
        result = writer.push(0, numbers(50_000, i)).await;
        if result.is_err() {
            break;
        }
    }
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io);
    assert!(error.message.contains(&scratch.display().to_string()), "{error}");
    assert_eq!(world.read(attempt, 0..1).await.unwrap(), [(0, numbers(50_000, 1))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_and_spilling_do_not_disturb_each_other() {
    let world = World::new(64 << 20);
    let batches: Vec<_> = (0..60).map(|i| (i % 4, numbers(9_000, u64::from(i)))).collect();
    let attempt = world.output(1, 4, &batches).await;
    let mut sorted = batches;
    sorted.sort_by_key(|(partition, _)| *partition);
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let stream = world.store.read(attempt, 0..4).unwrap();
            tokio::spawn(async move {
                let slowly = stream.then(|item| async {
                    tokio::task::yield_now().await;
                    item
                });
                slowly.try_collect::<Vec<_>>().await.unwrap()
            })
        })
        .collect();
    squeeze_step_by_step(&world).await;
    for reader in readers {
        assert_eq!(reader.await.unwrap(), sorted);
    }
    assert_eq!(world.read(attempt, 0..4).await.unwrap(), sorted);
    world.store.free(&[attempt]);
    world.drained().await;
}

/// Takes memory bit by bit until everything is on disk.
async fn squeeze_step_by_step(world: &World) {
    let mut held = vec![];
    while world.budget.stats().evictable > 0 {
        held.push(world.budget.charge(Share::Operators, 1 << 18));
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_spilled_blocks_go_on_after_a_free() {
    let world = World::new(64 << 20);
    let (attempt, batches) = spilled(&world, 1).await;
    let mut stream = world.store.read(attempt, 0..3).unwrap();
    let first = stream.next().await.unwrap().unwrap();
    world.store.free(&[attempt]);
    assert!(!file(&world, attempt).exists());
    let mut read = vec![first];
    read.extend(stream.try_collect::<Vec<_>>().await.unwrap());
    assert_eq!(read, batches);
    world.drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_removes_its_directory() {
    let world = World::new(64 << 20);
    spilled(&world, 1).await;
    let scratch = world.store.scratch().to_owned();
    let World { store, budget, parent } = world;
    assert!(scratch.starts_with(parent.path()) && scratch.exists());
    drop(store);
    until(|| !scratch.exists(), || format!("{} is still there", scratch.display())).await;
    assert_eq!(budget.used(), 0);
}
