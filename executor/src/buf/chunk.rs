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
pub struct Chunk(Memory);

/// Where the bytes are that are left: three words.
enum Memory {
    /// In a buffer of a pool, which is given back there.
    Pool {
        id: u16,
        /// No buffer of a pool has more bytes than that.
        len: u32,
        start: NonNull<u8>,
        shared: Arc<Shared>,
    },
    Own(Box<Own>),
    /// There are none.
    Nowhere,
}

/// Memory that is the chunk's own.
#[derive(Default)]
pub(crate) struct Own {
    pub(crate) bytes: Vec<u8>,
    /// How many of them are not shown any more.
    consumed: usize,
}

// SAFETY: the memory is the chunk's alone while it lives (the pool lends each buffer once), and the way back
// is open to every thread.
unsafe impl Send for Chunk {}
// SAFETY: shared chunks are only read.
unsafe impl Sync for Chunk {}

impl Chunk {
    /// The end of a stream.
    pub(crate) fn empty() -> Chunk {
        Chunk(Memory::Nowhere)
    }

    /// A lease on the first `len` bytes of a buffer of the pool.
    ///
    /// # Safety
    ///
    /// `start` is the buffer `id` of the pool whose memory `shared` keeps; its first `len` bytes are initialised;
    /// and until it is given back nobody else has it.
    pub(super) unsafe fn lease(
        start: NonNull<u8>,
        len: u32,
        shared: Arc<Shared>,
        id: u16,
    ) -> Chunk {
        Chunk(Memory::Pool {
            id,
            len,
            start,
            shared,
        })
    }

    /// All bytes of `own`.
    pub(crate) fn own(mut own: Box<Own>) -> Chunk {
        own.consumed = 0;
        Chunk(Memory::Own(own))
    }

    /// Memory of its own, emptied; the pool's goes back there.
    pub(super) fn into_own(mut self) -> Option<Box<Own>> {
        if matches!(self.0, Memory::Pool { .. }) {
            return None;
        }
        match std::mem::replace(&mut self.0, Memory::Nowhere) {
            Memory::Own(mut own) => {
                own.bytes.clear();
                Some(own)
            }
            Memory::Pool { .. } | Memory::Nowhere => None,
        }
    }

    /// Forgets the first `count` bytes.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn advance(&mut self, count: usize) {
        let there = self.len();
        assert!(
            count <= there,
            "cannot advance {count} bytes in a chunk of {there}"
        );
        match &mut self.0 {
            Memory::Pool { len, start, .. } => {
                // SAFETY: not beyond the end of the chunk's bytes.
                *start = unsafe { start.add(count) };
                *len -= count as u32;
            }
            Memory::Own(own) => own.consumed += count,
            Memory::Nowhere => {}
        }
    }

    /// Forgets what follows the first `len` bytes, if anything does.
    pub fn truncate(&mut self, len: usize) {
        match &mut self.0 {
            Memory::Pool { len: there, .. } => *there = len.min(*there as usize) as u32,
            Memory::Own(own) => own.bytes.truncate(own.consumed.saturating_add(len)),
            Memory::Nowhere => {}
        }
    }
}

/// Memory of its own: what an operation received that could not use the pool.
impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Chunk {
        match bytes.is_empty() {
            true => Chunk::empty(),
            false => Chunk::own(Box::new(Own { bytes, consumed: 0 })),
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Memory::Pool { shared, id, .. } = &self.0 {
            pool::give_back(shared, *id);
        }
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            // SAFETY: `len` bytes from `start` on are initialised and inside the memory that `shared` keeps;
            // nobody changes them while the chunk lives.
            Memory::Pool { len, start, .. } => unsafe {
                std::slice::from_raw_parts(start.as_ptr(), *len as usize)
            },
            Memory::Own(own) => &own.bytes[own.consumed..],
            Memory::Nowhere => &[],
        }
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
        (**self).as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.len()
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
