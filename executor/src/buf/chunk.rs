//! [`Chunk`]: bytes that were received, in memory that is lent.

use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use super::IoBuf;
use super::pool::{self, Shared};

/// Bytes that a `recv` has received, one contiguous piece, never copied.
///
/// It is a lease: the memory belongs to the pool of the core where it was received, and goes back when the chunk is
/// dropped, wherever that happens, also after the end of the runtime. A chunk may be kept as long as one likes and be sent
/// (it is a buffer, [`IoBuf`]); whoever keeps many lets his own stream fall back to memory of its own, and
/// takes nothing from other streams. To keep a few bytes of it for long, copy them.
///
/// An empty chunk is the end of the stream.
///
/// ```
/// use krug::net::UnixStream;
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let (one, other) = UnixStream::pair()?;
/// one.write_all("key=value").await.0?;
/// let mut chunk = other.recv().await?;
/// assert_eq!(chunk, b"key=value");
/// chunk.advance(4);
/// assert_eq!(&chunk[..], b"value");
/// other.write_all(chunk).await.0?; // sent from where it was received
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct Chunk {
    /// The bytes that are left, inside the memory of `origin`.
    start: NonNull<u8>,
    len: usize,
    origin: Origin,
}

/// Where the memory of a chunk comes from, and goes to.
enum Origin {
    Pool { shared: Arc<Shared>, id: u16 },
    Heap { bytes: Vec<u8> },
}

// SAFETY: the memory is the chunk's alone while it lives (the pool lends each buffer once), and the way back
// is open to every thread.
unsafe impl Send for Chunk {}
// SAFETY: shared chunks are only read.
unsafe impl Sync for Chunk {}

impl Chunk {
    /// The end of a stream.
    pub(crate) fn empty() -> Chunk {
        Chunk::from(Vec::new())
    }

    /// A lease on the first `len` bytes of a buffer of the pool.
    ///
    /// # Safety
    ///
    /// `start` is the buffer `id` of the pool whose memory `shared` keeps; its first `len` bytes are initialised;
    /// and until it is given back nobody else has it.
    pub(super) unsafe fn lease(
        start: NonNull<u8>,
        len: usize,
        shared: Arc<Shared>,
        id: u16,
    ) -> Chunk {
        let origin = Origin::Pool { shared, id };
        Chunk { start, len, origin }
    }

    /// Memory of its own, emptied; the pool's goes back there.
    pub(super) fn into_memory(mut self) -> Option<Vec<u8>> {
        match &mut self.origin {
            Origin::Pool { .. } => None,
            Origin::Heap { bytes } => {
                let mut bytes = std::mem::take(bytes);
                bytes.clear();
                Some(bytes)
            }
        }
    }

    /// Forgets the first `count` bytes.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn advance(&mut self, count: usize) {
        assert!(
            count <= self.len,
            "cannot advance {count} bytes in a chunk of {}",
            self.len
        );
        // SAFETY: not beyond the end of the chunk's bytes.
        self.start = unsafe { self.start.add(count) };
        self.len -= count;
    }

    /// Forgets what follows the first `len` bytes, if anything does.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

/// Memory of its own: what an operation received that could not use the pool.
impl From<Vec<u8>> for Chunk {
    fn from(mut bytes: Vec<u8>) -> Chunk {
        let len = bytes.len();
        let start = NonNull::new(bytes.as_mut_ptr()).expect("the address of a vector is not null");
        let origin = Origin::Heap { bytes };
        Chunk { start, len, origin }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Origin::Pool { shared, id } = &self.origin {
            pool::give_back(shared, *id);
        }
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes from `start` on are initialised and inside the memory that `origin` keeps;
        // nobody changes them while the chunk lives.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// SAFETY: the bytes stay where they are until the chunk is dropped, however it moves; only `&mut`
// access changes which of them it shows.
unsafe impl IoBuf for Chunk {
    fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.len
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Chunk {
    fn eq(&self, other: &T) -> bool {
        **self == *other.as_ref()
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Chunk").field(&&**self).finish()
    }
}
