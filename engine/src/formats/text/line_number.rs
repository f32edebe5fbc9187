//! The number of a line, counted when somebody has to be told.

use datafusion::error::Result;
use futures::TryStreamExt;
use memchr::memchr_iter;

use super::file::TextFile;
use crate::formats::fetch::PIECE;

/// Bytes of text that are gone through for the number of a line.
const MOST: u64 = 4 << 30;

/// The line in which a byte of the text stands, counted from 1; none if that is too far into the file to be worth it.
pub async fn line_of(file: &TextFile, offset: u64) -> Result<Option<u64>> {
    if offset > MOST {
        return Ok(None);
    }
    let (mut text, mut at) = (file.text(0, offset, PIECE)?, 0);
    let (mut feeds, mut returns) = (0, 0);
    while at < offset {
        let Some(piece) = text.try_next().await? else { break };
        let before = &piece[..piece.len().min((offset - at) as usize)];
        feeds += memchr_iter(b'\n', before).count() as u64;
        returns += memchr_iter(b'\r', before).count() as u64;
        at += piece.len() as u64;
    }
    Ok(Some(1 + if feeds == 0 { returns } else { feeds }))
}
