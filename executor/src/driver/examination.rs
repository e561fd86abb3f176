//! [`Examination`]: which driver a program gets here that leaves the choice open, and what a ring can do.

use std::thread;

use super::{Capabilities, Choice, Config, Refusal, Rung, epoll, uring};

/// What was tried, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Examination {
    /// What the environment says: `Auto` if nothing. What is wrong with it, if that is no driver.
    pub(crate) wish: Result<Choice, String>,
    pub(crate) ring: Result<Found, Refusal>,
    /// Why there is no epoll.
    pub(crate) epoll: Result<(), String>,
    /// How large a ring was asked for.
    pub(crate) entries: u32,
    /// How many threads of the kernel a ring asks for that may block for ever.
    pub(crate) blocking_threads: u32,
}

/// What a ring turned out to be able to do.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) capabilities: Capabilities,
    /// All that krug submits.
    pub(crate) operations: Vec<Ability>,
    /// What else makes a difference.
    pub(crate) features: Vec<Ability>,
    /// How many threads the kernel uses at most, unless told otherwise: for regular files, and for what may block for ever.
    pub(crate) kernel_threads: Option<[u32; 2]>,
}

/// An operation or a feature of the kernel's io_uring that krug uses where it is present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ability {
    pub(crate) name: &'static str,
    pub(crate) is_present: Option<bool>,
    pub(crate) instead: &'static str,
}

impl Ability {
    /// What it is called: operations by the kernel's name, without `IORING_OP_`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the kernel has it; `None` if it would not say, and then krug goes on as if it had not.
    pub fn is_present(&self) -> Option<bool> {
        self.is_present
    }

    /// What krug does where it is missing.
    pub fn instead(&self) -> &'static str {
        self.instead
    }
}

impl Examination {
    /// Of this system, for this thread. Makes a ring and a set of epoll, and closes both.
    pub(crate) fn here() -> Examination {
        let config = Config {
            // Not the one that some runtime has come down to.
            rung: Some(Rung::Modern),
            ..Config::default()
        };
        Examination {
            wish: Choice::Auto.resolve().map_err(|error| error.to_string()),
            ring: on_a_new_thread(|| uring::examine(&config)),
            epoll: match epoll::Epoll::new(&config) {
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
            entries: config.entries,
            blocking_threads: config.blocking_threads_max,
        }
    }
}

/// The kernel keeps a pool of workers for each thread that has ever made a ring, which is set up by the first one: this must not be ours.
/// What forbids rings to this thread forbids them to its children, too.
fn on_a_new_thread<T: Send>(work: impl Fn() -> T + Sync) -> T {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("krug-doctor".to_owned());
        match thread.spawn_scoped(scope, &work) {
            Ok(thread) => thread.join().unwrap_or_else(|_| work()),
            // No more threads: the truth matters more.
            Err(_) => work(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first ring of a thread decides how many workers there are for its files.
    #[test]
    fn an_examination_leaves_the_workers_of_its_thread_alone() {
        let workers = thread::spawn(|| {
            let examination = Examination::here();
            examination.ring.ok()?;
            let ring = io_uring::IoUring::new(2).ok()?;
            let mut counts = [0, 0];
            let asked = ring.submitter().register_iowq_max_workers(&mut counts);
            asked.ok().map(|()| counts[0])
        });
        let workers = workers.join().expect("nothing in it panics");
        if !super::super::tests::is_without("count of its workers", workers.is_some()) {
            assert_eq!(workers, Some(2));
        }
    }

    #[test]
    fn what_an_examination_finds_is_what_a_driver_gets() {
        let examination = Examination::here();
        let config = Config {
            choice: Choice::Uring,
            ..Config::default()
        };
        match (examination.ring, super::super::Driver::new(&config)) {
            (Ok(found), Ok(driver)) => assert_eq!(found.capabilities, *driver.capabilities()),
            (Err(refusal), Err(error)) => assert_eq!(refusal.to_string(), error.to_string()),
            (ring, driver) => panic!("{ring:?}, but {driver:?}"),
        }
    }
}
