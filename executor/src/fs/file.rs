//! [`File`]: opening, asking, closing. Reading and writing are in `positional` and `cursor`.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Metadata, OpenOptions, Permissions};
use crate::blocking::blocking;
use crate::context;
use crate::driver::tree;
use crate::driver::{Answer, Control, Descriptor, OwnedDescriptor, own};
use crate::inflight::{self, outside_error};
use crate::op::file_change::{Change, FileChange};
use crate::op::status::Status;
use crate::source::{self, Access, At, CloseFile, CloseStream, SourceId, StreamKind};

/// An open file.
///
/// All methods take `&self`: as many operations as wanted may be in flight on one file. Those
/// with an offset are independent of each other; what becomes of bytes that several awaited writes
/// change at once is the caller's to decide. Those at the cursor are served one after the
/// other. See the [module's docs](super) for what becomes of dropped futures.
///
/// Dropping it closes the file in the background, when every change in flight is over.
#[derive(Debug)]
pub struct File {
    source: SourceId,
    /// False for pipes, terminals and the like, which are streams.
    pub(super) has_position: bool,
    /// It is non-blocking because it was opened here, and nobody else shares it.
    was_made_nonblocking: AtomicBool,
}

impl File {
    /// Opens a file for reading. See [`OpenOptions::open`].
    ///
    /// Dropping this future: as `OpenOptions::open`.
    ///
    /// # Errors
    ///
    /// As `OpenOptions::open`.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Opens a file for writing; makes it, or empties it if it exists. See [`OpenOptions::open`].
    ///
    /// Dropping this future: as `OpenOptions::open`.
    ///
    /// # Errors
    ///
    /// As `OpenOptions::open`.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true);
        options.open(path).await
    }

    /// Makes a file, for reading and writing; it is an error if it exists. See [`OpenOptions::open`].
    ///
    /// Dropping this future: as `OpenOptions::open`.
    ///
    /// # Errors
    ///
    /// As `OpenOptions::open`; `AlreadyExists`.
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true);
        options.open(path).await
    }

    /// Same as [`OpenOptions::new`].
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes over a file of the standard library, and its cursor. The flags of the descriptor are not changed.
    ///
    /// # Errors
    ///
    /// Outside a runtime; the file is closed then.
    pub fn from_std(file: std::fs::File) -> io::Result<File> {
        File::adopt(source::inherit(file))
    }

    /// Takes over what was opened without waiting, which only a stream has to remain.
    pub(super) fn opened(fd: OwnedDescriptor) -> io::Result<File> {
        let number = fd.as_raw_fd();
        let file = File::adopt(fd)?;
        match file.has_position {
            true => drop(control(Control::MakeBlocking { fd: number })?),
            false => file.was_made_nonblocking.store(true, Ordering::Relaxed),
        }
        Ok(file)
    }

    pub(super) fn adopt(fd: OwnedDescriptor) -> io::Result<File> {
        let number = fd.as_raw_fd();
        let flags = match control(Control::StatusFlags { fd: number })? {
            Answer::Number(flags) => flags,
            other => unreachable!("flags were asked for, the answer is {other:?}"),
        };
        match control(Control::Position { fd: number }) {
            Ok(Answer::Offset(position)) => {
                let source = source::add_file(fd, flags, position)?;
                Ok(File::of(source, true))
            }
            Ok(other) => unreachable!("an offset was asked for, the answer is {other:?}"),
            Err(error) if error.raw_os_error() == Some(libc::ESPIPE) => {
                let source = source::add_stream(fd, StreamKind::Pipe)?;
                Ok(File::of(source, false))
            }
            Err(error) => Err(error),
        }
    }

    fn of(source: SourceId, has_position: bool) -> File {
        File {
            source,
            has_position,
            was_made_nonblocking: AtomicBool::new(false),
        }
    }

    pub(super) fn source(&self) -> SourceId {
        self.source
    }

    fn descriptor(&self) -> io::Result<Descriptor> {
        match self.has_position {
            true => source::file(self.source).map(|file| file.descriptor()),
            false => source::stream(self.source).map(|stream| stream.descriptor()),
        }
    }

    /// Another handle of the same open file, closed on its own. Both read and write the same
    /// bytes, but each has its cursor, which begins at 0, and only knows of its own dropped changes.
    ///
    /// # Errors
    ///
    /// If there are no more descriptors; on a core that is not the file's own.
    pub fn try_clone(&self) -> io::Result<File> {
        let clone = File::adopt(self.duplicate()?)?;
        // The clone relies on it from now on.
        self.was_made_nonblocking.store(false, Ordering::Relaxed);
        if let Ok(file) = source::file(clone.source) {
            file.set_position(0);
        }
        Ok(clone)
    }

    pub(super) fn duplicate(&self) -> io::Result<OwnedDescriptor> {
        let fd = self.descriptor()?;
        match control(Control::Duplicate { fd })? {
            Answer::Descriptor(fd) => Ok(own(fd)),
            other => unreachable!("a descriptor was asked for, the answer is {other:?}"),
        }
    }

    /// What the file says about itself. Waits for changes whose futures were dropped, so that the size is true.
    ///
    /// Dropping this future cancels it.
    ///
    /// # Errors
    ///
    /// What the kernel answers; on a core that is not the file's own.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let status = match self.has_position {
            true => Access::<Status>::new(self.source, At::Offset(0), ()).await,
            false => inflight::submit(Status::of_owned(self.duplicate()?)).await,
        };
        status.map(Metadata::new)
    }

    /// Waits until everything written so far is on the disk: the bytes, and all that the file says about itself.
    /// Changes whose futures were dropped are waited for first.
    ///
    /// After an error the kernel may have dropped what it could not write: trying again and being told of success does
    /// not mean that it is on the disk.
    ///
    /// Dropping this future in flight does not stop it; its error then shows at the next sync, `set_len`,
    /// `allocate` or `close`.
    ///
    /// # Errors
    ///
    /// What the kernel answers, `EIO` or `ENOSPC` for example; the error of a change whose future was dropped, once,
    /// without syncing; on a core that is not the file's own.
    pub async fn sync_all(&self) -> io::Result<()> {
        self.change(Change::Sync { data_only: false }).await
    }

    /// As [`sync_all`](File::sync_all), but of what the file says about itself only as much as reading
    /// the bytes again needs: not the time of the change, for example.
    ///
    /// Dropping this future: as `sync_all`.
    ///
    /// # Errors
    ///
    /// As `sync_all`.
    pub async fn sync_data(&self) -> io::Result<()> {
        self.change(Change::Sync { data_only: true }).await
    }

    /// Cuts the file, or makes it longer, with a hole that reads as zeros. Waits for changes whose futures
    /// were dropped.
    ///
    /// Dropping this future in flight does not stop it: everything else waits until it is over.
    ///
    /// # Errors
    ///
    /// What the kernel answers; `EINVAL` for a length above `i64::MAX`; the error of a change whose future was
    /// dropped, once, without changing the length; on a core that is not the file's own.
    pub async fn set_len(&self, length: u64) -> io::Result<()> {
        check_offset(length)?;
        self.change(Change::Truncate { length }).await
    }

    /// Reserves space on the disk for `length` bytes from `offset` on, so that writing there cannot fail for want of it.
    /// What is there already stays; what was not there reads as zeros. Waits for changes whose futures were dropped.
    ///
    /// Dropping this future in flight does not stop it: everything else waits until it is over.
    ///
    /// # Errors
    ///
    /// What the kernel answers: `ENOSPC`, `EOPNOTSUPP` where the file system cannot; `EINVAL` for an offset or
    /// length above `i64::MAX`, or a length of 0; the error of a change whose future was dropped, once, without
    /// reserving; on a core that is not the file's own.
    pub async fn allocate(&self, offset: u64, length: u64, size: KeepSize) -> io::Result<()> {
        check_offset(offset)?;
        check_offset(length)?;
        let mode = match size {
            KeepSize::Yes => libc::FALLOC_FL_KEEP_SIZE,
            KeepSize::No => 0,
        };
        let change = Change::Allocate {
            mode,
            offset,
            length,
        };
        self.change(change).await
    }

    /// Sets who may read, write and execute.
    ///
    /// Done on another thread. Dropping this future once it was polled does not stop it.
    ///
    /// # Errors
    ///
    /// What the kernel answers, `EPERM` for a file of somebody else; on a core that is not the file's own.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        let (file, mode) = (self.duplicate()?, permissions.mode());
        blocking(move || tree::set_permissions_of_open(file, mode)).await
    }

    async fn change(&self, change: Change) -> io::Result<()> {
        if !self.has_position {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        Access::<FileChange>::new(self.source, At::Offset(0), change).await
    }

    /// Takes the file's advisory lock for this handle alone, as `flock(2)` does, without waiting. It is given back
    /// by [`unlock`](File::unlock), and when this handle and its clones are closed.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if somebody else has it; on a core that is not the file's own.
    pub fn try_lock(&self) -> io::Result<()> {
        self.lock(true)
    }

    /// As [`try_lock`](File::try_lock), together with others who take it like this.
    ///
    /// # Errors
    ///
    /// As `try_lock`.
    pub fn try_lock_shared(&self) -> io::Result<()> {
        self.lock(false)
    }

    fn lock(&self, exclusive: bool) -> io::Result<()> {
        let fd = self.descriptor()?;
        control(Control::Lock { fd, exclusive }).map(drop)
    }

    /// Gives the lock back.
    ///
    /// # Errors
    ///
    /// On a core that is not the file's own.
    pub fn unlock(&self) -> io::Result<()> {
        let fd = self.descriptor()?;
        control(Control::Unlock { fd }).map(drop)
    }

    /// Closes the file, after every change in flight, and tells of errors that nobody was told of.
    /// That the bytes are on the disk only a sync can tell.
    ///
    /// Dropping this future, or the file itself, does the same in the background, as long as the runtime runs; an
    /// error that nobody hears is then logged as a warning.
    ///
    /// # Errors
    ///
    /// The error of a change whose future was dropped; what the kernel answers; on a core that is not
    /// the file's own.
    pub async fn close(self) -> io::Result<()> {
        match self.has_position {
            true => CloseFile::new(self.source).await.map(drop),
            false => CloseStream::new(self.source).await,
        }
    }

    /// Gives the file to the standard library, after every change in flight, with the cursor where it is here. What was
    /// opened by [`OpenOptions::open`] comes out blocking, unless it is a FIFO or a terminal of which there is a clone.
    ///
    /// Dropping this future closes the file in the background.
    ///
    /// # Errors
    ///
    /// The error of a change whose future was dropped; the file is closed then. For a file without a
    /// position (a pipe, a terminal): what the kernel answers to a request for another descriptor. On a core that
    /// is not the file's own.
    pub async fn into_std(self) -> io::Result<std::fs::File> {
        if !self.has_position {
            let fd = self.duplicate()?;
            let number = fd.as_raw_fd();
            let was_made_nonblocking = self.was_made_nonblocking.load(Ordering::Relaxed);
            self.close().await?;
            if was_made_nonblocking {
                control(Control::MakeBlocking { fd: number })?;
            }
            return Ok(std::fs::File::from(fd.into_real()?));
        }
        let fd = CloseFile::and_hand_over(self.source).await?;
        let fd = fd.ok_or_else(outside_error)?;
        Ok(std::fs::File::from(fd.into_real()?))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        source::close(self.source);
    }
}

/// Whether [`File::allocate`] may make the file longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepSize {
    /// Its length stays; what is reserved behind the end is there when it grows.
    Yes,
    /// It is at least as long as what is reserved.
    No,
}

/// The kernel counts with a sign.
fn check_offset(offset: u64) -> io::Result<()> {
    match i64::try_from(offset) {
        Ok(_) => Ok(()),
        Err(_) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// Asks the driver something that it answers at once.
fn control(control: Control) -> io::Result<Answer> {
    context::with(|core| core.driver.borrow_mut().control(control))
        .unwrap_or_else(|| Err(outside_error()))
}
