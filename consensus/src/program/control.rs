//! What the harness does to one hero: ends him, lets him come back, stops him for a while.
//!
//! He may be on another core. He does not know of it: his lives are wrapped in it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A hero's life, as the harness has it in hand.
#[derive(Debug, Default)]
pub struct Control {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of his newest life.
    life: u64,
    is_ended: bool,
    is_stalled: bool,
    /// When the run ended.
    closed: Option<Duration>,
    /// The task of the hero.
    waiter: Option<Waker>,
}

impl State {
    fn is_over(&self, life: u64) -> bool {
        self.is_ended || self.life != life || self.closed.is_some()
    }
}

impl Control {
    /// Of a hero who lives his first life, number 0.
    pub fn new() -> Control {
        Control::default()
    }

    /// He ends.
    pub fn end(&self) {
        self.change(|state| state.is_ended = true);
    }

    /// He begins another life; if he lives, this one ends first.
    pub fn restart(&self) {
        self.change(|state| {
            state.life += 1;
            state.is_ended = false;
            state.is_stalled = false;
        });
    }

    /// The number of his newest life.
    pub fn life(&self) -> u64 {
        self.lock().life
    }

    /// He does nothing, or goes on.
    pub fn stall(&self, is_stalled: bool) {
        self.change(|state| state.is_stalled = is_stalled);
    }

    /// The run is over, so long after its start: nobody begins another life.
    pub fn close(&self, elapsed: Duration) {
        self.change(|state| state.closed = Some(elapsed));
    }

    /// When the run ended, if it did.
    pub fn closed(&self) -> Option<Duration> {
        self.lock().closed
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let waiter = state.waiter.take();
        drop(state);
        waiter.into_iter().for_each(Waker::wake);
    }

    /// Waits until this life is over. For the hero's task only, as all that follows.
    pub async fn ended(&self, life: u64) {
        self.until(|state| state.is_over(life).then_some(())).await;
    }

    /// Waits for the life after this one; `None` if there will be none.
    pub async fn next_life(&self, life: u64) -> Option<u64> {
        self.until(|state| match state.closed {
            Some(_) => Some(None),
            None => (state.life > life && !state.is_ended).then_some(Some(state.life)),
        })
        .await
    }

    /// Does what `living` does, but for the time in which it is stalled: then it is not polled.
    pub async fn follow<T>(&self, life: u64, living: impl Future<Output = T>) -> T {
        let mut living = pin!(living);
        poll_fn(|context| match self.is_stalled(life, context) {
            true => Poll::Pending,
            false => living.as_mut().poll(context),
        })
        .await
    }

    fn is_stalled(&self, life: u64, context: &Context<'_>) -> bool {
        let mut state = self.lock();
        state.waiter = Some(context.waker().clone());
        state.is_stalled && !state.is_over(life)
    }

    async fn until<T>(&self, has_come: impl Fn(&State) -> Option<T>) -> T {
        poll_fn(|context| {
            let mut state = self.lock();
            match has_come(&state) {
                Some(what) => Poll::Ready(what),
                None => {
                    state.waiter = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn who_is_stalled_does_nothing_and_then_goes_on() {
        krug::Runtime::new().unwrap().block_on(async {
            let control = Arc::new(Control::new());
            let steps = Rc::new(Cell::new(0));
            let (of_hero, counted) = (Arc::clone(&control), Rc::clone(&steps));
            let hero = krug::spawn(async move {
                let living = async {
                    loop {
                        counted.set(counted.get() + 1);
                        krug::task::yield_now().await;
                    }
                };
                of_hero
                    .follow(0, async {
                        krug::select! {
                            () = living => {}
                            () = of_hero.ended(0) => {}
                        }
                    })
                    .await;
            });
            let turns = async || {
                for _ in 0..10 {
                    krug::task::yield_now().await;
                }
            };
            turns().await;
            control.stall(true);
            turns().await;
            let stalled = steps.get();
            turns().await;
            assert_eq!(steps.get(), stalled);
            control.stall(false);
            turns().await;
            assert!(steps.get() > stalled);
            // A stall keeps nobody from his end.
            control.stall(true);
            turns().await;
            control.end();
            hero.await.unwrap();
        });
    }

    #[test]
    fn lives_follow_each_other_until_the_run_is_over() {
        krug::Runtime::new().unwrap().block_on(async {
            let control = Control::new();
            control.end();
            control.ended(0).await;
            control.restart();
            assert_eq!(control.next_life(0).await, Some(1));
            // Who lives ends first.
            control.restart();
            control.ended(1).await;
            assert_eq!(control.next_life(1).await, Some(2));
            control.close(Duration::from_secs(1));
            control.ended(2).await;
            assert_eq!(control.next_life(2).await, None);
            assert_eq!(control.closed(), Some(Duration::from_secs(1)));
        });
    }
}
