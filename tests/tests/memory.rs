//! Nothing the kernel may still write to is ever freed, and nothing is kept for ever,
//! whatever safe code does with a future: leaks it, moves it, outlives the runtime with it.

#[path = "common_proof/canary.rs"]
mod canary;
#[path = "common_proof/mod.rs"]
mod common_proof;
#[path = "common_proof/futures.rs"]
mod futures;

use std::cell::RefCell;
use std::io::Write;
use std::mem;
use std::os::unix::net::UnixStream as Peer;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common_proof::{
    in_time, open_descriptors, panic_text, poll_once, run_outside, stream_and_peer,
    stream_and_sender,
};
use futures::{Abroad, Case};
use krug::Runtime;
use krug::buf::{IoBuf, IoBufMut};
use krug::net::UnixStream;
use krug::runtime::Faults;
use krug_tests::alone;

krug_tests::on_every_driver!();

#[global_allocator]
static CANARY: canary::Canary = canary::Canary;

/// The runtime still does its work, and knows of everything that completes.
fn check_health(runtime: &Runtime) {
    runtime.block_on(in_time(async {
        let (one, other) = UnixStream::pair().unwrap();
        one.write_all("alive").await.0.unwrap();
        let (result, buf) = other.read_exact(Vec::with_capacity(5)).await;
        result.unwrap();
        assert_eq!(buf, b"alive");
    }));
    assert_eq!(runtime.metrics().stale_completions, 0);
}

#[test]
fn every_future_may_be_forgotten_after_its_first_poll() {
    let _alone = alone();
    let runtime = Runtime::new().unwrap();
    canary::watch();
    let kept: Vec<_> = runtime.block_on(async {
        let cases = futures::started().await;
        let finish = |case: Case| {
            mem::forget(case.future);
            (case.finish)()
        };
        cases.into_iter().map(finish).collect()
    });
    runtime.block_on(krug::time::sleep(Duration::from_millis(5)));
    check_health(&runtime);
    assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
    drop(kept);
    assert!(canary::check() > 0);
}

#[test]
fn every_future_may_be_forgotten_and_its_runtime_end() {
    let _alone = alone();
    let runtime = Runtime::new().unwrap();
    canary::watch();
    let cases = runtime.block_on(futures::started());
    let mut finishes = Vec::new();
    for case in cases {
        mem::forget(case.future);
        finishes.push(case.finish);
    }
    assert!(runtime.shutdown(Duration::from_millis(100)).is_clean());
    for finish in finishes {
        finish();
    }
    assert!(canary::check() > 0);
}

#[test]
fn local_futures_may_be_forgotten_after_their_first_poll() {
    let _alone = alone();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(in_time(async {
        let (to_one, one) = krug::sync::oneshot::channel::<String>();
        let (to_many, mut many) = krug::sync::mpsc::channel::<String>(1);
        let notify = std::rc::Rc::new(krug::sync::Notify::new());
        let waits = notify.clone();
        let futures: Vec<Pin<Box<dyn Future<Output = ()>>>> = vec![
            Box::pin(async move { drop(one.await) }),
            Box::pin(async move { drop(many.recv().await) }),
            Box::pin(async move { waits.notified().await }),
            Box::pin(async {
                krug::task::yield_now().await;
            }),
        ];
        for mut future in futures {
            assert!(poll_once(&mut future).await.is_pending());
            mem::forget(future);
        }
        // Whether they arrive is not asked: they were forgotten together with their receivers.
        let _ = to_one.send("one".into());
        let _ = to_many.try_send("many".into());
        notify.notify_one();
        krug::task::yield_now().await;
    }));
    check_health(&runtime);
}

/// Sends every future away after its first poll, then lets it resolve.
fn move_all(run: fn(futures::Running) -> String, expected: fn(&Case) -> Abroad) {
    let runtime = Runtime::new().unwrap();
    let cases = runtime.block_on(futures::started());
    let mut journeys = Vec::new();
    for case in cases {
        let (name, expected) = (case.name, expected(&case));
        let travel = std::thread::Builder::new().name(name.into());
        let future = case.future;
        let thread = travel
            .spawn(move || catch_unwind(AssertUnwindSafe(|| run(future))))
            .unwrap();
        let peer = runtime.block_on(async { (case.finish)() });
        journeys.push((name, expected, thread, peer));
    }
    runtime.block_on(in_time(async {
        while journeys
            .iter()
            .any(|(_, _, thread, _)| !thread.is_finished())
        {
            krug::time::sleep(Duration::from_millis(1)).await;
        }
    }));
    for (name, expected, thread, _peer) in journeys {
        let result = thread
            .join()
            .unwrap()
            .unwrap_or_else(|panic| panic_text(&*panic));
        match expected {
            Abroad::Same(text) => assert_eq!(result, text, "{name}"),
            Abroad::Error(part) => assert!(result.contains(part), "{name}: {result}"),
            Abroad::SameOrError(text, part) => {
                assert!(result == text || result.contains(part), "{name}: {result}");
            }
        }
    }
    check_health(&runtime);
}

#[test]
fn every_future_moves_to_another_core_after_its_first_poll() {
    krug_tests::needs_a_kernel!("each core of a simulation is a world by itself");
    let _alone = alone();
    move_all(
        |future| Runtime::new().unwrap().block_on(future),
        |case| case.elsewhere,
    );
}

#[test]
fn every_future_moves_to_a_thread_without_a_runtime_after_its_first_poll() {
    let _alone = alone();
    move_all(run_outside, |case| case.outside);
}

#[test]
fn every_future_moves_to_another_task_after_its_first_poll() {
    let _alone = alone();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(in_time(async {
        let mut tasks = Vec::new();
        for case in futures::started().await {
            tasks.push((case.name, krug::spawn(case.future), (case.finish)()));
        }
        for (name, task, _peer) in tasks {
            let result = task.await.unwrap();
            assert!(!result.contains("error"), "{name}: {result}");
        }
    }));
    check_health(&runtime);
}

#[test]
fn every_future_may_be_dropped_on_another_thread_after_its_first_poll() {
    let _alone = alone();
    let runtime = Runtime::new().unwrap();
    canary::watch();
    let mut cases = runtime.block_on(futures::started());
    let futures: Vec<_> = cases
        .iter_mut()
        .map(|case| mem::replace(&mut case.future, Box::pin(async { String::new() })))
        .collect();
    std::thread::spawn(move || drop(futures)).join().unwrap();
    let kept: Vec<_> = cases.into_iter().map(|case| (case.finish)()).collect();
    // In a simulation that, too, belongs to this runtime, and would be found in use.
    let is_simulated = krug_tests::driver() == krug::runtime::Driver::Sim;
    let kept = (!is_simulated).then_some(kept);
    runtime.block_on(in_time(async {
        while runtime.metrics().sources > 0 || runtime.metrics().operations_alive > 0 {
            krug::time::sleep(Duration::from_millis(1)).await;
        }
    }));
    check_health(&runtime);
    drop(kept);
    assert!(canary::check() > 0);
}

#[test]
fn every_future_resolves_after_the_end_of_its_runtime() {
    let _alone = alone();
    let runtime = Runtime::new().unwrap();
    let cases = runtime.block_on(futures::started());
    assert!(runtime.shutdown(Duration::from_millis(100)).is_clean());
    for (index, case) in cases.into_iter().enumerate() {
        // What waits for a time does so wherever it is polled.
        let is_timer = case.is_timer() || case.name == "timeout";
        let future = case.future;
        let run = move || match is_timer {
            true => Runtime::new().unwrap().block_on(future),
            false => run_outside(future),
        };
        // On its own thread, and on another.
        let result = if index % 2 == 0 {
            run()
        } else {
            std::thread::spawn(run).join().unwrap()
        };
        assert!(!result.is_empty(), "{}", case.name);
    }
}

#[test]
fn every_future_may_be_dropped_after_the_end_of_its_runtime_and_leaves_nothing() {
    krug_tests::needs_a_kernel!("it counts what the process has open or allocated");
    let _alone = alone();
    let round = || {
        let runtime = Runtime::new().unwrap();
        let cases = runtime.block_on(futures::started());
        assert!(runtime.shutdown(Duration::from_millis(100)).is_clean());
        std::thread::spawn(move || drop(cases)).join().unwrap();
    };
    round();
    let (before, descriptors) = (canary::live_bytes(), open_descriptors());
    for _ in 0..4 {
        round();
    }
    let grown = canary::live_bytes() - before;
    // One buffer that is left over in each round is 3000 bytes.
    assert!(grown < 3000 * 4, "{grown} bytes are left");
    assert_eq!(open_descriptors(), descriptors);
}

/// As many reads in flight as asked for, on streams of their own, with the peers that can make them complete.
async fn reads_in_flight(count: usize) -> (Vec<Rc<UnixStream>>, Vec<LocalFuture>, Vec<Peer>) {
    let (mut streams, mut reads, mut peers) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let (stream, peer) = stream_and_peer();
        let stream = Rc::new(stream);
        streams.push(stream.clone());
        let mut read: LocalFuture = Box::pin(async move {
            drop(stream.read(Vec::with_capacity(3000)).await);
        });
        assert!(poll_once(&mut read).await.is_pending());
        reads.push(read);
        peers.push(peer);
        // One poll of this future has a budget, which so many reads would exceed.
        krug::task::yield_now().await;
    }
    krug::io::nop().await.unwrap();
    (streams, reads, peers)
}

type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

const READS: usize = 1000;

#[test]
fn memory_of_a_thousand_reads_dropped_in_flight_stays_until_the_kernel_has_let_go() {
    krug_tests::needs_a_kernel!("it needs a kernel that reads into memory late");
    let _alone = alone();
    common_proof::raise_descriptor_limit();
    let runtime = Runtime::new().unwrap();
    let (streams, reads, mut peers) = runtime.block_on(reads_in_flight(READS));
    canary::watch();
    runtime.block_on(in_time(async {
        drop(reads);
        for peer in &mut peers {
            peer.write_all(&[0x77; 3000]).unwrap();
        }
        while runtime.metrics().operations_alive > 0 {
            krug::task::yield_now().await;
        }
    }));
    assert!(canary::check() >= READS);
    assert_eq!(runtime.metrics().adopted, READS as u64);
    runtime.block_on(in_time(async {
        for stream in streams {
            let (result, buf) = stream.read(Vec::with_capacity(3000)).await;
            assert_eq!((result.unwrap(), &buf[..]), (3000, &[0x77; 3000][..]));
        }
    }));
    check_health(&runtime);
}

#[test]
fn bug_027_what_describes_several_buffers_stays_until_the_kernel_has_let_go() {
    let _alone = alone();
    let runtime = Runtime::new().unwrap();
    let (streams, mut peers) = runtime.block_on(async {
        let (mut streams, mut peers) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            let (stream, peer) = stream_and_sender();
            streams.push(Rc::new(stream));
            peers.push(peer);
        }
        (streams, peers)
    });
    canary::watch();
    runtime.block_on(in_time(async {
        for stream in &streams {
            let stream = stream.clone();
            let mut read: LocalFuture = Box::pin(async move {
                let bufs = [Vec::with_capacity(1000), Vec::with_capacity(2000)];
                drop(stream.read_vectored(bufs).await);
            });
            assert!(poll_once(&mut read).await.is_pending());
            krug::task::yield_now().await;
            krug::io::nop().await.unwrap();
            // The kernel has the header of the message, the list of the buffers, and the buffers.
            drop(read);
        }
        for peer in &mut peers {
            peer.send(&[0x77; 3000]).await;
        }
        while runtime.metrics().operations_alive > 0 {
            krug::task::yield_now().await;
        }
    }));
    assert!(canary::check() > 0);
    runtime.block_on(in_time(async {
        for stream in streams {
            let (result, buf) = stream.read_exact(Vec::with_capacity(3000)).await;
            result.unwrap();
            assert_eq!(buf, [0x77; 3000]);
        }
    }));
    check_health(&runtime);
}

#[test]
fn memory_of_a_thousand_reads_stays_until_their_closed_streams_have_let_go() {
    let _alone = alone();
    common_proof::raise_descriptor_limit();
    let runtime = Runtime::new().unwrap();
    let (streams, reads, mut peers) = runtime.block_on(reads_in_flight(READS));
    canary::watch();
    runtime.block_on(in_time(async {
        drop((reads, streams));
        for peer in &mut peers {
            // The stream may be closed already.
            let _ = peer.write_all(&[0x77; 3000]);
        }
        while runtime.metrics().operations_alive > 0 {
            krug::task::yield_now().await;
        }
    }));
    assert!(canary::check() >= READS);
    check_health(&runtime);
}

#[test]
fn a_runtime_dropped_with_a_thousand_reads_in_flight_waits_until_the_kernel_has_let_go() {
    let _alone = alone();
    common_proof::raise_descriptor_limit();
    let runtime = Runtime::new().unwrap();
    let mut peers = runtime.block_on(async {
        let (_streams, reads, peers) = reads_in_flight(READS).await;
        for read in reads {
            drop(krug::spawn(read));
        }
        krug::task::yield_now().await;
        peers
    });
    assert!(runtime.metrics().operations_alive >= READS);
    canary::watch();
    assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
    for peer in &mut peers {
        let _ = peer.write_all(&[0x77; 3000]);
    }
    assert!(canary::check() >= READS);
}

/// A buffer that tells when it is dropped.
struct Told {
    bytes: Vec<u8>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Told {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: passes on to a vector, which keeps the contract and is not touched otherwise.
unsafe impl IoBuf for Told {
    fn as_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.bytes.len()
    }

    fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

// SAFETY: as above.
unsafe impl IoBufMut for Told {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    unsafe fn set_initialized(&mut self, len: usize) {
        // SAFETY: passed on to the caller.
        unsafe { self.bytes.set_initialized(len) }
    }
}

#[test]
fn a_shutdown_past_its_deadline_frees_nothing_and_says_so() {
    let _alone = alone();
    let faults = Faults::new().withhold(2);
    let runtime = Runtime::builder().faults(faults.clone()).build().unwrap();
    let dropped = Arc::new(AtomicUsize::new(0));
    let mut peers = Vec::new();
    runtime.block_on(async {
        for _ in 0..3 {
            let (stream, peer) = stream_and_peer();
            let buf = Told {
                bytes: Vec::with_capacity(3000),
                dropped: dropped.clone(),
            };
            drop(krug::spawn(async move { drop(stream.read(buf).await) }));
            peers.push(peer);
        }
        krug::io::nop().await.unwrap();
    });
    assert_eq!(faults.pending(), 0, "one of the reads will never end");
    let log = log_of(|| {
        let report = runtime.shutdown(Duration::from_millis(30));
        assert!(!report.is_clean());
        assert_eq!((report.operations, report.tasks), (1, 0));
    });
    assert_eq!(
        dropped.load(Ordering::Relaxed),
        2,
        "the buffer of the third is leaked, not freed"
    );
    assert!(log.contains("1 operations still in flight"), "{log}");
    assert!(log.contains("leaked"), "{log}");
}

#[test]
fn a_shutdown_without_any_time_still_ends_what_needs_no_waiting() {
    let _alone = alone();
    let faults = Faults::new().withhold(7);
    for (faults, leaked) in [(Faults::new(), 0), (faults, 1)] {
        let runtime = Runtime::builder().faults(faults).build().unwrap();
        let dropped = Arc::new(AtomicUsize::new(0));
        let _peers: Vec<Peer> = runtime.block_on(async {
            let mut peers = Vec::new();
            for _ in 0..100 {
                let (stream, peer) = stream_and_peer();
                let buf = Told {
                    bytes: Vec::with_capacity(3000),
                    dropped: dropped.clone(),
                };
                drop(krug::spawn(async move { drop(stream.read(buf).await) }));
                peers.push(peer);
            }
            krug::io::nop().await.unwrap();
            peers
        });
        let report = runtime.shutdown(Duration::ZERO);
        assert_eq!(report.operations, leaked);
        assert_eq!(dropped.load(Ordering::Relaxed), 100 - leaked);
    }
}

#[test]
fn who_waits_for_a_leaked_operation_is_told() {
    let _alone = alone();
    let runtime = Runtime::builder()
        .faults(Faults::new().withhold(1))
        .build()
        .unwrap();
    let (read, peer) = runtime.block_on(async {
        let (stream, peer) = stream_and_peer();
        let mut read = Box::pin(async move {
            stream
                .read(Vec::with_capacity(3000))
                .await
                .0
                .map_err(|error| error.to_string())
        });
        assert!(poll_once(&mut read).await.is_pending());
        (read, peer)
    });
    let started = Arc::new(std::sync::Barrier::new(2));
    let waits = started.clone();
    let elsewhere = std::thread::spawn(move || {
        let mut read = read;
        let mut is_first = true;
        catch_unwind(AssertUnwindSafe(|| {
            run_outside(std::future::poll_fn(move |cx| {
                let polled = read.as_mut().poll(cx);
                if mem::take(&mut is_first) {
                    waits.wait();
                }
                polled
            }))
        }))
    });
    started.wait();
    // Its question arrives.
    runtime.block_on(krug::task::yield_now());
    assert_eq!(runtime.shutdown(Duration::from_millis(30)).operations, 1);
    let panic = elsewhere
        .join()
        .unwrap()
        .expect_err("there is no buffer to give back");
    assert!(
        panic_text(&*panic).contains("outlived its runtime"),
        "{}",
        panic_text(&*panic)
    );
    drop(peer);
}

#[test]
fn a_thousand_runtimes_leave_descriptors_and_memory_flat() {
    krug_tests::needs_a_kernel!("it counts what the process has open or allocated");
    let _alone = alone();
    let mut address = None;
    let mut round = || {
        let runtime = Runtime::builder().entries(8).build().unwrap();
        let peer = runtime.block_on(async {
            drop(krug::spawn(krug::time::sleep(Duration::from_secs(3600))));
            let listener = krug::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            address = Some(listener.local_addr().unwrap());
            drop(krug::spawn(async move { drop(listener.accept().await) }));
            let (stream, peer) = stream_and_peer();
            drop(krug::spawn(async move {
                drop(stream.read(Vec::with_capacity(3000)).await)
            }));
            krug::io::nop().await.unwrap();
            peer
        });
        drop(runtime);
        drop(peer);
    };
    for _ in 0..20 {
        round();
    }
    let (bytes, resident, descriptors) =
        (canary::live_bytes(), resident_bytes(), open_descriptors());
    for _ in 0..1000 {
        round();
    }
    let grown = canary::live_bytes() - bytes;
    println!("{grown} bytes, resident {}", resident_bytes() - resident);
    assert!(grown < 50_000, "{grown} bytes are left of 1000 runtimes");
    assert!(
        resident_bytes() - resident < 16 << 20,
        "resident memory has grown"
    );
    assert_eq!(open_descriptors(), descriptors);
}

fn resident_bytes() -> isize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: isize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

thread_local! {
    static STREAM: RefCell<Option<UnixStream>> = const { RefCell::new(None) };
    static FUTURE: RefCell<Option<futures::Running>> = const { RefCell::new(None) };
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

/// Locals are dropped in an order of the system's own; `reverse` gives the other one.
fn leave_in_locals(reverse: bool) {
    if reverse {
        RUNTIME.with(|_| ());
        FUTURE.with(|_| ());
        STREAM.with(|_| ());
    }
    let runtime = Runtime::new().unwrap();
    let (stream, future) = runtime.block_on(async {
        let (stream, peer) = stream_and_peer();
        let (other, _) = stream_and_peer();
        mem::forget(peer);
        let mut read: futures::Running =
            Box::pin(async move { format!("{:?}", stream.read(Vec::with_capacity(3000)).await.0) });
        assert!(poll_once(&mut read).await.is_pending());
        (other, read)
    });
    STREAM.set(Some(stream));
    FUTURE.set(Some(future));
    RUNTIME.set(Some(runtime));
}

#[test]
fn runtime_streams_and_futures_may_be_thread_locals() {
    krug_tests::needs_a_kernel!("it counts what the process has open or allocated");
    let _alone = alone();
    let descriptors = open_descriptors();
    for reverse in [false, true] {
        std::thread::spawn(move || leave_in_locals(reverse))
            .join()
            .unwrap();
    }
    // The two peers that were forgotten; the rings and all else are closed.
    assert_eq!(open_descriptors(), descriptors + 2);
}

/// Writes everything to [`LOG`].
struct Log;

static LOG: Mutex<String> = Mutex::new(String::new());

struct Message<'a>(&'a mut String);

impl tracing::field::Visit for Message<'_> {
    fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{value:?} "));
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        // What is told of each operation would be memory that grows.
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Message(&mut LOG.lock().unwrap()));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// What is logged while `f` runs; the tests take turns, so nobody else logs.
fn log_of(f: impl FnOnce()) -> String {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Log).unwrap());
    LOG.lock().unwrap().clear();
    f();
    LOG.lock().unwrap().clone()
}
