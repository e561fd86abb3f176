//! [`Barrier`]: tasks that wait for each other.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::waiting::{WaitQueue, poll_wait, wake_all};

/// Lets a group of tasks go on together: each waits until all have come. Then the next round
/// begins.
///
/// ```
/// # use std::rc::Rc;
/// # krug::Runtime::new().unwrap().block_on(async {
/// let barrier = Rc::new(krug::sync::Barrier::new(2));
/// let other = barrier.clone();
/// let task = krug::spawn(async move { other.wait().await.is_leader() });
/// let here = barrier.wait().await.is_leader();
/// let there = task.await.unwrap();
/// assert!(here != there, "one of them is the leader");
/// # });
/// ```
///
/// # Fairness
///
/// Those who wait are woken in the order in which they came. Who comes while they are being
/// woken belongs to the next round.
pub struct Barrier {
    state: RefCell<State>,
    size: usize,
}

struct State {
    waiting: WaitQueue<()>,
    /// How many have come in this round. Below the size of the barrier.
    arrived: usize,
    /// How many rounds are complete.
    rounds: u64,
}

/// What [`Barrier::wait`] resolves with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    is_leader: bool,
}

struct Wait<'a> {
    barrier: &'a Barrier,
    entry: Option<usize>,
    /// In which round this lined up.
    round: u64,
}

impl Barrier {
    /// A barrier for `size` tasks. One for 0 is like one for 1: nobody waits at it.
    pub const fn new(size: usize) -> Barrier {
        Barrier {
            state: RefCell::new(State {
                waiting: WaitQueue::new(),
                arrived: 0,
                rounds: 0,
            }),
            size,
        }
    }

    /// Waits until all have come. Who comes last is the leader of the round. One comes when
    /// the future is first polled.
    ///
    /// # Cancellation
    ///
    /// Dropping the future while others are missing takes the arrival back, so that the
    /// barrier waits for somebody else in its place. Once the last one has come the round is
    /// complete, whoever is dropped.
    pub async fn wait(&self) -> BarrierWaitResult {
        let wait = Wait {
            barrier: self,
            entry: None,
            round: 0,
        };
        wait.await
    }
}

impl Future for Wait<'_> {
    type Output = BarrierWaitResult;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BarrierWaitResult> {
        let this = self.get_mut();
        let (barrier, round) = (this.barrier, this.round);
        let was_in_line = this.entry.is_some();
        let polled = poll_wait(
            &barrier.state,
            |state| &mut state.waiting,
            &mut this.entry,
            cx,
            |state, _, in_line| match in_line {
                true => state.rounds != round,
                false => state.arrived + 1 >= barrier.size,
            },
        );
        let mut state = barrier.state.borrow_mut();
        if polled.is_pending() {
            // Without an entry it was not the place in line that was missing, but the budget.
            if !was_in_line && this.entry.is_some() {
                this.round = state.rounds;
                state.arrived += 1;
            }
            return Poll::Pending;
        }
        if !was_in_line {
            state.arrived = 0;
            state.rounds += 1;
            drop(state);
            wake_all(&barrier.state, |state| &mut state.waiting);
        }
        Poll::Ready(BarrierWaitResult {
            is_leader: !was_in_line,
        })
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else {
            return;
        };
        let mut state = self.barrier.state.borrow_mut();
        if state.rounds == self.round {
            state.arrived -= 1;
        }
        let removed = state.waiting.remove(entry);
        drop(state);
        drop(removed);
    }
}

impl BarrierWaitResult {
    /// True for one of each round: the one that came last.
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("size", &self.size)
            .field("arrived", &self.state.borrow().arrived)
            .finish()
    }
}
