//! Runs a krug program under console-subscriber, asks over loopback what tokio-console would ask, and compares.
//! With the argument `serve` the program runs on, for a console to look at.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use console_api::async_ops::AsyncOp;
use console_api::instrument::instrument_client::InstrumentClient;
use console_api::instrument::{InstrumentRequest, Update};
use console_api::resources::{PollOp, Resource, resource::kind::Kind};
use console_api::tasks::Task;
use console_api::{async_ops, tasks};
use console_subscriber::ConsoleLayer;
use krug::net::{TcpListener, TcpStream};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let address = free_address();
    let layer = ConsoleLayer::builder()
        .server_addr(address)
        .publish_interval(Duration::from_millis(100));
    let (layer, server) = layer.build();
    // The filter of `console_subscriber::spawn`.
    let filter = filter_fn(|told| {
        let (name, target) = (told.name(), told.target());
        target.starts_with("tokio") || target.starts_with("runtime") || name.starts_with("runtime")
    });
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .init();
    std::thread::spawn(move || tokio_runtime().block_on(server.serve()).unwrap());
    std::thread::spawn(program);
    if std::env::args().nth(1).as_deref() == Some("serve") {
        println!("the console may connect to http://{address}");
        std::thread::sleep(Duration::from_secs(600));
        return;
    }
    let seen = tokio_runtime().block_on(async {
        tokio::time::timeout(PATIENCE, watch(address))
            .await
            .expect("everything that is wanted arrives in time")
    });
    println!(
        "tokio-console was told of {} tasks, {} resources, {} operations, {} polls of those",
        seen.tasks.len(),
        seen.resources.len(),
        seen.operations.len(),
        seen.polls.len()
    );
}

fn free_address() -> SocketAddr {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// A server that answers, a client that asks now and then, a file that is written: for ever.
fn program() {
    krug::Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        krug::spawn(serve(listener));
        krug::spawn(ask(address));
        krug::spawn(write());
        std::future::pending::<()>().await;
    });
}

async fn serve(listener: TcpListener) {
    loop {
        let stream = listener.accept().await.unwrap();
        krug::spawn(async move {
            let mut buf = Vec::with_capacity(5);
            loop {
                let (read, back) = stream.read(buf).await;
                if read.unwrap() == 0 {
                    return;
                }
                let (written, back) = stream.write_all(back).await;
                written.unwrap();
                buf = back;
                buf.clear();
            }
        });
    }
}

async fn ask(address: SocketAddr) {
    let stream = TcpStream::connect(address).await.unwrap();
    loop {
        stream.write_all("hello").await.0.unwrap();
        let (read, _) = stream.read_exact(vec![0; 5]).await;
        read.unwrap();
        krug::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn write() {
    let path = std::env::temp_dir().join(format!("krug-console-{}", std::process::id()));
    let file = krug::fs::File::create(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    loop {
        file.write_all_at("some bytes", 0).await.0.unwrap();
        krug::time::sleep(Duration::from_millis(20)).await;
    }
}

/// All that the console was told.
#[derive(Default)]
struct Seen {
    tasks: HashMap<u64, Task>,
    task_stats: HashMap<u64, tasks::Stats>,
    resources: HashMap<u64, Resource>,
    operations: HashMap<u64, AsyncOp>,
    operation_stats: HashMap<u64, async_ops::Stats>,
    polls: Vec<PollOp>,
}

async fn watch(address: SocketAddr) -> Seen {
    let mut client = loop {
        match InstrumentClient::connect(format!("http://{address}")).await {
            Ok(client) => break client,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let updates = client.watch_updates(InstrumentRequest {}).await.unwrap();
    let mut updates = updates.into_inner();
    let mut seen = Seen::default();
    let mut lacks = Vec::new();
    while let Ok(update) = tokio::time::timeout(PATIENCE / 2, updates.message()).await {
        seen.take_in(update.unwrap().expect("the server goes on"));
        lacks = seen.lacks();
        if lacks.is_empty() {
            return seen;
        }
        if seen.polls.len() > 2000 {
            break;
        }
    }
    panic!("the console was not told of: {lacks:?}");
}

impl Seen {
    fn take_in(&mut self, update: Update) {
        if let Some(update) = update.task_update {
            assert_eq!(update.dropped_events, 0);
            let tasks = update.new_tasks.into_iter();
            self.tasks
                .extend(tasks.map(|task| (task.id.unwrap().id, task)));
            self.task_stats.extend(update.stats_update);
        }
        if let Some(update) = update.resource_update {
            let resources = update.new_resources.into_iter();
            self.resources
                .extend(resources.map(|resource| (resource.id.unwrap().id, resource)));
            self.polls.extend(update.new_poll_ops);
        }
        if let Some(update) = update.async_op_update {
            let operations = update.new_async_ops.into_iter();
            self.operations
                .extend(operations.map(|operation| (operation.id.unwrap().id, operation)));
            self.operation_stats.extend(update.stats_update);
        }
    }

    /// What has not been seen yet.
    fn lacks(&self) -> Vec<String> {
        let mut lacks = Vec::new();
        let of_this_file = |task: &&Task| {
            let place = task.location.as_ref();
            place.is_some_and(|place| place.file().ends_with("main.rs") && place.line() > 0)
        };
        // Three of the program, one of the connection.
        let ours: Vec<_> = self.tasks.values().filter(of_this_file).collect();
        if ours.len() < 4 {
            lacks.push(format!("the places of four tasks, but of {}", ours.len()));
        }
        let is_busy = |task: &&&Task| {
            let Some(stats) = self.task_stats.get(&task.id.unwrap().id) else {
                return false;
            };
            let polls = stats.poll_stats.as_ref().map_or(0, |polls| polls.polls);
            let held = stats.waker_clones.checked_sub(stats.waker_drops);
            polls > 2
                && stats.wakes > 2
                && stats.waker_clones > 2
                && held.is_some_and(|held| held < 10)
        };
        let busy = ours.iter().filter(is_busy).count();
        if busy < 3 {
            lacks.push(format!("the polls and wakes of three tasks, but of {busy}"));
        }
        for (concrete_type, kind, source) in [
            ("TcpStream", "stream", "receive"),
            ("Listener", "listener", "accept many"),
            ("File", "file", "write"),
            ("Timer", "timer", "wait"),
        ] {
            if !self.has_operation(concrete_type, kind, source) {
                lacks.push(format!("an operation {source} of a {concrete_type}"));
            }
        }
        lacks
    }

    /// Whether there was an operation of such a resource, which a task of ours has polled twice, or waits for.
    fn has_operation(&self, concrete_type: &str, kind: &str, source: &str) -> bool {
        self.operations.iter().any(|(id, operation)| {
            let Some(resource) = operation
                .resource_id
                .and_then(|resource| self.resources.get(&resource.id))
            else {
                return false;
            };
            let stats = self.operation_stats.get(id);
            let polls = stats.and_then(|stats| stats.poll_stats.as_ref());
            let task = stats.and_then(|stats| stats.task_id);
            let is_known = task.is_some_and(|task| self.tasks.contains_key(&task.id));
            let is_ready_later = |ready| {
                let mut polls = self.polls.iter();
                polls.any(|poll| {
                    poll.async_op_id.is_some_and(|of| of.id == *id) && poll.is_ready == ready
                })
            };
            operation.source == source
                && resource.concrete_type == concrete_type
                && kind_of(resource) == kind
                && (source == "accept many"
                    || (is_known
                        && polls.is_some_and(|polls| polls.polls >= 2)
                        && is_ready_later(false)))
        })
    }
}

fn kind_of(resource: &Resource) -> &str {
    match resource.kind.as_ref().and_then(|kind| kind.kind.as_ref()) {
        Some(Kind::Known(0)) => "timer",
        Some(Kind::Other(name)) => name,
        _ => "",
    }
}
