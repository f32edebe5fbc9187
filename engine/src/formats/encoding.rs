//! Text that is not UTF-8: turned into UTF-8 as it comes.

use bytes::Bytes;
use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};
use windrow_common::{Error, Result};

/// Stands for what cannot be decoded. It is not UTF-8, so the record that it is in is found to be bad.
const UNDECODABLE: u8 = 0xff;

/// The name by which an encoding is known here, from any of the names that the web has for it.
pub fn canonical(name: &str) -> Result<&'static str> {
    let label = name.trim().to_ascii_lowercase().replace('_', "-");
    let label = match label.as_str() {
        "utf8" => "utf-8",
        "utf16" => "utf-16",
        "utf16le" => "utf-16le",
        "utf16be" => "utf-16be",
        "latin-1" => "latin1",
        "cp1252" => "windows-1252",
        other => other,
    };
    Encoding::for_label(label.as_bytes()).map(Encoding::name).ok_or_else(|| {
        Error::user(format!(
            "there is no encoding '{name}'; some that there are: utf-8, utf-16le, utf-16be, latin1, windows-1252, \
             shift_jis, gb18030, koi8-r"
        ))
    })
}

/// Whether text of this encoding is UTF-8 as it is.
pub fn is_utf8(name: &str) -> bool {
    name == UTF_8.name()
}

/// Turns a text into UTF-8.
pub struct Transcoder(Decoder);

impl Transcoder {
    /// At the beginning of a text in an encoding that [`canonical`] named.
    pub fn new(name: &str) -> Self {
        Self(Encoding::for_label(name.as_bytes()).unwrap_or(UTF_8).new_decoder())
    }

    /// Some more of the text, or with `last` what is left of it.
    pub fn decode(&mut self, mut bytes: &[u8], last: bool) -> Bytes {
        let mut text = Vec::with_capacity(bytes.len() + bytes.len() / 2 + 16);
        let mut step = vec![0; 64 << 10];
        loop {
            let (result, read, written) = self.0.decode_to_utf8_without_replacement(bytes, &mut step, last);
            text.extend_from_slice(&step[..written]);
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return Bytes::from(text),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => text.push(UNDECODABLE),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_is_decoded_whatever_the_pieces_and_loses_its_byte_order_mark() {
        let text = "naïve, 日本, 😀\n";
        for (name, mark) in [("utf-16le", [0xff, 0xfe]), ("utf-16be", [0xfe, 0xff])] {
            let units =
                text.encode_utf16().flat_map(|u| if name.ends_with("le") { u.to_le_bytes() } else { u.to_be_bytes() });
            let bytes: Vec<u8> = mark.into_iter().chain(units).collect();
            for piece in [1, 2, 3, 100] {
                let mut transcoder = Transcoder::new(canonical(name).unwrap());
                let mut decoded: Vec<u8> = bytes.chunks(piece).flat_map(|p| transcoder.decode(p, false)).collect();
                decoded.extend(transcoder.decode(&[], true));
                assert_eq!(String::from_utf8(decoded).unwrap(), text, "{name} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_not_utf8() {
        let mut transcoder = Transcoder::new(canonical("utf-16le").unwrap());
        let decoded = transcoder.decode(&[0x00, 0xd8, 0x41, 0x00], true);
        assert!(std::str::from_utf8(&decoded).is_err(), "a lonely surrogate went through as {decoded:?}");
    }

    #[test]
    fn names_are_known_by_their_aliases() {
        assert_eq!(canonical("latin1").unwrap(), "windows-1252");
        assert_eq!(canonical("UTF8").unwrap(), "UTF-8");
        assert!(is_utf8(canonical("utf-8").unwrap()));
        assert!(canonical("klingon").unwrap_err().message.contains("utf-16le"));
    }
}
