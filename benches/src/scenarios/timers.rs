//! Many timers at once: some that all fire, and some that are all given up before.
//!
//! What is told is time on the processor, so that waiting for the timers to fire does not count.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use krug::runtime::{Driver, Runtime};

use super::course::{Contestant, Course, Done, compare};
use crate::floor::system::thread_time;
use crate::harness::machine::Machine;
use crate::options::Options;

/// 100 000, if nothing else is asked for.
const COUNT: fn(operations: u64) -> u64 = |operations| operations / 10;
const RESOLUTION: f64 = 0.05;
/// They fire at so many moments, a millisecond apart: nobody's clock of timers is coarser than that.
const MOMENTS: u64 = 100;
/// The first fires when all should be armed: so long after the beginning, and so much later for each.
const ARMING: Duration = Duration::from_millis(20);
const ARMING_EACH: Duration = Duration::from_micros(2);
/// Fewer than a task may poll before it has to give way.
const POLLED_AT_ONCE: usize = 100;
/// When those fire that do not.
const NEVER: Duration = Duration::from_secs(3600);

static COURSES: [Course; 2] = [
    Course {
        scenario: "timers",
        what: "tasks that sleep, all at once, until all have woken",
        wanted: "300 ns or less for 100 000",
        count: COUNT,
        resolution: RESOLUTION,
        contestants: &[
            Contestant {
                name: "krug-uring",
                run: |count| krug_sleeps(Driver::Uring, count),
            },
            Contestant {
                name: "krug-epoll",
                run: |count| krug_sleeps(Driver::Epoll, count),
            },
            Contestant {
                name: "tokio",
                run: tokio_sleeps,
            },
            Contestant {
                name: "floor",
                run: floor_sleeps,
            },
        ],
    },
    Course {
        scenario: "timers",
        what: "sleeps that are armed and dropped",
        wanted: "as little as possible",
        count: COUNT,
        resolution: RESOLUTION,
        contestants: &[
            Contestant {
                name: "krug-uring",
                run: |count| krug_drops(Driver::Uring, count),
            },
            Contestant {
                name: "krug-epoll",
                run: |count| krug_drops(Driver::Epoll, count),
            },
            Contestant {
                name: "tokio",
                run: tokio_drops,
            },
        ],
    },
];

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    COURSES
        .iter()
        .try_for_each(|course| compare(options, machine, course))
}

/// When the sleeps of a run are to end.
#[derive(Clone, Copy)]
struct Plan {
    first: Instant,
    count: u64,
}

impl Plan {
    fn new(count: u64) -> Plan {
        let each = u32::try_from(count).map_or(NEVER, |count| ARMING_EACH * count);
        Plan {
            first: Instant::now() + ARMING + each,
            count,
        }
    }

    fn deadline(self, number: u64) -> Instant {
        self.first + Duration::from_millis(number % MOMENTS)
    }

    fn last(self) -> Instant {
        self.deadline((self.count - 1).min(MOMENTS - 1))
    }

    /// To be asked when all are armed. Of those armed later some did not sleep.
    fn were_armed_in_time(self) -> bool {
        Instant::now() < self.first
    }

    /// All have ended, and told these numbers.
    fn done(self, before: Duration, sum: u64, in_time: bool) -> io::Result<Done> {
        if sum != (0..self.count).sum::<u64>() {
            return Err(io::Error::other("not every sleep has ended once"));
        }
        if Instant::now() < self.last() {
            return Err(io::Error::other("a sleep has ended too early"));
        }
        Ok(Done {
            operations: self.count,
            took: thread_time() - before,
            // 1: the first had fired before the last was armed.
            details: vec![("armed_late", f64::from(u8::from(!in_time)))],
        })
    }
}

fn krug_sleeps(driver: Driver, count: u64) -> io::Result<Done> {
    let runtime = Runtime::builder().driver(driver).build()?;
    runtime.block_on(async {
        let (before, plan) = (thread_time(), Plan::new(count));
        let armed = Arc::new(AtomicU64::new(0));
        let sleeps = (0..count).map(|number| {
            let armed = armed.clone();
            krug::spawn(async move {
                armed.fetch_add(1, Ordering::Relaxed);
                krug::time::sleep_until(plan.deadline(number)).await;
                number
            })
        });
        let sleeps: Vec<_> = sleeps.collect();
        while armed.load(Ordering::Relaxed) < count {
            krug::task::yield_now().await;
        }
        let in_time = plan.were_armed_in_time();
        let mut sum = 0;
        for sleep in sleeps {
            sum += sleep.await.map_err(io::Error::other)?;
        }
        plan.done(before, sum, in_time)
    })
}

fn tokio_sleeps(count: u64) -> io::Result<Done> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build()?.block_on(async {
        let (before, plan) = (thread_time(), Plan::new(count));
        let armed = Arc::new(AtomicU64::new(0));
        let sleeps = (0..count).map(|number| {
            let armed = armed.clone();
            tokio::spawn(async move {
                armed.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep_until(plan.deadline(number).into()).await;
                number
            })
        });
        let sleeps: Vec<_> = sleeps.collect();
        while armed.load(Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
        let in_time = plan.were_armed_in_time();
        let mut sum = 0;
        for sleep in sleeps {
            sum += sleep.await.map_err(io::Error::other)?;
        }
        plan.done(before, sum, in_time)
    })
}

/// A heap of moments, and a thread that sleeps until the next one.
fn floor_sleeps(count: u64) -> io::Result<Done> {
    let (before, plan) = (thread_time(), Plan::new(count));
    let mut heap = BinaryHeap::new();
    heap.extend((0..count).map(|number| Reverse((plan.deadline(number), number))));
    let in_time = plan.were_armed_in_time();
    let mut sum = 0;
    while let Some(Reverse((deadline, _))) = heap.peek() {
        let mut now = Instant::now();
        if *deadline > now {
            thread::sleep(*deadline - now);
            now = Instant::now();
        }
        while let Some(next) = heap.peek_mut() {
            let Reverse((deadline, number)) = *next;
            if deadline > now {
                break;
            }
            sum += number;
            PeekMut::pop(next);
        }
    }
    plan.done(before, sum, in_time)
}

/// Makes so many sleeps that will not end, and has each polled once: from then on they wait.
async fn armed<F, Y>(
    count: u64,
    sleep: impl Fn() -> F,
    yield_now: impl Fn() -> Y,
) -> io::Result<Vec<Pin<Box<F>>>>
where
    F: Future<Output = ()>,
    Y: Future<Output = ()>,
{
    let mut sleeps: Vec<_> = (0..count).map(|_| Box::pin(sleep())).collect();
    for part in sleeps.chunks_mut(POLLED_AT_ONCE) {
        let ended = poll_fn(|cx| {
            let ended = part
                .iter_mut()
                .filter_map(|sleep| match sleep.as_mut().poll(cx) {
                    Poll::Ready(()) => Some(()),
                    Poll::Pending => None,
                });
            Poll::Ready(ended.count())
        });
        if ended.await > 0 {
            return Err(io::Error::other("a sleep of an hour has ended"));
        }
        yield_now().await;
    }
    Ok(sleeps)
}

fn krug_drops(driver: Driver, count: u64) -> io::Result<Done> {
    let runtime = Runtime::builder().driver(driver).build()?;
    runtime.block_on(async {
        let before = thread_time();
        let sleep = || krug::time::sleep(NEVER);
        let sleeps = armed(count, sleep, krug::task::yield_now).await?;
        if runtime.metrics().timers as u64 != count {
            return Err(io::Error::other("not all sleeps are armed"));
        }
        drop(sleeps);
        let took = thread_time() - before;
        match runtime.metrics().timers {
            0 => Ok(dropped(count, took)),
            left => Err(io::Error::other(format!("{left} timers are left"))),
        }
    })
}

fn tokio_drops(count: u64) -> io::Result<Done> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build()?.block_on(async {
        let before = thread_time();
        let sleep = || tokio::time::sleep(NEVER);
        drop(armed(count, sleep, tokio::task::yield_now).await?);
        Ok(dropped(count, thread_time() - before))
    })
}

fn dropped(count: u64, took: Duration) -> Done {
    Done {
        operations: count,
        took,
        details: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::course::ends_for_all;

    #[test]
    fn every_sleep_ends_once_for_all_and_what_is_dropped_is_gone() {
        for course in &COURSES {
            for count in [1, 250] {
                ends_for_all(course, count);
            }
        }
    }

    #[test]
    fn a_run_that_ended_too_early_is_noticed() {
        let plan = Plan {
            first: Instant::now() + NEVER,
            count: 3,
        };
        assert!(plan.were_armed_in_time());
        let outcome = plan.done(Duration::ZERO, 3, true).unwrap_err();
        assert!(outcome.to_string().contains("too early"), "{outcome}");
        let outcome = plan.done(Duration::ZERO, 2, true).unwrap_err();
        assert!(outcome.to_string().contains("not every"), "{outcome}");
    }
}
