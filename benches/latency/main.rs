//! How long the smallest statement takes: `SELECT 1` over a warm Flight SQL connection to a coordinator with one worker,
//! all over loopback, and where the time goes. The baseline in the same run is a bare call to the same server.
//!
//! `cargo bench -p windrow-benches --bench latency -- --runs 200`; the README beside this directory tells the method.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use arrow_flight::sql::client::FlightSqlServiceClient;
use clap::Parser;
use futures::TryStreamExt;
use tonic::transport::{Channel, Endpoint};
use windrow_common::config::{CoordinatorConfig, WorkerConfig};
use windrow_common::time::Clock;
use windrow_common::{Error, Principal, Result};
use windrow_coordinator::{Coordinator, CoordinatorHandle, ExecutionUpdate, Front};
use windrow_worker::{Worker, WorkerHandle};

mod steps;

use steps::{Step, Steps};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is asked.
const STATEMENT: &str = "SELECT 1";

/// What to measure.
#[derive(Debug, Parser)]
#[command(name = "latency", about = "SELECT 1 over Flight SQL, and where the time goes")]
struct Arguments {
    /// Measured runs
    #[arg(long, default_value = "200")]
    runs: NonZeroU32,
    /// Runs before, which are not measured
    #[arg(long, default_value = "50")]
    warm: u32,
    /// Cores of the worker
    #[arg(long, default_value = "2")]
    cores: NonZeroU32,
    /// Also write the outcome as JSON to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// What `cargo bench` passes to every bench; means nothing here
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.kind.exit_code())
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io(format!("cannot start threads: {error}")))?;
    let steps = runtime.block_on(measure(arguments));
    runtime.shutdown_background();
    let steps = steps?;
    println!("{steps}");
    if let Some(path) = &arguments.json {
        let written = std::fs::write(path, format!("{:#}\n", steps.json()));
        written.map_err(|error| Error::io(format!("cannot write '{}': {error}", path.display())))?;
    }
    Ok(())
}

async fn measure(arguments: &Arguments) -> Result<Steps> {
    let contestants = Contestants::start(arguments.cores.get()).await?;
    let measured = contestants.measure(arguments).await;
    contestants.stop().await;
    measured
}

/// A coordinator with the gateway, a worker, and the two doors through which they are asked.
struct Contestants {
    coordinator: CoordinatorHandle,
    worker: WorkerHandle,
}

impl Contestants {
    async fn start(cores: u32) -> Result<Self> {
        let coordinator = Coordinator::start_with(CoordinatorConfig::default(), windrow_gateway::services()).await?;
        let url = format!("grpc://{}", coordinator.addr());
        let worker = Worker::start(WorkerConfig::with_slots(cores), &url).await?;
        coordinator.wait_for_workers(1).await?;
        Ok(Self { coordinator, worker })
    }

    async fn stop(self) {
        self.worker.shutdown().await;
        self.coordinator.shutdown().await;
    }

    async fn measure(&self, arguments: &Arguments) -> Result<Steps> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.coordinator.addr()))
            .map_err(|e| Error::internal(format!("the coordinator's address: {e}")))?
            .tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|e| Error::unavailable(format!("no connection: {e}")))?;
        let mut flight = Flight { client: FlightSqlServiceClient::new(channel), clock: Clock::start() };
        let front = self.coordinator.front();
        let mut steps = Steps::new(arguments.runs.get());
        for run in 0..arguments.warm + arguments.runs.get() {
            let mut times = vec![];
            // In turns, so that a slow minute of the machine favours nobody.
            flight.bare(&mut times).await?;
            flight.statement(&mut times).await?;
            inside(&front, &mut times).await?;
            if run >= arguments.warm {
                steps.add(&times);
            }
        }
        Ok(steps)
    }
}

/// A time that was taken.
type Taken = (Step, Duration);

/// The connection of a client.
struct Flight {
    client: FlightSqlServiceClient<Channel>,
    clock: Clock,
}

impl Flight {
    /// The baseline: a call that the server answers from what it has at hand.
    async fn bare(&mut self, times: &mut Vec<Taken>) -> Result<()> {
        let start = self.clock.now();
        let answer = self.client.inner_mut().list_actions(arrow_flight::Empty {}).await.map_err(failed)?;
        let actions: Vec<_> = answer.into_inner().try_collect().await.map_err(failed)?;
        times.push((Step::Bare, self.clock.now().since(start)));
        if actions.is_empty() { Err(Error::internal("the server knows no actions")) } else { Ok(()) }
    }

    /// The two calls of a statement.
    async fn statement(&mut self, times: &mut Vec<Taken>) -> Result<()> {
        let start = self.clock.now();
        let info = self.client.execute(STATEMENT.to_owned(), None).await.map_err(failed)?;
        let informed = self.clock.now();
        let ticket = info.endpoint.into_iter().next().and_then(|endpoint| endpoint.ticket);
        let ticket = ticket.ok_or_else(|| Error::internal("an answer without a ticket"))?;
        let rows: Vec<_> = self.client.do_get(ticket).await.map_err(failed)?.try_collect().await.map_err(failed)?;
        let end = self.clock.now();
        times.push((Step::GetFlightInfo, informed.since(start)));
        times.push((Step::DoGet, end.since(informed)));
        times.push((Step::Statement, end.since(start)));
        let count: usize = rows.iter().map(|batch| batch.num_rows()).sum();
        if count == 1 { Ok(()) } else { Err(Error::internal(format!("{count} rows"))) }
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::io(error.to_string())
}

/// The same statement inside the coordinator, without the network between it and its client.
async fn inside(front: &Front, times: &mut Vec<Taken>) -> Result<()> {
    let session = front.open(Principal::anonymous())?;
    let clock = Clock::start();
    let described = clock.now();
    front.describe(&session, STATEMENT.into()).await?;
    let start = clock.now();
    times.push((Step::Describe, start.since(described)));
    let mut statement = front.execute(&session, STATEMENT.into())?;
    let (mut accepted, mut running, mut rows) = (start, None, start);
    while let Some(update) = statement.next().await {
        let now = clock.now();
        match update? {
            ExecutionUpdate::Accepted { .. } => {
                accepted = now;
                times.push((Step::Accepted, now.since(start)));
            }
            // News of progress may be passed over: a task that is done already was never seen running.
            ExecutionUpdate::Progress { running: 1.., .. } if running.is_none() => running = Some(now),
            // Rows are not asked for part by part here.
            ExecutionUpdate::Progress { .. } | ExecutionUpdate::Direct(_) => {}
            ExecutionUpdate::Batch(_) => {
                rows = now;
                times.push((Step::Rows, now.since(accepted)));
            }
            ExecutionUpdate::Done(report) => {
                let ran = report.stages.iter().map(|stage| stage.busy_micros).sum();
                times.push((Step::TaskRuns, Duration::from_micros(ran)));
                times.push((Step::Done, now.since(rows)));
                times.push((Step::Inside, now.since(start)));
            }
        }
    }
    times.extend(running.map(|seen| (Step::TaskStarts, seen.since(accepted))));
    front.sessions().close(session.id());
    Ok(())
}
