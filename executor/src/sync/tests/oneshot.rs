use super::*;
use crate::sync::oneshot::{RecvError, TryRecvError, channel};

#[test]
fn the_value_arrives_and_wakes_the_receiver_once() {
    let (sender, mut receiver) = channel();
    let (counter, waker) = Counter::new();
    assert_eq!(poll(&mut receiver, &waker), Poll::Pending);
    assert_eq!(poll(&mut receiver, &waker), Poll::Pending);
    sender.send(1).unwrap();
    assert_eq!(counter.wakes(), 1);
    assert_eq!(poll(&mut receiver, &waker), Poll::Ready(Ok(1)));
}

#[test]
fn only_the_waker_of_the_last_poll_is_woken() {
    let (sender, mut receiver) = channel();
    let (first, first_waker) = Counter::new();
    let (last, last_waker) = Counter::new();
    assert!(poll(&mut receiver, &first_waker).is_pending());
    assert!(poll(&mut receiver, &last_waker).is_pending());
    sender.send(1).unwrap();
    assert_eq!((first.wakes(), last.wakes()), (0, 1));
}

#[test]
fn dropping_the_sender_resolves_the_receiver() {
    let (sender, mut receiver) = channel::<i32>();
    let (counter, waker) = Counter::new();
    assert!(poll(&mut receiver, &waker).is_pending());
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(sender);
    assert_eq!(counter.wakes(), 1);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(poll(&mut receiver, &waker), Poll::Ready(Err(RecvError)));
}

#[test]
fn a_value_sent_before_the_sender_was_dropped_is_received() {
    let (sender, mut receiver) = channel();
    sender.send(1).unwrap();
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn sending_to_nobody_returns_the_value() {
    let (sender, receiver) = channel();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(1), Err(1));
}

#[test]
fn a_closed_receiver_keeps_what_was_sent_and_refuses_what_was_not() {
    let (sender, mut receiver) = channel();
    sender.send(1).unwrap();
    receiver.close();
    assert_eq!(now(receiver), Ok(1));

    let (sender, mut receiver) = channel();
    receiver.close();
    assert_eq!(sender.send(1), Err(1));
    assert_eq!(now(receiver), Err(RecvError));
}

#[test]
fn a_sender_hears_that_the_receiver_is_gone() {
    let (mut sender, receiver) = channel::<i32>();
    let (counter, waker) = Counter::new();
    let mut cx = Context::from_waker(&waker);
    assert!(sender.poll_closed(&mut cx).is_pending());
    drop(receiver);
    assert_eq!(counter.wakes(), 1);
    assert!(sender.poll_closed(&mut cx).is_ready());
    now(sender.closed());
}

#[test]
fn a_timed_out_receive_loses_nothing() {
    let (sender, mut receiver) = channel();
    assert!(poll_once(&mut &mut receiver).is_pending());
    sender.send(1).unwrap();
    assert_eq!(now(receiver), Ok(1));
}

#[test]
#[should_panic(expected = "polled after it had resolved")]
fn polling_a_resolved_receiver_panics() {
    let (sender, mut receiver) = channel();
    sender.send(1).unwrap();
    assert_eq!(poll_once(&mut receiver), Poll::Ready(Ok(1)));
    let _ = poll_once(&mut receiver);
}

#[test]
fn an_unread_value_is_dropped_with_the_receiver() {
    let dropped = Rc::new(Cell::new(0));
    let (sender, receiver) = channel();
    let count = dropped.clone();
    let _ = sender.send(OnDrop(move || count.set(count.get() + 1)));
    assert_eq!(dropped.get(), 0);
    drop(receiver);
    assert_eq!(dropped.get(), 1);
}

#[test]
fn a_waker_that_looks_at_the_channel_finds_nothing_borrowed() {
    let (sender, receiver) = channel::<i32>();
    let receiver = Rc::new(RefCell::new(receiver));
    let looked = receiver.clone();
    let meddler = Meddler::install(move || {
        if let Ok(mut receiver) = looked.try_borrow_mut() {
            let _ = receiver.try_recv();
        }
    });
    assert!(poll(&mut *receiver.borrow_mut(), &meddling_waker()).is_pending());
    assert!(poll(&mut *receiver.borrow_mut(), &meddling_waker()).is_pending());
    sender.send(1).unwrap();
    assert_eq!(
        receiver.borrow_mut().try_recv(),
        Err(TryRecvError::Closed),
        "the waker took it"
    );
    assert!(meddler.runs() >= 2);
}
