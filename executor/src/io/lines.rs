//! [`Lines`] and [`Split`]: a stream piece by piece.

use std::io;

use super::{AsyncReadOwned, BufReader};

/// The lines of a stream, made by [`BufReader::lines`].
#[derive(Debug)]
pub struct Lines<R> {
    reader: BufReader<R>,
}

impl<R: AsyncReadOwned> Lines<R> {
    pub(super) fn new(reader: BufReader<R>) -> Lines<R> {
        Lines { reader }
    }

    /// As [`BufReader::max_length`].
    pub fn max_length(self, bytes: usize) -> Lines<R> {
        Lines::new(self.reader.max_length(bytes))
    }

    /// The next line, without its `\n` or `\r\n`; `None` at the end. What follows the last `\n` is a line
    /// unless it is empty.
    ///
    /// Dropping this future loses nothing: half a line stays in the reader.
    ///
    /// # Errors
    ///
    /// As [`BufReader::read_line`].
    pub async fn next_line(&mut self) -> io::Result<Option<String>> {
        let count = self.reader.wait_until(b'\n').await?;
        if count == 0 {
            return Ok(None);
        }
        let line = self.reader.text(count)?;
        let line = match line.strip_suffix('\n') {
            Some(line) => line.strip_suffix('\r').unwrap_or(line),
            None => line,
        };
        let line = line.to_owned();
        self.reader.skip(count);
        Ok(Some(line))
    }

    /// The reader, with all that it has not handed out.
    pub fn into_inner(self) -> BufReader<R> {
        self.reader
    }
}

/// The parts of a stream between delimiters, made by [`BufReader::split`].
#[derive(Debug)]
pub struct Split<R> {
    reader: BufReader<R>,
    delimiter: u8,
}

impl<R: AsyncReadOwned> Split<R> {
    pub(super) fn new(reader: BufReader<R>, delimiter: u8) -> Split<R> {
        Split { reader, delimiter }
    }

    /// As [`BufReader::max_length`].
    pub fn max_length(self, bytes: usize) -> Split<R> {
        Split::new(self.reader.max_length(bytes), self.delimiter)
    }

    /// The next part, without its delimiter; `None` at the end. What follows the last delimiter is a part
    /// unless it is empty.
    ///
    /// Dropping this future loses nothing: half a part stays in the reader.
    ///
    /// # Errors
    ///
    /// As [`BufReader::read_until`].
    pub async fn next_part(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut part = Vec::new();
        if self.reader.read_until(self.delimiter, &mut part).await? == 0 {
            return Ok(None);
        }
        if part.last() == Some(&self.delimiter) {
            part.pop();
        }
        Ok(Some(part))
    }

    /// The reader, with all that it has not handed out.
    pub fn into_inner(self) -> BufReader<R> {
        self.reader
    }
}
