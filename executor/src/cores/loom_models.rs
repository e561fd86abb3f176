//! Mailbox, bell and what stands on them in every order of events; how to run: see `task::loom_models`.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Notify;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{CoreId, Delivery, MailboxLease, Ring, oneshot};

struct Bell(Arc<Notify>);

impl Ring for Bell {
    fn ring(&self) {
        self.0.notify();
    }
}

fn post_counting(core: CoreId, opened: &Arc<AtomicUsize>) -> bool {
    let opened = opened.clone();
    core.post(Box::new(move || {
        opened.fetch_add(1, Ordering::Relaxed);
    }))
    .is_ok()
}

#[test]
fn loom_two_letters_reach_a_worker_that_goes_to_sleep() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let lease = MailboxLease::acquire();
        let bell = Arc::new(Notify::new());
        lease.set_bell(Box::new(Bell(bell.clone())));
        let shared = lease.share_with_scheduler();
        let opened = Arc::new(AtomicUsize::new(0));
        let core = lease.id();
        let senders = [0, 1].map(|_| {
            let opened = opened.clone();
            thread::spawn(move || assert!(post_counting(core, &opened)))
        });
        let epoch = core.epoch();
        while opened.load(Ordering::Relaxed) < 2 {
            let received = shared.take().deliver_all(Delivery::At { epoch });
            if received == 0 && lease.prepare_park() {
                bell.wait();
                lease.unpark();
            }
        }
        for sender in senders {
            sender.join().unwrap();
        }
        lease.remove_bell();
    });
}

#[test]
fn loom_a_letter_and_the_end_of_the_life() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let lease = MailboxLease::acquire();
        let bell = Arc::new(Notify::new());
        lease.set_bell(Box::new(Bell(bell)));
        let core = lease.id();
        let content = Arc::new(());
        let senders = [0, 1].map(|_| {
            let content = content.clone();
            thread::spawn(move || {
                let letter = Box::new(move || {
                    let _content = content;
                    unreachable!("nobody opens letters here");
                });
                drop(core.post(letter));
            })
        });
        let _ = lease.prepare_park();
        lease.unpark();
        drop(lease);
        for sender in senders {
            sender.join().unwrap();
        }
        assert_eq!(
            Arc::strong_count(&content),
            1,
            "dropped here or handed back"
        );
        assert!(!core.is_alive());
    });
}

/// Polls a future on a loom thread until it is ready.
fn wait<F: Future>(future: F) -> F::Output {
    struct Thread(Notify);
    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.notify();
        }
    }
    let thread = Arc::new(Thread(Notify::new()));
    let waker = Waker::from(thread.clone());
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread.0.wait(),
        }
    }
}

/// Polls once with a waker of no use, as who then gives up.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn with_preemptions(bound: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.check(model);
}

#[test]
fn loom_a_value_and_who_waits_for_it() {
    with_preemptions(3, || {
        let (sender, receiver) = oneshot::channel();
        let sending = thread::spawn(move || sender.send(Arc::new(7)).unwrap());
        assert_eq!(*wait(receiver).unwrap(), 7);
        sending.join().unwrap();
    });
}

#[test]
fn loom_a_value_and_who_waits_by_another_waker() {
    with_preemptions(3, || {
        let (sender, mut receiver) = oneshot::channel();
        let sending = thread::spawn(move || sender.send(7).unwrap());
        let value = match poll_once(&mut receiver) {
            Some(value) => value,
            None => wait(receiver),
        };
        assert_eq!(value, Ok(7));
        sending.join().unwrap();
    });
}

#[test]
fn loom_a_value_and_a_receiver_that_goes() {
    with_preemptions(3, || {
        let (sender, receiver) = oneshot::channel();
        let value = Arc::new(());
        let sent = value.clone();
        let sending = thread::spawn(move || drop(sender.send(sent)));
        drop(receiver);
        sending.join().unwrap();
        assert_eq!(Arc::strong_count(&value), 1, "dropped once, by either");
    });
}

#[test]
fn loom_a_sender_waits_for_the_receiver_to_go() {
    with_preemptions(3, || {
        let (mut sender, mut receiver) = oneshot::channel::<u8>();
        let closing = thread::spawn(move || {
            let _ = poll_once(&mut receiver);
            drop(receiver);
        });
        let _ = poll_once(sender.closed());
        wait(sender.closed());
        assert_eq!(sender.send(1), Err(1));
        closing.join().unwrap();
    });
}

#[test]
fn loom_places_go_to_all_who_wait_for_them() {
    with_preemptions(2, || {
        let lease = MailboxLease::acquire();
        lease.set_spawn_backlog(1);
        let core = lease.id();
        let taken = core.try_place().unwrap();
        let waiting = thread::spawn(move || drop(wait(core.place()).unwrap()));
        // One that gives up passes on what it was called for.
        let giving_up = thread::spawn(move || drop(poll_once(core.place())));
        drop(taken);
        waiting.join().unwrap();
        giving_up.join().unwrap();
        assert!(core.try_place().is_some(), "none is lost");
    });
}

#[test]
fn loom_nobody_waits_for_a_place_on_a_core_that_has_ended() {
    with_preemptions(2, || {
        let lease = MailboxLease::acquire();
        lease.set_spawn_backlog(1);
        let core = lease.id();
        let taken = core.try_place().unwrap();
        let waiting = thread::spawn(move || assert!(wait(core.place()).is_none()));
        drop(lease);
        waiting.join().unwrap();
        drop(taken);
    });
}
