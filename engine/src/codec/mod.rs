//! Plans as bytes. One stage's plan travels as one [`messages::StageBlob`]: the plan, how its output is divided, and the
//! settings under which its functions are rebuilt. What differs between the tasks of a stage (file splits, exchange
//! slices, scalar values) is not in the blob but is bound into the instance when it is decoded.
//!
//! Built on datafusion-proto, and ours where that falls short: leaves are separated from their data, entity tags and
//! versions of files are kept, scalar subqueries become values, and nesting has a limit of ours with a clear error.
//!
//! Protobuf types appear only here and in `windrow-proto`.

pub mod decode;
pub mod encode;
mod equalities;
mod messages;
pub mod splits;
mod windows;

pub use decode::{AttemptInputs, StageDecoder, StageInstance};
pub use encode::{EncodedStage, OutputDivision, ScalarBinding, encode_stage};
