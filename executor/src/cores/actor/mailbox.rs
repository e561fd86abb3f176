//! The bounded queue from addresses to their actor: many senders, one receiver, first come, first served.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use super::super::line::{Line, Standing, Ticket, lock};
use super::super::quietly;
use crate::primitives::Mutex;
use crate::task::budget;

pub(super) fn channel<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Mutex::new(State {
        messages: VecDeque::new(),
        bound,
        called: 0,
        senders: 1,
        is_closed: false,
        sending: Line::new(),
        receiving: None,
    }));
    let sender = Sender {
        shared: shared.clone(),
    };
    (sender, Receiver { shared })
}

/// While it is locked, no message is dropped, and no waker cloned, dropped or woken.
struct State<T> {
    messages: VecDeque<T>,
    bound: usize,
    /// How many were called out of the line and have neither sent nor left: each has a place.
    called: usize,
    senders: usize,
    is_closed: bool,
    sending: Line,
    receiving: Option<Waker>,
}

type Shared<T> = Arc<Mutex<State<T>>>;

impl<T> State<T> {
    fn has_room(&self) -> bool {
        self.messages.len() + self.called < self.bound
    }

    /// Calls the next one if there is room.
    fn call_next(&mut self) -> Option<Waker> {
        if !self.has_room() {
            return None;
        }
        let waker = self.sending.call_first()?;
        self.called += 1;
        Some(waker)
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        quietly(|| waker.wake());
    }
}

pub(super) struct Sender<T> {
    shared: Shared<T>,
}

impl<T> Sender<T> {
    /// Waits for room. Gives the message back if the receiver has gone. Dropping the future drops the message.
    pub(super) async fn send(&self, message: T) -> Result<(), T> {
        let mut sending = Sending {
            shared: &self.shared,
            message: Some(message),
            ticket: None,
        };
        poll_fn(|cx| sending.poll(cx)).await
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.shared).is_closed
    }

    pub(super) fn is_same(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        lock(&self.shared).senders += 1;
        Sender {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.senders -= 1;
        let receiver = match state.senders {
            0 => state.receiving.take(),
            _ => None,
        };
        drop(state);
        wake(receiver);
    }
}

struct Sending<'a, T> {
    shared: &'a Shared<T>,
    message: Option<T>,
    /// From when it joined the line until it has sent.
    ticket: Option<Ticket>,
}

impl<T> Sending<'_, T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), T>> {
        ready!(budget::consume(cx));
        // Declared before the lock, so that what it holds in the end is dropped after it.
        let mut fresh = None;
        loop {
            let mut state = lock(self.shared);
            if state.is_closed {
                drop(state);
                return Poll::Ready(Err(self.message.take().expect("it resolves once")));
            }
            let standing = match self.ticket {
                Some(ticket) => state.sending.stand(ticket, cx, &mut fresh),
                None => Standing::NeedsWaker,
            };
            let has_place = match self.ticket {
                Some(_) => standing == Standing::Called,
                None => state.sending.is_empty() && state.has_room(),
            };
            if has_place {
                state.called -= usize::from(self.ticket.take().is_some());
                state.messages.extend(self.message.take());
                let receiver = state.receiving.take();
                drop(state);
                wake(receiver);
                return Poll::Ready(Ok(()));
            }
            if standing == Standing::InLine {
                return Poll::Pending;
            }
            if self.ticket.is_none()
                && let Some(waker) = fresh.take()
            {
                self.ticket = Some(state.sending.join(None, waker));
                return Poll::Pending;
            }
            drop(state);
            fresh = Some(cx.waker().clone());
        }
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else {
            return;
        };
        let mut state = lock(self.shared);
        let own = state.sending.leave(ticket);
        // It had been called: its place is the next one's. Who is called by a receiver that goes is not counted.
        let was_called = own.is_none() && !state.is_closed;
        state.called -= usize::from(was_called);
        let next = match was_called {
            true => state.call_next(),
            false => None,
        };
        drop(state);
        drop(own);
        wake(next);
    }
}

pub(super) struct Receiver<T> {
    shared: Shared<T>,
}

impl<T> Receiver<T> {
    /// The next message; `None` when there is none and no sender either. Dropping the future loses nothing.
    pub(super) async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        ready!(budget::consume(cx));
        let mut fresh = None;
        loop {
            let mut state = lock(&self.shared);
            if let Some(message) = state.messages.pop_front() {
                let next = state.call_next();
                drop(state);
                wake(next);
                return Poll::Ready(Some(message));
            }
            if state.senders == 0 {
                return Poll::Ready(None);
            }
            let is_known = |waker: &Waker| waker.will_wake(cx.waker());
            if state.receiving.as_ref().is_some_and(is_known) {
                return Poll::Pending;
            }
            if let Some(waker) = fresh.take() {
                let old = state.receiving.replace(waker);
                drop(state);
                drop(old);
                return Poll::Pending;
            }
            drop(state);
            fresh = Some(cx.waker().clone());
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.is_closed = true;
        let messages = std::mem::take(&mut state.messages);
        let own = state.receiving.take();
        drop(state);
        loop {
            let waker = lock(&self.shared).sending.call_first();
            match waker {
                Some(_) => wake(waker),
                None => break,
            }
        }
        drop((messages, own));
    }
}
