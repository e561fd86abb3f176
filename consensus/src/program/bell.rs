//! A bell that rings for one who waits, on whichever core he is.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Says that there is something new. Rung before anybody waits it is heard all the same, once.
#[derive(Debug, Default)]
pub struct Bell {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    has_rung: bool,
    waiter: Option<Waker>,
}

impl Bell {
    /// One that has not rung.
    pub fn new() -> Bell {
        Bell::default()
    }

    /// Wakes who waits, or who will wait next.
    pub fn ring(&self) {
        let mut state = self.lock();
        state.has_rung = true;
        let waiter = state.waiter.take();
        drop(state);
        waiter.into_iter().for_each(Waker::wake);
    }

    /// Waits until the bell has rung since it was last waited for. For one task only. Dropping this future takes no ring.
    pub async fn rung(&self) {
        poll_fn(|context| {
            let mut state = self.lock();
            if std::mem::take(&mut state.has_rung) {
                return Poll::Ready(());
            }
            state.waiter = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn a_bell_is_heard_from_another_thread_and_once() {
        let runtime = krug::Runtime::new().unwrap();
        let bell = Arc::new(Bell::new());
        let other = Arc::clone(&bell);
        let ringer = thread::spawn(move || other.ring());
        runtime.block_on(bell.rung());
        ringer.join().unwrap();
        runtime.block_on(async {
            krug::select! {
                biased;
                () = bell.rung() => panic!("nobody rang twice"),
                () = krug::task::yield_now() => {}
            }
        });
    }
}
