//! Logs: to stderr, as `WINDROW_LOG` says.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The environment variable with what to log, for example `debug` or `warn,windrow_worker=debug`.
pub const VARIABLE: &str = "WINDROW_LOG";

/// Starts logging; `default` is what is logged when the variable is not set.
pub fn start(default: &str) {
    let filter = std::env::var(VARIABLE).ok().and_then(|text| EnvFilter::try_new(text).ok());
    // Fails only when a host program has set up logging already, and then its way stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new(default)))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}
