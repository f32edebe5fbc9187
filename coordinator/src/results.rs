//! Reading a job's result from where its last stage left it, and handing it on batch by batch.
//!
//! Rows come only from accepted attempts. When an output is lost after some of its rows were handed on, a new attempt's
//! rows may continue it only if the stage is `Exact`; otherwise the job ends with an error rather than with a mixture. When
//! any stage is `Indeterminate`, that goes for all outputs together: what was handed on of one must still count when
//! another is read.

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
    /// The attempts of the locations that were handed on whole, in order.
    whole: Vec<AttemptId>,
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
        Self { source, shape, next: 0, delivered: 0, attempt: None, whole: vec![] }
    }

    /// Reads on from where it stopped, and hands the rows to `client` for as long as it takes them.
    pub async fn read<T: From<RecordBatch>>(
        &mut self,
        locations: &[Location],
        client: &mpsc::Sender<Result<T>>,
    ) -> Result<Ended> {
        if self.shape.determinism == Determinism::Indeterminate && self.is_replaced(locations) {
            return Err(mixed());
        }
        let mut tries = 0;
        'locations: while let Some(location) = locations.get(self.next) {
            let mut skip = self.delivered;
            if skip > 0 && self.attempt != Some(location.attempt) && self.shape.determinism != Determinism::Exact {
                return Err(mixed());
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
            self.whole.push(location.attempt);
        }
        Ok(Ended::Complete)
    }

    /// Whether another attempt counts now in place of one whose rows were handed on.
    fn is_replaced(&self, locations: &[Location]) -> bool {
        let whole = self.whole.iter().zip(locations).any(|(was, now)| *was != now.attempt);
        let current = locations.get(self.next).is_some_and(|now| Some(now.attempt) != self.attempt);
        whole || (self.delivered > 0 && current)
    }
}

fn mixed() -> Error {
    Error::io(
        "a part of the result was lost after some of its rows were delivered, and running it again could \
         give other rows; run the statement again",
    )
}

fn lost_or_error(error: Error) -> Result<Ended> {
    match error.kind {
        ErrorKind::LostInput(attempts) => Ok(Ended::Lost(attempts)),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::error::DataFusionError;
    use datafusion::execution::SendableRecordBatchStream;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use windrow_common::{Incarnation, WorkerId};

    use super::*;

    /// Gives one row for each batch of an attempt; what is there of a lost one, and then the error.
    #[derive(Debug)]
    struct Outputs {
        rows: BTreeMap<AttemptId, Vec<i64>>,
        lost: Vec<AttemptId>,
    }

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
    }

    impl ExchangeSource for Outputs {
        fn read(&self, request: ReadRequest) -> SendableRecordBatchStream {
            let attempt = request.producers[0].attempt;
            let batch = |n: &i64| RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(vec![*n]))]).unwrap();
            let rows = self.rows.get(&attempt).into_iter().flatten();
            let mut items: Vec<_> = rows.map(|n| Ok(batch(n))).collect();
            if self.lost.contains(&attempt) {
                let lost = Error::new(ErrorKind::LostInput(vec![attempt]), "gone");
                items.push(Err(DataFusionError::External(Box::new(lost))));
            }
            Box::pin(RecordBatchStreamAdapter::new(schema(), futures::stream::iter(items)))
        }
    }

    fn location(task: u32, attempt: u128) -> Location {
        let (worker, incarnation) = (WorkerId(1), Incarnation(1));
        let endpoint = "127.0.0.1:1".to_owned();
        Location { task, attempt: AttemptId(attempt), worker, incarnation, endpoint, inline: None }
    }

    /// Reads parts 1 and 2, of which 2 is lost after the rows given here; then these places. The rows of all that.
    async fn read_twice(determinism: Determinism, of_lost: Vec<i64>, again: [Location; 2]) -> Result<Vec<i64>> {
        let rows = [(1, vec![10]), (2, of_lost), (3, vec![10]), (4, vec![20, 21])];
        let rows = rows.into_iter().map(|(attempt, rows)| (AttemptId(attempt), rows)).collect();
        let source = Arc::new(Outputs { rows, lost: vec![AttemptId(2)] });
        let mut reader = ResultReader::new(source, ResultShape { schema: schema(), partitions: 1, determinism });
        let (client, mut received) = mpsc::channel::<Result<RecordBatch>>(16);
        let ended = reader.read(&[location(0, 1), location(1, 2)], &client).await?;
        assert!(matches!(ended, Ended::Lost(attempts) if attempts == [AttemptId(2)]));
        assert!(matches!(reader.read(&again, &client).await?, Ended::Complete));
        drop(client);
        let mut numbers = vec![];
        while let Some(batch) = received.recv().await {
            numbers.extend_from_slice(batch?.column(0).as_primitive::<Int64Type>().values());
        }
        Ok(numbers)
    }

    #[tokio::test]
    async fn what_was_handed_on_of_an_indeterminate_result_is_not_continued_by_another_generation() {
        use Determinism::{Exact, Indeterminate, SameMultiset};
        let same = || [location(0, 1), location(1, 4)];
        let replaced = || [location(0, 3), location(1, 4)];
        let all = vec![10, 20, 21];
        // The first part was handed on whole, and nothing of the lost one.
        assert_eq!(read_twice(Indeterminate, vec![], same()).await.unwrap(), all);
        assert_eq!(read_twice(SameMultiset, vec![], replaced()).await.unwrap(), all);
        let error = read_twice(Indeterminate, vec![], replaced()).await.unwrap_err();
        assert!(error.message.contains("run the statement again"), "{error}");
        // A row of the lost part was handed on.
        assert_eq!(read_twice(Exact, vec![20], replaced()).await.unwrap(), all);
        for determinism in [SameMultiset, Indeterminate] {
            assert!(read_twice(determinism, vec![20], same()).await.is_err());
        }
    }
}
