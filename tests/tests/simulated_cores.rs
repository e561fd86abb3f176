//! Several cores on one thread: those of a simulated host, and those of a runtime on the simulated driver, find each other, talk and end,
//! and a seed repeats it. Several worlds on one thread, too.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use krug::net::{TcpListener, TcpStream};
use krug::runtime::{Builder, Cores, Driver, run_on_every};
use krug::sim::Sim;
use krug::time::{now, sleep};
use krug::{CoreHandle, Runtime, spawn, spawn_blocking, spawn_on};
use krug_tests::passes_in_a_process_with;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

type Log = Rc<RefCell<Vec<String>>>;

/// Four cores of a host that all draw, sleep and send each other work.
fn talking(sim: &mut Sim, log: &Log) {
    let log = log.clone();
    sim.host_with_cores("server", 4, move |core| {
        let log = log.clone();
        async move {
            let cores = CoreHandle::of_all_cores();
            for round in 0..10 {
                let to = krug::rand::below(4) as usize;
                let task = spawn_on(cores[to], move || async move {
                    sleep(MS * krug::rand::below(5) as u32).await;
                    core * 100 + round
                });
                let answer = task.unwrap().await.unwrap();
                assert_eq!(answer, core * 100 + round);
                log.borrow_mut().push(format!("{core} to {to}: {answer}"));
            }
            sleep(HOUR).await;
        }
    });
}

#[test]
fn cores_of_a_simulated_host_know_all_of_them_before_any_begins() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let mut sim = Sim::new(1);
    let seen_by_host = seen.clone();
    sim.host_with_cores("server", 3, move |core| {
        let cores = CoreHandle::of_all_cores();
        assert_eq!(cores[core], CoreHandle::current());
        seen_by_host.borrow_mut().push(cores);
        sleep(HOUR)
    });
    sim.host("other", || sleep(HOUR));
    sim.client("alone", async {
        assert_eq!(CoreHandle::of_all_cores(), [CoreHandle::current()]);
    });
    sim.run().unwrap();
    let seen = seen.borrow();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].len(), 3);
    assert!(seen.iter().all(|cores| *cores == seen[0]));
}

#[test]
fn work_can_be_sent_to_a_core_that_has_not_begun() {
    let done = Rc::new(RefCell::new(Vec::new()));
    let mut sim = Sim::new(2);
    let done_by_host = done.clone();
    sim.host_with_cores("server", 2, move |core| {
        let last = CoreHandle::of_all_cores()[1];
        let task = spawn_on(last, move || async move { core + 40 }).unwrap();
        let done = done_by_host.clone();
        async move {
            let answer = task.await.unwrap();
            done.borrow_mut().push(answer);
            sleep(HOUR).await;
        }
    });
    sim.run_for(MS * 10).unwrap();
    let mut done = done.take();
    done.sort_unstable();
    assert_eq!(done, [40, 41]);
}

#[test]
fn what_runs_on_every_core_does_so_on_all_cores_of_a_simulated_host() {
    let sums = Rc::new(RefCell::new(Vec::new()));
    let mut sim = Sim::new(3);
    let sums_of_host = sums.clone();
    sim.host_with_cores("server", 3, move |core| {
        let sums = sums_of_host.clone();
        async move {
            let outputs = run_on_every(move |on| async move {
                sleep(MS).await;
                (on, on == core, CoreHandle::current())
            });
            let outputs = outputs.await;
            for (number, (on, is_here, handle)) in outputs.into_iter().enumerate() {
                assert_eq!((on, is_here), (number, number == core));
                assert_eq!(handle, CoreHandle::of_all_cores()[number]);
            }
            sums.borrow_mut().push(core);
            sleep(HOUR).await;
        }
    });
    sim.run_for(HOUR / 2).unwrap();
    let mut sums = sums.take();
    sums.sort_unstable();
    assert_eq!(sums, [0, 1, 2]);
}

#[test]
fn cores_of_a_crashed_host_err_and_those_after_a_bounce_find_each_other_anew() {
    let lives: Rc<RefCell<Vec<Vec<CoreHandle>>>> = Rc::default();
    let answers = Rc::new(Cell::new(0));
    let mut sim = Sim::new(4);
    let (lives_of_host, answers_of_host) = (lives.clone(), answers.clone());
    sim.host_with_cores("server", 3, move |core| {
        let cores = CoreHandle::of_all_cores();
        if core == 0 {
            lives_of_host.borrow_mut().push(cores.clone());
        }
        let answers = answers_of_host.clone();
        async move {
            loop {
                let next = cores[(core + 1) % 3];
                let task = spawn_on(next, || sleep(MS)).expect("all live or none");
                task.await.expect("all live or none");
                answers.set(answers.get() + 1);
            }
        }
    });
    for life in 0..4 {
        sim.run_for(MS * 20).unwrap();
        assert!(answers.replace(0) > 30, "life {life}");
        let cores = lives.borrow().last().unwrap().clone();
        assert!(cores.iter().all(CoreHandle::is_alive));
        sim.crash("server");
        for core in &cores {
            assert!(!core.is_alive());
            assert!(spawn_on(*core, || async {}).is_err());
        }
        sim.bounce("server");
    }
    sim.run_for(MS).unwrap();
    let lives = lives.borrow();
    assert_eq!(lives.len(), 5);
    for (number, life) in lives.iter().enumerate() {
        assert_eq!(life.len(), 3);
        let is_new = |core: &CoreHandle| lives[..number].iter().all(|life| !life.contains(core));
        assert!(life.iter().all(is_new));
    }
}

#[test]
fn a_core_that_has_returned_takes_nothing_more_and_the_others_live_on() {
    let refused = Rc::new(Cell::new(false));
    let mut sim = Sim::new(5);
    let refused_of_host = refused.clone();
    sim.host_with_cores("server", 2, move |core| {
        let refused = refused_of_host.clone();
        async move {
            if core == 1 {
                return;
            }
            sleep(MS).await;
            let cores = CoreHandle::of_all_cores();
            refused.set(spawn_on(cores[1], || async {}).is_err());
            assert!(!cores[1].is_alive());
            spawn_on(cores[0], || sleep(MS)).unwrap().await.unwrap();
        }
    });
    sim.run_for(HOUR).unwrap();
    assert!(refused.get());
    assert!(!sim.is_running("server"));
}

#[test]
fn what_cores_of_a_host_say_to_each_other_follows_from_the_seed() {
    let written = |seed| {
        let log = Log::default();
        let mut sim = Sim::new(seed);
        talking(&mut sim, &log);
        sim.run_for(HOUR / 2).unwrap();
        let hash = sim.trace_hash();
        drop(sim);
        (log.take(), hash)
    };
    let first = written(6);
    assert_eq!(first.0.len(), 40);
    assert_eq!(first, written(6));
    let other = written(7);
    assert_ne!(first.0, other.0);
    assert_ne!(first.1, other.1);
}

/// A runtime of this many cores, which takes everything from `seed`.
fn simulated(cores: impl Into<Cores>, seed: u64) -> Runtime {
    let builder = Builder::new().driver(Driver::Sim);
    builder.cores(cores).seed(seed).build().unwrap()
}

#[track_caller]
fn end(runtime: Runtime) {
    let report = runtime.shutdown(Duration::from_secs(5));
    assert!(report.is_clean(), "{report:?}");
}

#[test]
fn a_simulated_runtime_has_as_many_cores_as_are_asked_for_and_one_where_that_is_left_to_the_machine()
 {
    for (cores, count) in [
        (Cores::One, 1),
        (Cores::All, 1),
        (Cores::Count(1), 1),
        (Cores::Count(5), 5),
        (Cores::Set(vec![7, 1000]), 2),
    ] {
        let builder = Builder::new().driver(Driver::Sim).cores(cores).pin(true);
        let runtime = builder.build().unwrap();
        let numbers: Vec<usize> = (0..count).collect();
        assert_eq!(runtime.run_on_every(|core| async move { core }), numbers);
        assert_eq!(runtime.handles().len(), count);
        assert_eq!(runtime.core(0), Some(runtime.handle()));
        assert!(runtime.core(count).is_none());
        end(runtime);
    }
    for none in [Cores::Count(0), Cores::Set(vec![])] {
        let builder = Builder::new().driver(Driver::Sim).cores(none);
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

/// Four cores that draw, sleep, talk over sockets, and send each other work: what they say, in order.
fn said(seed: u64) -> Vec<String> {
    let runtime = simulated(4, seed);
    let said = Arc::new(Mutex::new(Vec::new()));
    let log = said.clone();
    let address = "127.0.0.1:7000";
    runtime.run_on_every(move |core| async move {
        let cores = CoreHandle::of_all_cores();
        if core == 3 {
            let listener = TcpListener::bind(address).await.unwrap();
            for _ in 0..30 {
                let stream = listener.accept().await.unwrap();
                let (result, byte) = stream.read_exact(Vec::with_capacity(1)).await;
                result.unwrap();
                log.lock().unwrap().push(format!("3 reads {byte:?}"));
            }
            return;
        }
        for round in 0..10 {
            let to = krug::rand::below(4) as usize;
            let log_there = log.clone();
            let task = spawn_on(cores[to], move || async move {
                sleep(MS * krug::rand::below(5) as u32).await;
                let told = format!("{core} on {to}: {round}");
                log_there.lock().unwrap().push(told);
            });
            task.unwrap().await.unwrap();
            let stream = loop {
                match TcpStream::connect(address).await {
                    Ok(stream) => break stream,
                    // Nobody listens yet.
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused),
                }
                sleep(MS).await;
            };
            let byte = vec![core as u8 * 10 + round];
            stream.write_all(byte).await.0.unwrap();
        }
    });
    end(runtime);
    let said = std::mem::take(&mut *said.lock().unwrap());
    assert_eq!(said.len(), 60);
    said
}

#[test]
fn what_cores_of_a_simulated_runtime_do_follows_from_the_seed() {
    assert_eq!(said(1), said(1));
    assert_ne!(said(1), said(2));
}

#[test]
fn a_simulated_runtime_of_several_cores_leaves_the_same_trace_for_the_same_seed() {
    const NAME: &str =
        "a_simulated_runtime_of_several_cores_leaves_the_same_trace_for_the_same_seed";
    let folder = tempfile::tempdir().unwrap();
    let trace = |number: u64, seed: u64| {
        let path = folder.path().join(number.to_string());
        let is_parent = passes_in_a_process_with(NAME, |command| {
            command.env("KRUG_SIM_TRACE", &path);
            command.env("CORES_SEED", seed.to_string());
        });
        if !is_parent {
            let seed = std::env::var("CORES_SEED").unwrap().parse().unwrap();
            said(seed);
            return None;
        }
        Some(std::fs::read_to_string(path).unwrap())
    };
    let Some(first) = trace(0, 5) else {
        return;
    };
    assert!(first.contains("# the end of seed 5 at "), "{first}");
    assert_eq!(Some(first.clone()), trace(1, 5));
    assert_ne!(Some(first), trace(2, 6));
}

#[test]
fn every_order_of_cores_is_met() {
    let orders: Vec<Vec<usize>> = (0..60)
        .map(|seed| {
            let runtime = simulated(3, seed);
            let order = Arc::new(Mutex::new(Vec::new()));
            let log = order.clone();
            runtime.run_on_every(move |core| async move {
                // All of it is sent in a turn of the first core, so what is to come later takes turns of its own.
                for _ in 0..5 {
                    krug::io::nop().await.unwrap();
                }
                log.lock().unwrap().push(core);
            });
            std::mem::take(&mut *order.lock().unwrap())
        })
        .collect();
    for [a, b, c] in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        assert!(orders.contains(&vec![a, b, c]), "{a} {b} {c}");
    }
}

#[test]
fn an_hour_on_every_core_is_over_at_once_and_at_the_same_time() {
    let runtime = simulated(3, 1);
    let begin = runtime.block_on(async { now() });
    let ends = runtime.run_on_every(|core| async move {
        sleep(HOUR * (core as u32 + 1)).await;
        now()
    });
    for (end, hours) in ends.iter().zip(1..) {
        let elapsed = *end - begin;
        assert!(
            elapsed >= HOUR * hours && elapsed < HOUR * hours + MS,
            "{elapsed:?}"
        );
    }
    end(runtime);
}

#[test]
fn other_simulated_cores_run_only_in_block_on_and_in_the_shutdown() {
    struct Tells(Arc<Mutex<Vec<&'static str>>>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.lock().unwrap().push("dropped");
        }
    }
    let runtime = simulated(2, 1);
    let said = Arc::new(Mutex::new(Vec::new()));
    let there = said.clone();
    let task = spawn_on(runtime.core(1).unwrap(), move || async move {
        there.lock().unwrap().push("begins");
        let _tells = Tells(there);
        pending::<()>().await;
    });
    assert!(said.lock().unwrap().is_empty());
    runtime.block_on(sleep(MS));
    assert_eq!(*said.lock().unwrap(), ["begins"]);
    end(runtime);
    assert_eq!(*said.lock().unwrap(), ["begins", "dropped"]);
    let joined = simulated(1, 1).block_on(task.unwrap());
    assert!(joined.unwrap_err().is_cancelled());
}

#[test]
fn another_thread_wakes_any_core_of_a_simulated_runtime_that_has_nothing_to_do() {
    let _watchdog = krug_tests::watched();
    let runtime = simulated(3, 1);
    for core in runtime.handles() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let wakes = thread::spawn(move || {
            let waker: std::task::Waker = receiver.recv().unwrap();
            waker.wake();
            spawn_on(core, || async { 40 }).unwrap()
        });
        let mut sender = Some(sender);
        let woken = spawn_on(core, move || {
            std::future::poll_fn(move |cx| match sender.take() {
                Some(sender) => {
                    sender.send(cx.waker().clone()).unwrap();
                    std::task::Poll::Pending
                }
                None => std::task::Poll::Ready(2),
            })
        });
        let two = runtime.block_on(woken.unwrap()).unwrap();
        let forty = runtime.block_on(wakes.join().unwrap()).unwrap();
        assert_eq!(forty + two, 42);
    }
    end(runtime);
}

#[test]
fn a_panic_in_block_on_leaves_all_simulated_cores_usable() {
    let runtime = simulated(2, 1);
    let panics = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async { panic!("enough") })
    }));
    assert!(panics.is_err());
    assert_eq!(runtime.run_on_every(|core| async move { core }), [0, 1]);
    end(runtime);
}

thread_local! {
    static RUNTIME: RefCell<Option<Rc<Runtime>>> = const { RefCell::new(None) };
}

#[test]
fn a_simulated_runtime_of_several_cores_cannot_be_run_within_itself() {
    let runtime = Rc::new(simulated(2, 1));
    RUNTIME.set(Some(runtime.clone()));
    let is_refused = || {
        let runtime = RUNTIME.with_borrow(|runtime| runtime.clone().unwrap());
        runtime.try_block_on(async {}).is_err()
    };
    let outcomes = runtime.run_on_every(move |_| async move {
        (is_refused(), spawn_blocking(is_refused).await.unwrap())
    });
    assert_eq!(outcomes, [(true, true); 2]);
    RUNTIME.set(None);
    end(Rc::into_inner(runtime).unwrap());
}

#[test]
fn the_shutdown_of_simulated_cores_ends_whatever_they_do_and_sends_what_was_accepted() {
    for seed in 0..50 {
        let runtime = simulated(4, seed);
        let tasks = runtime.run_on_every(|core| async move {
            spawn(async {
                loop {
                    krug::task::yield_now().await;
                }
            });
            spawn(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                listener.accept().await.map(drop)
            });
            let next = CoreHandle::of_all_cores()[(core + 1) % 4];
            spawn(async move {
                while let Ok(task) = spawn_on(next, || sleep(MS)) {
                    let _ = task.await;
                }
            });
            (core, spawn(sleep(HOUR)))
        });
        let handles = runtime.handles();
        end(runtime);
        assert!(handles.iter().all(|handle| !handle.is_alive()));
        for (_, task) in tasks {
            let joined = simulated(1, seed).block_on(task);
            assert!(joined.unwrap_err().is_cancelled());
        }
    }
}

#[krug::test(cores = 4)]
async fn the_attribute_makes_simulated_cores_where_the_environment_says_so() {
    assert_eq!(CoreHandle::of_all_cores().len(), 4);
    assert_eq!(run_on_every(|core| async move { core }).await, [0, 1, 2, 3]);
}

/// Both ends of a connection, on a port of this number.
async fn pair(port: u16) -> (TcpStream, TcpStream) {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let listener = TcpListener::bind(address).await.unwrap();
    let connecting = TcpStream::connect(address);
    let (one, other) = krug::join!(connecting, listener.accept());
    (one.unwrap(), other.unwrap())
}

async fn works(pair: &(TcpStream, TcpStream)) {
    pair.0.write_all("hello").await.0.unwrap();
    let (result, said) = pair.1.read_exact(Vec::with_capacity(5)).await;
    result.unwrap();
    assert_eq!(said, b"hello");
}

#[test]
fn worlds_on_one_thread_close_their_own_descriptors_in_whatever_order_they_end() {
    for cores in [1, 2] {
        for is_first_one_first in [true, false] {
            let mut runtimes: Vec<Runtime> = (0..3).map(|seed| simulated(cores, seed)).collect();
            let mut pairs: Vec<_> = runtimes
                .iter()
                .map(|runtime| (runtime.block_on(pair(7000)), runtime.block_on(pair(7001))))
                .collect();
            // What is dropped while another one runs, or none, is closed at home.
            for place in 0..3 {
                let (kept, dropped) = pairs.remove(0);
                drop(dropped);
                for (runtime, pair) in runtimes[place + 1..].iter().zip(&pairs) {
                    runtime.block_on(works(&pair.0));
                    runtime.block_on(works(&pair.1));
                }
                let runtime = &runtimes[place];
                runtime.block_on(works(&kept));
                // The port is free again: the listener and both ends are gone.
                runtime.block_on(async {
                    let again = pair(7001).await;
                    works(&again).await;
                });
            }
            while !runtimes.is_empty() {
                let place = if is_first_one_first {
                    0
                } else {
                    runtimes.len() - 1
                };
                end(runtimes.remove(place));
                for runtime in &runtimes {
                    runtime.block_on(async { works(&pair(7002).await).await });
                }
            }
        }
    }
}

#[test]
fn a_world_that_is_made_while_another_one_runs_is_used_when_that_rests() {
    for cores in [1, 2] {
        let outer = simulated(cores, 1);
        let (inner, before) = outer.block_on(async {
            let before = pair(7000).await;
            let inner = simulated(cores, 2);
            assert!(inner.try_block_on(async {}).is_err());
            // One that is made and ended here touches nothing of the outer one's.
            drop(simulated(cores, 3));
            works(&before).await;
            (inner, before)
        });
        inner.block_on(async { works(&pair(7000).await).await });
        outer.block_on(works(&before));
        end(outer);
        inner.block_on(async { works(&pair(7001).await).await });
        end(inner);
    }
}

#[test]
fn other_worlds_on_the_thread_change_nothing_of_a_trace() {
    let hash = || {
        let mut sim = Sim::new(9);
        talking(&mut sim, &Log::default());
        sim.client("pairs", async { works(&pair(7000).await).await });
        sim.run().unwrap();
        sim.trace_hash()
    };
    let alone = hash();
    let runtime = simulated(1, 1);
    let held = runtime.block_on(pair(7000));
    assert_eq!(hash(), alone);
    runtime.block_on(works(&held));
}
