//! [`BufWriter`]: many small writes become few large ones.

use std::fmt;
use std::io;

use super::AsyncWriteOwned;

/// Room for bytes that wait, unless asked for otherwise.
pub(crate) const CAPACITY_DEFAULT: usize = 8 << 10;

/// Collects small writes and sends them together. The bytes are copied once, into the buffer that is sent.
///
/// What was accepted is sent: [`flush`](BufWriter::flush) sends it now and tells how that went. Dropping the writer sends it
/// in the background, before anything written afterwards; an error of that shows at the next write,
/// flush or shutdown of what it wrote to.
///
/// ```
/// use krug::io::BufWriter;
/// use krug::net::UnixStream;
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let (sender, receiver) = UnixStream::pair()?;
/// let mut writer = BufWriter::new(&sender);
/// writer.write_all(b"HTTP/1.1 204 No Content\r\n").await?;
/// writer.write_all(b"\r\n").await?;
/// writer.flush().await?;
/// let (result, _buf) = receiver.read(vec![0; 64]).await;
/// assert_eq!(result?, 27);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct BufWriter<W: AsyncWriteOwned> {
    /// `None` once it was given back.
    inner: Option<W>,
    waiting: Vec<u8>,
    capacity: usize,
}

impl<W: AsyncWriteOwned> BufWriter<W> {
    /// With room for 8 KiB.
    pub fn new(inner: W) -> BufWriter<W> {
        BufWriter::with_capacity(CAPACITY_DEFAULT, inner)
    }

    /// With room for `capacity` bytes, at least one.
    pub fn with_capacity(capacity: usize, inner: W) -> BufWriter<W> {
        BufWriter {
            inner: Some(inner),
            waiting: Vec::new(),
            capacity: capacity.max(1),
        }
    }

    /// Accepts some of `bytes`, as many as there is room for; if there is none, sends first what waits.
    /// Resolves to their count.
    ///
    /// Dropping this future: nothing of `bytes` is accepted; what was accepted before is sent.
    ///
    /// # Errors
    ///
    /// What sending answers. How much was sent before an error is not known; what waited is given up.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.waiting.len() >= self.capacity && !bytes.is_empty() {
            self.send().await?;
        }
        let share = bytes
            .len()
            .min(self.capacity.saturating_sub(self.waiting.len()));
        self.accept(&bytes[..share]);
        Ok(share)
    }

    /// Accepts all of `bytes`. If they do not fit beside what waits, that is sent first; more than the whole room
    /// is accepted all the same, and sent by the next call.
    ///
    /// Dropping this future: nothing of `bytes` is accepted; what was accepted before is sent.
    ///
    /// # Errors
    ///
    /// As [`write`](BufWriter::write).
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fits = self.waiting.len() + bytes.len() <= self.capacity;
        if !fits && !self.waiting.is_empty() {
            self.send().await?;
        }
        // Nothing is awaited after this: whoever sees the future finish knows that all was accepted, and
        // whoever drops it before knows that nothing was.
        self.accept(bytes);
        Ok(())
    }

    /// Sends what was accepted, and waits until the kernel has it.
    ///
    /// Dropping this future once it was polled does not stop the sending.
    ///
    /// # Errors
    ///
    /// As [`write`](BufWriter::write).
    pub async fn flush(&mut self) -> io::Result<()> {
        self.send().await?;
        self.inner().flush().await
    }

    /// Flushes, then ends writing: the peer sees the end of the stream.
    ///
    /// Dropping this future once it was polled does not stop the sending; the end may not follow.
    ///
    /// # Errors
    ///
    /// As [`write`](BufWriter::write).
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.inner().shutdown().await
    }

    /// The bytes that were accepted and not sent yet.
    pub fn buffer(&self) -> &[u8] {
        &self.waiting
    }

    /// What it writes to. What is written there directly comes before the bytes that still wait here.
    pub fn get_ref(&self) -> &W {
        self.inner.as_ref().expect("given back only by value")
    }

    /// What it writes to, to be changed.
    pub fn get_mut(&mut self) -> &mut W {
        self.inner()
    }

    /// What it writes to. What was accepted is sent in the background, before anything written there afterwards.
    pub fn into_inner(mut self) -> W {
        self.send_in_background();
        self.inner.take().expect("given back only by value")
    }

    fn inner(&mut self) -> &mut W {
        self.inner.as_mut().expect("given back only by value")
    }

    fn accept(&mut self, bytes: &[u8]) {
        if self.waiting.capacity() < self.capacity {
            self.waiting.reserve_exact(self.capacity.max(bytes.len()));
        }
        self.waiting.extend_from_slice(bytes);
    }

    async fn send(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (result, mut sent) = self.inner().commit(waiting).await;
        sent.clear();
        if sent.capacity() <= self.capacity * 2 {
            self.waiting = sent;
        }
        result
    }

    fn send_in_background(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        if let Some(inner) = &mut self.inner
            && !waiting.is_empty()
        {
            drop(inner.commit(waiting));
        }
    }
}

impl<W: AsyncWriteOwned> Drop for BufWriter<W> {
    fn drop(&mut self) {
        self.send_in_background();
    }
}

impl<W: AsyncWriteOwned + fmt::Debug> fmt::Debug for BufWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufWriter")
            .field("inner", &self.inner)
            .field("waiting", &self.waiting.len())
            .field("capacity", &self.capacity)
            .finish()
    }
}
