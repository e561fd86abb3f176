//! Several cores on one thread: those of a simulated host find each other, talk, crash and start anew, and a seed repeats it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use krug::runtime::run_on_every;
use krug::sim::Sim;
use krug::time::sleep;
use krug::{CoreHandle, spawn_on};

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
            done.borrow_mut().push(task.await.unwrap());
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
