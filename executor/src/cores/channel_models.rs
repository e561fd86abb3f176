//! Channels between cores in every order of events; how to run: see `task::loom_models`.
//!
//! A lost wake-up shows as a deadlock, a slot that two threads touch as a race on its cell; messages are counted references, so that one
//! which is lost or received twice is seen in the end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::sync::Notify;
use loom::thread;

use super::{broadcast, mpsc, spsc, watch};
use crate::task::loom_models::{NotifyWaker, model, wait};

/// Counts the messages that are somewhere.
type Token = Arc<()>;

fn waker() -> (Arc<NotifyWaker>, Waker) {
    let notify = Arc::new(NotifyWaker(Notify::new()));
    (notify.clone(), Waker::from(notify))
}

#[test]
fn loom_spsc_both_sides_wait_and_nothing_is_lost() {
    model(2, || {
        let (mut sender, mut receiver) = spsc::channel(1);
        let sending = thread::spawn(move || {
            for number in 0..2 {
                wait(sender.send(number)).unwrap();
            }
        });
        for number in 0..2 {
            assert_eq!(wait(receiver.recv()), Some(number));
        }
        assert_eq!(wait(receiver.recv()), None);
        sending.join().unwrap();
    });
}

#[test]
fn loom_spsc_many_are_received_at_once_and_their_places_filled_again() {
    model(2, || {
        let (mut sender, mut receiver) = spsc::channel(2);
        let sending = thread::spawn(move || {
            for number in 0..3 {
                wait(sender.send(number)).unwrap();
            }
        });
        let mut numbers = Vec::new();
        while wait(receiver.recv_many(&mut numbers, 2)) > 0 {}
        assert_eq!(numbers, [0, 1, 2]);
        sending.join().unwrap();
    });
}

#[test]
fn loom_spsc_a_closed_channel_has_every_message_that_was_accepted() {
    model(3, || {
        let (mut sender, mut receiver) = spsc::channel(1);
        let sending = thread::spawn(move || {
            let sent = [0, 1].map(|number| wait(sender.send(number)).is_ok());
            wait(sender.closed());
            assert!(sender.try_reserve().is_err());
            sent.iter().filter(|sent| **sent).count()
        });
        receiver.close();
        let mut received = 0;
        while wait(receiver.recv()).is_some() {
            received += 1;
        }
        assert_eq!(sending.join().unwrap(), received);
    });
}

#[test]
fn loom_spsc_a_dropped_receiver_drops_or_refuses_each_message() {
    model(3, || {
        let (mut sender, mut receiver) = spsc::channel(1);
        let token = Token::default();
        let mine = token.clone();
        let sending = thread::spawn(move || {
            for _ in 0..2 {
                drop(wait(sender.send(mine.clone())));
            }
        });
        drop(receiver.try_recv());
        drop(receiver);
        sending.join().unwrap();
        assert_eq!(Arc::strong_count(&token), 1);
    });
}

/// Bug row 43.
#[test]
fn loom_spsc_who_polls_with_another_waker_is_woken_by_that() {
    model(3, || {
        let (mut sender, mut receiver) = spsc::channel(1);
        let sending = thread::spawn(move || sender.try_send(7).unwrap());
        let (_, first) = waker();
        let mut early = None;
        {
            let mut receiving = pin!(receiver.recv());
            if let Poll::Ready(message) = receiving.as_mut().poll(&mut Context::from_waker(&first))
            {
                early = message;
            }
        }
        let received = early.or_else(|| wait(receiver.recv()));
        assert_eq!(received, Some(7));
        sending.join().unwrap();
    });
}

#[test]
fn loom_mpsc_two_senders_and_a_receiver_that_waits() {
    model(2, || {
        let (sender, mut receiver) = mpsc::channel(2);
        let sending = [10, 20].map(|first| {
            let sender = sender.clone();
            thread::spawn(move || wait(sender.send(first)).unwrap())
        });
        drop(sender);
        let mut sum = 0;
        while let Some(number) = wait(receiver.recv()) {
            sum += number;
        }
        assert_eq!(sum, 30);
        for sender in sending {
            sender.join().unwrap();
        }
    });
}

#[test]
fn loom_mpsc_senders_stand_in_line_for_one_place() {
    model(1, || {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.try_send(1).unwrap();
        let sending = [10, 100].map(|first| {
            let sender = sender.clone();
            thread::spawn(move || wait(sender.send(first)).unwrap())
        });
        drop(sender);
        let mut sum = 0;
        while let Some(number) = wait(receiver.recv()) {
            sum += number;
        }
        assert_eq!(sum, 111);
        for sender in sending {
            sender.join().unwrap();
        }
    });
}

#[test]
fn loom_mpsc_one_sender_fills_slots_again() {
    model(2, || {
        let (sender, mut receiver) = mpsc::channel(1);
        let sending = thread::spawn(move || {
            for number in 0..2 {
                wait(sender.send(number)).unwrap();
            }
        });
        for number in 0..2 {
            assert_eq!(wait(receiver.recv()), Some(number));
        }
        assert_eq!(wait(receiver.recv()), None);
        sending.join().unwrap();
    });
}

#[test]
fn loom_mpsc_a_dropped_receiver_drops_or_refuses_each_message() {
    model(2, || {
        let (sender, receiver) = mpsc::channel(1);
        let token = Token::default();
        let sending = [0, 1].map(|_| {
            let (sender, mine) = (sender.clone(), token.clone());
            thread::spawn(move || {
                drop(wait(sender.send(mine)));
                sender
            })
        });
        drop(receiver);
        // Senders that are still there keep no message.
        let senders = sending.map(|thread| thread.join().unwrap());
        assert_eq!(Arc::strong_count(&token), 1);
        drop(senders);
    });
}

#[test]
fn loom_mpsc_a_permit_is_waited_for_after_the_end_and_may_be_given_up() {
    for is_used in [true, false] {
        model(3, move || {
            let (sender, mut receiver) = mpsc::channel(1);
            let sending = thread::spawn(move || {
                let Ok(permit) = sender.try_reserve() else {
                    return false;
                };
                if is_used {
                    permit.send(5).unwrap();
                }
                is_used
            });
            receiver.close();
            let received = wait(receiver.recv());
            assert_eq!(received.is_some(), sending.join().unwrap());
        });
    }
}

#[test]
fn loom_mpsc_a_place_granted_to_a_future_that_is_dropped_passes_on() {
    model(2, || {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.try_send(0).unwrap();
        let second = sender.clone();
        let receiving = thread::spawn(move || {
            assert_eq!(receiver.try_recv(), Ok(0));
            assert_eq!(wait(receiver.recv()), Some(2));
            assert_eq!(wait(receiver.recv()), None);
        });
        {
            let (_, waker) = waker();
            let mut first = pin!(sender.reserve());
            let _ = first.as_mut().poll(&mut Context::from_waker(&waker));
        }
        wait(second.send(2)).unwrap();
        drop((sender, second));
        receiving.join().unwrap();
    });
}

#[test]
fn loom_broadcast_who_waits_anew_is_not_called_for_what_it_has_received() {
    model(2, || {
        let (sender, mut receiver) = broadcast::channel(2);
        let sending = thread::spawn(move || {
            for number in 0..2 {
                sender.send(number).unwrap();
            }
        });
        for number in 0..2 {
            assert_eq!(wait(receiver.recv()), Ok(number));
        }
        assert_eq!(wait(receiver.recv()), Err(broadcast::RecvError::Closed));
        sending.join().unwrap();
    });
}

#[test]
fn loom_watch_who_waits_anew_is_not_told_of_an_end_that_has_not_come() {
    model(2, || {
        let (sender, mut receiver) = watch::channel(0);
        let sending = thread::spawn(move || {
            for number in 1..3 {
                sender.send(number).unwrap();
            }
        });
        let mut seen = 0;
        while seen < 2 {
            wait(receiver.changed()).unwrap();
            seen = *receiver.borrow_and_update();
        }
        assert!(wait(receiver.changed()).is_err());
        sending.join().unwrap();
    });
}
