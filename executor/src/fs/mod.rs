//! Files and directories.
//!
//! ```
//! # krug::Runtime::new().unwrap().block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("notes");
//! use krug::fs::{self, File};
//!
//! let file = File::create(&path).await?;
//! let (result, _buf) = file.write_all_at("second line\n", 11).await;
//! result?;
//! file.write_all_at("first line\n", 0).await.0?;
//! file.sync_all().await?; // now it is on the disk
//! file.close().await?;
//! assert_eq!(fs::read_to_string(&path).await?, "first line\nsecond line\n");
//! # std::io::Result::Ok(()) }).unwrap();
//! ```
//!
//! # What the kernel does, and what dropping a future does
//!
//! "Thread" says where it is done: in the *ring* mostly without one; by a *kernel* thread (io-wq) always, on ext4 for
//! example; by one of *ours* (see [`Builder::blocking_threads`](crate::Builder::blocking_threads)), as the ring has no
//! operation for it. Dropped before it was submitted, nothing has happened, whatever it is.
//!
//! | method | operation | thread | its future dropped in flight |
//! |---|---|---|---|
//! | `open`, `create`, `create_new` | `OPENAT` | ring; kernel if it makes a file | cancelled; opened all the same, it is closed |
//! | `read_at`, `read_exact_at`, `read_vectored_at` | `READ`, `READV`; see below | ring | cancelled |
//! | `write_at`, `write_all_at`, `write_vectored_at`, `write_all_vectored_at` | `WRITE`, `WRITEV` | kernel | written whole, the file tracks it |
//! | `read`, `read_exact`, `read_vectored` | the same, at the cursor | ring | cancelled; the cursor stays |
//! | `write`, `write_all`, `write_vectored`, `write_all_vectored` | the same, at the cursor or the end | kernel | written whole; the cursor is behind it |
//! | `seek`, `rewind`, `stream_position` | none; `STATX` for the end | none; kernel | the cursor stays |
//! | `sync_all`, `sync_data` | `FSYNC` | kernel | goes on, the file tracks it |
//! | `set_len`, `allocate` | `FTRUNCATE`, `FALLOCATE` | kernel; `set_len` is a plain call where the ring lacks it | goes on, the file tracks it |
//! | `metadata`, `symlink_metadata`, `try_exists` | `STATX` | kernel | cancelled |
//! | `close` | `CLOSE` | ring | goes on |
//! | `rename`, `remove_file`, `remove_dir`, `create_dir`, `hard_link`, `symlink` | `RENAMEAT`, `UNLINKAT`, `MKDIRAT`, `LINKAT`, `SYMLINKAT` | kernel; ours where the ring lacks it | goes on |
//! | `create_dir_all` | several of these | kernel | stops between two |
//! | `read`, `read_to_string`, `write` of a path | several of these | as these | stops between two |
//! | `copy`, `remove_dir_all`, `set_permissions` | plain calls | ours | goes on |
//! | `read_dir`, `next_entry`, `read_link`, `canonicalize` | plain calls | ours | its result is dropped |
//!
//! Reads into one buffer first ask the kernel's cache (`preadv2` with `RWF_NOWAIT`): if it has all that is wanted, the read is over at its first poll,
//! in half the time that the way through the ring takes. A file that the cache does not have is soon asked only now and then, and one of `O_DIRECT` never;
//! [`Metrics::attempts`](crate::runtime::Metrics::attempts) counts.
//!
//! How many kernel threads there are at most is said by [`Builder::file_threads`](crate::Builder::file_threads). Buffered writes to one file
//! are done one after the other in any case. On epoll, what the kernel's cache cannot answer is done by ours, of which so many
//! work on files at a time.
//!
//! # A change whose future was dropped
//!
//! A write, a change of the length or a sync that is under way cannot be taken back: asked to cancel it, the kernel often does it all the
//! same. So it is not asked. The file keeps it, with its buffer, and:
//!
//! - writes of the same bytes wait until it is over, and so do reads of these bytes or any before them, whose end
//!   it may move: a later write is the one that stays, a later read sees it;
//! - `sync_all`, `sync_data`, `set_len`, `allocate`, `metadata`, `close` and `into_std` wait for all such changes;
//! - its error is told once: to the first later change of the same bytes, which is then not done, or to the first later
//!   `sync_all`, `sync_data`, `set_len`, `allocate`, `close` or `into_std`. If several fail before that, the first error stands for all;
//! - when the file is closed and nobody was told, the error is logged as a warning.
//!
//! This is of each [`File`]: another one of the same path, and a [`try_clone`](File::try_clone), know nothing of it. What several *awaited*
//! changes of the same bytes leave behind when they are in flight at once is up to the kernel.
//!
//! # What is durable when
//!
//! | after | a crash of the process | a crash of the machine |
//! |---|---|---|
//! | a write has resolved | keeps it | may lose it, or a part of it |
//! | `sync_data`, `sync_all` has resolved with `Ok` | keeps it | keeps it, the length included |
//! | `sync_*` has resolved with an error | keeps it | may lose any of what was written since the last `Ok`, also if a later sync is `Ok` |
//! | `create`, `rename`, `remove_file`, … has resolved | keeps it | may lose it, until the *directory* is synced: [`File::open`] it, then `sync_all` |
//! | `close` has resolved | keeps it | as without it |
//!
//! # Errors
//!
//! Those of functions that take a path carry it, see [`PathError`]; their `kind()` is the cause's, and [`raw_os_error`] its number.
//! An `EINTR`, and an `ECANCELED` that nobody asked for, are met by doing it again, but for changes of names and exclusive
//! creation: done twice these would be errors by themselves, so they are reported.

mod cursor;
mod direct;
mod directory;
mod error;
mod file;
#[cfg(feature = "journal")]
pub mod journal;
mod metadata;
mod names;
mod open_options;
mod path;
mod positional;
mod questions;
mod vectored;
mod whole;

pub use direct::{Alignment, DirectFile};
pub use directory::{DirEntry, ReadDir, read_dir};
pub use error::{PathError, raw_os_error};
pub use file::{File, KeepSize};
#[cfg(feature = "journal")]
pub use journal::{Journal, JournalOptions};
pub use metadata::{FileType, Metadata, Permissions};
pub use names::{
    create_dir, create_dir_all, hard_link, remove_dir, remove_dir_all, remove_file, rename, symlink,
};
pub use open_options::OpenOptions;
pub use questions::{
    canonicalize, metadata, read_link, set_permissions, symlink_metadata, try_exists,
};
pub use whole::{copy, read, read_to_string, write};
