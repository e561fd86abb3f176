//! Values that go with a future: found wherever it is polled and when it is dropped, and nowhere else.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;

use super::{Bench, Drops, poll_once, wait};
use crate::task::{spawn, yield_now};

crate::task_local! {
    static NUMBER: u32;
    static SHARED: Rc<Cell<u32>>;
    static WITH_DESTRUCTOR: TellsItsValue
}

/// Looks for a value of its own key when it is dropped.
struct TellsItsValue(Rc<RefCell<Vec<&'static str>>>);

impl Drop for TellsItsValue {
    fn drop(&mut self) {
        let found = WITH_DESTRUCTOR.try_with(|_| ()).is_ok();
        self.0.borrow_mut().push(match found {
            true => "the value finds one",
            false => "the value finds none",
        });
    }
}

#[test]
fn each_task_has_its_own_value_at_every_poll() {
    let bench = Bench::new();
    let tasks: Vec<_> = (0..4)
        .map(|number| {
            bench.spawn(NUMBER.scope(number, async move {
                for _ in 0..3 {
                    assert_eq!(NUMBER.get(), number);
                    yield_now().await;
                }
                NUMBER.with(|it| *it)
            }))
        })
        .collect();
    for (number, task) in (0..).zip(tasks) {
        assert_eq!(bench.block_on(task).unwrap(), number);
    }
    assert!(NUMBER.try_with(|_| ()).is_err());
}

#[test]
fn a_spawned_task_and_a_parent_have_no_value_of_a_child() {
    let bench = Bench::new();
    bench.block_on(NUMBER.scope(1, async {
        let inner = spawn(async { NUMBER.try_with(|_| ()).is_err() });
        assert!(inner.await.unwrap());
        assert_eq!(NUMBER.scope(2, async { NUMBER.get() }).await, 2);
        assert_eq!(NUMBER.get(), 1);
    }));
}

#[test]
fn the_value_goes_where_the_future_goes() {
    let mut future = Box::pin(NUMBER.scope(5, async {
        let before = NUMBER.get();
        yield_now().await;
        (before, NUMBER.get())
    }));
    assert!(poll_once(&mut future).is_pending());
    let there = thread::spawn(move || wait(future));
    assert_eq!(there.join().unwrap(), (5, 5));
}

#[test]
fn scopes_in_scopes_hide_and_restore_also_within_with_and_after_a_panic() {
    NUMBER.sync_scope(1, || {
        NUMBER.with(|outer| {
            NUMBER.sync_scope(2, || assert_eq!((NUMBER.get(), *outer), (2, 1)));
        });
        let paniced = catch_unwind(|| NUMBER.sync_scope(3, || panic!("inside")));
        assert!(paniced.is_err());
        assert_eq!(NUMBER.get(), 1);
        let mut panics = Box::pin(NUMBER.scope(4, async { panic!("inside") }));
        let polled = catch_unwind(AssertUnwindSafe(|| poll_once(&mut panics)));
        assert!(polled.is_err());
        assert_eq!(NUMBER.get(), 1);
    });
    assert!(NUMBER.try_with(|_| ()).is_err());
}

#[test]
fn a_missing_value_says_what_to_do() {
    let said = catch_unwind(|| NUMBER.get()).unwrap_err();
    let said = said.downcast::<String>().unwrap();
    assert!(said.contains("NAME.scope(value, future)"), "{said}");
}

/// Says in its destructor whether it finds the value.
struct Finds(Rc<Cell<Option<u32>>>);

impl Drop for Finds {
    fn drop(&mut self) {
        self.0.set(NUMBER.try_with(|number| *number).ok());
    }
}

#[test]
fn the_future_is_dropped_with_its_value_and_the_value_after_it() {
    // Ended, dropped after a poll, and never polled.
    for polls in [2, 1, 0] {
        let found = Rc::new(Cell::new(None));
        let guard = Finds(found.clone());
        let mut future = Box::pin(NUMBER.scope(6, async move {
            let _guard = guard;
            yield_now().await;
        }));
        for _ in 0..polls {
            let _ = poll_once(&mut future);
        }
        drop(future);
        assert_eq!(found.get(), Some(6), "after {polls} polls");
    }
    let log = Rc::<RefCell<Vec<_>>>::default();
    let written = log.clone();
    let future = WITH_DESTRUCTOR.scope(TellsItsValue(log.clone()), async move {
        let _guard = Logs(written);
        pending::<()>().await;
    });
    let mut future = Box::pin(future);
    assert!(poll_once(&mut future).is_pending());
    drop(future);
    assert_eq!(*log.borrow(), ["the future", "the value finds none"]);
}

struct Logs(Rc<RefCell<Vec<&'static str>>>);

impl Drop for Logs {
    fn drop(&mut self) {
        self.0.borrow_mut().push("the future");
    }
}

#[test]
fn a_future_whose_destructor_panics_leaves_no_value_behind() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("a destructor");
        }
    }
    let value = Rc::new(Cell::new(0));
    let future = SHARED.scope(value.clone(), async {
        let _panics = Panics;
        pending::<()>().await;
    });
    let mut future = Box::pin(future);
    assert!(poll_once(&mut future).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(future))).is_err());
    assert!(SHARED.try_with(|_| ()).is_err());
    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
fn an_aborted_task_finds_its_value_while_it_is_dropped() {
    let bench = Bench::new();
    let found = Rc::new(Cell::new(None));
    let guard = Finds(found.clone());
    let task = bench.spawn(NUMBER.scope(8, async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    bench.settle();
    task.abort();
    bench.settle();
    assert_eq!(found.get(), Some(8));
}

/// Polls and drops a future with a value while the thread ends.
struct AtTheEnd(Drops);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        assert!(NUMBER.try_with(|_| ()).is_err());
        let guard = self.0.counter();
        let mut future = pin!(NUMBER.scope(9, async move {
            let _guard = guard;
            poll_fn(|_| Poll::Ready(NUMBER.get())).await
        }));
        let polled = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(9));
        let mut waits = Box::pin(NUMBER.scope(9, pending::<()>()));
        assert!(poll_once(&mut waits).is_pending());
    }
}

thread_local! {
    static LAST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
}

#[test]
fn bug_079_a_value_can_be_asked_for_and_scoped_while_its_thread_ends() {
    let drops = Drops::default();
    let counted = drops.clone();
    // Set before and after the key is used: whatever the order in which the locals of a thread go.
    for first in [true, false] {
        let counted = counted.clone();
        let thread = thread::spawn(move || {
            let set = || LAST.set(Some(AtTheEnd(counted.clone())));
            if first {
                set();
            }
            NUMBER.sync_scope(1, || assert_eq!(NUMBER.get(), 1));
            if !first {
                set();
            }
        });
        // A panic in a destructor of a thread-local ends the process.
        thread.join().unwrap();
    }
    assert_eq!(drops.count(), 2);
}
