use super::*;
use crate::sync::Barrier;

#[test]
fn all_go_on_when_the_last_has_come_and_one_leads() {
    let barrier = Barrier::new(3);
    for _ in 0..3 {
        let (counter, waker) = Counter::new();
        let mut waiting = [Box::pin(barrier.wait()), Box::pin(barrier.wait())];
        for wait in &mut waiting {
            assert!(poll(wait, &waker).is_pending());
            assert!(poll(wait, &waker).is_pending(), "and counts once");
        }
        assert!(now(barrier.wait()).is_leader());
        assert_eq!(counter.wakes(), 2);
        for wait in &mut waiting {
            let Poll::Ready(result) = poll(wait, &waker) else {
                panic!("the round is complete");
            };
            assert!(!result.is_leader());
        }
    }
}

#[test]
fn who_is_dropped_before_the_last_has_come_does_not_count() {
    let barrier = Barrier::new(2);
    let mut dropped = Box::pin(barrier.wait());
    assert!(poll_once(&mut dropped).is_pending());
    drop(dropped);
    let mut first = Box::pin(barrier.wait());
    assert!(poll_once(&mut first).is_pending());
    assert!(now(barrier.wait()).is_leader());
    // Complete is complete.
    drop(first);
    assert!(poll_once(&mut Box::pin(barrier.wait())).is_pending());
}

#[test]
fn nobody_waits_at_a_barrier_for_one_or_none() {
    for size in [0, 1] {
        let barrier = Barrier::new(size);
        assert!(now(barrier.wait()).is_leader());
        assert!(now(barrier.wait()).is_leader());
    }
}

#[test]
fn who_comes_while_a_round_is_woken_belongs_to_the_next() {
    let barrier: &'static Barrier = Box::leak(Box::new(Barrier::new(3)));
    let next_round = Rc::new(RefCell::new(Vec::new()));
    let list = next_round.clone();
    let meddler = Meddler::install(move || {
        if list.borrow().len() < 2 {
            let mut wait = Box::pin(barrier.wait());
            assert!(poll_once(&mut wait).is_pending(), "the third is missing");
            list.borrow_mut().push(wait);
        }
    });
    let mut waiting = [Box::pin(barrier.wait()), Box::pin(barrier.wait())];
    for wait in &mut waiting {
        assert!(poll(wait, &meddling_waker()).is_pending());
    }
    assert!(now(barrier.wait()).is_leader());
    assert_eq!(next_round.borrow().len(), 2);
    for wait in &mut waiting {
        assert!(poll_once(wait).is_ready());
    }
    assert!(now(barrier.wait()).is_leader());
    drop(meddler);
    for wait in next_round.borrow_mut().iter_mut() {
        assert!(poll_once(wait).is_ready());
    }
}

/// 20 000 random steps: futures arrive, are polled and are dropped.
#[test]
fn random_programs_complete_rounds_of_the_right_size() {
    let random = Random::new();
    let barrier = Barrier::new(4);
    let (mut rounds, mut arrived) = (0, 0);
    let mut waiting = Vec::new();
    for _ in 0..20_000 {
        match random.below(4) {
            0 | 1 if waiting.len() < 12 => {
                let mut wait = Box::pin(barrier.wait());
                match poll_once(&mut wait) {
                    Poll::Ready(result) => {
                        assert!(result.is_leader() && arrived == 3);
                        (rounds, arrived) = (rounds + 1, 0);
                    }
                    Poll::Pending => {
                        assert!(arrived < 3);
                        arrived += 1;
                        waiting.push((rounds, wait));
                    }
                }
            }
            2 if !waiting.is_empty() => {
                let (round, wait) = waiting.swap_remove(random.below(waiting.len()));
                arrived -= usize::from(round == rounds);
                drop(wait);
            }
            _ if !waiting.is_empty() => {
                let chosen = random.below(waiting.len());
                let (round, wait) = &mut waiting[chosen];
                assert_eq!(poll_once(wait).is_ready(), *round != rounds);
                if *round != rounds {
                    drop(waiting.swap_remove(chosen));
                }
            }
            _ => {}
        }
    }
    assert!(rounds > 100);
}

#[test]
fn bug_044_it_works_under_a_poller_with_wakers_of_its_own() {
    let barrier = Barrier::new(10);
    let (leaders, barrier) = (&Cell::new(0), &barrier);
    let mut children: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for _ in 0..10 {
        children.push(Box::pin(async move {
            for _ in 0..20 {
                let result = barrier.wait().await;
                leaders.set(leaders.get() + usize::from(result.is_leader()));
            }
        }));
    }
    run_all(children);
    assert_eq!(leaders.get(), 20);
}

#[test]
fn a_task_alone_at_its_barrier_lets_the_others_run() {
    gives_way(|| {
        let barrier = Barrier::new(1);
        async move {
            for _ in 0..10_000 {
                barrier.wait().await;
            }
        }
    });
}
