//! What cores do with each other: sent work and its bound, calls, channels between cores, shared values, actors.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use krug::cores::SendError;
use krug::cores::actor::{Actor, AskError, Reply, spawn_actor};
use krug::cores::{Shared, SharedError, SpawnError, broadcast, oneshot, watch};
use krug::runtime::Driver;
use krug::sim::Sim;
use krug::task::yield_now;
use krug::{CoreHandle, spawn, spawn_on};
use krug_tests::{Random, driver, iterations, poll_once, until, with_settings};

krug::interpose!();
krug_tests::on_every_driver!();

/// How many tasks may be on their way to a core: few, but where the settings are those of a simulation.
fn backlog() -> usize {
    match driver() {
        Driver::Sim => 4096,
        _ => 4,
    }
}

/// Where a test runs: on the first of three cores, beside one that can be ended.
struct World {
    cores: Vec<CoreHandle>,
    mortal: CoreHandle,
    end_mortal: Option<oneshot::Sender<()>>,
    random: Random,
}

impl World {
    fn other(&self) -> CoreHandle {
        self.cores[1]
    }

    /// Ends the mortal core, and waits until it has ended.
    async fn end_mortal(&mut self) {
        drop(self.end_mortal.take());
        until("the core has ended", || !self.mortal.is_alive()).await;
    }
}

/// Runs `test` on a kernel's driver once, in a simulation with some seeds.
fn across<F: Future<Output = ()> + 'static>(test: impl Fn(World) -> F + Clone + 'static) {
    let random = Random::new();
    if driver() != Driver::Sim {
        return on_threads(&random, test);
    }
    for _ in 0..iterations(4) {
        let seed = random.number();
        println!("seed of the simulation: {seed}");
        let mut sim = Sim::new(seed);
        fill(&mut sim, seed, test.clone());
        sim.run().unwrap();
    }
}

fn on_threads<F: Future<Output = ()>>(random: &Random, test: impl Fn(World) -> F) {
    with_settings(|builder| {
        let builder = builder.spawn_backlog(backlog());
        let runtime = builder.clone().cores(3).build().unwrap();
        let (end_mortal, end) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let mortal = thread::spawn(move || {
            let runtime = builder.build().unwrap();
            tell.send(runtime.handle()).unwrap();
            runtime.block_on(end).unwrap_err();
            assert!(runtime.shutdown(Duration::from_secs(10)).is_clean());
        });
        let world = World {
            cores: runtime.handles(),
            mortal: told.recv().unwrap(),
            end_mortal: Some(end_mortal),
            random: Random::of(random.number()),
        };
        runtime.block_on(test(world));
        mortal.join().unwrap();
        runtime.block_on(until("all tasks have ended", || {
            runtime.metrics().tasks == 0
        }));
        assert!(runtime.shutdown(Duration::from_secs(10)).is_clean());
    });
}

fn fill<F: Future<Output = ()> + 'static>(
    sim: &mut Sim,
    seed: u64,
    test: impl Fn(World) -> F + Clone + 'static,
) {
    let cores = Rc::new(RefCell::new(Vec::new()));
    let (end_mortal, end) = oneshot::channel();
    let (done, is_done) = oneshot::channel();
    let for_first = Rc::new(Cell::new(Some((end_mortal, done))));
    let known = cores.clone();
    sim.host_with_cores("mortal", 1, {
        let (known, end) = (cores.clone(), Rc::new(Cell::new(Some(end))));
        move |_| {
            let (known, end) = (known.clone(), end.take().expect("it starts once"));
            async move {
                known.borrow_mut().push((usize::MAX, CoreHandle::current()));
                end.await.unwrap_err();
            }
        }
    });
    sim.host_with_cores("three", 3, move |core| {
        let (known, for_first, test) = (known.clone(), for_first.clone(), test.clone());
        async move {
            known.borrow_mut().push((core, CoreHandle::current()));
            if core != 0 {
                return pending().await;
            }
            until("all cores are there", || known.borrow().len() == 4).await;
            known.borrow_mut().sort_by_key(|(core, _)| *core);
            let mut cores: Vec<_> = known.borrow().iter().map(|(_, handle)| *handle).collect();
            let mortal = cores.pop().expect("there are four");
            let (end_mortal, done) = for_first.take().expect("there is one first core");
            let world = World {
                cores,
                mortal,
                end_mortal: Some(end_mortal),
                random: Random::of(seed),
            };
            test(world).await;
            done.send(()).unwrap();
            pending().await
        }
    });
    sim.client("test", async { is_done.await.unwrap() });
}

/// Awaits `future`, or sometimes gives it up after a few polls.
async fn given_up_sometimes<F: Future>(random: &Random, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    if random.below(3) > 0 {
        return Some(future.await);
    }
    for _ in 0..random.below(4) {
        if let Poll::Ready(output) = poll_once(future.as_mut()).await {
            return Some(output);
        }
        yield_now().await;
    }
    None
}

/// Counts how many of these there are.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Counted {
        count.fetch_add(1, Ordering::SeqCst);
        Counted(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Of a value that belongs to a core: tells where it was dropped. Not `Send`.
struct Native(Rc<u32>, Arc<Mutex<Option<CoreHandle>>>);

impl Drop for Native {
    fn drop(&mut self) {
        *self.1.lock().unwrap() = CoreHandle::try_current();
    }
}

// Sent work.

/// Fills the core that this runs on.
fn fill_this_core() -> Vec<krug::JoinHandle<usize>> {
    let here = CoreHandle::current();
    let mut tasks = Vec::new();
    loop {
        let number = tasks.len();
        match spawn_on(here, move || async move { number }) {
            Ok(task) => tasks.push(task),
            Err(error) => {
                assert!(matches!(error, SpawnError::Full(_)), "{error}");
                return tasks;
            }
        }
    }
}

#[test]
fn what_is_sent_to_a_full_core_comes_back_and_there_is_room_after_its_next_turn() {
    across(|_world| async {
        for _ in 0..3 {
            let tasks = fill_this_core();
            assert_eq!(tasks.len(), backlog());
            let here = CoreHandle::current();
            let text = String::from("mine");
            let error = here.spawn(async { text }).unwrap_err();
            assert!(error.is_full() && error.to_string().contains("spawn_backlog"));
            assert_eq!(error.into_inner().await, "mine");
            for (number, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), number);
            }
        }
    });
}

#[test]
fn control_messages_come_through_to_a_full_core() {
    across(|_world| async {
        let tasks = fill_this_core();
        tasks.iter().for_each(krug::JoinHandle::abort);
        for task in tasks {
            assert!(task.await.unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn calls_to_a_full_core_wait_and_are_served_as_they_came() {
    across(|world| async move {
        let here = CoreHandle::current();
        let tasks = fill_this_core();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut calls: Vec<_> = (0..backlog() + 3)
            .map(|number| {
                let order = order.clone();
                Box::pin(here.call(move || async move {
                    order.lock().unwrap().push(number);
                    number
                }))
            })
            .collect();
        for call in &mut calls {
            assert!(poll_once(call.as_mut()).await.is_pending());
        }
        // Whoever gives up is no gap in the line.
        let gone = world.random.below(calls.len());
        drop(calls.remove(gone));
        let expected: Vec<_> = (0..=calls.len()).filter(|number| *number != gone).collect();
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.unwrap());
        }
        assert_eq!(answers, expected);
        if driver() != Driver::Sim {
            assert_eq!(*order.lock().unwrap(), expected);
        }
        drop(tasks);
    });
}

#[test]
fn a_call_that_is_called_out_of_the_line_and_dropped_passes_its_place_on() {
    across(|_world| async {
        let here = CoreHandle::current();
        // In the end all that were called give up: nothing but that tells those behind them.
        for given_up in [0, 1, backlog()] {
            let tasks = fill_this_core();
            let mut calls: Vec<_> = (0..backlog() + 2)
                .map(|number| Box::pin(here.call(move || async move { number })))
                .collect();
            for call in &mut calls {
                assert!(poll_once(call.as_mut()).await.is_pending());
            }
            for task in tasks {
                task.await.unwrap();
            }
            drop(calls.drain(..given_up));
            for (call, number) in calls.into_iter().zip(given_up..) {
                assert_eq!(call.await.unwrap(), number);
            }
        }
    });
}

#[test]
fn a_call_brings_the_result_of_what_cannot_be_sent() {
    across(|world| async move {
        for core in world.cores {
            let answer = core.call(move || async move {
                assert_eq!(CoreHandle::current(), core);
                let here = Rc::new(41);
                yield_now().await;
                *here + 1
            });
            assert_eq!(answer.await.unwrap(), 42);
        }
    });
}

#[test]
fn a_panic_of_a_call_is_an_error_here_and_the_core_lives_on() {
    across(|world| async move {
        let other = world.other();
        let making = other.call(|| -> std::future::Ready<()> { panic!("making") });
        assert!(making.await.unwrap_err().to_string().contains("making"));
        let polling = other.call(|| async { panic!("polling") });
        assert!(polling.await.unwrap_err().is_panic());
        assert_eq!(other.call(|| async { 7 }).await.unwrap(), 7);
    });
}

#[test]
fn a_dropped_call_cancels_the_work_there() {
    across(|world| async move {
        let alive = Arc::new(AtomicUsize::new(0));
        for polls in 0..3 {
            let guard = Counted::new(&alive);
            let mut call = Box::pin(world.other().call(move || async move {
                let _guard = guard;
                pending::<()>().await;
            }));
            for _ in 0..polls {
                assert!(poll_once(call.as_mut()).await.is_pending());
                yield_now().await;
            }
            drop(call);
            until("the work has gone", || alive.load(Ordering::SeqCst) == 0).await;
        }
    });
}

#[test]
fn calls_to_a_core_that_ends_are_cancelled() {
    across(|mut world| async move {
        let core = world.mortal;
        let mut running = Box::pin(core.call(pending::<()>));
        assert!(poll_once(running.as_mut()).await.is_pending());
        world.end_mortal().await;
        assert!(running.await.unwrap_err().is_cancelled());
        assert!(core.call(|| async {}).await.unwrap_err().is_cancelled());
        let error = spawn_on(core, || async { 7 }).unwrap_err();
        assert!(!error.is_full());
        assert_eq!(error.into_inner()().await, 7);
    });
}

#[test]
fn random_calls_between_all_cores_come_back_or_are_dropped_whole() {
    across(|world| async move {
        let alive = Arc::new(AtomicUsize::new(0));
        let random = Random::of(world.random.number());
        let cores = world.cores.clone();
        let storm = move |seed: u64, cores: Vec<CoreHandle>, alive: Arc<AtomicUsize>| async move {
            let random = Random::of(seed);
            for number in 0..iterations(30) {
                let (core, turns) = (cores[random.below(3)], random.below(3));
                let guard = Counted::new(&alive);
                let call = core.call(move || async move {
                    let _guard = guard;
                    for _ in 0..turns {
                        yield_now().await;
                    }
                    number
                });
                if let Some(answer) = given_up_sometimes(&random, call).await {
                    assert_eq!(answer.unwrap(), number);
                }
            }
        };
        let mut storms = Vec::new();
        for core in &cores {
            for _ in 0..4 {
                let (seed, cores, alive) = (random.number(), cores.clone(), alive.clone());
                storms.push(core.call(move || storm(seed, cores, alive)));
            }
        }
        all(storms).await;
        until("no work is left", || alive.load(Ordering::SeqCst) == 0).await;
        drop(world.end_mortal);
    });
}

/// Waits for all of these at the same time.
async fn all<F: Future<Output = Result<(), krug::task::JoinError>>>(futures: Vec<F>) {
    let mut futures: Vec<_> = futures.into_iter().map(|it| Some(Box::pin(it))).collect();
    poll_fn(|cx: &mut Context<'_>| {
        for place in &mut futures {
            if let Some(future) = place
                && let Poll::Ready(result) = future.as_mut().poll(cx)
            {
                result.unwrap();
                *place = None;
            }
        }
        match futures.iter().all(Option::is_none) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

// Channels.

#[test]
fn a_value_is_received_dropped_or_given_back_and_never_twice() {
    across(|world| async move {
        let alive = Arc::new(AtomicUsize::new(0));
        for _ in 0..iterations(60) {
            let (sender, mut receiver) = oneshot::channel();
            let (seed, value) = (world.random.number(), Counted::new(&alive));
            let is_dropped = world.random.below(4) == 0;
            let sending = world.other().call(move || async move {
                let mut sender = sender;
                let random = Random::of(seed);
                for _ in 0..random.below(3) {
                    yield_now().await;
                }
                match random.below(4) {
                    0 => drop(sender),
                    1 => {
                        let _ = poll_once(pin!(sender.closed())).await;
                        drop(sender.send(value));
                    }
                    _ => drop(sender.send(value)),
                }
            });
            let sending = spawn(sending);
            for _ in 0..world.random.below(3) {
                yield_now().await;
                if world.random.below(5) == 0 {
                    receiver.close();
                }
            }
            match is_dropped {
                true => drop(receiver),
                false => drop(receiver.await),
            }
            sending.await.unwrap().unwrap();
            assert_eq!(alive.load(Ordering::SeqCst), 0);
        }
    });
}

#[test]
fn a_sender_on_another_core_hears_that_the_receiver_has_gone() {
    across(|world| async move {
        let (mut sender, receiver) = oneshot::channel::<Rc<()>>();
        // The halves of a channel of what cannot be sent stay here.
        drop(receiver);
        sender.closed().await;
        let (mut sender, mut receiver) = oneshot::channel::<u8>();
        let task = spawn_on(world.other(), || async move {
            sender.closed().await;
            sender.send(3)
        });
        assert!(poll_once(Pin::new(&mut receiver)).await.is_pending());
        drop(receiver);
        assert_eq!(task.unwrap().await.unwrap(), Err(3));
    });
}

#[test]
fn changes_by_all_cores_add_up_and_each_watcher_sees_the_last() {
    across(|world| async move {
        let (sender, receiver) = watch::channel(0_u64);
        let changes = iterations(50) as u64;
        let mut work = Vec::new();
        for core in &world.cores {
            let (sender, mut receiver) = (sender.clone(), receiver.clone());
            let seed = world.random.number();
            work.push(core.call(move || async move {
                let random = Random::of(seed);
                let watching = spawn(async move {
                    let mut last = 0;
                    loop {
                        match given_up_sometimes(&random, receiver.changed()).await {
                            None => continue,
                            Some(Err(watch::RecvError)) => break,
                            Some(Ok(())) => {}
                        }
                        let value = receiver.borrow_and_update();
                        assert!(*value >= last, "it went back");
                        last = *value;
                    }
                    assert_eq!(*receiver.borrow(), 3 * changes);
                });
                for _ in 0..changes {
                    sender.send_modify(|value| *value += 1);
                    yield_now().await;
                }
                drop(sender);
                watching.await.unwrap();
            }));
        }
        drop((sender, receiver));
        all(work).await;
    });
}

#[test]
fn a_value_that_is_looked_at_holds_up_nobody() {
    let (sender, mut receiver) = watch::channel(vec![1]);
    let looked_at = receiver.borrow_and_update();
    assert!(!looked_at.has_changed());
    sender.send(vec![2]).unwrap();
    sender.send_modify(|value| value.push(3));
    assert_eq!(sender.send_replace(vec![4]), [2, 3]);
    assert_eq!(*looked_at, [1]);
    drop(looked_at);
    assert!(receiver.borrow().has_changed());
    assert!(!sender.send_if_modified(|value| {
        value.clear();
        false
    }));
    assert_eq!(*sender.borrow(), [4]);
    let panics = || sender.send_modify(|_| panic!("in a change"));
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert_eq!(*receiver.borrow_and_update(), [4]);
    // A change that another one overtakes is made again.
    let mut times = 0;
    sender.send_modify(|value| {
        if times == 0 {
            sender.send(vec![5]).unwrap();
        }
        times += 1;
        value.push(6);
    });
    assert_eq!((times, &**receiver.borrow()), (2, &[5, 6][..]));
    drop(receiver);
    assert_eq!(sender.send(vec![7]), Err(watch::SendError(vec![7])));
    assert_eq!(sender.subscribe().has_changed(), Ok(false));
}

#[test]
fn senders_hear_of_the_last_watcher_and_the_last_receiver() {
    across(|world| async move {
        let (watched, receiver) = watch::channel(1);
        let (told, listener) = broadcast::channel::<u8>(1);
        let task = spawn_on(world.other(), || async move {
            watched.closed().await;
            told.closed().await;
            (watched.receiver_count(), told.send(1))
        });
        yield_now().await;
        drop(receiver.clone());
        drop((receiver, listener));
        let heard = task.unwrap().await.unwrap();
        assert_eq!(heard, (0, Err(broadcast::SendError(1))));
    });
}

#[test]
fn every_receiver_gets_every_message_in_order_or_hears_how_many_it_missed() {
    across(|world| async move {
        let messages = iterations(100) as u64;
        let bound = 1 + world.random.below(8);
        let (sender, receiver) = broadcast::channel(bound);
        let mut work = Vec::new();
        for core in &world.cores {
            let seed = world.random.number();
            let mut receiver = receiver.resubscribe();
            work.push(core.call(move || async move {
                let random = Random::of(seed);
                let mut next = 0;
                loop {
                    match given_up_sometimes(&random, receiver.recv()).await {
                        None => {}
                        Some(Ok((number, _text))) => {
                            assert_eq!(number, next);
                            next += 1;
                        }
                        Some(Err(broadcast::RecvError::Lagged(missed))) => next += missed,
                        Some(Err(broadcast::RecvError::Closed)) => break,
                    }
                }
                assert_eq!(next, messages);
            }));
        }
        drop(receiver);
        let sending = world.cores[2].call(move || async move {
            for number in 0..messages {
                let sent = sender.send((number, number.to_string()));
                assert_eq!(sent, Ok(3));
                if number % 3 == 0 {
                    yield_now().await;
                }
            }
        });
        work.rotate_left(world.random.below(3));
        let mut receiving = Box::pin(all(work));
        assert!(poll_once(receiving.as_mut()).await.is_pending());
        let sending = spawn(sending);
        receiving.await;
        sending.await.unwrap().unwrap();
    });
}

// Shared values.

#[test]
fn a_shared_value_is_used_from_all_cores_and_dropped_at_home() {
    across(|world| async move {
        let dropped_at = Arc::new(Mutex::new(None));
        let at = dropped_at.clone();
        let shared = Shared::new_on(world.other(), || (Native(Rc::new(0), at), 0)).await;
        let shared = shared.unwrap();
        assert_eq!(shared.core(), world.other());
        assert!(matches!(
            shared.with_here(|_| ()),
            Err(SharedError::Elsewhere)
        ));
        let mut work = Vec::new();
        for core in &world.cores {
            let (shared, seed) = (shared.clone(), world.random.number());
            work.push(core.call(move || async move {
                let random = Random::of(seed);
                for _ in 0..iterations(30) {
                    let using = shared.with(|(native, sum)| {
                        let _another = native.0.clone();
                        *sum += 1;
                        *sum
                    });
                    if let Some(sum) = given_up_sometimes(&random, using).await {
                        assert!(sum.unwrap() > 0);
                    }
                }
            }));
        }
        all(work).await;
        let used = shared.with(|(_, sum)| *sum).await.unwrap();
        assert!(used <= 3 * iterations(30) && used > 0);
        assert!(dropped_at.lock().unwrap().is_none());
        drop(shared);
        until("it was dropped at home", || {
            *dropped_at.lock().unwrap() == Some(world.other())
        })
        .await;
    });
}

#[test]
fn nobody_reaches_a_shared_value_that_is_in_use_or_going() {
    /// Comes back to where it lies when it is dropped.
    struct Reentrant(Option<Shared<Reentrant>>, Rc<Cell<&'static str>>);
    impl Drop for Reentrant {
        fn drop(&mut self) {
            if let Some(shared) = &self.0 {
                self.1.set(match shared.with_here(|_| ()) {
                    Ok(()) => "used",
                    Err(SharedError::InUse) => "in use",
                    Err(SharedError::Ended) => "ended",
                    Err(_) => "else",
                });
            }
        }
    }
    across(|_world| async {
        let found = Rc::new(Cell::new(""));
        let shared = Shared::new(Reentrant(None, found.clone()));
        let inner = shared.clone();
        let fresh = Reentrant(None, found.clone());
        shared
            .with_here(|value| {
                assert!(matches!(inner.with_here(|_| ()), Err(SharedError::InUse)));
                let mut with = Box::pin(inner.with(|_| ()));
                let polled = with
                    .as_mut()
                    .poll(&mut Context::from_waker(std::task::Waker::noop()));
                drop(with);
                assert!(matches!(polled, Poll::Ready(Err(SharedError::InUse))));
                value.0 = Some(inner);
                // The old one's destructor runs while it is in use.
                *value = fresh;
            })
            .unwrap();
        assert_eq!(found.get(), "in use");
        let panics = || shared.with_here(|_| panic!("in a closure"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        shared.with_here(|_| ()).unwrap();
    });
}

#[test]
fn a_panic_of_a_closure_elsewhere_is_an_error_and_the_value_stays() {
    across(|world| async move {
        let shared = Shared::new_on(world.other(), || Rc::new(5)).await.unwrap();
        let error = shared.with(|_| panic!("in a closure")).await.unwrap_err();
        assert!(matches!(&error, SharedError::Panicked(panic) if panic.is_panic()));
        assert!(error.to_string().contains("in a closure"));
        assert_eq!(shared.with(|five| **five).await.unwrap(), 5);
        let making = Shared::new_on(world.other(), || -> Rc<u8> { panic!("made") }).await;
        assert!(making.unwrap_err().is_panic());
    });
}

#[test]
fn a_shared_value_ends_with_its_core() {
    across(|mut world| async move {
        let dropped_at = Arc::new(Mutex::new(None));
        let at = dropped_at.clone();
        let shared = Shared::new_on(world.mortal, || Native(Rc::new(1), at)).await;
        let shared = shared.unwrap();
        assert_eq!(shared.with(|native| *native.0).await.unwrap(), 1);
        world.end_mortal().await;
        assert!(matches!(shared.with(|_| ()).await, Err(SharedError::Ended)));
        assert!(matches!(shared.with_here(|_| ()), Err(SharedError::Ended)));
        assert_eq!(*dropped_at.lock().unwrap(), Some(world.mortal));
    });
}

#[test]
#[should_panic(expected = "needs a krug runtime")]
fn a_shared_value_is_made_inside_a_runtime() {
    drop(Shared::new(1));
}

// Actors.

/// Adds up; answers with the sum so far. 0 ends it, 13 is bad luck, 7 is not answered.
struct Sum {
    so_far: Rc<Cell<u32>>,
    _alive: Counted,
}

impl Actor for Sum {
    type Message = (u32, Option<Counted>);
    type Reply = u32;

    async fn handle(
        &mut self,
        (number, _counted): (u32, Option<Counted>),
        reply: Reply<u32>,
    ) -> ControlFlow<()> {
        yield_now().await;
        match number {
            0 => return ControlFlow::Break(()),
            7 => return ControlFlow::Continue(()),
            13 => panic!("bad luck"),
            _ => self.so_far.set(self.so_far.get() + number),
        }
        reply.send(self.so_far.get());
        ControlFlow::Continue(())
    }
}

fn sum(alive: &Arc<AtomicUsize>) -> impl FnOnce() -> Sum + Send + use<> {
    let alive = Counted::new(alive);
    move || Sum {
        so_far: Rc::default(),
        _alive: alive,
    }
}

#[test]
fn an_actor_handles_messages_in_order_and_ends_with_the_last_address() {
    across(|world| async move {
        let alive = Arc::new(AtomicUsize::new(0));
        for core in [world.other(), CoreHandle::current()] {
            let (address, task) = spawn_actor(core, 2, sum(&alive)).await.unwrap();
            assert_eq!(address.ask((1, None)).await, Ok(1));
            for number in 2..6 {
                address.send((number, None)).await.unwrap();
            }
            assert_eq!(address.clone().ask((6, None)).await, Ok(21));
            assert_eq!(address.ask((7, None)).await, Err(AskError::Unanswered));
            address.send((1, None)).await.unwrap();
            drop(address);
            task.await.unwrap();
            assert_eq!(alive.load(Ordering::SeqCst), 0);
        }
    });
}

#[test]
fn who_asks_an_actor_that_ends_gets_an_error() {
    across(|mut world| async move {
        let alive = Arc::new(AtomicUsize::new(0));
        let (stopped, task) = spawn_actor(world.other(), 2, sum(&alive)).await.unwrap();
        assert_eq!(stopped.ask((0, None)).await, Err(AskError::Unanswered));
        task.await.unwrap();
        assert!(stopped.is_closed());
        assert_eq!(stopped.ask((1, None)).await, Err(AskError::Ended));
        let error = stopped.send((1, None)).await.unwrap_err();
        assert!(matches!(error, SendError((1, None))));

        let (unlucky, task) = spawn_actor(world.other(), 1, sum(&alive)).await.unwrap();
        let other = unlucky.clone();
        let waiting = spawn(async move { other.ask((1, None)).await });
        let answer = unlucky.ask((13, None)).await;
        assert_eq!(answer, Err(AskError::Unanswered));
        let _ = waiting.await.unwrap();
        assert!(task.await.unwrap_err().is_panic());

        let (ended, task) = spawn_actor(world.mortal, 1, sum(&alive)).await.unwrap();
        assert_eq!(ended.ask((4, None)).await, Ok(4));
        world.end_mortal().await;
        assert_eq!(ended.ask((4, None)).await, Err(AskError::Ended));
        assert!(task.await.unwrap_err().is_cancelled());
        let refused = spawn_actor(world.mortal, 1, sum(&alive)).await;
        assert!(refused.unwrap_err().is_cancelled());
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn random_messages_of_all_cores_to_an_actor_are_handled_or_dropped_once() {
    across(|world| async move {
        let (alive, messages) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (address, task) = spawn_actor(world.other(), 2, sum(&alive)).await.unwrap();
        let mut work = Vec::new();
        for core in &world.cores {
            for _ in 0..3 {
                let (address, messages) = (address.clone(), messages.clone());
                let seed = world.random.number();
                work.push(core.call(move || async move {
                    let random = Random::of(seed);
                    let mut last = 0;
                    for _ in 0..iterations(20) {
                        let message = (1, Some(Counted::new(&messages)));
                        if random.below(2) == 0 {
                            let sent = address.send(message);
                            drop(given_up_sometimes(&random, sent).await);
                        } else {
                            let asked = address.ask(message);
                            if let Some(sum) = given_up_sometimes(&random, asked).await {
                                assert!(sum.unwrap() > last, "it went back");
                                last = sum.unwrap();
                            }
                        }
                    }
                }));
            }
        }
        all(work).await;
        drop(address);
        task.await.unwrap();
        let left = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        assert_eq!((left(&alive), left(&messages)), (0, 0));
    });
}
