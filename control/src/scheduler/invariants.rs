//! What must be true after every event, computed anew from the tasks and compared with the counters.

use std::collections::BTreeSet;

use super::Scheduler;
use super::job::{Job, JobPhase};
use super::placement::check_ready;
use super::pool::Pool;
use super::task::Phase;

impl Scheduler {
    /// Says which rule is broken, if any. Looks at every task: cheap enough for tests, not for a busy scheduler.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.pool.check()?;
        check_ready(&self.ready, &self.jobs)?;
        for (id, job) in &self.jobs {
            check_job(job, &self.pool).map_err(|broken| format!("{id}: {broken}"))?;
            let starving = self.pool.total_slots() == 0 && job.phase == JobPhase::Working;
            if starving != job.starved_since.is_some() {
                return Err(format!("{id}: starving is {starving}, noted as {:?}", job.starved_since));
            }
        }
        Ok(())
    }
}

fn check_job(job: &Job, pool: &Pool) -> Result<(), String> {
    if !job.consequences.is_empty() || !job.effects.cancels.is_empty() || !job.effects.frees.is_empty() {
        return Err("something was left undone".to_owned());
    }
    let mut running = 0;
    let mut slots = 0;
    let mut done = 0;
    for index in 0..job.stages.len() as u32 {
        check_stage(job, index, pool).map_err(|broken| format!("stage-{index}: {broken}"))?;
        for (task, state) in job.stages[index as usize].tasks.iter().enumerate() {
            let at = super::task::TaskAt { stage: index, task: task as u32 };
            if state.phase.is_running() {
                running += 1;
                slots += u64::from(job.slots_of(at));
            }
            done += u32::from(state.phase.is_satisfied());
        }
    }
    if (running, slots, done) != (job.running, job.running_slots, job.done) {
        return Err(format!("{running} run, {done} are done; counted {} and {}", job.running, job.done));
    }
    Ok(())
}

fn check_stage(job: &Job, index: u32, pool: &Pool) -> Result<(), String> {
    let state = &job.stages[index as usize];
    let missing = state.tasks.iter().filter(|t| !t.phase.is_done()).count() as u32;
    let contents = state.tasks.iter().filter(|t| t.has_contents).count() as u32;
    let running = state.tasks.iter().filter(|t| t.phase.is_running()).count() as u32;
    if (missing, contents, running) != (state.missing, state.contents, state.running) {
        return Err(format!("{missing} missing, {contents} with contents, {running} running, and counted otherwise"));
    }
    let mut readers: u64 = u64::from(job.graph.result.0 == index);
    for (consumer, _) in &state.consumers {
        let unsatisfied = job.stages[*consumer as usize].tasks.iter().filter(|t| !t.phase.is_satisfied());
        readers += unsatisfied.count() as u64;
    }
    if readers != state.readers {
        return Err(format!("{readers} readers, counted {}", state.readers));
    }
    let inputs = &job.graph.stages[index as usize].inputs;
    let incomplete = inputs.iter().filter(|i| job.stages[i.exchange.0 as usize].missing > 0).count() as u32;
    if incomplete != state.incomplete_inputs {
        return Err(format!("{incomplete} incomplete inputs, counted {}", state.incomplete_inputs));
    }
    let queue: BTreeSet<u32> = state.queue.iter().copied().collect();
    if queue.len() != state.queue.len() {
        return Err("a task is queued twice".to_owned());
    }
    for (task, entry) in state.tasks.iter().enumerate() {
        let at = format!("task-{task} ({:?})", entry.phase);
        if queue.contains(&(task as u32)) != entry.queued {
            return Err(format!("{at}: queued is {}", entry.queued));
        }
        if (entry.phase == Phase::Spent) != (readers == 0) {
            return Err(format!("{at}: has {readers} readers"));
        }
        match entry.phase {
            Phase::Pending if !entry.queued => return Err(format!("{at}: not queued")),
            Phase::Pending | Phase::Backoff | Phase::Spent => {}
            Phase::Running { attempt, worker } => {
                let Some(holder) = pool.get(worker) else { return Err(format!("{at}: no such worker")) };
                if !holder.connected || !holder.running.contains_key(&attempt) {
                    return Err(format!("{at}: its worker does not run it"));
                }
            }
            Phase::Done { worker, .. } => {
                if !entry.has_contents {
                    return Err(format!("{at}: no contents"));
                }
                let here = pool.get(worker).is_some_and(|w| w.connected);
                let needed = job.phase != JobPhase::Committing && !state.rode_in_report(task as u32);
                if needed && !here {
                    return Err(format!("{at}: its worker is gone"));
                }
            }
        }
    }
    Ok(())
}
