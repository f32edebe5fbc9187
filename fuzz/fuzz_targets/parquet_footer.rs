//! See `windrow_engine::formats::fuzzing::parquet_footer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windrow_engine::formats::fuzzing::parquet_footer(data));
