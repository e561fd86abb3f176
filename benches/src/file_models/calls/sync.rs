//! A write that comes back when its data is on the disk.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// `pwritev2` with `RWF_DSYNC`: how many bytes were written.
pub(in crate::file_models) fn write_at_durably(
    file: &File,
    data: &[u8],
    offset: u64,
) -> io::Result<usize> {
    let vector = libc::iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len(),
    };
    let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
    // SAFETY: the kernel reads the one vector and the data that it names, which both outlive the call.
    let count = unsafe {
        libc::pwritev2(
            file.as_raw_fd(),
            &raw const vector,
            1,
            offset,
            libc::RWF_DSYNC,
        )
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}
