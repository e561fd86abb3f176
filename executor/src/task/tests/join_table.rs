//! One test for each row of the join handle's table in the docs of `task`, named after it.

use std::future::{Future, pending, poll_fn, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use super::{Bench, CountingWaker, DropCounter, Drops, PanicOnDrop, poll_once, wait};
use crate::task::{JoinError, JoinHandle, spawn, yield_now};

/// Pending for ever; counts when it is dropped.
async fn waits_with(guard: DropCounter) {
    let _guard = guard;
    pending::<()>().await;
}

fn message_of(error: JoinError) -> String {
    *error.into_panic().downcast::<&'static str>().map_or_else(
        |payload| payload.downcast::<String>().unwrap(),
        |text| Box::new(text.to_string()),
    )
}

#[test]
fn awaited_before_completion() {
    let bench = Bench::new();
    let handle = bench.spawn(async {
        yield_now().await;
        7
    });
    assert!(!handle.is_finished());
    assert_eq!(bench.block_on(handle).unwrap(), 7);
    assert_eq!(bench.scheduler.live_tasks(), 0);
}

#[test]
fn awaited_after_completion() {
    let bench = Bench::new();
    let handle = bench.spawn(ready(7));
    bench.settle();
    assert!(handle.is_finished());
    assert_eq!(bench.block_on(handle).unwrap(), 7);
}

#[test]
fn bug_043_awaited_with_another_waker_each_time() {
    let bench = Bench::new();
    let _entered = bench.scheduler.enter();
    let mut handle = bench.spawn(async {
        yield_now().await;
    });
    let (first, first_count) = CountingWaker::new();
    let (second, second_count) = CountingWaker::new();
    for waker in [&first, &second, &second] {
        let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(waker));
        assert!(polled.is_pending());
    }
    bench.settle();
    assert_eq!((first_count.count(), second_count.count()), (0, 1));
    assert!(poll_once(&mut handle).is_ready());
}

#[test]
fn aborted_before_the_first_poll() {
    let bench = Bench::new();
    let drops = Drops::default();
    let guard = drops.counter();
    let handle = bench.spawn(async move {
        let _guard = guard;
        unreachable!("it was aborted");
    });
    handle.abort();
    let error: JoinError = bench.block_on(handle).unwrap_err();
    assert!(error.is_cancelled() && !error.is_panic());
    assert_eq!(drops.count(), 1);
}

#[test]
fn aborted_while_it_waits() {
    let bench = Bench::new();
    let drops = Drops::default();
    let mut handle = bench.spawn(waits_with(drops.counter()));
    bench.settle();
    handle.abort();
    handle.abort();
    let _entered = bench.scheduler.enter();
    assert!(poll_once(&mut handle).is_pending());
    assert_eq!(drops.count(), 0, "not in the midst of the aborter's code");
    // A task, and not `block_on`, which would come only after all that is ready.
    let seen = drops.clone();
    let joiner = bench.spawn(async move { (handle.await.unwrap_err(), seen.count()) });
    let (error, dropped) = bench.block_on(joiner).unwrap();
    assert!(error.is_cancelled());
    assert_eq!(dropped, 1, "dropped before the join resolves");
}

#[test]
fn aborted_by_itself_while_it_runs_and_then_pending() {
    let bench = Bench::new();
    let drops = Drops::default();
    let guard = drops.counter();
    let (send, receive) = std::sync::mpsc::channel();
    let handle = bench.spawn(async move {
        let _guard = guard;
        let me: crate::task::AbortHandle = receive.recv().unwrap();
        me.abort();
        yield_now().await;
        unreachable!("it was aborted");
    });
    send.send(handle.abort_handle()).unwrap();
    assert!(bench.block_on(handle).unwrap_err().is_cancelled());
    assert_eq!(drops.count(), 1);
}

#[test]
fn aborted_by_itself_while_it_runs_and_then_ready() {
    let bench = Bench::new();
    let (send, receive) = std::sync::mpsc::channel();
    let handle = bench.spawn(async move {
        let me: crate::task::AbortHandle = receive.recv().unwrap();
        me.abort();
        7
    });
    send.send(handle.abort_handle()).unwrap();
    assert_eq!(bench.block_on(handle).unwrap(), 7);
}

#[test]
fn aborted_after_completion() {
    let bench = Bench::new();
    let handle = bench.spawn(ready(7));
    let aborter = handle.abort_handle();
    bench.settle();
    handle.abort();
    aborter.abort();
    assert_eq!(bench.block_on(handle).unwrap(), 7);
    aborter.abort();
    assert!(aborter.is_finished());
}

#[test]
fn dropped_before_completion() {
    let bench = Bench::new();
    let (futures, outputs) = (Drops::default(), Drops::default());
    let (guard, output) = (futures.counter(), outputs.counter());
    drop(bench.spawn(async move {
        let _guard = guard;
        yield_now().await;
        output
    }));
    assert_eq!((futures.count(), outputs.count()), (0, 0));
    bench.settle();
    assert_eq!((futures.count(), outputs.count()), (1, 1));
}

#[test]
fn dropped_before_completion_after_it_was_polled() {
    let bench = Bench::new();
    let outputs = Drops::default();
    let output = outputs.counter();
    let mut handle = bench.spawn(async move {
        yield_now().await;
        output
    });
    let (waker, wakes) = CountingWaker::new();
    {
        let _entered = bench.scheduler.enter();
        let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(handle);
    }
    drop(waker);
    assert_eq!(std::sync::Arc::strong_count(&wakes), 1, "its waker is gone");
    bench.settle();
    assert_eq!((outputs.count(), wakes.count()), (1, 0));
}

#[test]
fn dropped_after_completion() {
    let bench = Bench::new();
    let outputs = Drops::default();
    let output = outputs.counter();
    let handle = bench.spawn(async move { output });
    bench.settle();
    assert_eq!(outputs.count(), 0);
    let _entered = bench.scheduler.enter();
    drop(handle);
    assert_eq!(outputs.count(), 1);
}

#[test]
fn the_future_panics_in_a_poll() {
    let bench = Bench::new();
    let drops = Drops::default();
    let guard = drops.counter();
    let handle: JoinHandle<()> = bench.spawn(async move {
        let _guard = guard;
        yield_now().await;
        panic!("in a poll");
    });
    let error = bench.block_on(handle).unwrap_err();
    assert!(error.is_panic() && !error.is_cancelled());
    assert!(error.to_string().contains("panicked: in a poll"), "{error}");
    assert_eq!(message_of(error), "in a poll");
    assert_eq!(drops.count(), 1);
    let alive = bench.spawn(ready(1));
    assert_eq!(bench.block_on(alive).unwrap(), 1);
}

/// Ready at once; panics when it is dropped.
struct PanicsWhenDropped<T>(Option<T>, #[allow(dead_code)] PanicOnDrop);

impl<T: Unpin> Future for PanicsWhenDropped<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        Poll::Ready(self.0.take().unwrap())
    }
}

#[test]
fn the_future_panics_in_its_destructor_after_it_was_ready() {
    let bench = Bench::new();
    let outputs = Drops::default();
    let guard = PanicOnDrop("in the destructor");
    let handle = bench.spawn(PanicsWhenDropped(Some(outputs.counter()), guard));
    let error = bench.block_on(handle).unwrap_err();
    assert_eq!(message_of(error), "in the destructor");
    assert_eq!(outputs.count(), 1);
}

#[test]
fn the_future_panics_in_its_destructor_and_the_unwanted_output_too() {
    let bench = Bench::new();
    let guard = PanicOnDrop("in the destructor");
    let handle = bench.spawn(PanicsWhenDropped(Some(PanicOnDrop("output")), guard));
    let error = bench.block_on(handle).map(std::mem::forget).unwrap_err();
    assert_eq!(message_of(error), "in the destructor");
}

#[test]
fn the_future_panics_in_its_destructor_when_aborted() {
    let bench = Bench::new();
    let handle = bench.spawn(async {
        let _guard = PanicOnDrop("in the destructor");
        pending::<()>().await;
    });
    bench.settle();
    handle.abort();
    assert_eq!(
        message_of(bench.block_on(handle).unwrap_err()),
        "in the destructor"
    );
}

#[test]
fn the_future_panics_in_a_poll_and_in_its_destructor() {
    struct Both(#[allow(dead_code)] PanicOnDrop);
    impl Future for Both {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            panic!("in a poll");
        }
    }
    let bench = Bench::new();
    let handle = bench.spawn(Both(PanicOnDrop("in the destructor")));
    let error = bench.block_on(handle).unwrap_err();
    assert_eq!(message_of(error), "in a poll", "the first one counts");
}

#[test]
fn the_output_of_a_detached_task_panics_in_its_destructor() {
    let bench = Bench::new();
    drop(bench.spawn(async { PanicOnDrop("output") }));
    let finished = bench.spawn(async { PanicOnDrop("output") });
    bench.settle();
    let _entered = bench.scheduler.enter();
    drop(finished);
    assert_eq!(bench.block_on(bench.spawn(ready(1))).unwrap(), 1);
}

#[test]
fn the_payload_of_a_panic_panics_in_its_destructor() {
    let bench = Bench::new();
    drop(bench.spawn(async { std::panic::panic_any(PanicOnDrop("payload")) }));
    let joined = bench.spawn(async { std::panic::panic_any(PanicOnDrop("payload")) });
    drop(bench.block_on(joined).unwrap_err());
    assert_eq!(bench.block_on(bench.spawn(ready(1))).unwrap(), 1);
}

#[test]
fn the_joiners_waker_panics() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("in the waker");
        }
    }
    let bench = Bench::new();
    let _entered = bench.scheduler.enter();
    let mut handle = bench.spawn(async {
        yield_now().await;
        7
    });
    let waker = std::sync::Arc::new(Panics).into();
    let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    bench.settle();
    assert_eq!(bench.block_on(handle).unwrap(), 7);
}

#[test]
fn awaited_on_another_thread_before_completion() {
    let bench = Bench::new();
    let (open, gate) = std::sync::mpsc::channel();
    let mut gate = Some(gate);
    let handle = bench.spawn(poll_fn(move |cx| {
        // Runs until the other thread is about to wait, and a little longer.
        match gate.as_ref().unwrap().try_recv() {
            Ok(()) => {
                gate = None;
                Poll::Ready(7)
            }
            Err(_) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }));
    let joiner = thread::spawn(move || {
        let mut handle = handle;
        assert!(poll_once(&mut handle).is_pending());
        open.send(()).unwrap();
        wait(handle).unwrap()
    });
    while !joiner.is_finished() {
        bench.settle_a_little();
    }
    assert_eq!(joiner.join().unwrap(), 7);
}

#[test]
fn awaited_on_another_thread_after_completion() {
    let bench = Bench::new();
    let handle = bench.spawn(ready(7));
    bench.settle();
    // Nobody runs the home meanwhile: nothing is asked of it.
    let joined = thread::spawn(move || {
        assert!(handle.is_finished());
        wait(handle).unwrap()
    });
    assert_eq!(joined.join().unwrap(), 7);
}

#[test]
fn awaited_here_then_there_then_here() {
    let bench = Bench::new();
    let _entered = bench.scheduler.enter();
    let mut handle = bench.spawn(async {
        yield_now().await;
        yield_now().await;
        7
    });
    assert!(poll_once(&mut handle).is_pending());
    let handle = thread::spawn(move || {
        assert!(poll_once(&mut handle).is_pending());
        handle
    });
    let handle = handle.join().unwrap();
    assert_eq!(bench.block_on(handle).unwrap(), 7);
}

#[test]
fn aborted_on_another_thread() {
    let bench = Bench::new();
    let drops = Drops::default();
    let handle = bench.spawn(waits_with(drops.counter()));
    bench.settle();
    let joiner = thread::spawn(move || {
        handle.abort();
        wait(handle).unwrap_err().is_cancelled()
    });
    while !joiner.is_finished() {
        bench.settle_a_little();
    }
    assert!(joiner.join().unwrap());
    assert_eq!(drops.count(), 1);
}

#[test]
fn dropped_on_another_thread_before_completion() {
    let bench = Bench::new();
    let outputs = Drops::default();
    let output = outputs.counter();
    let handle = bench.spawn(async move {
        yield_now().await;
        output
    });
    thread::spawn(move || drop(handle)).join().unwrap();
    assert_eq!(outputs.count(), 0);
    bench.settle();
    assert_eq!(outputs.count(), 1);
}

#[test]
fn dropped_on_another_thread_after_completion() {
    let bench = Bench::new();
    let outputs = Drops::default();
    let output = outputs.counter();
    let handle = bench.spawn(async move { output });
    bench.settle();
    thread::spawn(move || drop(handle)).join().unwrap();
    assert_eq!(outputs.count(), 1, "without asking the home");
}

#[test]
fn dropped_on_another_thread_while_its_message_is_under_way() {
    let bench = Bench::new();
    let outputs = Drops::default();
    let output = outputs.counter();
    let handle = bench.spawn(async move { output });
    thread::spawn(move || drop(handle)).join().unwrap();
    // Completes before the home has opened the message.
    bench.scheduler.run(crate::scheduler::TurnBudget {
        polls_max: 1,
        until: None,
    });
    assert_eq!(outputs.count(), 0);
    bench.scheduler.receive();
    assert_eq!(outputs.count(), 1);
}

#[test]
fn the_runtime_ends_before_completion() {
    let bench = Bench::new();
    let drops = Drops::default();
    let here = bench.spawn(waits_with(drops.counter()));
    let never_polled = bench.spawn(waits_with(drops.counter()));
    let there = bench.spawn(waits_with(drops.counter()));
    let joiner = thread::spawn(move || wait(there).unwrap_err().is_cancelled());
    drop(bench);
    assert_eq!(drops.count(), 3);
    assert!(wait(here).unwrap_err().is_cancelled());
    assert!(never_polled.is_finished());
    assert!(wait(never_polled).unwrap_err().is_cancelled());
    assert!(joiner.join().unwrap());
}

#[test]
fn the_runtime_ends_after_completion() {
    let bench = Bench::new();
    let outputs = Drops::default();
    let (first, second) = (outputs.counter(), outputs.counter());
    let awaited = bench.spawn(async move { first });
    let dropped = bench.spawn(async move { second });
    bench.settle();
    drop(bench);
    assert_eq!(outputs.count(), 0);
    drop(dropped);
    assert_eq!(outputs.count(), 1);
    let output = thread::spawn(move || wait(awaited).unwrap());
    drop(output.join().unwrap());
    assert_eq!(outputs.count(), 2);
}

#[test]
fn spawned_when_the_runtime_is_ending() {
    let bench = Bench::new();
    let drops = Drops::default();
    let late = drops.clone();
    let (send, receive) = std::sync::mpsc::channel();
    struct SpawnsWhenDropped(Option<Box<dyn FnOnce()>>);
    impl Drop for SpawnsWhenDropped {
        fn drop(&mut self) {
            self.0.take().unwrap()();
        }
    }
    let spawner = SpawnsWhenDropped(Some(Box::new(move || {
        send.send(spawn(waits_with(late.counter()))).unwrap();
    })));
    drop(bench.spawn(async move {
        let _spawner = spawner;
        pending::<()>().await;
    }));
    drop(bench);
    assert_eq!(drops.count(), 1);
    let handle = receive.recv().unwrap();
    let aborter = handle.abort_handle();
    aborter.clone().abort();
    assert!(wait(handle).unwrap_err().is_cancelled());
    assert!(aborter.is_finished());
}

#[test]
#[should_panic(expected = "polled after it had given its output")]
fn polled_after_it_was_ready() {
    let bench = Bench::new();
    let mut handle = bench.spawn(ready(()));
    bench.settle();
    assert!(poll_once(&mut handle).is_ready());
    assert!(handle.is_finished());
    handle.abort();
    handle.abort_handle().abort();
    let _ = poll_once(&mut handle);
}

#[test]
fn errors_say_where_the_task_was_spawned() {
    let bench = Bench::new();
    let cancelled = bench.spawn(pending::<()>());
    cancelled.abort();
    let line = line!() - 2;
    let error = bench.block_on(cancelled).unwrap_err();
    let place = format!("{}:{line}", file!());
    assert!(error.to_string().contains(&place), "{error}");
    assert!(format!("{error:?}").contains(&place), "{error:?}");
    let panicked: JoinHandle<()> = bench.spawn(async { std::panic::panic_any(5_u8) });
    let error = bench.block_on(panicked).unwrap_err();
    assert!(error.to_string().ends_with("panicked"), "{error}");
    assert_eq!(*error.into_panic().downcast::<u8>().unwrap(), 5);
}

#[test]
fn handles_have_the_auto_traits_of_the_table() {
    fn shared_and_sent<T: Send + Sync>() {}
    fn unwind_safe<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    shared_and_sent::<JoinHandle<u32>>();
    shared_and_sent::<crate::task::AbortHandle>();
    shared_and_sent::<JoinError>();
    unwind_safe::<JoinHandle<u32>>();
    unwind_safe::<crate::task::AbortHandle>();
    // Compiles only if neither is true: else the method is ambiguous.
    trait AmbiguousIfSend<A> {
        fn check() {}
    }
    impl<T: ?Sized> AmbiguousIfSend<()> for T {}
    impl<T: ?Sized + Send> AmbiguousIfSend<u8> for T {}
    <JoinHandle<std::rc::Rc<()>> as AmbiguousIfSend<_>>::check();
    <crate::task::TaskRef as AmbiguousIfSend<_>>::check();
    <crate::task::Waiter as AmbiguousIfSend<_>>::check();
}
