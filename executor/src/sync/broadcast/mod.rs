//! A queue in which every receiver gets every message: [`channel`].
//!
//! ```
//! # krug::Runtime::new().unwrap().block_on(async {
//! let (sender, mut one) = krug::sync::broadcast::channel(16);
//! let mut other = sender.subscribe();
//! sender.send("news").unwrap();
//! assert_eq!(one.recv().await, Ok("news"));
//! assert_eq!(other.recv().await, Ok("news"));
//! # });
//! ```
//!
//! # Receivers that are too slow
//!
//! Senders never wait. When the queue is full the oldest message is dropped for all who have
//! not received it; each of them learns with its next receive how many it missed, by
//! [`RecvError::Lagged`], and goes on with the oldest that is left.
//!
//! ```
//! # krug::Runtime::new().unwrap().block_on(async {
//! # use krug::sync::broadcast::{RecvError, channel};
//! let (sender, mut receiver) = channel(2);
//! for i in 1..=5 {
//!     sender.send(i).unwrap();
//! }
//! assert_eq!(receiver.recv().await, Err(RecvError::Lagged(3)));
//! assert_eq!(receiver.recv().await, Ok(4));
//! # });
//! ```
//!
//! # Closing
//!
//! | what happens | senders | receivers |
//! |---|---|---|
//! | the last sender is dropped | | get what is queued, then [`RecvError::Closed`] |
//! | the last receiver is dropped | get their value back; [`closed`](Sender::closed) resolves; a new receiver may [`subscribe`](Sender::subscribe) | what is queued is dropped |
//!
//! # Clones
//!
//! Each receiver gets a clone of the message, the last one the message itself. `clone` may
//! use the channel; if it panics, the message counts as received by that receiver.
//!
//! # Fairness
//!
//! Receivers are woken in the order in which they began to wait.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::waiting::WaitQueue;

mod receiver;
mod sender;

pub use crate::cores::broadcast::{RecvError, SendError, TryRecvError};
pub use receiver::Receiver;
pub use sender::Sender;

/// Makes a queue that keeps up to `bound` messages for the slowest receiver.
///
/// # Panics
///
/// If `bound` is 0: a message needs a place to be between sender and receiver.
#[track_caller]
pub fn channel<T: Clone>(bound: usize) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(bound);
    let receiver = sender.subscribe();
    (sender, receiver)
}

type Shared<T> = Rc<RefCell<State<T>>>;

/// What all halves share. While it is borrowed no waker is woken or dropped, and no message
/// is cloned or dropped: methods hand these out instead.
struct State<T> {
    /// Those that not all receivers have received. Oldest first; so are the numbers of
    /// those who have not.
    messages: VecDeque<Message<T>>,
    /// Cells that are empty and not shared: no allocation is needed for the next messages.
    spare: Vec<Rc<Option<T>>>,
    bound: usize,
    /// How many messages have left the queue: the position of the first that is in it.
    gone: u64,
    senders: usize,
    receivers: usize,
    /// Receivers that wait for a message.
    receiving: WaitQueue<()>,
    /// Senders that wait for the last receiver to leave.
    closing: WaitQueue<()>,
}

struct Message<T> {
    /// `Some`: shared with those who are about to clone it.
    value: Rc<Option<T>>,
    /// How many receivers have not received it. Not zero.
    unread: usize,
}

/// A message that was taken out for one receiver, or for nobody.
enum Taken<T> {
    Alone(T),
    /// To be cloned, and dropped, when nothing is borrowed.
    Shared(Rc<Option<T>>),
}

impl<T> State<T> {
    /// The position of the next message that is sent.
    fn end(&self) -> u64 {
        self.gone + self.messages.len() as u64
    }

    /// Queues a message for all receivers. What had to leave for it is to be dropped when
    /// nothing is borrowed.
    fn push(&mut self, value: T) -> Option<Taken<T>> {
        let overwritten = match self.messages.len() == self.bound {
            true => self.pop(),
            false => None,
        };
        let mut cell = self.spare.pop().unwrap_or_default();
        *Rc::get_mut(&mut cell).expect("a spare cell is not shared") = Some(value);
        self.messages.push_back(Message {
            value: cell,
            unread: self.receivers,
        });
        overwritten
    }

    /// Takes the oldest message out.
    fn pop(&mut self) -> Option<Taken<T>> {
        let mut cell = self.messages.pop_front()?.value;
        self.gone += 1;
        let Some(value) = Rc::get_mut(&mut cell).and_then(Option::take) else {
            return Some(Taken::Shared(cell));
        };
        self.spare.push(cell);
        Some(Taken::Alone(value))
    }

    /// The message at this position, for one of its receivers.
    fn read(&mut self, position: u64) -> Option<Taken<T>> {
        let index = usize::try_from(position.checked_sub(self.gone)?).ok()?;
        let message = self.messages.get_mut(index)?;
        message.unread -= 1;
        match message.unread {
            // Who has not received this one has not received the later ones.
            0 => self.pop(),
            _ => Some(Taken::Shared(message.value.clone())),
        }
    }
}

impl<T: Clone> Taken<T> {
    fn into_message(self) -> T {
        match self {
            Taken::Alone(value) => value,
            Taken::Shared(cell) => (*cell).clone().expect("a queued cell is full"),
        }
    }
}
