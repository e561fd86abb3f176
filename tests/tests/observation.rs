//! What a runtime says of itself: counters, histograms and dumps.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use krug::net::UnixStream;
use krug::runtime::{
    Dump, Histogram, OperationKind, OperationOwner, OperationState, TaskEntry, TaskState,
};
use krug::sync::Notify;
use krug::task::yield_now;
use krug::{CoreHandle, Runtime};
use krug_tests::run;

krug_tests::on_every_driver!();

#[test]
fn a_latency_is_recorded_for_each_operation_of_its_kind() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            for _ in 0..10 {
                krug::io::nop().await.unwrap();
            }
            one.write_all("hello").await.0.unwrap();
            other.read_exact(vec![0; 5]).await.0.unwrap();
        });
        let metrics = runtime.metrics();
        assert_eq!(metrics.latency(OperationKind::Nop).count(), 10);
        assert!(metrics.latency(OperationKind::Send).count() >= 1);
        assert!(metrics.latency(OperationKind::Receive).count() >= 1);
        assert_eq!(metrics.latency(OperationKind::Accept), Histogram::default());
    });
}

#[test]
fn an_operation_takes_as_long_as_what_it_waits_for() {
    const WAIT: Duration = Duration::from_millis(20);
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let reader = krug::spawn(async move {
                let read = other.read(vec![0; 5]).await;
                drop((read, other));
            });
            krug::time::sleep(WAIT).await;
            one.write_all("hello").await.0.unwrap();
            reader.await.unwrap();
        });
        let received = runtime.metrics().latency(OperationKind::Receive);
        // A turn begins a moment before it starts an operation, and a timer is never early.
        let longest = Duration::from_nanos(received.max());
        assert!(longest >= WAIT / 2, "{longest:?}");
    });
}

#[test]
fn a_cancelled_operation_has_no_latency() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, _other) = UnixStream::pair().unwrap();
            let peek = async { drop(one.peek(vec![0; 5]).await) };
            assert!(krug_tests::times_out(peek).await);
            one.close().await.unwrap();
        });
        let metrics = runtime.metrics();
        assert_eq!(metrics.latency(OperationKind::Receive).count(), 0);
        assert_eq!(metrics.latency(OperationKind::Close).count(), 1);
    });
}

#[test]
fn what_starts_in_one_turn_is_one_batch() {
    run(|runtime| {
        runtime.block_on(async {
            let nops = (0..50).map(|_| krug::spawn(async { krug::io::nop().await.unwrap() }));
            for nop in nops.collect::<Vec<_>>() {
                nop.await.unwrap();
            }
        });
        let batches = runtime.metrics().batches;
        // A ring may have an entry of its own besides: the one that hears its bell. 55 is the end of their bucket.
        assert_eq!(batches.max(), 55, "{batches:?}");
        assert!(batches.count() < 10, "{batches:?}");
    });
}

#[test]
fn each_wake_that_makes_a_task_ready_is_counted_once() {
    run(|runtime| {
        runtime.block_on(async {
            let notify = Rc::new(Notify::new());
            let seen = Rc::new(Cell::new(0));
            let (theirs, count) = (notify.clone(), seen.clone());
            let waiting = krug::spawn(async move {
                loop {
                    theirs.notified().await;
                    count.set(count.get() + 1);
                }
            });
            while runtime.metrics().polls < 2 {
                yield_now().await;
            }
            let before = runtime.metrics().wakes;
            for round in 1..=10 {
                notify.notify_one();
                // This one finds it ready.
                notify.notify_one();
                while seen.get() < 2 * round {
                    yield_now().await;
                }
            }
            assert_eq!(runtime.metrics().wakes - before, 10);
            waiting.abort();
            waiting.await.unwrap_err();
        });
        assert_eq!(runtime.metrics().wakes_from_afar, 0);
    });
}

#[test]
fn a_core_that_waits_is_parked_and_not_busy() {
    const WAIT: Duration = Duration::from_millis(200);
    run(|runtime| {
        // Nobody runs the core meanwhile.
        let outside = runtime.metrics();
        assert_eq!(
            (outside.busy, outside.parked),
            (Duration::ZERO, Duration::ZERO)
        );
        runtime.block_on(krug::time::sleep(WAIT));
        let metrics = runtime.metrics();
        assert!(metrics.parked >= WAIT / 2, "{metrics}");
    });
}

#[test]
fn metrics_are_shown_as_tables() {
    run(|runtime| {
        runtime.block_on(krug::io::nop()).unwrap();
        let text = runtime.metrics().to_string();
        let line = |name: &str| {
            let mut lines = text.lines().filter(|line| line.starts_with(name));
            let line = lines.next().unwrap_or_else(|| panic!("{name}: {text}"));
            let cells = line[name.len()..].split_whitespace();
            cells.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(line("operations  "), ["1"]);
        assert_eq!(line("batch").len(), 5);
        assert_eq!(line("nop")[0], "1");
        let head = "                   count       p50       p99     p99.9       max";
        assert!(text.lines().any(|line| line == head), "{text}");
        assert!(text.lines().all(|line| !line.ends_with(' ')), "{text}");
    });
}

/// The entry of the task that was spawned on this line.
fn task_of(dump: &Dump, line: u32) -> &TaskEntry {
    let mut of_line = dump.tasks.iter().filter(|task| {
        task.spawned_at.line() == line && task.spawned_at.file().ends_with("observation.rs")
    });
    let found = of_line.next();
    assert!(of_line.next().is_none(), "{dump}");
    found.unwrap_or_else(|| panic!("no task of line {line}: {dump}"))
}

async fn yield_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        yield_now().await;
    }
}

#[test]
fn a_dump_lists_each_task_with_its_place_and_what_it_does() {
    run(|runtime| {
        runtime.block_on(async {
            let place = line!() + 1;
            let waits = krug::spawn(pending::<()>());
            yield_until(|| runtime.dump().tasks[0].state == TaskState::Waiting).await;
            let entry = task_of(&runtime.dump(), place).clone();
            assert_eq!((entry.state, entry.polls), (TaskState::Waiting, 1));

            waits.abort();
            assert_eq!(task_of(&runtime.dump(), place).state, TaskState::Aborted);
            waits.await.unwrap_err();
            assert!(runtime.dump().tasks.is_empty(), "{}", runtime.dump());

            let place = line!() + 1;
            let ready = krug::spawn(async {});
            assert_eq!(task_of(&runtime.dump(), place).state, TaskState::Ready);
            ready.await.unwrap();

            let place = line!() + 1;
            let asks = krug::spawn(async { CoreHandle::current().dump().await.unwrap() });
            let dump = asks.await.unwrap();
            let entry = task_of(&dump, place);
            assert_eq!((entry.state, entry.polls), (TaskState::Waiting, 1));
            // The other one is the task that looks.
            let states: Vec<_> = dump.tasks.iter().map(|task| task.state).collect();
            assert_eq!(states, [TaskState::Running, TaskState::Waiting]);
            let text = dump.to_string();
            assert!(
                text.starts_with("core 0: 2 tasks, 0 operations\n"),
                "{text}"
            );
            let ends = format!("observation.rs:{place}:24");
            assert!(text.contains("running") && text.ends_with(&ends), "{text}");
        });
    });
}

#[test]
fn a_dump_lists_each_operation_with_its_descriptor_and_for_whom_it_is() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let place = line!() + 1;
            let reader = krug::spawn(async move { drop(one.peek(vec![0; 5]).await) });
            yield_until(|| runtime.dump().operations.len() == 1).await;
            let Dump { operations, .. } = runtime.dump();
            let [peek] = &operations[..] else {
                panic!("{operations:?}");
            };
            assert_eq!(peek.kind, OperationKind::Receive);
            assert!(peek.descriptor.is_some_and(|fd| fd > 0), "{peek:?}");
            assert_eq!(peek.state, OperationState::InFlight);
            let OperationOwner::Task(spawned_at) = peek.owner else {
                panic!("{peek:?}");
            };
            assert_eq!(spawned_at.line(), place);
            other.write_all("hello").await.0.unwrap();
            reader.await.unwrap();
        });
    });
}

#[test]
fn a_dump_knows_operations_that_no_task_waits_for() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, _other) = UnixStream::pair().unwrap();
            // Adopted by its stream.
            assert!(krug_tests::times_out(one.read(vec![0; 5])).await);
            let owners = |dump: Dump| {
                let owners = dump.operations.iter().map(|operation| operation.owner);
                owners.collect::<Vec<_>>()
            };
            assert_eq!(owners(runtime.dump()), [OperationOwner::Source]);
            let mut peek = pin!(krug::io::nop());
            let polled = poll_fn(|cx| Poll::Ready(peek.as_mut().poll(cx).is_pending())).await;
            assert!(polled);
            assert!(owners(runtime.dump()).contains(&OperationOwner::Future));
            peek.await.unwrap();
        });
    });
}

#[test]
fn a_task_ages_from_the_turn_in_which_it_was_spawned() {
    const WAIT: Duration = Duration::from_millis(200);
    run(|runtime| {
        runtime.block_on(async {
            let old = krug::spawn(pending::<()>());
            krug::time::sleep(WAIT).await;
            let young = krug::spawn(pending::<()>());
            let dump = runtime.dump();
            let [first, second] = &dump.tasks[..] else {
                panic!("{dump}");
            };
            assert!(second.age - first.age >= WAIT / 2, "{dump}");
            old.abort();
            young.abort();
        });
    });
}

#[test]
fn a_core_that_has_ended_gives_no_dump() {
    let handle = Runtime::new().unwrap().handle();
    let other = Runtime::new().unwrap();
    other.block_on(async { handle.dump().await.unwrap_err() });
}
