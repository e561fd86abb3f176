//! Whether this process has forked since it began to use rings and sets of descriptors, which a child shares with its
//! parent, or does not have at all.

use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// A page that is all zeros in a child (`MADV_WIPEONFORK`, Linux 4.14).
struct Page(NonNull<AtomicU8>);

// SAFETY: it points to an atomic number in a mapping that is never unmapped.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

const LENGTH: usize = 4096;
const PARENT: u8 = 1;

/// `None` if the kernel has no such pages: then nobody notices.
static PAGE: OnceLock<Option<Page>> = OnceLock::new();

fn page() -> Option<&'static AtomicU8> {
    let page = PAGE.get_or_init(|| {
        let page = map()?;
        // SAFETY: the mapping is writable, larger than a byte, and stays.
        unsafe { page.0.as_ref() }.store(PARENT, Ordering::Relaxed);
        Some(page)
    });
    // SAFETY: as above.
    page.as_ref().map(|page| unsafe { page.0.as_ref() })
}

fn map() -> Option<Page> {
    let (protection, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: a new mapping, wherever the kernel likes.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), LENGTH, protection, flags, -1, 0) };
    if memory == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: exactly the mapping that was just made.
    let advised = unsafe { libc::madvise(memory, LENGTH, libc::MADV_WIPEONFORK) };
    if advised != 0 {
        // SAFETY: as above; nobody has it.
        unsafe { libc::munmap(memory, LENGTH) };
        return None;
    }
    NonNull::new(memory.cast()).map(Page)
}

/// From now on [`has_forked`] is true in children of this process. To be called before anything is made that they must not
/// use.
pub(crate) fn watch_for_forks() {
    page();
}

/// True in a child of the process that called [`watch_for_forks`].
#[inline]
pub(crate) fn has_forked() -> bool {
    page().is_some_and(|page| page.load(Ordering::Relaxed) != PARENT)
}
