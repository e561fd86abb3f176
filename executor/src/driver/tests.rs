//! The contract, tried on whichever driver the process tests: each must pass these.

use std::io::Read;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

use krug_tests::needs_a_kernel;

use super::calls::{Mode, perform};
use super::uring::Rung;
use super::*;

/// A driver, and what it has completed so far.
pub(super) struct Rig {
    pub(super) driver: Driver,
    pub(super) completed: Vec<(Key, Completion)>,
}

impl Rig {
    pub(super) fn new(config: Config) -> Rig {
        Rig {
            driver: Driver::new(&config).expect("the driver that is to be tested works here"),
            completed: Vec::new(),
        }
    }

    pub(super) fn with_entries(entries: u32) -> Rig {
        Rig::new(Config {
            entries,
            ..Config::default()
        })
    }

    /// Enters without sleeping.
    pub(super) fn flush(&mut self) {
        self.driver.enter(Wait::No, &mut self.completed).unwrap();
    }

    /// Enters until `count` completions have come since the rig was made or emptied.
    pub(super) fn complete(&mut self, count: usize) {
        let deadline = self.now() + Duration::from_secs(5);
        while self.completed.len() < count {
            let wait = Wait::Until(Some(deadline));
            self.driver.enter(wait, &mut self.completed).unwrap();
            assert!(
                self.now() < deadline,
                "{} of {count} completed",
                self.completed.len()
            );
        }
    }

    /// Enters until the driver's own entries have ended too.
    pub(super) fn settle(&mut self) {
        // They may end at once, and then a sleep would be one without a reason to wake.
        self.flush();
        let deadline = self.now() + Duration::from_secs(5);
        while self.driver.has_staged() || self.driver.own_in_flight() > 0 {
            let wait = Wait::Until(Some(deadline));
            self.driver.enter(wait, &mut self.completed).unwrap();
            assert!(self.now() < deadline, "{:?}", self.driver);
        }
    }

    /// Submits one operation and returns its only completion.
    pub(super) fn run(&mut self, operation: Operation) -> Completion {
        let key = key(100, self.completed.len() as u32);
        let before = self.completed.len();
        self.driver.submit(key, operation);
        self.complete(before + 1);
        assert_eq!(self.completed[before].0, key);
        self.completed[before].1
    }

    /// The present time on the clock of its deadlines.
    pub(super) fn now(&self) -> Instant {
        self.driver.time_source().now()
    }

    /// Two sockets that are connected with each other.
    pub(super) fn pair(&mut self) -> [OwnedDescriptor; 2] {
        let pair = Control::SocketPair {
            domain: libc::AF_UNIX,
            kind: libc::SOCK_STREAM | libc::SOCK_CLOEXEC,
            protocol: 0,
        };
        match self.driver.control(pair).unwrap() {
            Answer::Pair(pair) => pair.map(own),
            answer => panic!("{answer:?}"),
        }
    }

    /// The ends of a pipe: for reading, for writing.
    pub(super) fn pipe(&mut self) -> [OwnedDescriptor; 2] {
        let mut ends = [-1; 2];
        let pipe = Operation::Pipe {
            descriptors: Address::of_mut(&raw mut ends),
            flags: libc::O_CLOEXEC,
        };
        assert_eq!(self.done_outside(pipe), 0);
        ends.map(own)
    }

    /// Does what others do, of whom the driver knows nothing. In a simulation there is nobody else, so it
    /// does that, too; it waits no longer for others than it must.
    pub(super) fn done_outside(&mut self, operation: Operation) -> i32 {
        if self.driver.choice() != Choice::Sim {
            return perform(&operation, Mode::Waits);
        }
        let mine = key(OUTSIDE, 0);
        self.driver.submit(mine, operation);
        let deadline = self.now() + Duration::from_secs(5);
        loop {
            if let Some(place) = self.completed.iter().position(|(key, _)| *key == mine) {
                return self.completed.remove(place).1.result;
            }
            assert!(self.now() < deadline, "{operation:?}");
            let wait = Wait::Until(Some(deadline));
            self.driver.enter(wait, &mut self.completed).unwrap();
        }
    }

    /// Writes all of `bytes` as somebody else.
    pub(super) fn write_from_outside(&mut self, end: &impl AsRawFd, bytes: &[u8]) {
        let written = self.done_outside(write(end, bytes));
        assert_eq!(written, bytes.len() as i32);
    }

    /// Reads once as somebody else; nothing at the end of the stream.
    pub(super) fn read_from_outside(&mut self, end: &impl AsRawFd) -> Vec<u8> {
        let mut buffer = vec![0; 64];
        let count = self.done_outside(read(end, &mut buffer));
        assert!(count >= 0, "{}", io::Error::from_raw_os_error(-count));
        buffer.truncate(count as usize);
        buffer
    }

    /// An empty file that has lost its name already.
    fn temporary_file(&mut self) -> OwnedDescriptor {
        let name = format!("/tmp/krug-driver-test-{}", std::process::id());
        let name = std::ffi::CString::new(name).unwrap();
        let path = Address::of(name.as_ptr());
        let open = Operation::Open {
            path,
            flags: libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC,
            mode: 0o600,
        };
        let file = own(self.done_outside(open));
        assert_eq!(self.done_outside(Operation::Remove { path, flags: 0 }), 0);
        file
    }

    /// A socket of TCP that listens, and its name.
    fn listener(&mut self) -> (OwnedDescriptor, Name) {
        let listener = own(self.done_outside(TCP_SOCKET));
        let fd = listener.as_raw_fd();
        let name = loopback();
        let bind = Operation::Bind {
            fd,
            address: Address::of(&raw const name),
            address_length: size_of_val(&name) as u32,
        };
        assert_eq!(self.done_outside(bind), 0);
        let listen = Operation::Listen { fd, backlog: 128 };
        assert_eq!(self.done_outside(listen), 0);
        match self.driver.control(Control::SocketName { fd }).unwrap() {
            Answer::Name(name) => (listener, name),
            answer => panic!("{answer:?}"),
        }
    }

    /// Somebody else's connection to a listener.
    fn connection(&mut self, name: &Name) -> OwnedDescriptor {
        let client = own(self.done_outside(TCP_SOCKET));
        assert_eq!(self.done_outside(connect(&client, name)), 0);
        client
    }

    /// True if it has a ring: some counts are different there.
    pub(super) fn has_ring(&self) -> bool {
        self.driver.choice() == Choice::Uring
    }

    /// What came of `key`; the last completion, if there are several.
    pub(super) fn result(&self, key: Key) -> i32 {
        let found = self.completed.iter().rfind(|(found, _)| *found == key);
        found.expect("the key has completed").1.result
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.driver.counters().stale_completions, 0);
        }
    }
}

pub(super) fn key(index: u32, generation: u32) -> Key {
    Key { index, generation }
}

const TCP_SOCKET: Operation = Operation::Socket {
    domain: libc::AF_INET,
    kind: libc::SOCK_STREAM | libc::SOCK_CLOEXEC,
    protocol: 0,
};

fn connect(socket: &impl AsRawFd, name: &Name) -> Operation {
    Operation::Connect {
        fd: socket.as_raw_fd(),
        address: Address::of(name.as_bytes().as_ptr()),
        address_length: name.as_bytes().len() as u32,
    }
}

pub(super) fn receive(socket: &impl AsRawFd, buffer: &mut [u8]) -> Operation {
    Operation::Receive {
        fd: socket.as_raw_fd(),
        address: Address::of_mut(buffer.as_mut_ptr()),
        length: buffer.len() as u32,
        flags: 0,
        from_afar: false,
    }
}

pub(super) fn send(socket: &impl AsRawFd, bytes: &[u8]) -> Operation {
    Operation::Send {
        fd: socket.as_raw_fd(),
        address: Address::of(bytes.as_ptr()),
        length: bytes.len() as u32,
        flags: libc::MSG_NOSIGNAL,
    }
}

fn read(pipe: &impl AsRawFd, buffer: &mut [u8]) -> Operation {
    Operation::Read {
        fd: pipe.as_raw_fd(),
        address: Address::of_mut(buffer.as_mut_ptr()),
        length: buffer.len() as u32,
        offset: CURSOR,
    }
}

fn write(pipe: &impl AsRawFd, bytes: &[u8]) -> Operation {
    Operation::Write {
        fd: pipe.as_raw_fd(),
        address: Address::of(bytes.as_ptr()),
        length: bytes.len() as u32,
        offset: CURSOR,
    }
}

/// The slot of what is done from outside in a simulation.
const OUTSIDE: u32 = 20_000;

/// The name of a feature that several tests are about.
pub(super) const MULTISHOT: &str = "accept that goes on";

/// Whether a test that is about `feature` has to be left out, because the kernel has no such thing; says so.
pub(crate) fn is_without(feature: &str, has: bool) -> bool {
    if !has {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        println!("skipped: {test}: the kernel has no {feature}");
    }
    !has
}

/// Owns a descriptor that an operation made.
pub(super) fn owned(fd: i32) -> OwnedFd {
    assert!(fd >= 0, "{}", io::Error::from_raw_os_error(-fd));
    super::own(fd).into_real().expect("a real one")
}

fn enters(rig: &Rig) -> u64 {
    rig.driver.counters().enters
}

#[test]
fn an_operation_completes_under_its_key() {
    let mut rig = Rig::with_entries(8);
    for (index, generation) in [(0, 0), (5, 9), (100_000, u32::MAX), (1, u32::MAX - 10)] {
        rig.driver.submit(key(index, generation), Operation::Nop);
    }
    rig.complete(4);
    for (index, generation) in [(0, 0), (5, 9), (100_000, u32::MAX), (1, u32::MAX - 10)] {
        assert_eq!(rig.result(key(index, generation)), 0);
    }
}

#[test]
fn data_travels_through_a_pipe_and_a_socket() {
    let mut rig = Rig::with_entries(8);
    let [reader, writer] = rig.pipe();
    let [one, other] = rig.pair();
    let mut buffers = [[0u8; 8]; 2];
    let (first, second) = buffers.split_at_mut(1);
    rig.driver.submit(key(0, 1), read(&reader, &mut first[0]));
    rig.driver
        .submit(key(1, 1), receive(&other, &mut second[0]));
    rig.driver.submit(key(2, 1), write(&writer, b"pipe"));
    rig.driver.submit(key(3, 1), send(&one, b"socket"));
    rig.complete(4);
    assert_eq!(
        [0, 1, 2, 3].map(|index| rig.result(key(index, 1))),
        [4, 6, 4, 6]
    );
    assert_eq!(
        (&buffers[0][..4], &buffers[1][..6]),
        (&b"pipe"[..], &b"socket"[..])
    );
}

#[test]
fn bug_052_more_operations_than_entries_all_complete() {
    const COUNT: usize = 10_000;
    for entries in [1, 2, 4, 8] {
        let mut rig = Rig::with_entries(entries);
        for index in 0..COUNT {
            rig.driver.submit(key(index as u32, 1), Operation::Nop);
        }
        rig.complete(COUNT);
        let mut indices: Vec<u32> = rig.completed.iter().map(|(key, _)| key.index).collect();
        indices.sort_unstable();
        assert!(indices.into_iter().eq(0..COUNT as u32), "entries={entries}");
    }
}

#[test]
fn bug_053_a_completion_queue_of_two_loses_none_of_a_thousand() {
    let mut rig = Rig::new(Config {
        entries: 2,
        completion_entries: Some(2),
        ..Config::default()
    });
    assert_eq!(rig.driver.capabilities().completion_entries, 2);
    let pairs: Vec<_> = (0..1000).map(|_| rig.pair()).collect();
    let mut bytes = vec![0u8; pairs.len()];
    for (index, ([_, other], byte)) in pairs.iter().zip(bytes.chunks_mut(1)).enumerate() {
        rig.driver
            .submit(key(index as u32, 1), receive(other, byte));
    }
    rig.flush();
    assert!(!rig.driver.has_staged());
    for [one, _] in &pairs {
        rig.write_from_outside(one, b"x");
    }
    rig.complete(pairs.len());
    assert!(
        rig.completed
            .iter()
            .all(|(_, completion)| completion.result == 1)
    );
    assert!(bytes.iter().all(|byte| *byte == b'x'));
}

#[test]
fn completions_that_overflowed_come_without_being_waited_for() {
    let mut rig = Rig::new(Config {
        entries: 2,
        completion_entries: Some(2),
        ..Config::default()
    });
    let pairs: Vec<_> = (0..20).map(|_| rig.pair()).collect();
    let mut bytes = [0u8; 20];
    for (index, ([_, other], byte)) in pairs.iter().zip(bytes.chunks_mut(1)).enumerate() {
        rig.driver
            .submit(key(index as u32, 1), receive(other, byte));
    }
    rig.flush();
    for [one, _] in &pairs {
        rig.write_from_outside(one, b"x");
    }
    for _ in 0..pairs.len() {
        rig.flush();
    }
    assert_eq!(rig.completed.len(), pairs.len());
    // Without a ring there is no queue that could overflow.
    assert!(rig.driver.counters().overflows > 0 || !rig.has_ring());
}

#[test]
fn what_is_taken_back_is_never_submitted() {
    let mut rig = Rig::with_entries(8);
    let [one, other] = rig.pair();
    rig.driver.submit(key(0, 1), send(&one, b"a"));
    rig.driver.submit(key(1, 1), send(&one, b"b"));
    rig.driver.submit(key(2, 1), send(&one, b"c"));
    assert!(rig.driver.take_back(key(1, 1)));
    assert!(!rig.driver.take_back(key(1, 1)), "it is gone");
    assert!(!rig.driver.take_back(key(2, 2)), "another use of the slot");
    assert!(!rig.driver.take_back(key(900, 1)), "never submitted");
    // Without sleeping, for which a ring might need an entry of its own.
    rig.flush();
    assert_eq!(rig.completed.len(), 2);
    assert!(!rig.driver.take_back(key(0, 1)), "it is done");
    assert_eq!(rig.driver.counters().submitted, 2);
    assert_eq!(rig.read_from_outside(&other), b"ac");
}

#[test]
fn what_is_in_flight_cannot_be_taken_back() {
    let mut rig = Rig::with_entries(8);
    let [one, other] = rig.pair();
    let mut buffer = [0; 1];
    rig.driver.submit(key(0, 1), receive(&other, &mut buffer));
    rig.flush();
    assert!(!rig.driver.take_back(key(0, 1)));
    // Nor if another stands where it stood, in the next turn.
    rig.driver.submit(key(1, 1), receive(&other, &mut []));
    assert!(!rig.driver.take_back(key(0, 1)));
    assert!(rig.driver.take_back(key(1, 1)));
    rig.write_from_outside(&one, b"x");
    rig.complete(1);
}

#[test]
fn a_slot_taken_back_can_be_used_again_in_the_same_turn() {
    let mut rig = Rig::with_entries(2);
    for generation in 0..1000 {
        rig.driver.submit(key(0, generation), Operation::Nop);
        assert!(rig.driver.has_staged());
        assert!(rig.driver.take_back(key(0, generation)));
        assert!(!rig.driver.has_staged());
    }
    rig.driver.submit(key(0, 1000), Operation::Nop);
    rig.complete(1);
    assert_eq!(rig.completed, [(key(0, 1000), Completion::last(0))]);
}

#[test]
fn a_cancelled_operation_completes_and_says_so() {
    let mut rig = Rig::with_entries(8);
    let [_one, other] = rig.pair();
    let mut buffer = [0; 1];
    rig.driver.submit(key(3, 1), receive(&other, &mut buffer));
    rig.flush();
    rig.driver.cancel(key(3, 1));
    rig.complete(1);
    assert_eq!(rig.result(key(3, 1)), -libc::ECANCELED);
    rig.settle();
    assert_eq!(rig.driver.counters().cancels, 1);
    assert_eq!(rig.driver.counters().cancels_too_late, 0);
}

#[test]
fn an_operation_cancelled_in_the_turn_of_its_submission_is_found() {
    let mut rig = Rig::with_entries(1);
    let [_one, other] = rig.pair();
    let mut buffer = [0; 1];
    rig.driver.submit(key(3, 1), receive(&other, &mut buffer));
    rig.driver.cancel(key(3, 1));
    rig.complete(1);
    assert_eq!(rig.result(key(3, 1)), -libc::ECANCELED);
}

#[test]
fn bug_011_a_cancel_hits_its_own_generation_only() {
    let mut rig = Rig::with_entries(8);
    let [one, other] = rig.pair();
    let mut buffer = [0; 1];
    rig.driver.submit(key(3, 1), receive(&other, &mut buffer));
    rig.flush();
    rig.write_from_outside(&one, b"x");
    rig.complete(1);
    // The slot is armed again between the decision to cancel and the enter.
    rig.driver.submit(key(3, 2), receive(&other, &mut buffer));
    rig.driver.cancel(key(3, 1));
    rig.settle();
    assert_eq!(rig.completed.len(), 1, "generation 2 goes on");
    assert_eq!(rig.driver.counters().cancels_too_late, 1);
    rig.write_from_outside(&one, b"y");
    rig.complete(2);
    assert_eq!((rig.result(key(3, 2)), buffer), (1, *b"y"));
}

/// The kernel tries such a connect, finds no room, and hands it to a thread; a cancel that
/// comes in between finds it nowhere.
#[test]
fn a_cancel_that_misses_an_operation_on_its_way_to_a_thread_is_asked_again() {
    let mut rig = Rig::with_entries(8);
    let mut name = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
    name.extend(format!("\0krug-driver-test-{}", std::process::id()).bytes());
    let make = Operation::Socket {
        domain: libc::AF_UNIX,
        kind: libc::SOCK_STREAM | libc::SOCK_CLOEXEC,
        protocol: 0,
    };
    let address = Address::of(name.as_ptr());
    let address_length = name.len() as u32;
    let listener = own(rig.run(make).result);
    let fd = listener.as_raw_fd();
    let bind = Operation::Bind {
        fd,
        address,
        address_length,
    };
    assert_eq!(rig.run(bind).result, 0);
    assert_eq!(rig.run(Operation::Listen { fd, backlog: 0 }).result, 0);
    let connect = |socket: &OwnedDescriptor| Operation::Connect {
        fd: socket.as_raw_fd(),
        address,
        address_length,
    };
    let first = own(rig.run(make).result);
    assert_eq!(rig.run(connect(&first)).result, 0);
    let began = Instant::now();
    for round in 0..20 {
        let second = own(rig.run(make).result);
        let key = key(1, round);
        rig.driver.submit(key, connect(&second));
        rig.flush();
        rig.driver.cancel(key);
        rig.complete(rig.completed.len() + 1);
        let result = rig.result(key);
        assert!(
            [-libc::ECANCELED, -libc::EINTR].contains(&result),
            "{result}"
        );
    }
    // One each, and at most one more for every pause that there was time for: it does not spin.
    let most = 2 * 20 + began.elapsed().as_millis() as u64;
    let cancels = rig.driver.counters().cancels;
    assert!(
        cancels <= most,
        "{cancels} cancels, at most {most} were due"
    );
    rig.settle();
}

#[test]
fn bug_010_five_thousand_cancels_at_once_on_a_ring_of_four() {
    const COUNT: usize = 5_000;
    let mut rig = Rig::with_entries(4);
    let [_one, other] = rig.pair();
    let mut bytes = vec![0u8; COUNT];
    for (index, byte) in bytes.chunks_mut(1).enumerate() {
        rig.driver
            .submit(key(index as u32, 1), receive(&other, byte));
    }
    rig.flush();
    for index in 0..COUNT {
        rig.driver.cancel(key(index as u32, 1));
    }
    rig.complete(COUNT);
    assert!(
        rig.completed
            .iter()
            .all(|(_, completion)| completion.result == -libc::ECANCELED)
    );
    rig.settle();
    assert_eq!(rig.driver.counters().cancels, COUNT as u64);
    assert_eq!(rig.driver.own_in_flight(), 0);
}

#[test]
fn what_produces_is_submitted_before_what_waits() {
    let mut rig = Rig::with_entries(8);
    let [one, other] = rig.pair();
    let mut buffer = [0; 4];
    // Staged in the order in which it would have to wait.
    rig.driver.submit(key(0, 1), receive(&other, &mut buffer));
    rig.driver.submit(key(1, 1), send(&one, b"data"));
    rig.flush();
    // Without a ring the operations are calls of their own, and nothing had to be waited for. A simulation makes none,
    // and counts its turns.
    let turns = u64::from(rig.driver.choice() != Choice::Epoll);
    assert_eq!(enters(&rig), turns);
    assert_eq!(
        rig.completed.len(),
        2,
        "one turn did both: {:?}",
        rig.completed
    );
    // In this order: the receive found its data and had to wait for nothing.
    assert_eq!(rig.completed[0].0, key(1, 1));
    assert_eq!((rig.completed[1].0, buffer), (key(0, 1), *b"data"));
}

#[test]
fn a_receive_from_afar_is_submitted_in_its_order() {
    let mut rig = Rig::with_entries(8);
    let [one, other] = rig.pair();
    let mut buffer = [0; 4];
    let Operation::Receive {
        fd,
        address,
        length,
        flags,
        ..
    } = receive(&other, &mut buffer)
    else {
        unreachable!("it receives");
    };
    rig.write_from_outside(&one, b"data");
    rig.driver.submit(
        key(0, 1),
        Operation::Receive {
            fd,
            address,
            length,
            flags,
            from_afar: true,
        },
    );
    rig.driver.submit(key(1, 1), send(&one, b"more"));
    rig.flush();
    let order: Vec<Key> = rig.completed.iter().map(|(key, _)| *key).collect();
    assert_eq!(order, [key(0, 1), key(1, 1)]);
}

#[test]
fn with_nothing_to_do_there_is_no_system_call() {
    needs_a_kernel!("it counts system calls");
    let mut rig = Rig::with_entries(8);
    rig.flush();
    rig.driver
        .enter(Wait::Until(Some(rig.now())), &mut rig.completed)
        .unwrap();
    rig.driver.submit(key(1, 1), Operation::Nop);
    assert!(rig.driver.take_back(key(1, 1)));
    rig.flush();
    assert_eq!(enters(&rig), 0);
}

#[test]
fn an_operation_in_flight_is_looked_after_with_at_most_one_system_call_a_turn() {
    needs_a_kernel!("it counts system calls");
    let mut rig = Rig::with_entries(8);
    let [one, other] = rig.pair();
    let mut buffer = [0; 1];
    rig.driver.submit(key(0, 1), receive(&other, &mut buffer));
    rig.flush();
    assert_eq!(enters(&rig), 1);
    (0..100).for_each(|_| rig.flush());
    // A ring says by itself that nothing has come.
    let looks = if rig.has_ring() { 0 } else { 100 };
    assert_eq!(enters(&rig), 1 + looks);
    rig.write_from_outside(&one, b"x");
    rig.flush();
    // A ring whose completions are not deferred has this one already: the write has brought it.
    let needed = u64::from(rig.driver.capabilities().rung != Some(Rung::Plain));
    assert_eq!(
        (enters(&rig), rig.completed.len()),
        (1 + looks + needed, 1),
        "the flag says that it has ended"
    );
}

#[test]
fn submitting_and_waiting_is_one_system_call() {
    needs_a_kernel!("it counts system calls");
    let mut rig = Rig::with_entries(256);
    // Without a ring: none, because what is sent is there when it is received.
    let each = u64::from(rig.has_ring());
    let [one, other] = rig.pair();
    let mut buffer = [0; 4];
    for turn in 1..=10 {
        rig.driver.submit(key(0, turn), send(&one, b"ping"));
        rig.driver
            .submit(key(1, turn), receive(&other, &mut buffer));
        let deadline = rig.now() + Duration::from_secs(5);
        rig.driver
            .enter(Wait::Until(Some(deadline)), &mut rig.completed)
            .unwrap();
        assert_eq!(enters(&rig), u64::from(turn) * each);
        assert_eq!(rig.completed.len(), 2 * turn as usize);
    }
}

#[test]
fn completions_beyond_twenty_come_with_the_next_enter() {
    const COUNT: usize = 500;
    let mut rig = Rig::with_entries(512);
    let pairs: Vec<_> = (0..COUNT).map(|_| rig.pair()).collect();
    let mut bytes = vec![0u8; COUNT];
    for (index, ([_, other], byte)) in pairs.iter().zip(bytes.chunks_mut(1)).enumerate() {
        rig.driver
            .submit(key(index as u32, 1), receive(other, byte));
    }
    rig.flush();
    for [one, _] in &pairs {
        rig.write_from_outside(one, b"x");
    }
    let before = enters(&rig);
    rig.flush();
    rig.flush();
    assert_eq!(rig.completed.len(), COUNT);
    // Those that are not deferred have come with the writes; some kernels hand all out at once.
    let needed = match rig.driver.capabilities().rung {
        Some(Rung::Modern | Rung::Deferred) => 1..=2,
        Some(Rung::Plain) => 0..=0,
        None => 2..=2,
    };
    assert!(needed.contains(&(enters(&rig) - before)), "{needed:?}");
}

#[test]
fn a_deadline_is_never_early_and_not_very_late() {
    let mut rig = Rig::with_entries(8);
    for micros in [1, 50, 999, 1_000, 1_001, 5_000, 20_000] {
        let started = rig.now();
        let deadline = started + Duration::from_micros(micros);
        rig.driver
            .enter(Wait::Until(Some(deadline)), &mut rig.completed)
            .unwrap();
        let now = rig.driver.time_source().now();
        assert!(now >= deadline, "{:?} early", deadline - now);
        assert!(
            now - deadline < Duration::from_secs(1),
            "{:?} late",
            now - deadline
        );
    }
    assert!(rig.completed.is_empty());
}

#[test]
fn a_deadline_in_the_past_does_not_wait_but_submits() {
    let mut rig = Rig::with_entries(8);
    rig.driver.submit(key(0, 1), Operation::Nop);
    let past = rig.now() - Duration::from_millis(1);
    rig.driver
        .enter(Wait::Until(Some(past)), &mut rig.completed)
        .unwrap();
    assert_eq!(rig.completed.len(), 1);
}

#[test]
fn a_deadline_in_a_million_years_is_a_wait() {
    needs_a_kernel!("a thread writes while the driver sleeps, which takes no time in a simulation");
    let mut rig = Rig::with_entries(8);
    let [one, other] = rig.pair();
    let mut buffer = [0; 1];
    rig.driver.submit(key(0, 1), receive(&other, &mut buffer));
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(perform(&write(&one, b"x"), Mode::Waits), 1);
        one
    });
    let far = rig.now() + Duration::from_secs(1_000_000 * 365 * 86_400);
    rig.driver
        .enter(Wait::Until(Some(far)), &mut rig.completed)
        .unwrap();
    assert_eq!(rig.result(key(0, 1)), 1);
    assert!(
        enters(&rig) <= 2,
        "it slept instead of asking again and again"
    );
    drop(writer.join());
}

#[test]
fn a_bell_goes_anywhere() {
    fn anywhere<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}
    anywhere::<Bell>();
}

#[test]
fn a_bell_wakes_the_sleeper() {
    needs_a_kernel!("threads ring while the driver sleeps, which takes no time in a simulation");
    for message_ring in [true, false] {
        let mut rig = rig_with_bell(message_ring);
        let bell = rig.driver.bell();
        for _ in 0..20 {
            let ringer = std::thread::spawn({
                let bell = bell.clone();
                move || {
                    std::thread::sleep(Duration::from_millis(1));
                    bell.ring();
                }
            });
            let deadline = rig.now() + Duration::from_secs(5);
            rig.driver
                .enter(Wait::Until(Some(deadline)), &mut rig.completed)
                .unwrap();
            assert!(rig.now() < deadline, "nobody heard the bell");
            ringer.join().unwrap();
        }
        assert!(rig.driver.counters().bells >= 20);
        assert!(rig.completed.is_empty());
    }
}

#[test]
fn a_bell_rung_before_the_sleep_prevents_it() {
    for message_ring in [true, false] {
        let mut rig = rig_with_bell(message_ring);
        for _ in 0..5 {
            rig.driver.bell().ring();
            rig.driver
                .enter(Wait::Until(None), &mut rig.completed)
                .unwrap();
        }
        assert_eq!(rig.driver.counters().bells, 5);
    }
}

#[test]
fn a_bell_reaped_in_passing_prevents_the_next_sleep() {
    let mut rig = Rig::with_entries(8);
    rig.driver.bell().ring();
    rig.flush();
    rig.driver.reap(&mut rig.completed);
    rig.flush();
    let far = rig.now() + Duration::from_secs(5);
    rig.driver
        .enter(Wait::Until(Some(far)), &mut rig.completed)
        .unwrap();
    assert!(rig.now() < far);
    // It counts once.
    let soon = rig.now() + Duration::from_millis(5);
    rig.driver
        .enter(Wait::Until(Some(soon)), &mut rig.completed)
        .unwrap();
    assert!(rig.now() >= soon);
}

#[test]
fn a_bell_is_heard_on_a_ring_of_one_that_is_full() {
    for message_ring in [true, false] {
        let mut rig = Rig::new(Config {
            entries: 1,
            completion_entries: Some(1),
            restrict: bell_restriction(message_ring),
            ..Config::default()
        });
        let [_one, other] = rig.pair();
        let mut bytes = [0u8; 3];
        for (index, byte) in bytes.chunks_mut(1).enumerate() {
            rig.driver
                .submit(key(index as u32, 1), receive(&other, byte));
        }
        rig.driver.bell().ring();
        rig.driver
            .enter(Wait::Until(None), &mut rig.completed)
            .unwrap();
        assert!(!rig.driver.has_staged());
        (0..3).for_each(|index| rig.driver.cancel(key(index, 1)));
        rig.complete(3);
    }
}

#[test]
fn eight_threads_ring_one_bell() {
    for message_ring in [true, false] {
        let mut rig = rig_with_bell(message_ring);
        let ringers: Vec<_> = (0..8)
            .map(|_| {
                let bell = rig.driver.bell();
                std::thread::spawn(move || (0..200).for_each(|_| bell.ring()))
            })
            .collect();
        while !ringers.iter().all(|ringer| ringer.is_finished()) {
            let soon = rig.now() + Duration::from_millis(20);
            rig.driver
                .enter(Wait::Until(Some(soon)), &mut rig.completed)
                .unwrap();
        }
        rig.flush();
        // An event descriptor is looked at only by whoever sleeps.
        let has_messages = rig.driver.capabilities().message_ring;
        assert!(rig.driver.counters().bells >= 1 || !has_messages);
        ringers
            .into_iter()
            .for_each(|ringer| ringer.join().unwrap());
    }
}

#[test]
fn a_bell_outlives_its_driver_and_is_silent() {
    for message_ring in [true, false] {
        let rig = rig_with_bell(message_ring);
        let bell = rig.driver.bell();
        let ringer = std::thread::spawn({
            let bell = bell.clone();
            move || (0..1000).for_each(|_| bell.ring())
        });
        drop(rig);
        // Whoever gets the number of the closed descriptor must not be rung.
        let (mut reader, writer) = io::pipe().unwrap();
        ringer.join().unwrap();
        bell.ring();
        drop(writer);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    }
}

fn rig_with_bell(message_ring: bool) -> Rig {
    let rig = Rig::new(Config {
        entries: 8,
        restrict: bell_restriction(message_ring),
        ..Config::default()
    });
    assert!(message_ring || !rig.driver.capabilities().message_ring);
    rig
}

fn bell_restriction(message_ring: bool) -> fn(&mut Capabilities) {
    match message_ring {
        true => |_| {},
        false => |capabilities| capabilities.message_ring = false,
    }
}

#[test]
fn closed_without_a_key() {
    let mut rig = Rig::with_entries(1);
    let peers: Vec<_> = (0..10)
        .map(|_| {
            let [one, other] = rig.pair();
            rig.driver.close(one.into_raw_fd());
            other
        })
        .collect();
    assert!(rig.driver.has_staged());
    rig.settle();
    for peer in &peers {
        assert_eq!(rig.read_from_outside(peer), b"");
    }
    assert!(rig.completed.is_empty());
}

#[test]
fn shutdown_closes_what_was_staged_to_be_closed() {
    needs_a_kernel!("nobody reads on in a simulation whose driver is gone");
    let mut rig = Rig::with_entries(8);
    let [one, other] = rig.pair();
    let mut driver = Driver::new(&Config::default()).unwrap();
    driver.close(one.into_raw_fd());
    driver.shutdown();
    assert_eq!(rig.read_from_outside(&other), b"");
}

#[test]
fn a_dropped_driver_closes_what_was_staged_to_be_closed() {
    needs_a_kernel!("nobody reads on in a simulation whose driver is gone");
    let mut rig = Rig::with_entries(1);
    let [one, other] = rig.pair();
    rig.driver.close(one.into_raw_fd());
    drop(rig);
    // What is not closed by now never will be: no reason to wait for it.
    let mut byte = [0; 1];
    let read = perform(&receive(&other, &mut byte), Mode::Refuses);
    assert_eq!(read, 0);
}

#[test]
fn a_multishot_accept_goes_on_until_it_is_cancelled() {
    let mut rig = Rig::with_entries(256);
    if is_without(MULTISHOT, rig.driver.capabilities().accept_multishot) {
        return;
    }
    let (listener, name) = rig.listener();
    let (fd, flags) = (listener.as_raw_fd(), libc::SOCK_CLOEXEC);
    rig.driver
        .submit(key(0, 1), Operation::AcceptMultishot { fd, flags });
    rig.flush();
    let clients: Vec<_> = (0..50).map(|_| rig.connection(&name)).collect();
    rig.complete(clients.len());
    for (key_found, completion) in &rig.completed {
        assert_eq!((*key_found, completion.more), (key(0, 1), true));
        drop(own(completion.result));
    }
    rig.driver.cancel(key(0, 1));
    rig.complete(clients.len() + 1);
    let (_, last) = rig.completed[clients.len()];
    assert_eq!((last.result, last.more), (-libc::ECANCELED, false));
}

#[test]
fn sockets_are_made_bound_connected_and_shut_down() {
    let every: fn(&mut Capabilities) = |_| {};
    let none: fn(&mut Capabilities) = |capabilities| {
        capabilities.socket = false;
        capabilities.bind_listen = false;
        capabilities.pipe = false;
        capabilities.shutdown = false;
        capabilities.accept_multishot = false;
    };
    for (restrict, fallbacks) in [(every, 0), (none, 8)] {
        let mut rig = Rig::new(Config {
            restrict,
            ..Config::default()
        });
        life_of_a_connection(&mut rig);
        pipe_ends(&mut rig);
        // Without a ring everything is a plain call.
        if fallbacks > 0 && rig.has_ring() {
            let shot = Operation::AcceptMultishot { fd: -1, flags: 0 };
            assert_eq!(rig.run(shot).result, -libc::EINVAL);
            assert_eq!(rig.driver.counters().fallbacks, fallbacks);
        }
    }
}

fn life_of_a_connection(rig: &mut Rig) {
    let listener = own(rig.run(TCP_SOCKET).result);
    let mut name = loopback();
    let address = Address::of_mut(&raw mut name);
    let mut address_length = size_of_val(&name) as u32;
    let fd = listener.as_raw_fd();
    assert_eq!(
        rig.run(Operation::Bind {
            fd,
            address,
            address_length
        })
        .result,
        0
    );
    assert_eq!(rig.run(Operation::Listen { fd, backlog: 8 }).result, 0);
    let Answer::Name(bound) = rig.driver.control(Control::SocketName { fd }).unwrap() else {
        panic!("a name was asked for");
    };
    let client = own(rig.run(TCP_SOCKET).result);
    assert_eq!(rig.run(connect(&client, &bound)).result, 0);
    let accept = Operation::Accept {
        fd,
        address,
        address_length: Address::of_mut(&raw mut address_length),
        flags: libc::SOCK_CLOEXEC,
    };
    let served = own(rig.run(accept).result);
    assert_eq!(i32::from(name.sin_family), libc::AF_INET);
    let shutdown = Operation::Shutdown {
        fd: client.as_raw_fd(),
        how: libc::SHUT_WR,
    };
    assert_eq!(rig.run(shutdown).result, 0);
    assert_eq!(rig.run(shutdown_of(-1)).result, -libc::EBADF);
    assert_eq!(rig.read_from_outside(&served), b"");
}

/// As Linux has it: the end is what a read finds that finds nothing else.
#[test]
fn what_has_come_or_still_comes_is_read_after_a_shutdown_for_reading() {
    let mut rig = Rig::with_entries(8);
    let (listener, name) = rig.listener();
    let client = rig.connection(&name);
    let accept = Operation::Accept {
        fd: listener.as_raw_fd(),
        address: Address(0),
        address_length: Address(0),
        flags: libc::SOCK_CLOEXEC,
    };
    let served = own(rig.done_outside(accept));
    let (fd, events) = (served.as_raw_fd(), libc::POLLIN as u32);
    rig.write_from_outside(&client, b"early");
    rig.run(Operation::Poll { fd, events });
    let how = libc::SHUT_RD;
    assert_eq!(rig.run(Operation::Shutdown { fd, how }).result, 0);
    let mut buffer = [0; 8];
    let length = buffer.len() as u32;
    let address = Address::of_mut(buffer.as_mut_ptr());
    let receive = |flags| Operation::Receive {
        fd,
        address,
        length,
        flags,
        from_afar: false,
    };
    assert_eq!(rig.run(receive(libc::MSG_PEEK)).result, 5);
    assert_eq!(rig.run(receive(0)).result, 5);
    assert_eq!(rig.run(receive(0)).result, 0);
    rig.write_from_outside(&client, b"late");
    // A kernel may still carry it from one socket to the other.
    let came = (0..100_000).find(|_| rig.run(receive(libc::MSG_PEEK)).result == 4);
    assert!(came.is_some());
    assert_eq!(rig.run(receive(0)).result, 4);
    assert_eq!(rig.run(receive(0)).result, 0);
    assert_eq!(&buffer[..4], b"late");
}

fn shutdown_of(fd: i32) -> Operation {
    Operation::Shutdown {
        fd,
        how: libc::SHUT_WR,
    }
}

fn pipe_ends(rig: &mut Rig) {
    let mut ends = [-1i32; 2];
    let pipe = Operation::Pipe {
        descriptors: Address::of_mut(&raw mut ends),
        flags: libc::O_CLOEXEC,
    };
    assert_eq!(rig.run(pipe).result, 0);
    let [reader, writer] = ends.map(own);
    rig.write_from_outside(&writer, b"x");
    assert_eq!(rig.read_from_outside(&reader), b"x");
}

#[test]
fn bug_057_a_multishot_ended_by_overflow_hands_out_its_last_connection() {
    let mut rig = Rig::new(Config {
        entries: 2,
        completion_entries: Some(2),
        ..Config::default()
    });
    if is_without(MULTISHOT, rig.driver.capabilities().accept_multishot) {
        return;
    }
    let (listener, name) = rig.listener();
    let (fd, flags) = (listener.as_raw_fd(), libc::SOCK_CLOEXEC);
    let arm = Operation::AcceptMultishot { fd, flags };
    rig.driver.submit(key(0, 0), arm);
    rig.flush();
    let clients: Vec<_> = (0..20).map(|_| rig.connection(&name)).collect();
    let mut accepted = Vec::new();
    let mut generation = 0;
    while accepted.len() < clients.len() {
        rig.complete(1);
        for (_, completion) in std::mem::take(&mut rig.completed) {
            accepted.push(own(completion.result));
            if !completion.more {
                generation += 1;
                rig.driver.submit(key(0, generation), arm);
            }
        }
    }
    // Without a ring there is no queue that could overflow.
    assert!(
        generation > 0 || !rig.has_ring(),
        "twenty connections overflow a queue of two"
    );
    rig.driver.cancel(key(0, generation));
    rig.complete(1);
}

#[test]
#[rustfmt::skip] // A table.
fn bug_056_every_operation_reports_its_error_as_a_negative_number() {
    let mut rig = Rig::with_entries(8);
    let (fd, flags, how, length, count, offset) = (-1, 0, 0, 0, 0, 0);
    let (address, header, vectors) = (Address(0), Address(0), Address(0));
    let message: libc::msghdr = empty_message();
    let name = loopback();
    let to = (Address::of(&raw const name), size_of_val(&name) as u32);
    let bad_descriptor = [
        Operation::Accept { fd, address, address_length: address, flags },
        Operation::Connect { fd, address: to.0, address_length: to.1 },
        Operation::Bind { fd, address: to.0, address_length: to.1 },
        Operation::Listen { fd, backlog: 1 },
        Operation::Shutdown { fd, how },
        Operation::Close { fd },
        Operation::Receive { fd, address, length, flags, from_afar: false },
        Operation::Send { fd, address, length, flags },
        Operation::ReceiveMessage { fd, header: Address::of(&raw const message), flags },
        Operation::SendMessage { fd, header: Address::of(&raw const message), flags },
        Operation::Read { fd, address, length, offset },
        Operation::Write { fd, address, length, offset },
        Operation::ReadVectored { fd, vectors, count, offset },
        Operation::WriteVectored { fd, vectors, count, offset },
        Operation::Poll { fd, events: libc::POLLIN as u32 },
    ];
    for operation in bad_descriptor {
        assert_eq!(rig.run(operation).result, -libc::EBADF, "{operation:?}");
    }
    // Some kernels look at the descriptor first.
    let [socket, _other] = rig.pair();
    let null = [
        Operation::ReceiveMessage { fd: socket.as_raw_fd(), header, flags },
        Operation::SendMessage { fd: socket.as_raw_fd(), header, flags },
        Operation::Pipe { descriptors: address, flags },
    ];
    for operation in null {
        assert_eq!(rig.run(operation).result, -libc::EFAULT, "{operation:?}");
    }
    let of_a_shot = match rig.driver.capabilities().accept_multishot {
        true => -libc::EBADF,
        false => -libc::EINVAL,
    };
    assert_eq!(rig.run(Operation::AcceptMultishot { fd, flags }).result, of_a_shot);
    let nonsense = Operation::Socket { domain: 12_345, kind: libc::SOCK_STREAM, protocol: 0 };
    assert_eq!(rig.run(nonsense).result, -libc::EAFNOSUPPORT);
    assert_eq!(rig.run(Operation::Nop).result, 0);
}

#[test]
fn vectors_and_messages_travel_in_order() {
    let mut rig = Rig::with_entries(8);
    let [one, other] = rig.pair();
    let (mut first, mut second) = (*b"for", *b"ward");
    let mut parts = [vector(&mut first), vector(&mut second)];
    let (mut third, mut fourth) = ([0; 2], [0; 9]);
    let mut rooms = [vector(&mut third), vector(&mut fourth)];
    let write = Operation::WriteVectored {
        fd: one.as_raw_fd(),
        vectors: Address::of(parts.as_ptr()),
        count: 2,
        offset: CURSOR,
    };
    let read = Operation::ReadVectored {
        fd: other.as_raw_fd(),
        vectors: Address::of(rooms.as_ptr()),
        count: 2,
        offset: CURSOR,
    };
    assert_eq!((rig.run(write).result, rig.run(read).result), (7, 7));
    assert_eq!((&third, &fourth[..5]), (b"fo", &b"rward"[..]));
    fourth = [0; 9];
    let (mut sent, mut received) = (empty_message(), empty_message());
    (sent.msg_iov, sent.msg_iovlen) = (parts.as_mut_ptr(), 2);
    (received.msg_iov, received.msg_iovlen) = (rooms.as_mut_ptr(), 2);
    let (fd, flags) = (one.as_raw_fd(), libc::MSG_NOSIGNAL);
    let header = Address::of(&raw const sent);
    assert_eq!(
        rig.run(Operation::SendMessage { fd, header, flags }).result,
        7
    );
    let (fd, flags) = (other.as_raw_fd(), 0);
    let header = Address::of_mut(&raw mut received);
    assert_eq!(
        rig.run(Operation::ReceiveMessage { fd, header, flags })
            .result,
        7
    );
    assert_eq!(&fourth[..5], b"rward");
}

#[test]
fn files_are_read_and_written_at_an_offset() {
    let mut rig = Rig::with_entries(8);
    let file = rig.temporary_file();
    let (fd, offset) = (file.as_raw_fd(), 3);
    let (text, mut buffer) = (*b"offset", [0u8; 4]);
    let (address, length) = (Address::of(text.as_ptr()), 6);
    assert_eq!(
        rig.run(Operation::Write {
            fd,
            address,
            length,
            offset
        })
        .result,
        6
    );
    let (address, length) = (Address::of_mut(buffer.as_mut_ptr()), 4);
    let offset = 5;
    assert_eq!(
        rig.run(Operation::Read {
            fd,
            address,
            length,
            offset
        })
        .result,
        4
    );
    assert_eq!(buffer, *b"fset");
}

#[test]
fn a_poll_completes_when_its_event_comes() {
    let mut rig = Rig::with_entries(8);
    let [one, other] = rig.pair();
    let (fd, events) = (other.as_raw_fd(), libc::POLLIN as u32);
    rig.driver.submit(key(0, 1), Operation::Poll { fd, events });
    rig.flush();
    assert!(rig.completed.is_empty());
    rig.write_from_outside(&one, b"x");
    rig.complete(1);
    assert_eq!(rig.result(key(0, 1)), i32::from(libc::POLLIN));
}

fn vector(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    }
}

fn empty_message() -> libc::msghdr {
    libc::msghdr {
        msg_name: std::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: std::ptr::null_mut(),
        msg_iovlen: 0,
        msg_control: std::ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    }
}

#[test]
fn options_are_set_and_read_back() {
    use {OptionName as Name, SocketOption as Opt};
    let mut rig = Rig::with_entries(1);
    let (listener, _) = rig.listener();
    let fd = listener.as_raw_fd();
    let tried = [
        (Name::NoDelay, Opt::NoDelay(true), Opt::NoDelay(true)),
        (Name::NoDelay, Opt::NoDelay(false), Opt::NoDelay(false)),
        (Name::KeepAlive, Opt::KeepAlive(true), Opt::KeepAlive(true)),
        (
            Name::ReuseAddress,
            Opt::ReuseAddress(false),
            Opt::ReuseAddress(false),
        ),
        (Name::ReusePort, Opt::ReusePort(true), Opt::ReusePort(true)),
        (
            Name::ReceiveBuffer,
            Opt::ReceiveBuffer(8192),
            Opt::ReceiveBuffer(16384),
        ),
        (
            Name::SendBuffer,
            Opt::SendBuffer(8192),
            Opt::SendBuffer(16384),
        ),
        (Name::TimeToLive, Opt::TimeToLive(7), Opt::TimeToLive(7)),
    ];
    for (name, option, expected) in tried {
        let set = Control::SetOption { fd, option };
        assert_eq!(rig.driver.control(set).unwrap(), Answer::Done);
        let get = Control::GetOption { fd, option: name };
        assert_eq!(rig.driver.control(get).unwrap(), Answer::Option(expected));
    }
    let v6 = Control::GetOption {
        fd,
        option: Name::OnlyV6,
    };
    assert!(
        rig.driver.control(v6).is_err(),
        "an IPv4 socket has no such option"
    );
}

#[test]
fn questions_about_a_socket_are_answered() {
    let mut rig = Rig::with_entries(1);
    let (listener, name) = rig.listener();
    let client = rig.connection(&name);
    let fd = client.as_raw_fd();
    let mut ask = |control| rig.driver.control(control);
    assert_eq!(ask(Control::TakeError { fd }).unwrap(), Answer::Number(0));
    let peer = ask(Control::PeerName { fd }).unwrap();
    let bound = ask(Control::SocketName {
        fd: listener.as_raw_fd(),
    })
    .unwrap();
    assert_eq!(peer, bound);
    let Answer::Name(name) = peer else {
        panic!("{peer:?}")
    };
    assert_eq!(name.as_bytes().len(), size_of::<libc::sockaddr_in>());
    let error = ask(Control::PeerName {
        fd: listener.as_raw_fd(),
    })
    .unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTCONN));
}

#[test]
fn a_pair_of_sockets_is_connected() {
    let mut rig = Rig::with_entries(1);
    let [first, second] = rig.pair();
    rig.write_from_outside(&first, b"x");
    assert_eq!(rig.read_from_outside(&second), b"x");
    rig.write_from_outside(&second, b"y");
    assert_eq!(rig.read_from_outside(&first), b"y");
}

pub(super) fn loopback() -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: 0,
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
        },
        sin_zero: [0; 8],
    }
}
