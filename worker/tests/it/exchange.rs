//! Outputs between processes, over a real loopback connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::*;
use futures::StreamExt;
use tokio::runtime::Handle;
use tonic::Status;
use windrow_common::{AttemptId, Error, ErrorKind, Location, limits};
use windrow_engine::exchange::block::{self, BlockEncoder, Compression};
use windrow_engine::exchange::client::{RemoteExchange, RemoteOnly};
use windrow_engine::exchange::{ExchangeSource, ReadRequest};
use windrow_proto::exchange as wire;
use windrow_proto::exchange::fetch_response::Part;
use windrow_proto::status::to_status;
use windrow_worker::budget::Share;

use crate::random;
use crate::store::numbers;
use crate::world::{Fake, World, here, read, remote, typed, until};

fn remote_only() -> RemoteOnly {
    RemoteOnly::new(RemoteExchange::new(Handle::current()))
}

fn block(slice: u32, batch: &RecordBatch) -> Result<wire::FetchResponse, Status> {
    let encoded = BlockEncoder::new(&batch.schema(), Compression::None).unwrap().encode(batch).unwrap();
    let layout = block::layout(&batch.schema());
    let block::Block { rows, header, body, crc } = encoded;
    Ok(wire::FetchResponse {
        part: Some(Part::Block(wire::Block { slice, partition: 0, rows, layout, crc, header, body })),
    })
}

fn end(blocks: u64, rows: u64) -> Result<wire::FetchResponse, Status> {
    Ok(wire::FetchResponse { part: Some(Part::End(wire::End { blocks, rows })) })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_arrives_equal() {
    let world = World::new(256 << 20);
    let server = world.serve().await;
    for compression in [Compression::None, Compression::Lz4] {
        let source = RemoteOnly::new(RemoteExchange::new(Handle::current()).with_compression(compression));
        for (seed, t) in random::all_types().into_iter().enumerate() {
            let batch = random::batch(&[t.clone(), DataType::Utf8View], 9_000, seed as u64, true);
            let attempt = world.output(seed as u128, 2, &[(1, batch.clone())]).await;
            let got = read(&source, vec![remote(attempt, &server.endpoint)], 0..2, batch.schema()).await;
            let got = got.unwrap_or_else(|e| panic!("{t}: {e}"));
            let mut start = 0;
            for part in got {
                assert_eq!(part, batch.slice(start, part.num_rows()), "{t}");
                start += part.num_rows();
            }
            assert_eq!(start, batch.num_rows(), "{t}");
            world.store.free(&[attempt]);
        }
    }
    world.drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_inline_and_remote_outputs_come_together() {
    let (world, other) = (World::new(64 << 20), World::new(64 << 20));
    let (mine, theirs, ridden) = (numbers(9_000, 1), numbers(9_001, 2), numbers(10, 3));
    let schema = mine.schema();
    let here_id = world.output(1, 2, &[(0, mine.clone()), (1, numbers(1, 9))]).await;
    let there_id = other.output(2, 2, &[(0, theirs.clone()), (1, numbers(1, 9))]).await;
    let server = other.serve().await;
    let inline = block::encode_inline(&schema, std::slice::from_ref(&ridden)).unwrap();
    let producers = vec![
        here(here_id),
        remote(there_id, &server.endpoint),
        Location { inline: Some(inline), ..remote(AttemptId(3), "127.0.0.1:1") },
    ];
    let fetched = Arc::new(AtomicU64::new(0));
    let exchange = world.exchange().for_attempt(Arc::clone(&fetched));
    let got = read(&exchange, producers, 0..1, schema).await.unwrap();
    assert_eq!(got.iter().map(RecordBatch::num_rows).sum::<usize>(), 18_011);
    let pointer = |b: &RecordBatch| b.column(0).to_data().buffers()[0].as_ptr() as usize;
    assert!(got.iter().any(|b| pointer(b) == pointer(&mine)), "a local output was copied");
    assert!(got.contains(&theirs) && got.contains(&ridden));
    let bytes = fetched.load(Ordering::Relaxed);
    assert!((72_000..80_000).contains(&bytes), "only remote bytes count as fetched: {bytes}");
    world.store.free(&[here_id]);
    other.store.free(&[there_id]);
    world.drained().await;
    other.drained().await;
    assert!(world.budget.stats().fetch.peak > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn spilled_outputs_are_served() {
    let world = World::new(4 << 20);
    let batches: Vec<_> = (0..100).map(|i| (i % 2, numbers(9_000, u64::from(i)))).collect();
    let attempt = world.output(1, 2, &batches).await;
    assert!(world.store.stats().disk_bytes > 0);
    let server = world.serve().await;
    let got =
        read(&remote_only(), vec![remote(attempt, &server.endpoint)], 1..2, numbers(1, 1).schema()).await.unwrap();
    let wanted: Vec<_> = batches.into_iter().filter(|(p, _)| *p == 1).map(|(_, b)| b).collect();
    assert_eq!(got, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_batches_travel_in_parts() {
    let world = World::new(512 << 20);
    let batch = numbers(4 << 20, 1);
    let attempt = world.output(1, 1, &[(0, batch.clone())]).await;
    let server = world.serve().await;
    let got = read(&remote_only(), vec![remote(attempt, &server.endpoint)], 0..1, batch.schema()).await.unwrap();
    assert!(got.len() >= 8 && got.iter().all(|b| b.get_array_memory_size() <= limits::EXCHANGE_MESSAGE_BYTES + 4096));
    assert_eq!(arrow::compute::concat_batches(&batch.schema(), &got).unwrap(), batch);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_outputs_are_named_all_of_them() {
    let world = World::new(64 << 20);
    let attempt = world.output(1, 1, &[(0, numbers(10, 1))]).await;
    let server = world.serve().await;
    let schema = numbers(1, 1).schema();
    let at = |id| remote(AttemptId(id), &server.endpoint);
    let error = read(&remote_only(), vec![at(5), remote(attempt, &server.endpoint), at(6)], 0..1, schema.clone()).await;
    assert_eq!(error.unwrap_err().kind, ErrorKind::LostInput(vec![AttemptId(5), AttemptId(6)]));
    let local =
        read(&world.exchange(), vec![here(AttemptId(8)), here(attempt), here(AttemptId(9))], 0..1, schema).await;
    assert_eq!(local.unwrap_err().kind, ErrorKind::LostInput(vec![AttemptId(8), AttemptId(9)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_early_is_an_error() {
    let batch = numbers(10, 1);
    let lost = ErrorKind::LostInput(vec![AttemptId(1)]);
    for script in [vec![block(0, &batch)], vec![block(0, &batch), end(2, 20)], vec![block(0, &batch), end(1, 11)]] {
        let fake = Fake::new(vec![script]);
        let server = fake.serve().await;
        let got = read(&remote_only(), vec![remote(AttemptId(1), &server.endpoint)], 0..1, batch.schema()).await;
        assert_eq!(got.unwrap_err().kind, lost);
        assert_eq!(fake.calls.load(Ordering::SeqCst), 1, "rows were delivered: no second try");
    }
    let fake = Fake::new(vec![vec![]]);
    let server = fake.serve().await;
    let got = read(&remote_only(), vec![remote(AttemptId(1), &server.endpoint)], 0..1, batch.schema()).await;
    assert_eq!(got.unwrap_err().kind, lost);
    assert_eq!(fake.calls.load(Ordering::SeqCst), 1 + limits::FETCH_RETRIES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_fails_before_the_first_row_is_tried_again() {
    let batch = numbers(10, 1);
    let good = vec![block(0, &batch), end(1, 10)];
    let fake = Fake::new(vec![vec![Err(Status::unavailable("not yet"))], vec![], good]);
    let server = fake.serve().await;
    let got = read(&remote_only(), vec![remote(AttemptId(1), &server.endpoint)], 0..1, batch.schema()).await;
    assert_eq!(got.unwrap(), [batch]);
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_errors_stay_typed_and_are_not_tried_again() {
    let error = Error::new(ErrorKind::Version, "the reader speaks version 0 of the protocol");
    let fake = Fake::new(vec![vec![Err(to_status(&error))]]);
    let server = fake.serve().await;
    let schema = numbers(1, 1).schema();
    let got = read(&remote_only(), vec![remote(AttemptId(1), &server.endpoint)], 0..1, schema).await;
    assert_eq!(got.unwrap_err(), error);
    assert_eq!(fake.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_on_the_way_loses_the_output_by_name() {
    let batch = numbers(10, 1);
    let Ok(wire::FetchResponse { part: Some(Part::Block(mut damaged)) }) = block(1, &batch) else { panic!() };
    damaged.crc ^= 1;
    let fake = Fake::new(vec![vec![Ok(wire::FetchResponse { part: Some(Part::Block(damaged)) }), end(1, 10)]]);
    let server = fake.serve().await;
    let producers = vec![remote(AttemptId(1), &server.endpoint), remote(AttemptId(2), &server.endpoint)];
    let error = read(&remote_only(), producers, 0..1, batch.schema()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LostInput(vec![AttemptId(2)]), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_types_than_expected_are_refused() {
    let world = World::new(64 << 20);
    let attempt = world.output(1, 1, &[(0, numbers(9_000, 1))]).await;
    let server = world.serve().await;
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::UInt64, true)]));
    let got = read(&remote_only(), vec![remote(attempt, &server.endpoint)], 0..1, Arc::clone(&schema)).await;
    assert_eq!(got.unwrap_err().kind, ErrorKind::Internal);
    let got = read(&world.exchange(), vec![here(attempt)], 0..1, schema).await;
    assert_eq!(got.unwrap_err().kind, ErrorKind::Internal);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_gone_loses_its_outputs() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    drop(listener);
    let schema = numbers(1, 1).schema();
    let producers = vec![remote(AttemptId(1), &endpoint), remote(AttemptId(2), &endpoint)];
    let error = read(&remote_only(), producers, 0..1, schema.clone()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LostInput(vec![AttemptId(1), AttemptId(2)]));
    assert!(error.message.contains(&endpoint), "{error}");
    for wrong in ["", "host", "user@host:1", "host:1/path", "http://host:1"] {
        let error = read(&remote_only(), vec![remote(AttemptId(1), wrong)], 0..1, schema.clone()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_half_way_loses_its_outputs() {
    let world = World::new(512 << 20);
    let batches: Vec<_> = (0..60).map(|i| (0, numbers(1 << 17, i))).collect();
    let attempt = world.output(1, 1, &batches).await;
    // A runtime of its own: shutting it down closes its sockets, as the death of a process would.
    let other = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    listener.set_nonblocking(true).unwrap();
    let (store, cpu) = (world.store.clone(), other.handle().clone());
    other.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        windrow_worker::server::serve(listener, store, cpu, Default::default()).await
    });
    let request =
        ReadRequest { producers: vec![remote(attempt, &endpoint)], partitions: 0..1, schema: numbers(1, 1).schema() };
    let mut stream = remote_only().read(request);
    stream.next().await.unwrap().unwrap();
    other.shutdown_background();
    let error = loop {
        match stream.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break typed(&error),
            None => panic!("a short result"),
        }
    };
    assert_eq!(error.kind, ErrorKind::LostInput(vec![attempt]), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_stream_stops_the_fetching() {
    let (world, other) = (World::new(64 << 20), World::new(256 << 20));
    let batches: Vec<_> = (0..60).map(|i| (0, numbers(1 << 17, i))).collect();
    let attempt = other.output(1, 1, &batches).await;
    let server = other.serve().await;
    let request = ReadRequest {
        producers: vec![remote(attempt, &server.endpoint)],
        partitions: 0..1,
        schema: numbers(1, 1).schema(),
    };
    let exchange = world.exchange();
    let unread = exchange.read(request.clone());
    let mut stream = exchange.read(request);
    stream.next().await.unwrap().unwrap();
    until(|| other.budget.stats().fetch.used > 0, || format!("{:?}", other.budget.stats())).await;
    assert_eq!((exchange.calls(), other.store.streams(), other.store.readers()), (1, 1, 1));
    drop(stream);
    drop(unread);
    other.store.free(&[attempt]);
    world.drained().await;
    other.drained().await;
    let open = || (exchange.calls(), other.store.streams(), other.store.readers());
    until(|| open() == (0, 0, 0), || format!("calls, streams, readers: {:?}", open())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn short_memory_slows_fetching_down_and_does_not_stop_it() {
    let (world, other) = (World::new(8 << 20), World::new(64 << 20));
    let batches: Vec<_> = (0..40).map(|i| (0, numbers(1 << 16, i))).collect();
    let ids = [other.output(1, 1, &batches[..20]).await, other.output(2, 1, &batches[20..]).await];
    let server = other.serve().await;
    let hog = world.budget.charge(Share::Operators, 8 << 20);
    let producers = ids.iter().map(|id| remote(*id, &server.endpoint)).collect();
    let got = read(&world.exchange(), producers, 0..1, batches[0].1.schema()).await.unwrap();
    assert_eq!(got.len(), 40);
    let peak = world.budget.stats().fetch.peak;
    assert!(peak <= 2 * (600 << 10), "{peak} bytes were in flight without room for them");
    drop(hog);
    world.drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_streams_do_not_block_others() {
    // Many streams that nobody reads, each with a full window; one more must still get through.
    let (world, other) = (World::new(1 << 30), World::new(1 << 30));
    let batches: Vec<_> = (0..24).map(|i| (0, numbers(1 << 17, i))).collect();
    let attempt = other.output(1, 1, &batches).await;
    let server = other.serve().await;
    let exchange = world.exchange();
    let request = || ReadRequest {
        producers: vec![remote(attempt, &server.endpoint)],
        partitions: 0..1,
        schema: batches[0].1.schema(),
    };
    let all = async {
        let mut stalled = vec![];
        for _ in 0..12 {
            let mut stream = exchange.read(request());
            stream.next().await.unwrap().unwrap();
            stalled.push(stream);
        }
        read(&exchange, request().producers, 0..1, request().schema).await.unwrap().len()
    };
    let got = tokio::time::timeout(std::time::Duration::from_secs(20), all).await;
    assert_eq!(got.expect("blocked by stalled streams"), 24);
}
