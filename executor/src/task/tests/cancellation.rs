//! Cancellation tokens, without any runtime: nothing in them needs one.

use std::future::{Future, pending, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::{CountingWaker, Drops, poll_once, wait};
use crate::task::CancellationToken;
use krug_tests::{Random, iterations};

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn who_waits_is_woken_once_and_who_comes_later_does_not_wait() {
    let token = CancellationToken::new();
    let same = token.clone();
    let (waker, woken) = CountingWaker::new();
    let mut first = token.cancelled();
    let mut second = token.clone().cancelled_owned();
    assert!(poll(&mut first, &waker).is_pending() && poll(&mut first, &waker).is_pending());
    assert!(poll(&mut second, &waker).is_pending());
    assert!(!token.is_cancelled());
    same.cancel();
    same.cancel();
    assert_eq!(woken.count(), 2);
    assert!(token.is_cancelled() && poll_once(&mut first).is_ready());
    assert!(poll_once(&mut second).is_ready() && poll_once(&mut token.cancelled()).is_ready());
}

#[test]
fn the_newest_waker_of_a_future_is_woken_and_no_other() {
    let token = CancellationToken::new();
    let (old, old_count) = CountingWaker::new();
    let (new, new_count) = CountingWaker::new();
    let mut waits = token.cancelled();
    assert!(poll(&mut waits, &old).is_pending() && poll(&mut waits, &new).is_pending());
    let mut gone = token.cancelled();
    assert!(poll(&mut gone, &old).is_pending());
    drop(gone);
    token.cancel();
    assert_eq!((old_count.count(), new_count.count()), (0, 1));
}

#[test]
fn cancelling_goes_down_and_never_up_or_sideways() {
    let root = CancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let below = left.child_token();
    left.cancel();
    assert!(left.is_cancelled() && below.is_cancelled());
    assert!(!root.is_cancelled() && !right.is_cancelled());
    assert!(left.child_token().is_cancelled());
    root.cancel();
    assert!(right.is_cancelled() && root.child_token().is_cancelled());
}

#[test]
fn a_child_hears_of_it_when_the_token_between_is_gone() {
    let root = CancellationToken::new();
    let between = root.child_token();
    let below = between.child_token();
    let (waker, woken) = CountingWaker::new();
    let mut waits = below.cancelled();
    assert!(poll(&mut waits, &waker).is_pending());
    drop(between);
    root.cancel();
    assert!(below.is_cancelled());
    assert_eq!(woken.count(), 1);
}

#[test]
fn children_outlive_their_parents_uncancelled() {
    let root = CancellationToken::new();
    let child = root.child_token();
    drop(root);
    assert!(!child.is_cancelled());
    child.cancel();
    assert!(child.is_cancelled());
}

#[test]
fn tokens_that_are_dropped_leave_nothing_behind() {
    let root = CancellationToken::new();
    for _ in 0..1000 {
        let child = root.child_token();
        drop(child.child_token());
        let _ = poll_once(&mut child.cancelled());
    }
    assert_eq!(root.in_tree(), 1);
    // As a loop might do that narrows its token in each round.
    let mut narrow = root.clone();
    for _ in 0..100_000 {
        narrow = narrow.child_token();
    }
    assert_eq!(root.in_tree(), 2);
    root.cancel();
    assert!(narrow.is_cancelled());
}

#[test]
fn a_future_runs_until_its_token_is_cancelled() {
    let token = CancellationToken::new();
    assert_eq!(wait(token.run_until_cancelled(ready(7))), Some(7));
    let drops = Drops::default();
    let guard = drops.counter();
    let mut runs = Box::pin(token.run_until_cancelled(async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    let (waker, woken) = CountingWaker::new();
    assert!(poll(&mut runs, &waker).is_pending());
    token.cancel();
    assert_eq!(woken.count(), 1);
    assert_eq!(poll(&mut runs, &waker), Poll::Ready(None));
    drop(runs);
    assert_eq!(drops.count(), 1);
    assert_eq!(wait(token.run_until_cancelled(ready(7))), None);
}

#[test]
fn an_output_that_is_there_when_the_token_is_cancelled_counts() {
    let token = CancellationToken::new();
    let canceller = token.clone();
    let mut runs = pin!(token.run_until_cancelled(async move {
        canceller.cancel();
        7
    }));
    let polled = runs.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Some(7)));
}

#[test]
fn a_guard_cancels_unless_it_is_disarmed() {
    let token = CancellationToken::new();
    let guard = token.clone().drop_guard();
    let same = guard.disarm();
    assert!(!token.is_cancelled() && !same.is_cancelled());
    drop(same.drop_guard());
    assert!(token.is_cancelled());
}

/// Uses the token in everything that a waker can do.
struct Meddler {
    token: CancellationToken,
    done: AtomicUsize,
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        self.token.cancel();
        assert!(self.token.child_token().is_cancelled());
        drop(self.token.clone());
        self.done.fetch_add(1, Ordering::SeqCst);
        panic!("a waker");
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

#[test]
fn wakers_run_when_nothing_is_locked_and_a_panic_keeps_nobody_from_being_woken() {
    let token = CancellationToken::new();
    let meddler = Arc::new(Meddler {
        token: token.child_token(),
        done: AtomicUsize::new(0),
    });
    let meddling = Waker::from(meddler.clone());
    let (waker, woken) = CountingWaker::new();
    let mut futures: Vec<_> = (0..4).map(|_| token.cancelled()).collect();
    for (number, future) in futures.iter_mut().enumerate() {
        let waker = if number % 2 == 0 { &meddling } else { &waker };
        assert!(poll(future, waker).is_pending());
    }
    token.cancel();
    assert_eq!((meddler.done.load(Ordering::SeqCst), woken.count()), (2, 2));
    // A waker whose destructor cancels is dropped by what replaces it, or takes its place along.
    let other = CancellationToken::new();
    let meddling = Waker::from(Arc::new(Meddler {
        token: other.child_token(),
        done: AtomicUsize::new(0),
    }));
    let mut waits = other.cancelled();
    assert!(poll(&mut waits, &meddling).is_pending());
    drop(meddling);
    assert!(poll(&mut waits, &waker).is_pending());
    std::mem::forget(waits);
    drop(other);
}

#[test]
fn threads_cancel_wait_and_leave_at_the_same_time() {
    for _ in 0..iterations(200) {
        let root = CancellationToken::new();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let token = root.child_token();
                thread::spawn(move || {
                    let below = token.child_token();
                    drop(token);
                    wait(below.cancelled());
                    wait(below.child_token().cancelled_owned());
                })
            })
            .collect();
        root.cancel();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(root.in_tree(), 1);
    }
}

/// Tokens are made, cancelled and dropped at random, and compared with a list of who is whose ancestor.
#[test]
fn random_trees_cancel_what_is_below_and_nothing_else() {
    let random = Random::new();
    for _ in 0..iterations(200) {
        random_tree(&Random::of(random.number()));
    }
}

fn random_tree(random: &Random) {
    struct Known {
        token: Option<CancellationToken>,
        ancestors: Vec<usize>,
        is_cancelled: bool,
    }
    let root = CancellationToken::new();
    let mut known = vec![Known {
        token: Some(root.clone()),
        ancestors: vec![],
        is_cancelled: false,
    }];
    for _ in 0..60 {
        let chosen = random.below(known.len());
        let Some(token) = &known[chosen].token else {
            continue;
        };
        match random.below(8) {
            0..4 => {
                let mut ancestors = known[chosen].ancestors.clone();
                ancestors.push(chosen);
                let child = Known {
                    token: Some(token.child_token()),
                    ancestors,
                    is_cancelled: known[chosen].is_cancelled,
                };
                known.push(child);
            }
            4 if chosen > 0 => {
                token.cancel();
                for (number, node) in known.iter_mut().enumerate() {
                    node.is_cancelled |= number == chosen || node.ancestors.contains(&chosen);
                }
            }
            5 if chosen > 0 => known[chosen].token = None,
            _ => {
                let _ = poll_once(&mut token.cancelled());
            }
        }
        for node in &known {
            if let Some(token) = &node.token {
                assert_eq!(token.is_cancelled(), node.is_cancelled);
            }
        }
    }
    let alive = known.iter().filter(|node| node.token.is_some()).count();
    assert_eq!(root.in_tree(), alive);
    root.cancel();
    let tokens = known.iter().filter_map(|node| node.token.as_ref());
    assert!(tokens.into_iter().all(CancellationToken::is_cancelled));
}
