//! Signals of the system's come to whoever listens, whichever thread they come to, and are not lost.

use std::io;
use std::pin::pin;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use krug::signal::{Signal, SignalKind, ctrl_c, unix};
use krug::{Runtime, spawn_on};
use krug_tests::{
    alone, iterations, open_descriptors, passes_in_a_process_of_its_own, poll_once, run, run_with,
    turns, watched, with_settings,
};

krug_tests::on_every_kernel_driver!();

/// A signal that does nothing else in this process. Each test has its own: signals belong to the whole process.
fn own(number: i32) -> SignalKind {
    SignalKind::from_raw(libc::SIGRTMIN() + 10 + number)
}

/// Sends it to this process: whichever thread it comes to.
fn send(kind: SignalKind) {
    // SAFETY: there is a handler for it.
    let sent = unsafe { libc::kill(libc::getpid(), kind.as_raw_value()) };
    assert_eq!(sent, 0, "{kind:?}");
}

/// Sends it to this very thread, so that it has come when this returns.
fn raise(kind: SignalKind) {
    // SAFETY: there is a handler for it.
    assert_eq!(unsafe { libc::raise(kind.as_raw_value()) }, 0, "{kind:?}");
}

async fn is_silent(signal: &mut Signal) -> bool {
    let mut waiting = pin!(signal.recv());
    for _ in 0..5 {
        if poll_once(waiting.as_mut()).await.is_ready() {
            return false;
        }
        turns(2).await;
    }
    true
}

#[test]
fn every_core_is_shown_when_its_signal_comes() {
    with_settings(|builder| {
        let runtime = builder.cores(2).build().unwrap();
        runtime.block_on(async {
            let (shown, mut dumps) = krug::sync::mpsc::unbounded();
            let show = move |dump: krug::runtime::Dump| shown.send(dump.core).unwrap();
            let shows = krug::runtime::dump_on(own(18), show).unwrap();
            for _ in 0..3 {
                send(own(18));
                assert_eq!(dumps.recv().await, Some(0));
                assert_eq!(dumps.recv().await, Some(1));
            }
            shows.abort();
            assert_eq!(dumps.recv().await, None);
        });
    });
    let killed = SignalKind::from_raw(libc::SIGKILL);
    run(|runtime| {
        let refused = runtime.block_on(async { krug::runtime::dump_on(killed, drop) });
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_signal_wakes_who_waits_for_it() {
    run(|runtime| {
        runtime.block_on(async {
            let mut signal = unix(own(0)).unwrap();
            assert_eq!(signal.kind(), own(0));
            for round in 0..20 {
                let waiting = krug::spawn(async move {
                    signal.recv().await.unwrap();
                    signal
                });
                turns(round % 4).await;
                send(own(0));
                signal = waiting.await.unwrap();
            }
            assert!(is_silent(&mut signal).await);
        });
    });
}

#[test]
fn a_signal_that_comes_while_nobody_waits_is_told_at_the_next_call() {
    run(|runtime| {
        runtime.block_on(async {
            let mut signal = unix(own(1)).unwrap();
            raise(own(1));
            signal.recv().await.unwrap();
            assert!(is_silent(&mut signal).await);
            // One that had come before was not for it.
            raise(own(1));
            let mut later = unix(own(1)).unwrap();
            assert!(is_silent(&mut later).await);
            signal.recv().await.unwrap();
        });
    });
}

#[test]
fn several_that_come_before_anybody_looks_count_as_one() {
    run(|runtime| {
        runtime.block_on(async {
            let mut signal = unix(own(2)).unwrap();
            for _ in 0..5 {
                raise(own(2));
            }
            signal.recv().await.unwrap();
            assert!(is_silent(&mut signal).await);
        });
    });
}

#[test]
fn every_listener_hears_a_signal_and_no_other_signal() {
    run(|runtime| {
        runtime.block_on(async {
            let mut listeners: Vec<_> = (0..4).map(|_| unix(own(3)).unwrap()).collect();
            let mut other = unix(own(4)).unwrap();
            drop(listeners.remove(1));
            let waiting = listeners.into_iter().map(|mut signal| {
                krug::spawn(async move {
                    signal.recv().await.unwrap();
                    is_silent(&mut signal).await
                })
            });
            let waiting: Vec<_> = waiting.collect();
            turns(3).await;
            raise(own(3));
            for one in waiting {
                assert!(one.await.unwrap());
            }
            assert!(is_silent(&mut other).await);
        });
    });
}

#[test]
fn a_dropped_recv_loses_no_signal() {
    run(|runtime| {
        runtime.block_on(async {
            let mut signal = unix(own(5)).unwrap();
            for (before, after) in (0..4).flat_map(|before| (0..4).map(move |it| (before, it))) {
                {
                    let mut waiting = pin!(signal.recv());
                    assert!(poll_once(waiting.as_mut()).await.is_pending());
                    turns(before).await;
                    raise(own(5));
                    turns(after).await;
                }
                // The one that was dropped may still be with the kernel; this one is not to wait for the next signal.
                signal.recv().await.unwrap();
                assert!(is_silent(&mut signal).await);
            }
        });
    });
}

#[test]
fn a_signal_after_a_dropped_recv_wakes_the_next() {
    run(|runtime| {
        runtime.block_on(async {
            let mut signal = unix(own(6)).unwrap();
            for round in 0..iterations(200) {
                for _ in 0..round % 3 {
                    let mut waiting = pin!(signal.recv());
                    assert!(poll_once(waiting.as_mut()).await.is_pending());
                    turns(round % 2).await;
                }
                let waiting = krug::spawn(async move {
                    signal.recv().await.unwrap();
                    signal
                });
                turns(round % 4).await;
                thread::spawn(|| send(own(6)));
                signal = waiting.await.unwrap();
            }
        });
    });
}

#[test]
fn listeners_that_come_and_go_take_no_signal_from_each_other() {
    run(|runtime| {
        runtime.block_on(async {
            for round in 0..iterations(100) {
                // It leaves its place with a poll in flight, and the next one takes that place.
                let mut before = unix(own(7)).unwrap();
                {
                    let mut waiting = pin!(before.recv());
                    assert!(poll_once(waiting.as_mut()).await.is_pending());
                    turns(round % 3).await;
                }
                drop(before);
                let mut signal = unix(own(8)).unwrap();
                let waiting = krug::spawn(async move { signal.recv().await });
                turns(round % 3).await;
                raise(own(8));
                waiting.await.unwrap().unwrap();
            }
        });
    });
}

#[test]
fn who_waits_for_the_next_signal_keeps_nobody_busy() {
    run(|runtime| {
        runtime.block_on(async {
            let mut signal = unix(own(10)).unwrap();
            for _ in 0..3 {
                raise(own(10));
                signal.recv().await.unwrap();
            }
            let mut waiting = pin!(signal.recv());
            assert!(poll_once(waiting.as_mut()).await.is_pending());
            let begun = runtime.metrics().operations;
            for _ in 0..20 {
                turns(1).await;
                assert!(poll_once(waiting.as_mut()).await.is_pending());
            }
            assert_eq!(runtime.metrics().operations, begun);
        });
    });
}

#[test]
fn a_thousand_listeners_one_after_the_other_leave_descriptors_flat() {
    let _nobody = alone();
    let _watchdog = watched();
    let runtime = Runtime::builder()
        .driver(krug_tests::drivers::driver())
        .build()
        .unwrap();
    runtime.block_on(async {
        let warm = unix(own(9)).unwrap();
        let before = open_descriptors();
        drop(warm);
        for _ in 0..1000 {
            let mut signal = unix(own(9)).unwrap();
            raise(own(9));
            signal.recv().await.unwrap();
        }
        assert!(open_descriptors() <= before);
    });
}

#[test]
fn listeners_of_all_cores_hear_a_signal() {
    run_with(
        |builder| builder.cores(3),
        |runtime| {
            let (ready, readies) = mpsc::channel();
            let tasks: Vec<_> = runtime
                .handles()
                .into_iter()
                .map(|core| {
                    let ready = ready.clone();
                    let task = spawn_on(core, move || async move {
                        let mut signal = unix(own(11)).unwrap();
                        ready.send(()).unwrap();
                        signal.recv().await.unwrap();
                    });
                    task.unwrap()
                })
                .collect();
            runtime.block_on(async {
                let told = krug::spawn_blocking(move || {
                    for _ in 0..3 {
                        readies.recv().unwrap();
                    }
                });
                told.await.unwrap();
                send(own(11));
                for task in tasks {
                    task.await.unwrap();
                }
            });
        },
    );
}

#[test]
fn a_listener_may_move_to_another_core_and_to_another_runtime() {
    run_with(
        |builder| builder.cores(2),
        |runtime| {
            let signal = runtime.block_on(async {
                let mut signal = unix(own(12)).unwrap();
                {
                    let mut waiting = pin!(signal.recv());
                    assert!(poll_once(waiting.as_mut()).await.is_pending());
                    turns(2).await;
                }
                signal
            });
            let there = spawn_on(runtime.core(1).unwrap(), move || async move {
                let mut signal = signal;
                raise(own(12));
                signal.recv().await.unwrap();
                signal
            });
            let signal = runtime.block_on(there.unwrap()).unwrap();
            run(|other| {
                // Its own runtime need not live any more.
                let mut signal = other.block_on(async { unix(own(12)).unwrap() });
                raise(own(12));
                other.block_on(async { signal.recv().await }).unwrap();
            });
            drop(signal);
        },
    );
}

#[test]
fn threads_that_know_nothing_of_krug_may_get_the_signal() {
    run(|runtime| {
        let (stop, stopped) = mpsc::channel::<()>();
        let stranger = thread::spawn(move || stopped.recv().is_err());
        runtime.block_on(async {
            let mut signal = unix(own(13)).unwrap();
            for _ in 0..10 {
                // SAFETY: the thread lives until `stop` is dropped, and there is a handler.
                let sent = unsafe {
                    use std::os::unix::thread::JoinHandleExt;
                    libc::pthread_kill(stranger.as_pthread_t(), own(13).as_raw_value())
                };
                assert_eq!(sent, 0);
                signal.recv().await.unwrap();
            }
        });
        drop(stop);
        assert!(stranger.join().unwrap(), "its own wait was not disturbed");
    });
}

#[test]
fn what_nobody_can_listen_for_is_refused() {
    run(|runtime| {
        runtime.block_on(async {
            let mut refused = vec![-1, 0, 32, 33, 65, i32::MAX, i32::MIN];
            refused.extend([libc::SIGKILL, libc::SIGSTOP]);
            refused.extend([libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE]);
            for number in refused {
                let error = unix(SignalKind::from_raw(number)).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{number}");
                assert!(error.to_string().contains("cannot be listened for"));
            }
        });
    });
}

#[test]
fn outside_a_runtime_it_is_an_error() {
    with_settings(|builder| {
        let error = unix(own(14)).unwrap_err();
        assert!(error.to_string().contains("no krug runtime"), "{error}");
        let runtime = builder.build().unwrap();
        let mut signal = runtime.block_on(async { unix(own(14)).unwrap() });
        let mut waiting = pin!(signal.recv());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(Err(error)) = waiting.as_mut().poll(&mut context) else {
            panic!("it waits outside a runtime");
        };
        assert!(error.to_string().contains("no krug runtime"), "{error}");
    });
}

#[test]
fn a_runtime_ends_with_somebody_waiting() {
    with_settings(|builder| {
        let runtime = builder.build().unwrap();
        let mut signal = runtime.block_on(async { unix(own(15)).unwrap() });
        let task = runtime.spawn(async move { signal.recv().await });
        runtime.block_on(turns(3));
        assert!(
            runtime
                .shutdown(std::time::Duration::from_secs(10))
                .is_clean()
        );
        raise(own(15));
        drop(task);
    });
}

#[test]
fn ctrl_c_ends_nothing_from_the_first_listener_on() {
    if passes_in_a_process_of_its_own("ctrl_c_ends_nothing_from_the_first_listener_on") {
        return;
    }
    run(|runtime| {
        runtime.block_on(async {
            for _ in 0..3 {
                let listening = krug::spawn(ctrl_c());
                turns(2).await;
                send(SignalKind::interrupt());
                listening.await.unwrap().unwrap();
            }
            // Nobody listens any more, and `timeout` sends it twice.
            raise(SignalKind::interrupt());
        });
    });
}

#[test]
fn children_have_their_signals_as_usual() {
    if passes_in_a_process_of_its_own("children_have_their_signals_as_usual") {
        return;
    }
    run(|runtime| {
        runtime.block_on(async {
            let _terminate = unix(SignalKind::terminate()).unwrap();
            let status = Command::new("cat")
                .arg("/proc/self/status")
                .output()
                .unwrap();
            let status = String::from_utf8(status.stdout).unwrap();
            for name in ["SigBlk:", "SigCgt:"] {
                let line = status.lines().find(|line| line.starts_with(name));
                let mask = line
                    .and_then(|line| line.split_whitespace().nth(1))
                    .unwrap();
                let terminate = 1 << (libc::SIGTERM - 1);
                assert_eq!(
                    u64::from_str_radix(mask, 16).unwrap() & terminate,
                    0,
                    "{name}"
                );
            }
            let shell = Command::new("sh")
                .args(["-c", "kill -TERM $$; exit 0"])
                .status();
            use std::os::unix::process::ExitStatusExt;
            assert_eq!(shell.unwrap().signal(), Some(libc::SIGTERM));
        });
    });
}

#[test]
fn a_forked_child_hears_its_own_signals_and_tells_its_parent_nothing() {
    let name = "a_forked_child_hears_its_own_signals_and_tells_its_parent_nothing";
    if passes_in_a_process_of_its_own(name) {
        return;
    }
    let _watchdog = watched();
    let driver = krug_tests::drivers::driver();
    let build = || Runtime::builder().driver(driver).build().unwrap();
    let runtime = build();
    let mut signal = runtime.block_on(async {
        // One place that is taken and one that is free when the child begins.
        drop([unix(own(16)).unwrap(), unix(own(16)).unwrap()]);
        unix(own(16)).unwrap()
    });
    // SAFETY: no other thread of this process holds anything: it only runs this test.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let hears = build().block_on(async {
            let mut own_signal = unix(own(16)).unwrap();
            raise(own(16));
            own_signal.recv().await.is_ok()
        });
        // SAFETY: ends this process without what the parent has registered for its end.
        unsafe { libc::_exit(i32::from(!hears)) };
    }
    let mut status = -1;
    // SAFETY: the child is ours, and the status lives until the call returns.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child's status");
    runtime.block_on(async {
        assert!(is_silent(&mut signal).await);
        raise(own(16));
        signal.recv().await.unwrap();
    });
}

#[test]
fn a_handler_that_was_there_before_is_called_too() {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    extern "C" fn theirs(_: libc::c_int) {
        CALLS.fetch_add(1, Ordering::SeqCst);
    }
    let kind = own(17);
    // SAFETY: the handler only counts; nobody else uses this signal.
    unsafe { libc::signal(kind.as_raw_value(), theirs as *const () as usize) };
    run(|runtime| {
        runtime.block_on(async {
            let before = CALLS.load(Ordering::SeqCst);
            let mut signal = unix(kind).unwrap();
            raise(kind);
            signal.recv().await.unwrap();
            assert_eq!(CALLS.load(Ordering::SeqCst), before + 1);
        });
    });
}
