use super::*;
use crate::sync::Notify;

#[test]
fn the_longest_waiting_is_notified_first() {
    let notify = Notify::new();
    let mut waiting: Vec<_> = (0..3)
        .map(|_| (notify.notified(), Counter::new()))
        .collect();
    for (notified, (_, waker)) in &mut waiting {
        assert!(poll(notified, waker).is_pending());
    }
    for turn in 0..3 {
        notify.notify_one();
        let wakes: Vec<usize> = waiting
            .iter()
            .map(|(_, (counter, _))| counter.wakes())
            .collect();
        assert_eq!(wakes.iter().sum::<usize>(), turn + 1);
        assert_eq!(wakes[turn], 1);
        let (notified, (_, waker)) = &mut waiting[turn];
        assert!(poll(notified, waker).is_ready());
    }
}

#[test]
fn one_notification_is_kept_for_the_next_to_wait() {
    let notify = Notify::new();
    notify.notify_one();
    notify.notify_one();
    now(notify.notified());
    assert!(
        poll_once(&mut notify.notified()).is_pending(),
        "two kept ones count as one"
    );
}

#[test]
fn the_notification_of_a_dropped_waiter_passes_to_the_next() {
    let notify = Notify::new();
    let (counter, waker) = Counter::new();
    let mut first = notify.notified();
    let mut second = notify.notified();
    assert!(poll_once(&mut first).is_pending());
    assert!(poll(&mut second, &waker).is_pending());
    notify.notify_one();
    assert_eq!(counter.wakes(), 0);
    drop(first);
    assert_eq!(counter.wakes(), 1);
    assert!(poll(&mut second, &waker).is_ready());
}

#[test]
fn the_notification_of_the_only_waiter_is_kept_when_it_is_dropped() {
    let notify = Notify::new();
    let mut only = notify.notified();
    assert!(poll_once(&mut only).is_pending());
    notify.notify_one();
    drop(only);
    now(notify.notified());
}

#[test]
fn leaving_the_line_unnotified_notifies_nobody() {
    let notify = Notify::new();
    let mut first = notify.notified();
    let mut middle = notify.notified();
    let mut last = notify.notified();
    for notified in [&mut first, &mut middle, &mut last] {
        assert!(poll_once(notified).is_pending());
    }
    drop(middle);
    assert!(poll_once(&mut first).is_pending());
    assert!(poll_once(&mut last).is_pending());
    notify.notify_one();
    notify.notify_one();
    assert!(poll_once(&mut first).is_ready());
    assert!(poll_once(&mut last).is_ready());
    drop((first, last));
    assert!(poll_once(&mut notify.notified()).is_pending());
}

#[test]
fn notify_waiters_wakes_all_that_wait_and_keeps_nothing() {
    let notify = Notify::new();
    let (counter, waker) = Counter::new();
    let mut polled = [notify.notified(), notify.notified()];
    for notified in &mut polled {
        assert!(poll(notified, &waker).is_pending());
    }
    let mut made = notify.notified();
    notify.notify_waiters();
    assert_eq!(counter.wakes(), 2);
    let mut later = notify.notified();
    assert!(
        poll_once(&mut later).is_pending(),
        "it waits for the next one"
    );
    assert!(poll_once(&mut made).is_ready(), "it was made before");
    for notified in &mut polled {
        assert!(poll(notified, &waker).is_ready());
    }
}

#[test]
fn a_round_does_not_use_up_a_kept_notification() {
    let notify = Notify::new();
    let mut made = notify.notified();
    notify.notify_one();
    notify.notify_waiters();
    assert!(poll_once(&mut made).is_ready());
    now(notify.notified());
}

#[test]
fn dropping_a_waiter_that_a_round_woke_notifies_nobody() {
    let notify = Notify::new();
    let mut waiting = notify.notified();
    assert!(poll_once(&mut waiting).is_pending());
    notify.notify_waiters();
    drop(waiting);
    assert!(poll_once(&mut notify.notified()).is_pending());
}

#[test]
fn who_lines_up_while_a_round_wakes_is_not_part_of_it() {
    let notify = Rc::new(Notify::new());
    // Woken, the first one lines up anew at once, through its waker.
    let notify_again: &'static Notify = Box::leak(Box::new(Notify::new()));
    let lined_up = Rc::new(RefCell::new(Vec::new()));
    let keep = lined_up.clone();
    let meddler = Meddler::install(move || {
        let mut notified = Box::pin(notify_again.notified());
        assert!(poll_once(&mut notified).is_pending());
        keep.borrow_mut().push(notified);
    });
    let mut first = notify_again.notified();
    assert!(poll(&mut first, &meddling_waker()).is_pending());
    notify_again.notify_waiters();
    assert_eq!(meddler.runs(), 2, "woken once, and the waker dropped");
    for notified in lined_up.borrow_mut().iter_mut() {
        assert!(poll_once(notified).is_pending());
    }
    assert!(poll_once(&mut first).is_ready());
    drop(notify);
}

#[test]
fn only_the_waker_of_the_last_poll_is_woken() {
    let notify = Notify::new();
    let (first, first_waker) = Counter::new();
    let (last, last_waker) = Counter::new();
    let mut notified = notify.notified();
    assert!(poll(&mut notified, &first_waker).is_pending());
    assert!(poll(&mut notified, &last_waker).is_pending());
    notify.notify_one();
    assert_eq!((first.wakes(), last.wakes()), (0, 1));
}

#[test]
fn it_works_under_a_poller_with_wakers_of_its_own() {
    let notify = Notify::new();
    let turns = RefCell::new(Vec::new());
    let (notify, turns) = (&notify, &turns);
    let mut children: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for i in 0..50 {
        children.push(Box::pin(async move {
            notify.notified().await;
            turns.borrow_mut().push(i);
            notify.notify_one();
        }));
    }
    children.push(Box::pin(async { notify.notify_one() }));
    run_all(children);
    assert_eq!(*turns.borrow(), (0..50).collect::<Vec<_>>());
}
