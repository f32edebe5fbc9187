//! Every bound in one place, each with its reason, and const assertions between those that depend on one another.

use std::time::Duration;

/// Runs of one task before the job fails with the first cause. Lost workers and lost inputs do not count.
pub const MAX_ATTEMPTS: u32 = 4;
/// Runs of one task for any reason, so that even blameless losses cannot go on for ever.
pub const MAX_ATTEMPTS_WITH_LOSSES: u32 = 64;
/// Ended attempts that a worker remembers, so that a late message cannot bring one back.
pub const MAX_TOMBSTONES: usize = 65_536;
/// Jobs that may be passed over in one scheduling round because their next task fits on no worker now.
pub const MAX_PASSED_OVER: usize = 64;
/// Tries of one step of an output commit before it is given up (before the decision) or left for later (after it).
pub const MAX_COMMIT_TRIES: u32 = 8;
/// First pause before a step of an output commit is tried again; doubles, up to [`RETRY_BACKOFF_MAX`].
pub const COMMIT_BACKOFF: Duration = Duration::from_millis(50);
/// Files of one output commit that are published at once.
pub const COMMIT_CONCURRENCY: usize = 32;
/// First pause before a failed task is tried again; doubles with each failure.
pub const RETRY_BACKOFF: Duration = Duration::from_millis(100);
/// Longest pause before a failed task is tried again.
pub const RETRY_BACKOFF_MAX: Duration = Duration::from_secs(10);
/// How often a worker says that it is alive.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Silence after which a worker is taken for dead.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a job waits for a worker when there is none, before it fails.
pub const NO_WORKER_PATIENCE: Duration = Duration::from_secs(30);
/// Outputs up to this many bytes may ride in the report.
pub const INLINE_OUTPUT_BYTES: usize = 64 << 10;
/// Bytes that the value of a scalar subquery, or the list of files that a task wrote, may have: they ride in a report.
pub const MAX_INLINE_BYTES: usize = 16 << 20;
/// Bytes of a blob that travel in one message.
pub const BLOB_CHUNK_BYTES: usize = 1 << 20;
/// Bytes of shuffled batches that travel in one message, before one batch alone exceeds it.
pub const EXCHANGE_MESSAGE_BYTES: usize = 4 << 20;
/// The largest single gRPC message that any of our ends accepts.
pub const MAX_MESSAGE_BYTES: usize = 256 << 20;
/// HTTP/2 window of a stream between the parts: the default of 64 KiB starves bulk transfers.
pub const HTTP2_STREAM_WINDOW: u32 = 8 << 20;
/// HTTP/2 window of a connection between the parts.
pub const HTTP2_CONNECTION_WINDOW: u32 = 32 << 20;
/// Messages waiting in one direction of a worker's stream.
pub const LINK_QUEUE: usize = 1024;
/// Messages waiting between a fetching stream and the operator that reads it, for each reading partition.
pub const FETCH_QUEUE: usize = 4;
/// Concurrent fetch streams of one reading partition, each to another worker.
pub const FETCH_STREAMS: usize = 8;
/// How long opening a connection may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long handing over a script may take, upload and all.
pub const SUBMIT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a worker may take to say what it runs and holds, before it is shown as not answering.
pub const COUNT_PATIENCE: Duration = Duration::from_secs(1);
/// How many times a fetch is tried again on the same location before its output counts as lost.
pub const FETCH_RETRIES: u32 = 2;
/// Requests of one process to one object store that are in flight, bodies included.
pub const STORE_REQUESTS: usize = 256;
/// How long a request waits for its turn among [`STORE_REQUESTS`] before it goes ahead all the same.
pub const STORE_REQUEST_PATIENCE: Duration = Duration::from_secs(30);
/// How long one request to an object store may take, body and all, before it is tried again.
pub const STORE_REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// How often a request to an object store is tried again after throttling, a 5xx or a broken connection.
pub const STORE_RETRIES: usize = 10;
/// First pause before a request to an object store is tried again; doubles, up to [`STORE_BACKOFF_MAX`].
pub const STORE_BACKOFF: Duration = Duration::from_millis(100);
/// Longest pause before a request to an object store is tried again.
pub const STORE_BACKOFF_MAX: Duration = Duration::from_secs(15);
/// How long a request to an object store is tried again at all.
pub const STORE_RETRY_TIMEOUT: Duration = Duration::from_secs(180);
/// How often one page of a listing is asked for again after its answer broke off.
pub const STORE_PAGE_RETRIES: u32 = 3;
/// Clients of object stores that one process keeps, for those who name ever more of them.
pub const STORE_CLIENTS: usize = 256;
/// Bytes of malformed rows that one task may leave out and keep for a `rejects` location.
pub const MAX_REJECTED_BYTES: usize = 64 << 20;
/// Ranges of one file that one reader reads at once.
pub const STORE_RANGES_AT_ONCE: usize = 10;
/// Bytes between two ranges that are rather read than asked around: a request costs more.
pub const STORE_RANGE_GAP: u64 = 1 << 20;
/// Bytes that ranges merged into one request may have.
pub const STORE_MERGED_RANGE: u64 = 16 << 20;
/// Nested operators of one stage's plan that are accepted.
pub const MAX_PLAN_DEPTH: usize = 512;
/// Nested levels of one expression that are accepted.
pub const MAX_EXPRESSION_DEPTH: usize = 4096;
/// Operators of a statement that may come to stand above each other when it is parsed.
pub const MAX_OPERATOR_CHAIN: usize = 4 * MAX_EXPRESSION_DEPTH;
/// Stack that encoding and decoding a plan of the greatest depth may need.
pub const PLAN_STACK_BYTES: usize = 64 << 20;
/// Stack of the threads that plan and of those that run operators: both descend into nested expressions.
pub const THREAD_STACK_BYTES: usize = 32 << 20;
/// Bytes of SQL text in one submission.
pub const MAX_SQL_BYTES: usize = 16 << 20;
/// Bytes of an error's text on the wire.
pub const MAX_ERROR_BYTES: usize = 4 << 10;
/// Jobs that may be queued or running at once.
pub const MAX_JOBS: usize = 10_000;
/// Submitted scripts that have ended and are remembered, with their keys.
pub const MAX_ENDED_SCRIPTS: usize = 10_000;
/// Statements of sessions that have ended and are remembered. Apart from scripts, whose keys they must not push out.
pub const MAX_ENDED_STATEMENTS: usize = 1_000;
/// Bytes of a job's text that are remembered for showing it.
pub const JOB_TEXT_BYTES: usize = 1 << 10;
/// Bytes of the key that a client chooses for a job.
pub const MAX_JOB_KEY_BYTES: usize = 256;
/// Statements of one submitted script.
pub const MAX_SCRIPT_STATEMENTS: usize = 10_000;
/// Sessions that may be open at once.
pub const MAX_SESSIONS: usize = 10_000;
/// Silence after which a session without a running statement is closed.
pub const SESSION_IDLE: Duration = Duration::from_secs(3600);
/// How long the answer of a statement waits for a client that does not ask for it, before the statement is cancelled; and
/// how long a part of a large result waits for a client that takes nothing of it.
pub const TICKET_PATIENCE: Duration = Duration::from_secs(300);
/// Prepared statements of one session, and answers of one session that wait to be fetched.
pub const MAX_STATEMENTS_PER_SESSION: usize = 1_000;
/// Rows of values for the parameters of one INSERT … VALUES.
pub const MAX_PARAMETER_ROWS: usize = 10_000;
/// Rows of values for the parameters of any other statement: each becomes a branch of its plan.
pub const MAX_PARAMETER_UNION: usize = 256;
/// Bytes of values for the parameters of one statement.
pub const MAX_PARAMETER_BYTES: usize = 16 << 20;
/// Bytes of rows in one message to a client of ours or of others: many take messages of at most 4 MiB.
pub const RESULT_MESSAGE_BYTES: usize = 2 << 20;
/// Encoded messages that wait for a slow client.
pub const RESULT_QUEUE: usize = 2;
/// Bytes from which on the rows of a result may be read from the workers themselves; a smaller one comes sooner through
/// the coordinator, for a connection to a worker costs more than it saves.
pub const DIRECT_RESULT_BYTES: u64 = 4 << 20;
/// How long GetFlightInfo waits for a result whose rows may be read from the workers. Then it answers without their
/// places, so that every client comes to know the columns and can cancel what goes on for long.
pub const DIRECT_RESULT_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of the tickets for one result's parts: they travel in one message, and many clients take 4 MiB.
pub const DIRECT_TICKETS_BYTES: usize = 1 << 20;
/// Clients that read one part of a large result at the same moment: each costs its worker a full queue of messages.
pub const DIRECT_READS_PER_PART: u32 = 4;
/// Memory that the rows of one ingestion may take while they are written.
pub const INGEST_MEMORY_BYTES: usize = 256 << 20;
/// Batches of one ingestion that wait to be written.
pub const INGEST_QUEUE: usize = 2;
/// Tasks of one stage.
pub const MAX_TASKS_PER_STAGE: usize = 1_000_000;
/// Partitions of one exchange.
pub const MAX_PARTITIONS: usize = 65_536;
/// Encoded plans that a worker keeps.
pub const PLAN_CACHE_BYTES: u64 = 256 << 20;
/// The version of the protocol between all parts. Both ends must name the same one.
pub const PROTOCOL_VERSION: u32 = 1;

const _: () = assert!(HEARTBEAT_INTERVAL.as_millis() * 3 < HEARTBEAT_TIMEOUT.as_millis());
const _: () = assert!(CONNECT_TIMEOUT.as_millis() < SUBMIT_TIMEOUT.as_millis() && MAX_SQL_BYTES < MAX_MESSAGE_BYTES);
const _: () = assert!(COUNT_PATIENCE.as_millis() < CONNECT_TIMEOUT.as_millis());
const _: () = assert!(RETRY_BACKOFF.as_millis() < RETRY_BACKOFF_MAX.as_millis());
const _: () = assert!(BLOB_CHUNK_BYTES < MAX_MESSAGE_BYTES && EXCHANGE_MESSAGE_BYTES < MAX_MESSAGE_BYTES);
const _: () = assert!(INLINE_OUTPUT_BYTES < MAX_MESSAGE_BYTES);
const _: () = assert!(TICKET_PATIENCE.as_millis() < SESSION_IDLE.as_millis());
const _: () = assert!(DIRECT_RESULT_PATIENCE.as_millis() < TICKET_PATIENCE.as_millis());
const _: () = assert!(INLINE_OUTPUT_BYTES < DIRECT_RESULT_BYTES as usize && DIRECT_TICKETS_BYTES < MAX_MESSAGE_BYTES);
const _: () = assert!(RESULT_MESSAGE_BYTES < MAX_MESSAGE_BYTES && MAX_PARAMETER_BYTES < MAX_MESSAGE_BYTES);
const _: () = assert!(MAX_PARAMETER_UNION <= MAX_PARAMETER_ROWS);
const _: () = assert!(MAX_ATTEMPTS < MAX_ATTEMPTS_WITH_LOSSES);
