//! [`read_to_end`] and [`read_to_string`].

use std::io;

use super::AsyncReadOwned;
use crate::buf::{BufResult, IoBuf};

/// The least room that a read gets.
const ROOM_MIN: usize = 4 << 10;

/// Reads up to the end and appends it to `buf`, which grows. Resolves to the count of bytes, and the buffer. Bytes
/// are read straight into it, without a copy beyond those of its growth.
///
/// Dropping this future drops the buffer, and with it what was read so far; bytes that are on their way go to
/// the next read. [`BufReader::read_to_end`](super::BufReader::read_to_end) loses nothing.
///
/// # Errors
///
/// The reader's; what was read before it is in the buffer.
pub async fn read_to_end<R: AsyncReadOwned>(
    mut reader: R,
    mut buf: Vec<u8>,
) -> BufResult<usize, Vec<u8>> {
    let begin = buf.len();
    loop {
        if buf.capacity() - buf.len() < ROOM_MIN {
            buf.reserve(ROOM_MIN.max(buf.len()));
        }
        let len = buf.len();
        let (result, filled) = reader.read(buf.slice(len..)).await;
        buf = filled.into_inner();
        match result {
            Ok(0) => return (Ok(len - begin), buf),
            Ok(_) => {}
            Err(error) => return (Err(error), buf),
        }
    }
}

/// Reads up to the end, as text.
///
/// Dropping this future: as [`read_to_end`].
///
/// # Errors
///
/// The reader's; `InvalidData` if the bytes are not UTF-8: they are in the
/// [`FromUtf8Error`](std::string::FromUtf8Error) inside the error.
pub async fn read_to_string<R: AsyncReadOwned>(reader: R) -> io::Result<String> {
    let (result, bytes) = read_to_end(reader, Vec::new()).await;
    result?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
