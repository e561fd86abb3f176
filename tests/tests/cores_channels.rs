//! Channels between cores, and between any threads: the rules of closing, waiting and dropping, and what a message costs.

#[path = "common_proof/mod.rs"]
mod common_proof;

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use common_proof::{Generator, in_time, is_long, run_outside};
use krug::cores::{ReserveError, SendError, TryRecvError, TrySendError, mesh, mpsc, spsc};
use krug::task::yield_now;
use krug::{Runtime, spawn_on};
use krug_tests::with_settings;

krug_tests::on_every_kernel_driver!();

const DEADLINE: Duration = Duration::from_secs(10);

/// The same with both kinds of channels: `$channel` makes one.
macro_rules! both {
    ($channel:ident, $body:block) => {
        #[allow(unused_mut, reason = "a sender of many is shared, a single one is not")]
        {
            {
                use spsc::channel as $channel;
                $body
            }
            {
                use mpsc::channel as $channel;
                $body
            }
        }
    };
}

/// Counts how often it is woken.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Counter {
    fn new() -> (Arc<Counter>, Waker) {
        let counter = Arc::<Counter>::default();
        (counter.clone(), Waker::from(counter))
    }

    fn wakes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The result of a future that need not wait.
#[track_caller]
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(waker))
}

fn with_cores(count: usize, test: impl Fn(&Runtime)) {
    with_settings(|builder| {
        let runtime = builder.cores(count).build().unwrap();
        test(&runtime);
        assert!(runtime.shutdown(DEADLINE).is_clean());
    });
}

#[test]
fn messages_arrive_in_order_and_one_wake_brings_the_receiver_to_all_of_them() {
    both!(channel, {
        let (mut sender, mut receiver) = channel(8);
        let (counter, waker) = Counter::new();
        let mut cx = Context::from_waker(&waker);
        assert!(receiver.poll_recv(&mut cx).is_pending());
        assert!(receiver.poll_recv(&mut cx).is_pending());
        for number in 0..5 {
            now(sender.send(number)).unwrap();
        }
        assert_eq!(counter.wakes(), 1);
        assert_eq!((receiver.len(), sender.capacity()), (5, 3));
        for number in 0..5 {
            assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(Some(number)));
        }
        assert!(receiver.is_empty());
        // Nobody waits, so nobody is woken.
        now(sender.send(5)).unwrap();
        assert_eq!(counter.wakes(), 1);
        assert_eq!(receiver.try_recv(), Ok(5));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_full_channel_makes_the_sender_wait_for_a_place() {
    both!(channel, {
        let (mut sender, mut receiver) = channel(2);
        now(sender.send(1)).unwrap();
        now(sender.send(2)).unwrap();
        assert_eq!(sender.capacity(), 0);
        assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
        assert!(matches!(sender.try_reserve(), Err(ReserveError::Full)));
        let (counter, waker) = Counter::new();
        let mut third = sender.send(3);
        assert!(poll(&mut third, &waker).is_pending());
        assert_eq!(receiver.try_recv(), Ok(1));
        assert_eq!(counter.wakes(), 1);
        assert_eq!(poll(&mut third, &waker), Poll::Ready(Ok(())));
        drop(third);
        assert_eq!(receiver.try_recv(), Ok(2));
        assert_eq!(receiver.try_recv(), Ok(3));
        assert_eq!((counter.wakes(), sender.capacity()), (1, 2));
    });
}

#[test]
fn any_capacity_is_kept_exactly_while_the_slots_go_round() {
    both!(channel, {
        for capacity in [1, 2, 3, 5, 64] {
            let (mut sender, mut receiver) = channel(capacity);
            for round in 0..20 {
                for number in 0..capacity {
                    sender.try_send((round, number)).unwrap();
                }
                assert!(matches!(
                    sender.try_send((0, 0)),
                    Err(TrySendError::Full(_))
                ));
                for number in 0..capacity {
                    assert_eq!(receiver.try_recv(), Ok((round, number)));
                }
            }
        }
        assert!(catch_unwind(|| channel::<u8>(0)).is_err());
    });
}

#[test]
fn without_its_sender_a_receiver_gets_the_rest_and_then_nothing() {
    both!(channel, {
        let (mut sender, mut receiver) = channel(4);
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        drop(sender);
        assert_eq!(receiver.try_recv(), Ok(1));
        assert_eq!(now(receiver.recv()), Some(2));
        assert_eq!(now(receiver.recv()), None);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
        let (sender, mut receiver) = channel::<u8>(4);
        let (counter, waker) = Counter::new();
        assert!(
            receiver
                .poll_recv(&mut Context::from_waker(&waker))
                .is_pending()
        );
        drop(sender);
        assert_eq!(counter.wakes(), 1);
        assert_eq!(now(receiver.recv()), None);
    });
}

#[test]
fn a_closed_channel_gives_values_back_and_the_queued_ones_out() {
    both!(channel, {
        let (mut sender, mut receiver) = channel(1);
        sender.try_send(1).unwrap();
        let (counter, waker) = Counter::new();
        let mut waiting = sender.send(2);
        assert!(poll(&mut waiting, &waker).is_pending());
        receiver.close();
        assert_eq!(counter.wakes(), 1);
        assert_eq!(poll(&mut waiting, &waker), Poll::Ready(Err(SendError(2))));
        drop(waiting);
        assert!(sender.is_closed());
        assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
        assert_eq!(now(sender.send(4)), Err(SendError(4)));
        assert!(matches!(now(sender.reserve()), Err(ReserveError::Closed)));
        assert_eq!(now(receiver.recv()), Some(1));
        assert_eq!(now(receiver.recv()), None);
    });
}

#[test]
fn a_dropped_receiver_drops_what_is_queued_although_a_destructor_panics() {
    both!(channel, {
        struct Panics(Arc<()>, bool);
        impl Drop for Panics {
            fn drop(&mut self) {
                assert!(!self.1, "one of {} panics", Arc::strong_count(&self.0));
            }
        }
        let count = Arc::new(());
        let (mut sender, receiver) = channel(4);
        for index in 0..3 {
            assert!(sender.try_send(Panics(count.clone(), index == 0)).is_ok());
        }
        drop(receiver);
        assert_eq!(Arc::strong_count(&count), 1, "although a sender is left");
        let refused = sender.try_send(Panics(count.clone(), false));
        assert!(matches!(refused, Err(TrySendError::Closed(_))));
    });
}

#[test]
fn a_dropped_send_sends_nothing_and_a_reserved_place_keeps_the_message() {
    both!(channel, {
        let (mut sender, mut receiver) = channel(1);
        sender.try_send(1).unwrap();
        let (_, waker) = Counter::new();
        {
            let mut reserving = pin!(sender.reserve());
            let mut cx = Context::from_waker(&waker);
            assert!(reserving.as_mut().poll(&mut cx).is_pending());
        }
        let mut unsent = sender.send(2);
        assert!(poll(&mut unsent, &waker).is_pending());
        drop(unsent);
        assert_eq!(receiver.try_recv(), Ok(1));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        let permit = now(sender.reserve()).unwrap();
        permit.send(3).unwrap();
        let given_up = sender.try_reserve();
        assert!(matches!(given_up, Err(ReserveError::Full)));
        assert_eq!(receiver.try_recv(), Ok(3));
        drop(now(sender.reserve()).unwrap());
        assert_eq!(sender.capacity(), 1);
        let permit = now(sender.reserve()).unwrap();
        drop(receiver);
        assert_eq!(permit.send(4), Err(SendError(4)));
    });
}

#[test]
fn bug_043_who_polled_last_is_woken_of_senders_and_receivers() {
    both!(channel, {
        let (mut sender, mut receiver) = channel(1);
        let (first, first_waker) = Counter::new();
        let (second, second_waker) = Counter::new();
        for waker in [&first_waker, &second_waker] {
            assert!(
                receiver
                    .poll_recv(&mut Context::from_waker(waker))
                    .is_pending()
            );
        }
        sender.try_send(1).unwrap();
        assert_eq!((first.wakes(), second.wakes()), (0, 1));
        let mut waiting = sender.send(2);
        for waker in [&second_waker, &first_waker] {
            assert!(poll(&mut waiting, waker).is_pending());
        }
        assert_eq!(receiver.try_recv(), Ok(1));
        assert_eq!((first.wakes(), second.wakes()), (1, 1));
    });
}

#[test]
fn many_are_received_at_once_up_to_the_limit() {
    both!(channel, {
        let (mut sender, mut receiver) = channel(8);
        let mut numbers = vec![100];
        assert_eq!(now(receiver.recv_many(&mut numbers, 0)), 0);
        for number in 0..8 {
            sender.try_send(number).unwrap();
        }
        assert_eq!(now(receiver.recv_many(&mut numbers, 3)), 3);
        assert_eq!(sender.capacity(), 3);
        assert_eq!(now(receiver.recv_many(&mut numbers, 100)), 5);
        assert_eq!(numbers, [100, 0, 1, 2, 3, 4, 5, 6, 7]);
        drop(sender);
        assert_eq!(now(receiver.recv_many(&mut numbers, 100)), 0);
    });
}

#[test]
fn a_sender_that_waits_for_the_end_is_told_of_it() {
    both!(channel, {
        let (mut sender, mut receiver) = channel(1);
        let (counter, waker) = Counter::new();
        sender.try_send(1).unwrap();
        {
            let mut closed = pin!(sender.closed());
            let mut cx = Context::from_waker(&waker);
            assert!(closed.as_mut().poll(&mut cx).is_pending());
            assert_eq!(receiver.try_recv(), Ok(1));
            assert_eq!(counter.wakes(), 0, "not of a place that is free");
            receiver.close();
            assert_eq!(counter.wakes(), 1);
            assert!(closed.as_mut().poll(&mut cx).is_ready());
        }
        now(sender.closed());
    });
}

#[test]
fn a_channel_that_is_always_ready_lets_others_run() {
    both!(channel, {
        with_settings(|builder| {
            let runtime = builder.build().unwrap();
            let rounds = runtime.block_on(async {
                let other = Rc::new(Cell::new(false));
                let sets = other.clone();
                let setting = krug::spawn(async move { sets.set(true) });
                let busy = krug::spawn(async move {
                    let (mut sender, mut receiver) = channel(1);
                    let mut rounds = 0;
                    while !other.get() && rounds < 100_000 {
                        sender.send(rounds).await.unwrap();
                        assert_eq!(receiver.recv().await, Some(rounds));
                        rounds += 1;
                    }
                    rounds
                });
                setting.await.unwrap();
                busy.await.unwrap()
            });
            assert!(rounds <= 128, "{rounds}");
        });
    });
}

#[test]
fn a_waker_that_panics_harms_only_itself() {
    both!(channel, {
        struct Panics;
        impl Wake for Panics {
            fn wake(self: Arc<Self>) {
                panic!("a waker that panics");
            }
        }
        let waker = Waker::from(Arc::new(Panics));
        let (mut sender, mut receiver) = channel(1);
        assert!(
            receiver
                .poll_recv(&mut Context::from_waker(&waker))
                .is_pending()
        );
        sender.try_send(1).unwrap();
        let mut waiting = sender.send(2);
        assert!(poll(&mut waiting, &waker).is_pending());
        assert_eq!(receiver.try_recv(), Ok(1));
        assert_eq!(poll(&mut waiting, &waker), Poll::Ready(Ok(())));
        drop(waiting);
        assert_eq!(receiver.try_recv(), Ok(2));
    });
}

#[test]
fn places_go_to_senders_in_the_order_of_their_arrival() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(0).unwrap();
    let mut waiting: Vec<_> = (1..=10).map(|number| Some(sender.send(number))).collect();
    let wakers: Vec<_> = (1..=10).map(|_| Counter::new()).collect();
    for (send, (_, waker)) in waiting.iter_mut().zip(&wakers) {
        assert!(poll(send.as_mut().unwrap(), waker).is_pending());
    }
    // The third leaves the line, and the fifth when it has been granted the place.
    waiting[2] = None;
    let mut received = vec![receiver.try_recv().unwrap()];
    for index in [0, 1, 3, 4, 5, 6, 7, 8, 9] {
        let (counter, waker) = &wakers[index];
        assert_eq!(counter.wakes(), 1, "{index}");
        assert_eq!(sender.try_send(99), Err(TrySendError::Full(99)));
        if index == 4 {
            waiting[4] = None;
            continue;
        }
        let send = waiting[index].as_mut().unwrap();
        assert_eq!(poll(send, waker), Poll::Ready(Ok(())));
        received.push(receiver.try_recv().unwrap());
    }
    assert_eq!(received, [0, 1, 2, 4, 6, 7, 8, 9, 10]);
    assert_eq!(sender.capacity(), 1);
}

#[test]
fn a_permit_is_honoured_after_the_end_and_waited_for() {
    let (sender, mut receiver) = mpsc::channel(4);
    let used = sender.try_reserve().unwrap();
    let given_up = sender.try_reserve().unwrap();
    receiver.close();
    let (counter, waker) = Counter::new();
    let mut cx = Context::from_waker(&waker);
    assert!(receiver.poll_recv(&mut cx).is_pending());
    used.send(1).unwrap();
    assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(Some(1)));
    assert!(receiver.poll_recv(&mut cx).is_pending());
    drop(given_up);
    assert_eq!(counter.wakes(), 2);
    assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(None));
}

#[test]
fn a_waker_may_use_the_channel_that_wakes_it() {
    struct Sends(Mutex<Option<mpsc::Sender<u8>>>);
    impl Wake for Sends {
        fn wake(self: Arc<Self>) {
            let sender = self.0.lock().unwrap().take();
            if let Some(sender) = sender {
                sender.try_send(7).unwrap();
            }
        }
    }
    let (sender, mut receiver) = mpsc::channel(2);
    let waker = Waker::from(Arc::new(Sends(Mutex::new(Some(sender.clone())))));
    assert!(
        receiver
            .poll_recv(&mut Context::from_waker(&waker))
            .is_pending()
    );
    sender.try_send(1).unwrap();
    drop(sender);
    assert_eq!(now(receiver.recv()), Some(1));
    assert_eq!(now(receiver.recv()), Some(7));
    // In line for a place: the lock is free when the first is woken.
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(1).unwrap();
    let mut waiting = sender.send(2);
    let waker = Waker::from(Arc::new(Sends(Mutex::new(None))));
    assert!(poll(&mut waiting, &waker).is_pending());
    receiver.close();
    assert!(poll(&mut waiting, &waker).is_ready());
}

#[test]
fn a_queue_between_two_cores_keeps_the_order_and_makes_the_sender_wait() {
    for capacity in [1, 2, 100] {
        with_cores(2, |runtime| {
            let (mut sender, mut receiver) = spsc::channel(capacity);
            let other = runtime.core(1).unwrap();
            let sending = spawn_on(other, move || async move {
                for number in 0..2000 {
                    sender.send(number).await.unwrap();
                }
            });
            runtime.block_on(in_time(async move {
                for number in 0..2000 {
                    assert_eq!(receiver.recv().await, Some(number));
                }
                assert_eq!(receiver.recv().await, None);
                sending.unwrap().await.unwrap();
            }));
        });
    }
}

#[test]
fn cores_that_sleep_are_woken_for_each_message() {
    with_cores(2, |runtime| {
        let (asking, mut asked) = mpsc::channel(1);
        let (mut answering, mut answered) = spsc::channel(1);
        let other = runtime.core(1).unwrap();
        let answers = spawn_on(other, move || async move {
            while let Some(number) = asked.recv().await {
                answering.send(number + 1).await.unwrap();
            }
        });
        runtime.block_on(in_time(async move {
            for number in 0..1000 {
                asking.send(number).await.unwrap();
                assert_eq!(answered.recv().await, Some(number + 1));
            }
            drop(asking);
            answers.unwrap().await.unwrap();
        }));
    });
}

#[test]
fn bug_046_an_awake_core_costs_its_sender_no_system_call() {
    const MESSAGES: u64 = 5000;
    with_cores(2, |runtime| {
        let (mut sender, mut receiver) = spsc::channel(16);
        let other = runtime.core(1).unwrap();
        let receiving = spawn_on(other, move || async move {
            let is_over = Rc::new(Cell::new(false));
            let ends = is_over.clone();
            // Keeps the core awake while the receiver waits.
            let awake = krug::spawn(async move {
                while !is_over.get() {
                    yield_now().await;
                }
            });
            let mut sum = 0;
            while let Some(number) = receiver.recv().await {
                sum += number;
            }
            ends.set(true);
            awake.await.unwrap();
            sum
        });
        let sum = runtime.block_on(in_time(async move {
            // The other core has begun when it takes this.
            sender.send(0).await.unwrap();
            while sender.capacity() < 16 {
                yield_now().await;
            }
            let here = krug::CoreHandle::current();
            let before = here.metrics().await.unwrap();
            for number in 1..=MESSAGES {
                while let Err(TrySendError::Full(_)) = sender.try_send(number) {
                    yield_now().await;
                }
            }
            let after = here.metrics().await.unwrap();
            let calls = (
                after.enters - before.enters,
                after.submitted - before.submitted,
            );
            assert_eq!(calls, (0, 0));
            drop(sender);
            receiving.unwrap().await.unwrap()
        }));
        assert_eq!(sum, MESSAGES * (MESSAGES + 1) / 2);
    });
}

#[test]
fn everybody_hears_everybody_in_a_mesh() {
    const CORES: usize = 4;
    const MESSAGES: usize = 500;
    with_cores(CORES, |runtime| {
        let mut tasks = Vec::new();
        for (core, (senders, receiver)) in runtime.handles().into_iter().zip(mesh(CORES, 4)) {
            let task = spawn_on(core, move || talk_and_listen(senders, receiver, MESSAGES));
            tasks.push(task.unwrap());
        }
        runtime.block_on(in_time(async move {
            for (me, task) in tasks.into_iter().enumerate() {
                let mut expected = [MESSAGES; CORES];
                expected[me] = 0;
                assert_eq!(task.await.unwrap(), expected);
            }
        }));
    });
}

/// Sends to all others, and returns how many messages came from each.
async fn talk_and_listen(
    mut senders: krug::cores::MeshSenders<usize>,
    mut receiver: krug::cores::MeshReceiver<usize>,
    messages: usize,
) -> Vec<usize> {
    let mut counts = vec![0; senders.count()];
    let sending = krug::spawn(async move {
        for number in 0..messages {
            for (_, sender) in senders.iter_mut() {
                sender.send(number).await.unwrap();
            }
        }
    });
    while let Some((from, number)) = receiver.recv().await {
        assert_eq!(number, counts[from], "in the order of that core");
        counts[from] += 1;
    }
    sending.await.unwrap();
    counts
}

#[test]
fn a_mesh_takes_from_each_in_turn_and_has_no_way_to_oneself() {
    let mut all = mesh(3, 4);
    for core in [1, 2] {
        for number in 0..2 {
            now(all[core].0.send(0, number)).unwrap();
        }
    }
    assert_eq!(all[0].1.len(), 4);
    let taken: Vec<_> = (0..4).map(|_| all[0].1.try_recv().unwrap()).collect();
    assert_eq!(taken, [(1, 0), (2, 0), (1, 1), (2, 1)]);
    assert_eq!(all[0].1.try_recv(), Err(TryRecvError::Empty));
    let (counter, waker) = Counter::new();
    let mut cx = Context::from_waker(&waker);
    assert!(all[0].1.poll_recv(&mut cx).is_pending());
    all[2].0.to(0).try_send(5).unwrap();
    assert_eq!(counter.wakes(), 1);
    let (mut own, mut receiver) = all.remove(0);
    drop(all);
    assert_eq!(now(receiver.recv()), Some((2, 5)));
    assert_eq!(now(receiver.recv()), None);
    assert!(own.to(1).is_closed());
    assert!(catch_unwind(AssertUnwindSafe(|| own.to(0).capacity())).is_err());
    assert_eq!(mesh::<u8>(1, 1)[0].1.try_recv(), Err(TryRecvError::Closed));
}

/// What is sent in the storms: who sends it, its number, and something to count it by.
type Message = (usize, usize, Arc<()>);

/// Polls a future once, and drops it if it is not ready.
async fn tried<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

fn rounds() -> usize {
    if is_long() { 200_000 } else { 2000 }
}

/// Sends as many messages as `rounds`, in one of several ways each, and drops what waits at random.
macro_rules! send_at_random {
    ($sender:ident, $who:expr, $token:expr, $random:expr) => {
        async move {
            let mut number = 0;
            while number < rounds() {
                let message = ($who, number, $token.clone());
                let is_sent = match $random.below(5) {
                    0 => $sender.send(message).await.is_ok(),
                    1 => matches!(tried($sender.send(message)).await, Some(Ok(()))),
                    2 => $sender.try_send(message).is_ok(),
                    3 => match tried($sender.reserve()).await {
                        Some(permit) => permit.unwrap().send(message).is_ok(),
                        None => false,
                    },
                    _ => {
                        let given_up = tried($sender.reserve()).await;
                        assert!(given_up.is_none_or(|permit| permit.is_ok()));
                        false
                    }
                };
                number += usize::from(is_sent);
            }
        }
    };
}

/// Receives until the end, in one of several ways each time, and returns how many came from each sender.
macro_rules! receive_at_random {
    ($receiver:ident, $senders:expr, $random:expr) => {
        async move {
            let mut counts = vec![0; $senders];
            let mut messages: Vec<Message> = Vec::new();
            loop {
                match $random.below(4) {
                    0 => match $receiver.recv().await {
                        Some(message) => messages.push(message),
                        None => break,
                    },
                    1 => messages.extend(tried($receiver.recv()).await.flatten()),
                    2 => messages.extend($receiver.try_recv().ok()),
                    _ => {
                        let limit = 1 + $random.below(4) as usize;
                        tried($receiver.recv_many(&mut messages, limit)).await;
                    }
                }
                for (who, number, _) in messages.drain(..) {
                    assert_eq!(number, counts[who], "of {who}: lost, doubled or overtaken");
                    counts[who] += 1;
                }
            }
            counts
        }
    };
}

#[test]
fn eight_threads_send_and_receive_in_pairs_and_nothing_is_lost_or_doubled() {
    let token = Arc::new(());
    std::thread::scope(|scope| {
        for pair in 0..4 {
            let capacity = [1, 2, 3, 64][pair];
            let (mut sender, mut receiver) = spsc::channel::<Message>(capacity);
            let mine = token.clone();
            let mut random = Generator::new(8000 + pair as u64);
            scope.spawn(move || run_outside(send_at_random!(sender, 0, mine, random)));
            let mut random = Generator::new(8100 + pair as u64);
            scope.spawn(move || {
                let counts = run_outside(receive_at_random!(receiver, 1, random));
                assert_eq!(counts, [rounds()]);
            });
        }
    });
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn seven_threads_send_to_an_eighth_and_nothing_is_lost_or_doubled() {
    let token = Arc::new(());
    for capacity in [1, 3, 64] {
        std::thread::scope(|scope| {
            let (sender, mut receiver) = mpsc::channel::<Message>(capacity);
            for who in 0..7 {
                let (sender, mine) = (sender.clone(), token.clone());
                let mut random = Generator::new(9000 + who as u64);
                scope.spawn(move || run_outside(send_at_random!(sender, who, mine, random)));
            }
            drop(sender);
            let mut random = Generator::new(9100);
            let counts = run_outside(receive_at_random!(receiver, 7, random));
            assert_eq!(counts, [rounds(); 7]);
        });
    }
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn receivers_that_go_in_the_middle_leave_no_message_behind() {
    let mut random = Generator::new(4711);
    let token = Arc::new(());
    for _ in 0..200 {
        let (sender, mut receiver) = mpsc::channel(1 + random.below(3) as usize);
        let (mut single, mut alone) = spsc::channel(1 + random.below(3) as usize);
        let received = random.below(20);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let (sender, mine) = (sender.clone(), token.clone());
                scope.spawn(move || {
                    run_outside(async { while sender.send(mine.clone()).await.is_ok() {} })
                });
            }
            let mine = token.clone();
            scope.spawn(move || {
                run_outside(async { while single.send(mine.clone()).await.is_ok() {} })
            });
            run_outside(async {
                for _ in 0..received {
                    assert!(receiver.recv().await.is_some() && alone.recv().await.is_some());
                }
            });
            drop((receiver, alone));
        });
        // A sender is left, and holds nothing.
        assert_eq!(Arc::strong_count(&token), 1);
        drop(sender);
    }
}
