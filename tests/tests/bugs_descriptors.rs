//! Bugs of others about descriptors; see `tests/BUGS.md`.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as Peer;

use krug::net::UnixStream;
use krug_tests::{poll_once, run_alone, turns, until};

#[test]
fn bug_067_a_late_completion_of_an_old_descriptor_is_not_taken_for_one_of_the_new() {
    run_alone(|runtime| {
        runtime.block_on(async {
            let (mut numbers, mut made) = (BTreeSet::new(), 0);
            for round in 0..200_u8 {
                let (mine, mut peer) = Peer::pair().unwrap();
                numbers.insert(mine.as_raw_fd());
                made += 1;
                let stream = UnixStream::from_std(mine).unwrap();
                // The first read of the new stream has what the last one of the old stream had: a slot, a lane, a number.
                let mut read = Box::pin(stream.read(Vec::with_capacity(8)));
                assert!(poll_once(read.as_mut()).await.is_pending());
                turns(usize::from(round % 4)).await;
                peer.write_all(&[round; 3]).unwrap();
                let (result, buf) = read.await;
                assert_eq!((result.unwrap(), &buf[..]), (3, &[round; 3][..]));
                let mut late = Box::pin(stream.read(Vec::with_capacity(8)));
                assert!(poll_once(late.as_mut()).await.is_pending());
                turns(usize::from(round % 3)).await;
                // What it received comes when nobody wants it any more, or it ends by its cancel.
                peer.write_all(b"too late").unwrap();
                drop(late);
                drop(stream);
                if round % 2 == 0 {
                    until("its number is free", || runtime.metrics().sources == 0).await;
                }
            }
            assert!(
                numbers.len() < made / 2,
                "no number was used again: {numbers:?}"
            );
        });
    });
}
