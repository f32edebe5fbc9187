//! What the heavy tests share: clusters whose workers live in this process and talk over real connections, a way to run
//! the stages of a plan by hand, and small tables with everything that makes joins go wrong.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod cluster;
pub mod slt;
pub mod stages;
pub mod tables;
