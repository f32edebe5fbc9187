//! Bodies that are sent in chunks with signatures and trailers (`aws-chunked`).

use bytes::{Buf, Bytes, BytesMut};

use super::refusal::Refusal;
use crate::head::Head;

/// The body without chunks; what was not sent in chunks as it is.
pub(crate) fn decoded(head: &Head, body: Bytes) -> Result<Bytes, Refusal> {
    let streaming = head.header("x-amz-content-sha256").is_some_and(|hash| hash.starts_with("STREAMING-"));
    let encoded = head.header("content-encoding").is_some_and(|names| names.contains("aws-chunked"));
    if !streaming && !encoded {
        return Ok(body);
    }
    let whole = unchunked(body).ok_or_else(|| {
        Refusal::new(400, "IncompleteBody", "The body is not a sequence of chunks that ends with an empty one.")
    })?;
    match head.header("x-amz-decoded-content-length").map(str::parse::<usize>) {
        Some(Ok(length)) if length != whole.len() => Err(Refusal::new(
            400,
            "IncompleteBody",
            format!("The chunks hold {} bytes, and x-amz-decoded-content-length says {length}.", whole.len()),
        )),
        Some(Err(_)) => Err(Refusal::new(400, "InvalidArgument", "x-amz-decoded-content-length is no number.")),
        _ => Ok(whole),
    }
}

/// `size[;chunk-signature=…]\r\n bytes \r\n … 0[;…]\r\n trailers`.
fn unchunked(mut body: Bytes) -> Option<Bytes> {
    let mut whole = BytesMut::with_capacity(body.len());
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(&body[..end]).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        body.advance(end + 2);
        if size == 0 {
            return Some(whole.freeze());
        }
        if body.len() < size.checked_add(2)? || body[size..size + 2] != *b"\r\n" {
            return None;
        }
        whole.extend_from_slice(&body[..size]);
        body.advance(size + 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together() {
        let body =
            "5;chunk-signature=aa\r\nhello\r\nA;chunk-signature=bb\r\n, world\r\n!\r\n0;x\r\nx-amz-checksum:q\r\n\r\n";
        assert_eq!(unchunked(Bytes::from(body)).unwrap(), "hello, world\r\n!");
        assert_eq!(unchunked(Bytes::from("0\r\n\r\n")).unwrap(), "");
        for cut in ["5\r\nhell", "5\r\nhello\r\n", "5\r\nhelloxx0\r\n", "zz\r\n", "ffffffffffffffff\r\nx"] {
            assert_eq!(unchunked(Bytes::from(cut)), None, "{cut}");
        }
    }
}
