//! Transfers of several buffers at once.

use std::io;

use super::stream::Stream;
use super::transfer::{Begin, LaneOp, Outgoing};
use crate::buf::{BufResult, IoVectoredBuf, IoVectoredBufMut};
use crate::inflight::Role;
use crate::op::vectored::{ReceiveVectored, SendVectored};

impl<B: IoVectoredBufMut> LaneOp for ReceiveVectored<B> {
    type Resource = B;
    const ROLE: Role = Role::Receive;

    fn asks_for_nothing(bufs: &mut B) -> bool {
        bufs.total_capacity() == 0
    }

    fn begin(stream: &Stream, mut bufs: B) -> Begin<Self, Self::Resource> {
        match stream.receive_vectored_without_kernel(&mut bufs) {
            Some(result) => Begin::Ready((result, bufs)),
            None if stream.is_armed() => Begin::Wait(bufs),
            None => Begin::Submit(ReceiveVectored::new(stream.endpoint(), bufs)),
        }
    }

    fn failed(error: io::Error, bufs: B) -> BufResult<usize, B> {
        (Err(error), bufs)
    }

    fn into_resource(self) -> B {
        self.into_buf()
    }
}

impl<B: IoVectoredBuf> LaneOp for SendVectored<B> {
    type Resource = Outgoing<B>;
    const ROLE: Role = Role::Send;

    fn begin(
        stream: &Stream,
        Outgoing { buf, whole, .. }: Outgoing<B>,
    ) -> Begin<Self, Self::Resource> {
        match stream.check_poison() {
            Err(error) => Begin::Ready((Err(error), buf)),
            Ok(()) if buf.total_len() == 0 => Begin::Ready((Ok(0), buf)),
            Ok(()) => Begin::Submit(SendVectored::new(stream.endpoint(), buf, whole)),
        }
    }

    fn failed(error: io::Error, Outgoing { buf, .. }: Outgoing<B>) -> BufResult<usize, B> {
        (Err(error), buf)
    }

    fn into_resource(self) -> Outgoing<B> {
        Outgoing {
            buf: self.into_buf(),
            whole: false,
            committed: None,
        }
    }
}
