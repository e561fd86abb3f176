//! What threads ask of files and their names, and do to them, in one go: by the standard library, or, in a simulation, on the
//! disk of the host whose work it is.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirEntryExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::OwnedDescriptor;
use super::sim::{self, Here};

/// A name in a directory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    /// Its number in its file system.
    pub(crate) number: u64,
    /// `S_IF…`, if reading the directory has told.
    pub(crate) kind: Option<u32>,
}

/// A directory that is being read.
pub(crate) enum Listing {
    System(std::fs::ReadDir),
    Simulated(VecDeque<Entry>),
}

impl Listing {
    pub(crate) fn next(&mut self) -> Option<io::Result<Entry>> {
        match self {
            Listing::Simulated(entries) => entries.pop_front().map(Ok),
            Listing::System(entries) => entries.next().map(|entry| {
                entry.map(|entry| Entry {
                    name: entry.file_name(),
                    number: entry.ino(),
                    kind: entry.file_type().ok().map(kind),
                })
            }),
        }
    }
}

fn kind(file_type: std::fs::FileType) -> u32 {
    let kinds = [
        (file_type.is_dir(), libc::S_IFDIR),
        (file_type.is_file(), libc::S_IFREG),
        (file_type.is_symlink(), libc::S_IFLNK),
        (file_type.is_fifo(), libc::S_IFIFO),
        (file_type.is_socket(), libc::S_IFSOCK),
        (file_type.is_block_device(), libc::S_IFBLK),
        (file_type.is_char_device(), libc::S_IFCHR),
    ];
    let found = kinds.into_iter().find(|(is_it, _)| *is_it);
    found.map_or(0, |(_, kind)| kind)
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

pub(crate) fn read_directory(folder: &Path) -> io::Result<Listing> {
    match sim::here() {
        None => std::fs::read_dir(folder).map(Listing::System),
        Some(here) => here.entries(bytes(folder)).map(Listing::Simulated),
    }
}

pub(crate) fn read_link(link: &Path) -> io::Result<PathBuf> {
    match sim::here() {
        None => std::fs::read_link(link),
        Some(here) => here.link_target(bytes(link)).map(path),
    }
}

pub(crate) fn canonicalize(of: &Path) -> io::Result<PathBuf> {
    match sim::here() {
        None => std::fs::canonicalize(of),
        Some(here) => here.canonical(bytes(of)).map(path),
    }
}

pub(crate) fn set_permissions(of: &Path, mode: u32) -> io::Result<()> {
    match sim::here() {
        None => std::fs::set_permissions(of, std::fs::Permissions::from_mode(mode)),
        Some(here) => here.set_mode(bytes(of), mode),
    }
}

pub(crate) fn set_permissions_of_open(file: OwnedDescriptor, mode: u32) -> io::Result<()> {
    match sim::here() {
        None => {
            let file = std::fs::File::from(file.into_real()?);
            file.set_permissions(std::fs::Permissions::from_mode(mode))
        }
        Some(here) => here.set_mode_of_open(&file, mode),
    }
}

pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    match sim::here() {
        None => std::fs::copy(from, to),
        Some(here) => here.copy(bytes(from), bytes(to)).map_err(|error| {
            // As the standard library says of what is no file.
            match error.raw_os_error() {
                Some(libc::EINVAL) => io::Error::new(ErrorKind::InvalidInput, "it is no file"),
                _ => error,
            }
        }),
    }
}

pub(crate) fn remove_tree(folder: &Path) -> io::Result<()> {
    match sim::here() {
        None => std::fs::remove_dir_all(folder),
        Some(here) => here.remove_tree(bytes(folder)),
    }
}

impl Here {
    fn entries(&self, folder: &[u8]) -> io::Result<VecDeque<Entry>> {
        let entries = self.with(|world, host| world.entries(host, folder))?;
        let entry = |(name, number, kind)| Entry {
            name: OsString::from_vec(name),
            number,
            kind: Some(kind),
        };
        Ok(entries.into_iter().map(entry).collect())
    }

    fn link_target(&self, link: &[u8]) -> io::Result<Vec<u8>> {
        self.with(|world, host| world.link_target(host, link))
    }

    fn canonical(&self, of: &[u8]) -> io::Result<Vec<u8>> {
        self.with(|world, host| world.canonical(host, of))
    }

    fn set_mode(&self, of: &[u8], mode: u32) -> io::Result<()> {
        self.with(|world, host| world.set_mode(host, of, mode))
    }

    fn set_mode_of_open(&self, file: &OwnedDescriptor, mode: u32) -> io::Result<()> {
        let number = std::os::fd::AsRawFd::as_raw_fd(file);
        self.with(|world, _| world.set_mode_of_open(number, mode))
    }

    fn copy(&self, from: &[u8], to: &[u8]) -> io::Result<u64> {
        self.with(|world, host| world.copy(host, from, to))
    }

    fn remove_tree(&self, folder: &[u8]) -> io::Result<()> {
        self.with(|world, host| world.remove_tree(host, folder))
    }
}
