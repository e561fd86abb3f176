//! [`OpenOptions`]: how a file is opened.

use std::io;
use std::path::Path;

use super::File;
use super::error::PathError;
use super::path::c_path;
use crate::inflight::submit;
use crate::op::open::Open;

/// How a file is opened; the same switches as [`std::fs::OpenOptions`].
///
/// ```
/// # krug::Runtime::new().unwrap().block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("log");
/// let log = krug::fs::OpenOptions::new().append(true).create(true).open(&path).await?;
/// log.write_all("started\n").await.0?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
    mode: u32,
    custom_flags: i32,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions::new()
    }
}

impl OpenOptions {
    /// All switches off: at least one of read, write and append must be turned on.
    pub fn new() -> OpenOptions {
        OpenOptions {
            read: false,
            write: false,
            append: false,
            truncate: false,
            create: false,
            create_new: false,
            mode: 0o666,
            custom_flags: 0,
        }
    }

    /// For reading.
    pub fn read(&mut self, on: bool) -> &mut OpenOptions {
        self.read = on;
        self
    }

    /// For writing.
    pub fn write(&mut self, on: bool) -> &mut OpenOptions {
        self.write = on;
        self
    }

    /// For writing, each write at the end, wherever that is at the moment.
    ///
    /// As everywhere on Linux, the offset of [`write_at`](File::write_at) is then of no effect.
    pub fn append(&mut self, on: bool) -> &mut OpenOptions {
        self.append = on;
        self
    }

    /// Empties a file that exists; needs [`write`](OpenOptions::write).
    pub fn truncate(&mut self, on: bool) -> &mut OpenOptions {
        self.truncate = on;
        self
    }

    /// Makes the file if it does not exist; needs write or append.
    pub fn create(&mut self, on: bool) -> &mut OpenOptions {
        self.create = on;
        self
    }

    /// Makes the file, which must not exist; needs write or append. `create` and `truncate` are then of no effect.
    pub fn create_new(&mut self, on: bool) -> &mut OpenOptions {
        self.create_new = on;
        self
    }

    /// The permissions of a file that is made, before the process's mask: `0o666` unless set.
    pub fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.mode = mode;
        self
    }

    /// More flags for the kernel, `O_NOFOLLOW` for example. Those that say how the file is accessed are ignored.
    pub fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        self.custom_flags = flags;
        self
    }

    pub(super) fn also_flags(mut self, flags: i32) -> OpenOptions {
        self.custom_flags |= flags;
        self
    }

    /// Opens the file. It is closed when the process starts another program.
    ///
    /// Dropping this future before it was polled does nothing. Later, the kernel is asked to stop; if it had
    /// opened the file all the same, that is closed. A file that was to be made may have been made.
    ///
    /// A FIFO opens at once: for reading also if nobody writes yet; for writing it is `ENXIO` if nobody reads.
    ///
    /// # Errors
    ///
    /// As the standard library: the same kinds, and a message with the path (see [`PathError`]); also outside a runtime.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        self.open_at(path)
            .await
            .map_err(|error| PathError::wrap("open", path, error))
    }

    async fn open_at(&self, path: &Path) -> io::Result<File> {
        let custom_flags = self.custom_flags & !libc::O_ACCMODE;
        let flags = self.access()? | self.creation()? | custom_flags;
        let opened = submit(Open::new(c_path(path)?, flags, self.mode)).await?;
        match custom_flags & libc::O_NONBLOCK == 0 {
            true => File::opened(opened),
            false => File::adopt(opened),
        }
    }

    fn access(&self) -> io::Result<i32> {
        match (self.read, self.write, self.append) {
            (true, false, false) => Ok(libc::O_RDONLY),
            (false, true, false) => Ok(libc::O_WRONLY),
            (true, true, false) => Ok(libc::O_RDWR),
            (false, _, true) => Ok(libc::O_WRONLY | libc::O_APPEND),
            (true, _, true) => Ok(libc::O_RDWR | libc::O_APPEND),
            (false, false, false) => Err(invalid("neither read, write nor append is turned on")),
        }
    }

    fn creation(&self) -> io::Result<i32> {
        let writes = self.write || self.append;
        if !writes && (self.truncate || self.create || self.create_new) {
            return Err(invalid("truncate and create need write or append"));
        }
        if self.append && self.truncate && !self.create_new {
            return Err(invalid("a file that is appended to cannot be emptied"));
        }
        Ok(match (self.create, self.truncate, self.create_new) {
            (_, _, true) => libc::O_CREAT | libc::O_EXCL,
            (true, true, false) => libc::O_CREAT | libc::O_TRUNC,
            (true, false, false) => libc::O_CREAT,
            (false, true, false) => libc::O_TRUNC,
            (false, false, false) => 0,
        })
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
