//! Outputs in memory: the same buffers, whole rows in order, every byte counted and given back.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use futures::StreamExt;
use windrow_common::{AttemptId, ErrorKind, JobId};

use crate::random;
use crate::world::{JOB, World};

/// `rows` numbers that depend on `seed`.
pub fn numbers(rows: usize, seed: u64) -> RecordBatch {
    let mut random = random::Random(seed);
    let values: Int64Array = (0..rows).map(|_| Some(random.next() as i64)).collect();
    RecordBatch::try_from_iter_with_nullable([("n", Arc::new(values) as ArrayRef, true)]).unwrap()
}

fn pointer(batch: &RecordBatch) -> usize {
    batch.column(0).to_data().buffers()[0].as_ptr() as usize
}

#[tokio::test]
async fn a_reader_in_the_same_process_gets_the_same_buffers() {
    let world = World::new(64 << 20);
    let batch = numbers(10_000, 1);
    let attempt = world.output(1, 3, &[(2, batch.clone())]).await;
    let read = world.read(attempt, 0..3).await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].0, pointer(&read[0].1)), (2, pointer(&batch)));
}

#[tokio::test]
async fn every_byte_is_counted_and_given_back() {
    let world = World::new(64 << 20);
    let small = numbers(100, 1);
    let mut writer = world.store.writer(JOB, AttemptId(1), 4).unwrap();
    for partition in [0, 1, 3] {
        writer.push(partition, small.clone()).await.unwrap();
        writer.push(partition, numbers(9_000, 2)).await.unwrap();
    }
    assert!(world.budget.used() >= 3 * 9_100 * 8, "{:?}", world.budget.stats());
    let summary = writer.finish().await.unwrap();
    let rows: Vec<u64> = summary.partitions.iter().map(|p| p.rows).collect();
    assert_eq!(rows, [9_100, 9_100, 0, 9_100]);
    let bytes: u64 = summary.partitions.iter().map(|p| p.bytes).sum();
    assert_eq!(bytes, 3 * 9_100 * 8);
    let stats = world.budget.stats();
    assert!(stats.store.used >= bytes && stats.store.used < bytes + bytes / 5, "{stats:?}");
    assert_eq!((stats.evictable, world.store.stats().mem_bytes), (stats.store.used, stats.store.used));
    world.store.free(&[AttemptId(1)]);
    assert_eq!((world.budget.used(), world.budget.stats().evictable), (0, 0));
}

#[tokio::test]
async fn a_dropped_writer_takes_everything_back() {
    let world = World::new(64 << 20);
    let mut writer = world.store.writer(JOB, AttemptId(1), 1).unwrap();
    writer.push(0, numbers(9_000, 1)).await.unwrap();
    writer.push(0, numbers(10, 1)).await.unwrap();
    assert!(world.store.writer(JOB, AttemptId(1), 1).is_err(), "an attempt has one output");
    drop(writer);
    assert_eq!((world.budget.used(), world.store.stats().outputs), (0, 0));
}

#[tokio::test]
async fn missing_and_unfinished_outputs_are_lost_inputs() {
    let world = World::new(64 << 20);
    let writer = world.store.writer(JOB, AttemptId(1), 1).unwrap();
    for attempt in [AttemptId(1), AttemptId(2)] {
        let error = world.store.read(attempt, 0..1).unwrap_err();
        assert_eq!(error.kind, ErrorKind::LostInput(vec![attempt]), "{error}");
    }
    assert_eq!(world.store.held(), []);
    writer.finish().await.unwrap();
    assert_eq!(world.store.held(), [AttemptId(1)]);
    assert_eq!(world.store.read(AttemptId(1), 0..2).unwrap_err().kind, ErrorKind::Internal);
}

#[tokio::test]
async fn small_batches_are_gathered_in_order_and_large_ones_kept() {
    let world = World::new(64 << 20);
    let mut batches = vec![];
    for i in 0..500 {
        batches.push((i % 2, numbers(1 + (i as usize * 7) % 90, u64::from(i))));
    }
    let large = numbers(20_000, 77);
    batches.push((0, large.clone()));
    batches.push((0, numbers(5, 78)));
    let attempt = world.output(1, 2, &batches).await;
    let read = world.read(attempt, 0..2).await.unwrap();
    assert!(read.len() <= 6, "{} blocks", read.len());
    assert!(read.iter().any(|(_, b)| pointer(b) == pointer(&large)), "the large batch was copied");
    for partition in 0..2 {
        let join = |all: &[(u32, RecordBatch)]| {
            let of: Vec<_> = all.iter().filter(|(p, _)| *p == partition).map(|(_, b)| b.clone()).collect();
            arrow::compute::concat_batches(&large.schema(), &of).unwrap()
        };
        assert_eq!(join(&read), join(&batches));
    }
}

#[tokio::test]
async fn slices_do_not_keep_their_parents() {
    let world = World::new(64 << 20);
    let mut writer = world.store.writer(JOB, AttemptId(1), 1).unwrap();
    for i in 0..50 {
        let parent = numbers(50_000, i);
        writer.push(0, parent.slice(100, 10)).await.unwrap();
        let views: StringViewArray = (0..50_000).map(|n| Some(format!("a string of some length {n}"))).collect();
        drop(writer.push(0, parent.slice(0, 1)).await);
        let views = RecordBatch::try_from_iter([("n", Arc::new(views) as ArrayRef)]).unwrap().slice(7, 3);
        let mut other = world.store.writer(JOB, AttemptId(100 + u128::from(i)), 1).unwrap();
        other.push(0, views).await.unwrap();
        other.finish().await.unwrap();
    }
    writer.finish().await.unwrap();
    assert!(world.budget.used() < 200_000, "{:?}", world.budget.stats());
}

#[tokio::test]
async fn batches_without_columns_keep_their_rows() {
    let world = World::new(64 << 20);
    let batch = |rows| {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap()
    };
    let attempt = world.output(1, 1, &[(0, batch(5)), (0, batch(100_000)), (0, batch(7)), (0, batch(1))]).await;
    let read = world.read(attempt, 0..1).await.unwrap();
    assert_eq!(read.iter().map(|(_, b)| b.num_rows()).sum::<usize>(), 100_013);
}

#[tokio::test]
async fn dictionaries_that_do_not_fit_together_stay_apart() {
    let world = World::new(64 << 20);
    let batch = |first: usize| {
        let words: Vec<String> = (first..first + 100).map(|n| n.to_string()).collect();
        let column: DictionaryArray<Int8Type> = words.iter().map(|w| w.as_str()).collect();
        RecordBatch::try_from_iter([("d", Arc::new(column) as ArrayRef)]).unwrap()
    };
    let attempt = world.output(1, 1, &[(0, batch(0)), (0, batch(1000)), (0, batch(2000))]).await;
    let read = world.read(attempt, 0..1).await.unwrap();
    assert_eq!(read.iter().map(|(_, b)| b.num_rows()).sum::<usize>(), 300);
}

#[tokio::test]
async fn readers_go_on_after_a_free() {
    let world = World::new(64 << 20);
    let batches: Vec<_> = (0..4).map(|i| (0, numbers(9_000, i))).collect();
    let attempt = world.output(1, 1, &batches).await;
    let mut stream = world.store.read(attempt, 0..1).unwrap();
    let first = stream.next().await.unwrap().unwrap().1;
    world.store.free(&[attempt]);
    assert_eq!(world.store.held(), []);
    assert!(world.store.read(attempt, 0..1).is_err());
    let mut read = vec![(0, first)];
    while let Some(item) = stream.next().await {
        read.push(item.unwrap());
    }
    assert_eq!(read, batches);
    assert!(world.budget.used() > 0, "what a reader holds stays counted");
    drop(stream);
    assert_eq!(world.budget.used(), 0);
}

#[tokio::test]
async fn a_jobs_outputs_go_together() {
    let world = World::new(64 << 20);
    world.output(1, 1, &[(0, numbers(10, 1))]).await;
    let mut unfinished = world.store.writer(JOB, AttemptId(2), 1).unwrap();
    let mut other = world.store.writer(JobId(8), AttemptId(3), 1).unwrap();
    other.push(0, numbers(10, 1)).await.unwrap();
    other.finish().await.unwrap();
    world.store.forget_job(JOB);
    assert_eq!(world.store.held(), [AttemptId(3)]);
    assert_eq!(unfinished.push(0, numbers(10_000, 1)).await.unwrap_err().kind, ErrorKind::Cancelled);
}
