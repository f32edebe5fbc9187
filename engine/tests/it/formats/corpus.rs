//! What fuzzers found worth keeping, given to the readers again: `fuzz/corpus/TARGET/*`.

use std::path::Path;

use windrow_engine::formats::fuzzing;

/// What a fuzzer calls.
type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 6] = [
    ("csv_ranges", fuzzing::csv_ranges),
    ("csv", fuzzing::csv),
    ("json", fuzzing::json),
    ("ipc", fuzzing::ipc),
    ("avro", fuzzing::avro),
    ("parquet_footer", fuzzing::parquet_footer),
];

#[test]
fn nothing_that_was_kept_brings_a_reader_down() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (target, run) in TARGETS {
        let mut inputs: Vec<_> =
            std::fs::read_dir(corpus.join(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "nothing is kept for {target}");
        for input in inputs {
            println!("{}", input.display());
            run(&std::fs::read(&input).unwrap());
        }
    }
}
