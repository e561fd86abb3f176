//! From a path to an operation, and from an operation to its end.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::inflight::{InFlight, Op};

/// The path as the kernel takes it.
pub(super) fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| {
        let kind = io::ErrorKind::InvalidInput;
        io::Error::new(kind, "a path cannot contain a zero byte")
    })
}

/// Does an operation that belongs to no file.
pub(super) async fn submit<T: Op<Output = io::Result<V>>, V>(op: T) -> io::Result<V> {
    let mut in_flight = InFlight::start(op, None).map_err(|(_, error)| error)?;
    let (op, completion) = std::future::poll_fn(|cx| in_flight.poll(cx)).await;
    op.complete(completion)
}
