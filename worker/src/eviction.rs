//! Writes blocks of one output to its spill file. Blocks the thread: only for blocking threads.

use std::sync::Arc;

use windrow_common::{Error, limits};
use windrow_engine::exchange::block::{self, BlockEncoder, Compression};

use crate::output::{Output, Victim};
use crate::scratch::Scratch;
use crate::spill::{Segment, SpillFile};

/// Moves blocks of at least `want` bytes to disk, if the output has so many in memory. Blocks that could not be written
/// stay in memory.
pub(crate) fn evict(output: &Output, scratch: &Scratch, want: u64) -> Result<(), Error> {
    let mut victims = output.begin_spill(want).into_iter();
    let result = write_all(output, scratch, &mut victims);
    victims.for_each(|victim| output.abort_spill(&victim));
    result
}

fn write_all(output: &Output, scratch: &Scratch, victims: &mut impl Iterator<Item = Victim>) -> Result<(), Error> {
    let mut encoder: Option<BlockEncoder> = None;
    for victim in victims {
        if output.is_freed() {
            // Its job has ended: writing on would only keep the bytes of the victims charged for longer.
            return Ok(());
        }
        match write(output, scratch, &mut encoder, &victim) {
            Ok(segments) => output.end_spill(victim, segments),
            Err(error) => {
                output.abort_spill(&victim);
                return Err(error);
            }
        }
    }
    Ok(())
}

fn write(
    output: &Output,
    scratch: &Scratch,
    encoder: &mut Option<BlockEncoder>,
    victim: &Victim,
) -> Result<Vec<Segment>, Error> {
    let attempt = output.attempt;
    let file = output.file(|| SpillFile::create(scratch.spill_file(attempt), attempt))?;
    let batch = &victim.held.batch;
    let encoder = match encoder {
        Some(encoder) if Arc::ptr_eq(encoder.schema(), batch.schema_ref()) => encoder,
        other => other.insert(BlockEncoder::new(batch.schema_ref(), Compression::Lz4)?),
    };
    block::split(batch, limits::EXCHANGE_MESSAGE_BYTES).map(|part| file.append(&encoder.encode(&part)?)).collect()
}
