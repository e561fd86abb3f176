//! Whole files at once: reading, writing, copying.

use std::io;
use std::path::Path;

use super::File;
use super::error::PathError;
use crate::blocking::blocking;
use crate::buf::IoBuf;
use crate::driver::tree;

/// Room for what a file that says it is empty may hold all the same, as those in `/proc` do.
const READ_FIRST: usize = 4096;

/// Everything in a file.
///
/// Dropping this future cancels it.
///
/// # Errors
///
/// As the standard library, with the path in the message; outside a runtime.
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    let file = File::open(path).await?;
    let read = read_to_end(&file).await;
    read.map_err(|error| PathError::wrap("read", path, error))
}

async fn read_to_end(file: &File) -> io::Result<Vec<u8>> {
    let size = usize::try_from(file.metadata().await?.len()).unwrap_or(usize::MAX);
    // One byte more than it says, so that the end is seen without growing.
    let room = size.saturating_add(1).max(READ_FIRST);
    let mut content = Vec::new();
    content.try_reserve_exact(room)?;
    loop {
        let len = content.len();
        if len == content.capacity() {
            content.try_reserve(len)?;
        }
        let (count, slice) = file.read(content.slice(len..)).await;
        content = slice.into_inner();
        if count? == 0 {
            content.shrink_to_fit();
            return Ok(content);
        }
    }
}

/// Everything in a file, as text.
///
/// Dropping this future cancels it.
///
/// # Errors
///
/// As [`read`]; `InvalidData`, with the path and the place, if it is not UTF-8.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref();
    let content = read(path).await?;
    String::from_utf8(content).map_err(|error| {
        let cause = io::Error::new(io::ErrorKind::InvalidData, error.utf8_error());
        PathError::wrap("read text of", path, cause)
    })
}

/// Makes a file that holds `content`, or replaces what it holds, and gives the buffer back. That it is on the disk only
/// [`File::sync_all`] can tell.
///
/// Dropping this future may leave the file empty, with a part, or with all of `content`.
///
/// # Errors
///
/// As the standard library, with the path in the message; outside a runtime.
pub async fn write<B: IoBuf>(path: impl AsRef<Path>, content: B) -> io::Result<B> {
    let path = path.as_ref();
    let file = File::create(path).await?;
    let (written, content) = file.write_all(content).await;
    let closed = written.and(file.close().await);
    closed.map_err(|error| PathError::wrap("write", path, error))?;
    Ok(content)
}

/// Copies a file's content and permissions; replaces what `to` holds. Resolves to the count of bytes.
///
/// Done by the standard library on another thread: it lets the kernel copy, within a file system that can without
/// moving a byte. Dropping this future once it was polled does not stop it.
///
/// # Errors
///
/// As the standard library, with both paths in the message; outside a runtime.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let owned = (from.to_owned(), to.to_owned());
    let copied = blocking(move || tree::copy(&owned.0, &owned.1)).await;
    copied.map_err(|error| PathError::wrap_both("copy", from, Some(to), error))
}
