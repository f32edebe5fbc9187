//! The budget and the pools that DataFusion sees: exact, bounded, clear when it says no.

use datafusion::execution::memory_pool::MemoryConsumer;
use windrow_common::{ByteSize, ErrorKind};
use windrow_worker::budget::{Budget, Share};
use windrow_worker::pool::AttemptPool;

use crate::store::numbers;
use crate::world::{World, until};

#[test]
fn charges_are_given_back_and_peaks_stay() {
    let budget = Budget::new(ByteSize(1000));
    let one = budget.charge(Share::Fetch, 300);
    let mut two = budget.try_charge(Share::Store, 600, "a test").unwrap();
    two.resize(100);
    drop(one);
    let stats = budget.stats();
    assert_eq!((stats.total.used, stats.total.peak), (100, 900));
    assert_eq!((stats.fetch.used, stats.fetch.peak, stats.store.used, stats.store.peak), (0, 300, 100, 600));
    drop(two);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_refusal_says_who_and_how_much() {
    let budget = Budget::new(ByteSize::mib(1));
    let pool = budget.attempt_pool("job-1/stage-2/task-3.0");
    let reservation = MemoryConsumer::new("HashJoin[7]").register(&pool);
    reservation.try_grow(1000 << 10).unwrap();
    let text = reservation.try_grow(100 << 10).unwrap_err().to_string();
    for part in ["HashJoin[7]", "job-1/stage-2/task-3.0", "100.0 KiB", "1000.0 KiB", "1.0 MiB"] {
        assert!(text.contains(part), "'{part}' is missing in: {text}");
    }
    assert_eq!(pool.reserved(), 1000 << 10);
    reservation.grow(1 << 20);
    assert_eq!(budget.used(), (1000 << 10) + (1 << 20), "what cannot fail is counted all the same");
    let peak = pool.downcast_ref::<AttemptPool>().unwrap().peak();
    assert_eq!(peak as u64, budget.stats().operators.peak);
    drop((reservation, pool));
    assert_eq!(budget.used(), 0);
    let refused = budget.try_charge(Share::Fetch, 2 << 20, "a test").unwrap_err();
    assert_eq!(refused.kind, ErrorKind::OutOfMemory);
}

#[test]
fn pools_of_one_budget_share_it() {
    let budget = Budget::new(ByteSize(1000));
    let (a, b) = (budget.attempt_pool("a"), budget.attempt_pool("b"));
    let one = MemoryConsumer::new("x").register(&a);
    let two = MemoryConsumer::new("y").register(&b);
    one.try_grow(700).unwrap();
    assert!(two.try_grow(400).is_err());
    one.shrink(200);
    two.try_grow(400).unwrap();
    drop(one);
    assert_eq!((a.reserved(), b.reserved(), budget.used()), (0, 400, 400));
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_make_room_for_operators() {
    let world = World::new(8 << 20);
    let batches: Vec<_> = (0..6).map(|i| (0, numbers(1 << 17, i))).collect();
    world.output(1, 1, &batches).await;
    assert!(world.budget.stats().store.used > 6_000_000);
    let pool = world.budget.attempt_pool("t");
    let reservation = MemoryConsumer::new("sort").register(&pool);
    // Far more than is free; the spiller makes room step by step.
    let mut held = 0;
    while held < 7 << 20 {
        until(|| reservation.try_grow(256 << 10).is_ok(), || format!("{:?}", world.budget.stats())).await;
        held += 256 << 10;
        let stats = world.budget.stats();
        assert!(stats.total.used <= (8 << 20) / 100 * 112 + 100, "the overdraft is bounded: {stats:?}");
    }
    drop(reservation);
    let read = world.read(windrow_common::AttemptId(1), 0..1).await.unwrap();
    assert_eq!(read.iter().map(|(_, b)| b.num_rows()).sum::<usize>(), 6 << 17);
}
