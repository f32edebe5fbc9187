//! Compressed text: which kinds there are, and taking one apart piece by piece as it comes.

use std::io::{ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use datafusion::common::GetExt;
use datafusion::common::parsers::CompressionTypeVariant;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::error::Result;
use serde::{Deserialize, Serialize};

/// Bytes of text made at once.
const STEP: usize = 1 << 20;

/// How a text file is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not.
    #[default]
    None,
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
    /// `.bz2`
    Bzip2,
    /// `.xz`
    Xz,
}

/// Every kind, with all its names; the first is the one that is shown.
const NAMES: [(Compression, &[&str]); 5] = [
    (Compression::None, &["none", "uncompressed", ""]),
    (Compression::Gzip, &["gzip", "gz"]),
    (Compression::Zstd, &["zstd", "zst"]),
    (Compression::Bzip2, &["bzip2", "bz2"]),
    (Compression::Xz, &["xz"]),
];

impl Compression {
    /// By a name or a file's extension, in any case.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(kind, _)| *kind)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("none", |(_, names)| names[0])
    }

    /// What files' names end with: `.gz`, or nothing.
    pub fn extension(self) -> String {
        self.file_type().get_ext()
    }

    /// DataFusion's word for it.
    pub fn file_type(self) -> FileCompressionType {
        FileCompressionType::from(match self {
            Compression::None => CompressionTypeVariant::UNCOMPRESSED,
            Compression::Gzip => CompressionTypeVariant::GZIP,
            Compression::Zstd => CompressionTypeVariant::ZSTD,
            Compression::Bzip2 => CompressionTypeVariant::BZIP2,
            Compression::Xz => CompressionTypeVariant::XZ,
        })
    }
}

/// Bytes on their way to a decoder that pulls.
#[derive(Clone, Debug, Default)]
struct Feed(Arc<Mutex<Fed>>);

#[derive(Debug, Default)]
struct Fed {
    bytes: Bytes,
    ended: bool,
}

impl Read for Feed {
    /// Says `WouldBlock` when there is nothing yet: decoders hand that on and keep their state.
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let mut fed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if fed.bytes.is_empty() && !fed.ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        let bytes = into.len().min(fed.bytes.len());
        fed.bytes.copy_to_slice(&mut into[..bytes]);
        Ok(bytes)
    }
}

/// Decompresses a stream, whatever it is made of: several members or frames, one after the other, are all read. DataFusion's
/// asynchronous decoders stop behind the first frame of all but gzip, so its others are used.
pub struct Decompressor {
    feed: Feed,
    decoder: Box<dyn Read + Send>,
}

impl Decompressor {
    /// A decoder at the beginning of a file.
    pub fn new(compression: Compression) -> Result<Self> {
        let feed = Feed::default();
        let decoder = compression.file_type().convert_read(feed.clone())?;
        Ok(Self { feed, decoder })
    }

    /// Puts in what follows, once [`Decompressor::read`] asked for it; nothing at the end.
    pub fn put(&mut self, bytes: Option<Bytes>) {
        let mut fed = self.feed.0.lock().unwrap_or_else(PoisonError::into_inner);
        match bytes {
            Some(bytes) => fed.bytes = bytes,
            None => fed.ended = true,
        }
    }

    /// Some of the text; none when more has to be put in, and empty at the end. A stream that is cut off is an error.
    pub fn read(&mut self) -> std::io::Result<Option<Bytes>> {
        let mut text = vec![0; STEP];
        let mut filled = 0;
        while filled < STEP {
            match self.decoder.read(&mut text[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock && filled == 0 => return Ok(None),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        text.truncate(filled);
        Ok(Some(Bytes::from(text)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn all(compression: Compression, bytes: &[u8], piece: usize) -> std::io::Result<Vec<u8>> {
        let mut decoder = Decompressor::new(compression).unwrap();
        let (mut text, mut pieces) = (vec![], bytes.chunks(piece));
        loop {
            match decoder.read()? {
                Some(more) if more.is_empty() => return Ok(text),
                Some(more) => text.extend(more),
                None => decoder.put(pieces.next().map(Bytes::copy_from_slice)),
            }
        }
    }

    #[test]
    fn members_and_frames_are_all_read_whatever_the_pieces() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let (first, second) = text.split_at(700_001);
        for piece in [1, 7, 4096, 1 << 20] {
            let (first, second) = if piece == 1 { (&first[..999], &second[..999]) } else { (first, second) };
            let gzips = [gzip(first), gzip(b""), gzip(second)].concat();
            let zstds = [zstd::encode_all(first, 1).unwrap(), zstd::encode_all(second, 1).unwrap()].concat();
            for (kind, bytes) in [(Compression::Gzip, gzips), (Compression::Zstd, zstds)] {
                assert!(all(kind, &bytes, piece).unwrap() == [first, second].concat(), "{kind:?} {piece}");
            }
        }
    }

    #[test]
    fn a_stream_that_is_cut_off_anywhere_is_an_error() {
        let text = b"some text, not too short, some text, not too short".repeat(20);
        for (kind, bytes) in
            [(Compression::Gzip, gzip(&text)), (Compression::Zstd, zstd::encode_all(text.as_slice(), 1).unwrap())]
        {
            assert_eq!(all(kind, &bytes, 10).unwrap(), text);
            for cut in 1..bytes.len() {
                assert!(all(kind, &bytes[..cut], 10).is_err(), "{kind:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn names_are_those_of_files_and_of_people() {
        assert_eq!(Compression::by_name("GZ"), Some(Compression::Gzip));
        assert_eq!(Compression::by_name("uncompressed"), Some(Compression::None));
        assert_eq!(Compression::by_name("lzo"), None);
        assert_eq!(Compression::Zstd.extension(), ".zst");
        assert_eq!(Compression::None.extension(), "");
    }
}
