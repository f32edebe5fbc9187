//! One job: its graph, its stages, where it stands. The rules of what is lost, wanted and released are in `lineage`;
//! this file owns the data, the counters and the order in which tasks of one job run.

use std::collections::BTreeSet;
use std::sync::Arc;

use windrow_common::{AttemptId, Epoch, Error, ErrorKind, JobId, JobReport, StageGraph, TaskId, Timestamp, limits};

use super::pool::WorkerIndex;
use super::stage::StageState;
use super::task::{Phase, TaskAt};
use crate::attempt_id::AttemptMint;

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobPhase {
    /// Some task must still run.
    Working,
    /// Everything is accepted and the result can be read.
    Ready,
    /// Everything is accepted and the shell publishes what was written. Losses do not matter any more.
    Committing,
}

/// What workers must be told after a change: attempts to stop and outputs to drop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    pub(crate) cancels: Vec<(WorkerIndex, AttemptId)>,
    pub(crate) frees: Vec<(WorkerIndex, AttemptId)>,
}

/// Consequences that are still to be drawn, so that long chains of stages need no recursion.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Consequence {
    /// The last reader of this exchange is satisfied.
    Released(u32),
    /// A reader of this exchange needs it again.
    Wanted(u32),
    /// The contents of this task's output are not what they were.
    Changed(TaskAt),
}

/// A job that has not ended.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) graph: Arc<StageGraph>,
    pub(crate) mint: AttemptMint,
    pub(crate) stages: Vec<StageState>,
    pub(crate) phase: JobPhase,
    /// Stages whose inputs are complete and which have tasks in their queue.
    pub(crate) runnable: BTreeSet<u32>,
    /// Workers that ever got an attempt.
    pub(crate) workers: BTreeSet<WorkerIndex>,
    pub(crate) submitted: Timestamp,
    /// Since when there is work and no slot in the whole cluster.
    pub(crate) starved_since: Option<Timestamp>,
    /// Slots asked for by the tasks that run, for fairness between jobs.
    pub(crate) running_slots: u64,
    pub(crate) running: u32,
    pub(crate) done: u32,
    pub(crate) total: u32,
    /// Tasks done and running when progress was last told.
    pub(crate) shown: (u32, u32),
    /// Under which key the job stands in the queue of jobs that could start a task.
    pub(crate) ready_key: Option<(u64, u64)>,
    /// When it was last given a slot, in starts of the whole scheduler.
    pub(crate) served: u64,
    /// `ResultReady` has been said at least once.
    pub(crate) announced: bool,
    /// Why the job must fail; carried out at the end of the event.
    pub(crate) doom: Option<Error>,
    pub(crate) consequences: Vec<Consequence>,
    pub(crate) effects: Effects,
    /// Readers at which an exchange is freed: none, unless a known bug is put back.
    pub(crate) freed_at: u64,
    /// Whether changed contents undo their readers: always, unless a known bug is put back.
    pub(crate) undoes: bool,
}

impl Job {
    /// A job about to start, or why its graph cannot be run.
    pub(crate) fn new(
        id: JobId,
        seed: u128,
        epoch: Epoch,
        graph: Arc<StageGraph>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        validate(&graph)?;
        let mut stages: Vec<StageState> = graph.stages.iter().map(StageState::new).collect();
        for (consumer, stage) in graph.stages.iter().enumerate() {
            for (input, read) in stage.inputs.iter().enumerate() {
                let producer = &mut stages[read.exchange.0 as usize];
                producer.consumers.push((consumer as u32, input));
                producer.readers += stage.tasks.len() as u64;
            }
        }
        stages[graph.result.0 as usize].readers += 1;
        let total = graph.stages.iter().map(|s| s.tasks.len() as u32).sum();
        let mut job = Self {
            id,
            mint: AttemptMint::new(id, seed, epoch),
            stages,
            phase: JobPhase::Working,
            runnable: BTreeSet::new(),
            workers: BTreeSet::new(),
            submitted: now,
            starved_since: None,
            running_slots: 0,
            running: 0,
            done: 0,
            total,
            shown: (0, 0),
            ready_key: None,
            served: 0,
            announced: false,
            doom: None,
            consequences: Vec::new(),
            effects: Effects::default(),
            freed_at: 0,
            undoes: true,
            graph,
        };
        for stage in 0..job.stages.len() as u32 {
            job.refresh_runnable(stage);
            if job.stages[stage as usize].readers == 0 {
                job.consequences.push(Consequence::Released(stage));
            }
        }
        job.settle();
        Ok(job)
    }

    /// The task's full name.
    pub(crate) fn name(&self, at: TaskAt) -> TaskId {
        TaskId { job: self.id, stage: windrow_common::StageId(at.stage), index: at.task }
    }

    /// The task, if the graph has it.
    pub(crate) fn at(&self, stage: u32, task: u32) -> Option<TaskAt> {
        let tasks = &self.stages.get(stage as usize)?.tasks;
        ((task as usize) < tasks.len()).then_some(TaskAt { stage, task })
    }

    /// The task that an attempt is a run of, judging by the id alone.
    pub(crate) fn at_of(&self, attempt: AttemptId) -> Option<TaskAt> {
        let (stage, task) = self.mint.place(attempt);
        self.at(stage, task)
    }

    pub(crate) fn phase_of(&self, at: TaskAt) -> Phase {
        self.stages[at.stage as usize].tasks[at.task as usize].phase
    }

    pub(crate) fn slots_of(&self, at: TaskAt) -> u32 {
        self.graph.stages[at.stage as usize].tasks[at.task as usize].slots.max(1)
    }

    /// Whether everything is accepted.
    pub(crate) fn is_complete(&self) -> bool {
        self.stages[self.graph.result.0 as usize].missing == 0
    }

    /// Whether the stage's rows are carried in the reports when they are small.
    pub(crate) fn rides_in_report(&self, stage: u32) -> bool {
        stage == self.graph.result.0 || self.graph.stages[stage as usize].output == windrow_common::ExchangeKind::Scalar
    }

    /// Puts a task into another phase and keeps every counter in step. What follows for other tasks is noted as
    /// consequences; [`Job::settle`] draws them.
    pub(crate) fn set_phase(&mut self, at: TaskAt, next: Phase) {
        let weight = u64::from(self.slots_of(at));
        let stage = &mut self.stages[at.stage as usize];
        let task = &mut stage.tasks[at.task as usize];
        let old = std::mem::replace(&mut task.phase, next);
        if next == Phase::Pending && !task.queued {
            task.queued = true;
            stage.queue.push_back(at.task);
        }
        if old.is_running() != next.is_running() {
            if next.is_running() {
                stage.running += 1;
                self.running += 1;
                self.running_slots += weight;
            } else {
                stage.running -= 1;
                self.running -= 1;
                self.running_slots -= weight;
            }
        }
        if old.is_done() != next.is_done() {
            self.output_appeared_or_went(at.stage, next.is_done());
        }
        if old.is_satisfied() != next.is_satisfied() {
            self.reader_satisfied_or_not(at.stage, next.is_satisfied());
        }
        self.refresh_runnable(at.stage);
    }

    fn output_appeared_or_went(&mut self, stage: u32, appeared: bool) {
        let state = &mut self.stages[stage as usize];
        state.locations = None;
        let was_complete = state.missing == 0;
        if appeared {
            state.missing -= 1;
        } else {
            state.missing += 1;
        }
        let is_complete = state.missing == 0;
        if was_complete == is_complete {
            return;
        }
        for i in 0..self.stages[stage as usize].consumers.len() {
            let (consumer, _) = self.stages[stage as usize].consumers[i];
            let state = &mut self.stages[consumer as usize];
            if is_complete {
                state.incomplete_inputs -= 1;
            } else {
                state.incomplete_inputs += 1;
            }
            self.refresh_runnable(consumer);
        }
    }

    fn reader_satisfied_or_not(&mut self, stage: u32, satisfied: bool) {
        if satisfied {
            self.done += 1;
        } else {
            self.done -= 1;
        }
        let graph = Arc::clone(&self.graph);
        for input in &graph.stages[stage as usize].inputs {
            if satisfied {
                self.drop_reader(input.exchange.0);
            } else {
                let producer = &mut self.stages[input.exchange.0 as usize];
                producer.readers += 1;
                if producer.readers == 1 {
                    self.consequences.push(Consequence::Wanted(input.exchange.0));
                }
            }
        }
    }

    /// One reader less of an exchange.
    pub(crate) fn drop_reader(&mut self, exchange: u32) {
        let producer = &mut self.stages[exchange as usize];
        producer.readers -= 1;
        if producer.readers == self.freed_at {
            self.consequences.push(Consequence::Released(exchange));
        }
    }

    pub(crate) fn refresh_runnable(&mut self, stage: u32) {
        let state = &self.stages[stage as usize];
        if state.incomplete_inputs == 0 && !state.queue.is_empty() {
            self.runnable.insert(stage);
        } else {
            self.runnable.remove(&stage);
        }
    }

    /// The task that runs next, if any can: earlier stages first, for later ones wait for them. It stays where it is.
    pub(crate) fn next_task(&mut self) -> Option<TaskAt> {
        while let Some(stage) = self.runnable.first().copied() {
            let state = &mut self.stages[stage as usize];
            while let Some(task) = state.queue.front().copied() {
                let entry = &mut state.tasks[task as usize];
                if entry.phase == Phase::Pending {
                    return Some(TaskAt { stage, task });
                }
                entry.queued = false;
                state.queue.pop_front();
            }
            self.runnable.remove(&stage);
        }
        None
    }

    /// Marks the task that [`Job::next_task`] named as running, under a new attempt id. None, and the job is doomed, if
    /// it has run too often.
    pub(crate) fn start(&mut self, at: TaskAt, worker: WorkerIndex) -> Option<AttemptId> {
        let name = self.name(at);
        let stage = &mut self.stages[at.stage as usize];
        let task = &mut stage.tasks[at.task as usize];
        if u32::from(task.runs) >= limits::MAX_ATTEMPTS_WITH_LOSSES {
            let message = format!(
                "{name}: run {} times, and each time the worker, its inputs or its output were lost; see the workers' logs",
                task.runs
            );
            self.doom(Error::new(ErrorKind::Io, message));
            return None;
        }
        task.runs += 1;
        task.queued = false;
        stage.queue.pop_front();
        stage.attempts += 1;
        stage.adoptable.remove(&at.task);
        let attempt = self.mint.mint(at.stage, at.task);
        self.workers.insert(worker);
        self.set_phase(at, Phase::Running { attempt, worker });
        Some(attempt)
    }

    /// The job must fail; the first cause stays.
    pub(crate) fn doom(&mut self, error: Error) {
        if self.doom.is_none() {
            self.doom = Some(error);
        }
    }

    /// What the job has done until `now`.
    pub(crate) fn report(&self, now: Timestamp) -> JobReport {
        JobReport {
            job: Some(self.id),
            stages: self.stages.iter().zip(&self.graph.stages).map(|(state, stage)| state.report(stage)).collect(),
            elapsed_micros: now.since(self.submitted).as_micros() as u64,
        }
    }
}

/// Refuses graphs that could not run, before anything relies on their numbers.
fn validate(graph: &StageGraph) -> Result<(), Error> {
    let bad = |message: String| Err(Error::internal(format!("the stage graph is not sound: {message}")));
    if graph.stages.is_empty() || graph.result.0 as usize >= graph.stages.len() {
        return bad(format!("{} names the result of {} stages", graph.result, graph.stages.len()));
    }
    for (index, stage) in graph.stages.iter().enumerate() {
        if stage.id.0 as usize != index {
            return bad(format!("{} stands at place {index}", stage.id));
        }
        if stage.tasks.is_empty() {
            return bad(format!("{} has no tasks", stage.id));
        }
        if stage.tasks.len() > limits::MAX_TASKS_PER_STAGE {
            let message =
                format!("{} has {} tasks; the limit is {}", stage.id, stage.tasks.len(), limits::MAX_TASKS_PER_STAGE);
            return Err(Error::new(ErrorKind::Limit, message));
        }
        if let Some(input) = stage.inputs.iter().find(|input| input.exchange.0 as usize >= index) {
            return bad(format!("{} reads {}, which is not made before it", stage.id, input.exchange));
        }
    }
    Ok(())
}
