//! Which task reads what: files, or parts of files, shared out so that no task has much more to do than another, and none
//! has nothing.
//!
//! Files that may be read in parts are cut into several pieces for each share. The pieces, heaviest first, go to the share
//! with the least so far. Opening a file counts like reading [`OPEN_COST`] bytes, so that small files are packed together.

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;

/// What opening a file costs, in bytes read.
const OPEN_COST: u64 = 256 << 10;
/// Pieces of each share, if the files can be cut: more of them even out, and each costs little.
const PIECES_OF_SHARE: u64 = 4;

/// How a file may be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cuts {
    /// Not at all.
    Whole,
    /// Anywhere: readers find the first record by themselves.
    Anywhere,
    /// Only before these bytes, in order.
    Before(Vec<u64>),
}

/// One file, or part of one.
struct Piece {
    /// Which file of all.
    file: usize,
    start: u64,
    end: u64,
    weight: u64,
}

/// Shares files out among at most `shares` groups; pieces are not made smaller than `smallest`. The same files always end
/// in the same groups.
pub fn share_out(files: Vec<(PartitionedFile, Cuts)>, shares: usize, smallest: u64) -> Vec<FileGroup> {
    let total: u64 = files.iter().map(|(file, _)| file.object_meta.size).sum();
    // Rounded up: a byte too few would make one piece more, which one share would have for itself.
    let wanted = total.div_ceil(shares.max(1) as u64 * PIECES_OF_SHARE).max(smallest).max(1);
    let mut pieces = vec![];
    for (index, (file, cuts)) in files.iter().enumerate() {
        let size = file.object_meta.size;
        let mut start = 0;
        for end in ends(size, cuts, wanted) {
            pieces.push(Piece { file: index, start, end, weight: (end - start) + OPEN_COST });
            start = end;
        }
    }
    let weight: u64 = pieces.iter().map(|piece| piece.weight).sum();
    let worthwhile = weight.div_ceil(smallest.max(1)).max(1);
    let count = shares.max(1).min(pieces.len()).min(usize::try_from(worthwhile).unwrap_or(usize::MAX));
    groups_of(&files, pieces, count)
}

/// Where the pieces of a file end; the last one ends with it.
fn ends(size: u64, cuts: &Cuts, wanted: u64) -> Vec<u64> {
    let count = size.div_ceil(wanted).max(1);
    match cuts {
        Cuts::Whole => vec![size],
        Cuts::Anywhere => {
            let each = size.div_ceil(count).max(1);
            (1..count).map(|i| i * each).filter(|end| *end < size).chain([size]).collect()
        }
        Cuts::Before(places) => {
            let mut ends = vec![];
            let mut start = 0;
            for place in places.iter().copied().filter(|place| *place < size) {
                if place >= start + wanted {
                    ends.push(place);
                    start = place;
                }
            }
            ends.push(size);
            ends
        }
    }
}

fn groups_of(files: &[(PartitionedFile, Cuts)], mut pieces: Vec<Piece>, count: usize) -> Vec<FileGroup> {
    pieces.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| (a.file, a.start).cmp(&(b.file, b.start))));
    let mut loads = std::collections::BinaryHeap::new();
    loads.extend((0..count).map(|share| std::cmp::Reverse((0_u64, share))));
    let mut shares: Vec<Vec<Piece>> = (0..count).map(|_| vec![]).collect();
    for piece in pieces {
        let Some(std::cmp::Reverse((load, share))) = loads.pop() else { break };
        loads.push(std::cmp::Reverse((load + piece.weight, share)));
        shares[share].push(piece);
    }
    let group = |mut share: Vec<Piece>| {
        share.sort_by_key(|piece| (piece.file, piece.start));
        let mut joined: Vec<Piece> = vec![];
        for piece in share {
            match joined.last_mut() {
                Some(last) if last.file == piece.file && last.end == piece.start => last.end = piece.end,
                _ => joined.push(piece),
            }
        }
        FileGroup::new(joined.into_iter().map(|piece| cut(&files[piece.file].0, &piece)).collect())
    };
    shares.into_iter().map(group).collect()
}

fn cut(file: &PartitionedFile, piece: &Piece) -> PartitionedFile {
    let whole = piece.start == 0 && piece.end == file.object_meta.size;
    if whole { file.clone() } else { file.clone().with_range(piece.start as i64, piece.end as i64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn file(name: &str, size: u64) -> PartitionedFile {
        PartitionedFile::new(name, size)
    }

    fn bytes(group: &FileGroup) -> u64 {
        group.files().iter().map(|f| f.range.as_ref().map_or(f.object_meta.size, |r| (r.end - r.start) as u64)).sum()
    }

    #[test]
    fn one_large_file_is_read_by_all() {
        let groups = share_out(vec![(file("a", 1000 * MIB), Cuts::Anywhere)], 4, 4 * MIB);
        assert_eq!(groups.len(), 4);
        assert!(groups.iter().all(|group| bytes(group) == 250 * MIB), "{groups:?}");
    }

    #[test]
    fn a_size_that_cannot_be_divided_makes_no_share_longer() {
        for rest in [1, 6, 7, 13] {
            for shares in [2, 3, 4, 7] {
                let groups = share_out(vec![(file("a", 1000 * MIB + rest), Cuts::Anywhere)], shares, 4 * MIB);
                let bytes = groups.iter().map(bytes);
                let (least, most) = (bytes.clone().min().unwrap(), bytes.max().unwrap());
                assert!(groups.len() == shares && most - least <= 64, "{shares}: {least} to {most}");
            }
        }
    }

    #[test]
    fn every_byte_is_in_one_share_and_no_share_is_empty() {
        for shares in [1, 2, 3, 7, 16, 100] {
            for smallest in [1, 64 << 10, 4 * MIB] {
                let files = vec![
                    (file("a", 100 * MIB + 7), Cuts::Anywhere),
                    (file("b", 3), Cuts::Anywhere),
                    (file("c", 0), Cuts::Anywhere),
                    (file("d", 90 * MIB), Cuts::Whole),
                    (file("e", 64 * MIB), Cuts::Before(vec![4, 30 * MIB, 31 * MIB, 63 * MIB])),
                ];
                let sizes: Vec<u64> = files.iter().map(|(f, _)| f.object_meta.size).collect();
                let groups = share_out(files, shares, smallest);
                assert!(groups.len() <= shares && groups.iter().all(|g| !g.files().is_empty()));
                for (index, name) in ["a", "b", "c", "d", "e"].iter().enumerate() {
                    let mut parts: Vec<(u64, u64)> = groups
                        .iter()
                        .flat_map(|g| g.files())
                        .filter(|f| f.object_meta.location.as_ref() == *name)
                        .map(|f| f.range.as_ref().map_or((0, f.object_meta.size), |r| (r.start as u64, r.end as u64)))
                        .collect();
                    parts.sort_unstable();
                    let mut at = 0;
                    for (start, end) in parts {
                        assert_eq!(start, at, "{name} in {shares} shares");
                        at = end;
                    }
                    assert_eq!(at, sizes[index], "{name} in {shares} shares");
                }
            }
        }
    }

    #[test]
    fn row_groups_stay_whole() {
        let cuts = Cuts::Before((0..10).map(|i| 4 + i * 10 * MIB).collect());
        let groups = share_out(vec![(file("a", 100 * MIB + 1000), cuts)], 4, 4 * MIB);
        assert_eq!(groups.len(), 4);
        for range in groups.iter().flat_map(|g| g.files()).filter_map(|f| f.range.clone()) {
            assert!(range.start == 0 || (range.start - 4) % (10 * MIB as i64) == 0, "{range:?}");
        }
    }

    #[test]
    fn small_files_are_packed() {
        let files = (0..10_000).map(|i| (file(&format!("f{i:05}"), 1000), Cuts::Anywhere)).collect();
        let groups = share_out(files, 16, 4 * MIB);
        assert_eq!(groups.len(), 16);
        assert!(groups.iter().all(|group| group.files().len() == 625));
        assert_eq!(
            share_out(vec![(file("a", 5), Cuts::Anywhere), (file("b", 5), Cuts::Anywhere)], 8, 4 * MIB).len(),
            1
        );
    }
}
