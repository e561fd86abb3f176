//! A task that holds its core is reported by the watchdog, while it does so.

use std::sync::Mutex;
use std::sync::Once;
use std::thread;
use std::time::Duration;

use krug::Runtime;
use krug::runtime::{Builder, Driver};
use krug_tests::{block_until, run_with};

krug_tests::on_every_kernel_driver!();

/// What has been warned of in this process.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Log;

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{value:?}");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        WARNINGS.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| tracing::subscriber::set_global_default(Log).unwrap());
}

/// The warnings about the task that was spawned on this line; other tests run beside.
fn warnings_of(line: u32) -> Vec<String> {
    let place = format!("stalls.rs:{line}:");
    let warnings = WARNINGS.lock().unwrap();
    let of_line = warnings.iter().filter(|warning| warning.contains(&place));
    of_line.cloned().collect()
}

/// Holds the core until so many warnings are there.
fn hold(line: u32, count: usize) {
    block_until("the report", || warnings_of(line).len() == count);
}

const LIMIT: Duration = Duration::from_millis(20);

fn watched(builder: Builder) -> Builder {
    listen();
    builder.watchdog(LIMIT)
}

#[test]
fn a_task_that_holds_its_core_is_reported_while_it_does_once_each_time() {
    run_with(watched, |runtime| {
        let line = line!() + 1;
        let task = runtime.spawn(async move {
            let before = warnings_of(line).len();
            hold(line, before + 1);
            thread::sleep(LIMIT * 5);
            assert_eq!(warnings_of(line).len(), before + 1);
            krug::task::yield_now().await;
            hold(line, before + 2);
            warnings_of(line)
        });
        let warnings = runtime.block_on(task).unwrap();
        for warning in warnings {
            assert!(warning.starts_with("a task holds core 0 for "), "{warning}");
        }
    });
}

#[test]
fn the_future_of_block_on_is_reported_too() {
    run_with(watched, |runtime| {
        let line = line!() + 1;
        runtime.block_on(async {
            let before = warnings_of(line).len();
            hold(line, before + 1);
        });
    });
}

#[test]
fn a_report_names_the_core() {
    let cores = |builder| watched(builder).cores(2);
    run_with(cores, |runtime| {
        let other = runtime.core(1).unwrap();
        let line = line!() + 1;
        let task = other.spawn(async move {
            let before = warnings_of(line).len();
            hold(line, before + 1);
            warnings_of(line)
        });
        let warnings = runtime.block_on(task.unwrap()).unwrap();
        let last = warnings.last().unwrap();
        assert!(last.starts_with("a task holds core 1 for "), "{last}");
    });
}

#[test]
fn a_core_that_waits_is_not_reported() {
    run_with(watched, |runtime| {
        let line = line!() + 1;
        let task = runtime.spawn(krug::time::sleep(LIMIT * 10));
        runtime.block_on(task).unwrap();
        // Nor while nobody runs it.
        thread::sleep(LIMIT * 5);
        assert_eq!(warnings_of(line), [""; 0]);
        assert_eq!(warnings_of(line + 1), [""; 0]);
    });
}

/// Its clock stands still during a poll, and its threads are nobody's.
#[test]
fn a_simulation_ignores_the_watchdog() {
    listen();
    let runtime = Runtime::builder().driver(Driver::Sim).watchdog(LIMIT);
    let runtime = runtime.build().unwrap();
    let line = line!() + 1;
    runtime.block_on(async { thread::sleep(LIMIT * 5) });
    assert_eq!(warnings_of(line), [""; 0]);
}
