//! Worlds that are repeated by their seeds.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use krug::sim::{Sim, check};
use krug::time::{now, sleep, timeout};
use krug::{rand, spawn, spawn_blocking};

krug::interpose!();

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// What hosts of a world write down.
type Log = Rc<RefCell<Vec<String>>>;

/// Runs `fill` in a world of this seed, and returns what was written down, and the fingerprint.
fn written(seed: u64, fill: impl Fn(&mut Sim, &Log)) -> (Vec<String>, u64) {
    let log = Log::default();
    let mut sim = Sim::new(seed);
    fill(&mut sim, &log);
    sim.run().unwrap();
    let hash = sim.trace_hash();
    drop(sim);
    (log.take(), hash)
}

/// Three hosts whose tasks sleep, draw, block and tell each other.
fn busy(sim: &mut Sim, log: &Log) {
    for name in ["a", "b", "c"] {
        let log = log.clone();
        sim.client(name, async move {
            let (sender, mut receiver) = krug::sync::mpsc::unbounded();
            for task in 0..5_u64 {
                let sender = sender.clone();
                spawn(async move {
                    for _ in 0..5 {
                        sleep(MS * rand::below(20) as u32).await;
                        sender.send((task, rand::u64())).unwrap();
                    }
                });
            }
            drop(sender);
            while let Some(said) = receiver.recv().await {
                log.borrow_mut().push(format!("{name} {said:?}"));
            }
            let sum = spawn_blocking(|| 20 + 22).await.unwrap();
            log.borrow_mut().push(format!("{name} {sum}"));
        });
    }
}

#[test]
fn the_same_seed_leads_to_the_same_world_and_another_to_another() {
    let first = written(5, busy);
    assert_eq!(first, written(5, busy));
    let other = written(6, busy);
    assert_ne!(first.0, other.0);
    assert_ne!(first.1, other.1);
    assert_eq!(first.0.len(), 3 * 26);
}

#[test]
fn an_hour_is_over_at_once_and_every_clock_shows_it() {
    let real = Instant::now();
    let mut sim = Sim::new(1);
    sim.client("sleeper", async {
        let (begin, date, krug) = (Instant::now(), SystemTime::now(), now());
        sleep(HOUR).await;
        for elapsed in [begin.elapsed(), date.elapsed().unwrap(), now() - krug] {
            assert!((HOUR..HOUR + MS).contains(&elapsed), "{elapsed:?}");
        }
        assert_eq!(now(), Instant::now());
        let year = date
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs()
            / 31_556_952;
        assert_eq!(1970 + year, 2026);
    });
    sim.run().unwrap();
    assert!(sim.elapsed() >= HOUR);
    drop(sim);
    assert!(real.elapsed() < HOUR, "the thread's own clock is back");
}

#[test]
fn a_client_that_draws_more_changes_nothing_for_the_others() {
    let draws = |more: bool| {
        written(9, |sim, log| {
            let log = log.clone();
            sim.client("quiet", async move {
                for _ in 0..10 {
                    sleep(MS).await;
                    log.borrow_mut().push(format!("{}", rand::u64()));
                }
            });
            sim.client("greedy", async move {
                rand::u64();
                if more {
                    (0..100).for_each(|_| _ = rand::u64());
                }
            });
        })
    };
    assert_eq!(draws(false), draws(true));
}

#[test]
fn tasks_that_are_ready_at_once_are_polled_in_every_order() {
    let mut orders = HashMap::new();
    for seed in 0..200 {
        let order = written(seed, |sim, log| {
            let log = log.clone();
            sim.client("host", async move {
                let tasks: Vec<_> = (0..3)
                    .map(|task| {
                        let log = log.clone();
                        spawn(async move { log.borrow_mut().push(format!("{task}")) })
                    })
                    .collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
        });
        *orders.entry(order.0.concat()).or_insert(0) += 1;
    }
    assert_eq!(orders.len(), 6, "{orders:?}");
    assert!(orders.values().all(|count| *count > 10), "{orders:?}");
}

#[test]
fn maps_of_the_standard_library_have_an_order_that_follows_the_seed() {
    let order = |seed| {
        let orders = std::sync::Mutex::new(Vec::new());
        // On a thread of its own, as the library draws once for each thread.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (order, _) = written(seed, |sim, log| {
                    let log = log.clone();
                    sim.client("host", async move {
                        let map: HashMap<u32, ()> = (0..50).map(|key| (key, ())).collect();
                        let keys: Vec<String> = map.keys().map(u32::to_string).collect();
                        log.borrow_mut().push(keys.join(" "));
                    });
                });
                orders.lock().unwrap().extend(order);
            });
        });
        orders.into_inner().unwrap()
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn a_host_that_crashes_is_dropped_and_can_start_anew() {
    let lives = Rc::new(Cell::new(0));
    let dropped = Rc::new(Cell::new(0));
    struct CountsDrop(Rc<Cell<u32>>);
    impl Drop for CountsDrop {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let mut sim = Sim::new(3);
    let (lives_of_host, dropped_of_host) = (lives.clone(), dropped.clone());
    sim.host("server", move || {
        lives_of_host.set(lives_of_host.get() + 1);
        let guard = CountsDrop(dropped_of_host.clone());
        async move {
            let _guard = guard;
            spawn(sleep(HOUR));
            drop(spawn_blocking(|| ()));
            sleep(HOUR).await;
        }
    });
    sim.run_for(MS * 10).unwrap();
    assert!(sim.is_running("server"));
    sim.crash("server");
    assert_eq!((lives.get(), dropped.get()), (1, 1));
    assert!(!sim.is_running("server"));
    sim.crash("server");
    sim.run_for(MS).unwrap();
    assert_eq!(lives.get(), 1);
    sim.bounce("server");
    sim.run_for(MS).unwrap();
    assert_eq!((lives.get(), dropped.get()), (2, 1));
    sim.bounce("server");
    sim.run_for(HOUR * 2).unwrap();
    assert_eq!((lives.get(), dropped.get()), (3, 3));
    assert!(!sim.is_running("server"), "it has returned");
}

#[test]
fn what_is_planned_happens_at_its_moment() {
    let moments = Rc::new(RefCell::new(Vec::new()));
    let mut sim = Sim::new(3);
    sim.host("server", || sleep(HOUR));
    sim.client("client", sleep(MS * 30));
    for (name, moment) in [("late", MS * 20), ("early", MS * 10)] {
        let moments = moments.clone();
        sim.at(moment, move |sim| {
            moments.borrow_mut().push((name, sim.elapsed().as_millis()));
            sim.bounce("server");
        });
    }
    sim.run().unwrap();
    assert_eq!(*moments.borrow(), [("early", 10), ("late", 20)]);
}

#[test]
fn checks_are_made_after_everything_and_end_the_simulation() {
    let count = Rc::new(Cell::new(0));
    let mut sim = Sim::new(3);
    sim.client("client", async {
        for _ in 0..100 {
            sleep(MS).await;
        }
    });
    let counted = count.clone();
    sim.every_event(move |sim| {
        counted.set(counted.get() + 1);
        assert!(sim.elapsed() < MS * 50, "it is late");
    });
    let failure = sim.run().unwrap_err();
    assert!(count.get() > 50);
    let text = failure.to_string();
    assert!(text.contains("it is late"), "{text}");
    assert!(text.starts_with("seed 3, at 50."), "{text}");
    assert_eq!(sim.run().unwrap_err(), failure, "it stays");
}

#[test]
fn a_panic_of_a_host_is_a_failure_that_names_it() {
    let mut sim = Sim::new(4);
    sim.host("server", || async {
        sleep(MS).await;
        panic!("out of cheese");
    });
    sim.client("client", sleep(HOUR));
    let text = sim.run().unwrap_err().to_string();
    assert!(
        text.contains("`server`") && text.contains("out of cheese"),
        "{text}"
    );
}

#[test]
fn the_date_of_a_host_can_jump_and_nothing_else_does() {
    let mut sim = Sim::new(1);
    let dates: Rc<RefCell<Vec<(u64, Duration)>>> = Rc::default();
    for name in ["here", "there"] {
        let dates = Rc::clone(&dates);
        sim.client(name, async move {
            let (date, instant) = (SystemTime::now(), Instant::now());
            sleep(HOUR).await;
            let jumped = SystemTime::now().duration_since(date);
            // Back: as an error, by how much.
            let jumped = jumped.unwrap_or_else(|error| error.duration());
            dates
                .borrow_mut()
                .push((jumped.as_secs() / 3600, instant.elapsed()));
        });
    }
    sim.at(MS, |sim| sim.jump_ahead("here", HOUR * 24));
    sim.at(MS * 2, |sim| sim.jump_back("there", HOUR * 48));
    sim.run().unwrap();
    let mut hours: Vec<u64> = dates.borrow().iter().map(|(hours, _)| *hours).collect();
    hours.sort_unstable();
    // One hour has passed, and a little more: 24 are added here, 48 taken away there.
    assert_eq!(hours, [25, 46]);
    for (_, elapsed) in dates.borrow().iter() {
        assert!(*elapsed >= HOUR && *elapsed < HOUR + MS, "{elapsed:?}");
    }
}

#[test]
fn clients_that_wait_for_nothing_are_named() {
    let mut sim = Sim::new(4);
    sim.client("done", async {});
    sim.client("stuck", std::future::pending());
    let failure = sim.run().unwrap_err();
    let text = failure.to_string();
    assert!(
        text.contains("`stuck`, a client that has not finished"),
        "{text}"
    );
    assert!(!text.contains("done"), "{text}");
    assert_eq!(failure.seed(), 4);
}

#[test]
fn cores_of_a_host_talk_to_each_other() {
    let heard = Rc::new(Cell::new(0));
    let handles = Rc::new(RefCell::new(Vec::new()));
    let mut sim = Sim::new(8);
    let heard_by_host = heard.clone();
    sim.host_with_cores("server", 3, move |core| {
        let (heard, handles) = (heard_by_host.clone(), handles.clone());
        async move {
            handles.borrow_mut().push(krug::CoreHandle::current());
            sleep(MS).await;
            let next = handles.borrow()[(core + 1) % 3];
            let answer = next.spawn(async move {
                sleep(MS).await;
                core
            });
            assert_eq!(answer.ok().unwrap().await.unwrap(), core);
            heard.set(heard.get() + 1);
            sleep(HOUR).await;
        }
    });
    sim.run_for(HOUR / 2).unwrap();
    assert_eq!(heard.get(), 3);
}

#[test]
fn channels_between_the_cores_of_a_host_follow_from_the_seed() {
    let run = |seed| {
        written(seed, |sim, log| {
            let log = log.clone();
            let mesh = krug::cores::mesh(3, 2).into_iter().map(Some);
            let mesh = Rc::new(RefCell::new(mesh.collect::<Vec<_>>()));
            let (said, heard) = krug::cores::mpsc::channel(1);
            let heard = Rc::new(RefCell::new(Some(heard)));
            sim.host_with_cores("server", 3, move |core| {
                let (mut senders, mut receiver) = mesh.borrow_mut()[core].take().unwrap();
                let (log, said, heard) = (log.clone(), said.clone(), heard.clone());
                async move {
                    spawn(async move {
                        for number in 0..20 {
                            sleep(MS * rand::below(3) as u32).await;
                            for (_, sender) in senders.iter_mut() {
                                sender.send(number).await.unwrap();
                            }
                        }
                    });
                    if core == 0 {
                        let mut heard = heard.borrow_mut().take().unwrap();
                        spawn(async move {
                            while let Some(words) = heard.recv().await {
                                log.borrow_mut().push(words);
                            }
                        });
                    }
                    while let Some((from, number)) = receiver.recv().await {
                        said.send(format!("{core} from {from}: {number}"))
                            .await
                            .unwrap();
                    }
                    drop(said);
                    sleep(HOUR).await;
                }
            });
            sim.client("end", sleep(MS * 1000));
        })
    };
    let first = run(3);
    assert_eq!(first.0.len(), 3 * 2 * 20);
    assert_eq!(first, run(3));
    assert_ne!(first.0, run(4).0);
}

#[test]
fn a_loop_that_never_waits_does_not_stop_the_clock() {
    let mut sim = Sim::new(8);
    sim.client("busy", async {
        let spinning = async {
            loop {
                krug::task::yield_now().await;
            }
        };
        assert!(timeout(MS, spinning).await.is_err());
    });
    sim.run().unwrap();
}

#[test]
fn a_failure_names_its_seed_and_each_seed_has_a_world() {
    let seeds = std::sync::Mutex::new(Vec::new());
    check(5, |sim| seeds.lock().unwrap().push(sim.seed()));
    let expected = match std::env::var("KRUG_SIM_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..5).collect(),
    };
    assert_eq!(seeds.into_inner().unwrap(), expected);
}

#[test]
fn what_is_planned_by_count_happens_between_one_event_and_the_next() {
    let mut sim = Sim::new(3);
    sim.host("clock", || async {
        loop {
            sleep(MS).await;
        }
    });
    let seen: Rc<RefCell<Vec<u64>>> = Rc::default();
    for count in [50, 20, 20] {
        let seen = Rc::clone(&seen);
        sim.at_event(count, move |sim| {
            seen.borrow_mut().push(sim.events());
            sim.bounce("clock");
        });
    }
    sim.run_for(MS * 200).unwrap();
    // A crash counts, and the last turn of what it ends.
    assert_eq!(*seen.borrow(), [20, 22, 50]);
}
