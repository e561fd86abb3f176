use super::*;
use crate::sync::mpsc::{ReserveError, SendError, TryRecvError, TrySendError, channel, unbounded};
use futures_core::Stream;

#[test]
fn messages_arrive_in_order_and_wake_the_receiver() {
    let (sender, mut receiver) = unbounded();
    let (counter, waker) = Counter::new();
    let mut cx = Context::from_waker(&waker);
    assert!(receiver.poll_recv(&mut cx).is_pending());
    for i in 0..5 {
        sender.send(i).unwrap();
    }
    assert_eq!(
        counter.wakes(),
        1,
        "one wake brings the receiver to all of them"
    );
    for i in 0..5 {
        assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(Some(i)));
    }
    assert!(receiver.poll_recv(&mut cx).is_pending());
    sender.send(5).unwrap();
    assert_eq!(counter.wakes(), 2);
}

#[test]
fn a_full_channel_makes_the_sender_wait_for_a_place() {
    let (sender, mut receiver) = channel(2);
    now(sender.send(1)).unwrap();
    now(sender.send(2)).unwrap();
    assert_eq!(sender.capacity(), 0);
    let (counter, waker) = Counter::new();
    let mut third = sender.send(3);
    assert!(poll(&mut third, &waker).is_pending());
    assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
    assert_eq!(receiver.len(), 2);
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(counter.wakes(), 1);
    assert_eq!(
        sender.try_send(9),
        Err(TrySendError::Full(9)),
        "the place is taken"
    );
    assert_eq!(poll(&mut third, &waker), Poll::Ready(Ok(())));
    assert_eq!(receiver.try_recv(), Ok(2));
    assert_eq!(receiver.try_recv(), Ok(3));
    assert_eq!(sender.capacity(), 2);
}

#[test]
fn places_go_to_senders_in_the_order_of_their_arrival() {
    let (sender, mut receiver) = channel(1);
    now(sender.send(0)).unwrap();
    let mut waiting: Vec<_> = (1..=10).map(|i| sender.send(i)).collect();
    let wakers: Vec<_> = (1..=10).map(|_| Counter::new()).collect();
    for (send, (_, waker)) in waiting.iter_mut().zip(&wakers) {
        assert!(poll(send, waker).is_pending());
    }
    for i in 0..10 {
        assert_eq!(receiver.try_recv(), Ok(i as i32));
        let woken: Vec<usize> = wakers.iter().map(|(counter, _)| counter.wakes()).collect();
        assert_eq!(woken.iter().sum::<usize>(), i + 1, "one at a time");
        assert_eq!(woken[i], 1);
        // Others are polled, too, as in a set of futures: nobody overtakes.
        for (later, send) in waiting.iter_mut().enumerate().skip(i + 1).rev() {
            assert!(poll(send, &wakers[later].1).is_pending());
        }
        assert!(poll(&mut waiting[i], &wakers[i].1).is_ready());
    }
}

#[test]
fn a_place_granted_to_a_dropped_sender_passes_to_the_next() {
    let (sender, mut receiver) = channel(1);
    now(sender.send(0)).unwrap();
    let (counter, waker) = Counter::new();
    let mut first = sender.send(1);
    let mut second = sender.send(2);
    assert!(poll_once(&mut first).is_pending());
    assert!(poll(&mut second, &waker).is_pending());
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!(counter.wakes(), 0);
    drop(first);
    assert_eq!(counter.wakes(), 1);
    assert!(poll(&mut second, &waker).is_ready());
    assert_eq!(receiver.try_recv(), Ok(2));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(sender.capacity(), 1);
}

#[test]
fn a_sender_dropped_at_any_moment_loses_no_place() {
    for polls in 0..=1 {
        for place_comes in [false, true] {
            let (sender, mut receiver) = channel(1);
            now(sender.send(0)).unwrap();
            let mut send = sender.send(1);
            for _ in 0..polls {
                assert!(poll_once(&mut send).is_pending());
            }
            if place_comes {
                assert_eq!(receiver.try_recv(), Ok(0));
            }
            drop(send);
            let _ = receiver.try_recv();
            assert_eq!(sender.capacity(), 1, "{polls} polls, {place_comes}");
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        }
    }
}

#[test]
fn a_receive_dropped_at_any_moment_loses_no_message() {
    let (sender, mut receiver) = channel(4);
    {
        let mut recv = pin!(receiver.recv());
        assert!(poll_once(&mut recv).is_pending());
        now(sender.send(1)).unwrap();
    }
    drop(receiver.recv());
    assert_eq!(now(receiver.recv()), Some(1));
}

#[test]
fn the_receiver_gets_what_is_queued_after_the_last_sender_left() {
    let (sender, mut receiver) = unbounded();
    let second = sender.clone();
    sender.send(1).unwrap();
    drop(sender);
    assert_eq!(now(receiver.recv()), Some(1));
    let (counter, waker) = Counter::new();
    let mut cx = Context::from_waker(&waker);
    assert!(receiver.poll_recv(&mut cx).is_pending());
    second.send(2).unwrap();
    drop(second);
    assert!(counter.wakes() >= 1);
    assert_eq!(now(receiver.recv()), Some(2));
    assert_eq!(now(receiver.recv()), None);
    assert_eq!(now(receiver.recv()), None, "also when asked again");
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_waiting_receiver_hears_that_the_last_sender_left() {
    let (sender, mut receiver) = channel::<i32>(1);
    let (counter, waker) = Counter::new();
    assert!(
        receiver
            .poll_recv(&mut Context::from_waker(&waker))
            .is_pending()
    );
    drop(sender.clone());
    assert_eq!(counter.wakes(), 0);
    drop(sender);
    assert_eq!(counter.wakes(), 1);
    assert_eq!(now(receiver.recv()), None);
}

#[test]
fn sending_after_close_returns_the_message() {
    let (sender, mut receiver) = channel(1);
    now(sender.send(1)).unwrap();
    let (counter, waker) = Counter::new();
    let mut waiting = sender.send(2);
    assert!(poll(&mut waiting, &waker).is_pending());
    assert!(!sender.is_closed());
    receiver.close();
    assert!(sender.is_closed());
    assert_eq!(counter.wakes(), 1);
    assert_eq!(poll(&mut waiting, &waker), Poll::Ready(Err(SendError(2))));
    assert_eq!(now(sender.send(3)), Err(SendError(3)));
    assert_eq!(sender.try_send(4), Err(TrySendError::Closed(4)));
    assert_eq!(now(receiver.recv()), Some(1));
    assert_eq!(now(receiver.recv()), None);

    let (sender, receiver) = unbounded();
    drop(receiver);
    assert_eq!(sender.send(5), Err(SendError(5)));
}

#[test]
fn a_place_granted_before_the_close_is_of_no_use_after_it() {
    let (sender, mut receiver) = channel(1);
    now(sender.send(1)).unwrap();
    let mut waiting = sender.send(2);
    assert!(poll_once(&mut waiting).is_pending());
    assert_eq!(receiver.try_recv(), Ok(1));
    receiver.close();
    assert_eq!(
        receiver.try_recv(),
        Err(TryRecvError::Closed),
        "and is not waited for"
    );
    assert_eq!(poll_once(&mut waiting), Poll::Ready(Err(SendError(2))));
}

#[test]
fn senders_hear_that_the_channel_closed() {
    let (sender, receiver) = channel::<i32>(1);
    let (unbounded_sender, mut unbounded_receiver) = unbounded::<i32>();
    let (counter, waker) = Counter::new();
    let other = sender.clone();
    let mut waiting = [Box::pin(sender.closed()), Box::pin(other.closed())];
    let mut unbounded_waiting = pin!(unbounded_sender.closed());
    for closed in &mut waiting {
        assert!(poll(closed, &waker).is_pending());
    }
    assert!(poll(&mut unbounded_waiting, &waker).is_pending());
    drop(receiver);
    unbounded_receiver.close();
    assert_eq!(counter.wakes(), 3);
    for closed in &mut waiting {
        assert!(poll(closed, &waker).is_ready());
    }
    assert!(poll(&mut unbounded_waiting, &waker).is_ready());
}

#[test]
fn waiting_for_the_close_can_be_given_up() {
    let (sender, receiver) = channel::<i32>(1);
    let (counter, waker) = Counter::new();
    {
        let mut closed = pin!(sender.closed());
        assert!(poll(&mut closed, &waker).is_pending());
    }
    drop(receiver);
    assert_eq!(counter.wakes(), 0);
}

#[test]
fn a_permit_keeps_a_place_and_gives_it_back() {
    let (sender, mut receiver) = channel(1);
    let permit = now(sender.reserve()).unwrap();
    assert_eq!(sender.try_reserve().unwrap_err(), ReserveError::Full);
    let (counter, waker) = Counter::new();
    let mut reserve = sender.reserve();
    assert!(poll(&mut reserve, &waker).is_pending());
    drop(permit);
    assert_eq!(counter.wakes(), 1);
    let Poll::Ready(Ok(permit)) = poll(&mut reserve, &waker) else {
        panic!("the place was free");
    };
    permit.send(7);
    assert_eq!(now(receiver.recv()), Some(7));
    assert_eq!(sender.capacity(), 1);
}

#[test]
fn a_closed_channel_waits_for_the_permits_that_are_held() {
    let (sender, mut receiver) = channel(2);
    let (counter, waker) = Counter::new();
    let mut cx = Context::from_waker(&waker);
    let used = sender.try_reserve().unwrap();
    let dropped = sender.try_reserve().unwrap();
    receiver.close();
    assert_eq!(sender.try_reserve().unwrap_err(), ReserveError::Closed);
    assert!(receiver.poll_recv(&mut cx).is_pending());
    used.send(1);
    assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(Some(1)));
    assert!(receiver.poll_recv(&mut cx).is_pending());
    let wakes = counter.wakes();
    drop(dropped);
    assert_eq!(counter.wakes(), wakes + 1);
    assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(None));
}

#[test]
fn a_permit_used_after_the_receiver_was_dropped_drops_the_message() {
    let dropped = Cell::new(0);
    let message = || OnDrop(|| dropped.set(dropped.get() + 1));
    let (sender, receiver) = channel(1);
    let permit = sender.try_reserve().unwrap();
    drop(receiver);
    permit.send(message());
    assert_eq!(dropped.get(), 1);
}

#[test]
fn what_is_queued_is_dropped_with_the_receiver() {
    let dropped = Cell::new(0);
    let message = || OnDrop(|| dropped.set(dropped.get() + 1));
    let (sender, receiver) = unbounded();
    for _ in 0..3 {
        let _ = sender.send(message());
    }
    drop(receiver);
    assert_eq!(dropped.get(), 3);
}

#[test]
fn a_message_may_use_its_own_channel_while_it_is_dropped() {
    let (sender, receiver) = unbounded::<OnDrop<Box<dyn FnMut()>>>();
    let seen = Rc::new(Cell::new(0));
    for _ in 0..3 {
        let (again, seen) = (sender.clone(), seen.clone());
        let message = OnDrop(Box::new(move || {
            assert!(again.is_closed());
            let refused = again.send(OnDrop(Box::new(|| ()) as Box<dyn FnMut()>));
            seen.set(seen.get() + usize::from(refused.is_err()));
        }) as Box<dyn FnMut()>);
        let _ = sender.send(message);
    }
    drop(receiver);
    assert_eq!(seen.get(), 3);
}

#[test]
fn a_waker_that_uses_the_channel_finds_nothing_borrowed() {
    let (sender, mut receiver) = channel(1);
    let again = sender.clone();
    let meddler = Meddler::install(move || {
        let _ = again.try_send(5);
        let _ = again.capacity();
    });
    // As the receiver's waker: replaced by another, woken by a message.
    for _ in 0..2 {
        let waker = meddling_waker();
        let mut cx = Context::from_waker(&waker);
        while receiver.poll_recv(&mut cx).is_ready() {}
    }
    let _ = sender.try_send(1);
    // As a sender's: replaced, granted, removed.
    let mut send = sender.send(2);
    for _ in 0..2 {
        assert!(poll(&mut send, &meddling_waker()).is_pending());
    }
    drop(send);
    let mut send = sender.send(3);
    assert!(poll(&mut send, &meddling_waker()).is_pending());
    receiver.close();
    assert!(poll(&mut send, &meddling_waker()).is_ready());
    drop(receiver);
    assert!(meddler.runs() >= 5, "{}", meddler.runs());
}

#[test]
fn the_receiver_is_a_stream() {
    let (sender, receiver) = channel(3);
    for i in 0..3 {
        now(sender.send(i)).unwrap();
    }
    drop(sender);
    let mut receiver = pin!(receiver);
    let mut cx = Context::from_waker(Waker::noop());
    for i in 0..3 {
        assert_eq!(receiver.as_mut().poll_next(&mut cx), Poll::Ready(Some(i)));
    }
    assert_eq!(receiver.as_mut().poll_next(&mut cx), Poll::Ready(None));
}

#[test]
fn it_works_under_a_poller_with_wakers_of_its_own() {
    let (sender, mut receiver) = channel(2);
    let received = RefCell::new(Vec::new());
    let list = &received;
    let mut children: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    children.push(Box::pin(async move {
        while let Some(message) = receiver.recv().await {
            list.borrow_mut().push(message);
        }
    }));
    for i in 0..20 {
        let sender = sender.clone();
        children.push(Box::pin(async move {
            for j in 0..20 {
                if j % 2 == 0 {
                    sender.send((i, j)).await.unwrap();
                } else {
                    sender.reserve().await.unwrap().send((i, j));
                }
            }
        }));
    }
    drop(sender);
    run_all(children);
    let received = received.into_inner();
    assert_eq!(received.len(), 400);
    for i in 0..20 {
        let of_one: Vec<_> = received.iter().filter(|(from, _)| *from == i).collect();
        assert!(of_one.is_sorted(), "each sender's messages stay in order");
    }
}

#[test]
#[should_panic(expected = "room for at least one message")]
fn a_channel_without_room_is_refused() {
    let _ = channel::<i32>(0);
}

#[test]
fn a_task_that_always_has_messages_lets_the_others_run() {
    let runtime = crate::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let others_turns = Rc::new(Cell::new(0));
        let turns = others_turns.clone();
        let other = crate::task::spawn(async move {
            loop {
                turns.set(turns.get() + 1);
                crate::task::yield_now().await;
            }
        });
        let busy = crate::task::spawn(async move {
            let (sender, mut receiver) = channel(1);
            for i in 0..10_000 {
                sender.send(i).await.expect("open");
                assert_eq!(receiver.recv().await, Some(i));
            }
        });
        busy.await.expect("it ended");
        other.abort();
        // 20 000 units, 128 for each poll.
        assert!(others_turns.get() > 100, "{} turns", others_turns.get());
    });
}

#[test]
fn tasks_of_a_runtime_pass_messages_around() {
    let runtime = crate::runtime::Runtime::new().expect("a runtime");
    let sum = runtime.block_on(async {
        let (first, mut input) = channel(3);
        for _ in 0..20 {
            let (sender, receiver) = channel(3);
            let mut source = std::mem::replace(&mut input, receiver);
            drop(crate::task::spawn(async move {
                while let Some(n) = source.recv().await {
                    sender.send(n + 1_u64).await.expect("open");
                }
            }));
        }
        drop(crate::task::spawn(async move {
            for _ in 0..100 {
                first.send(0).await.expect("open");
            }
        }));
        let mut sum = 0;
        while let Some(n) = input.recv().await {
            sum += n;
        }
        sum
    });
    assert_eq!(sum, 100 * 20);
}
