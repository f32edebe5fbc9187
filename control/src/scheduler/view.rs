//! What may be seen of the scheduler from outside, for people, tests and reports. Nothing here changes anything.

use windrow_common::{AttemptId, Incarnation, JobId, JobReport, StageId, TaskId, WorkerId};

use super::Scheduler;
use super::task::Phase;

/// A connected worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerView<'a> {
    /// Who.
    pub id: WorkerId,
    /// In which life.
    pub incarnation: Incarnation,
    /// Slots it offers.
    pub slots: u32,
    /// Slots that are not taken.
    pub free: u32,
    /// `host:port` of its shuffle server.
    pub endpoint: &'a str,
    /// Its byte budget.
    pub memory: u64,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskPhase {
    /// Waits for inputs, a slot, or the end of a pause.
    Waiting,
    /// Runs.
    Running,
    /// Its output was accepted and can be read.
    Done,
    /// Its output was accepted and is not needed any more.
    Spent,
}

/// A task of a job that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Which.
    pub task: TaskId,
    /// Where it stands.
    pub phase: TaskPhase,
    /// The attempt that runs, or whose output counts.
    pub attempt: Option<AttemptId>,
    /// The worker of that attempt.
    pub worker: Option<WorkerId>,
}

impl Scheduler {
    /// Slots of all connected workers.
    pub fn total_slots(&self) -> u32 {
        u32::try_from(self.pool.total_slots()).unwrap_or(u32::MAX)
    }

    /// Tasks of the jobs that have not ended: those that run, and those that wait.
    pub fn load(&self) -> (u64, u64) {
        self.jobs.values().fold((0, 0), |(running, waiting), job| {
            let waits = job.total.saturating_sub(job.done + job.running);
            (running + u64::from(job.running), waiting + u64::from(waits))
        })
    }

    /// The connected workers.
    pub fn workers(&self) -> impl Iterator<Item = WorkerView<'_>> {
        self.pool.iter().map(|(_, worker)| worker).filter(|worker| worker.connected).map(|worker| WorkerView {
            id: worker.id,
            incarnation: worker.incarnation,
            slots: worker.slots,
            free: worker.free(),
            endpoint: &worker.endpoint,
            memory: worker.memory,
        })
    }

    /// What a job that has not ended has done up to the last event.
    pub fn report(&self, job: JobId) -> Option<JobReport> {
        Some(self.jobs.get(&job)?.report(self.now))
    }

    /// The jobs that have not ended.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.jobs.keys().copied()
    }

    /// One task of a job that has not ended.
    pub fn task(&self, task: TaskId) -> Option<TaskView> {
        let job = self.jobs.get(&task.job)?;
        let at = job.at(task.stage.0, task.index)?;
        let (phase, run) = match job.phase_of(at) {
            Phase::Pending | Phase::Backoff => (TaskPhase::Waiting, None),
            Phase::Running { attempt, worker } => (TaskPhase::Running, Some((attempt, worker))),
            Phase::Done { attempt, worker } => (TaskPhase::Done, Some((attempt, worker))),
            Phase::Spent => (TaskPhase::Spent, None),
        };
        Some(TaskView {
            task,
            phase,
            attempt: run.map(|(attempt, _)| attempt),
            worker: run.and_then(|(_, worker)| self.pool.get(worker)).map(|worker| worker.id),
        })
    }

    /// All tasks of a job that has not ended, stage by stage.
    pub fn tasks(&self, job: JobId) -> impl Iterator<Item = TaskView> {
        let stages = self.jobs.get(&job).map_or(0, |j| j.stages.len() as u32);
        (0..stages).flat_map(move |stage| {
            let tasks = self.jobs.get(&job).map_or(0, |j| j.stages[stage as usize].tasks.len() as u32);
            (0..tasks).filter_map(move |index| self.task(TaskId { job, stage: StageId(stage), index }))
        })
    }
}
