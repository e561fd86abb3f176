//! What a class gets of a core, counted in polls.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

use super::*;
use crate::scheduler::Until;
use crate::scheduler::tests::Bench;
use crate::task::{spawn_in, yield_now};
use krug_tests::Random;

fn polls(polls_max: usize) -> TurnBudget {
    TurnBudget {
        polls_max,
        until: None,
    }
}

/// Counts polls of the tasks of each class.
#[derive(Clone, Default)]
struct Counts(Rc<[Cell<usize>; 3]>);

impl Counts {
    fn count(&self, class: Class) {
        let count = &self.0[class as usize];
        count.set(count.get() + 1);
    }

    fn take(&self) -> [usize; 3] {
        Class::ALL.map(|class| self.0[class as usize].take())
    }
}

/// Starts a task that is always ready.
fn spawn_yielding(class: Class, counts: &Counts) {
    let counts = counts.clone();
    drop(spawn_in(class, async move {
        loop {
            counts.count(class);
            yield_now().await;
        }
    }));
}

/// Starts a task that sleeps until it is woken, again and again.
fn spawn_sleeper(class: Class, counts: &Counts) -> Rc<RefCell<Option<Waker>>> {
    let place = Rc::new(RefCell::new(None));
    let (counts, at_task) = (counts.clone(), place.clone());
    drop(spawn_in(
        class,
        poll_fn(move |cx| {
            counts.count(class);
            *at_task.borrow_mut() = Some(cx.waker().clone());
            Poll::<()>::Pending
        }),
    ));
    place
}

fn wake(place: &RefCell<Option<Waker>>) {
    if let Some(waker) = &*place.borrow() {
        waker.wake_by_ref();
    }
}

#[test]
fn polls_follow_the_shares_under_constant_load() {
    for shares in [SHARES_DEFAULT, [1, 1, 1], [2, 5, 10], [100, 1, 1]] {
        let bench = Bench::new();
        bench.scheduler.share_by(shares);
        let _entered = bench.scheduler.enter();
        let counts = Counts::default();
        for class in Class::ALL {
            // How many there are of a class makes no difference.
            for _ in 0..=class as usize {
                spawn_yielding(class, &counts);
            }
        }
        let all = shares.iter().sum::<u32>() as usize;
        let turns = 100;
        for _ in 0..turns {
            assert_eq!(bench.scheduler.run(polls(all)), all);
        }
        for (count, share) in counts.take().into_iter().zip(shares) {
            let expected = turns * share as usize;
            // The cost of a poll is rounded.
            assert!(
                count.abs_diff(expected) <= 1 + expected / 50,
                "{count} polls instead of {expected}, of {shares:?}"
            );
        }
    }
}

#[test]
fn a_class_whose_tasks_alone_are_ready_gets_everything() {
    for class in Class::ALL {
        let bench = Bench::new();
        let _entered = bench.scheduler.enter();
        let counts = Counts::default();
        let other = spawn_sleeper(Class::Latency, &counts);
        spawn_sleeper(Class::Default, &counts);
        bench.scheduler.run(polls(10));
        counts.take();
        spawn_yielding(class, &counts);
        assert_eq!(bench.scheduler.run(polls(500)), 500);
        assert_eq!(counts.take()[class as usize], 500);
        drop(other);
    }
}

#[test]
fn one_that_wakes_within_its_share_is_next() {
    let bench = Bench::new();
    let _entered = bench.scheduler.enter();
    let counts = Counts::default();
    let sleeper = spawn_sleeper(Class::Latency, &counts);
    for class in [Class::Default, Class::Background] {
        for _ in 0..10 {
            spawn_yielding(class, &counts);
        }
    }
    bench.scheduler.run(polls(200));
    counts.take();
    for _ in 0..100 {
        wake(&sleeper);
        assert_eq!(bench.scheduler.run(polls(1)), 1);
        assert_eq!(counts.take(), [1, 0, 0]);
        bench.scheduler.run(polls(20));
        counts.take();
    }
}

#[test]
fn a_task_that_a_task_wakes_keeps_to_its_share() {
    let bench = Bench::new();
    let _entered = bench.scheduler.enter();
    let counts = Counts::default();
    let sleeper = spawn_sleeper(Class::Background, &counts);
    let at_waker = counts.clone();
    drop(spawn_in(Class::Latency, async move {
        loop {
            at_waker.count(Class::Latency);
            wake(&sleeper);
            yield_now().await;
        }
    }));
    bench.scheduler.run(polls(170));
    let [latency, _, background] = counts.take();
    assert!(background.abs_diff(10) <= 1, "{background}");
    assert!(latency.abs_diff(160) <= 1, "{latency}");
}

/// Row 87: an account that is forgotten when its class falls asleep makes every wake a new beginning.
#[test]
fn bug_087_what_a_class_has_spent_is_remembered_while_it_sleeps() {
    let bench = Bench::new();
    let _entered = bench.scheduler.enter();
    let counts = Counts::default();
    // After each of its polls nothing of its class is ready; it is woken before the next one is chosen.
    let sleeper = spawn_sleeper(Class::Background, &counts);
    spawn_yielding(Class::Latency, &counts);
    bench.scheduler.run(polls(2));
    counts.take();
    for _ in 0..1700 {
        wake(&sleeper);
        bench.scheduler.run(polls(1));
    }
    let [latency, _, background] = counts.take();
    assert_eq!(latency + background, 1700);
    assert!(background.abs_diff(100) <= 1, "{background} of 1700");
}

#[test]
fn what_a_class_did_not_use_is_not_saved_up() {
    let bench = Bench::new();
    let _entered = bench.scheduler.enter();
    let counts = Counts::default();
    spawn_yielding(Class::Background, &counts);
    bench.scheduler.run(polls(10_000));
    counts.take();
    spawn_yielding(Class::Default, &counts);
    bench.scheduler.run(polls(100));
    let [_, default, background] = counts.take();
    assert!(background.abs_diff(20) <= 1, "{background} of 100");
    assert!(default.abs_diff(80) <= 1, "{default} of 100");
}

/// How many polls a class may have to wait for that is ready: the others first spend what it spends for one, and one poll each on top.
fn longest_wait(shares: [u32; 3], class: Class) -> usize {
    let own = shares[class as usize];
    let others = Class::ALL.into_iter().filter(|other| *other != class);
    others
        .map(|other| shares[other as usize].div_ceil(own) as usize + 2)
        .sum()
}

#[test]
fn nobody_starves_and_nobody_gets_more_than_its_share_in_random_programs() {
    let random = Random::new();
    for _ in 0..krug_tests::iterations(30) {
        let shares = [(); 3].map(|()| 1 + random.below(30) as u32);
        let bench = Bench::new();
        bench.scheduler.share_by(shares);
        let _entered = bench.scheduler.enter();
        let counts = Counts::default();
        // One class is always ready, the others whenever somebody wakes them.
        let steady = Class::ALL[random.below(3)];
        spawn_yielding(steady, &counts);
        let sleepers = Class::ALL.map(|class| spawn_sleeper(class, &counts));
        bench.scheduler.run(polls(longest_wait(shares, steady) * 4));
        counts.take();
        let mut waited = [0; 3];
        let mut totals = [0; 3];
        for _ in 0..2000 {
            let mut is_ready = Class::ALL.map(|class| class == steady);
            for class in Class::ALL {
                // One that was woken before and has not run yet is still ready.
                if random.below(3) == 0 && class != steady {
                    wake(&sleepers[class as usize]);
                }
                let queue = bench.scheduler.classes.queue(class);
                let ready = queue.map_or(bench.scheduler.ready_by_default(), RunQueue::len);
                is_ready[class as usize] |= ready > 0;
            }
            bench.scheduler.run(polls(1));
            let polled = counts.take();
            for class in Class::ALL {
                let index = class as usize;
                totals[index] += polled[index];
                waited[index] = match polled[index] == 0 && is_ready[index] {
                    true => waited[index] + 1,
                    false => 0,
                };
                let longest = longest_wait(shares, class);
                assert!(
                    waited[index] <= longest,
                    "{class:?} waited for more than {longest} polls, with {shares:?}"
                );
            }
        }
        // Who was always ready got its share at least of what each other one got.
        let own = totals[steady as usize] as u32;
        for class in Class::ALL {
            let fair = own * shares[class as usize] / shares[steady as usize];
            let most = fair + fair / 20 + shares[class as usize].max(2) * 2;
            let got = totals[class as usize] as u32;
            assert!(
                got <= most,
                "{class:?}: {got} of {totals:?}, with {shares:?}"
            );
        }
    }
}

#[test]
fn a_poll_that_takes_long_counts_as_several() {
    let classes = Classes::new();
    let one = classes.account(Class::Background).cost.get();
    for (polls, least) in [(1, 999), (16, 984)] {
        let before = classes.account(Class::Background).spent.get();
        let began = Instant::now() - 1000 * UNIT_TIME;
        classes.slice.set(Some(Slice {
            began,
            class: Some(Class::Background),
            polls,
        }));
        classes.end_slice();
        let spent = classes.account(Class::Background).spent.get() - before;
        assert!(spent >= least * one, "{spent} is less than {least} × {one}");
    }
    assert_eq!(classes.account(Class::Latency).spent.get(), 0);
}

#[test]
fn where_classes_mix_a_turn_keeps_to_its_bounds_whatever_is_due() {
    let bench = Bench::new();
    let _entered = bench.scheduler.enter();
    let counts = Counts::default();
    for _ in 0..1000 {
        spawn_yielding(Class::Background, &counts);
    }
    assert_eq!(bench.scheduler.run(polls(256)), 256);
    let over = TurnBudget {
        polls_max: 256,
        until: Some(Until {
            nanos: 1,
            clock: || 1,
        }),
    };
    assert_eq!(bench.scheduler.run(over), 1);
    let far = TurnBudget {
        polls_max: 256,
        until: Some(Until {
            nanos: 2,
            clock: || 1,
        }),
    };
    assert_eq!(bench.scheduler.run(far), 256);
}

#[test]
fn a_turn_ends_with_its_urgent_polls_so_that_what_they_asked_for_begins() {
    for other in [Class::Default, Class::Background] {
        let bench = Bench::new();
        let _entered = bench.scheduler.enter();
        let counts = Counts::default();
        let sleeper = spawn_sleeper(Class::Latency, &counts);
        for _ in 0..100 {
            spawn_yielding(other, &counts);
        }
        let far = TurnBudget {
            polls_max: 256,
            until: Some(Until {
                nanos: 2,
                clock: || 1,
            }),
        };
        for _ in 0..3 {
            // Others may be first, where what was urgent has used up its share of the time; nothing else ends the turn early.
            let polls = bench.scheduler.run(far);
            assert!(polls < 256, "{other:?}: {polls}");
            assert_eq!(counts.take()[Class::Latency as usize], 1, "{other:?}");
            assert_eq!(bench.scheduler.run(far), 256, "{other:?}");
            assert_eq!(counts.take()[other as usize], 256, "{other:?}");
            wake(&sleeper);
        }
    }
}

#[test]
fn tasks_of_any_class_end_with_their_scheduler() {
    let bench = Bench::new();
    let handles = {
        let _entered = bench.scheduler.enter();
        Class::ALL.map(|class| spawn_in(class, std::future::pending::<()>()))
    };
    assert_eq!(bench.scheduler.live_tasks(), 3);
    bench.scheduler.abort_all();
    assert_eq!(bench.scheduler.live_tasks(), 0);
    let _entered = bench.scheduler.enter();
    let late = spawn_in(Class::Latency, std::future::pending::<()>());
    for handle in handles.into_iter().chain([late]) {
        assert!(handle.is_finished());
    }
}

#[test]
#[should_panic(expected = "needs a runtime")]
fn spawn_in_outside_a_runtime_says_what_to_do() {
    drop(spawn_in(Class::Latency, async {}));
}
