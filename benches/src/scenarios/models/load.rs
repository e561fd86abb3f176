//! Many users on one thread: each asks for the file, checks the reply, and asks again.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::processor::Ticks;
use super::reply::{Come, Reply};
use crate::floor::system;
use crate::harness::process::time_of_group;
use crate::harness::progress::Progress;
use crate::models::calls::readiness::Epoll;
use crate::models::calls::sockets;

/// What to generate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load<'a> {
    pub(super) address: SocketAddrV4,
    /// The process that leads the group of the server's.
    pub(super) server: u32,
    pub(super) users: usize,
    pub(super) name: &'a str,
    pub(super) content: &'a [u8],
    /// Whose load is told, too.
    pub(super) first_core: Option<usize>,
    /// In this time every user has to be answered for the first time.
    pub(super) patience: Duration,
    pub(super) warm_up: Duration,
    pub(super) measured: Duration,
    /// Told what goes on, with `title` before it.
    pub(super) progress: &'a Progress,
    pub(super) title: &'a str,
}

impl Load<'_> {
    fn say(&self, words: &str) {
        self.progress.say(&format!("{}: {words}", self.title));
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    Measured(Box<Measured>),
    /// Too many users were not answered: this is no server for so many.
    Stuck {
        answered: usize,
    },
}

/// What was seen while all users were there.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) replies: u64,
    pub(super) elapsed: Duration,
    /// Nanoseconds. A user that connects for each request counts that, too.
    pub(super) latencies: Histogram<u64>,
    /// Users that got nothing in all of the measured time. They stand in the latencies with what they have waited so far.
    pub(super) unanswered: usize,
    /// Connections that ended before the reply was whole.
    pub(super) broken: u64,
    /// The generator's own time on its core.
    pub(super) busy: Duration,
    /// What all processes of the server were on processors.
    pub(super) server_busy: Duration,
    /// Of the first core, on which every server is.
    pub(super) first_core_load: Option<f64>,
}

/// Of so many users one may be without an answer.
const UNANSWERED_ONE_IN: usize = 100;
/// So many connect at the same time in the beginning, so that the queue of a listener takes them.
const CONNECTING_MAX: usize = 200;
/// After so many connections that broke before a first answer a user gives up.
const REFUSALS_MAX: u8 = 3;
/// Before a user connects again who was refused.
const PAUSE: Duration = Duration::from_millis(50);
/// An address has some 28 000 ports for connections to one other.
const USERS_OF_ONE_ADDRESS: usize = 10_000;
const EVENTS_MAX: usize = 1024;
const LATENCY_MAX: u64 = 600_000_000_000;

/// One user.
#[derive(Debug)]
struct User {
    stream: Option<TcpStream>,
    /// When it began to wait for the reply, or to connect for it.
    began: Instant,
    is_connected: bool,
    sent: usize,
    reply: Reply,
    was_answered: bool,
    /// It was answered once and waits until all others were, too: who comes does not compete with those who are there.
    rests: bool,
    refusals: u8,
}

impl User {
    /// It does not connect any more, or not for now. By how many fewer are connecting now of those who were never answered.
    fn has_connected(&mut self) -> usize {
        let was_connecting = !std::mem::replace(&mut self.is_connected, true);
        usize::from(was_connecting && !self.was_answered)
    }
}

struct Generator<'a> {
    load: Load<'a>,
    request: Vec<u8>,
    epoll: Epoll,
    users: Vec<User>,
    /// Users that are to connect, and when, in order of time.
    waiting: VecDeque<(Instant, usize)>,
    /// Of those who were never answered so far.
    connecting: usize,
    answered: usize,
    given_up: usize,
    is_gathering: bool,
    /// Of the time that is measured.
    latencies: Histogram<u64>,
    broken: u64,
    buffer: Vec<u8>,
}

/// Runs users until the time is over. Fails if a reply is wrong.
pub(super) fn generate(load: Load<'_>) -> io::Result<Outcome> {
    let mut generator = Generator::new(load)?;
    if !generator.gather()? {
        return Ok(Outcome::Stuck {
            answered: generator.answered,
        });
    }
    load.say("replies are counted");
    generator.begin_together()?;
    generator.run_until(Instant::now() + load.warm_up)?;
    generator.latencies.clear();
    generator.broken = 0;
    let own_thread = system::current_thread();
    let ticks = || load.first_core.and_then(Ticks::of);
    let (busy_before, ticks_before) = (system::busy_time(&own_thread), ticks());
    // Takes its time where there are thousands of processes. What the server does meanwhile, it does not do later.
    let server_before = time_of_group(load.server)?;
    let begin = Instant::now();
    generator.run_until(begin + load.measured)?;
    let elapsed = begin.elapsed();
    let server_busy = time_of_group(load.server)?.saturating_sub(server_before);
    let first_core_load = Option::zip(ticks(), ticks_before);
    let busy = system::busy_time(&own_thread).saturating_sub(busy_before);
    let replies = generator.latencies.len();
    let mut unanswered = 0;
    for user in generator.users.iter().filter(|user| user.began < begin) {
        unanswered += 1;
        record(&mut generator.latencies, user.began.elapsed());
    }
    Ok(Outcome::Measured(Box::new(Measured {
        replies,
        elapsed,
        latencies: generator.latencies,
        unanswered,
        broken: generator.broken,
        busy,
        server_busy,
        first_core_load: first_core_load.map(|(after, before)| after.load_since(before)),
    })))
}

fn record(latencies: &mut Histogram<u64>, latency: Duration) {
    let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
    latencies.saturating_record(nanoseconds);
}

impl Generator<'_> {
    fn new(load: Load<'_>) -> io::Result<Generator<'_>> {
        let now = Instant::now();
        let user = || User {
            stream: None,
            began: now,
            is_connected: false,
            sent: 0,
            reply: Reply::default(),
            was_answered: false,
            rests: false,
            refusals: 0,
        };
        let latencies = Histogram::new_with_bounds(1, LATENCY_MAX, 3).map_err(io::Error::other)?;
        Ok(Generator {
            request: format!(
                "GET /{} HTTP/1.1\r\nHost: {}\r\n\r\n",
                load.name, load.address
            )
            .into_bytes(),
            epoll: Epoll::new(EVENTS_MAX)?,
            users: (0..load.users).map(|_| user()).collect(),
            waiting: (0..load.users).map(|index| (now, index)).collect(),
            connecting: 0,
            answered: 0,
            given_up: 0,
            is_gathering: true,
            latencies,
            broken: 0,
            buffer: vec![0; 64 << 10],
            load,
        })
    }

    /// Until every user was answered once, or has given up, or may not wait any longer. False if too few were answered.
    fn gather(&mut self) -> io::Result<bool> {
        let limit = Instant::now() + self.load.patience;
        let mut told = 0;
        while self.answered + self.given_up < self.load.users && Instant::now() < limit {
            self.turn(CONNECTING_MAX, limit)?;
            if self.answered >= told + CONNECTING_MAX {
                told = self.answered;
                self.load.say(&format!("{told} have come"));
            }
        }
        let without = self.load.users - self.answered;
        Ok(without <= self.load.users / UNANSWERED_ONE_IN)
    }

    /// All users who were answered ask again, and go on from now on.
    fn begin_together(&mut self) -> io::Result<()> {
        self.is_gathering = false;
        for index in 0..self.users.len() {
            let user = &mut self.users[index];
            if !std::mem::take(&mut user.rests) {
                continue;
            }
            user.began = Instant::now();
            match user.stream {
                Some(_) => self.advance(index)?,
                None => self.connect(index)?,
            }
        }
        Ok(())
    }

    fn run_until(&mut self, end: Instant) -> io::Result<()> {
        while Instant::now() < end {
            self.turn(usize::MAX, end)?;
        }
        Ok(())
    }

    fn turn(&mut self, connecting_max: usize, end: Instant) -> io::Result<()> {
        while self.connecting < connecting_max
            && let Some((when, index)) = self.waiting.front().copied()
            && when <= Instant::now()
        {
            self.waiting.pop_front();
            self.connect(index)?;
        }
        let left = end.saturating_duration_since(Instant::now());
        let mut ready = Vec::with_capacity(EVENTS_MAX);
        // Who waits to connect is looked at that often.
        let timeout = left.min(Duration::from_millis(10));
        self.epoll.wait(Some(timeout), &mut ready)?;
        for token in ready {
            self.advance(token as usize)?;
        }
        Ok(())
    }

    fn connect(&mut self, index: usize) -> io::Result<()> {
        let from = match index / USERS_OF_ONE_ADDRESS {
            0 => None,
            number => Some(Ipv4Addr::new(127, 0, 0, 1 + number as u8)),
        };
        let user = &mut self.users[index];
        user.began = Instant::now();
        (user.sent, user.reply, user.is_connected) = (0, Reply::default(), false);
        if !user.was_answered {
            self.connecting += 1;
        }
        let stream = match sockets::begin_to_connect(self.load.address, from) {
            Ok(stream) => stream,
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => return Err(error),
            // No port is free, or nobody listens.
            Err(_) => {
                self.refused(index);
                return Ok(());
            }
        };
        self.epoll.watch_edges(&stream, index as u64)?;
        user.stream = Some(stream);
        Ok(())
    }

    /// The connection has ended before the reply was whole.
    fn refused(&mut self, index: usize) {
        let user = &mut self.users[index];
        user.stream = None;
        self.broken += 1;
        self.connecting -= user.has_connected();
        user.refusals = user.refusals.saturating_add(1);
        if user.was_answered || user.refusals < REFUSALS_MAX {
            self.waiting.push_back((Instant::now() + PAUSE, index));
        } else {
            self.given_up += 1;
        }
    }

    /// Goes on with a user as far as it can: its connection has become ready.
    fn advance(&mut self, index: usize) -> io::Result<()> {
        match self.exchange(index) {
            Ok(()) => Ok(()),
            // A reply that is wrong.
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(error),
            Err(_) => {
                self.refused(index);
                Ok(())
            }
        }
    }

    fn exchange(&mut self, index: usize) -> io::Result<()> {
        loop {
            let user = &mut self.users[index];
            if user.rests {
                return Ok(());
            }
            // Told of a connection that is gone.
            let Some(stream) = user.stream.as_mut() else {
                return Ok(());
            };
            if user.sent < self.request.len() {
                while user.sent < self.request.len() {
                    match stream.write(&self.request[user.sent..]) {
                        Ok(count) => user.sent += count,
                        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                        Err(error) => return Err(error),
                    }
                }
                self.connecting -= user.has_connected();
                // The reply makes the connection ready anew.
                return Ok(());
            }
            let count = match stream.read(&mut self.buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let come = user
                .reply
                .received(&self.buffer[..count], self.load.content);
            let come = come.map_err(|wrong| io::Error::new(ErrorKind::InvalidData, wrong))?;
            if let Come::Whole { closes } = come {
                self.answered(index);
                if closes {
                    self.users[index].stream = None;
                }
                if closes && !self.is_gathering {
                    return self.connect(index);
                }
            }
        }
    }

    fn answered(&mut self, index: usize) {
        let user = &mut self.users[index];
        let now = Instant::now();
        record(&mut self.latencies, now - user.began);
        if !user.was_answered {
            user.was_answered = true;
            self.answered += 1;
        }
        (user.began, user.sent, user.reply) = (now, 0, Reply::default());
        user.rests = self.is_gathering;
    }
}
