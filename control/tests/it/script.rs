//! Text in, actions out: every file in `tests/scripts` is a story of events, each followed by what the scheduler did about
//! it. `UPDATE=1 cargo test -p windrow-control scripts` writes what it does now; read the difference before you keep it.
//!
//! ```text
//! job a [commits]                          a graph; its stages follow, one a line
//!   stage tasks=2 reads=0,1:all out=shuffle:2 [exact|multiset|indeterminate] [slots=2] [memory=100]
//! 1000 connect w1 slots=2                  at 1000 ms. Also: submit, finished, failed, running, cancelled, tick, …
//!   -> w1: welcome                         what came of it
//! ```
//!
//! Attempts are named `a/0/1.2`: job, stage, task, which run. Worker `w1.2` is the second life of `w1`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use windrow_common::*;
use windrow_control::{Action, AttemptStatus, Event, Outcome, Scheduler, SchedulerConfig, ToWorker};

#[test]
fn scripts_hold() {
    // Tests run in the directory of their crate.
    let folder = Path::new("tests/scripts");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut wrong = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        println!("{}", file.display());
        let now = Story::default().tell(&text);
        if now == text {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(file, &now).unwrap();
        } else {
            let line = text.lines().zip(now.lines()).position(|(a, b)| a != b).unwrap_or(0);
            let (was, is) = (text.lines().nth(line).unwrap_or(""), now.lines().nth(line).unwrap_or(""));
            wrong.push(format!("{}:{}\n  was: {was}\n  is:  {is}", file.display(), line + 1));
        }
    }
    assert!(wrong.is_empty(), "{}\nIf this is as it should be, run again with UPDATE=1.", wrong.join("\n"));
    assert!(files.len() >= 12, "{} scripts", files.len());
}

struct Story {
    scheduler: Scheduler,
    graphs: BTreeMap<String, StageGraph>,
    /// Names of attempts, and on which worker they were started.
    attempts: BTreeMap<String, (AttemptId, TaskId, WorkerId, Incarnation)>,
    names: BTreeMap<AttemptId, String>,
}

impl Default for Story {
    fn default() -> Self {
        Self {
            scheduler: Scheduler::new(SchedulerConfig::default()),
            graphs: BTreeMap::new(),
            attempts: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }
}

fn job_id(name: &str) -> JobId {
    JobId(u128::from(name.as_bytes()[0]) << 96)
}

fn job_name(id: JobId) -> String {
    char::from((id.0 >> 96) as u8).to_string()
}

/// `w1` is the first life of worker 1, `w1.2` its second.
fn worker_id(name: &str) -> (WorkerId, Incarnation) {
    let (number, life) = name.trim_start_matches('w').split_once('.').unwrap_or((name.trim_start_matches('w'), "1"));
    let number: u128 = number.parse().unwrap();
    (WorkerId(number << 96), Incarnation(life.parse::<u128>().unwrap() << 96))
}

fn worker_name(id: WorkerId, life: Incarnation) -> String {
    match life.0 >> 96 {
        1 => format!("w{}", id.0 >> 96),
        life => format!("w{}.{life}", id.0 >> 96),
    }
}

fn value<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn kind(word: &str, attempts: Vec<AttemptId>) -> ErrorKind {
    match word {
        "user" => ErrorKind::User,
        "io" => ErrorKind::Io,
        "memory" => ErrorKind::OutOfMemory,
        "lost" => ErrorKind::LostInput(attempts),
        "internal" => ErrorKind::Internal,
        "cancelled" => ErrorKind::Cancelled,
        other => panic!("no kind {other}"),
    }
}

impl Story {
    fn tell(mut self, text: &str) -> String {
        let mut told = String::new();
        let mut open_job: Option<String> = None;
        for line in text.lines().filter(|line| !line.trim_start().starts_with("->")) {
            writeln!(told, "{line}").unwrap();
            let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                ["job", name, rest @ ..] => {
                    let commits = rest.contains(&"commits");
                    let graph = StageGraph { revision: 0, stages: Vec::new(), result: ExchangeId(0), commits };
                    self.graphs.insert((*name).to_owned(), graph);
                    open_job = Some((*name).to_owned());
                }
                ["stage", rest @ ..] => {
                    let graph = self.graphs.get_mut(open_job.as_ref().unwrap()).unwrap();
                    let stage = stage(graph, rest);
                    graph.result = ExchangeId(stage.id.0);
                    graph.stages.push(stage);
                }
                [time, rest @ ..] => {
                    let now = Timestamp(time.parse::<u64>().unwrap() * 1000);
                    println!("{line}");
                    let event = self.event(rest);
                    let actions = self.scheduler.handle(now, event);
                    self.scheduler.check_invariants().unwrap_or_else(|broken| panic!("after '{line}': {broken}"));
                    for action in actions {
                        let what = self.render(action);
                        println!("  -> {what}");
                        writeln!(told, "  -> {what}").unwrap();
                    }
                    if rest == ["tick"] || rest.contains(&"deadline") {
                        let next =
                            self.scheduler.next_deadline().map_or("none".to_owned(), |t| (t.0 / 1000).to_string());
                        writeln!(told, "  -> next deadline: {next}").unwrap();
                    }
                }
            }
        }
        told
    }

    fn attempt(&self, name: &str) -> (AttemptId, TaskId, WorkerId, Incarnation) {
        *self
            .attempts
            .get(name)
            .unwrap_or_else(|| panic!("{name} was never started; started: {:?}", self.attempts.keys()))
    }

    fn listed(&self, words: &[&str], key: &str) -> Vec<AttemptId> {
        value(words, key).map_or_else(Vec::new, |list| list.split(',').map(|name| self.attempt(name).0).collect())
    }

    fn event(&self, words: &[&str]) -> Event {
        match words {
            ["submit", name, ..] => {
                let graph = Arc::new(self.graphs[*name].clone());
                Event::Submit { job: job_id(name), seed: 7, graph }
            }
            ["connect", name, rest @ ..] => {
                let (worker, incarnation) = worker_id(name);
                Event::WorkerConnected {
                    worker,
                    incarnation,
                    slots: value(rest, "slots").unwrap().parse().unwrap(),
                    memory: value(rest, "memory").map_or(1 << 30, |n| n.parse().unwrap()),
                    endpoint: format!("{name}:1"),
                    running: self.listed(rest, "running"),
                    held: self.listed(rest, "held"),
                }
            }
            ["disconnect", name, ..] => {
                let (worker, incarnation) = worker_id(name);
                Event::WorkerDisconnected { worker, incarnation }
            }
            ["heartbeat", name, ..] => {
                let (worker, incarnation) = worker_id(name);
                Event::Heartbeat { worker, incarnation }
            }
            ["cancel", name] => Event::Cancel { job: job_id(name) },
            ["released", name] => Event::ResultReleased { job: job_id(name) },
            ["outputs-lost", name, rest @ ..] => {
                Event::OutputsLost { job: job_id(name), attempts: self.listed(rest, "attempts") }
            }
            ["committed", name, "ok"] => Event::Committed { job: job_id(name), result: Ok(()) },
            ["committed", name, ..] => {
                Event::Committed { job: job_id(name), result: Err(Error::io("the store is full")) }
            }
            ["tick", ..] => Event::Tick,
            [what, name, rest @ ..] => self.report(what, name, rest),
            other => panic!("no event {other:?}"),
        }
    }

    fn report(&self, what: &str, name: &str, rest: &[&str]) -> Event {
        let (attempt, task, worker, incarnation) = self.attempt(name);
        let (worker, incarnation) = value(rest, "from").map_or((worker, incarnation), worker_id);
        let epoch = Epoch(value(rest, "epoch").map_or(1, |n| n.parse().unwrap()));
        let status = match what {
            "running" => AttemptStatus::Running,
            "cancelled" => AttemptStatus::Cancelled,
            "finished" => AttemptStatus::Finished(OutputReport {
                partitions: vec![PartitionSize {
                    rows: value(rest, "rows").map_or(1, |n| n.parse().unwrap()),
                    bytes: 8,
                }],
                inline: value(rest, "inline").map(|text| text.as_bytes().to_vec()),
                ..OutputReport::default()
            }),
            "failed" => {
                let kind = kind(rest[0], self.listed(rest, "attempts"));
                AttemptStatus::Failed(Error::new(kind, "it went wrong"))
            }
            other => panic!("no event {other}"),
        };
        Event::Report { worker, incarnation, epoch, task, attempt, status }
    }

    fn name(&self, attempt: &AttemptId) -> String {
        self.names.get(attempt).cloned().unwrap_or_else(|| attempt.to_string())
    }

    fn place(&self, location: &Location) -> String {
        let inline = location.inline.as_ref().map(|b| format!(" inline '{}'", String::from_utf8_lossy(b)));
        let worker = worker_name(location.worker, location.incarnation);
        format!("{}@{worker}{}", self.name(&location.attempt), inline.unwrap_or_default())
    }

    fn render(&mut self, action: Action) -> String {
        match action {
            Action::Send { worker, incarnation, message } => {
                let to = worker_name(worker, incarnation);
                format!("{to}: {}", self.message(worker, incarnation, message))
            }
            Action::Disconnect { worker, incarnation, reason } => {
                format!("disconnect {}: {reason}", worker_name(worker, incarnation))
            }
            Action::ResultReady { job, locations, report } => {
                let places: Vec<_> = locations.iter().map(|location| self.place(location)).collect();
                format!("ready {}: {} [{}]", job_name(job), places.join(", "), summary(&report))
            }
            Action::Commit { job, outputs } => {
                let lists: Vec<_> = outputs
                    .iter()
                    .map(|o| String::from_utf8_lossy(o.inline.as_deref().unwrap_or_default()).into_owned())
                    .collect();
                format!("commit {}: {}", job_name(job), lists.join(", "))
            }
            Action::JobEnded { job, outcome, report } => {
                let how = match outcome {
                    Outcome::Completed => "completed".to_owned(),
                    Outcome::Cancelled => "cancelled".to_owned(),
                    Outcome::Failed(error) => format!("failed, {:?}: {}", error.kind, error.message),
                };
                format!("end {}: {how} [{}]", job_name(job), summary(&report))
            }
            Action::Progress { job, done, running, total } => {
                format!("progress {}: {done} done, {running} running of {total}", job_name(job))
            }
        }
    }

    fn message(&mut self, worker: WorkerId, incarnation: Incarnation, message: ToWorker) -> String {
        match message {
            ToWorker::Welcome { epoch, .. } => format!("welcome, {epoch}"),
            ToWorker::Start(a) => {
                let task = a.task;
                let name = format!("{}/{}/{}.{}", job_name(task.job), task.stage.0, task.index, a.number);
                self.attempts.insert(name.clone(), (a.attempt, task, worker, incarnation));
                self.names.insert(a.attempt, name.clone());
                let mut text = format!("start {name}");
                if a.slots != 1 {
                    write!(text, " slots {}", a.slots).unwrap();
                }
                if a.memory != 0 {
                    write!(text, " memory {}", a.memory).unwrap();
                }
                for input in &a.inputs {
                    let places: Vec<_> = input.producers.iter().map(|location| self.place(location)).collect();
                    let range = match input.mode {
                        ReadMode::Partitions => format!("{:?} of ", input.partitions),
                        ReadMode::All | ReadMode::Scalar => String::new(),
                    };
                    write!(text, " reads {range}{}", places.join("+")).unwrap();
                }
                text
            }
            ToWorker::Cancel { attempt, .. } => format!("cancel {}", self.name(&attempt)),
            ToWorker::Acknowledge { attempt, .. } => format!("ack {}", self.name(&attempt)),
            ToWorker::Free { attempts, .. } => {
                format!("free {}", attempts.iter().map(|a| self.name(a)).collect::<Vec<_>>().join(" "))
            }
            ToWorker::ForgetJob { job, .. } => format!("forget {}", job_name(job)),
            ToWorker::Refuse { reason } => format!("refuse: {reason}"),
        }
    }
}

fn summary(report: &JobReport) -> String {
    let stages: Vec<_> = report
        .stages
        .iter()
        .map(|s| format!("{} runs, {} lost, {} rows", s.attempts, s.failed_attempts, s.rows))
        .collect();
    stages.join("; ")
}

fn stage(graph: &StageGraph, words: &[&str]) -> Stage {
    let tasks: u32 = value(words, "tasks").unwrap().parse().unwrap();
    let (output, output_partitions) = match value(words, "out").unwrap().split_once(':') {
        Some(("shuffle", n)) => (ExchangeKind::Shuffle, n.parse().unwrap()),
        Some(other) => panic!("no output {other:?}"),
        None => match value(words, "out").unwrap() {
            "forward" => (ExchangeKind::Forward, tasks),
            "gather" => (ExchangeKind::Gather, tasks),
            "broadcast" => (ExchangeKind::Broadcast, 1),
            "scalar" => (ExchangeKind::Scalar, 1),
            other => panic!("no output {other}"),
        },
    };
    let inputs: Vec<StageInput> = value(words, "reads").map_or_else(Vec::new, |list| {
        let one = |word: &str| {
            let (number, mode) = word.split_once(':').unwrap_or((word, "partitions"));
            let mode = match mode {
                "all" => ReadMode::All,
                "scalar" => ReadMode::Scalar,
                _ => ReadMode::Partitions,
            };
            StageInput { exchange: ExchangeId(number.parse().unwrap()), mode }
        };
        list.split(',').map(one).collect()
    });
    let share = |of: u32, task: u32| -> Range<u32> { of * task / tasks..of * (task + 1) / tasks };
    let specs = (0..tasks)
        .map(|task| TaskSpec {
            partitions: task..task + 1,
            reads: inputs.iter().map(|i| share(graph.stages[i.exchange.0 as usize].output_partitions, task)).collect(),
            splits: Vec::new(),
            slots: value(words, "slots").map_or(1, |n| n.parse().unwrap()),
        })
        .collect();
    let determinism = if words.contains(&"indeterminate") {
        Determinism::Indeterminate
    } else if words.contains(&"multiset") {
        Determinism::SameMultiset
    } else {
        Determinism::Exact
    };
    Stage {
        id: StageId(graph.stages.len() as u32),
        plan: BlobHash([0; 32]),
        inputs,
        output,
        output_partitions,
        tasks: specs,
        determinism,
        memory_estimate: value(words, "memory").map_or(0, |n| n.parse().unwrap()),
    }
}
