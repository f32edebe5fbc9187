//! Compiles every `.proto` file of `proto/` with protox (no system `protoc`) and makes clients, servers and messages.

use std::error::Error;
use std::path::PathBuf;

/// The convenience `connect` of generated clients is left out: channels are made in one place, with limits, and a call named
/// `Connect` would clash with it.
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut files: Vec<PathBuf> = std::fs::read_dir("proto")?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "proto"))
        .collect();
    files.sort();
    let descriptors = protox::compile(&files, ["proto"])?;
    tonic_prost_build::configure().build_transport(false).bytes(".").compile_fds(descriptors)?;
    Ok(())
}
