//! Decompressing blocks, with a bound on what comes out.

use std::io::{Cursor, Read};

use bytes::Bytes;

use super::snappy;
use crate::formats::compression::Compression;

/// Bytes of a block, before and after decompression.
pub const MAX_BLOCK: usize = 256 << 20;
/// Of a checksum behind what snappy compressed.
const CHECKSUM: usize = 4;

/// How the blocks of a file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not.
    Null,
    /// Deflate, without zlib's or gzip's frame.
    Deflate,
    /// Snappy, with a checksum.
    Snappy,
    /// As of text.
    Other(Compression),
}

impl Codec {
    /// By the name in a file's header.
    pub fn by_name(name: &[u8]) -> Result<Self, String> {
        match name {
            b"null" | b"" => Ok(Self::Null),
            b"deflate" => Ok(Self::Deflate),
            b"snappy" => Ok(Self::Snappy),
            b"zstandard" => Ok(Self::Other(Compression::Zstd)),
            b"bzip2" => Ok(Self::Other(Compression::Bzip2)),
            b"xz" => Ok(Self::Other(Compression::Xz)),
            other => Err(format!(
                "its blocks are compressed with '{}', which is not known; null, deflate, snappy, zstandard, bzip2 and xz are",
                String::from_utf8_lossy(other).escape_debug()
            )),
        }
    }

    /// The content of a block.
    pub fn decompress(self, block: Bytes) -> Result<Bytes, String> {
        match self {
            Codec::Null => Ok(block),
            Codec::Deflate => all(flate2::read::DeflateDecoder::new(Cursor::new(block))),
            Codec::Snappy => {
                let end = block.len().checked_sub(CHECKSUM).ok_or("a block has no checksum")?;
                let text = snappy::decompress(&block[..end], MAX_BLOCK)?;
                let mut sum = flate2::Crc::new();
                sum.update(&text);
                if sum.sum().to_be_bytes() == block[end..] {
                    Ok(text.into())
                } else {
                    Err("a block's checksum is wrong".into())
                }
            }
            Codec::Other(compression) => {
                let reader = compression.file_type().convert_read(Cursor::new(block));
                all(reader.map_err(|error| error.to_string())?)
            }
        }
    }
}

fn all(reader: impl Read) -> Result<Bytes, String> {
    let mut text = vec![];
    let read = reader.take(MAX_BLOCK as u64 + 1).read_to_end(&mut text);
    read.map_err(|error| format!("a block cannot be decompressed: {error}"))?;
    if text.len() > MAX_BLOCK {
        return Err(format!("a block has more than {MAX_BLOCK} bytes once it is decompressed, which is the limit"));
    }
    Ok(text.into())
}
