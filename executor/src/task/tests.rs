//! What a task promises, without any I/O.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::scheduler::tests::Bench;

/// Counts its drops, and may panic in them.
struct DropCounter {
    drops: Rc<Cell<usize>>,
}

impl DropCounter {
    fn new() -> (DropCounter, Rc<Cell<usize>>) {
        let drops = Rc::new(Cell::new(0));
        let counter = DropCounter {
            drops: drops.clone(),
        };
        (counter, drops)
    }
}

impl Drop for DropCounter {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
    }
}

#[test]
fn a_task_gives_its_output_to_its_joiner() {
    let bench = Bench::new();
    let handle = bench.spawn(async { 7 });
    assert_eq!(bench.block_on(handle).unwrap(), 7);
}

#[test]
fn ten_tasks_join_each_other_in_a_chain() {
    let bench = Bench::new();
    let mut last = bench.spawn(async { 0 });
    for _ in 0..10 {
        let before = last;
        last = bench.spawn(async move { before.await.unwrap() + 1 });
    }
    assert_eq!(bench.block_on(last).unwrap(), 10);
}
