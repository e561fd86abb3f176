//! [`Faults`]: makes the n-th call go wrong in a way that a kernel may make it go
//! wrong, and [`Faulty`]: the shim around the [`Driver`] that does so.
//!
//! A kernel that answers `EAGAIN` once a week finds the one place that cannot cope
//! with it, in production. Here a test says when: it runs once without faults, asks
//! the counters how many calls there were, and then runs once for each of them.

mod affected;

use std::io;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{
    Address, Answer, AtOnce, Bell, Capabilities, Choice, Completion, Config, Control, Descriptor,
    Driver, DriverCounters, Key, Operation, Refusal, SignalWatch, TimeSource, Wait, Work,
};
use crate::random::Random;
use affected::shorten;

/// What goes wrong, and when: a plan to be given to the runtime's builder, and the
/// counters of what has happened.
///
/// Clones share plan and counters, so a test keeps one and gives one away. Calls are
/// counted from 1, over all the workers that were given the plan.
///
/// ```
/// # #[cfg(feature = "fault-injection")] {
/// use krug::runtime::Faults;
///
/// let eagain = 11;
/// let faults = Faults::new().enter(3, eagain).end_multishot(2);
/// assert_eq!(faults.enters(), 0);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    plan: Mutex<Vec<Fault>>,
    enters: AtomicU64,
    multishot_completions: AtomicU64,
    operations: AtomicU64,
    connects: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Enter { nth: u64, errno: i32 },
    EndMultishot { nth: u64, starved: bool },
    Operation { nth: u64, errno: i32 },
    Withhold { nth: u64 },
    Short { nth: u64, length: u32 },
    InterruptConnect { nth: u64 },
}

/// What is planned for an operation.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answer(i32),
    Withhold,
    Short(u32),
}

impl Faults {
    /// A plan in which nothing goes wrong.
    pub fn new() -> Faults {
        Faults::default()
    }

    /// The `nth` turn, or the first one after it that makes a system call, finds the
    /// kernel answering `errno`, once. `EAGAIN` and `EBUSY`: nothing is submitted by
    /// that call. `EINTR`: what is staged is submitted, and the wait is cut short.
    /// Programs must not notice any of them.
    #[must_use]
    pub fn enter(self, nth: u64, errno: i32) -> Faults {
        self.with(Fault::Enter { nth, errno })
    }

    /// The `nth` completion of an operation that completes many times is its last one,
    /// without any error, unless it is ending already. What the kernel still sends for it
    /// in the meantime is handed on in order; the last of that is then the last one.
    #[must_use]
    pub fn end_multishot(self, nth: u64) -> Faults {
        let starved = false;
        self.with(Fault::EndMultishot { nth, starved })
    }

    /// As [`end_multishot`](Faults::end_multishot), but one more completion follows: `ENOBUFS`, as if the
    /// kernel had found no more buffers.
    #[must_use]
    pub fn starve_multishot(self, nth: u64) -> Faults {
        let starved = true;
        self.with(Fault::EndMultishot { nth, starved })
    }

    /// The `nth` operation that transfers data (receive, send, read, write), or otherwise changes an open file, is answered
    /// with `errno` without being submitted: `ENOBUFS`, `EINTR`, `EAGAIN` and `ECANCELED`
    /// are what a kernel may answer to an operation that is right.
    #[must_use]
    pub fn operation(self, nth: u64, errno: i32) -> Faults {
        self.with(Fault::Operation { nth, errno })
    }

    /// The `nth` operation that transfers data never ends, whatever is done about it: it is submitted, but neither is it
    /// cancelled nor does its completion arrive. No healthy kernel does this for long; a disk or a
    /// server behind a network file system that does not answer may.
    #[must_use]
    pub fn withhold(self, nth: u64) -> Faults {
        self.with(Fault::Withhold { nth })
    }

    /// The `nth` operation that transfers data is submitted with at most `length` bytes, as if there were no more or no
    /// more room: a short read, or a short write. A file's or pipe's operation with several buffers has only the
    /// first of them; a socket's is not cut, and neither is a datagram.
    #[must_use]
    pub fn short(self, nth: u64, length: u32) -> Faults {
        self.with(Fault::Short { nth, length })
    }

    /// The `nth` connect is carried out, but its caller is told that a signal interrupted it (`EINTR`).
    #[must_use]
    pub fn interrupt_connect(self, nth: u64) -> Faults {
        self.with(Fault::InterruptConnect { nth })
    }

    /// How many turns have submitted or waited.
    pub fn enters(&self) -> u64 {
        self.shared.enters.load(Ordering::Relaxed)
    }

    /// How many completions with more to come there were.
    pub fn multishot_completions(&self) -> u64 {
        self.shared.multishot_completions.load(Ordering::Relaxed)
    }

    /// How many operations that transfer data were submitted.
    pub fn operations(&self) -> u64 {
        self.shared.operations.load(Ordering::Relaxed)
    }

    /// How many planned faults have not happened yet.
    pub fn pending(&self) -> usize {
        self.plan().len()
    }

    fn with(self, fault: Fault) -> Faults {
        self.plan().push(fault);
        self
    }

    fn plan(&self) -> MutexGuard<'_, Vec<Fault>> {
        // A panic elsewhere cannot leave a list of numbers half changed.
        self.shared
            .plan
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The errno planned for this turn.
    fn on_enter(&self) -> Option<i32> {
        let now = count(&self.shared.enters);
        self.take(|fault| match fault {
            Fault::Enter { nth, errno } if nth == now => Some(errno),
            _ => None,
        })
    }

    /// What is planned for this operation.
    fn on_operation(&self) -> Option<Fate> {
        let now = count(&self.shared.operations);
        self.take(|fault| match fault {
            Fault::Operation { nth, errno } if nth == now => Some(Fate::Answer(errno)),
            Fault::Withhold { nth } if nth == now => Some(Fate::Withhold),
            Fault::Short { nth, length } if nth == now => Some(Fate::Short(length)),
            _ => None,
        })
    }

    /// Whether this connect is planned to be interrupted.
    fn on_connect(&self) -> bool {
        let now = count(&self.shared.connects);
        let is_due = |fault| (fault == Fault::InterruptConnect { nth: now }).then_some(());
        self.take(is_due).is_some()
    }

    /// Whether the shot is planned to end with this completion, and whether for want of buffers.
    fn on_multishot_completion(&self) -> Option<bool> {
        let now = count(&self.shared.multishot_completions);
        self.take(|fault| match fault {
            Fault::EndMultishot { nth, starved } if nth == now => Some(starved),
            _ => None,
        })
    }

    fn take<T>(&self, due: impl Fn(Fault) -> Option<T>) -> Option<T> {
        let mut plan = self.plan();
        let found = plan.iter().position(|fault| due(*fault).is_some())?;
        due(plan.remove(found))
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed) + 1
}

/// A shot that is being ended: its newest completion, which may be its last one, while
/// the kernel's own last one is awaited.
#[derive(Clone, Copy, Debug)]
struct Held {
    key: Key,
    newest: Completion,
    /// It ends for want of buffers.
    starved: bool,
}

/// A [`Driver`] to which things happen. The methods are the driver's.
#[derive(Debug)]
pub(crate) struct Faulty {
    driver: Driver,
    faults: Faults,
    /// Answers of operations that were never submitted.
    answers: Vec<(Key, Completion)>,
    /// Shots that are being ended.
    held: Vec<Held>,
    /// Operations of which nothing is to be heard.
    withheld: Vec<Key>,
    /// Connects whose results are replaced by an interruption.
    interrupted: Vec<Key>,
}

impl Faulty {
    pub(crate) fn new(config: &Config) -> io::Result<Faulty> {
        Ok(Faulty {
            driver: Driver::new(config)?,
            faults: config.faults.clone(),
            answers: Vec::new(),
            held: Vec::new(),
            withheld: Vec::new(),
            interrupted: Vec::new(),
        })
    }

    pub(crate) fn choice(&self) -> Choice {
        self.driver.choice()
    }

    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.driver.refusal()
    }

    pub(crate) fn has_news(&mut self) -> bool {
        self.driver.has_news()
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.driver.capabilities()
    }

    pub(crate) fn submit(&mut self, key: Key, mut operation: Operation) {
        let fate = operation
            .transfers_data()
            .then(|| self.faults.on_operation())
            .flatten();
        match fate {
            Some(Fate::Answer(errno)) => {
                return self.answers.push((key, Completion::last(-errno)));
            }
            Some(Fate::Withhold) => self.withheld.push(key),
            Some(Fate::Short(length)) => shorten(&mut operation, length),
            None => {}
        }
        if matches!(operation, Operation::Connect { .. }) && self.faults.on_connect() {
            self.interrupted.push(key);
        }
        self.driver.submit(key, operation);
    }

    pub(crate) fn tries_at_once(&self) -> AtOnce {
        self.driver.tries_at_once()
    }

    pub(crate) fn try_at_once(&mut self, operation: &Operation) -> Option<i32> {
        // What is to go wrong goes wrong on the long way, which is the ring's.
        if self.faults.pending() > 0 {
            return None;
        }
        let result = self.driver.try_at_once(operation)?;
        count(&self.faults.shared.operations);
        Some(result)
    }

    pub(crate) fn take_back(&mut self, key: Key) -> bool {
        let answered = self.answers.iter().position(|(found, _)| *found == key);
        match answered {
            Some(position) => {
                self.answers.remove(position);
                true
            }
            None => {
                self.interrupted.retain(|found| *found != key);
                self.driver.take_back(key)
            }
        }
    }

    pub(crate) fn cancel(&mut self, key: Key) {
        if !self.withheld.contains(&key) {
            self.driver.cancel(key);
        }
    }

    pub(crate) fn close(&mut self, fd: Descriptor) {
        self.driver.close(fd);
    }

    pub(crate) fn reap(&mut self, completions: &mut Vec<(Key, Completion)>) {
        let before = completions.len();
        completions.append(&mut self.answers);
        self.driver.reap(completions);
        self.tamper(before, completions);
    }

    pub(crate) fn enter(
        &mut self,
        wait: Wait,
        completions: &mut Vec<(Key, Completion)>,
    ) -> io::Result<()> {
        let before = completions.len();
        let mut wait = wait;
        match self.faults.on_enter() {
            None => {}
            Some(errno) => {
                self.driver.fail_enter(errno);
                if errno == libc::EINTR {
                    wait = Wait::No;
                }
            }
        }
        completions.append(&mut self.answers);
        if completions.len() > before {
            wait = Wait::No;
        }
        let entered = self.driver.enter(wait, completions);
        self.tamper(before, completions);
        entered
    }

    /// Changes what has come since `before` as planned.
    fn tamper(&mut self, before: usize, completions: &mut Vec<(Key, Completion)>) {
        let mut position = before;
        while position < completions.len() {
            let (key, completion) = completions[position];
            if self.withheld.contains(&key) {
                completions.remove(position);
                continue;
            }
            let interrupted = self.interrupted.iter().position(|found| *found == key);
            if let Some(interrupted) = interrupted {
                self.interrupted.swap_remove(interrupted);
                if completion.result != -libc::ECANCELED {
                    completions[position].1.result = -libc::EINTR;
                }
            }
            let held = self.held.iter().position(|held| held.key == key);
            let ends = completion
                .more
                .then(|| self.faults.on_multishot_completion())
                .flatten();
            match (held, ends) {
                // Between the decision and the end, whatever still comes is passed on, one completion late.
                (Some(held), _) if completion.more => {
                    let earlier = mem::replace(&mut self.held[held].newest, completion);
                    completions[position].1 = earlier;
                }
                (Some(held), _) => position += self.end_shot(held, position, completions),
                (None, Some(starved)) => {
                    let newest = completion;
                    self.held.push(Held {
                        key,
                        newest,
                        starved,
                    });
                    self.driver.cancel(key);
                    completions.remove(position);
                    continue;
                }
                (None, None) => {}
            }
            position += 1;
        }
    }

    /// The kernel's own last completion has come. If it is the echo of our cancel, the held one takes its place, or
    /// stands before the error that was planned. If not, it stays the last one. Returns how many were added.
    fn end_shot(
        &mut self,
        held: usize,
        position: usize,
        completions: &mut Vec<(Key, Completion)>,
    ) -> usize {
        let Held {
            key,
            newest,
            starved,
        } = self.held.remove(held);
        let last = &mut completions[position].1;
        if last.result == -libc::ECANCELED {
            if !starved {
                *last = Completion {
                    more: false,
                    ..newest
                };
                return 0;
            }
            last.result = -libc::ENOBUFS;
        }
        completions.insert(position, (key, newest));
        1
    }

    pub(crate) fn has_staged(&self) -> bool {
        !self.answers.is_empty() || self.driver.has_staged()
    }

    pub(crate) fn own_in_flight(&self) -> usize {
        self.driver.own_in_flight()
    }

    pub(crate) fn register_buffer(&mut self, address: Address, length: usize) -> io::Result<u16> {
        self.driver.register_buffer(address, length)
    }

    pub(crate) fn add_buffer_group(&mut self, count: u16) -> io::Result<u16> {
        self.driver.add_buffer_group(count)
    }

    pub(crate) fn provide_buffer(
        &mut self,
        group: u16,
        id: u16,
        address: Address,
        length: u32,
    ) -> u16 {
        self.driver.provide_buffer(group, id, address, length)
    }

    pub(crate) fn provided_length(&self, group: u16, place: u16, id: u16) -> Option<u32> {
        self.driver.provided_length(group, place, id)
    }

    pub(crate) fn control(&mut self, control: Control) -> io::Result<Answer> {
        self.driver.control(control)
    }

    pub(crate) fn watch_signal(&mut self, signal: i32) -> io::Result<SignalWatch> {
        self.driver.watch_signal(signal)
    }

    pub(crate) fn blocking(&self, work: Work) -> io::Result<()> {
        self.driver.blocking(work)
    }

    pub(crate) fn bell(&self) -> Bell {
        self.driver.bell()
    }

    pub(crate) fn counters(&self) -> DriverCounters {
        self.driver.counters()
    }

    pub(crate) fn time_source(&self) -> TimeSource {
        self.driver.time_source()
    }

    pub(crate) fn order_of_tasks(&self) -> Option<Random> {
        self.driver.order_of_tasks()
    }

    pub(crate) fn due_work(&mut self) -> Option<Box<dyn FnOnce()>> {
        self.driver.due_work()
    }

    pub(crate) fn shutdown(self) {
        self.driver.shutdown();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use krug_tests::needs_a_kernel;

    use super::*;
    use crate::driver::tests::{MULTISHOT, is_without, key, owned, receive, send};
    use crate::driver::{OwnedDescriptor, own};

    fn driver(faults: &Faults) -> Faulty {
        let faults = faults.clone();
        let config = Config {
            entries: 4,
            faults,
            ..Config::default()
        };
        Faulty::new(&config).unwrap()
    }

    fn complete(driver: &mut Faulty, completed: &mut Vec<(Key, Completion)>, count: usize) {
        let clock = driver.time_source();
        let deadline = clock.now() + Duration::from_secs(5);
        while completed.len() < count {
            driver
                .enter(Wait::Until(Some(deadline)), completed)
                .unwrap();
            assert!(clock.now() < deadline, "{completed:?} {driver:?}");
        }
    }

    fn pair(driver: &mut Faulty) -> [OwnedDescriptor; 2] {
        let pair = Control::SocketPair {
            domain: libc::AF_UNIX,
            kind: libc::SOCK_STREAM | libc::SOCK_CLOEXEC,
            protocol: 0,
        };
        match driver.control(pair).unwrap() {
            Answer::Pair(pair) => pair.map(own),
            answer => panic!("{answer:?}"),
        }
    }

    /// Two turns: a message that is waited for, then four at once. Returns the results.
    fn program(faults: &Faults) -> Vec<i32> {
        let mut driver = driver(faults);
        let mut completed = Vec::new();
        let [one, other] = pair(&mut driver);
        let mut buffers = [[0u8; 3]; 5];
        driver.submit(key(0, 1), receive(&other, &mut buffers[0]));
        driver.enter(Wait::No, &mut completed).unwrap();
        driver.submit(key(1, 1), send(&one, b"abc"));
        complete(&mut driver, &mut completed, 2);
        for index in 0..4 {
            driver.submit(key(index, 2), send(&one, b"xyz"));
            driver.submit(
                key(index + 4, 2),
                receive(&other, &mut buffers[1 + index as usize]),
            );
        }
        complete(&mut driver, &mut completed, 10);
        completed.sort_unstable_by_key(|(key, _)| (key.generation, key.index));
        driver.shutdown();
        completed
            .iter()
            .map(|(_, completion)| completion.result)
            .collect()
    }

    #[test]
    fn without_a_plan_nothing_goes_wrong_and_all_is_counted() {
        let faults = Faults::new();
        assert_eq!(program(&faults), [3; 10]);
        assert_eq!(faults.operations(), 10);
        assert!(faults.enters() >= 3);
        assert_eq!(faults.pending(), 0);
    }

    #[test]
    fn a_program_does_not_notice_what_happens_to_any_of_its_turns() {
        let calm = Faults::new();
        program(&calm);
        for errno in [libc::EAGAIN, libc::EBUSY, libc::EINTR] {
            for nth in 1..=calm.enters() {
                let faults = Faults::new().enter(nth, errno);
                assert_eq!(program(&faults), [3; 10], "nth={nth} errno={errno}");
                assert_eq!(faults.pending(), 0);
            }
        }
    }

    #[test]
    fn the_nth_operation_is_answered_without_being_submitted() {
        for nth in 1..=2u64 {
            let faults = Faults::new().operation(nth, libc::ENOBUFS);
            let mut driver = driver(&faults);
            let [one, other] = pair(&mut driver);
            let mut completed = Vec::new();
            let mut buffer = [0; 1];
            driver.submit(key(1, 1), send(&one, b"x"));
            driver.submit(key(2, 1), receive(&other, &mut buffer));
            driver.submit(key(3, 1), Operation::Nop);
            assert!(driver.has_staged());
            driver.enter(Wait::Until(None), &mut completed).unwrap();
            let failed: Vec<u32> = completed
                .iter()
                .filter(|(_, completion)| completion.result == -libc::ENOBUFS)
                .map(|(key, _)| key.index)
                .collect();
            assert_eq!(failed, [nth as u32]);
            driver.cancel(key(2, 1));
            while driver.has_staged() || driver.own_in_flight() > 0 {
                driver.enter(Wait::No, &mut completed).unwrap();
            }
        }
    }

    #[test]
    fn the_nth_operation_is_short() {
        for nth in 1..=2u64 {
            let mut driver = driver(&Faults::new().short(nth, 2));
            let [one, other] = pair(&mut driver);
            let (mut completed, mut buffer) = (Vec::new(), [0; 3]);
            driver.submit(key(1, 1), send(&one, b"abc"));
            complete(&mut driver, &mut completed, 1);
            driver.submit(key(2, 1), receive(&other, &mut buffer));
            complete(&mut driver, &mut completed, 2);
            let results: Vec<i32> = completed.iter().map(|(_, it)| it.result).collect();
            assert_eq!(results, if nth == 1 { [2, 2] } else { [3, 2] });
        }
    }

    #[test]
    fn an_answer_that_is_taken_back_never_comes() {
        let faults = Faults::new().operation(1, libc::EINTR);
        let mut driver = driver(&faults);
        let [one, _other] = pair(&mut driver);
        let mut completed = Vec::new();
        driver.submit(key(1, 1), send(&one, b"x"));
        assert!(driver.take_back(key(1, 1)));
        assert!(!driver.take_back(key(1, 1)));
        driver.enter(Wait::No, &mut completed).unwrap();
        assert!(completed.is_empty());
    }

    #[test]
    fn a_shot_that_the_kernel_ends_first_keeps_the_kernels_end() {
        let mut driver = driver(&Faults::new());
        let key = key(0, 1);
        let end = |result| (key, Completion::last(result));
        let goes_on = |result| {
            let more = true;
            let completion = Completion::last(result);
            (key, Completion { more, ..completion })
        };
        let newest = goes_on(5).1;
        let hold = |starved| Held {
            key,
            newest,
            starved,
        };
        driver.held.push(hold(false));
        let mut completions = vec![end(-libc::EMFILE)];
        driver.tamper(0, &mut completions);
        assert_eq!(completions, [goes_on(5), end(-libc::EMFILE)]);
        driver.held.push(hold(false));
        let mut completions = vec![end(-libc::ECANCELED)];
        driver.tamper(0, &mut completions);
        assert_eq!(completions, [end(5)]);
        // What still comes stays in order, and the planned error is the last.
        driver.held.push(hold(true));
        let mut completions = vec![goes_on(6), goes_on(7), end(-libc::ECANCELED)];
        driver.tamper(0, &mut completions);
        let starved = end(-libc::ENOBUFS);
        assert_eq!(completions, [goes_on(5), goes_on(6), goes_on(7), starved]);
        assert!(driver.held.is_empty());
    }

    #[test]
    fn a_multishot_ends_at_any_connection_and_loses_none() {
        needs_a_kernel!(
            "it counts the completions of a shot alone, so its clients are the standard library's"
        );
        const COUNT: usize = 6;
        for nth in 1..=COUNT as u64 {
            let faults = Faults::new().end_multishot(nth);
            let mut driver = driver(&faults);
            if is_without(MULTISHOT, driver.capabilities().accept_multishot) {
                return;
            }
            let mut completed = Vec::new();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let (fd, flags) = (listener.as_raw_fd(), libc::SOCK_CLOEXEC);
            let arm = Operation::AcceptMultishot { fd, flags };
            driver.submit(key(0, 0), arm);
            driver.enter(Wait::No, &mut completed).unwrap();
            let address = listener.local_addr().unwrap();
            let clients: Vec<_> = (0..COUNT)
                .map(|_| TcpStream::connect(address).unwrap())
                .collect();
            let (mut accepted, mut generation) = (Vec::new(), 0);
            while accepted.len() < clients.len() {
                complete(&mut driver, &mut completed, 1);
                for (found, completion) in completed.drain(..) {
                    assert_eq!(
                        found,
                        key(0, generation),
                        "nothing follows the last completion"
                    );
                    accepted.push(owned(completion.result));
                    if !completion.more {
                        generation += 1;
                        driver.submit(key(0, generation), arm);
                    }
                }
            }
            assert_eq!(generation, 1, "nth={nth}");
            // The last completion of a shot may bring a connection, too.
            let counted = faults.multishot_completions() as usize;
            assert!((COUNT - 1..=COUNT).contains(&counted), "{counted}");
            driver.cancel(key(0, 1));
            complete(&mut driver, &mut completed, 1);
        }
    }
}
