//! What needs a look inside the slots. The life of an operation is tested from outside, see the tables of the module.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::*;
use crate::Runtime;
use crate::io::nop;
use crate::net::UnixStream;

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
