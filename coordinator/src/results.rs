//! Reading a job's result from where its last stage left it, and handing it on batch by batch.
//!
//! Rows come only from accepted attempts. When an output is lost after some of its rows were handed on, a new attempt's
//! rows may continue it only if the stage is `Exact`; otherwise the job ends with an error rather than with a mixture.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use tokio::sync::mpsc;
use windrow_common::{AttemptId, Determinism, Error, ErrorKind, Location, Result, limits};
use windrow_engine::error::classify;
use windrow_engine::exchange::{ExchangeSource, ReadRequest};

/// What the rows of a result are, wherever they lie.
#[derive(Clone, Debug)]
pub struct ResultShape {
    /// The columns, as the engine makes them.
    pub schema: SchemaRef,
    /// Partitions of each output.
    pub partitions: u32,
    /// What another run of a task may change.
    pub determinism: Determinism,
}

/// How far a result was read.
#[derive(Debug)]
pub struct ResultReader {
    source: Arc<dyn ExchangeSource>,
    shape: ResultShape,
    /// The next location to read.
    next: usize,
    /// Rows of it that were handed on already, and the attempt that made them.
    delivered: u64,
    attempt: Option<AttemptId>,
}

/// How reading ended.
#[derive(Debug)]
pub enum Ended {
    /// Every row was handed on.
    Complete,
    /// These outputs are lost; reading can go on when they were made again.
    Lost(Vec<AttemptId>),
    /// Nobody takes the rows any more.
    Unwanted,
}

impl ResultReader {
    /// A reader of a result that nothing was read of yet.
    pub fn new(source: Arc<dyn ExchangeSource>, shape: ResultShape) -> Self {
        Self { source, shape, next: 0, delivered: 0, attempt: None }
    }

    /// Reads on from where it stopped, and hands the rows to `client` for as long as it takes them.
    pub async fn read<T: From<RecordBatch>>(
        &mut self,
        locations: &[Location],
        client: &mpsc::Sender<Result<T>>,
    ) -> Result<Ended> {
        let mut tries = 0;
        'locations: while let Some(location) = locations.get(self.next) {
            let mut skip = self.delivered;
            if skip > 0 && self.attempt != Some(location.attempt) && self.shape.determinism != Determinism::Exact {
                return Err(Error::io(
                    "a part of the result was lost after some of its rows were delivered, and running it again could \
                     give other rows; run the statement again",
                ));
            }
            self.attempt = Some(location.attempt);
            let mut stream = self.source.read(ReadRequest {
                producers: vec![location.clone()],
                partitions: 0..self.shape.partitions,
                schema: Arc::clone(&self.shape.schema),
            });
            while let Some(batch) = stream.next().await {
                let mut batch = match batch {
                    Ok(batch) => batch,
                    // The output may be there still, and only the connection broken: what was not delivered is read again.
                    Err(_) if tries < limits::FETCH_RETRIES => {
                        tries += 1;
                        continue 'locations;
                    }
                    Err(error) => return lost_or_error(classify(&error)),
                };
                let rows = batch.num_rows() as u64;
                if skip >= rows {
                    skip -= rows;
                    continue;
                }
                if skip > 0 {
                    batch = batch.slice(skip as usize, (rows - skip) as usize);
                    skip = 0;
                }
                self.delivered += batch.num_rows() as u64;
                if client.send(Ok(batch.into())).await.is_err() {
                    return Ok(Ended::Unwanted);
                }
            }
            tries = 0;
            self.next += 1;
            self.delivered = 0;
        }
        Ok(Ended::Complete)
    }
}

fn lost_or_error(error: Error) -> Result<Ended> {
    match error.kind {
        ErrorKind::LostInput(attempts) => Ok(Ended::Lost(attempts)),
        _ => Err(error),
    }
}
