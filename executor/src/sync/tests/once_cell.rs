use super::*;
use crate::sync::{OnceCell, SetError};

#[test]
fn the_first_makes_the_value_and_the_others_wait_for_it() {
    let cell = OnceCell::new();
    let made = Cell::new(0);
    let make = || async {
        made.set(made.get() + 1);
        yield_once().await;
        7
    };
    let mut first = Box::pin(cell.get_or_init(make));
    let (counter, waker) = Counter::new();
    let mut others: Vec<_> = (0..5).map(|_| Box::pin(cell.get_or_init(make))).collect();
    assert!(poll_once(&mut first).is_pending());
    for other in &mut others {
        assert!(poll(other, &waker).is_pending());
    }
    assert_eq!(cell.set(8), Err(SetError::Initializing(8)));
    assert_eq!(poll_once(&mut first), Poll::Ready(&7));
    assert_eq!(counter.wakes(), 5, "bug 63: all of them are woken");
    for other in &mut others {
        assert_eq!(poll(other, &waker), Poll::Ready(&7));
    }
    assert_eq!(made.get(), 1);
    assert_eq!(cell.set(8), Err(SetError::AlreadyInitialized(8)));
}

#[test]
fn when_the_maker_is_dropped_fails_or_panics_the_next_one_tries() {
    let cell = OnceCell::new();
    let mut dropped = Box::pin(cell.get_or_init(std::future::pending));
    let mut fails = Box::pin(cell.get_or_try_init(|| async { Err("no") }));
    let mut panics = Box::pin(cell.get_or_init(|| async { panic!("no") }));
    let mut succeeds = Box::pin(cell.get_or_init(|| async { 3 }));
    let (counter, waker) = Counter::new();
    assert!(poll_once(&mut dropped).is_pending());
    assert!(poll(&mut fails, &waker).is_pending());
    assert!(poll(&mut panics, &waker).is_pending());
    assert!(poll(&mut succeeds, &waker).is_pending());
    drop(dropped);
    assert_eq!(counter.wakes(), 1);
    assert!(poll(&mut succeeds, &waker).is_pending(), "in order");
    assert_eq!(poll_once(&mut fails), Poll::Ready(Err("no")));
    let panic = std::panic::AssertUnwindSafe(|| poll_once(&mut panics).is_ready());
    assert!(std::panic::catch_unwind(panic).is_err());
    assert_eq!(counter.wakes(), 3);
    assert_eq!(poll_once(&mut succeeds), Poll::Ready(&3));
}

#[test]
fn it_is_set_taken_and_made_from_a_value() {
    let mut cell = OnceCell::from(1);
    assert_eq!(cell.set(2), Err(SetError::AlreadyInitialized(2)));
    assert_eq!(now(cell.get_or_init(|| async { 2 })), &1);
    *cell.get_mut().unwrap() = 4;
    assert_eq!(cell.take(), Some(4));
    assert!(!cell.initialized() && cell.get().is_none() && cell.get_mut().is_none());
    assert_eq!(cell.set(5), Ok(()));
    assert_eq!(now(cell.get_or_try_init(|| async { Err(()) })), Ok(&5));
    assert_eq!(cell.into_inner(), Some(5));
    assert_eq!(OnceCell::<i32>::new_with(None).into_inner(), None);
}

#[test]
fn a_maker_that_sets_the_cell_is_refused() {
    let cell = OnceCell::new();
    let refused = now(cell.get_or_init(|| async { format!("{:?}", cell.set(String::new())) }));
    assert_eq!(refused, "Err(Initializing(..))");
}

/// 20 000 random steps: makers that take some polls, fail at times, and are dropped.
#[test]
fn random_programs_make_one_value() {
    let random = Random::new();
    for _ in 0..1000 {
        let cell = OnceCell::new();
        let (making, made) = (Cell::new(0), Cell::new(0));
        let mut waiting = Vec::new();
        for step in 0..20 {
            if random.below(2) == 0 {
                let fails = random.below(3) == 0;
                let (making, made) = (&making, &made);
                waiting.push(Box::pin(cell.get_or_try_init(move || async move {
                    making.set(making.get() + 1);
                    let _over = OnDrop(|| making.set(making.get() - 1));
                    assert_eq!(making.get(), 1, "two at a time");
                    yield_once().await;
                    if fails {
                        return Err(());
                    }
                    made.set(made.get() + 1);
                    Ok(step)
                })));
            }
            if !waiting.is_empty() {
                let chosen = random.below(waiting.len());
                if random.below(3) == 0 || poll_once(&mut waiting[chosen]).is_ready() {
                    drop(waiting.remove(chosen));
                }
            }
            assert!(made.get() <= 1);
            assert_eq!(cell.initialized(), made.get() == 1);
        }
        drop(waiting);
        assert_eq!(
            cell.set(99).is_ok(),
            made.get() == 0,
            "the right is not lost"
        );
    }
}

#[test]
fn bug_044_it_works_under_a_poller_with_wakers_of_its_own() {
    let cell = OnceCell::new();
    let cell = &cell;
    let mut children: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for i in 0..20 {
        children.push(Box::pin(async move {
            let make = || async {
                yield_once().await;
                if i < 10 { Err(i) } else { Ok(i) }
            };
            match cell.get_or_try_init(make).await {
                Ok(value) => assert_eq!(*value, 10),
                Err(number) => assert_eq!(number, i),
            }
        }));
    }
    run_all(children);
}

#[test]
fn a_task_that_always_gets_the_value_lets_the_others_run() {
    gives_way(|| {
        let cell = OnceCell::from(1);
        async move {
            for _ in 0..10_000 {
                cell.get_or_init(|| async { 2 }).await;
            }
        }
    });
}
