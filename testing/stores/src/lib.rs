//! Object stores for tests: servers of this process that speak the protocols of S3 and plain HTTP, and that misbehave when
//! told to.
