//! What is asked about a path: metadata, where a link leads, whether it exists; and who may use it.

use std::io;
use std::path::{Path, PathBuf};

use super::error::PathError;
use super::path::c_path;
use super::{Metadata, Permissions};
use crate::blocking::blocking;
use crate::driver::tree;
use crate::inflight::submit;
use crate::op::status::Status;

/// What the file at `path` says about itself. A symbolic link is followed.
///
/// Dropping this future cancels it.
///
/// # Errors
///
/// As the standard library, with the path in the message; outside a runtime.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    ask(path.as_ref(), true).await
}

/// As [`metadata`], but a symbolic link is asked itself.
///
/// Dropping this future cancels it.
///
/// # Errors
///
/// As [`metadata`].
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    ask(path.as_ref(), false).await
}

async fn ask(path: &Path, follow: bool) -> io::Result<Metadata> {
    let status = match c_path(path) {
        Ok(path) => submit(Status::at(path, follow)).await,
        Err(error) => Err(error),
    };
    status
        .map(Metadata::new)
        .map_err(|error| PathError::wrap("ask for metadata of", path, error))
}

/// True if something is there; a symbolic link that leads nowhere is nothing.
///
/// Dropping this future cancels it.
///
/// # Errors
///
/// If it cannot be found out, because a directory above may not be searched, for example; as [`metadata`].
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    match metadata(path).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where a symbolic link leads, as it was written.
///
/// Done on another thread. Dropping this future leaves that to itself.
///
/// # Errors
///
/// As the standard library, with the path in the message; outside a runtime.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref();
    let owned = path.to_owned();
    let target = blocking(move || tree::read_link(&owned)).await;
    target.map_err(|error| PathError::wrap("read link", path, error))
}

/// The path from the root, without links, `.` and `..`.
///
/// Done on another thread. Dropping this future leaves that to itself.
///
/// # Errors
///
/// As the standard library, with the path in the message; outside a runtime.
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref();
    let owned = path.to_owned();
    let found = blocking(move || tree::canonicalize(&owned)).await;
    found.map_err(|error| PathError::wrap("find the canonical path of", path, error))
}

/// Sets who may read, write and execute. A symbolic link is followed.
///
/// Done on another thread. Dropping this future once it was polled does not stop it.
///
/// # Errors
///
/// As the standard library, with the path in the message; outside a runtime.
pub async fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    let path = path.as_ref();
    let owned = path.to_owned();
    let mode = permissions.mode();
    let set = blocking(move || tree::set_permissions(&owned, mode)).await;
    set.map_err(|error| PathError::wrap("set permissions of", path, error))
}
