//! The disk of the driver that is tested: the machine's, or that of a simulated host. A test that looks at files from outside
//! looks with these.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use krug::runtime::Driver;
use krug::sim::{HostFs, own_fs};
use tempfile::TempDir;

use crate::driver;

/// The files of the simulated host that this thread's runtime is alone on; `None` if the disk is the machine's.
fn simulated() -> Option<HostFs<'static>> {
    (driver() == Driver::Sim).then(|| own_fs().expect("a runtime of this thread"))
}

/// A new empty folder, for the runtime that was made last on this thread; removed when it is dropped.
///
/// # Panics
///
/// If there is none to be had.
pub fn folder() -> TempDir {
    known(tempfile::tempdir())
}

/// As [`folder`], in memory where there is such a place: what is written over and over is not to wear a disk out.
///
/// # Panics
///
/// If there is none to be had.
pub fn folder_in_memory() -> TempDir {
    let shared = Path::new("/dev/shm");
    known(match shared.is_dir() {
        true => tempfile::tempdir_in(shared),
        false => tempfile::tempdir(),
    })
}

/// The simulated disk has it, too, if that is the one that is tested.
fn known(folder: io::Result<TempDir>) -> TempDir {
    let folder = folder.expect("a folder");
    if let Some(files) = simulated() {
        let made = files.create_dir_all(folder.path());
        made.expect("a folder on the simulated disk");
    }
    folder
}

/// A [`folder`], and a path in it.
pub fn place() -> (TempDir, PathBuf) {
    let folder = folder();
    let path = folder.path().join("file");
    (folder, path)
}

/// As `std::fs::read`.
///
/// # Errors
///
/// As `std::fs::read`.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    match simulated() {
        Some(files) => files.read(path),
        None => std::fs::read(path),
    }
}

/// As `std::fs::read_to_string`.
///
/// # Errors
///
/// As `std::fs::read_to_string`.
pub fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let bytes = read(path)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// As `std::fs::write`.
///
/// # Errors
///
/// As `std::fs::write`.
pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    match simulated() {
        Some(files) => files.write(path, bytes),
        None => std::fs::write(path, bytes),
    }
}

/// How many bytes a file has.
///
/// # Errors
///
/// As `std::fs::metadata`.
pub fn len(path: impl AsRef<Path>) -> io::Result<u64> {
    match simulated() {
        Some(files) => files.read(path).map(|bytes| bytes.len() as u64),
        None => std::fs::metadata(path).map(|metadata| metadata.len()),
    }
}

/// The names in a folder, sorted.
///
/// # Errors
///
/// As `std::fs::read_dir`.
pub fn names(folder: impl AsRef<Path>) -> io::Result<Vec<OsString>> {
    if let Some(files) = simulated() {
        return files.names(folder);
    }
    let entries = std::fs::read_dir(folder)?;
    let names: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    names.map(|mut names| {
        names.sort();
        names
    })
}

/// As `std::fs::create_dir_all`.
///
/// # Errors
///
/// As `std::fs::create_dir_all`.
pub fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    match simulated() {
        Some(files) => files.create_dir_all(path),
        None => std::fs::create_dir_all(path),
    }
}

/// True if there is a folder of this path.
pub fn is_dir(path: impl AsRef<Path>) -> bool {
    match simulated() {
        Some(files) => files.names(path).is_ok(),
        None => path.as_ref().is_dir(),
    }
}

/// True if something has this path.
pub fn exists(path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    let (Some(files), Some(folder)) = (simulated(), path.parent()) else {
        return path.exists();
    };
    let names = files.names(folder).unwrap_or_default();
    names
        .iter()
        .any(|name| Some(name.as_os_str()) == path.file_name())
}

/// As `std::fs::remove_file`.
///
/// # Errors
///
/// As `std::fs::remove_file`.
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    match simulated() {
        Some(files) => files.remove_file(path),
        None => std::fs::remove_file(path),
    }
}
