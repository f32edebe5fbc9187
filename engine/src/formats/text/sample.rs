//! The first records of a file, from which its columns are known.

use bytes::{Bytes, BytesMut};
use datafusion::error::Result;
use futures::TryStreamExt;
use memchr::memchr_iter;

use super::dialect::State;
use super::file::TextFile;
use super::reader::Reading;
use super::scanner::Scanner;

/// Bytes read at once.
const PIECE: u64 = 256 << 10;
/// Bytes of a sample, unless a single record is longer.
const MOST: usize = 4 << 20;

/// Whole records from the beginning of a file's text: about as many as asked for, or all if there are fewer.
pub async fn sample(file: &TextFile, reading: &Reading, records: usize) -> Result<Bytes> {
    let mut text = file.text(0, PIECE, PIECE)?;
    let (mut sample, mut scanner) = (BytesMut::new(), Scanner::new(reading.dialect, State::Start));
    let (mut whole, mut lines, mut first) = (0, 0, true);
    loop {
        let piece = text.try_next().await.map_err(|error| file.source.named(&error))?;
        let Some(mut piece) = piece else {
            // The last record need not be ended.
            return Ok(sample.freeze());
        };
        if std::mem::take(&mut first) {
            piece = piece.slice(TextFile::mark(&piece)..);
        }
        let seen = scanner.run(&piece);
        if let Some(boundary) = seen.boundary {
            whole = sample.len() + boundary;
        }
        lines += memchr_iter(reading.dialect.terminator.unwrap_or(b'\n'), &piece).count();
        sample.extend_from_slice(&piece);
        // A record more, for a header.
        if whole > 0 && (lines > records.saturating_add(1) || sample.len() >= MOST) {
            sample.truncate(whole);
            return Ok(sample.freeze());
        }
        if sample.len() > reading.max_record && whole == 0 {
            return Err(file.source.error(format!(
                "its first record is longer than {} bytes; if records may be that long, raise OPTIONS (max_record_size \
                 '…')",
                reading.max_record
            )));
        }
    }
}
