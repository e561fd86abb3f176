//! Feature `bytes`: the buffers of the crate of that name.

use bytes::{Bytes, BytesMut};

use super::{Chunk, IoBuf, IoBufMut};

// SAFETY: the bytes are shared, so nobody changes them, and they stay where they are while there is a handle;
// an empty handle's address is not null either.
unsafe impl IoBuf for Bytes {
    fn as_ptr(&self) -> *const u8 {
        (**self).as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: as a `Vec`: only `&mut` access reallocates or changes the length. What other handles
// that were split off see is other memory.
unsafe impl IoBuf for BytesMut {
    fn as_ptr(&self) -> *const u8 {
        (**self).as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.len()
    }

    fn capacity(&self) -> usize {
        self.capacity()
    }
}

// SAFETY: as above; the handle may write to all of its capacity, and `set_len` moves nothing.
unsafe impl IoBufMut for BytesMut {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        (**self).as_mut_ptr()
    }

    unsafe fn set_initialized(&mut self, len: usize) {
        // SAFETY: the caller promises that `len` is within the capacity and so many bytes are initialised.
        unsafe { self.set_len(len) }
    }
}

/// Without copying: the buffer goes back when the last handle is dropped.
impl From<Chunk> for Bytes {
    fn from(chunk: Chunk) -> Bytes {
        Bytes::from_owner(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::UnixStream;

    #[test]
    fn bytes_are_read_and_written_and_chunks_become_bytes_without_copying() {
        let runtime = crate::Runtime::new().unwrap();
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let word = Bytes::from_static(b"some bytes").slice(5..);
            one.write_all(word).await.0.unwrap();
            let (read, buf) = other.read(BytesMut::with_capacity(64)).await;
            assert_eq!((read.unwrap(), &buf[..]), (5, &b"bytes"[..]));
            one.write_all(buf).await.0.unwrap();
            let chunk = other.recv().await.unwrap();
            let address = chunk.as_ptr();
            let mut bytes = Bytes::from(chunk);
            assert_eq!(bytes.as_ptr(), address);
            let end = bytes.split_off(3);
            assert_eq!((&bytes[..], &end[..]), (&b"byt"[..], &b"es"[..]));
            drop(bytes);
            assert_eq!(runtime.metrics().buffers_leased, 1);
            drop(end);
            assert_eq!(runtime.metrics().buffers_leased, 0);
        });
    }

    #[test]
    fn an_empty_handle_has_an_address() {
        assert!(!IoBuf::as_ptr(&Bytes::new()).is_null());
        assert!(!IoBuf::as_ptr(&BytesMut::new()).is_null());
    }
}
