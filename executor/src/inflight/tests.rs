//! What needs a look inside the slots. The life of an operation is tested from outside, see the tables of the module.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::erased::is_inline;
use super::slot::Slot;
use super::*;
use crate::Runtime;
use crate::buf::{Chunk, Slice};
use crate::io::nop;
use crate::net::UnixStream;
use crate::op::read_at::ReadAt;
use crate::op::receive::Receive;
use crate::op::receive_ahead::ReceiveAhead;
use crate::op::send::Send;
use crate::op::send_to::SendTo;
use crate::op::vectored::{ReceiveVectored, SendVectored};
use crate::op::vectored_at::{ReadVectoredAt, WriteVectoredAt};
use crate::op::write_at::WriteAt;

#[test]
fn bug_061_generations_begin_anew_after_the_last_one() {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        nop().await.expect("slots are there");
        with(|slots| slots.set_generations(u32::MAX - 5)).expect("in a runtime");
        let (one, other) = UnixStream::pair().expect("a pair");
        for round in 0..20_u8 {
            // One that ends, one that is cancelled, one that goes on without its future.
            nop().await.expect("a nop");
            for is_adopted in [false, true] {
                poll_fn(|cx| {
                    let is_pending = match is_adopted {
                        true => pin!(one.read(vec![0; 8])).poll(cx).is_pending(),
                        false => pin!(one.peek(vec![0; 8])).poll(cx).is_pending(),
                    };
                    assert!(is_pending);
                    Poll::Ready(())
                })
                .await;
            }
            let mut read = pin!(one.read(vec![0; 8]));
            let polled = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await;
            assert!(polled);
            other.write_all(vec![round]).await.0.expect("there is room");
            let (result, buf) = read.await;
            assert_eq!((result.expect("a byte"), &buf[..1]), (1, &[round][..]));
        }
        drop((one, other));
    });
    assert_eq!(runtime.metrics().stale_completions, 0);
    let report = runtime.shutdown(std::time::Duration::from_secs(10));
    assert!(report.is_clean(), "{report:?}");
}

#[test]
fn operations_with_the_usual_buffers_need_no_memory_beside_their_slots() {
    type Sliced = Slice<Vec<u8>>;
    type Several = Vec<Vec<u8>>;
    assert!(is_inline::<Receive<Vec<u8>>>() && is_inline::<Receive<Sliced>>());
    assert!(is_inline::<Send<Vec<u8>>>() && is_inline::<Send<Sliced>>());
    assert!(is_inline::<Send<Chunk>>() && is_inline::<ReceiveAhead>());
    assert!(is_inline::<SendTo<Vec<u8>>>());
    assert!(is_inline::<ReceiveVectored<Several>>() && is_inline::<SendVectored<Several>>());
    assert!(is_inline::<ReadAt<Vec<u8>>>() && is_inline::<WriteAt<Vec<u8>>>());
    assert!(is_inline::<ReadVectoredAt<Several>>() && is_inline::<WriteVectoredAt<Several>>());
    assert_eq!(size_of::<Slot>(), 112);
}
