//! Bugs of others about the two queues; see `tests/BUGS.md`. Most of them are tested beside the driver.

use std::io::Write;
use std::os::unix::net::UnixStream as StdStream;

use krug::io::AsyncWriteOwned;
use krug::net::UnixStream;
use krug_tests::{has_ring, poll_once, run, run_with, turns, until};

krug_tests::on_every_driver!();

/// Who sends: a plain socket, or, in a simulation, where nobody else is, a stream of krug's.
enum Peer {
    Foreign(StdStream),
    Simulated(UnixStream),
}

fn pair() -> (UnixStream, Peer) {
    if krug_tests::driver() == krug::runtime::Driver::Sim {
        let (stream, peer) = UnixStream::pair().unwrap();
        return (stream, Peer::Simulated(peer));
    }
    let (mine, peer) = StdStream::pair().unwrap();
    (UnixStream::from_std(mine).unwrap(), Peer::Foreign(peer))
}

#[test]
fn bug_063_completions_that_come_together_wake_everybody() {
    const READERS: usize = 100;
    run_with(
        |builder| builder.entries(4),
        |runtime| {
            runtime.block_on(async {
                let (mut peers, mut readers) = (Vec::new(), Vec::new());
                for _ in 0..READERS {
                    let (stream, peer) = pair();
                    peers.push(peer);
                    readers.push(krug::spawn(async move {
                        let (result, buf) = stream.read_exact(Vec::with_capacity(3)).await;
                        result.map(|()| buf)
                    }));
                }
                turns(10).await;
                // The core makes no turn between these.
                for peer in &mut peers {
                    match peer {
                        Peer::Foreign(peer) => peer.write_all(b"abc").unwrap(),
                        // Accepted now, sent when the core turns.
                        Peer::Simulated(peer) => drop(peer.commit(b"abc".to_vec())),
                    }
                }
                for reader in readers {
                    assert_eq!(reader.await.unwrap().unwrap(), b"abc");
                }
            });
        },
    );
}

#[test]
fn bug_064_the_counters_add_up() {
    const NOPS: u64 = 50;
    const DROPPED: u64 = 7;
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let before = runtime.metrics();
            for _ in 0..NOPS {
                krug::io::nop().await.unwrap();
            }
            // A read whose future is dropped goes on; a peek is cancelled.
            let mut read = Box::pin(one.read(vec![0; 8]));
            assert!(poll_once(read.as_mut()).await.is_pending());
            turns(2).await;
            drop(read);
            for _ in 0..DROPPED {
                let mut peek = Box::pin(other.peek(vec![0; 8]));
                assert!(poll_once(peek.as_mut()).await.is_pending());
                turns(2).await;
                drop(peek);
                until("the peek has ended", || {
                    runtime.metrics().operations_alive == 1
                })
                .await;
            }
            other.write_all("adopted").await.0.unwrap();
            until("the read has ended", || {
                runtime.metrics().operations_alive == 0
            })
            .await;
            let after = runtime.metrics();
            assert_eq!(after.operations - before.operations, NOPS + 1 + DROPPED + 1);
            assert_eq!(after.cancels - before.cancels, DROPPED);
            assert_eq!(after.adopted - before.adopted, 1);
            // Each operation and each cancel is one entry, and one completion.
            let entries = NOPS + 1 + DROPPED + 1 + DROPPED;
            // A ring has a read of its bell's descriptor in flight, from the first sleep on.
            let is_read = has_ring();
            let of_the_bell = u64::from(is_read);
            assert_eq!(after.submitted - before.submitted, entries + of_the_bell);
            assert_eq!(after.completions - before.completions, entries);
            assert!(after.enters - before.enters <= after.turns - before.turns);
            assert_eq!((after.stale_completions, after.sources), (0, 2));
        });
    });
}
