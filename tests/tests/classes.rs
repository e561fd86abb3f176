//! Classes of tasks on whole runtimes: what is urgent is served between the polls of what is not.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use krug::io::nop;
use krug::net::UnixStream;
use krug::runtime::Driver;
use krug::task::{Class, JoinHandle, spawn_in, yield_now};
use krug::time;
use krug_tests::{driver, run, run_with};

krug_tests::on_every_driver!();

/// A turn makes at most so many polls while classes mix: the docs of `runtime` say so.
const POLLS_OF_A_TURN: usize = 256;

/// Always ready; each of its polls takes so long.
async fn hog(polls: Rc<Cell<usize>>, each: Duration) {
    loop {
        polls.set(polls.get() + 1);
        let begin = Instant::now();
        while begin.elapsed() < each {
            std::hint::spin_loop();
        }
        yield_now().await;
    }
}

/// How often hogs that compute are polled at most from a write to the read of it.
fn polls_until_served() -> usize {
    // The turn that submits the write, the one that learns of it, and the next one, if the hog is first there.
    let turns = 3;
    match driver() {
        // Polls take no time: turns end by their count.
        Driver::Sim => turns * POLLS_OF_A_TURN,
        _ => turns,
    }
}

/// Tasks that are always ready, and how often they were polled, all together.
struct Hogs {
    polls: Rc<Cell<usize>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Hogs {
    /// Each poll takes so long, but in a simulation, where no task's time counts.
    fn start(class: Class, count: usize, each: Duration) -> Hogs {
        let each = match driver() {
            Driver::Sim => Duration::ZERO,
            _ => each,
        };
        let polls = Rc::new(Cell::new(0));
        let tasks = (0..count).map(|_| spawn_in(class, hog(polls.clone(), each)));
        Hogs {
            tasks: tasks.collect(),
            polls,
        }
    }

    fn polls(&self) -> usize {
        self.polls.get()
    }

    async fn end(self) {
        for task in self.tasks {
            task.abort();
            assert!(task.await.is_err());
        }
    }
}

#[test]
fn bug_087_results_of_an_urgent_task_wait_for_no_timer_and_for_one_turn_at_most() {
    run(|runtime| {
        runtime.block_on(async {
            let hogs = Hogs::start(Class::Background, 1000, Duration::ZERO);
            let asleep = spawn_in(Class::Background, time::sleep(Duration::from_secs(3600)));
            let counter = hogs.polls.clone();
            let urgent = spawn_in(Class::Latency, async move {
                let mut longest = 0;
                for _ in 0..50 {
                    let before = counter.get();
                    nop().await.unwrap();
                    longest = longest.max(counter.get() - before);
                }
                longest
            });
            let longest = urgent.await.unwrap();
            println!("at most {longest} polls of others between");
            // The rest of the turn that starts it, and one more if its result comes with the next submission only.
            assert!(longest <= 2 * POLLS_OF_A_TURN, "{longest}");
            asleep.abort();
            assert!(asleep.await.is_err());
            hogs.end().await;
        });
    });
}

/// When the message on each connection was sent: by the number of polls of the hogs, until it is read.
type SentAt = Rc<RefCell<Vec<Option<usize>>>>;

/// Lets `count` connections be served by tasks of `class` beside the hogs. Returns the largest number of the hogs' polls between the beginning
/// of a client's write and the end of the server's read of it.
async fn longest_wait_of_an_echo(class: Class, hogs: &Hogs, count: usize) -> usize {
    let sent_at: SentAt = Rc::new(RefCell::new(vec![None; count]));
    let longest = Rc::new(Cell::new(0));
    let mut tasks = Vec::new();
    for index in 0..count {
        let (client, server) = UnixStream::pair().unwrap();
        let (polls, times, most) = (hogs.polls.clone(), sent_at.clone(), longest.clone());
        tasks.push(spawn_in(class, async move {
            let mut buffer = Vec::with_capacity(16);
            loop {
                let (read, message) = server.read(buffer).await;
                if read.unwrap() == 0 {
                    return;
                }
                let then = times.borrow_mut()[index].take();
                most.set(most.get().max(polls.get() - then.unwrap()));
                let (written, message) = server.write_all(message).await;
                written.unwrap();
                buffer = message;
                buffer.clear();
            }
        }));
        let (polls, times) = (hogs.polls.clone(), sent_at.clone());
        tasks.push(spawn_in(class, async move {
            for _ in 0..5 {
                times.borrow_mut()[index] = Some(polls.get());
                let (written, message) = client.write_all(vec![7; 16]).await;
                written.unwrap();
                let (read, message) = client.read_exact(message).await;
                read.unwrap();
                assert_eq!(message, [7; 16]);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    longest.get()
}

#[test]
fn an_echo_is_served_between_two_polls_of_a_task_that_computes_for_5_ms() {
    for class in [Class::Default, Class::Latency] {
        run(|runtime| {
            runtime.block_on(async {
                let hogs = Hogs::start(Class::Default, 1, Duration::from_millis(5));
                let mut longest = longest_wait_of_an_echo(class, &hogs, 8).await;
                // Where the processor is given to others for long, turns are over before the hog's poll, and prove nothing.
                while hogs.polls() <= 1 {
                    longest = longest.max(longest_wait_of_an_echo(class, &hogs, 8).await);
                }
                println!("{class:?}: at most {longest} polls between");
                assert!(longest <= polls_until_served(), "{class:?}: {longest}");
                hogs.end().await;
            });
        });
    }
}

#[test]
fn an_urgent_echo_is_served_between_two_polls_of_many_that_compute() {
    run(|runtime| {
        runtime.block_on(async {
            let hogs = Hogs::start(Class::Background, 20, Duration::from_millis(1));
            let longest = longest_wait_of_an_echo(Class::Latency, &hogs, 8).await;
            println!("at most {longest} polls between");
            assert!(longest <= polls_until_served(), "{longest}");
            hogs.end().await;
        });
    });
}

#[test]
fn whoever_is_spawned_by_an_urgent_task_is_of_the_default_class() {
    let shares = |builder: krug::runtime::Builder| builder.class_shares(1, 100, 1);
    run_with(shares, |runtime| {
        runtime.block_on(async {
            let hogs = spawn_in(Class::Latency, async {
                Hogs::start(Class::Latency, 3, Duration::from_millis(1))
            });
            let hogs = hogs.await.unwrap();
            let parent = spawn_in(Class::Latency, async {
                [krug::spawn(async {
                    for _ in 0..50 {
                        yield_now().await;
                    }
                })]
            });
            let [child] = parent.await.unwrap();
            let before = hogs.polls();
            child.await.unwrap();
            let polls = hogs.polls() - before;
            // Of one class with them it would have left them 3 polls for each of its own.
            assert!(polls <= 50, "{polls}");
            hogs.end().await;
        });
    });
}
