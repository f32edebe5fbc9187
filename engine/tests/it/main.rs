//! The engine's integration tests: one binary, so that DataFusion is linked once.

mod sink;
