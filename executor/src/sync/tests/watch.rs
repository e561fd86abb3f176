use super::*;
use crate::sync::watch::{RecvError, SendError, Sender, channel};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn only_the_newest_value_is_seen_and_once() {
    let (sender, mut receiver) = channel(0);
    assert_eq!(
        receiver.has_changed(),
        Ok(false),
        "the first counts as seen"
    );
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!(receiver.has_changed(), Ok(true));
    assert!(receiver.borrow().has_changed());
    assert!(receiver.borrow().has_changed(), "looking is not seeing");
    let value = receiver.borrow_and_update();
    assert_eq!((*value, value.has_changed()), (2, true));
    drop(value);
    assert!(!receiver.borrow().has_changed());
    let mut changed = Box::pin(receiver.changed());
    assert!(poll_once(&mut changed).is_pending());
    sender.send(3).unwrap();
    assert_eq!(poll_once(&mut changed), Poll::Ready(Ok(())));
    drop(changed);
    assert_eq!(receiver.has_changed(), Ok(false), "told is seen");
    receiver.mark_changed();
    assert_eq!(now(receiver.changed()), Ok(()));
    sender.send(4).unwrap();
    receiver.mark_unchanged();
    assert_eq!(receiver.has_changed(), Ok(false));
    assert_eq!(*receiver.borrow(), 4);
}

#[test]
fn bug_063_all_receivers_that_wait_are_woken() {
    let (sender, receiver) = channel(0);
    let mut receivers: Vec<_> = (0..10).map(|_| receiver.clone()).collect();
    let (counter, waker) = Counter::new();
    let mut waiting: Vec<_> = receivers
        .iter_mut()
        .map(|receiver| Box::pin(receiver.changed()))
        .collect();
    for changed in &mut waiting {
        assert!(poll(changed, &waker).is_pending());
    }
    sender.send(1).unwrap();
    assert_eq!(counter.wakes(), 10);
    for changed in &mut waiting {
        assert!(poll(changed, &waker).is_ready());
    }
}

#[test]
fn bug_049_the_end_of_the_senders_is_told_after_the_last_value() {
    let (sender, mut receiver) = channel(0);
    let second = sender.clone();
    let mut waiting = receiver.clone();
    let (counter, waker) = Counter::new();
    let mut changed = Box::pin(waiting.changed());
    assert!(poll(&mut changed, &waker).is_pending());
    drop(sender);
    assert_eq!((counter.wakes(), second.sender_count()), (0, 1));
    drop(second);
    assert_eq!(counter.wakes(), 1);
    assert_eq!(poll(&mut changed, &waker), Poll::Ready(Err(RecvError)));
    assert_eq!(receiver.has_changed(), Err(RecvError));
    assert_eq!(*receiver.borrow(), 0);

    let (sender, _) = channel(0);
    let mut late = sender.subscribe();
    sender.send(1).unwrap();
    drop(sender);
    assert_eq!(now(late.changed()), Ok(()));
    assert_eq!(now(late.changed()), Err(RecvError));
    assert!(now(late.wait_for(|value| *value == 2)).is_err());
    assert!(now(late.wait_for(|value| *value == 1)).is_ok());
    assert_eq!(now(receiver.changed()), Err(RecvError));
}

#[test]
fn without_receivers_send_gives_the_value_back_and_the_others_work() {
    let (sender, receiver) = channel(0);
    let (counter, waker) = Counter::new();
    let mut closed = Box::pin(sender.closed());
    assert!(poll(&mut closed, &waker).is_pending());
    drop(receiver);
    assert_eq!(counter.wakes(), 1);
    let again = sender.subscribe();
    assert!(poll(&mut closed, &waker).is_ready(), "for a moment it was");
    drop(again);
    assert!(sender.is_closed() && sender.receiver_count() == 0);
    assert_eq!(sender.send(1), Err(SendError(1)));
    assert_eq!(sender.send_replace(2), 0);
    sender.send_modify(|value| *value += 1);
    assert_eq!(*sender.borrow(), 3);
    let receiver = sender.subscribe();
    assert_eq!(receiver.has_changed(), Ok(false));
    assert!(receiver.same_channel(&receiver.clone()));
    assert!(sender.same_channel(&sender.clone()));
}

#[test]
fn only_a_real_change_is_told() {
    let (sender, receiver) = channel(0);
    assert!(!sender.send_if_modified(|value| {
        *value = 5;
        false
    }));
    assert_eq!((*receiver.borrow(), receiver.has_changed()), (5, Ok(false)));
    assert!(sender.send_if_modified(|_| true));
    assert_eq!(receiver.has_changed(), Ok(true));
}

#[test]
fn a_value_that_is_looked_at_stays_while_others_are_sent() {
    let (sender, receiver) = channel(0);
    let old = receiver.borrow();
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!((*old, *receiver.borrow()), (0, 2));
    drop(old);
    assert_eq!(sender.send_replace(3), 2);
}

#[test]
fn changing_a_value_in_place_that_is_looked_at_panics_and_nothing_changes() {
    let (sender, receiver) = channel(0);
    let looked_at = receiver.borrow();
    assert!(catch_unwind(AssertUnwindSafe(|| sender.send_modify(|value| *value = 1))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| sender.send_replace(1))).is_err());
    assert_eq!((*looked_at, receiver.has_changed()), (0, Ok(false)));
    drop(looked_at);
    sender.send_modify(|value| *value = 1);
    assert_eq!(*receiver.borrow(), 1);
}

#[test]
fn a_change_that_panics_or_uses_the_channel_leaves_it_usable() {
    let (sender, receiver) = channel(0);
    let panics = || sender.send_modify(|_| panic!("no"));
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    let looks = || sender.send_modify(|_| drop(receiver.borrow()));
    assert!(catch_unwind(AssertUnwindSafe(looks)).is_err());
    let sends = || sender.send_modify(|_| sender.send(1).unwrap());
    assert!(catch_unwind(AssertUnwindSafe(sends)).is_err());
    assert_eq!((*receiver.borrow(), receiver.has_changed()), (0, Ok(false)));
    sender.send(1).unwrap();
    assert_eq!(*receiver.borrow(), 1);
}

#[test]
fn a_value_may_use_its_channel_while_it_is_dropped_and_a_condition_while_it_is_asked() {
    type Value = Option<OnDrop<Box<dyn FnMut()>>>;
    let (sender, receiver) = channel::<Value>(None);
    let (sender, receiver) = (Rc::new(sender), Rc::new(receiver));
    let seen = Rc::new(Cell::new(0));
    let (other, from, count) = (Rc::downgrade(&sender), receiver.clone(), seen.clone());
    let value = OnDrop(Box::new(move || {
        count.set(count.get() + usize::from(from.borrow().is_none()));
        if let Some(sender) = other.upgrade() {
            assert!(sender.send(None).is_ok());
        }
    }) as Box<dyn FnMut()>);
    assert!(sender.send(Some(value)).is_ok());
    assert!(sender.send(None).is_ok());
    assert_eq!(seen.get(), 1);

    let (sender, mut receiver) = channel(0);
    let found = now(receiver.wait_for(|value| {
        sender.send(value + 1).unwrap();
        *value == 5
    }));
    assert_eq!(*found.unwrap(), 5);
    assert_eq!(*receiver.borrow(), 6);
}

#[test]
fn a_waker_that_uses_the_channel_finds_nothing_borrowed() {
    let (sender, mut receiver) = channel(0);
    let sender = Rc::new(sender);
    let again = sender.clone();
    let meddler = Meddler::install(move || {
        if *again.borrow() < 5 {
            again.send_modify(|value| *value += 1);
        }
    });
    let mut changed = Box::pin(receiver.changed());
    for _ in 0..2 {
        assert!(poll(&mut changed, &meddling_waker()).is_pending());
        sender.send_if_modified(|value| {
            *value = 0;
            false
        });
    }
    sender.send(0).unwrap();
    assert!(meddler.runs() > 0);
    assert!(poll(&mut changed, &meddling_waker()).is_ready());
}

/// 20 000 random steps with several receivers, against a list of what each has seen.
#[test]
fn random_programs_miss_no_change() {
    let random = Random::new();
    let sender = Sender::new(0_u64);
    let mut version = 0;
    let mut receivers = Vec::new();
    for _ in 0..20_000 {
        match random.below(6) {
            0 if receivers.len() < 8 => receivers.push((sender.subscribe(), version)),
            1 if !receivers.is_empty() => {
                drop(receivers.swap_remove(random.below(receivers.len())));
            }
            2 => {
                version += u64::from(sender.send(version + 1).is_ok());
            }
            3 => {
                sender.send_replace(version + 1);
                version += 1;
            }
            4 if !receivers.is_empty() => {
                let chosen = random.below(receivers.len());
                let (receiver, seen) = &mut receivers[chosen];
                let mut changed = Box::pin(receiver.changed());
                if *seen != version {
                    assert_eq!(poll_once(&mut changed), Poll::Ready(Ok(())));
                    *seen = version;
                    continue;
                }
                let (counter, waker) = Counter::new();
                assert!(poll(&mut changed, &waker).is_pending());
                if random.below(2) == 0 {
                    version += 1;
                    sender.send(version).unwrap();
                    assert_eq!(counter.wakes(), 1);
                    if random.below(2) == 0 {
                        assert!(poll(&mut changed, &waker).is_ready());
                        *seen = version;
                    }
                }
            }
            _ => {
                for (receiver, seen) in &receivers {
                    assert_eq!(*receiver.borrow(), version);
                    assert_eq!(receiver.has_changed(), Ok(*seen != version));
                }
            }
        }
        assert_eq!(sender.receiver_count(), receivers.len());
    }
}

#[test]
fn bug_044_it_works_under_a_poller_with_wakers_of_its_own() {
    let (sender, receiver) = channel(0);
    let mut children: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for i in 0..20 {
        let mut receiver = receiver.clone();
        children.push(Box::pin(async move {
            assert!(*receiver.wait_for(|value| *value > i).await.unwrap() > i);
            while receiver.changed().await.is_ok() {}
            assert_eq!(*receiver.borrow(), 20);
        }));
    }
    drop(receiver);
    children.push(Box::pin(async move {
        for i in 1..=20 {
            sender.send(i).unwrap();
            yield_once().await;
        }
        let closed = sender.clone();
        drop(sender);
        drop(closed);
    }));
    run_all(children);
}

#[test]
fn a_task_that_always_finds_its_value_lets_the_others_run() {
    gives_way(|| {
        let (sender, mut receiver) = channel(0);
        async move {
            for _ in 0..5_000 {
                sender.send(1).unwrap();
                receiver.changed().await.unwrap();
                assert_eq!(*receiver.wait_for(|_| true).await.unwrap(), 1);
            }
        }
    });
}
