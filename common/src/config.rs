//! Knobs of the parts, parsed once into types. The defaults here serve code, command line and documentation alike.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::bytesize::ByteSize;
use crate::limits;

/// Share of the machine's memory that a worker's budget takes unless told otherwise, in percent.
pub const DEFAULT_MEMORY_PERCENT: u64 = 70;

/// The environment variable that names the file of stores.
pub const STORES_VARIABLE: &str = "WINDROW_STORES";

/// How object stores are reached, and which places statements may read and write.
#[derive(Clone, Debug, Default)]
pub struct StoreAccess {
    /// The file of stores; none: the environment says all.
    pub file: Option<PathBuf>,
    /// The places; none: everything for those on this machine, and nothing for others.
    pub allow: Vec<String>,
}

impl StoreAccess {
    /// As the environment says it.
    pub fn from_environment() -> Self {
        Self { file: std::env::var_os(STORES_VARIABLE).map(PathBuf::from), allow: vec![] }
    }
}

/// Settings of a worker.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Slots: tasks of one core each that run at once.
    pub slots: u32,
    /// The one byte budget over operators, shuffle, fetch and results.
    pub memory: ByteSize,
    /// Where the shuffle server listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where spilled data goes; a fresh directory inside it is made and removed by the worker.
    pub scratch: PathBuf,
    /// How it reaches object stores.
    pub stores: StoreAccess,
}

/// Settings of a coordinator.
#[derive(Clone, Debug)]
pub struct CoordinatorConfig {
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Silence after which a worker is taken for dead.
    pub heartbeat_timeout: Duration,
    /// How long a job waits for a worker when there is none.
    pub no_worker_patience: Duration,
    /// Where `CREATE TABLE AS` without a location puts its tables; none: a temporary directory, removed at the end.
    pub warehouse: Option<PathBuf>,
    /// How it reaches object stores, and what statements may.
    pub stores: StoreAccess,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            heartbeat_timeout: limits::HEARTBEAT_TIMEOUT,
            no_worker_patience: limits::NO_WORKER_PATIENCE,
            warehouse: None,
            stores: StoreAccess::from_environment(),
        }
    }
}

impl WorkerConfig {
    /// Settings for a worker with this many slots, a budget taken from the machine, and a port of the system's choice.
    pub fn with_slots(slots: u32) -> Self {
        Self {
            slots,
            memory: default_memory(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            scratch: std::env::temp_dir(),
            stores: StoreAccess::from_environment(),
        }
    }
}

/// The cores that this process may use.
pub fn default_cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
}

/// [`DEFAULT_MEMORY_PERCENT`] of what the control group or, failing that, the host has.
pub fn default_memory() -> ByteSize {
    let total = cgroup_limit().or_else(host_memory).unwrap_or(4 << 30);
    ByteSize(total / 100 * DEFAULT_MEMORY_PERCENT)
}

fn cgroup_limit() -> Option<u64> {
    let host = host_memory().unwrap_or(u64::MAX);
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok())
        .find(|limit| *limit < host)
}

fn host_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}
