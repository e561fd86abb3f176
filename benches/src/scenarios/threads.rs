//! What passes between two threads, each on a processor of its own, without krug: what messages between cores are compared with.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use tokio::runtime::Builder;
use tokio::sync::mpsc as tokio_mpsc;

use super::cores::CAPACITY;
use crate::harness::serving::pin;

/// Nanoseconds that so many messages take.
pub(super) type Passing = fn(messages: u64) -> io::Result<f64>;

/// Runs `own` on a thread on the first processor, and `other` on one on the second. Both run also if they cannot be kept there: each waits
/// for the other.
fn on_two<R: Send>(own: impl FnOnce() -> R + Send, other: impl FnOnce() + Send) -> io::Result<R> {
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let pinned = pin(1);
            other();
            pinned
        });
        let own = scope.spawn(move || {
            let pinned = pin(0);
            let result = own();
            pinned.map(|()| result)
        });
        let panicked = |_| io::Error::other("a thread has panicked");
        let result = own.join().map_err(panicked)?;
        other.join().map_err(panicked)??;
        result
    })
}

/// A number that two threads do not share a line of the cache for with another one.
#[derive(Default)]
#[repr(align(128))]
struct Word(AtomicU64);

/// One through the library's queue, each waited for by sleeping if there is none.
pub(super) fn one_way(messages: u64) -> io::Result<f64> {
    let (sender, receiver) = mpsc::sync_channel(CAPACITY);
    on_two(
        move || {
            let mut expected: u64 = receiver.recv().map_or(0, |first: u64| first + 1);
            let begin = Instant::now();
            for number in receiver {
                assert_eq!(number, expected);
                expected += 1;
            }
            assert_eq!(expected, messages);
            begin.elapsed().as_nanos() as f64
        },
        move || {
            for number in 0..messages {
                sender.send(number).expect("the receiver lives");
            }
        },
    )
}

/// Two words that both look at all the time: as fast as the machine moves a line of the cache there and back.
pub(super) fn looking_on(messages: u64) -> io::Result<f64> {
    let (asked, answered) = (Word::default(), Word::default());
    let wait_for = |word: &Word, number| {
        while word.0.load(Ordering::Acquire) != number {
            std::hint::spin_loop();
        }
    };
    on_two(
        || {
            let begin = Instant::now();
            for number in 1..=messages {
                asked.0.store(number, Ordering::Release);
                wait_for(&answered, number);
            }
            begin.elapsed().as_nanos() as f64
        },
        || {
            for number in 1..=messages {
                wait_for(&asked, number);
                answered.0.store(number, Ordering::Release);
            }
        },
    )
}

/// The same, and each sleeps until the other wakes it: two wake-ups, and nothing else.
pub(super) fn sleeping(messages: u64) -> io::Result<f64> {
    let words = [Word::default(), Word::default()];
    let [asked, answered] = &words;
    let wait_for = |word: &Word, number| {
        while word.0.load(Ordering::Acquire) != number {
            thread::park();
        }
    };
    let (tell, told) = mpsc::channel::<thread::Thread>();
    let (tell_back, told_back) = mpsc::channel::<thread::Thread>();
    on_two(
        move || {
            tell.send(thread::current()).expect("the other waits");
            let other = told_back.recv().expect("the other lives");
            let begin = Instant::now();
            for number in 1..=messages {
                asked.0.store(number, Ordering::Release);
                other.unpark();
                wait_for(answered, number);
            }
            begin.elapsed().as_nanos() as f64
        },
        move || {
            let other = told.recv().expect("the other lives");
            tell_back.send(thread::current()).expect("the other waits");
            for number in 1..=messages {
                wait_for(asked, number);
                answered.0.store(number, Ordering::Release);
                other.unpark();
            }
        },
    )
}

/// The same between two runtimes of tokio, of one thread each, which sleep when they have nothing to do.
pub(super) fn tokio(messages: u64) -> io::Result<f64> {
    let (asking, mut asked) = tokio_mpsc::channel(1);
    let (answering, mut answered) = tokio_mpsc::channel(1);
    let [own, other] = [(), ()].map(|()| Builder::new_current_thread().build());
    let (own, other) = (own?, other?);
    on_two(
        move || {
            own.block_on(async move {
                let begin = Instant::now();
                for number in 0..messages {
                    asking.send(number).await.expect("the other lives");
                    assert_eq!(answered.recv().await, Some(number));
                }
                begin.elapsed().as_nanos() as f64
            })
        },
        move || {
            other.block_on(async move {
                while let Some(number) = asked.recv().await {
                    answering.send(number).await.expect("somebody has asked");
                }
            });
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_passes_and_all_end() {
        for passing in [one_way, sleeping, tokio] {
            assert!(passing(1000).unwrap() > 0.0);
        }
        // On one processor each message would take a slice of its time.
        assert!(looking_on(10).unwrap() > 0.0);
    }
}
