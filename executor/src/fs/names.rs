//! Changes of names: renaming, removing, linking, making directories.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::error::PathError;
use super::metadata;
use super::path::c_path;
use crate::blocking::blocking;
use crate::context;
use crate::driver::tree;
use crate::inflight::submit;
use crate::op::path_change::PathChange;

/// Before the process's mask.
const DIRECTORY_MODE: u32 = 0o777;

/// Gives a file or directory another name; replaces a file that has it already, in one step. `from` and `to` must be
/// on the same file system.
///
/// Dropping this future once it was polled does not stop it.
///
/// # Errors
///
/// As the standard library, with both paths in the message; outside a runtime.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let make = |from, to| PathChange::Rename { from, to };
    change_both("rename", from, to, make).await
}

/// Removes a file's name; the file itself, if that was its last one and nobody has it open. A symbolic link is removed,
/// not what it leads to.
///
/// Dropping this future once it was polled does not stop it.
///
/// # Errors
///
/// As the standard library, with the path in the message; outside a runtime.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let make = |path| PathChange::RemoveFile { path };
    change("remove file", path.as_ref(), make).await
}

/// Removes an empty directory.
///
/// Dropping this future once it was polled does not stop it.
///
/// # Errors
///
/// As the standard library, with the path in the message; outside a runtime.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let make = |path| PathChange::RemoveDirectory { path };
    change("remove directory", path.as_ref(), make).await
}

/// Removes a directory with everything in it. Symbolic links are removed and not followed, also if somebody
/// puts them there meanwhile.
///
/// Done by the standard library on another thread. Dropping this future once it was polled does not stop it.
///
/// # Errors
///
/// As the standard library, with the path in the message; outside a runtime.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    let owned = path.to_owned();
    let removed = blocking(move || tree::remove_tree(&owned)).await;
    removed.map_err(|error| PathError::wrap("remove directory", path, error))
}

/// Makes a directory.
///
/// Dropping this future once it was polled does not stop it.
///
/// # Errors
///
/// As the standard library, with the path in the message; outside a runtime.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let make = |path| PathChange::MakeDirectory {
        path,
        mode: DIRECTORY_MODE,
    };
    change("make directory", path.as_ref(), make).await
}

/// Makes a directory, and those above it that are missing. That it exists already, or that somebody else makes it
/// meanwhile, is no error.
///
/// Dropping this future leaves what was made.
///
/// # Errors
///
/// As the standard library, with the path in the message; outside a runtime.
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        if ancestor.as_os_str().is_empty() {
            break;
        }
        match make_or_find(ancestor).await {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(ancestor),
            Err(error) => return Err(error),
        }
    }
    for ancestor in missing.into_iter().rev() {
        make_or_find(ancestor).await?;
    }
    Ok(())
}

async fn make_or_find(path: &Path) -> io::Result<()> {
    match create_dir(path).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        // On a read-only file system, for example, it is not "exists" that the kernel says first.
        Err(error) => match metadata(path).await {
            Ok(found) if found.is_dir() => Ok(()),
            _ => Err(error),
        },
    }
}

/// Gives a file one more name, on the same file system. A symbolic link gets it itself.
///
/// Dropping this future once it was polled does not stop it.
///
/// # Errors
///
/// As the standard library, with both paths in the message; outside a runtime.
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref(), link.as_ref());
    let make = |from, to| PathChange::HardLink { from, to };
    change_both("link", original, link, make).await
}

/// Makes a symbolic link at `link` that leads to `original`, whether or not that exists.
///
/// Dropping this future once it was polled does not stop it.
///
/// # Errors
///
/// As the standard library, with both paths in the message; outside a runtime.
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref(), link.as_ref());
    let make = |target, link| PathChange::SymbolicLink { target, link };
    change_both("link", original, link, make).await
}

async fn change(
    action: &'static str,
    path: &Path,
    make: impl FnOnce(CString) -> PathChange,
) -> io::Result<()> {
    let done = match c_path(path) {
        Ok(path) => perform(make(path)).await,
        Err(error) => Err(error),
    };
    done.map_err(|error| PathError::wrap(action, path, error))
}

async fn change_both(
    action: &'static str,
    from: &Path,
    to: &Path,
    make: impl FnOnce(CString, CString) -> PathChange,
) -> io::Result<()> {
    let done = match (c_path(from), c_path(to)) {
        (Ok(from), Ok(to)) => perform(make(from, to)).await,
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    done.map_err(|error| PathError::wrap_both(action, from, Some(to), error))
}

/// On the ring, if it can; else as a plain call on another thread.
async fn perform(change: PathChange) -> io::Result<()> {
    let ring_can = context::with(|core| {
        let driver = core.driver.borrow();
        let can = driver.capabilities();
        match change {
            PathChange::Rename { .. } => can.rename,
            PathChange::RemoveFile { .. } | PathChange::RemoveDirectory { .. } => can.remove,
            PathChange::MakeDirectory { .. } => can.make_directory,
            PathChange::HardLink { .. } => can.hard_link,
            PathChange::SymbolicLink { .. } => can.symbolic_link,
        }
    });
    if ring_can.unwrap_or(true) {
        return submit(change).await;
    }
    blocking(move || call(&change)).await
}

fn call(change: &PathChange) -> io::Result<()> {
    fn path(path: &CString) -> &Path {
        Path::new(OsStr::from_bytes(path.as_bytes()))
    }
    match change {
        PathChange::Rename { from, to } => std::fs::rename(path(from), path(to)),
        PathChange::RemoveFile { path: file } => std::fs::remove_file(path(file)),
        PathChange::RemoveDirectory { path: directory } => std::fs::remove_dir(path(directory)),
        PathChange::MakeDirectory {
            path: directory,
            mode,
        } => std::fs::DirBuilder::new()
            .mode(*mode)
            .create(path(directory)),
        PathChange::HardLink { from, to } => std::fs::hard_link(path(from), path(to)),
        PathChange::SymbolicLink { target, link } => {
            std::os::unix::fs::symlink(path(target), path(link))
        }
    }
}
