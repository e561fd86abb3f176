//! A queue in which every receiver, on whatever core, gets every message: [`channel`]. As
//! [`sync::broadcast`](crate::sync::broadcast), but all halves may be sent to other cores, and to threads that run none.
//!
//! ```
//! use krug::cores::broadcast;
//!
//! let runtime = krug::Runtime::builder().cores(2).build()?;
//! let (sender, mut here) = broadcast::channel(16);
//! let mut there = sender.subscribe();
//! let other = runtime.core(1).expect("there are two");
//! let task = krug::spawn_on(other, || async move { there.recv().await });
//! sender.send("news").unwrap();
//! assert_eq!(runtime.block_on(here.recv()), Ok("news"));
//! assert_eq!(runtime.block_on(task.unwrap()).unwrap(), Ok("news"));
//! # std::io::Result::Ok(())
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
//! use krug::cores::broadcast::{RecvError, channel};
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
//! Receivers are woken in the order in which they began to wait; those of other cores run when these come to them.
//!
//! # What it costs
//!
//! Sending and receiving take a lock for a few instructions, never while code of yours runs. Nothing is allocated for a message once
//! the queue has grown, unless receivers clone the same one at the same time.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::line::{Line, lock, wake_all};
use crate::primitives::Mutex;

mod receiver;
mod sender;

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

/// There are no receivers; here is the message back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// Nothing is queued and nothing will be: all senders were dropped.
    Closed,
    /// So many messages were dropped before this receiver received them. The next receive
    /// goes on with the oldest that is left.
    Lagged(u64),
}

/// Why there is no message (yet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// Nothing is queued now.
    Empty,
    /// Nothing is queued and nothing will be: all senders were dropped.
    Closed,
    /// So many messages were dropped before this receiver received them. The next receive
    /// goes on with the oldest that is left.
    Lagged(u64),
}

type Shared<T> = Arc<Mutex<State<T>>>;

/// What all halves share. While it is locked no waker is woken or dropped, and no message
/// is cloned or dropped: methods hand these out instead.
struct State<T> {
    /// Those that not all receivers have received. Oldest first; so are the numbers of
    /// those who have not.
    messages: VecDeque<Message<T>>,
    /// Cells that are empty and not shared: no allocation is needed for the next messages.
    spare: Vec<Arc<Option<T>>>,
    bound: usize,
    /// How many messages have left the queue: the position of the first that is in it.
    gone: u64,
    senders: usize,
    receivers: usize,
    /// Receivers that wait for a message.
    receiving: Line,
    /// Senders that wait for the last receiver to leave.
    closing: Line,
}

struct Message<T> {
    /// `Some`: shared with those who are about to clone it.
    value: Arc<Option<T>>,
    /// How many receivers have not received it. Not zero.
    unread: usize,
}

/// A message that was taken out for one receiver, or for nobody.
enum Taken<T> {
    Alone(T),
    /// To be cloned, and dropped, when nothing is locked.
    Shared(Arc<Option<T>>),
}

impl<T> State<T> {
    /// The position of the next message that is sent.
    fn end(&self) -> u64 {
        self.gone + self.messages.len() as u64
    }

    /// Queues a message for all receivers. What had to leave for it is to be dropped when
    /// nothing is locked.
    fn push(&mut self, value: T) -> Option<Taken<T>> {
        let overwritten = match self.messages.len() == self.bound {
            true => self.pop(),
            false => None,
        };
        let mut cell = self.spare.pop().unwrap_or_default();
        *Arc::get_mut(&mut cell).expect("a spare cell is not shared") = Some(value);
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
        let Some(value) = Arc::get_mut(&mut cell).and_then(Option::take) else {
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

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody receives")
    }
}

impl<T> std::error::Error for SendError<T> {}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Closed => f.write_str("the channel is closed and empty"),
            RecvError::Lagged(count) => write!(f, "{count} messages were missed"),
        }
    }
}

impl std::error::Error for RecvError {}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRecvError::Empty => f.write_str("no message is queued"),
            TryRecvError::Closed => f.write_str("the channel is closed and empty"),
            TryRecvError::Lagged(count) => write!(f, "{count} messages were missed"),
        }
    }
}

impl std::error::Error for TryRecvError {}
