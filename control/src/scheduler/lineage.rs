//! Who depends on whom: what an accepted, a lost, a changed or a released output means for the other tasks of its job.
//!
//! Three rules carry everything:
//!
//! 1. *Demand.* An exchange is wanted while a consumer task is unsatisfied (pending, waiting or running), or while it is
//!    the result and not released. When it is wanted no more, its outputs are freed and re-runs of its tasks are
//!    dropped; when it is wanted again, its tasks run again, and want their own inputs in turn.
//! 2. *Loss.* An output that is lost while it is wanted makes its task pending again, and nothing else. Running
//!    consumers are left alone: they may have read it already, or will say that they could not.
//! 3. *Change.* Consumers pin what they read without a word being stored: the contents of a task stay the same until a
//!    re-run of an `Indeterminate` one is accepted in their place, and at that moment every consumer that runs, or whose
//!    own contents came from the old ones, is undone, and all that came from it. So whatever is running or has
//!    contents has read the contents that its producers have.

use windrow_common::{AttemptId, Determinism, OutputReport, WorkerId};

use super::job::{Consequence, Job};
use super::pool::WorkerIndex;
use super::stage::depends;
use super::task::{Phase, TaskAt};

impl Job {
    /// The running attempt has finished and counts from now on.
    pub(crate) fn accept(
        &mut self,
        at: TaskAt,
        attempt: AttemptId,
        worker: (WorkerIndex, WorkerId),
        mut output: OutputReport,
    ) {
        let sink = self.graph.commits && at.stage == self.graph.result.0;
        let changes = self.graph.stages[at.stage as usize].determinism == Determinism::Indeterminate;
        let rides = self.rides_in_report(at.stage);
        let stage = &mut self.stages[at.stage as usize];
        stage.count_output(at.task, worker.1, &output);
        if sink {
            stage.sink_reports.insert(at.task, output);
        } else if let (true, Some(inline)) = (rides, output.inline.take()) {
            stage.inline.insert(at.task, inline);
        }
        let task = &mut stage.tasks[at.task as usize];
        if !task.has_contents {
            task.has_contents = true;
            stage.contents += 1;
        } else if changes && self.undoes {
            self.consequences.push(Consequence::Changed(at));
        }
        self.set_phase(at, Phase::Done { attempt, worker: worker.0 });
        self.settle();
    }

    /// The running attempt came to nothing, and nobody is to blame: the task waits for a slot again.
    pub(crate) fn requeue(&mut self, at: TaskAt) {
        self.stages[at.stage as usize].failed_attempts += 1;
        self.set_phase(at, Phase::Pending);
        self.settle();
    }

    /// An output went with its worker's connection. Contents that rode in the report stay.
    pub(crate) fn lose_with_worker(&mut self, at: TaskAt, worker: WorkerIndex) {
        let Phase::Done { attempt, worker: holder } = self.phase_of(at) else { return };
        let stage = &mut self.stages[at.stage as usize];
        if holder != worker || stage.rode_in_report(at.task) {
            return;
        }
        stage.adoptable.insert(at.task, attempt);
        self.set_phase(at, Phase::Pending);
        self.settle();
    }

    /// Somebody could not read this output. False if it is not the one that counts.
    pub(crate) fn lose_output(&mut self, attempt: AttemptId) -> bool {
        let Some(at) = self.at_of(attempt) else { return false };
        let stage = &mut self.stages[at.stage as usize];
        if stage.adoptable.get(&at.task) == Some(&attempt) {
            stage.adoptable.remove(&at.task);
        }
        match self.phase_of(at) {
            Phase::Done { attempt: accepted, worker } if accepted == attempt => {
                self.forget_output(at);
                self.effects.frees.push((worker, attempt));
                self.set_phase(at, Phase::Pending);
                self.settle();
                true
            }
            Phase::Pending | Phase::Backoff | Phase::Running { .. } | Phase::Done { .. } | Phase::Spent => false,
        }
    }

    /// A worker that was lost came back and still holds this output: if the task waits to be run again for want of it,
    /// it counts again. Contents cannot have changed meanwhile, or it would not be adoptable any more.
    pub(crate) fn adopt(&mut self, at: TaskAt, attempt: AttemptId, worker: WorkerIndex) -> bool {
        if self.stages[at.stage as usize].adoptable.get(&at.task) != Some(&attempt) {
            return false;
        }
        match self.phase_of(at) {
            Phase::Pending | Phase::Backoff => {
                self.stages[at.stage as usize].adoptable.remove(&at.task);
                self.set_phase(at, Phase::Done { attempt, worker });
                self.settle();
                true
            }
            Phase::Running { .. } | Phase::Done { .. } | Phase::Spent => false,
        }
    }

    fn forget_output(&mut self, at: TaskAt) {
        let stage = &mut self.stages[at.stage as usize];
        stage.inline.remove(&at.task);
        stage.sink_reports.remove(&at.task);
    }

    /// Draws all consequences that were noted.
    pub(crate) fn settle(&mut self) {
        while let Some(consequence) = self.consequences.pop() {
            match consequence {
                Consequence::Released(exchange) => self.released(exchange),
                Consequence::Wanted(exchange) => self.wanted(exchange),
                Consequence::Changed(at) => self.changed(at),
            }
        }
    }

    fn released(&mut self, exchange: u32) {
        if self.stages[exchange as usize].readers > self.freed_at {
            return;
        }
        for task in 0..self.stages[exchange as usize].tasks.len() as u32 {
            let at = TaskAt { stage: exchange, task };
            match self.phase_of(at) {
                Phase::Done { attempt, worker } => self.effects.frees.push((worker, attempt)),
                Phase::Running { attempt, worker } => self.effects.cancels.push((worker, attempt)),
                Phase::Pending | Phase::Backoff => {}
                Phase::Spent => continue,
            }
            self.set_phase(at, Phase::Spent);
        }
        let stage = &mut self.stages[exchange as usize];
        stage.inline.clear();
        stage.sink_reports.clear();
        stage.adoptable.clear();
    }

    fn wanted(&mut self, exchange: u32) {
        if self.stages[exchange as usize].readers == 0 {
            return;
        }
        for task in 0..self.stages[exchange as usize].tasks.len() as u32 {
            let at = TaskAt { stage: exchange, task };
            if self.phase_of(at) == Phase::Spent {
                self.set_phase(at, Phase::Pending);
            }
        }
    }

    /// Undoes every consumer that has read the old contents of this output.
    fn changed(&mut self, producer: TaskAt) {
        let graph = std::sync::Arc::clone(&self.graph);
        let maker = &graph.stages[producer.stage as usize];
        for i in 0..self.stages[producer.stage as usize].consumers.len() {
            let (consumer, input) = self.stages[producer.stage as usize].consumers[i];
            let state = &self.stages[consumer as usize];
            if state.running == 0 && state.contents == 0 {
                continue;
            }
            let stage = &graph.stages[consumer as usize];
            for task in 0..stage.tasks.len() as u32 {
                if depends(stage, input, task, maker, producer.task) {
                    self.undo(TaskAt { stage: consumer, task });
                }
            }
        }
    }

    fn undo(&mut self, at: TaskAt) {
        let stage = &mut self.stages[at.stage as usize];
        stage.adoptable.remove(&at.task);
        let task = &mut stage.tasks[at.task as usize];
        if task.has_contents {
            task.has_contents = false;
            stage.contents -= 1;
            self.consequences.push(Consequence::Changed(at));
        }
        match self.phase_of(at) {
            Phase::Running { attempt, worker } => self.effects.cancels.push((worker, attempt)),
            Phase::Done { attempt, worker } => {
                self.forget_output(at);
                self.effects.frees.push((worker, attempt));
            }
            // A spent task is run again if somebody downstream, undone like it, wants it.
            Phase::Pending | Phase::Backoff | Phase::Spent => return,
        }
        self.set_phase(at, Phase::Pending);
    }
}
