//! [`Placement`]: which core gets the next piece of work.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::CoreHandle;

/// Deals pieces of work out over cores: connections, usually, by `TcpListener::distribute`.
///
/// Cloning it gives another name for the same: all clones count together. It is asked from any thread, without a lock. What
/// counts as load is what it has dealt out itself and is not over yet, one for each [`Place`]. With work that takes long, such as connections,
/// that is what balances; cores whose pieces weigh differently are better told apart by their
/// [`metrics`](CoreHandle::metrics).
///
/// ```
/// use krug::CoreHandle;
/// use krug::cores::Placement;
///
/// let runtime = krug::Runtime::builder().cores(2).build()?;
/// let placement = Placement::least_loaded(runtime.handles());
/// let first = placement.next().expect("both live");
/// let second = placement.next().expect("both live");
/// assert_ne!(first.core(), second.core());
/// drop(first);
/// assert_eq!(placement.loads().iter().map(|(_, load)| load).sum::<usize>(), 1);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Placement {
    shared: Arc<Shared>,
}

struct Shared {
    lanes: Box<[Lane]>,
    /// Where the next search begins, so that equal loads take turns.
    turn: AtomicUsize,
    weighs: bool,
}

// Aligned so that counting on one core does not slow another one down.
#[repr(align(128))]
struct Lane {
    core: CoreHandle,
    load: AtomicUsize,
}

impl Placement {
    fn new(cores: impl IntoIterator<Item = CoreHandle>, weighs: bool) -> Placement {
        let lane = |core| Lane {
            core,
            load: AtomicUsize::new(0),
        };
        let shared = Shared {
            lanes: cores.into_iter().map(lane).collect(),
            turn: AtomicUsize::new(0),
            weighs,
        };
        Placement {
            shared: Arc::new(shared),
        }
    }

    /// To each core in turn.
    pub fn round_robin(cores: impl IntoIterator<Item = CoreHandle>) -> Placement {
        Placement::new(cores, false)
    }

    /// To the core on which the fewest of its pieces are; among equals, in turn.
    pub fn least_loaded(cores: impl IntoIterator<Item = CoreHandle>) -> Placement {
        Placement::new(cores, true)
    }

    /// Chooses a core, and counts one more there until the place is dropped. Cores that have ended are passed over; `None` if
    /// all have.
    pub fn next(&self) -> Option<Place> {
        let count = self.shared.lanes.len();
        let first = self.shared.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..count).map(|step| first.wrapping_add(step) % count);
        let mut alive = in_turn.filter(|lane| self.shared.lanes[*lane].core.is_alive());
        let lane = match self.shared.weighs {
            // Of several that are equal, the first.
            true => alive.min_by_key(|lane| self.shared.lanes[*lane].load.load(Ordering::Relaxed)),
            false => alive.next(),
        }?;
        self.shared.lanes[lane].load.fetch_add(1, Ordering::Relaxed);
        Some(Place {
            shared: self.shared.clone(),
            lane,
        })
    }

    /// How many pieces are on each core now.
    pub fn loads(&self) -> Vec<(CoreHandle, usize)> {
        let lanes = self.shared.lanes.iter();
        lanes
            .map(|lane| (lane.core, lane.load.load(Ordering::Relaxed)))
            .collect()
    }
}

impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placement")
            .field("loads", &self.loads())
            .finish_non_exhaustive()
    }
}

/// One piece of work on a core, chosen by a [`Placement`]. Counts there until it is dropped, on whatever thread.
pub struct Place {
    shared: Arc<Shared>,
    lane: usize,
}

impl Place {
    /// The core that was chosen.
    pub fn core(&self) -> CoreHandle {
        self.shared.lanes[self.lane].core
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.core()).finish()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.lanes[self.lane]
            .load
            .fetch_sub(1, Ordering::Relaxed);
    }
}
