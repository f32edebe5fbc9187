//! The codec: every type survives, slices do not drag their parents along, damage is noticed.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use bytes::Bytes;
use windrow_engine::exchange::block::{self, BlockEncoder, BlockError, Compression, compact, footprint};

use crate::random;

#[test]
fn every_type_survives_in_every_form() {
    for compression in [Compression::None, Compression::Lz4] {
        for (seed, t) in random::all_types().iter().enumerate() {
            for (rows, sliced) in [(0, false), (1, true), (37, false), (300, true)] {
                let types = [t.clone(), DataType::Int32];
                let batch = random::batch(&types, rows, seed as u64 * 31 + rows as u64, sliced);
                let mut encoder = BlockEncoder::new(&batch.schema(), compression).unwrap();
                // Twice: an encoder has a memory.
                for _ in 0..2 {
                    let encoded = encoder.encode(&batch).unwrap_or_else(|e| panic!("{t}: {e}"));
                    let decoded = block::decode(&batch.schema(), &encoded).unwrap_or_else(|e| panic!("{t}: {e}"));
                    assert_eq!(decoded, batch, "{t} {rows} {sliced} {compression:?}");
                }
                let kept = compact::compact(&batch).unwrap_or_else(|e| panic!("{t}: {e}"));
                assert_eq!(kept, batch, "{t} {rows} {sliced}");
            }
        }
    }
}

#[test]
fn all_types_in_one_batch_survive() {
    let types = random::all_types();
    let batch = random::batch(&types, 500, 7, true);
    let encoded = BlockEncoder::new(&batch.schema(), Compression::Lz4).unwrap().encode(&batch).unwrap();
    assert_eq!(block::decode(&batch.schema(), &encoded).unwrap(), batch);
    let inline = block::encode_inline(&batch.schema(), &[batch.clone(), batch.slice(3, 5)]).unwrap();
    let back = block::decode_inline(&batch.schema(), &inline).unwrap();
    assert_eq!(back, [batch.clone(), batch.slice(3, 5)]);
}

#[test]
fn a_batch_without_columns_keeps_its_rows() {
    let schema = Arc::new(Schema::empty());
    let options = RecordBatchOptions::new().with_row_count(Some(12_345));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), vec![], &options).unwrap();
    let encoded = BlockEncoder::new(&schema, Compression::None).unwrap().encode(&batch).unwrap();
    assert_eq!(block::decode(&schema, &encoded).unwrap().num_rows(), 12_345);
    assert_eq!(block::split(&batch, 1).count(), 1);
}

#[test]
fn slices_do_not_drag_their_parents_along() {
    // A run array and a list of views keep a little more than they need; everything must stay far below its parent.
    for t in random::all_types() {
        let parent = random::batch(std::slice::from_ref(&t), 20_000, 3, false);
        let slice = parent.slice(10_000, 20);
        let schema = parent.schema();
        let size = |b: &RecordBatch| BlockEncoder::new(&schema, Compression::None).unwrap().encode(b).unwrap().len();
        assert!(size(&slice) <= 8 << 10, "{t}: {} bytes for 20 rows, {} for all", size(&slice), size(&parent));
        let kept = footprint(&compact::compact(&slice).unwrap());
        assert!(!kept.is_wasteful() && kept.pinned < 16 << 10, "{t}: {kept:?}");
        if footprint(&parent).pinned > 100_000 {
            assert!(footprint(&slice).is_wasteful(), "{t}: {:?}", footprint(&slice));
        }
    }
}

#[test]
fn whole_batches_are_not_wasteful() {
    for t in random::all_types() {
        let batch = random::batch(std::slice::from_ref(&t), 10_000, 5, false);
        let weight = footprint(&compact::compact(&batch).unwrap());
        assert!(!weight.is_wasteful(), "{t}: {weight:?}");
        assert!(weight.used <= weight.pinned + 64 * (weight.buffers + 1), "{t}: {weight:?}");
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let batch = random::batch(&[DataType::Int64, DataType::Utf8], 40, 1, false);
    let schema = batch.schema();
    let encoded = BlockEncoder::new(&schema, Compression::Lz4).unwrap().encode(&batch).unwrap();
    let mut random = random::Random(11);
    for _ in 0..500 {
        let mut damaged = encoded.clone();
        let part = if random.below(2) == 0 { &mut damaged.header } else { &mut damaged.body };
        let mut bytes = part.to_vec();
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        *part = Bytes::from(bytes);
        assert!(matches!(block::decode(&schema, &damaged), Err(BlockError::Checksum { .. })));
    }
}

#[test]
fn hostile_bytes_are_errors_and_not_crashes() {
    let types =
        [DataType::Int64, DataType::Utf8View, DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))];
    let batch = random::batch(&types, 40, 1, false);
    let schema = batch.schema();
    let encoded = BlockEncoder::new(&schema, Compression::None).unwrap().encode(&batch).unwrap();
    let mut random = random::Random(12);
    for _ in 0..2_000 {
        let mut damaged = encoded.clone();
        let mut bytes = damaged.header.to_vec();
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        damaged.header = Bytes::from(bytes);
        damaged.body = damaged.body.slice(..random.below(damaged.body.len() + 1));
        damaged.crc = block::checksum(&damaged.header, &damaged.body);
        // Right by chance or an error; never a crash.
        let _ = block::decode(&schema, &damaged);
    }
}

#[test]
fn the_readers_schema_is_what_comes_out() {
    let batch = random::batch(&[DataType::Int64], 10, 1, false);
    let reader = Arc::new(Schema::new(vec![Field::new("other", DataType::Int64, true)]));
    let encoded = BlockEncoder::new(&batch.schema(), Compression::None).unwrap().encode(&batch).unwrap();
    assert_eq!(block::decode(&reader, &encoded).unwrap().schema(), reader);
    let strict = Arc::new(Schema::new(vec![Field::new("other", DataType::Int64, false)]));
    let with_null = RecordBatch::try_new(batch.schema(), vec![Arc::new(Int64Array::from(vec![None::<i64>]))]).unwrap();
    let encoded = BlockEncoder::new(&batch.schema(), Compression::None).unwrap().encode(&with_null).unwrap();
    assert!(matches!(block::decode(&strict, &encoded), Err(BlockError::Malformed(_))));
}

#[test]
fn layouts_tell_types_apart_and_nothing_else() {
    let one = |t: DataType| block::layout(&Schema::new(vec![Field::new("a", t, true)]));
    let all: std::collections::BTreeSet<u32> = random::all_types().into_iter().map(one).collect();
    assert_eq!(all.len(), random::all_types().len());
    let named = |name: &str| DataType::List(Arc::new(Field::new(name, DataType::Utf8, name == "x")));
    assert_eq!(one(named("x")), one(named("element")));
}
