//! [`DirectFile`]: reading and writing past the kernel's cache.

use std::fmt;
use std::io;
use std::path::Path;

use super::error::PathError;
use super::{File, KeepSize, Metadata, OpenOptions};
use crate::buf::{self, BufResult, Buffer, IoBuf, IoBufMut};
use crate::source;

/// The most bytes that one operation moves. Larger requests can keep a disk, and a kernel thread that cannot be stopped
/// meanwhile, busy for seconds; smaller ones cost more calls. One mebibyte is the largest that common disks take in one command.
pub(super) const PIECE_MAX: u32 = 1024 * 1024;

/// Every disk and file system that is common today is content with this.
const ALIGNMENT_DEFAULT: u32 = 4096;

/// What memory, offsets and lengths of direct reads and writes must be multiples of, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// Of the address of a buffer. A power of two.
    pub memory: usize,
    /// Of the offset in the file and of the length. A power of two.
    pub block: usize,
}

/// A file that is read and written past the kernel's cache (`O_DIRECT`): for those who have a cache of their own.
///
/// Buffers, offsets and lengths must be aligned as [`alignment`](DirectFile::alignment) says;
/// [`buffer`](DirectFile::buffer) makes such buffers. What is not aligned is refused with an error that says what is wrong,
/// before the kernel sees it. Large requests are split into pieces of 1 MiB, one after the other.
///
/// ```no_run
/// # #[krug::main] async fn main() -> std::io::Result<()> {
/// use krug::fs::DirectFile;
///
/// let file = DirectFile::create("pages").await?;
/// let mut page = file.buffer(8192);
/// page.resize(8192, 7);
/// let (written, page) = file.write_all_at(page, 0).await;
/// written?;
/// file.sync_data().await?;
/// let (read, page) = file.read_at(page, 0).await;
/// assert_eq!((read?, page[0]), (8192, 7));
/// # Ok(()) }
/// ```
///
/// A direct write is not durable before a sync: the disk has a cache, too. Concurrent buffered reads of the same file
/// may see old bytes; see `open(2)`.
///
/// Dropped, it closes in the background, when every change in flight is over, as [`File`] does.
pub struct DirectFile {
    file: File,
    alignment: Alignment,
}

impl DirectFile {
    /// Opens a file for reading. See [`OpenOptions::open_direct`].
    ///
    /// Dropping this future: as [`OpenOptions::open`].
    ///
    /// # Errors
    ///
    /// As [`OpenOptions::open_direct`].
    pub async fn open(path: impl AsRef<Path>) -> io::Result<DirectFile> {
        OpenOptions::new().read(true).open_direct(path).await
    }

    /// Makes a file, or empties it if it exists, and opens it for reading and writing. See [`OpenOptions::open_direct`].
    ///
    /// Dropping this future: as [`OpenOptions::open`].
    ///
    /// # Errors
    ///
    /// As [`OpenOptions::open_direct`].
    pub async fn create(path: impl AsRef<Path>) -> io::Result<DirectFile> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(true);
        options.open_direct(path).await
    }

    async fn new(file: File) -> io::Result<DirectFile> {
        let alignment = file.metadata().await?.direct_alignment().ok_or_else(|| {
            let text = "the file system does not do direct I/O on this file; open it with OpenOptions::open";
            io::Error::new(io::ErrorKind::Unsupported, text)
        })?;
        source::file(file.source())?.set_piece_max(PIECE_MAX);
        Ok(DirectFile { file, alignment })
    }

    /// What buffers, offsets and lengths must be multiples of: what the kernel says of this file (Linux 6.1), else 4096.
    pub fn alignment(&self) -> Alignment {
        self.alignment
    }

    /// An empty buffer with room for `len` bytes, rounded up to whole blocks, at an aligned address; from the core's registered memory
    /// if that has room.
    ///
    /// # Panics
    ///
    /// As [`buf::alloc_aligned`].
    pub fn buffer(&self, len: usize) -> Buffer {
        let Alignment { memory, block } = self.alignment;
        buf::alloc_aligned(len.next_multiple_of(block), memory.max(block))
    }

    /// Reads from `offset` on into `buf`, until it is full or the file ends. Resolves to the count of bytes, which at the end
    /// of the file need be no multiple of anything, and the buffer.
    ///
    /// Dropping this future cancels it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the address, the offset or the room is not aligned; otherwise as [`File::read_at`].
    pub async fn read_at<B: IoBufMut>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        match self.check(buf.as_ptr(), buf.capacity(), offset) {
            Ok(()) => self.file.read_at(buf, offset).await,
            Err(error) => (Err(error), buf),
        }
    }

    /// Writes all of `buf` at `offset`.
    ///
    /// Dropping this future: as [`File::write_at`]; a write that has begun is finished, all its pieces.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the address, the offset or the length is not aligned; otherwise as [`File::write_at`].
    pub async fn write_all_at<B: IoBuf>(&self, buf: B, offset: u64) -> BufResult<(), B> {
        match self.check(buf.as_ptr(), buf.initialized_len(), offset) {
            Ok(()) => self.file.write_all_at(buf, offset).await,
            Err(error) => (Err(error), buf),
        }
    }

    fn check(&self, address: *const u8, length: usize, offset: u64) -> io::Result<()> {
        let Alignment { memory, block } = self.alignment;
        let wrong = [
            ("address", address.addr() as u64, memory),
            ("offset", offset, block),
            ("length", length as u64, block),
        ];
        match wrong
            .iter()
            .find(|(_, value, unit)| value % *unit as u64 != 0)
        {
            None => Ok(()),
            Some((what, value, unit)) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "direct I/O needs {what}s that are multiples of {unit}, not {value}: DirectFile::buffer makes buffers that fit"
                ),
            )),
        }
    }

    /// See [`File::sync_data`].
    ///
    /// Dropping this future: as there.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().await
    }

    /// See [`File::sync_all`].
    ///
    /// Dropping this future: as there.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all().await
    }

    /// See [`File::set_len`].
    ///
    /// Dropping this future: as there.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length).await
    }

    /// See [`File::allocate`].
    ///
    /// Dropping this future: as there.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn allocate(&self, offset: u64, length: u64, size: KeepSize) -> io::Result<()> {
        self.file.allocate(offset, length, size).await
    }

    /// See [`File::metadata`].
    ///
    /// Dropping this future cancels it.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata().await
    }

    /// See [`File::close`].
    ///
    /// Dropping this future: as there.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn close(self) -> io::Result<()> {
        self.file.close().await
    }
}

impl fmt::Debug for DirectFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectFile")
            .field("alignment", &self.alignment)
            .finish_non_exhaustive()
    }
}

impl Metadata {
    /// `None` if the file cannot be read and written directly.
    fn direct_alignment(&self) -> Option<Alignment> {
        let status = self.status();
        if status.stx_mask & libc::STATX_DIOALIGN == 0 {
            let most = status
                .stx_blksize
                .max(ALIGNMENT_DEFAULT)
                .next_power_of_two() as usize;
            return Some(Alignment {
                memory: most,
                block: most,
            });
        }
        (status.stx_dio_offset_align > 0).then(|| Alignment {
            memory: status.stx_dio_mem_align.max(1) as usize,
            block: status.stx_dio_offset_align as usize,
        })
    }
}

impl OpenOptions {
    /// As [`open`](OpenOptions::open), for reading and writing past the kernel's cache.
    ///
    /// Dropping this future: as `open`.
    ///
    /// # Errors
    ///
    /// As `open`; `InvalidInput` (`EINVAL`) or `Unsupported` if the file system does not do direct I/O.
    pub async fn open_direct(&self, path: impl AsRef<Path>) -> io::Result<DirectFile> {
        let path = path.as_ref();
        let file = self.clone().also_flags(libc::O_DIRECT).open(path).await?;
        DirectFile::new(file)
            .await
            .map_err(|error| PathError::wrap("open directly", path, error))
    }
}
