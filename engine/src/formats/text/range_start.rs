//! Where the records of a range of a file begin, by what [`super::boundary`] finds out, and otherwise by reading the file
//! from its beginning.

use datafusion::error::Result;
use futures::TryStreamExt;

use super::boundary::{Boundary, FIRST_WINDOW, Finder, INSIDE_WINDOW};
use super::dialect::State;
use super::file::TextFile;
use super::reader::{RangeEnd, Reading};
use super::scanner::Scanner;
use crate::formats::fetch::PIECE;

/// Where the first record that begins at `start` or later begins. `head` is where the records of the file begin, behind
/// its header.
pub async fn range_start(file: &TextFile, reading: &Reading, head: u64, start: u64) -> Result<u64> {
    if start <= head {
        return Ok(head);
    }
    match look(file, reading, start, u64::MAX).await? {
        Boundary::At(at) => Ok(start + at),
        Boundary::Unknown | Boundary::Undecided => from_the_beginning(file, reading, head, start).await,
    }
}

/// Whether the reader of the range that begins at `end` begins where this one knows that its first record is.
pub async fn agrees(file: &TextFile, reading: &Reading, head: u64, end: u64, truth: RangeEnd) -> Result<bool> {
    if end <= head || end >= file.source.size() {
        return Ok(true);
    }
    // Outside quotes only an answer that takes it for the inside is wrong, and such answers are found soon or never.
    let limit = if truth.state.is_quoted() { u64::MAX } else { INSIDE_WINDOW as u64 };
    let found = look(file, reading, end, limit).await?;
    Ok(!Finder::contradicts(found, truth.next - end))
}

/// Looks at windows that grow, and stops with the first answer, or behind `limit` bytes.
async fn look(file: &TextFile, reading: &Reading, start: u64, limit: u64) -> Result<Boundary> {
    let size = file.source.size();
    if start >= size {
        return Ok(Boundary::At(size - start.min(size)));
    }
    let (mut from, mut window) = (start, FIRST_WINDOW as u64);
    let mut finder: Option<Finder> = None;
    loop {
        let to = from.saturating_add(window).min(size);
        let found = match &mut finder {
            Some(finder) => finder.look(&file.source.read(from..to).await?, to == size),
            None => {
                let bytes = file.source.read(from - 1..to).await?;
                let first = finder.insert(Finder::new(reading.dialect, bytes[0], reading.max_record));
                first.look(&bytes[1..], to == size)
            }
        };
        if found != Boundary::Undecided || to == size || to - start > limit {
            return Ok(found);
        }
        (from, window) = (to, (window * 2).min(PIECE));
    }
}

/// Exact, and as slow as reading is: nothing but quotes and line ends is looked at.
async fn from_the_beginning(file: &TextFile, reading: &Reading, head: u64, start: u64) -> Result<u64> {
    let mut scanner = Scanner::new(reading.dialect, State::Start);
    let mut text = file.source.stream(head, start, PIECE);
    let mut at = head;
    while at < start || scanner.state != State::Start {
        let Some(piece) = text.try_next().await? else { return Ok(at) };
        let mark = if at == 0 { TextFile::mark(&piece) } else { 0 };
        let before = piece.len().min((start - at.min(start)) as usize);
        scanner.run(&piece[mark.min(before)..before]);
        at += before as u64;
        let rest = &piece[before..];
        if scanner.state != State::Start {
            at += scanner.find_boundary(rest).read as u64;
        } else if !rest.is_empty() {
            return Ok(at);
        }
    }
    Ok(at)
}
