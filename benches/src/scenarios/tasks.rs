//! What tasks cost before there is any I/O: starting and joining them, giving way, and passing messages between two on one core.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use super::course::{Contestant, Course, compare, contestants, on_tokio_without_io};
use crate::floor::rounds::{Rounds, next_round};
use crate::harness::machine::Machine;
use crate::options::Options;

const BATCH: u64 = 64;
const RESOLUTION: f64 = 0.03;

const fn course(
    what: &'static str,
    wanted: &'static str,
    contestants: &'static [Contestant],
) -> Course {
    Course {
        scenario: "tasks",
        what,
        wanted,
        // Each is over in nanoseconds.
        count: |operations| operations * 10,
        resolution: RESOLUTION,
        contestants,
    }
}

/// As tokio is at its fastest: a runtime that does nothing else.
macro_rules! without_io {
    ($work:path) => {
        Contestant {
            name: "tokio-no-io",
            run: |operations| on_tokio_without_io(operations, $work),
        }
    };
}

static COURSES: [Course; 5] = [
    course(
        "spawn and join in batches of 64",
        "20 ns or less",
        contestants!(
            krug_batches,
            tokio_batches,
            floor_batches,
            without_io!(tokio_batches)
        ),
    ),
    course(
        "spawn and join one by one",
        "28 ns or less",
        contestants!(
            krug_one_by_one,
            tokio_one_by_one,
            floor_one_by_one,
            without_io!(tokio_one_by_one)
        ),
    ),
    course(
        "yield, one task",
        "10 ns or less",
        contestants!(
            krug_yield,
            tokio_yield,
            floor_yield,
            without_io!(tokio_yield)
        ),
    ),
    course(
        "yield, two tasks",
        "10 ns or less",
        contestants!(
            krug_yield_of_two,
            tokio_yield_of_two,
            floor_yield_of_two,
            without_io!(tokio_yield_of_two)
        ),
    ),
    course(
        "there and back through two channels",
        "35 ns or less",
        contestants!(
            krug_channels,
            tokio_channels,
            floor_channels,
            without_io!(tokio_channels)
        ),
    ),
];

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    COURSES
        .iter()
        .try_for_each(|course| compare(options, machine, course))
}

/// What all tasks of a run have told together must be this.
fn checked(operations: u64, sum: u64) -> io::Result<u64> {
    if sum == (0..operations).sum::<u64>() {
        Ok(operations)
    } else {
        Err(io::Error::other("the tasks have told something else"))
    }
}

fn no_answer() -> io::Error {
    io::Error::other("the other task has ended")
}

async fn krug_batches(operations: u64) -> io::Result<u64> {
    let mut tasks = Vec::with_capacity(BATCH as usize);
    let (mut sum, mut done) = (0, 0);
    while done < operations {
        tasks.extend((done..done + BATCH).map(|number| krug::spawn(async move { number })));
        for task in tasks.drain(..) {
            sum += task.await.map_err(io::Error::other)?;
        }
        done += BATCH;
    }
    checked(done, sum)
}

async fn tokio_batches(operations: u64) -> io::Result<u64> {
    let mut tasks = Vec::with_capacity(BATCH as usize);
    let (mut sum, mut done) = (0, 0);
    while done < operations {
        tasks.extend((done..done + BATCH).map(|number| tokio::spawn(async move { number })));
        for task in tasks.drain(..) {
            sum += task.await.map_err(io::Error::other)?;
        }
        done += BATCH;
    }
    checked(done, sum)
}

fn floor_batches(operations: u64) -> io::Result<u64> {
    floor_spawn(operations, BATCH)
}

async fn krug_one_by_one(operations: u64) -> io::Result<u64> {
    let mut sum = 0;
    for number in 0..operations {
        let task = krug::spawn(async move { number });
        sum += task.await.map_err(io::Error::other)?;
    }
    checked(operations, sum)
}

async fn tokio_one_by_one(operations: u64) -> io::Result<u64> {
    let mut sum = 0;
    for number in 0..operations {
        let task = tokio::spawn(async move { number });
        sum += task.await.map_err(io::Error::other)?;
    }
    checked(operations, sum)
}

fn floor_one_by_one(operations: u64) -> io::Result<u64> {
    floor_spawn(operations, 1)
}

fn floor_spawn(operations: u64, batch: u64) -> io::Result<u64> {
    let rounds = Rounds::default();
    let sum = Rc::new(Cell::new(0));
    let mut done = 0;
    while done < operations {
        for number in done..done + batch {
            let sum = sum.clone();
            rounds.spawn(async move { sum.set(sum.get() + number) });
        }
        rounds.run();
        done += batch;
    }
    checked(done, sum.get())
}

async fn krug_yield(operations: u64) -> io::Result<u64> {
    let task = krug::spawn(krug_yields(operations));
    task.await.map_err(io::Error::other)
}

async fn krug_yield_of_two(operations: u64) -> io::Result<u64> {
    let each = operations.div_ceil(2);
    let tasks = [(); 2].map(|()| krug::spawn(krug_yields(each)));
    let mut sum = 0;
    for task in tasks {
        sum += task.await.map_err(io::Error::other)?;
    }
    Ok(sum)
}

async fn krug_yields(count: u64) -> u64 {
    for _ in 0..count {
        krug::task::yield_now().await;
    }
    count
}

async fn tokio_yield(operations: u64) -> io::Result<u64> {
    let task = tokio::spawn(tokio_yields(operations));
    task.await.map_err(io::Error::other)
}

async fn tokio_yield_of_two(operations: u64) -> io::Result<u64> {
    let each = operations.div_ceil(2);
    let tasks = [(); 2].map(|()| tokio::spawn(tokio_yields(each)));
    let mut sum = 0;
    for task in tasks {
        sum += task.await.map_err(io::Error::other)?;
    }
    Ok(sum)
}

async fn tokio_yields(count: u64) -> u64 {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
    count
}

fn floor_yield(operations: u64) -> io::Result<u64> {
    floor_yields(operations, 1)
}

fn floor_yield_of_two(operations: u64) -> io::Result<u64> {
    floor_yields(operations, 2)
}

fn floor_yields(operations: u64, tasks: u64) -> io::Result<u64> {
    let rounds = Rounds::default();
    let done = Rc::new(Cell::new(0));
    let each = operations.div_ceil(tasks);
    for _ in 0..tasks {
        let done = done.clone();
        rounds.spawn(async move {
            for _ in 0..each {
                next_round().await;
            }
            done.set(done.get() + each);
        });
    }
    rounds.run();
    Ok(done.get())
}

async fn krug_channels(operations: u64) -> io::Result<u64> {
    let (asking, mut asked) = krug::sync::mpsc::channel(1);
    let (answering, mut answered) = krug::sync::mpsc::channel(1);
    let other = krug::spawn(async move {
        while let Some(number) = asked.recv().await {
            if answering.send(number).await.is_err() {
                return;
            }
        }
    });
    let one = krug::spawn(async move {
        let mut sum = 0;
        for number in 0..operations {
            asking.send(number).await.map_err(io::Error::other)?;
            sum += answered.recv().await.ok_or_else(no_answer)?;
        }
        checked(operations, sum)
    });
    let outcome = one.await.map_err(io::Error::other)?;
    other.await.map_err(io::Error::other)?;
    outcome
}

async fn tokio_channels(operations: u64) -> io::Result<u64> {
    let (asking, mut asked) = tokio::sync::mpsc::channel(1);
    let (answering, mut answered) = tokio::sync::mpsc::channel(1);
    let other = tokio::spawn(async move {
        while let Some(number) = asked.recv().await {
            if answering.send(number).await.is_err() {
                return;
            }
        }
    });
    let one = tokio::spawn(async move {
        let mut sum = 0;
        for number in 0..operations {
            asking.send(number).await.map_err(io::Error::other)?;
            sum += answered.recv().await.ok_or_else(no_answer)?;
        }
        checked(operations, sum)
    });
    let outcome = one.await.map_err(io::Error::other)?;
    other.await.map_err(io::Error::other)?;
    outcome
}

/// Two queues that are looked into in every round.
fn floor_channels(operations: u64) -> io::Result<u64> {
    type Queue = Rc<RefCell<VecDeque<u64>>>;
    async fn taken(queue: &Queue) -> u64 {
        loop {
            let first = queue.borrow_mut().pop_front();
            match first {
                Some(number) => return number,
                None => next_round().await,
            }
        }
    }
    let rounds = Rounds::default();
    let (asked, answered) = (Queue::default(), Queue::default());
    let sum = Rc::new(Cell::new(0));
    let (to_ask, to_take, told) = (asked.clone(), answered.clone(), sum.clone());
    rounds.spawn(async move {
        for number in 0..operations {
            to_ask.borrow_mut().push_back(number);
            told.set(told.get() + taken(&to_take).await);
        }
    });
    rounds.spawn(async move {
        for _ in 0..operations {
            let number = taken(&asked).await;
            answered.borrow_mut().push_back(number);
        }
    });
    rounds.run();
    checked(operations, sum.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::course::ends_for_all;

    #[test]
    fn every_course_ends_for_all_and_counts_right() {
        for course in &COURSES {
            for operations in [1, 2, 100] {
                ends_for_all(course, operations);
            }
        }
    }

    #[test]
    fn a_task_that_told_something_else_is_noticed() {
        assert_eq!(checked(3, 3).unwrap(), 3);
        assert!(checked(3, 4).is_err());
    }
}
