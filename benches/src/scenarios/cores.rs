//! Messages between cores: how many a second one way, and how long one takes there and back.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use krug::cores::{TrySendError, mpsc, spsc};
use krug::runtime::Driver;
use krug::task::{JoinHandle, yield_now};
use krug::{CoreHandle, Runtime, spawn, spawn_on};

use super::course::tell_ratios;
use super::threads::{self, Passing};
use crate::floor::system;
use crate::harness::machine::Machine;
use crate::harness::pairs::{Who, interleave};
use crate::harness::report::{self, Line};
use crate::harness::statistics::Summary;
use crate::options::Options;

pub(super) const CAPACITY: usize = 1024;
const BATCH: usize = 256;

/// Nanoseconds that `messages` take on cores of this runtime.
type Course = fn(&Runtime, messages: u64) -> f64;

/// What a core does that has nothing to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Idle {
    /// What pinned cores do unless they are told otherwise.
    LooksOn,
    Sleeps,
}

/// What is measured, on which kind of cores, with one message in how many `--operations`, and what it should come to.
struct Measured {
    what: &'static str,
    course: Course,
    idle: Idle,
    one_in: u64,
    wanted: &'static str,
    /// What does the same, or the least that can be done.
    beside: &'static [(&'static str, Passing)],
}

const BARE: &str = "bare threads";

const MEASURED: [Measured; 6] = [
    Measured {
        what: "one way, in batches",
        course: one_way_in_batches,
        idle: Idle::LooksOn,
        one_in: 1,
        wanted: "20 M/s or more",
        beside: &[],
    },
    Measured {
        what: "one way, one by one",
        course: one_way_one_by_one,
        idle: Idle::LooksOn,
        one_in: 1,
        wanted: "20 M/s or more",
        beside: &[("std::sync::mpsc", threads::one_way)],
    },
    Measured {
        what: "two producers",
        course: two_producers,
        idle: Idle::LooksOn,
        one_in: 1,
        wanted: "5 M/s or more",
        beside: &[],
    },
    Measured {
        what: "there and back, awake",
        course: there_and_back_idle,
        idle: Idle::LooksOn,
        one_in: 10,
        wanted: "1 µs or less",
        beside: &[(BARE, threads::looking_on)],
    },
    Measured {
        what: "there and back, at work",
        course: there_and_back_at_work,
        idle: Idle::LooksOn,
        one_in: 10,
        wanted: "a turn of each",
        beside: &[],
    },
    Measured {
        what: "there and back, parked",
        course: there_and_back_idle,
        idle: Idle::Sleeps,
        one_in: 100,
        wanted: "33 µs or less",
        beside: &[(BARE, threads::sleeping), ("tokio", threads::tokio)],
    },
];

/// Wake-ups take as long as the machine likes.
const RESOLUTION: f64 = 0.05;

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    println!(
        "\ncores, messages of 8 bytes between pinned cores on {}; {} rounds",
        options.driver, options.pairs
    );
    let processors = system::allowed_cores().len();
    if processors < 3 {
        println!("{processors} processors: the second producer shares one with the receiver");
    }
    for measured in &MEASURED {
        compare(options, machine, processors, measured)?;
    }
    Ok(())
}

fn compare(
    options: &Options,
    machine: &Machine,
    processors: usize,
    measured: &Measured,
) -> io::Result<()> {
    let messages = (options.operations / measured.one_in).max(1);
    // Two threads that look on would wait for a slice of the only processor's time with each message.
    let beside = match processors {
        0 | 1 => &[],
        _ => measured.beside,
    };
    let run_once = |passing: Option<Passing>| {
        let nanoseconds = match passing {
            Some(passing) => passing(messages)?,
            None => {
                let runtime = runtime(options, processors, measured.idle)?;
                (measured.course)(&runtime, messages)
            }
        };
        io::Result::Ok(nanoseconds / messages as f64)
    };
    // The first one warms up.
    run_once(None)?;
    let runs = interleave(options.pairs, beside.len(), |who| match who {
        Who::Subject => run_once(None),
        Who::Baseline(index) => run_once(Some(beside[index].1)),
    })?;
    let names: Vec<&str> = beside.iter().map(|(name, _)| *name).collect();
    println!("\n{}; wanted: {}", measured.what, measured.wanted);
    for (name, times) in runs.rows("krug", &names) {
        tell(name, &Summary::of(times));
        let mut line = Line::of(machine, "cores", "runs");
        line.text("what", measured.what).text("peer", name);
        line.text("driver", &options.driver);
        line.numbers("nanoseconds", times.iter().copied());
        report::keep(options.json.as_deref(), &line)?;
    }
    let compared = ("cores", measured.what, RESOLUTION);
    let field = ("krug", &*names);
    tell_ratios(options, machine, compared, field, &runs, |time| 1.0 / time)
}

fn tell(name: &str, time: &Summary) {
    println!(
        "{name:<16} {:>9.1} ns each (best {:.1}, worst {:.1}), {:>7.2} M/s (best {:.2})",
        time.median,
        time.minimum,
        time.maximum,
        1e3 / time.median,
        1e3 / time.minimum,
    );
}

fn runtime(options: &Options, processors: usize, idle: Idle) -> io::Result<Runtime> {
    let driver = match options.driver.as_str() {
        "epoll" => Driver::Epoll,
        _ => Driver::Uring,
    };
    let cores = processors.clamp(2, 3);
    let mut builder = Runtime::builder().driver(driver).cores(cores);
    if idle == Idle::Sleeps {
        builder = builder.spin(Duration::ZERO);
    }
    builder.pin(processors > 1).build()
}

/// Keeps the core that it is called on at work until it is dropped.
struct AtWork {
    is_over: Rc<Cell<bool>>,
    _spinning: JoinHandle<()>,
}

impl AtWork {
    fn new() -> AtWork {
        let is_over = Rc::new(Cell::new(false));
        let ends = is_over.clone();
        let spinning = spawn(async move {
            while !ends.get() {
                yield_now().await;
            }
        });
        AtWork {
            is_over,
            _spinning: spinning,
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.is_over.set(true);
    }
}

fn other(runtime: &Runtime) -> CoreHandle {
    runtime.core(1).expect("there are two")
}

/// Starts a task on another core.
fn start<F>(core: CoreHandle, make: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    let started = spawn_on(core, make);
    drop(started.expect("the runtime lives"));
}

fn one_way_in_batches(runtime: &Runtime, messages: u64) -> f64 {
    let (mut sender, mut receiver) = spsc::channel(CAPACITY);
    start(other(runtime), move || async move {
        for number in 0..messages {
            while let Err(TrySendError::Full(_)) = sender.try_send(number) {
                yield_now().await;
            }
        }
    });
    runtime.block_on(async move {
        let _at_work = AtWork::new();
        let mut batch = Vec::with_capacity(BATCH);
        let mut expected = receiver.recv().await.map_or(0, |first: u64| first + 1);
        let begin = Instant::now();
        while receiver.recv_many(&mut batch, BATCH).await > 0 {
            for number in batch.drain(..) {
                assert_eq!(number, expected);
                expected += 1;
            }
        }
        assert_eq!(expected, messages);
        begin.elapsed().as_nanos() as f64
    })
}

fn one_way_one_by_one(runtime: &Runtime, messages: u64) -> f64 {
    let (mut sender, mut receiver) = spsc::channel(CAPACITY);
    start(other(runtime), move || async move {
        let _at_work = AtWork::new();
        for number in 0..messages {
            sender.send(number).await.expect("the receiver lives");
        }
    });
    runtime.block_on(async move {
        let _at_work = AtWork::new();
        let mut expected = receiver.recv().await.map_or(0, |first: u64| first + 1);
        let begin = Instant::now();
        while let Some(number) = receiver.recv().await {
            assert_eq!(number, expected);
            expected += 1;
        }
        assert_eq!(expected, messages);
        begin.elapsed().as_nanos() as f64
    })
}

fn two_producers(runtime: &Runtime, messages: u64) -> f64 {
    let (sender, mut receiver) = mpsc::channel(CAPACITY);
    let cores = runtime.handles();
    for core in [other(runtime), cores[2 % cores.len()]] {
        let sender = sender.clone();
        start(core, move || async move {
            for number in 0..messages / 2 {
                while let Err(TrySendError::Full(_)) = sender.try_send(number) {
                    yield_now().await;
                }
            }
        });
    }
    drop(sender);
    runtime.block_on(async move {
        let _at_work = AtWork::new();
        let mut batch = Vec::with_capacity(BATCH);
        let mut count = u64::from(receiver.recv().await.is_some());
        let begin = Instant::now();
        while receiver.recv_many(&mut batch, BATCH).await > 0 {
            count += batch.drain(..).count() as u64;
        }
        assert_eq!(count, messages / 2 * 2);
        begin.elapsed().as_nanos() as f64
    })
}

fn there_and_back_at_work(runtime: &Runtime, messages: u64) -> f64 {
    there_and_back(runtime, messages, true)
}

fn there_and_back_idle(runtime: &Runtime, messages: u64) -> f64 {
    there_and_back(runtime, messages, false)
}

fn there_and_back(runtime: &Runtime, messages: u64, is_at_work: bool) -> f64 {
    let (mut asking, mut asked) = spsc::channel(1);
    let (mut answering, mut answered) = spsc::channel(1);
    start(other(runtime), move || async move {
        let _at_work = is_at_work.then(AtWork::new);
        while let Some(number) = asked.recv().await {
            answering.send(number).await.expect("somebody has asked");
        }
    });
    runtime.block_on(async move {
        let _at_work = is_at_work.then(AtWork::new);
        let mut begin = Instant::now();
        for number in 0..=messages {
            asking.send(number).await.expect("the other core lives");
            assert_eq!(answered.recv().await, Some(number));
            if number == 0 {
                begin = Instant::now();
            }
        }
        begin.elapsed().as_nanos() as f64
    })
}
