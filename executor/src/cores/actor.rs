//! Actors: a state of one core's own, and messages to it from all cores, handled one after the other: [`spawn_actor`].
//!
//! ```
//! use std::collections::HashMap;
//! use std::ops::ControlFlow;
//! use krug::cores::actor::{Actor, Reply, spawn_actor};
//!
//! struct Counts(HashMap<String, u32>);
//!
//! impl Actor for Counts {
//!     type Message = String;
//!     type Reply = u32;
//!
//!     async fn handle(&mut self, word: String, reply: Reply<u32>) -> ControlFlow<()> {
//!         let count = self.0.entry(word).or_default();
//!         *count += 1;
//!         reply.send(*count);
//!         ControlFlow::Continue(())
//!     }
//! }
//!
//! let runtime = krug::Runtime::builder().cores(2).build()?;
//! let other = runtime.core(1).expect("there are two");
//! runtime.block_on(async move {
//!     let (counts, task) = spawn_actor(other, 16, || Counts(HashMap::new())).await.unwrap();
//!     counts.send("krug".into()).await.unwrap();
//!     assert_eq!(counts.ask("krug".into()).await, Ok(2));
//!     drop(counts); // the last address
//!     task.await.unwrap();
//! });
//! # std::io::Result::Ok(())
//! ```
//!
//! # How an actor ends
//!
//! | what happens | the actor | addresses |
//! |---|---|---|
//! | the last [`Address`] is dropped | handles what it has got, then ends | |
//! | `handle` answers [`ControlFlow::Break`] | ends | get their message back; who asks an error |
//! | `handle` panics | is dropped; the panic goes to its join handle | as above |
//! | its task is aborted, or its core ends | is dropped at the next `await` | as above |
//!
//! Messages that it has not handled are dropped with it.
//!
//! While `handle` awaits, the actor takes no other message: what may go on beside it, it [spawns](crate::spawn), with the [`Reply`].
//! An actor that asks itself, or two that ask each other, wait for ever.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::panic::Location;

use super::mpsc;
use super::{CoreHandle, SendError, oneshot};
use crate::task::{JoinError, JoinHandle};

/// What an actor does with a message.
pub trait Actor: 'static {
    /// What it is sent.
    type Message: Send + 'static;
    /// What it answers those who [ask](Address::ask).
    type Reply: Send + 'static;

    /// Handles one message; the next one when this is done. [`ControlFlow::Break`] ends the actor. It may be written as an `async fn`.
    fn handle(
        &mut self,
        message: Self::Message,
        reply: Reply<Self::Reply>,
    ) -> impl Future<Output = ControlFlow<()>>;
}

/// Starts an actor on `core`, with a mailbox for `bound` messages. `make` is called there; the actor stays there, and need not be `Send`.
/// Waits while too many tasks are on their way to the core. The join handle tells when the actor has ended, and of its panic; dropping that
/// detaches it.
///
/// # Errors
///
/// If the core has ended: [that of a cancelled task](JoinError::is_cancelled). A panic of `make` goes to the join handle.
///
/// # Cancellation
///
/// Dropping this future starts nothing.
///
/// # Panics
///
/// If `bound` is 0: a message needs a place to be between sender and actor.
pub async fn spawn_actor<A: Actor>(
    core: CoreHandle,
    bound: usize,
    make: impl FnOnce() -> A + Send + 'static,
) -> Result<(Address<A::Message, A::Reply>, JoinHandle<()>), JoinError> {
    assert!(bound > 0, "a mailbox needs room for at least one message");
    let spawned_at = Location::caller();
    let (sender, mailbox) = mpsc::channel(bound);
    let run = move || run(make(), mailbox);
    match core.spawn_in_time(run, spawned_at).await {
        Ok(task) => Ok((Address { sender }, task)),
        Err(_) => Err(JoinError::cancelled(spawned_at)),
    }
}

async fn run<A: Actor>(mut actor: A, mut mailbox: mpsc::Receiver<Letter<A::Message, A::Reply>>) {
    while let Some(Letter { message, reply }) = mailbox.recv().await {
        if actor.handle(message, reply).await.is_break() {
            return;
        }
    }
}

struct Letter<M, R> {
    message: M,
    reply: Reply<R>,
}

/// Where to send messages to an actor, from any core. When the last clone is dropped, the actor ends.
pub struct Address<M, R = ()> {
    sender: mpsc::Sender<Letter<M, R>>,
}

impl<M, R> Address<M, R> {
    /// Sends a message, and waits for nothing but room for it, first come, first served. What the actor answers is dropped.
    ///
    /// # Errors
    ///
    /// Gives the message back if the actor has ended, before or while this waits. One that was sent and not yet
    /// handled when it ends is dropped.
    ///
    /// # Cancellation
    ///
    /// Dropping this future while it waits drops the message, which was not sent then; the place passes to the next in line.
    pub async fn send(&self, message: M) -> Result<(), SendError<M>> {
        let reply = Reply { asker: None };
        let sent = self.sender.send(Letter { message, reply }).await;
        sent.map_err(|SendError(letter)| SendError(letter.message))
    }

    /// Sends a message, and waits for the answer.
    ///
    /// # Errors
    ///
    /// [`AskError::Ended`] if the actor had ended before it got the message, [`AskError::Unanswered`] if it dropped the
    /// [`Reply`]: it, or its core, has ended or panicked meanwhile, or it does not answer such messages.
    ///
    /// # Cancellation
    ///
    /// Dropping this future while it waits for room drops the message. After that the actor handles it all the same, and can see
    /// by [`Reply::is_wanted`] that nobody waits any more.
    pub async fn ask(&self, message: M) -> Result<R, AskError> {
        let (asker, answer) = oneshot::channel();
        let reply = Reply { asker: Some(asker) };
        let sent = self.sender.send(Letter { message, reply }).await;
        if sent.is_err() {
            return Err(AskError::Ended);
        }
        answer.await.map_err(|_| AskError::Unanswered)
    }

    /// True if the actor has ended.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// True if both are of the same actor.
    pub fn same_actor(&self, other: &Address<M, R>) -> bool {
        self.sender.same_channel(&other.sender)
    }
}

impl<M, R> Clone for Address<M, R> {
    fn clone(&self) -> Address<M, R> {
        Address {
            sender: self.sender.clone(),
        }
    }
}

/// Where the answer to a message goes. It may be kept, and sent to another task or core. Dropped, it tells who asked
/// that there is none.
#[must_use = "who asked waits for it"]
pub struct Reply<R> {
    /// `None`: the message was sent, not asked.
    asker: Option<oneshot::Sender<R>>,
}

impl<R> Reply<R> {
    /// Answers. If nobody waits for it, the answer is dropped.
    pub fn send(self, answer: R) {
        if let Some(asker) = self.asker {
            drop(asker.send(answer));
        }
    }

    /// True if somebody waits for the answer.
    pub fn is_wanted(&self) -> bool {
        self.asker.as_ref().is_some_and(|asker| !asker.is_closed())
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskError {
    /// The actor had ended before it got the message.
    Ended,
    /// The actor has dropped the message or its [`Reply`]: it has ended, or does not answer.
    Unanswered,
}

impl<M, R> fmt::Debug for Address<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("closed", &self.is_closed())
            .finish()
    }
}

impl<R> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("wanted", &self.is_wanted())
            .finish()
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AskError::Ended => "the actor has ended",
            AskError::Unanswered => {
                "the actor has not answered: it has ended, or dropped the reply"
            }
        })
    }
}

impl std::error::Error for AskError {}
