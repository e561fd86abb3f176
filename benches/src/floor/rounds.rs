//! The least that runs futures: a list of them, each polled in its turn, and again in the next round if it is not ready. Nobody is woken:
//! whoever waits is asked every time. A safe loop without a ring, for what tasks cost before there is any I/O.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// Futures that are not done.
#[derive(Default)]
pub(crate) struct Rounds {
    futures: RefCell<VecDeque<Boxed>>,
}

impl Rounds {
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.futures.borrow_mut().push_back(Box::pin(future));
    }

    /// Goes on until all are done.
    pub(crate) fn run(&self) {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let next = self.futures.borrow_mut().pop_front();
            let Some(mut future) = next else { return };
            if future.as_mut().poll(&mut context).is_pending() {
                self.futures.borrow_mut().push_back(future);
            }
        }
    }
}

/// Lets the others be polled first.
pub(crate) async fn next_round() {
    let mut is_over = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut is_over, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn futures_are_polled_in_turn_until_all_are_done() {
        let rounds = Rounds::default();
        let order = Rc::new(RefCell::new(String::new()));
        for (name, times) in [('a', 3), ('b', 1), ('c', 2)] {
            let order = order.clone();
            rounds.spawn(async move {
                for _ in 0..times {
                    order.borrow_mut().push(name);
                    next_round().await;
                }
            });
        }
        rounds.run();
        assert_eq!(*order.borrow(), "abcaca");
    }
}
