//! The seam between a running plan and the data that other stages left for it.
//!
//! A leaf of a stage's plan asks for ranges of partitions of accepted outputs; whoever runs the plan answers with a stream.
//! A missing or damaged output is a typed error ([`windrow_common::ErrorKind::LostInput`]) that names the attempt,
//! carried as `DataFusionError::External(Box<windrow_common::Error>)`.

use std::fmt::Debug;
use std::ops::Range;

use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use windrow_common::Location;

/// What a leaf wants to read.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// The outputs to read from. Already narrowed to the producers that matter.
    pub producers: Vec<Location>,
    /// The partitions wanted of each of them.
    pub partitions: Range<u32>,
    /// The schema that the batches have.
    pub schema: SchemaRef,
}

/// Gives access to the outputs of other stages.
pub trait ExchangeSource: Debug + Send + Sync {
    /// All batches of the requested partitions of the requested outputs. Batches of different producers may interleave;
    /// those of one partition of one producer come in the order in which they were written. The stream either yields
    /// every row or ends in an error: never a short result. Dropping it stops the reading.
    fn read(&self, request: ReadRequest) -> SendableRecordBatchStream;
}
