//! What the models of files need of the system beyond the standard library, one file for each interface. The
//! unsafe code of these models stands here, and nothing of it shows outside: whoever asks for a read or a write
//! names a place in memory that belongs to the same value, which waits, when it is dropped, for what is in flight.

pub(super) mod linux_aio;
pub(super) mod place;
pub(super) mod posix_aio;
pub(super) mod ring;
pub(super) mod sync;
