//! Random programs over every operation, in which any await may end by a drop, a timeout, a cancel or an abort, run against
//! a model that says what must have arrived.
//!
//! | file | what it is |
//! |---|---|
//! | [`ways`] | how an await ends |
//! | [`model`] | what was sent in one direction, as far as the sender can know, and what the receiver saw |
//! | [`streams`] | the operations on streams and pipes, and the tasks that choose among them |
//! | [`connections`] | accept and connect |
//! | [`datagrams`] | sending and receiving datagrams |
//! | [`files`] | changing and reading a file |
//! | [`locks`] | permits and locks of one core |
//! | [`waiting`] | timers, readiness, no-operations, tasks |
//!
//! A new kind of operation is a row in the table of the file it belongs to, or a new file with an actor, which is a row in [`ACTORS`].
//!
//! The helpers of `io`, the borrowing traits, `recv` under want of buffers, the journal and each primitive of `sync` have random programs of their own,
//! beside their other tests.
//!
//! `KRUG_SEED=…` sets the seed of the first program; each program prints its own when it fails. `KRUG_ITERATIONS=10` runs ten times as many,
//! `KRUG_DROPS=10000000` says how many futures [`no_drop_loses_anything`] drops.

mod connections;
mod datagrams;
mod files;
mod locks;
mod model;
mod streams;
mod waiting;
mod ways;

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

use krug::Runtime;
use krug::runtime::{Builder, Faults};
use krug_tests::{Random, iterations, run_with, until};

use ways::World;

krug_tests::on_every_driver!();

type Actor = fn(Rc<World>) -> Pin<Box<dyn Future<Output = ()>>>;

/// What a program is made of: each program has some of each.
const ACTORS: &[(&str, Actor)] = &[
    ("a Unix connection", |world| Box::pin(streams::unix(world))),
    ("a TCP connection", |world| Box::pin(streams::tcp(world))),
    ("a pipe", |world| Box::pin(streams::pipe(world))),
    ("a connection that ends early", |world| {
        Box::pin(streams::doomed(world))
    }),
    ("a TCP listener", |world| Box::pin(connections::tcp(world))),
    ("a Unix listener", |world| {
        Box::pin(connections::unix(world))
    }),
    ("timers", |world| Box::pin(waiting::timers(world))),
    ("descriptors", |world| Box::pin(waiting::descriptors(world))),
    ("tasks", |world| Box::pin(waiting::tasks(world))),
    ("datagrams", |world| Box::pin(datagrams::unix(world))),
    ("a file", |world| Box::pin(files::file(world))),
    ("locks", |world| Box::pin(locks::locks(world))),
];

/// Says which program failed.
struct Name(u64);

impl Drop for Name {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this program runs first with KRUG_SEED={}", self.0);
        }
    }
}

/// Runs `count` actors at once and returns what the world has seen. The caller's runtime has nothing left afterwards.
fn run_program(runtime: &Runtime, world: World, count: usize) -> Rc<World> {
    let _name = Name(world.seed);
    let world = Rc::new(world);
    runtime.block_on(async {
        let mut running = Vec::new();
        for index in 0..count {
            // Each kind in turn, so that none is missing from a program with enough of them.
            let (_, actor) = ACTORS[index % ACTORS.len()];
            running.push(krug::spawn(actor(world.clone())));
        }
        for actor in running {
            actor.await.expect("an actor of the program");
        }
        until("no timer is set", || runtime.metrics().timers == 0).await;
    });
    runtime.block_on(until("every buffer is dropped", || {
        world.buffers_alive() == 0
    }));
    world
}

fn settings(random: &Random) -> impl Fn(Builder) -> Builder + use<> {
    let entries = 1 << random.below(6);
    let seed = random.number();
    move |builder: Builder| builder.entries(entries).seed(seed)
}

#[test]
fn random_programs_lose_nothing() {
    let first = Random::new().number();
    let lost = RefCell::new(Vec::new());
    for index in 0..iterations(12) as u64 {
        let seed = seed_of(first, index);
        run_with(settings(&Random::of(seed)), |runtime| {
            let world = run_program(runtime, World::new(seed).with_big_messages(), 24);
            lost.borrow_mut().extend(world.complaints());
        });
    }
    let lost = lost.into_inner();
    assert!(lost.is_empty(), "{lost:#?}");
}

/// Random answers of the kernel on top: short reads and writes, interruptions, calls that would block.
#[test]
fn random_programs_lose_nothing_whatever_the_kernel_answers() {
    let first = Random::new().number();
    let lost = RefCell::new(Vec::new());
    for index in 0..iterations(8) as u64 {
        let seed = seed_of(first, index);
        let random = Random::of(seed);
        let configure = settings(&random);
        let faults = random_faults(&random);
        run_with(
            |builder| configure(builder).faults(faults.clone()),
            |runtime| {
                let world = run_program(runtime, World::new(seed), 24);
                lost.borrow_mut().extend(world.complaints());
            },
        );
        assert!(faults.operations() > 0);
    }
    let lost = lost.into_inner();
    assert!(lost.is_empty(), "{lost:#?}");
}

fn random_faults(random: &Random) -> Faults {
    (0..60).fold(Faults::new(), |faults, _| {
        let errno = [libc::EINTR, libc::EAGAIN, libc::ENOBUFS][random.below(3)];
        let nth = |bound| random.below(bound) as u64 + 1;
        match random.below(5) {
            0 => faults.enter(
                nth(300),
                [libc::EAGAIN, libc::EBUSY, libc::EINTR][random.below(3)],
            ),
            1 => faults.end_multishot(nth(20)),
            2 => faults.interrupt_connect(nth(40)),
            3 => faults.operation(nth(500), errno),
            _ => faults.short(nth(500), 1 + random.below(20) as u32),
        }
    })
}

/// The first program has the seed that was printed or given.
fn seed_of(first: u64, index: u64) -> u64 {
    match std::env::var("KRUG_SEED")
        .ok()
        .and_then(|seed| seed.parse::<u64>().ok())
    {
        Some(given) => given.wrapping_add(index),
        None => first.wrapping_add(index),
    }
}

/// As many drops as `KRUG_DROPS` says, on two cores, many operations in flight on each.
#[test]
fn no_drop_loses_anything() {
    const DEFAULT: u64 = 20_000;
    /// How many actors run at once.
    const AT_ONCE: usize = 90;
    let wanted = std::env::var("KRUG_DROPS")
        .ok()
        .and_then(|wanted| wanted.parse().ok());
    let each: u64 = wanted.unwrap_or(DEFAULT) / 2;
    let first = Random::new().number();
    let begin = Instant::now();
    let storm = |thread: u64| {
        let (mut drops, mut lost, mut program) = (0, Vec::new(), 0);
        while drops < each {
            let seed = seed_of(first, (program << 1) + thread);
            program += 1;
            let found = RefCell::new((0, Vec::new()));
            run_with(
                |builder| builder.seed(seed),
                |runtime| {
                    let world = run_program(runtime, World::new(seed).that_drops(), AT_ONCE);
                    let mut found = found.borrow_mut();
                    found.0 += world.drops();
                    found.1.extend(world.complaints());
                },
            );
            let (dropped, complaints) = found.into_inner();
            drops += dropped;
            lost.extend(complaints);
        }
        (drops, lost)
    };
    let results = std::thread::scope(|scope| {
        let threads = [0, 1].map(|thread| scope.spawn(move || storm(thread)));
        threads.map(|thread| thread.join().expect("a storm of drops"))
    });
    let drops: u64 = results.iter().map(|(drops, _)| drops).sum();
    let lost: Vec<_> = results.into_iter().flat_map(|(_, lost)| lost).collect();
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{drops} futures dropped in {seconds:.1} s ({:.0} a second), operations lost: {}",
        drops as f64 / seconds,
        lost.len()
    );
    assert!(lost.is_empty(), "{lost:#?}");
}
