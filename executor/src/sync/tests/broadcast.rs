use super::*;
use crate::sync::broadcast::{RecvError, SendError, Sender, TryRecvError, channel};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn every_receiver_gets_every_message_in_order() {
    let (sender, mut one) = channel(4);
    let mut other = sender.subscribe();
    for i in 0..4 {
        assert_eq!(sender.send(i), Ok(2));
    }
    let mut late = sender.subscribe();
    for i in 0..4 {
        assert_eq!(now(one.recv()), Ok(i));
    }
    assert_eq!(
        (sender.len(), one.len(), other.len(), late.len()),
        (4, 0, 4, 0)
    );
    for i in 0..4 {
        assert_eq!(other.try_recv(), Ok(i));
        assert_eq!(sender.len(), 3 - i);
    }
    assert_eq!(late.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_receiver_that_is_too_slow_learns_how_many_it_missed() {
    let (sender, mut slow) = channel(3);
    let mut quick = sender.subscribe();
    for i in 0..8 {
        sender.send(i).unwrap();
        assert_eq!(quick.try_recv(), Ok(i));
    }
    assert_eq!((slow.len(), sender.len()), (8, 3));
    assert_eq!(slow.try_recv(), Err(TryRecvError::Lagged(5)));
    assert_eq!(now(slow.recv()), Ok(5));
    for i in 8..11 {
        sender.send(i).unwrap();
    }
    assert_eq!(now(slow.recv()), Err(RecvError::Lagged(2)));
    for i in 8..11 {
        assert_eq!(now(slow.recv()), Ok(i));
    }
    assert!(slow.is_empty());
}

#[test]
fn bug_063_all_receivers_that_wait_are_woken() {
    let (sender, receiver) = channel(1);
    let mut receivers: Vec<_> = (0..10).map(|_| receiver.resubscribe()).collect();
    let (counter, waker) = Counter::new();
    let mut waiting: Vec<_> = receivers
        .iter_mut()
        .map(|receiver| Box::pin(receiver.recv()))
        .collect();
    for recv in &mut waiting {
        assert!(poll(recv, &waker).is_pending());
    }
    sender.send(1).unwrap();
    assert_eq!(counter.wakes(), 10);
    for recv in &mut waiting {
        assert_eq!(poll(recv, &waker), Poll::Ready(Ok(1)));
    }
}

#[test]
fn a_receive_dropped_after_it_was_woken_loses_no_message() {
    let (sender, mut receiver) = channel(1);
    let mut recv = Box::pin(receiver.recv());
    assert!(poll_once(&mut recv).is_pending());
    sender.send(1).unwrap();
    drop(recv);
    assert_eq!(now(receiver.recv()), Ok(1));
}

#[test]
fn bug_049_the_end_of_the_senders_is_told_after_the_last_message() {
    let (sender, mut receiver) = channel(2);
    let second = sender.clone();
    second.send(1).unwrap();
    drop(sender);
    assert!(!receiver.is_closed());
    assert_eq!(now(receiver.recv()), Ok(1));
    let (counter, waker) = Counter::new();
    let mut recv = Box::pin(receiver.recv());
    assert!(poll(&mut recv, &waker).is_pending());
    second.send(2).unwrap();
    drop(second);
    assert!(counter.wakes() >= 1);
    assert_eq!(poll(&mut recv, &waker), Poll::Ready(Ok(2)));
    drop(recv);
    assert_eq!(now(receiver.recv()), Err(RecvError::Closed));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert!(receiver.is_closed());
}

#[test]
fn a_receiver_that_waits_hears_that_the_last_sender_left() {
    let (sender, mut receiver) = channel::<u8>(2);
    let (counter, waker) = Counter::new();
    let mut recv = Box::pin(receiver.recv());
    assert!(poll(&mut recv, &waker).is_pending());
    drop(sender.clone());
    assert_eq!(counter.wakes(), 0);
    drop(sender);
    assert_eq!(counter.wakes(), 1);
    assert_eq!(poll(&mut recv, &waker), Poll::Ready(Err(RecvError::Closed)));
}

#[test]
fn without_receivers_the_message_comes_back_until_somebody_subscribes() {
    let (sender, receiver) = channel(2);
    sender.send(1).unwrap();
    let (counter, waker) = Counter::new();
    let mut closed = Box::pin(sender.closed());
    assert!(poll(&mut closed, &waker).is_pending());
    drop(receiver);
    assert_eq!((counter.wakes(), sender.len()), (1, 0));
    assert!(poll(&mut closed, &waker).is_ready());
    assert_eq!(sender.send(2), Err(SendError(2)));
    let mut receiver = sender.subscribe();
    assert_eq!(sender.send(3), Ok(1));
    assert_eq!((receiver.try_recv(), sender.receiver_count()), (Ok(3), 1));
}

struct Counted<'a>(&'a Cell<usize>, &'a Cell<usize>);

impl Clone for Counted<'_> {
    fn clone(&self) -> Self {
        self.0.set(self.0.get() + 1);
        Counted(self.0, self.1)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.1.set(self.1.get() + 1);
    }
}

#[test]
fn the_last_receiver_takes_the_message_without_a_clone() {
    let (clones, drops) = (Cell::new(0), Cell::new(0));
    let (sender, mut one) = channel(2);
    let mut other = sender.subscribe();
    assert!(sender.send(Counted(&clones, &drops)).is_ok());
    drop(one.try_recv());
    assert_eq!((clones.get(), drops.get()), (1, 1));
    drop(other.try_recv());
    assert_eq!((clones.get(), drops.get()), (1, 2));
    // What is overwritten, and what nobody will receive, is dropped at once.
    for _ in 0..3 {
        assert!(sender.send(Counted(&clones, &drops)).is_ok());
    }
    assert_eq!(drops.get(), 3);
    drop((one, other));
    assert_eq!((clones.get(), drops.get()), (1, 5));
}

thread_local! {
    static IN_CLONE: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
}

/// Calls a function while it is cloned.
struct Meddling(u32);

impl Clone for Meddling {
    fn clone(&self) -> Meddling {
        let action = IN_CLONE.with(|action| action.borrow_mut().take());
        if let Some(mut action) = action {
            action();
        }
        Meddling(self.0)
    }
}

fn in_clone(action: impl FnMut() + 'static) {
    IN_CLONE.with(|current| *current.borrow_mut() = Some(Box::new(action)));
}

#[test]
fn a_clone_may_use_the_channel() {
    let (sender, mut one) = channel(2);
    let mut other = sender.subscribe();
    let again = sender.clone();
    for i in 0..2 {
        assert!(sender.send(Meddling(i)).is_ok());
    }
    // The message that is being cloned is received by the other, and overwritten.
    in_clone(move || {
        assert!(other.try_recv().is_ok_and(|message| message.0 == 0));
        for i in 2..5 {
            assert!(again.send(Meddling(i)).is_ok());
        }
    });
    assert!(one.try_recv().is_ok_and(|message| message.0 == 0));
    assert_eq!(one.try_recv().err(), Some(TryRecvError::Lagged(2)));
    assert!(one.try_recv().is_ok_and(|message| message.0 == 3));
}

#[test]
fn a_clone_that_panics_costs_one_receiver_one_message() {
    let (sender, mut one) = channel(2);
    let mut other = sender.subscribe();
    for i in 0..2 {
        assert!(sender.send(Meddling(i)).is_ok());
    }
    in_clone(|| panic!("a clone"));
    assert!(catch_unwind(AssertUnwindSafe(|| one.try_recv().is_ok())).is_err());
    assert!(one.try_recv().is_ok_and(|message| message.0 == 1));
    for i in 0..2 {
        assert!(other.try_recv().is_ok_and(|message| message.0 == i));
    }
    assert!(sender.is_empty());
}

#[test]
fn a_message_may_use_the_channel_or_panic_while_it_is_dropped() {
    type Message = Rc<OnDrop<Box<dyn FnMut()>>>;
    let (sender, receiver) = channel::<Message>(2);
    let (runs, latest) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(None)));
    for i in 0..3 {
        let (again, runs, latest) = (sender.clone(), runs.clone(), latest.clone());
        let message = OnDrop(Box::new(move || {
            runs.set(runs.get() + 1);
            if i == 1 {
                panic!("a destructor");
            }
            *latest.borrow_mut() = Some(again.subscribe());
        }) as Box<dyn FnMut()>);
        assert!(sender.send(Rc::new(message)).is_ok());
    }
    assert_eq!(runs.get(), 1, "the first was overwritten");
    assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver))).is_err());
    assert_eq!(runs.get(), 3);
    let mut receiver = latest.take().unwrap();
    let message = OnDrop(Box::new(|| ()) as Box<dyn FnMut()>);
    assert_eq!(sender.send(Rc::new(message)).ok(), Some(1));
    assert!(receiver.try_recv().is_ok());
    assert!(sender.is_empty());
}

#[test]
fn a_waker_that_uses_the_channel_finds_nothing_borrowed() {
    let (sender, mut receiver) = channel(2);
    let again = sender.clone();
    let others = Rc::new(RefCell::new(vec![receiver.resubscribe()]));
    let meddler = Meddler::install(move || {
        drop(others.take());
        if again.len() < 2 {
            again.send(9).ok();
        }
    });
    let mut recv = Box::pin(receiver.recv());
    assert!(poll(&mut recv, &meddling_waker()).is_pending());
    sender.send(1).unwrap();
    assert!(meddler.runs() > 0);
    assert_eq!(poll(&mut recv, &meddling_waker()), Poll::Ready(Ok(1)));
    drop(recv);
    assert_eq!(receiver.try_recv(), Ok(9));
}

/// 20 000 random steps, each receiver with a queue of its own as the model.
#[test]
fn random_programs_deliver_what_separate_queues_would() {
    const BOUND: usize = 5;
    let random = Random::new();
    let sender = Sender::new(BOUND);
    let mut receivers: Vec<(crate::sync::broadcast::Receiver<u64>, VecDeque<u64>, u64)> = vec![];
    let mut next = 0;
    for _ in 0..20_000 {
        match random.below(8) {
            0 if receivers.len() < 6 => {
                receivers.push((sender.subscribe(), VecDeque::new(), 0));
            }
            1 if !receivers.is_empty() && random.below(3) == 0 => {
                drop(receivers.swap_remove(random.below(receivers.len())));
            }
            2..=4 => {
                let sent = sender.send(next);
                assert_eq!(sent.is_ok(), !receivers.is_empty());
                next += 1;
                for (_, queue, missed) in &mut receivers {
                    queue.push_back(next - 1);
                    if queue.len() > BOUND {
                        queue.pop_front();
                        *missed += 1;
                    }
                }
            }
            _ if !receivers.is_empty() => {
                let chosen = random.below(receivers.len());
                let (receiver, queue, missed) = &mut receivers[chosen];
                let mut recv = Box::pin(receiver.recv());
                if random.below(3) == 0 && queue.is_empty() {
                    assert!(poll_once(&mut recv).is_pending());
                    continue;
                }
                let expected = match (std::mem::take(missed), queue.front()) {
                    (0, None) => Poll::Pending,
                    (0, Some(_)) => Poll::Ready(Ok(queue.pop_front().unwrap())),
                    (count, _) => Poll::Ready(Err(RecvError::Lagged(count))),
                };
                assert_eq!(poll_once(&mut recv), expected);
            }
            _ => {}
        }
        for (receiver, queue, missed) in &receivers {
            assert_eq!(receiver.len() as u64, queue.len() as u64 + missed);
        }
        let longest = receivers.iter().map(|(_, queue, _)| queue.len()).max();
        assert_eq!(sender.len(), longest.unwrap_or(0));
    }
}

#[test]
fn bug_044_it_works_under_a_poller_with_wakers_of_its_own() {
    let (sender, receiver) = channel(4);
    let mut children: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for _ in 0..10 {
        let mut receiver = receiver.resubscribe();
        children.push(Box::pin(async move {
            let mut received = Vec::new();
            while let Ok(message) = receiver.recv().await {
                received.push(message);
            }
            assert_eq!(received, (0..50).collect::<Vec<_>>());
        }));
    }
    drop(receiver);
    children.push(Box::pin(async move {
        for i in 0..50 {
            sender.send(i).unwrap();
            yield_once().await;
        }
        drop(sender);
    }));
    run_all(children);
}

#[test]
fn a_task_that_always_has_messages_lets_the_others_run() {
    gives_way(|| {
        let (sender, mut receiver) = channel(1);
        async move {
            for i in 0..10_000 {
                sender.send(i).unwrap();
                assert_eq!(receiver.recv().await, Ok(i));
            }
        }
    });
}

#[test]
#[should_panic(expected = "room for at least one message")]
fn a_channel_without_room_is_refused() {
    let _ = channel::<i32>(0);
}
