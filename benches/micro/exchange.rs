//! The exchange: handing an output over within a process, encoding and decoding blocks, and one stream over loopback.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use windrow_common::{AttemptId, ByteSize, Incarnation, JobId, Location, WorkerId};
use windrow_engine::exchange::block::{BlockEncoder, Compression, decode};
use windrow_engine::exchange::{ExchangeSource, ReadRequest};
use windrow_worker::fetch::WorkerExchange;
use windrow_worker::{Budget, ShuffleStore, server};

const ROWS: i64 = 65_536;
const COLUMNS: i64 = 8;
const BATCHES: usize = 64;

fn batch() -> RecordBatch {
    let column = |c: i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..ROWS).map(|i| i * 7 + c))) };
    let fields: Vec<Field> = (0..COLUMNS).map(|c| Field::new(format!("c{c}"), DataType::Int64, false)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), (0..COLUMNS).map(column).collect()).expect("a batch")
}

fn blocks(criterion: &mut Criterion) {
    let batch = batch();
    let mut group = criterion.benchmark_group("block, 8 x Int64");
    group.throughput(Throughput::Bytes((ROWS * COLUMNS * 8) as u64));
    let mut encoder = BlockEncoder::new(&batch.schema(), Compression::None).expect("an encoder");
    group.bench_function("encode", |b| b.iter(|| black_box(encoder.encode(&batch).expect("a block"))));
    let block = encoder.encode(&batch).expect("a block");
    group.bench_function("decode", |b| b.iter(|| black_box(decode(&batch.schema(), &block).expect("a batch"))));
    group.finish();
}

struct Holder {
    store: ShuffleStore,
    exchange: WorkerExchange,
    location: Location,
    stop: CancellationToken,
}

/// A worker's data plane that holds one output of [`BATCHES`] batches.
fn holder(runtime: &Runtime, scratch: &std::path::Path) -> Holder {
    runtime.block_on(async {
        let io = runtime.handle().clone();
        let (worker, incarnation) = (WorkerId(1), Incarnation(1));
        let budget = Budget::new(ByteSize::gib(2));
        let store = ShuffleStore::open(scratch, budget.clone(), io.clone()).expect("a store");
        let mut writer = store.writer(JobId(1), AttemptId(1), 1).expect("a writer");
        for _ in 0..BATCHES {
            writer.push(0, batch()).await.expect("pushed");
        }
        writer.finish().await.expect("finished");
        let listener = server::bind(([127, 0, 0, 1], 0).into()).await.expect("a port");
        let endpoint = listener.local_addr().expect("an address").to_string();
        let stop = CancellationToken::new();
        tokio::spawn(server::serve(listener, store.clone(), io.clone(), stop.clone()));
        let exchange = WorkerExchange::new(worker, incarnation, store.clone(), budget, io);
        let location = Location { task: 0, attempt: AttemptId(1), worker, incarnation, endpoint, inline: None };
        Holder { store, exchange, location, stop }
    })
}

async fn read_all(exchange: &WorkerExchange, location: &Location) -> usize {
    let source = exchange.for_attempt(Arc::new(AtomicU64::new(0)));
    let request = ReadRequest { producers: vec![location.clone()], partitions: 0..1, schema: batch().schema() };
    let mut stream = source.read(request);
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch.expect("a batch").num_rows();
    }
    rows
}

fn handover(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let scratch = tempfile::tempdir().expect("a directory");
    let holder = holder(&runtime, scratch.path());
    let other_budget = Budget::new(ByteSize::gib(2));
    let other_store =
        ShuffleStore::open(scratch.path(), other_budget.clone(), runtime.handle().clone()).expect("a store");
    let io = runtime.handle().clone();
    let elsewhere = WorkerExchange::new(WorkerId(2), Incarnation(2), other_store, other_budget, io);
    let expected = BATCHES * ROWS as usize;
    let mut group = criterion.benchmark_group("hand-over, 8 x Int64");
    group.sample_size(20);
    group.throughput(Throughput::Bytes((BATCHES as i64 * ROWS * COLUMNS * 8) as u64));
    group.bench_function("same process", |b| {
        b.iter(|| assert_eq!(runtime.block_on(read_all(&holder.exchange, &holder.location)), expected));
    });
    group.bench_function("one stream over loopback", |b| {
        b.iter(|| assert_eq!(runtime.block_on(read_all(&elsewhere, &holder.location)), expected));
    });
    group.finish();
    holder.stop.cancel();
    holder.store.free(&[AttemptId(1)]);
}

criterion_group!(benches, blocks, handover);
criterion_main!(benches);
