//! [`ReadDir`]: what is in a directory.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::error::PathError;
use super::{FileType, Metadata, symlink_metadata};
use crate::blocking::blocking;
use crate::driver::tree::{self, Listing};

/// Entries that are read at once: about as many as one system call gives.
const BATCH: usize = 256;

/// Begins to read a directory.
///
/// ```
/// # krug::Runtime::new().unwrap().block_on(async {
/// let mut entries = krug::fs::read_dir("/").await?;
/// let mut names = Vec::new();
/// while let Some(entry) = entries.next_entry().await? {
///     names.push(entry.file_name());
/// }
/// assert!(names.iter().any(|name| name == "proc"));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// Done on another thread. Dropping this future leaves that to itself.
///
/// # Errors
///
/// As the standard library, with the path in the message; outside a runtime.
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref();
    let owned = path.to_owned();
    let opened = blocking(move || tree::read_directory(&owned)).await;
    let rest = opened.map_err(|error| PathError::wrap("read directory", path, error))?;
    Ok(ReadDir {
        path: path.to_owned(),
        ready: VecDeque::new(),
        rest: Rest::Unread(rest),
    })
}

/// The entries of a directory, in no order, without `.` and `..`. What others add or remove meanwhile may be
/// among them or not.
pub struct ReadDir {
    path: PathBuf,
    ready: VecDeque<io::Result<DirEntry>>,
    rest: Rest,
}

/// What has not been read.
enum Rest {
    Unread(Listing),
    End,
    /// Whoever read it was dropped.
    Lost,
}

impl ReadDir {
    /// The next entry, `None` at the end. Most are there already; else a batch is read on another thread.
    ///
    /// Dropping this future while a batch is read ends the reading: the next call is an error.
    ///
    /// # Errors
    ///
    /// As the standard library, with the path in the message; outside a runtime, if a batch is to be read.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        if self.ready.is_empty() {
            self.read_batch().await?;
        }
        let entry = self.ready.pop_front().transpose();
        entry.map_err(|error| PathError::wrap("read directory", &self.path, error))
    }

    async fn read_batch(&mut self) -> io::Result<()> {
        let rest = match std::mem::replace(&mut self.rest, Rest::Lost) {
            Rest::Unread(rest) => rest,
            Rest::End => {
                self.rest = Rest::End;
                return Ok(());
            }
            Rest::Lost => {
                let message = "the reading ended when a future of next_entry was dropped";
                let lost = io::Error::other(message);
                return Err(PathError::wrap("read directory", &self.path, lost));
            }
        };
        let folder = self.path.clone();
        (self.ready, self.rest) = blocking(move || Ok(read_batch(&folder, rest))).await?;
        Ok(())
    }
}

type Batch = (VecDeque<io::Result<DirEntry>>, Rest);

fn read_batch(folder: &Path, mut rest: Listing) -> Batch {
    let mut ready = VecDeque::new();
    while ready.len() < BATCH {
        let Some(entry) = rest.next() else {
            return (ready, Rest::End);
        };
        ready.push_back(entry.map(|entry| DirEntry {
            path: folder.join(&entry.name),
            ino: entry.number,
            file_type: entry.kind.map(FileType::of_mode),
        }));
    }
    (ready, Rest::Unread(rest))
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// One entry of a directory.
#[derive(Clone, Debug)]
pub struct DirEntry {
    path: PathBuf,
    ino: u64,
    file_type: Option<FileType>,
}

impl DirEntry {
    /// The path of the directory, as it was given, and the name.
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// The name.
    pub fn file_name(&self) -> OsString {
        self.path.file_name().unwrap_or_default().to_owned()
    }

    /// Its number in its file system.
    pub fn ino(&self) -> u64 {
        self.ino
    }

    /// What it is, mostly known from reading the directory; a symbolic link is not followed.
    ///
    /// Dropping this future cancels it.
    ///
    /// # Errors
    ///
    /// As [`symlink_metadata`].
    pub async fn file_type(&self) -> io::Result<FileType> {
        match self.file_type {
            Some(file_type) => Ok(file_type),
            None => Ok(self.metadata().await?.file_type()),
        }
    }

    /// What it says about itself; a symbolic link is not followed.
    ///
    /// Dropping this future cancels it.
    ///
    /// # Errors
    ///
    /// As [`symlink_metadata`].
    pub async fn metadata(&self) -> io::Result<Metadata> {
        symlink_metadata(&self.path).await
    }
}
