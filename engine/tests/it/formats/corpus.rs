//! What fuzzers found worth keeping, given to the readers again: `fuzz/corpus/TARGET/*`.

use std::path::Path;

use windrow_engine::formats::fuzzing;
use windrow_engine::sink::log::Manifest;

/// What a fuzzer calls.
type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 7] = [
    ("csv_ranges", fuzzing::csv_ranges),
    ("csv", fuzzing::csv),
    ("json", fuzzing::json),
    ("ipc", fuzzing::ipc),
    ("avro", fuzzing::avro),
    ("parquet_footer", fuzzing::parquet_footer),
    ("manifest", fuzzing::manifest),
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

#[test]
fn manifests_that_were_written_once_can_be_read() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/manifest");
    for (name, files) in [("published", 2), ("aborted", 2)] {
        let bytes = std::fs::read(kept.join(name)).unwrap();
        assert_eq!(Manifest::parse(&bytes, name).unwrap().files.len(), files, "{name}");
    }
    for name in ["other_version", "cut_off", "huge_numbers", "deep"] {
        let error = Manifest::parse(&std::fs::read(kept.join(name)).unwrap(), name).unwrap_err();
        assert!(error.message.contains(name), "{}", error.message);
    }
}
