//! What is delivered is right: every task's contents are those that its inputs make, and all of it comes from one version
//! of every indeterminate task.

use std::collections::BTreeMap;
use std::sync::Arc;

use windrow_common::{JobId, StageGraph};

use super::{Law, Seen};
use crate::sim::contents::{Versions, expected, merge};

#[derive(Default)]
pub struct Contents {
    graphs: BTreeMap<JobId, Arc<StageGraph>>,
    delivered: u64,
    with_versions: u64,
}

impl Law for Contents {
    fn name(&self) -> &'static str {
        "delivered contents are right and of one version"
    }

    fn see(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        match seen {
            Seen::Submitted { job, graph } => {
                self.graphs.insert(*job, Arc::clone(graph));
            }
            Seen::Delivered { job, contents } => {
                let graph = self.graphs.get(job).ok_or(format!("{job} was never submitted"))?;
                let result = graph.result.0;
                if contents.len() != graph.stages[result as usize].tasks.len() {
                    return Err(format!("{job}: {} outputs were delivered", contents.len()));
                }
                let mut versions = Versions::new();
                for (task, content) in contents.iter().enumerate() {
                    if content.mixed || !merge(&mut versions, &content.versions) {
                        return Err(format!("{job}: the result's task {task} mixes two versions"));
                    }
                }
                let mut known = BTreeMap::new();
                for (task, content) in contents.iter().enumerate() {
                    if content.hash != expected(graph, &versions, &mut known, result, task as u32) {
                        return Err(format!("{job}: the result's task {task} has other contents than it should"));
                    }
                }
                self.delivered += 1;
                self.with_versions += u64::from(!versions.is_empty());
            }
            Seen::CancelAsked { .. }
            | Seen::Injected { .. }
            | Seen::Handles { .. }
            | Seen::Handled { .. }
            | Seen::CoordinatorRestarted
            | Seen::Starts { .. }
            | Seen::Frees { .. }
            | Seen::Executes { .. }
            | Seen::Ended { .. }
            | Seen::AllWorkersGone
            | Seen::Quiet { .. } => {}
        }
        Ok(())
    }

    fn exercised(&self) -> Vec<(&'static str, u64)> {
        vec![("results delivered", self.delivered), ("results with indeterminate versions", self.with_versions)]
    }
}
