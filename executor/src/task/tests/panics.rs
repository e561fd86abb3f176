//! Panics of tasks are counted by their core, and end what the policy says.

use std::future::{pending, poll_fn, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Bench, CountingWaker, PanicOnDrop, wait};
use crate::task::{FirstPanic, PanicResponse};

#[test]
fn a_panic_counts_wherever_in_the_life_of_a_task_it_happens() {
    let bench = Bench::new();
    let count = || bench.scheduler.panics().count();
    assert!(
        bench
            .block_on(bench.spawn(async { panic!("in a poll") }))
            .is_err()
    );
    assert_eq!(count(), 1);
    let aborted = bench.spawn(async {
        let _guard = PanicOnDrop("in the destructor of a future");
        pending::<()>().await;
    });
    bench.settle();
    aborted.abort();
    assert!(bench.block_on(aborted).unwrap_err().is_panic());
    assert_eq!(count(), 2);
    drop(bench.spawn(ready(PanicOnDrop("in the destructor of an output"))));
    bench.settle();
    assert_eq!(count(), 3);
    bench.block_on(bench.spawn(ready(()))).unwrap();
    assert_eq!((count(), bench.scheduler.live_tasks()), (3, 0));
}

#[test]
fn an_output_that_panics_elsewhere_is_no_panic_of_its_core() {
    let bench = Bench::new();
    let handle = bench.spawn(ready(PanicOnDrop("elsewhere")));
    bench.settle();
    std::thread::spawn(move || drop(handle)).join().unwrap();
    bench.settle();
    assert_eq!(bench.scheduler.panics().count(), 0);
}

#[test]
fn the_first_panic_of_all_is_told_to_everybody_with_the_place_of_its_task() {
    let first = Arc::new(FirstPanic::new(Duration::ZERO));
    let bench = Bench::new();
    bench
        .scheduler
        .panics()
        .respond_by(PanicResponse::Shutdown(first.clone()));
    let (waker, woken) = CountingWaker::new();
    let (gone, never) = CountingWaker::new();
    for waker in [&waker, &waker, &gone] {
        assert!(first.poll(&mut Context::from_waker(waker)).is_pending());
    }
    first.forget(&gone);
    drop(bench.spawn(async { panic!("the first") }));
    drop(bench.spawn(async { panic!("the second") }));
    bench.settle();
    assert_eq!((woken.count(), never.count()), (1, 0));
    let said = wait(poll_fn(|cx| first.poll(cx)));
    assert!(
        said.contains("the first") && said.contains("tests/panics.rs"),
        "{said}"
    );
    assert!(matches!(
        first.poll(&mut Context::from_waker(&waker)),
        Poll::Ready(_)
    ));
}
