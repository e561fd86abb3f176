//! A runtime of several cores: who runs where, how they begin and end, and what they do with each other.

#[path = "common_proof/mod.rs"]
mod common_proof;

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use common_proof::{in_time, panic_text, patience, run_outside, tcp_pair};
use krug::fs::File;
use krug::net::{TcpListener, TcpSocket, TcpStream};
use krug::runtime::{Builder, Cores, Driver, Faults, PanicPolicy, run_on_every};
use krug::task::{CancellationToken, JoinSet};
use krug::{CoreHandle, JoinHandle, Runtime, spawn_on};
use krug_tests::{
    Random, disk, driver, needs_a_kernel, passes_in_a_process_of_its_own, passes_in_a_process_with,
    until, with_settings,
};

krug_tests::on_every_driver!();

const DEADLINE: Duration = Duration::from_secs(10);

/// Runs `test` with a runtime of `count` cores, and demands that all of them end cleanly.
fn with_cores(count: usize, test: impl Fn(&Runtime)) {
    with_settings(|builder| {
        let runtime = builder.cores(count).build().unwrap();
        test(&runtime);
        assert!(runtime.shutdown(DEADLINE).is_clean());
    });
}

/// On which processors the calling thread may run.
fn affinity() -> Vec<usize> {
    // SAFETY: zero bytes are an empty set, and the call fills what it is given.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        assert_eq!(
            libc::sched_getaffinity(0, size_of_val(&set), &raw mut set),
            0
        );
        set
    };
    // SAFETY: the numbers are within the set.
    let is_in = |processor: &usize| unsafe { libc::CPU_ISSET(*processor, &set) };
    (0..libc::CPU_SETSIZE as usize).filter(is_in).collect()
}

/// Binds the calling thread to one processor.
fn bind_to(processor: usize) -> io::Result<()> {
    // SAFETY: zero bytes are an empty set, the number is one of those of `affinity`, and the call reads what it is given.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    };
    (result == 0)
        .then_some(())
        .ok_or_else(io::Error::last_os_error)
}

/// How many threads this process has.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Waits outside a runtime.
#[track_caller]
fn wait_until(is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < patience(), "it does not come");
        thread::yield_now();
    }
}

fn panics<R>(f: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f))
        .err()
        .expect("it must panic");
    panic_text(&*payload)
}

#[test]
fn wakes_and_messages_from_another_core_are_counted() {
    with_cores(2, |runtime| {
        let cores = runtime.handles();
        let metrics = || runtime.block_on(cores[1].metrics()).unwrap();
        let before = metrics();
        runtime.block_on(async {
            let (waker, wakes) = krug::cores::oneshot::channel();
            let mut waker = Some(waker);
            let waiting = std::future::poll_fn(move |cx| match waker.take() {
                Some(sender) => {
                    sender.send(cx.waker().clone()).unwrap();
                    Poll::Pending
                }
                None => Poll::Ready(()),
            });
            let task = cores[1].spawn(waiting).unwrap();
            wakes.await.unwrap().wake();
            task.await.unwrap();
        });
        let after = metrics();
        assert_eq!(after.wakes_from_afar - before.wakes_from_afar, 1);
        // The task, the wake, and the task that asks.
        assert!(after.messages - before.messages >= 3, "{after}");
    });
}

#[test]
fn each_core_is_a_thread_of_its_own_with_its_name_and_the_first_one_is_ours() {
    needs_a_kernel!("it is about threads of cores");
    with_cores(3, |runtime| {
        let threads: Vec<(usize, ThreadId, String)> = runtime.run_on_every(|core| async move {
            krug::task::yield_now().await;
            let thread = thread::current();
            (core, thread.id(), thread.name().unwrap_or("").to_owned())
        });
        let numbers: Vec<usize> = threads.iter().map(|(core, ..)| *core).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(threads[0].1, thread::current().id());
        assert_ne!(threads[1].1, threads[2].1);
        assert_eq!(
            (&*threads[1].2, &*threads[2].2),
            ("krug-core-1", "krug-core-2")
        );
    });
    with_settings(|builder| {
        let runtime = builder.cores(2).core_thread_name("shard").build().unwrap();
        let names = runtime.run_on_every(|_| async { thread::current().name().map(str::to_owned) });
        assert_eq!(names[1].as_deref(), Some("shard-1"));
    });
}

#[test]
fn other_cores_run_while_nobody_waits_in_block_on() {
    needs_a_kernel!("it is about threads of cores");
    with_cores(2, |runtime| {
        let (sender, receiver) = mpsc::channel();
        let other = runtime.core(1).unwrap();
        let task = other.spawn(async move {
            krug::time::sleep(Duration::from_millis(1)).await;
            sender.send(thread::current().id()).unwrap();
        });
        assert_ne!(
            receiver.recv_timeout(patience()).unwrap(),
            thread::current().id()
        );
        run_outside(task.unwrap()).unwrap();
        assert!(runtime.core(2).is_none());
        assert_eq!(runtime.handles().len(), 2);
        assert_eq!(runtime.handles()[0], runtime.handle());
    });
}

#[test]
fn a_core_knows_all_of_them() {
    with_cores(3, |runtime| {
        let seen = runtime.run_on_every(|core| async move {
            let all = CoreHandle::of_all_cores();
            assert_eq!(all[core], CoreHandle::current());
            all
        });
        assert!(seen.iter().all(|all| *all == runtime.handles()));
        assert!(CoreHandle::of_all_cores().is_empty(), "outside a runtime");
        // From another core than the first one, too.
        let other = runtime.core(2).unwrap();
        let task = spawn_on(other, || run_on_every(|core| async move { core * 10 }));
        assert_eq!(
            runtime.block_on(in_time(task.unwrap())).unwrap(),
            [0, 10, 20]
        );
    });
}

#[krug::test(cores = 3)]
async fn the_attribute_makes_as_many_cores_as_it_says_and_runs_on_the_first() {
    assert_eq!(CoreHandle::of_all_cores().len(), 3);
    assert_eq!(CoreHandle::of_all_cores()[0], CoreHandle::current());
}

#[krug::test(cores = "all")]
async fn the_attribute_makes_a_core_for_each_processor() {
    let expected = match driver() {
        Driver::Sim => 1,
        _ => affinity().len(),
    };
    assert_eq!(CoreHandle::of_all_cores().len(), expected);
}

#[test]
fn more_cores_than_processors_work_pinned_or_not() {
    needs_a_kernel!("it is about processors");
    let processors = affinity();
    let count = processors.len() * 2 + 1;
    for is_pinned in [false, true] {
        with_settings(|builder| {
            let runtime = builder.cores(count).pin(is_pinned).build().unwrap();
            let places = runtime.run_on_every(|core| async move {
                let (one, other) = tcp_pair().await.unwrap();
                one.write_all(vec![7; core + 1]).await.0.unwrap();
                let (result, _) = other.read_exact(Vec::with_capacity(core + 1)).await;
                result.unwrap();
                affinity()
            });
            assert_eq!(places.len(), count);
            for (core, place) in places.iter().enumerate() {
                match is_pinned {
                    true => assert_eq!((place.len(), place), (1, &places[core % processors.len()])),
                    false => assert_eq!(*place, processors),
                }
            }
            assert!(runtime.shutdown(DEADLINE).is_clean());
        });
    }
}

#[test]
fn a_pinned_core_stays_on_its_processor_and_ours_is_given_back() {
    needs_a_kernel!("it is about processors");
    let processors = affinity();
    with_settings(|builder| {
        let runtime = builder.cores(Cores::All).pin(true).build().unwrap();
        let places = runtime.run_on_every(|_| async { affinity() });
        let mut taken: Vec<usize> = places.concat();
        taken.sort_unstable();
        assert_eq!(taken, processors, "each one once");
        let helper = runtime
            .block_on(async { krug::spawn_blocking(affinity).await })
            .unwrap();
        assert_eq!(
            helper, processors,
            "a thread for work that blocks is not bound"
        );
        assert_eq!(affinity().len(), 1);
        assert!(runtime.shutdown(DEADLINE).is_clean());
        assert_eq!(affinity(), processors);
    });
}

#[test]
fn bug_093_a_set_names_processors_and_says_which_it_may_not() {
    needs_a_kernel!("it is about processors");
    let processors = affinity();
    with_settings(|builder| {
        let last = *processors.last().unwrap();
        let runtime = builder
            .clone()
            .cores(Cores::Set(vec![last]))
            .build()
            .unwrap();
        assert_eq!(runtime.run_on_every(|_| async { affinity() }), [[last]]);
        drop(runtime);
        let backwards: Vec<usize> = processors.iter().rev().copied().collect();
        let set = Cores::Set(backwards.clone());
        let runtime = builder.clone().cores(set).pin(true).build().unwrap();
        let places = runtime.run_on_every(|_| async { affinity() });
        assert_eq!(places.concat(), backwards);
        drop(runtime);
        assert_eq!(affinity(), processors);
        let refused = |cores| builder.clone().cores(cores).build().unwrap_err();
        let error = refused(Cores::Set(vec![last, 1023]));
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(
            text.contains("processor 1023") && text.contains(&format!("{processors:?}")),
            "{text}"
        );
        for none in [Cores::Set(vec![]), Cores::Count(0)] {
            assert_eq!(refused(none).kind(), io::ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn bug_093_a_process_that_may_use_one_processor_never_leaves_it() {
    needs_a_kernel!("it is about processors");
    let one = affinity()[0];
    let name = "bug_093_a_process_that_may_use_one_processor_never_leaves_it";
    let bound = |command: &mut std::process::Command| {
        // SAFETY: between fork and exec it makes one system call and allocates nothing.
        unsafe { command.pre_exec(move || bind_to(one)) };
    };
    if passes_in_a_process_with(name, bound) {
        return;
    }
    with_settings(|builder| {
        let runtime = builder.clone().cores(Cores::All).pin(true).build().unwrap();
        assert_eq!(runtime.run_on_every(|_| async { affinity() }), [[one]]);
        drop(runtime);
        // Several cores share it, and work.
        for is_pinned in [true, false] {
            let builder = builder.clone().cores(4).pin(is_pinned);
            let runtime = builder.build().unwrap();
            let places = runtime.run_on_every(|core| async move {
                let (one, other) = tcp_pair().await.unwrap();
                one.write_all(vec![7; core + 1]).await.0.unwrap();
                let (result, _) = other.read_exact(Vec::with_capacity(core + 1)).await;
                result.unwrap();
                affinity()
            });
            assert_eq!(places, vec![[one]; 4]);
            assert!(runtime.shutdown(DEADLINE).is_clean());
        }
    });
}

#[test]
fn an_error_names_the_core_and_ends_those_that_were_made() {
    needs_a_kernel!("it is about real descriptors");
    let name = "an_error_names_the_core_and_ends_those_that_were_made";
    if passes_in_a_process_of_its_own(name) {
        return;
    }
    // Enough descriptors for some cores, and not for all.
    let limit = libc::rlimit {
        rlim_cur: 60,
        rlim_max: 60,
    };
    // SAFETY: the call reads what it is given.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(set, 0);
    let settings = Runtime::builder().driver(krug_tests::driver());
    drop(settings.build().unwrap());
    let before = (threads(), common_proof::open_descriptors());
    for is_pinned in [false, true] {
        let error = settings
            .clone()
            .cores(100)
            .pin(is_pinned)
            .build()
            .unwrap_err();
        let text = error.to_string();
        let (_, number) = text.split_once("core ").expect(&text);
        let number: usize = number.split(' ').next().unwrap().parse().expect(&text);
        assert!(
            (1..100).contains(&number) && text.contains("RLIMIT_NOFILE"),
            "{text}"
        );
        assert_eq!(
            affinity().len() == 1,
            thread::available_parallelism().unwrap().get() == 1
        );
        wait_until(|| (threads(), common_proof::open_descriptors()) == before);
    }
    drop(settings.build().unwrap());
}

#[test]
fn what_is_spawned_with_a_closure_need_not_be_send_and_is_dropped_where_it_lives() {
    struct Home(Rc<Cell<u32>>, ThreadId, mpsc::Sender<bool>);
    impl Drop for Home {
        fn drop(&mut self) {
            self.2.send(thread::current().id() == self.1).unwrap();
        }
    }
    with_cores(2, |runtime| {
        let other = runtime.core(1).unwrap();
        let (sender, receiver) = mpsc::channel();
        let live = sender.clone();
        let task = spawn_on(other, move || async move {
            let home = Home(Rc::new(Cell::new(1)), thread::current().id(), live);
            krug::task::yield_now().await;
            home.0.set(home.0.get() + 41);
            home.0.get()
        });
        assert_eq!(runtime.block_on(in_time(task.unwrap())).unwrap(), 42);
        assert!(receiver.recv().unwrap());
        // Aborted: the inner future is dropped there before the joiner hears of it.
        let (begun, begin) = mpsc::channel();
        let task = spawn_on(other, move || async move {
            let _home = Home(Rc::default(), thread::current().id(), sender);
            begun.send(()).unwrap();
            pending::<()>().await;
        });
        let task = task.unwrap();
        runtime.block_on(until("it runs", || begin.try_recv().is_ok()));
        task.abort();
        assert!(runtime.block_on(in_time(task)).unwrap_err().is_cancelled());
        assert_eq!(receiver.try_recv(), Ok(true));
    });
}

#[test]
fn a_panic_of_the_closure_or_of_its_future_goes_to_the_joiner_and_the_core_lives_on() {
    with_cores(2, |runtime| {
        let other = runtime.core(1).unwrap();
        let making = spawn_on(other, || -> std::future::Ready<()> { panic!("making") });
        let polling = spawn_on(other, || async { panic!("polling") });
        let texts = runtime.block_on(in_time(async {
            let making = making.unwrap().await.unwrap_err().into_panic();
            let polling = polling.unwrap().await.unwrap_err().into_panic();
            (panic_text(&*making), panic_text(&*polling))
        }));
        assert_eq!((&*texts.0, &*texts.1), ("making", "polling"));
        let task = spawn_on(other, || async { 7 });
        assert_eq!(runtime.block_on(in_time(task.unwrap())).unwrap(), 7);
    });
}

#[test]
fn a_closure_comes_back_when_its_core_has_ended() {
    with_settings(|builder| {
        let runtime = builder.cores(2).build().unwrap();
        let handles = runtime.handles();
        drop(runtime);
        for handle in handles {
            let text = String::from("mine");
            let make = move || async move { text };
            let error = spawn_on(handle, make).unwrap_err();
            assert!(error.to_string().contains("has ended"));
            assert_eq!(run_outside((error.into_inner())()), "mine");
            assert!(!handle.is_alive());
            assert!(run_outside(handle.metrics()).is_err());
        }
    });
}

#[test]
fn a_panic_on_one_core_ends_what_runs_on_the_others_and_comes_through() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    with_cores(3, |runtime| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (counter, begun) = (dropped.clone(), Arc::new(AtomicUsize::new(0)));
        let text = panics(|| {
            runtime.run_on_every(move |core| async move {
                let _counted = Counted(counter);
                begun.fetch_add(1, Ordering::SeqCst);
                while begun.load(Ordering::SeqCst) < 3 {
                    krug::task::yield_now().await;
                }
                assert!(core != 2, "core {core} has had enough");
                // A service: it would run for ever.
                pending::<()>().await;
            })
        });
        assert_eq!(text, "core 2 has had enough");
        assert_eq!(dropped.load(Ordering::SeqCst), 3, "before it came through");
        assert_eq!(runtime.run_on_every(|core| async move { core }), [0, 1, 2]);
    });
}

#[test]
fn what_runs_on_every_core_is_aborted_when_its_future_is_dropped() {
    with_cores(3, |runtime| {
        let (sender, receiver) = mpsc::channel::<()>();
        runtime.block_on(async {
            let everywhere = run_on_every(move |_| async move {
                let _sender = sender;
                pending::<()>().await;
            });
            assert!(
                krug::time::timeout(Duration::from_millis(1), everywhere)
                    .await
                    .is_err()
            );
        });
        let is_dropped = || receiver.try_recv() == Err(mpsc::TryRecvError::Disconnected);
        runtime.block_on(until("all of it is dropped", is_dropped));
    });
    assert!(panics(|| run_outside(run_on_every(|_| async {}))).contains("needs a krug runtime"));
}

/// Handles of all kinds, made on one core.
struct Handles {
    stream: TcpStream,
    _peer: TcpStream,
    listener: TcpListener,
    file: File,
    timer: krug::time::Sleep,
}

impl Handles {
    async fn make(path: PathBuf) -> Handles {
        let (stream, _peer) = tcp_pair().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let file = File::create(path).await.unwrap();
        let timer = krug::time::sleep(Duration::from_millis(1));
        Handles {
            stream,
            _peer,
            listener,
            file,
            timer,
        }
    }

    /// On another core than that which has made them.
    async fn use_elsewhere(self) {
        let is_refused = |error: io::Error| {
            let text = error.to_string();
            assert!(text.contains("belongs to"), "{text}");
            assert_eq!(text.matches("core ").count(), 2, "{text}");
        };
        let (result, buf) = self.stream.write_all("x").await;
        is_refused(result.unwrap_err());
        assert_eq!(buf, "x");
        let (result, _) = self.stream.read(Vec::with_capacity(1)).await;
        is_refused(result.unwrap_err());
        is_refused(self.listener.accept().await.unwrap_err());
        let (result, buf) = self.file.write_at("x", 0).await;
        is_refused(result.unwrap_err());
        assert_eq!(buf, "x");
        // A timer belongs to whoever waits for it.
        self.timer.await;
    }
}

#[test]
fn streams_listeners_and_files_of_one_core_err_on_another_and_name_both() {
    with_cores(2, |runtime| {
        let folder = disk::folder();
        let path = folder.path().join("file");
        let other = runtime.core(1).unwrap();
        let task = spawn_on(other, || Handles::make(path));
        runtime.block_on(in_time(async {
            task.unwrap().await.unwrap().use_elsewhere().await;
        }));
    });
}

#[test]
fn streams_listeners_and_files_of_one_runtime_err_in_another_and_are_closed_at_home() {
    with_settings(|builder| {
        let home = builder.build().unwrap();
        let folder = disk::folder();
        let handles = home.block_on(Handles::make(folder.path().join("file")));
        let foreign = builder.build().unwrap();
        // The other one has something open, too, and under the same names.
        let own = foreign.block_on(async { tcp_pair().await.unwrap() });
        foreign.block_on(in_time(handles.use_elsewhere()));
        let are_closed = || home.metrics().sources == 0;
        home.block_on(until("all of them are closed", are_closed));
        foreign.block_on(in_time(async {
            own.0.write_all("x").await.0.unwrap();
            own.1.read_exact(Vec::with_capacity(1)).await.0.unwrap();
        }));
        drop(own);
        assert!(home.shutdown(DEADLINE).is_clean());
        assert!(foreign.shutdown(DEADLINE).is_clean());
    });
}

#[test]
fn every_core_counts_for_itself() {
    with_cores(2, |runtime| {
        let other = runtime.core(1).unwrap();
        let task = spawn_on(other, || async {
            for _ in 0..100 {
                krug::io::nop().await.unwrap();
            }
        });
        runtime.block_on(in_time(task.unwrap())).unwrap();
        let metrics = runtime.block_on(in_time(other.metrics())).unwrap();
        assert!(metrics.operations >= 100, "{metrics:?}");
        assert_eq!(metrics.tasks, 1, "the one that looks");
        assert!(runtime.metrics().operations < 100);
    });
}

async fn shared_listener(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new().reuse_port(true).bind(address).unwrap();
    socket.listen(64).await.unwrap()
}

/// Echoes on an address that several listeners share.
async fn serve(listener: TcpListener, served: Arc<AtomicUsize>) {
    loop {
        let stream = listener.accept().await.unwrap();
        served.fetch_add(1, Ordering::SeqCst);
        krug::spawn(echo(stream));
    }
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buf = Vec::with_capacity(64);
    loop {
        let (result, data) = stream.read(buf).await;
        if result? == 0 {
            return Ok(());
        }
        let (result, data) = stream.write_all(data).await;
        result?;
        buf = data;
    }
}

#[test]
fn a_sharded_echo_server_serves_from_every_core() {
    with_cores(3, |runtime| {
        let served: Vec<Arc<AtomicUsize>> = (0..3).map(|_| Arc::default()).collect();
        let (first, address) = runtime.block_on(async {
            let listener = shared_listener("127.0.0.1:0".parse().unwrap()).await;
            let address = listener.local_addr().unwrap();
            (listener, address)
        });
        let mut servers = vec![runtime.spawn(serve(first, served[0].clone()))];
        let (listening, listens) = mpsc::channel();
        for core in 1..3 {
            let (served, listening) = (served[core].clone(), listening.clone());
            let server = move || async move {
                let listener = shared_listener(address).await;
                listening.send(()).unwrap();
                serve(listener, served).await;
            };
            servers.push(spawn_on(runtime.core(core).unwrap(), server).unwrap());
        }
        runtime.block_on(in_time(async {
            for _ in 1..3 {
                until("it listens", || listens.try_recv().is_ok()).await;
            }
            // The kernel deals connections out by their ports.
            let mut connections = Vec::new();
            while served.iter().any(|count| count.load(Ordering::SeqCst) == 0) {
                let connection = TcpStream::connect(address).await.unwrap();
                connection.write_all("hello").await.0.unwrap();
                let (result, answer) = connection.read_exact(Vec::with_capacity(5)).await;
                result.unwrap();
                assert_eq!(answer, b"hello");
                connections.push(connection);
                assert!(
                    connections.len() < 1000,
                    "one core gets no connection: {served:?}"
                );
            }
            for server in &servers {
                server.abort();
            }
            for server in servers {
                assert!(server.await.unwrap_err().is_cancelled());
            }
        }));
    });
}

/// `KRUG_SHUTDOWNS` says how many there are.
#[test]
fn shutdowns_while_all_cores_are_busy_are_clean_and_in_time() {
    let count = std::env::var("KRUG_SHUTDOWNS").map_or(100, |count| count.parse().unwrap());
    let random = Random::new();
    let begin = Instant::now();
    let mut left: usize = count;
    while left > 0 {
        let rounds = left.min(100);
        with_settings(|builder| {
            (0..rounds).for_each(|_| shut_down_under_load(&builder, &random));
        });
        left -= rounds;
    }
    println!("{count} shutdowns in {:?}", begin.elapsed());
}

/// Where the tasks are when the end comes is left to chance.
fn shut_down_under_load(builder: &Builder, random: &Random) {
    let count = 2 + random.below(3);
    let builder = builder.clone().seed(random.number());
    let runtime = builder.cores(count).build().unwrap();
    let handles = runtime.handles();
    let begun = Arc::new(AtomicUsize::new(0));
    let each = 1 + random.below(4);
    for handle in &handles {
        for _ in 0..each {
            let (kind, begun) = (random.below(KINDS), begun.clone());
            let task = spawn_on(*handle, move || async move {
                begun.fetch_add(1, Ordering::SeqCst);
                busy(kind).await;
            });
            drop(task.unwrap());
        }
    }
    let caller = is_called_from_outside(random).then(|| call_until_all_end(handles.clone()));
    match random.below(3) {
        0 => {}
        1 => runtime.block_on(krug::task::yield_now()),
        _ => {
            let all_run = || begun.load(Ordering::SeqCst) == count * each;
            runtime.block_on(until("all of them run", all_run));
        }
    }
    let report = runtime.shutdown(DEADLINE);
    assert!(report.is_clean(), "{report:?}");
    assert!(handles.iter().all(|handle| !handle.is_alive()));
    if let Some(caller) = caller {
        caller.join().unwrap();
    }
}

/// Now and then; a simulation would not be the same again.
fn is_called_from_outside(random: &Random) -> bool {
    random.below(4) == 0 && driver() != Driver::Sim
}

/// A thread without a runtime that sends work to all cores as long as there is one.
fn call_until_all_end(mut handles: Vec<CoreHandle>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while !handles.is_empty() {
            handles.retain(|handle| {
                let task = spawn_on(*handle, || krug::time::sleep(Duration::from_millis(1)));
                let is_alive = task.is_ok();
                if let Ok(task) = task {
                    task.abort();
                }
                is_alive
            });
            thread::sleep(Duration::from_micros(50));
        }
    })
}

/// How many kinds of business there are.
const KINDS: usize = 8;

/// Does something for ever; or until another core has ended, which is a little earlier.
async fn busy(kind: usize) {
    match kind {
        0 => loop {
            krug::task::yield_now().await;
        },
        1 => loop {
            krug::io::nop().await.unwrap();
        },
        2 => loop {
            let (one, other) = tcp_pair().await.unwrap();
            one.write_all("hello").await.0.unwrap();
            other.read_exact(Vec::with_capacity(5)).await.0.unwrap();
        },
        3 => {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            drop(listener.accept().await);
        }
        4 => {
            let (one, _other) = tcp_pair().await.unwrap();
            drop(one.read(Vec::with_capacity(5)).await);
        }
        5 => {
            let timers = (1..100).map(|place| {
                krug::spawn(async move {
                    loop {
                        krug::time::sleep(Duration::from_micros(place * 37)).await;
                    }
                })
            });
            let timers: Vec<_> = timers.collect();
            pending::<()>().await;
            drop(timers);
        }
        6 => call_all_cores(|task| async { drop(task.await) }).await,
        _ => {
            call_all_cores(|task| async {
                drop(task);
                krug::task::yield_now().await;
            })
            .await;
        }
    }
}

/// Sends work to one core after the other, and does something with each task.
async fn call_all_cores<F: Future>(then: impl Fn(JoinHandle<()>) -> F) {
    let cores = CoreHandle::of_all_cores();
    for core in cores.into_iter().cycle() {
        let Ok(task) = spawn_on(core, || async {
            let here = Rc::new(());
            krug::task::yield_now().await;
            drop(here);
        }) else {
            return;
        };
        then(task).await;
    }
}

#[test]
fn a_core_whose_task_does_not_give_way_is_reported_and_ends_when_it_can() {
    needs_a_kernel!("it is about threads of cores");
    with_settings(|builder| {
        let runtime = builder.cores(3).build().unwrap();
        let stuck = runtime.core(1).unwrap();
        let (key, lock) = mpsc::channel::<()>();
        let (begun, begin) = mpsc::channel();
        let task = stuck.spawn(async move {
            begun.send(()).unwrap();
            let _ = lock.recv();
        });
        begin.recv_timeout(patience()).unwrap();
        let report = runtime.shutdown(Duration::from_millis(1));
        assert_eq!((report.cores_stuck, report.cores_failed), (1, 0));
        assert!(!report.is_clean());
        assert!(stuck.is_alive());
        drop(key);
        wait_until(|| !stuck.is_alive());
        run_outside(task.unwrap()).unwrap();
    });
}

#[test]
fn a_core_whose_driver_breaks_is_reported_and_the_others_live_on() {
    needs_a_kernel!("it makes the kernel fail");
    with_settings(|builder| {
        // Core 0 rests, so all these turns are those of core 1.
        let broken = (3..50).fold(Faults::new(), |faults, nth| faults.enter(nth, libc::EBADR));
        let runtime = builder.cores(2).faults(broken).build().unwrap();
        let other = runtime.core(1).unwrap();
        let task = spawn_on(other, || async {
            loop {
                krug::io::nop().await.unwrap();
                krug::time::sleep(Duration::from_micros(1)).await;
            }
        });
        let joined: Result<(), _> = run_outside(task.unwrap());
        assert!(joined.unwrap_err().is_cancelled());
        wait_until(|| !other.is_alive());
        assert!(other.spawn(async {}).is_err());
        let report = runtime.shutdown(DEADLINE);
        assert_eq!((report.cores_stuck, report.cores_failed), (0, 1));
    });
}

/// How many rings this process has.
fn rings() -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links
        .filter(|link| link.as_os_str() == "anon_inode:[io_uring]")
        .count()
}

#[test]
fn all_cores_have_the_driver_of_the_first_one() {
    needs_a_kernel!("it counts real rings");
    if passes_in_a_process_of_its_own("all_cores_have_the_driver_of_the_first_one") {
        return;
    }
    for driver in [Driver::Auto, krug_tests::driver(), Driver::Epoll] {
        let runtime = Runtime::builder().driver(driver).cores(3).build().unwrap();
        let expected = match runtime.driver() {
            Driver::Uring => 3,
            _ => 0,
        };
        assert_eq!(rings(), expected, "{driver:?}");
    }
}

#[test]
fn a_forked_child_leaves_the_cores_to_its_parent() {
    needs_a_kernel!("it forks the process");
    if passes_in_a_process_of_its_own("a_forked_child_leaves_the_cores_to_its_parent") {
        return;
    }
    let runtime = Runtime::builder()
        .driver(krug_tests::driver())
        .cores(2)
        .build()
        .unwrap();
    // SAFETY: the child only drops what it does not own, and allocates; the C library makes its locks whole in a child.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(runtime);
        // SAFETY: ends this process without what the parent has registered for its end.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: the child is ours, and the status lives until the call returns.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child's status");
    assert_eq!(runtime.run_on_every(|core| async move { core }), [0, 1]);
    assert!(runtime.shutdown(DEADLINE).is_clean());
}
#[test]
fn a_panic_on_one_core_ends_all_cores_of_its_runtime() {
    with_settings(|builder| {
        let builder = builder.cores(3).panic_policy(PanicPolicy::Shutdown);
        let runtime = builder.build().unwrap();
        let (of_two, other) = (runtime.core(2).unwrap(), runtime.core(1).unwrap());
        let cancelled = other.spawn(pending::<()>()).unwrap();
        drop(of_two.spawn(async { panic!("on the last core") }).unwrap());
        let said = panics(|| runtime.block_on(pending::<()>()));
        assert!(said.contains("on the last core"), "{said}");
        assert!(run_outside(cancelled).unwrap_err().is_cancelled());
        wait_until(|| !of_two.is_alive() && !other.is_alive());
        assert!(runtime.shutdown(DEADLINE).is_clean());
    });
}

#[test]
fn a_set_spans_cores_and_is_joined_in_the_order_of_the_ends() {
    with_settings(|builder| {
        let runtime = builder.cores(2).build().unwrap();
        let cores = runtime.handles();
        runtime.block_on(in_time(async {
            let mut set = JoinSet::new();
            for number in 0..200_u64 {
                let make = move || async move {
                    let here = Rc::new(number);
                    krug::time::sleep(Duration::from_micros(number % 7)).await;
                    *here
                };
                set.spawn_on(cores[number as usize % 2], make).unwrap();
            }
            let mut joined = Vec::new();
            while let Some(one) = set.join_next().await {
                joined.push(one.unwrap());
            }
            joined.sort_unstable();
            assert_eq!(joined, (0..200).collect::<Vec<_>>());
            let first = set.spawn_on(cores[1], pending::<u64>).unwrap();
            set.spawn_on(cores[1], || async { 7 }).unwrap();
            assert_eq!(set.join_next().await.unwrap().unwrap(), 7);
            set.shutdown().await;
            assert!(first.is_finished());
        }));
        let ended = cores[1];
        assert!(runtime.shutdown(DEADLINE).is_clean());
        let mut set = JoinSet::<u32>::new();
        assert!(set.spawn_on(ended, pending::<u32>).is_err() && set.is_empty());
    });
}

#[test]
fn a_token_cancelled_by_a_thread_ends_tasks_and_futures_of_other_executors() {
    with_cores(1, |runtime| {
        let token = CancellationToken::new();
        let (below, beside) = (token.child_token(), token.clone());
        let outside = thread::spawn(move || run_outside(beside.cancelled_owned()));
        let canceller = thread::spawn(move || token.cancel());
        runtime.block_on(in_time(async {
            let waits = below.run_until_cancelled(pending::<()>());
            assert_eq!(waits.await, None);
        }));
        canceller.join().unwrap();
        outside.join().unwrap();
    });
}
