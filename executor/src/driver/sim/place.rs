//! [`Place`]: where a driver belongs. [`Here`]: the host whose work this thread does.

use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use super::world::World;

thread_local! {
    /// Where the next driver belongs that is made on this thread.
    static NEXT: Cell<Option<Place>> = const { Cell::new(None) };
    /// The host of the core that was last made on this thread without a simulation.
    static ALONE: RefCell<Option<Rc<RefCell<World>>>> = const { RefCell::new(None) };
    /// Whose work this thread does as if it were one of its threads.
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

/// A host of a world, for code that runs as a thread of it would.
#[derive(Clone)]
pub(crate) struct Here {
    world: Rc<RefCell<World>>,
    host: usize,
}

impl Here {
    pub(super) fn new(world: Rc<RefCell<World>>, host: usize) -> Here {
        Here { world, host }
    }

    /// Does `work` as a thread of this host would.
    pub(super) fn doing(self, work: impl FnOnce()) {
        let before = HERE.replace(Some(self));
        let outcome = catch_unwind(AssertUnwindSafe(work));
        HERE.replace(before);
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    }

    /// # Errors
    ///
    /// The number of the system's that `ask` answers with.
    pub(crate) fn with<T>(
        &self,
        ask: impl FnOnce(&mut World, usize) -> Result<T, i32>,
    ) -> io::Result<T> {
        let answer = ask(&mut self.world.borrow_mut(), self.host);
        answer.map_err(io::Error::from_raw_os_error)
    }
}

/// The host whose work this thread does, if it is a simulated one's.
pub(crate) fn here() -> Option<Here> {
    // At the end of a thread it does nobody's work.
    let here = HERE.try_with(|here| here.borrow().clone());
    here.ok().flatten()
}

/// The world of the core that was last made on this thread without a simulation. It has one host, whose disk outlives the core.
pub(crate) fn world_of_its_own() -> Option<Rc<RefCell<World>>> {
    ALONE.with_borrow(Option::clone)
}

/// A core of a world.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) world: Rc<RefCell<World>>,
    pub(crate) core: usize,
}

impl Place {
    /// The first core of a new world, for a program without a simulation.
    pub(crate) fn alone(seed: u64) -> Place {
        // One that nobody else has any more gives its numbers back, so that those of this one are the same as in another run.
        let before = ALONE.try_with(RefCell::take);
        drop(before);
        let mut world = World::new(seed);
        let host = world.add_host("localhost");
        let core = world.add_core(host);
        // What a plain program is to see is a kernel; disorder is what simulations are for.
        world.be_prompt();
        let world = Rc::new(RefCell::new(world));
        let _ = ALONE.try_with(|alone| alone.replace(Some(Rc::clone(&world))));
        Place { world, core }
    }

    /// One more core of its host.
    pub(crate) fn beside(&self) -> Place {
        let mut world = self.world.borrow_mut();
        let host = world.cores[self.core].host;
        let core = world.add_core(host);
        Place {
            world: Rc::clone(&self.world),
            core,
        }
    }

    /// Sleeps until another thread rings for a core of this world, or has rung since somebody slept here last.
    pub(crate) fn sleep_until_rung(&self) {
        let doorbell = self.world.borrow().doorbell();
        doorbell.wait();
    }

    /// Nothing happens any more in its world.
    pub(crate) fn end_world(&self) {
        let left = self.world.borrow_mut().end();
        drop(left);
    }
}

/// Calls `make`; the driver that it makes is that of `place`.
pub(crate) fn at<T>(place: Place, make: impl FnOnce() -> T) -> T {
    /// Nobody else's driver gets the place, however `make` ends.
    struct Unset;
    impl Drop for Unset {
        fn drop(&mut self) {
            NEXT.set(None);
        }
    }
    let _unset = Unset;
    NEXT.set(Some(place));
    make()
}

/// Where the driver belongs that is being made; `None`: nobody has said.
pub(super) fn take_next() -> Option<Place> {
    NEXT.take()
}
