//! Snappy's format without frames, as blocks of Avro have it: what comes out is bounded by what the caller allows.

/// What a piece of compressed data is wrong about.
const DAMAGED: &str = "a snappy block is damaged";

/// Decompresses a whole block.
pub fn decompress(data: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let (length, mut at) = length(data).ok_or(DAMAGED)?;
    if length > most {
        return Err(format!("a block claims {length} bytes once it is decompressed; the limit is {most}"));
    }
    let mut text = Vec::with_capacity(length.min(data.len().saturating_mul(4)));
    while at < data.len() {
        let read = element(&data[at..], &mut text, length).ok_or(DAMAGED)?;
        at += read;
    }
    if text.len() == length { Ok(text) } else { Err(DAMAGED.into()) }
}

fn length(data: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0_u64;
    for (place, byte) in data.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(length).ok()?, place + 1));
        }
    }
    None
}

/// One element: bytes as they are, or a copy of bytes that came before.
fn element(data: &[u8], text: &mut Vec<u8>, most: usize) -> Option<usize> {
    let tag = usize::from(*data.first()?);
    let little = |bytes: &[u8]| bytes.iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
    let (length, offset, read) = match tag & 3 {
        0 => {
            let short = tag >> 2;
            let more = short.saturating_sub(59);
            let length = if more == 0 { short } else { little(data.get(1..=more)?) } + 1;
            let from = 1 + more;
            if text.len() + length > most {
                return None;
            }
            text.extend_from_slice(data.get(from..from.checked_add(length)?)?);
            return Some(from + length);
        }
        1 => (4 + (tag >> 2 & 7), tag >> 5 << 8 | usize::from(*data.get(1)?), 2),
        2 => (1 + (tag >> 2), little(data.get(1..3)?), 3),
        _ => (1 + (tag >> 2), little(data.get(1..5)?), 5),
    };
    if offset == 0 || offset > text.len() || text.len() + length > most {
        return None;
    }
    let from = text.len() - offset;
    if offset >= length {
        text.extend_from_within(from..from + length);
    } else {
        // What is copied is being written at the same time.
        for at in from..from + length {
            text.push(text[at]);
        }
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_copies_are_put_together() {
        // "abcd", then 8 bytes from 4 before the end (which overlaps), then a copy with an offset of two bytes.
        let data = [14, 3 << 2, b'a', b'b', b'c', b'd', (8 - 4) << 2 | 1, 4, 1 << 2 | 2, 12, 0];
        assert_eq!(decompress(&data, 100).unwrap(), b"abcdabcdabcdab");
        assert!(decompress(&data, 13).unwrap_err().contains("claims 14"));
        for cut in 0..data.len() {
            assert!(decompress(&data[..cut], 100).is_err(), "cut at {cut}");
        }
        assert!(decompress(&[4, 1, 9, 0, 0], 100).is_err(), "a copy from before the beginning");
        let long = [vec![100, 60 << 2, 99], vec![7; 100]].concat();
        assert_eq!(decompress(&long, 100).unwrap(), vec![7; 100]);
    }
}
