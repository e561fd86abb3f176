//! Signals that a test sends to simulated hosts.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use krug::select;
use krug::signal::{SignalKind, ctrl_c, unix};
use krug::sim::Sim;
use krug::time::{now, sleep};
use krug_tests::{poll_once, turns};

krug::interpose!();

const SECOND: Duration = Duration::from_secs(1);

/// A host that serves until it is told to end in good order, and then needs a second for that.
fn server(sim: &mut Sim) -> Rc<Cell<u32>> {
    let endings = Rc::new(Cell::new(0));
    let count = endings.clone();
    sim.host("server", move || {
        let count = count.clone();
        async move {
            let mut terminate = unix(SignalKind::terminate()).unwrap();
            terminate.recv().await.unwrap();
            sleep(SECOND).await;
            count.set(count.get() + 1);
        }
    });
    endings
}

#[test]
fn a_listening_host_hears_a_signal_at_the_moment_it_is_sent() {
    for seed in 0..20 {
        let mut sim = Sim::new(seed);
        sim.client("one", async {
            let begin = now();
            ctrl_c().await.unwrap();
            assert!(begin.elapsed() >= 5 * SECOND);
            assert!(begin.elapsed() < 6 * SECOND);
        });
        sim.client("other", async {
            let mut interrupt = unix(SignalKind::interrupt()).unwrap();
            sleep(20 * SECOND).await;
            let mut waiting = pin!(interrupt.recv());
            assert!(
                poll_once(waiting.as_mut()).await.is_pending(),
                "not its own"
            );
            turns(3).await;
        });
        sim.at(5 * SECOND, |sim| sim.signal("one", SignalKind::interrupt()));
        sim.run().unwrap();
    }
}

#[test]
fn every_listener_on_every_core_of_a_host_hears_it_once() {
    for seed in 0..20 {
        let mut sim = Sim::new(seed);
        let heard = Rc::new(Cell::new(0));
        let count = heard.clone();
        sim.host_with_cores("server", 3, move |_| {
            let count = count.clone();
            async move {
                let mut all = [(); 2].map(|()| unix(SignalKind::hangup()).unwrap());
                loop {
                    for one in &mut all {
                        one.recv().await.unwrap();
                        count.set(count.get() + 1);
                    }
                }
            }
        });
        for second in 1..4 {
            sim.at(second * SECOND, |sim| {
                // Twice at once is once.
                sim.signal("server", SignalKind::hangup());
                sim.signal("server", SignalKind::hangup());
            });
        }
        sim.run_for(10 * SECOND).unwrap();
        assert_eq!(heard.get(), 3 * 2 * 3);
    }
}

#[test]
fn a_host_that_has_never_listened_is_ended_and_one_that_has_goes_on() {
    let mut sim = Sim::new(3);
    let endings = server(&mut sim);
    sim.run_for(SECOND).unwrap();
    sim.signal("server", SignalKind::child());
    sim.signal("server", SignalKind::window_change());
    sim.run_for(SECOND).unwrap();
    assert!(sim.is_running("server"), "they do nothing by themselves");
    sim.signal("server", SignalKind::terminate());
    sim.run_for(SECOND / 2).unwrap();
    // It is about to end in good order, and this one does not end it sooner.
    sim.signal("server", SignalKind::terminate());
    assert!(sim.is_running("server"));
    sim.run_for(SECOND).unwrap();
    assert!(!sim.is_running("server"));
    assert_eq!(endings.get(), 1);
    sim.signal("server", SignalKind::terminate());
}

#[test]
fn what_a_host_has_listened_for_before_it_was_started_again_does_not_count() {
    let mut sim = Sim::new(4);
    let endings = server(&mut sim);
    sim.run_for(SECOND).unwrap();
    sim.signal("server", SignalKind::interrupt());
    assert!(!sim.is_running("server"), "nobody listens for ctrl-c");
    sim.bounce("server");
    sim.run_for(SECOND).unwrap();
    sim.signal("server", SignalKind::from_raw(libc::SIGKILL));
    assert!(!sim.is_running("server"));
    sim.bounce("server");
    sim.run_for(SECOND).unwrap();
    sim.signal("server", SignalKind::terminate());
    sim.run_for(2 * SECOND).unwrap();
    assert_eq!(endings.get(), 1);
}

#[test]
fn a_program_that_does_not_listen_is_ended_though_the_one_before_it_did() {
    let mut sim = Sim::new(5);
    let starts = Rc::new(Cell::new(0));
    let count = starts.clone();
    sim.host("server", move || {
        count.set(count.get() + 1);
        let listens = count.get() == 1;
        async move {
            let _terminate = listens.then(|| unix(SignalKind::terminate()).unwrap());
            sleep(1000 * SECOND).await;
        }
    });
    sim.run_for(SECOND).unwrap();
    sim.signal("server", SignalKind::terminate());
    assert!(sim.is_running("server"));
    sim.bounce("server");
    sim.run_for(SECOND).unwrap();
    sim.signal("server", SignalKind::terminate());
    assert!(!sim.is_running("server"));
    assert_eq!(starts.get(), 2);
}

#[test]
fn a_dropped_recv_loses_no_signal_under_any_seed() {
    for seed in 0..50 {
        let mut sim = Sim::new(seed);
        sim.rings(|rings| {
            rings.interrupted(0.2);
        });
        sim.client("one", async {
            let mut signal = unix(SignalKind::user_defined1()).unwrap();
            for _ in 0..20 {
                let moment = krug::rand::duration(Duration::ZERO..2 * SECOND);
                // What is lost would be missed at the end: the next signal never comes.
                loop {
                    select! {
                        told = signal.recv() => break told.unwrap(),
                        () = sleep(moment) => {}
                    }
                }
            }
        });
        for round in 1..=20 {
            sim.at(10 * round * SECOND, |sim| {
                sim.signal("one", SignalKind::user_defined1());
            });
        }
        sim.run().unwrap();
    }
}

#[test]
fn the_same_seed_goes_the_same_way_and_a_signal_makes_a_difference() {
    let run = |is_sent| {
        let mut sim = Sim::new(7);
        server(&mut sim);
        if is_sent {
            sim.at(SECOND, |sim| {
                sim.signal("server", SignalKind::user_defined1())
            });
        }
        sim.run_for(3 * SECOND).unwrap();
        sim.trace_hash()
    };
    assert_eq!(run(true), run(true));
    assert_ne!(run(true), run(false));
}
