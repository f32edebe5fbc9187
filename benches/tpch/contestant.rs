//! Who is measured.

use std::time::Duration;

use windrow::{Deployment, Session};
use windrow_cli::local_cluster::{LocalCluster, LocalClusterConfig};
use windrow_common::config::default_memory;
use windrow_common::time::Clock;
use windrow_common::{Error, Result};
use windrow_tpch::{Dataset, Oracle, Query};

use crate::Times;

/// Their number.
pub const COUNT: usize = 3;

/// Their names, in the order of [`Times`].
pub const NAMES: [&str; COUNT] = ["DataFusion", "embedded", "cluster"];

/// All of them, ready to run.
pub struct Contestants {
    datafusion: Oracle,
    embedded: Session,
    cluster_session: Session,
    cluster: LocalCluster,
}

impl Contestants {
    /// Starts them, each with the same cores, and tells them of the tables.
    pub async fn start(data: &Dataset, cores: u32) -> Result<Contestants> {
        let datafusion = Oracle::new(cores)?;
        let embedded = Session::open(Deployment::Embedded { cores, memory: default_memory() }).await?;
        let cluster = LocalCluster::start(LocalClusterConfig::new(cores, 1)?).await?;
        let cluster_session = Session::open(Deployment::Remote { url: cluster.url() }).await?;
        cluster_session.execute("SET windrow.fast_path = 'off'").await?.collect().await?;
        for sql in data.create_tables() {
            datafusion.run(&sql).await?;
            embedded.execute(&sql).await?.collect().await?;
            cluster_session.execute(&sql).await?.collect().await?;
        }
        Ok(Contestants { datafusion, embedded, cluster_session, cluster })
    }

    /// Runs one query on each of them, one after another, the first of them chosen by `turn`. An error if they do not
    /// give the same number of rows.
    pub async fn run(&self, query: Query, turn: usize) -> Result<Times> {
        let mut times = [Duration::ZERO; COUNT];
        let mut rows = [0; COUNT];
        for step in 0..COUNT {
            let who = (turn + step) % COUNT;
            (times[who], rows[who]) = self.run_one(who, query).await.map_err(|e| e.context(NAMES[who]))?;
        }
        if rows.iter().any(|count| *count != rows[0]) {
            return Err(Error::internal(format!("{query}: {NAMES:?} gave {rows:?} rows")));
        }
        Ok(times)
    }

    async fn run_one(&self, who: usize, query: Query) -> Result<(Duration, usize)> {
        let session = match who {
            0 => {
                let (batches, elapsed) = self.datafusion.run(query.sql()).await?;
                return Ok((elapsed, batches.iter().map(|batch| batch.num_rows()).sum()));
            }
            1 => &self.embedded,
            _ => &self.cluster_session,
        };
        let clock = Clock::start();
        let start = clock.now();
        let (batches, _) = session.execute(query.sql()).await?.collect().await?;
        Ok((clock.now().since(start), batches.iter().map(|batch| batch.num_rows()).sum()))
    }

    /// Stops the processes.
    pub async fn stop(self) {
        self.embedded.close().await;
        self.cluster_session.close().await;
        self.cluster.shutdown().await;
    }
}
