//! Where a file lies.

use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Whether it lies in memory: then there is nothing past the kernel's cache to read from, though it may seem so.
pub(crate) fn is_in_memory(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    // SAFETY: an account is plain numbers, for which all zeros are valid.
    let mut system: libc::statfs = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes into `system`, which lives on.
    if unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut system) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // That of ramfs is in no header but the kernel's.
    const RAMFS_MAGIC: libc::c_long = 0x8584_58f6;
    let kind = system.f_type as libc::c_long;
    Ok(kind == libc::TMPFS_MAGIC as libc::c_long || kind == RAMFS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_memory_is_told_from_one_that_is_not() {
        assert!(!is_in_memory(Path::new("/proc/self/stat")).unwrap());
        match tempfile::NamedTempFile::new_in("/dev/shm") {
            Ok(file) => assert!(is_in_memory(file.path()).unwrap()),
            Err(error) => eprintln!("skipped: no memory to keep files in: {error}"),
        }
    }
}
