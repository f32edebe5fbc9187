//! See `windrow_engine::formats::fuzzing::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windrow_engine::formats::fuzzing::manifest(data));
