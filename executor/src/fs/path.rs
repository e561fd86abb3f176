//! From a path to an operation, and from an operation to its end.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The path as the kernel takes it.
pub(super) fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| {
        let kind = io::ErrorKind::InvalidInput;
        io::Error::new(kind, "a path cannot contain a zero byte")
    })
}
