//! [`AsyncReadOwned`] and [`AsyncWriteOwned`]: what can be read from and written to with owned buffers.

use std::future::Future;
use std::io;

use crate::buf::{BufResult, IoBuf, IoBufMut};

/// What bytes can be read from, into owned buffers: all streams of this crate, references to them, a
/// [`BufReader`](super::BufReader). Implement it for a wrapper of your own to use it with
/// [`copy`](super::copy()), [`read_to_end`](super::read_to_end) and [`BufReader`](super::BufReader).
///
/// ```
/// use krug::buf::{BufResult, IoBufMut};
/// use krug::io::AsyncReadOwned;
///
/// /// Counts what goes through.
/// struct Counted<R>(R, u64);
///
/// impl<R: AsyncReadOwned> AsyncReadOwned for Counted<R> {
///     async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
///         let (result, buf) = self.0.read(buf).await;
///         self.1 += *result.as_ref().unwrap_or(&0) as u64;
///         (result, buf)
///     }
/// }
/// ```
pub trait AsyncReadOwned {
    /// Reads some bytes into `buf`, at least one; waits if there are none. Resolves to their count, 0 at the end (and for
    /// a buffer without room), and the buffer, which follows the [rules](crate::buf).
    ///
    /// Dropping this future must lose nothing: bytes that it would have brought go to the next read.
    ///
    /// # Errors
    ///
    /// The reader's own; the buffer comes back as it was.
    fn read<B: IoBufMut>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>>;
}

/// What bytes can be written to, from owned buffers: all streams of this crate and references to them.
/// Implement it for a wrapper of your own to use it with [`copy`](super::copy()) and [`BufWriter`](super::BufWriter).
pub trait AsyncWriteOwned {
    /// Writes all of `buf`.
    ///
    /// Dropping this future: either nothing of `buf` is written or all of it.
    ///
    /// # Errors
    ///
    /// The writer's own; also that of something written before whose future was dropped.
    fn write_all<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<(), B>>;

    /// Writes all of `bytes`, which are accepted by the call itself. They come before whatever is written afterwards.
    ///
    /// Dropping this future, at any time, even before its first poll, must lose nothing: all of `bytes` is written
    /// all the same, in the background. An error of that must show at the next write, flush or shutdown.
    ///
    /// # Errors
    ///
    /// As [`write_all`](AsyncWriteOwned::write_all). How many bytes were written before an error is not known.
    fn commit(&mut self, bytes: Vec<u8>) -> impl Future<Output = BufResult<(), Vec<u8>>>;

    /// Waits until everything written before has left this program.
    ///
    /// Dropping this future does nothing.
    ///
    /// # Errors
    ///
    /// That of something written before whose future was dropped.
    fn flush(&mut self) -> impl Future<Output = io::Result<()>>;

    /// Ends writing, after everything that was written: the reader at the other end sees the end.
    ///
    /// Dropping this future does not take it back once it has begun.
    ///
    /// # Errors
    ///
    /// As [`flush`](AsyncWriteOwned::flush), and the writer's own.
    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>>;
}

impl<R: AsyncReadOwned> AsyncReadOwned for &mut R {
    fn read<B: IoBufMut>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> {
        (**self).read(buf)
    }
}

impl<W: AsyncWriteOwned> AsyncWriteOwned for &mut W {
    fn write_all<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<(), B>> {
        (**self).write_all(buf)
    }

    fn commit(&mut self, bytes: Vec<u8>) -> impl Future<Output = BufResult<(), Vec<u8>>> {
        (**self).commit(bytes)
    }

    fn flush(&mut self) -> impl Future<Output = io::Result<()>> {
        (**self).flush()
    }

    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> {
        (**self).shutdown()
    }
}
