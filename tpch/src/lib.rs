//! TPC-H for everybody here who needs it (the command line, the benches, the tests): the data as Parquet files, the 22
//! queries, single-process DataFusion as the oracle, and the comparison of two answers.
//!
//! It knows nothing of Windrow's own engine: what it says is right must not depend on what is being checked.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod compare;
pub mod dataset;
pub mod generate;
pub mod oracle;
pub mod query;
pub mod table;

pub use compare::compare;
pub use dataset::Dataset;
pub use generate::Generator;
pub use oracle::Oracle;
pub use query::Query;
pub use table::Table;
