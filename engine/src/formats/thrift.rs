//! The footer of a Parquet file before the parquet crate gets it: gone through once, without believing any count. The
//! crate makes room for as many row groups as a footer claims, which for a footer of thirty bytes may be more memory than
//! there is, and the end of the process.

/// Structures inside each other; Parquet's have less than a dozen.
const MAX_DEPTH: usize = 64;

/// The types of Thrift's compact protocol.
mod kinds {
    pub const STOP: u8 = 0;
    pub const TRUE: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const BYTE: u8 = 3;
    pub const I16: u8 = 4;
    pub const I64: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const MAP: u8 = 11;
    pub const STRUCT: u8 = 12;
    pub const UUID: u8 = 13;
}

/// Checks that a footer is one structure in which every list and text is as long as it claims.
pub fn check(footer: &[u8]) -> Result<(), &'static str> {
    let mut rest = footer;
    skip(kinds::STRUCT, &mut rest, 0).ok_or("its footer is damaged: something in it is longer than it can be")
}

fn skip(kind: u8, rest: &mut &[u8], depth: usize) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    match kind {
        kinds::TRUE | kinds::FALSE | kinds::BYTE => bytes(rest, 1),
        kinds::I16..=kinds::I64 => number(rest).map(|_| ()),
        kinds::DOUBLE => bytes(rest, 8),
        kinds::UUID => bytes(rest, 16),
        kinds::BINARY => {
            let length = usize::try_from(number(rest)?).ok()?;
            bytes(rest, length)
        }
        kinds::LIST | kinds::SET => {
            let head = byte(rest)?;
            let count = if head >> 4 == 15 { number(rest)? } else { u64::from(head >> 4) };
            skip_many(&[head & 15], count, rest, depth)
        }
        kinds::MAP => match number(rest)? {
            0 => Some(()),
            count => {
                let head = byte(rest)?;
                skip_many(&[head >> 4, head & 15], count, rest, depth)
            }
        },
        kinds::STRUCT => skip_fields(rest, depth),
        _ => None,
    }
}

/// Each of so many elements takes a byte at least.
fn skip_many(kinds: &[u8], count: u64, rest: &mut &[u8], depth: usize) -> Option<()> {
    if count > rest.len() as u64 {
        return None;
    }
    for _ in 0..count {
        for kind in kinds {
            skip(*kind, rest, depth + 1)?;
        }
    }
    Some(())
}

fn skip_fields(rest: &mut &[u8], depth: usize) -> Option<()> {
    loop {
        let head = byte(rest)?;
        let kind = head & 15;
        if kind == kinds::STOP {
            return Some(());
        }
        if head >> 4 == 0 {
            // The field's number, where it is not the last one's and a little more.
            number(rest)?;
        }
        // In a field, unlike in a list, the type is the value.
        if kind != kinds::TRUE && kind != kinds::FALSE {
            skip(kind, rest, depth + 1)?;
        }
    }
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, more) = rest.split_first()?;
    *rest = more;
    Some(*first)
}

fn bytes(rest: &mut &[u8], count: usize) -> Option<()> {
    *rest = rest.get(count..)?;
    Some(())
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for place in 0..10 {
        let byte = byte(rest)?;
        number |= u64::from(byte & 0x7f).checked_shl(7 * place)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_the_footer_does_not_back_are_found() {
        // Field 1: a number; field 2: a list of two structures, each with a text; field 3: true.
        let footer = [0x15, 2, 0x19, 0x2c, 0x18, 1, b'a', 0, 0x18, 0, 0, 0x11, 0];
        check(&footer).unwrap();
        for cut in 0..footer.len() {
            assert!(check(&footer[..cut]).is_err(), "cut at {cut}");
        }
        assert!(check(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0]).is_err(), "two thousand million row groups");
        assert!(check(&[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]).is_err(), "a text of four gigabytes");
        assert!(check(&[0x1c; 1000]).is_err(), "structures without an end");
    }
}
