//! [`BufReader`]: reads large pieces, gives out small ones, lines among them.

use std::io;

use super::AsyncReadOwned;
use super::lines::{Lines, Split};
use crate::buf::{self, BufResult, IoBufMut};

/// How much is read at a time, unless asked for otherwise.
pub(crate) const CAPACITY_DEFAULT: usize = 8 << 10;

/// Reads large pieces and gives out small ones: lines, records, numbers of bytes.
///
/// **Dropping any future of this type loses nothing.** What was read stays in the reader until a
/// method hands it out, and it does that in the moment in which its future resolves. So a half-read line survives a
/// timeout or a `select!`, and the next call goes on with it.
///
/// ```
/// use krug::io::BufReader;
/// use krug::net::UnixStream;
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let (client, server) = UnixStream::pair()?;
/// let (result, _buf) = client.write_all("GET key\r\nQUIT\r\n").await;
/// result?;
/// client.close().await?;
/// let mut lines = BufReader::new(server).max_length(1024).lines();
/// assert_eq!(lines.next_line().await?.as_deref(), Some("GET key"));
/// assert_eq!(lines.next_line().await?.as_deref(), Some("QUIT"));
/// assert_eq!(lines.next_line().await?, None);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// # How long a line may be
///
/// As long as memory lasts, unless [`max_length`](BufReader::max_length) says otherwise: a server should set it, or
/// a peer that never ends its line fills the memory.
#[derive(Debug)]
pub struct BufReader<R> {
    inner: R,
    /// Unread bytes that came before those in `piece`: the beginning of something whose end was not there yet.
    /// They are not in `piece`, because that is given away to each read, and lost to us if that is dropped.
    held: Unread,
    /// The last piece that was read.
    piece: Unread,
    capacity: usize,
    length_max: usize,
}

/// Bytes of which the first ones were handed out.
#[derive(Debug, Default)]
struct Unread {
    bytes: Vec<u8>,
    position: usize,
}

impl Unread {
    fn get(&self) -> &[u8] {
        &self.bytes[self.position..]
    }

    fn consume(&mut self, count: usize) {
        self.position += count;
        debug_assert!(self.position <= self.bytes.len());
        if self.position == self.bytes.len() {
            self.bytes.clear();
            self.position = 0;
        }
    }
}

impl<R> BufReader<R> {
    /// Reads up to 8 KiB at a time.
    pub fn new(inner: R) -> BufReader<R> {
        BufReader::with_capacity(CAPACITY_DEFAULT, inner)
    }

    /// Reads up to `capacity` bytes at a time, at least one.
    pub fn with_capacity(capacity: usize, inner: R) -> BufReader<R> {
        BufReader {
            inner,
            held: Unread::default(),
            piece: Unread::default(),
            capacity: capacity.max(1),
            length_max: usize::MAX,
        }
    }

    /// The same, with a bound for what [`read_until`](BufReader::read_until), [`read_line`](BufReader::read_line), `lines` and
    /// `split` collect, the delimiter included, and for [`read_to_end`](BufReader::read_to_end). What is longer is an error
    /// of the kind `InvalidData`. Unless this is called there is no bound.
    pub fn max_length(mut self, bytes: usize) -> BufReader<R> {
        self.length_max = bytes;
        self
    }

    /// What it reads from. Bytes read there directly come after those that are here already.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// What it reads from, to be changed.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The next bytes that are here already: some of them, or none.
    pub fn buffer(&self) -> &[u8] {
        if self.held.get().is_empty() {
            self.piece.get()
        } else {
            self.held.get()
        }
    }

    /// What it reads from, and the bytes that were read and not handed out.
    pub fn into_parts(mut self) -> (R, Vec<u8>) {
        let unread = self.take(self.unread_len());
        (self.inner, unread)
    }

    /// Hands out `count` of the bytes that [`fill_buf`](BufReader::fill_buf) has shown: they are not shown
    /// again. If it has shown fewer, all of these.
    pub fn consume(&mut self, count: usize) {
        let from_held = count.min(self.held.get().len());
        if from_held > 0 {
            self.held.consume(from_held);
        } else {
            self.piece.consume(count.min(self.piece.get().len()));
        }
    }

    fn unread_len(&self) -> usize {
        self.held.get().len() + self.piece.get().len()
    }

    /// Removes the first `count` unread bytes and appends them to `target`.
    fn move_to(&mut self, target: &mut Vec<u8>, count: usize) {
        let from_held = count.min(self.held.get().len());
        target.extend_from_slice(&self.held.get()[..from_held]);
        self.held.consume(from_held);
        target.extend_from_slice(&self.piece.get()[..count - from_held]);
        self.piece.consume(count - from_held);
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let mut taken = Vec::with_capacity(count);
        self.move_to(&mut taken, count);
        taken
    }

    /// The place of the first `delimiter` among the unread bytes, of which the first `searched` are known to
    /// have none.
    fn find(&self, delimiter: u8, searched: usize) -> Option<usize> {
        let held = self.held.get();
        let place_in = |bytes: &[u8]| bytes.iter().position(|byte| *byte == delimiter);
        if let Some(rest) = held.get(searched..)
            && let Some(place) = place_in(rest)
        {
            return Some(searched + place);
        }
        let begin = searched.saturating_sub(held.len());
        place_in(&self.piece.get()[begin..]).map(|place| held.len() + begin + place)
    }

    fn too_long(&self, what: &str) -> io::Error {
        let message = format!(
            "{what} is longer than the {} bytes that BufReader::max_length allows",
            self.length_max
        );
        io::Error::new(io::ErrorKind::InvalidData, message)
    }
}

impl<R: AsyncReadOwned> BufReader<R> {
    /// Shows the next bytes; reads if there are none. An empty slice is the end.
    /// [`consume`](BufReader::consume) tells how many of them were used.
    ///
    /// Dropping this future loses nothing.
    ///
    /// # Errors
    ///
    /// The reader's.
    pub async fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.unread_len() == 0 {
            self.read_piece().await?;
        }
        Ok(self.buffer())
    }

    /// Appends to `target` everything up to the next `delimiter`, and that, too; at the end of the stream, what
    /// is left. Resolves to the count of bytes, 0 at the end.
    ///
    /// Dropping this future loses nothing and appends nothing.
    ///
    /// # Errors
    ///
    /// The reader's; `InvalidData` for more than [`max_length`](BufReader::max_length) bytes. All bytes are still in
    /// the reader then.
    pub async fn read_until(&mut self, delimiter: u8, target: &mut Vec<u8>) -> io::Result<usize> {
        let count = self.wait_until(delimiter).await?;
        self.move_to(target, count);
        Ok(count)
    }

    /// Appends the next line to `line`, with its `\n`, if it has one. Resolves to the count of bytes, 0 at
    /// the end.
    ///
    /// Dropping this future loses nothing and appends nothing.
    ///
    /// # Errors
    ///
    /// As [`read_until`](BufReader::read_until); `InvalidData` also if the line is not UTF-8: it is still in
    /// the reader then, and `read_until` takes it out.
    pub async fn read_line(&mut self, line: &mut String) -> io::Result<usize> {
        let count = self.wait_until(b'\n').await?;
        line.push_str(self.text(count)?);
        self.skip(count);
        Ok(count)
    }

    /// Fills `buf` up to its capacity.
    ///
    /// Dropping this future loses nothing but the buffer.
    ///
    /// # Errors
    ///
    /// The reader's; `UnexpectedEof` if the stream ends before, and the bytes are still in the reader then.
    pub async fn read_exact<B: IoBufMut>(&mut self, mut buf: B) -> BufResult<(), B> {
        let len = buf.capacity();
        while self.unread_len() < len {
            match self.read_on().await {
                Ok(true) => {}
                Ok(false) => return (Err(io::ErrorKind::UnexpectedEof.into()), buf),
                Err(error) => return (Err(error), buf),
            }
        }
        let count = buf::fill_from_slice(&mut buf, self.first(len));
        self.skip(count);
        (Ok(()), buf)
    }

    /// Appends everything up to the end of the stream to `target`. Resolves to the count of bytes.
    ///
    /// Dropping this future loses nothing and appends nothing.
    ///
    /// # Errors
    ///
    /// The reader's; `InvalidData` for more than [`max_length`](BufReader::max_length) bytes. All bytes are still in
    /// the reader then.
    pub async fn read_to_end(&mut self, target: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            if self.unread_len() > self.length_max {
                return Err(self.too_long("what is left of the stream"));
            }
            if !self.read_on().await? {
                let count = self.unread_len();
                self.move_to(target, count);
                return Ok(count);
            }
        }
    }

    /// The lines of the stream, without their `\n` or `\r\n`.
    pub fn lines(self) -> Lines<R> {
        Lines::new(self)
    }

    /// The parts of the stream between each `delimiter` and the next.
    pub fn split(self, delimiter: u8) -> Split<R> {
        Split::new(self, delimiter)
    }

    /// Waits until the unread bytes have a `delimiter`; their count up to it, or of all at the end.
    pub(super) async fn wait_until(&mut self, delimiter: u8) -> io::Result<usize> {
        let mut searched = 0;
        loop {
            let found = self.find(delimiter, searched).map(|place| place + 1);
            searched = self.unread_len();
            let count = found.unwrap_or(searched);
            if count > self.length_max {
                return Err(self.too_long("a line, or what else ends with a delimiter,"));
            }
            if found.is_some() || !self.read_on().await? {
                return Ok(count);
            }
        }
    }

    /// The first `count` unread bytes, in one piece.
    pub(super) fn first(&mut self, count: usize) -> &[u8] {
        if self.held.get().is_empty() {
            return &self.piece.get()[..count];
        }
        let missing = count.saturating_sub(self.held.get().len());
        if missing > 0 {
            self.held
                .bytes
                .extend_from_slice(&self.piece.get()[..missing]);
            self.piece.consume(missing);
        }
        &self.held.get()[..count]
    }

    /// The first `count` unread bytes, as text.
    pub(super) fn text(&mut self, count: usize) -> io::Result<&str> {
        std::str::from_utf8(self.first(count))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Hands out the first `count` unread bytes, wherever they are.
    pub(super) fn skip(&mut self, count: usize) {
        let from_held = count.min(self.held.get().len());
        self.held.consume(from_held);
        self.piece.consume(count - from_held);
    }

    /// Reads one more piece behind what is unread. False at the end.
    async fn read_on(&mut self) -> io::Result<bool> {
        let Unread { bytes, position } = &self.piece;
        self.held.bytes.extend_from_slice(&bytes[*position..]);
        self.piece.consume(bytes.len() - position);
        self.read_piece().await?;
        Ok(!self.piece.get().is_empty())
    }

    /// Reads one piece; there is none before.
    async fn read_piece(&mut self) -> io::Result<()> {
        debug_assert!(self.piece.get().is_empty());
        let mut room = std::mem::take(&mut self.piece.bytes);
        if room.capacity() == 0 {
            room.reserve_exact(self.capacity);
        }
        let (result, piece) = self.inner.read(room).await;
        self.piece.bytes = piece;
        // The reader's count is the truth; an error leaves the buffer as it was, which was empty.
        let count = *result.as_ref().unwrap_or(&0);
        self.piece.bytes.truncate(count);
        result.map(|_| ())
    }
}

impl<R: AsyncReadOwned> AsyncReadOwned for BufReader<R> {
    /// Dropping this future loses nothing. With nothing unread, and a buffer at least as large as that of this reader, it reads
    /// straight into it.
    async fn read<B: IoBufMut>(&mut self, mut buf: B) -> BufResult<usize, B> {
        if self.unread_len() == 0 && buf.capacity() >= self.capacity {
            return self.inner.read(buf).await;
        }
        if buf.capacity() == 0 {
            return (Ok(0), buf);
        }
        match self.fill_buf().await {
            Ok(shown) => {
                let count = buf::fill_from_slice(&mut buf, shown);
                self.consume(count);
                (Ok(count), buf)
            }
            Err(error) => (Err(error), buf),
        }
    }
}
