//! Mailbox and bell in every order of events; how to run: see `task::loom_models`.

use std::sync::Arc;

use loom::sync::Notify;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{CoreId, Delivery, MailboxLease, Ring};

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
