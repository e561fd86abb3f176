//! What subscribers of `tracing` see of tasks and operations.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once};

use krug::Runtime;
use krug::net::UnixStream;
use krug_tests::run;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};

krug_tests::on_every_driver!();

/// What a subscriber was told of one span.
#[derive(Clone, Debug, Default, PartialEq)]
struct Told {
    name: &'static str,
    fields: BTreeMap<&'static str, String>,
    enters: usize,
    exits: usize,
    is_closed: bool,
}

/// Everything that was told in this process.
struct Heard {
    spans: BTreeMap<u64, Told>,
    events: Vec<BTreeMap<&'static str, String>>,
}

static HEARD: Mutex<Heard> = Mutex::new(Heard {
    spans: BTreeMap::new(),
    events: Vec::new(),
});

fn heard() -> MutexGuard<'static, Heard> {
    HEARD.lock().unwrap()
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

struct Listener;

impl tracing::Subscriber for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("krug::")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut told = Told {
            name: attributes.metadata().name(),
            ..Told::default()
        };
        attributes.record(&mut Fields(&mut told.fields));
        heard().spans.insert(id, told);
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        heard().events.push(fields);
    }

    fn enter(&self, id: &Id) {
        heard().spans.get_mut(&id.into_u64()).unwrap().enters += 1;
    }

    fn exit(&self, id: &Id) {
        heard().spans.get_mut(&id.into_u64()).unwrap().exits += 1;
    }

    fn try_close(&self, id: Id) -> bool {
        heard().spans.get_mut(&id.into_u64()).unwrap().is_closed = true;
        true
    }
}

fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| tracing::subscriber::set_global_default(Listener).unwrap());
}

/// The last span of a task that was spawned on this line of this file.
fn span_of(line: u32) -> Told {
    let heard = heard();
    let mut spans = heard.spans.values().rev();
    let found = spans.find(|told| {
        told.fields["loc.file"].ends_with("spans.rs") && told.fields["loc.line"] == line.to_string()
    });
    found.expect("a span of the task").clone()
}

#[test]
fn a_task_has_a_span_that_each_poll_enters_and_its_end_closes() {
    listen();
    run(|runtime| {
        runtime.block_on(async {
            let line = line!() + 1;
            let task = krug::spawn(async {
                krug::task::yield_now().await;
                krug::task::yield_now().await;
            });
            let told = span_of(line);
            assert_eq!((told.name, told.fields["kind"].as_str()), ("task", "task"));
            assert_eq!((told.enters, told.is_closed), (0, false));
            task.await.unwrap();
            let told = span_of(line);
            assert_eq!((told.enters, told.exits, told.is_closed), (3, 3, true));
        });
    });
}

#[test]
fn the_span_of_an_aborted_task_is_closed() {
    listen();
    run(|runtime| {
        runtime.block_on(async {
            let line = line!() + 1;
            let task = krug::spawn(std::future::pending::<()>());
            task.abort();
            task.await.unwrap_err();
            assert!(span_of(line).is_closed);
        });
    });
}

#[test]
fn the_span_of_a_task_is_closed_when_its_runtime_ends() {
    listen();
    let runtime = Runtime::new().unwrap();
    let line = line!() + 1;
    let task = runtime.spawn(std::future::pending::<()>());
    assert!(!span_of(line).is_closed);
    drop(runtime);
    assert!(span_of(line).is_closed && task.is_finished());
}

#[test]
fn an_operation_is_told_when_it_begins_and_when_it_completes() {
    listen();
    run(|runtime| {
        runtime.block_on(async {
            let (one, _other) = UnixStream::pair().unwrap();
            one.shutdown(Shutdown::Write).await.unwrap();
        });
        let heard = heard();
        let of_shutdown = |message: &str| {
            let mut events = heard
                .events
                .iter()
                .filter(|event| event["kind"] == "shutdown" && event["message"] == message);
            events.next().cloned()
        };
        let begin = of_shutdown("begins").unwrap();
        let end = of_shutdown("completes").unwrap();
        assert_eq!(end["result"], "0");
        assert!(begin.contains_key("slot") && end.contains_key("slot"));
    });
}
