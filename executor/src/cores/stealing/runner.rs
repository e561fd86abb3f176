//! [`Runner`]: the task of a core that polls stealable tasks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::pool::Pool;
use crate::task::{Entered, with_scheduler};

/// How many stealable tasks a core polls before its other tasks have their turn.
const POLLS_MAX: usize = 16;

/// There is one on each core that has joined; it lasts as long as the core.
pub(super) struct Runner {
    pool: Arc<Pool>,
    lane: usize,
    /// Where the next search for something to steal begins.
    turn: usize,
}

impl Runner {
    pub(super) fn new(pool: Arc<Pool>, lane: usize) -> Runner {
        Runner {
            pool,
            lane,
            turn: lane + 1,
        }
    }

    /// Polls one task. False if there is none.
    fn run_one(&mut self) -> bool {
        let mine = self.pool.next(self.lane, draw);
        let next = mine.or_else(|| {
            self.turn = self.turn.wrapping_add(1);
            self.pool.steal(self.lane, self.turn)
        });
        match next {
            None => false,
            Some(task) => {
                task.run(self.lane);
                true
            }
        }
    }
}

/// How many of so many are passed over, where the order is drawn.
fn draw(among: usize) -> usize {
    with_scheduler(|scheduler| scheduler.draw(among)).unwrap_or(0)
}

impl Future for Runner {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        with_scheduler(|scheduler| scheduler.seat().forget_ended());
        let takes_turns = self.pool.takes_turns();
        let polls = match takes_turns {
            true => 1 + draw(POLLS_MAX),
            false => POLLS_MAX,
        };
        let has_more = (0..polls).all(|_| self.run_one());
        if has_more || !self.pool.sleep(self.lane, cx.waker()) {
            // Other cores of this thread may have a turn before it goes on: a wake from outside is for the next one.
            let _outside = takes_turns.then(Entered::nobody);
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.pool.leave(self.lane);
        with_scheduler(|scheduler| scheduler.seat().runner_is_gone());
    }
}
