//! The simulator over many seeds: all laws hold, each was put to the test, runs repeat, and known bugs are found.

use std::collections::BTreeMap;

use windrow_common::Timestamp;
use windrow_common::time::Clock;
use windrow_control::SchedulerConfig;
use windrow_control::scheduler::Fault;
use windrow_testing::sim::{SimConfig, SimReport, run};

/// Seeds of every run; `WINDROW_SEEDS=100000` for a long one.
fn seeds() -> u64 {
    std::env::var("WINDROW_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1000)
}

fn config() -> SimConfig {
    SimConfig { invariants: true, ..SimConfig::default() }
}

fn replay(seed: u64) -> String {
    format!("WINDROW_SEED={seed} cargo test --release -p windrow-testing sim_replay -- --nocapture")
}

fn demand(report: &SimReport) {
    assert!(
        report.violations.is_empty(),
        "seed {} breaks a law:\n  {}\nreplay it with:\n  {}\n",
        report.seed,
        report.violations.join("\n  "),
        replay(report.seed)
    );
}

#[test]
fn sim_laws_hold() {
    let clock = Clock::start();
    let mut exercised: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut events, mut starts) = (0, 0);
    for seed in 0..seeds() {
        let report = run(seed, &config());
        demand(&report);
        events += report.events;
        starts += report.starts;
        for (premise, count) in report.exercised {
            *exercised.entry(premise).or_default() += count;
        }
    }
    println!("{} seeds, {events} events, {starts} starts in {:.1?}", seeds(), clock.now().since(Timestamp(0)));
    for (premise, count) in &exercised {
        println!("  {count:>9} {premise}");
        assert!(*count > 0, "'{premise}' was never put to the test");
    }
}

/// Runs one seed and prints everything that happens: `WINDROW_SEED=123 cargo test … sim_replay -- --nocapture`.
#[test]
fn sim_replay() {
    let Some(seed) = std::env::var("WINDROW_SEED").ok().and_then(|text| text.parse().ok()) else { return };
    let report = run(seed, &SimConfig { verbose: true, ..config() });
    println!("{report:#?}");
    demand(&report);
}

#[test]
fn sim_repeats_itself() {
    for seed in 0..20 {
        assert_eq!(run(seed, &config()), run(seed, &config()));
    }
    assert_ne!(run(1, &config()).trace, run(2, &config()).trace);
}

/// The first seed in which a law (not an invariant of the scheduler's own) finds the bug.
fn found(fault: Fault) -> SimReport {
    let scheduler = SchedulerConfig { fault: Some(fault), ..SchedulerConfig::default() };
    let config = SimConfig { scheduler, invariants: false, verbose: false };
    let report = (0..seeds()).map(|seed| run(seed, &config)).find(|report| !report.violations.is_empty());
    let report = report.unwrap_or_else(|| panic!("{fault:?} was not found in {} seeds", seeds()));
    println!("{fault:?} is found by seed {}: {}", report.seed, report.violations[0]);
    report
}

#[test]
fn sim_finds_incarnation_not_compared() {
    found(Fault::IncarnationNotCompared);
}

#[test]
fn sim_finds_freed_one_reader_early() {
    let report = found(Fault::FreedOneReaderEarly);
    assert!(report.violations[0].contains("last reader"), "{}", report.violations[0]);
}

#[test]
fn sim_finds_slot_not_returned_on_cancel() {
    found(Fault::SlotNotReturnedOnCancel);
}

#[test]
fn sim_finds_versions_mixed() {
    let report = found(Fault::VersionsMixed);
    assert!(report.violations[0].contains("version"), "{}", report.violations[0]);
}

#[test]
fn sim_finds_duplicate_frees() {
    found(Fault::DuplicateFrees);
}
