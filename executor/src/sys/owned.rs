//! [`OwnedDescriptor`]: a descriptor that is closed when it is dropped, real or simulated.

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::simulated::{self, is_simulated};

/// As [`OwnedFd`], which it is if the descriptor is real.
pub(crate) struct OwnedDescriptor(ManuallyDrop<OwnedFd>);

/// Takes over a descriptor that the kernel has just made for us.
///
/// To be called once for each descriptor that an operation or a call answers with: from then on the
/// result is its only owner.
pub(crate) fn own(fd: i32) -> OwnedDescriptor {
    assert!(fd >= 0, "{fd} is an error, not a descriptor");
    if is_simulated(fd) {
        simulated::has_an_owner(fd);
    }
    // SAFETY: the kernel has made the descriptor for us, and nobody else has taken it over: its number comes
    // out of one completion or answer, which the caller consumes. A simulated one is never closed by the system.
    OwnedDescriptor(ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(fd) }))
}

impl AsRawFd for OwnedDescriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl IntoRawFd for OwnedDescriptor {
    fn into_raw_fd(self) -> RawFd {
        let fd = self.as_raw_fd();
        std::mem::forget(self);
        if is_simulated(fd) {
            simulated::has_no_owner(fd);
        }
        fd
    }
}

impl From<OwnedFd> for OwnedDescriptor {
    fn from(fd: OwnedFd) -> OwnedDescriptor {
        OwnedDescriptor(ManuallyDrop::new(fd))
    }
}

impl OwnedDescriptor {
    /// Gives it to somebody who knows nothing of simulations.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a simulated one, which is of no use elsewhere; it is closed then.
    pub(crate) fn into_real(self) -> io::Result<OwnedFd> {
        if is_simulated(self.as_raw_fd()) {
            let complaint = "what a simulation has opened cannot be used outside of it";
            return Err(io::Error::new(io::ErrorKind::Unsupported, complaint));
        }
        // SAFETY: it was owned by the one that is given up here.
        Ok(unsafe { OwnedFd::from_raw_fd(self.into_raw_fd()) })
    }
}

impl fmt::Debug for OwnedDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedDescriptor")
            .field(&self.as_raw_fd())
            .finish()
    }
}

impl Drop for OwnedDescriptor {
    fn drop(&mut self) {
        let fd = self.as_raw_fd();
        if is_simulated(fd) {
            simulated::has_been_closed(fd);
            return simulated::has_no_owner(fd);
        }
        // SAFETY: it is not used after this.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}
