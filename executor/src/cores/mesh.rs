//! [`mesh`]: everybody to everybody.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::TryRecvError;
use super::spsc::{self, Receiver, SendFuture, Sender};
use crate::task::budget;

/// The sending side of one core in a [`mesh`]: a sender to each of the others.
///
/// Dropping it ends the queues to them.
pub struct MeshSenders<T> {
    core: usize,
    /// `None` to itself.
    to: Box<[Option<Sender<T>>]>,
}

/// The receiving side of one core in a [`mesh`]: what all the others send. A [`Stream`] of it, too.
///
/// Dropping it closes the queues of this core and drops what is queued.
pub struct MeshReceiver<T> {
    /// `None` from itself, and from those that have ended.
    from: Box<[Option<Receiver<T>>]>,
    /// Whose turn it is.
    next: usize,
}

/// Connects `count` cores, each with each other one, by queues with room for `capacity` messages ([`spsc`]): the n-th
/// pair of the result is for core n. No core ever touches what two others share.
///
/// ```
/// let runtime = krug::Runtime::builder().cores(3).build()?;
/// let mut tasks = Vec::new();
/// for (core, (mut senders, mut receiver)) in runtime.handles().into_iter().zip(krug::cores::mesh(3, 16)) {
///     let task = krug::spawn_on(core, move || async move {
///         let me = senders.core();
///         for other in (0..3).filter(|other| *other != me) {
///             senders.send(other, me * 10).await.unwrap();
///         }
///         drop(senders);
///         let mut sum = 0;
///         while let Some((from, message)) = receiver.recv().await {
///             assert_eq!(message, from * 10);
///             sum += message;
///         }
///         sum
///     });
///     tasks.push(task.unwrap());
/// }
/// let sums = runtime.block_on(async {
///     let mut sums = Vec::new();
///     for task in tasks {
///         sums.push(task.await.unwrap());
///     }
///     sums
/// });
/// assert_eq!(sums, [30, 20, 10]);
/// # std::io::Result::Ok(())
/// ```
///
/// # Panics
///
/// If `capacity` is 0.
#[track_caller]
pub fn mesh<T>(count: usize, capacity: usize) -> Vec<(MeshSenders<T>, MeshReceiver<T>)> {
    assert!(
        capacity > 0,
        "a channel needs room for at least one message"
    );
    let mut receivers: Vec<Vec<Option<Receiver<T>>>> = (0..count).map(|_| Vec::new()).collect();
    let mut senders = Vec::new();
    for from in 0..count {
        let queues = receivers.iter_mut().enumerate().map(|(to, receivers)| {
            let (sender, receiver) = (from != to).then(|| spsc::channel(capacity)).unzip();
            receivers.push(receiver);
            sender
        });
        senders.push(MeshSenders {
            core: from,
            to: queues.collect(),
        });
    }
    let receivers = receivers.into_iter().map(|from| MeshReceiver {
        from: from.into(),
        next: 0,
    });
    senders.into_iter().zip(receivers).collect()
}

impl<T> MeshSenders<T> {
    /// Which core of the mesh this is.
    pub fn core(&self) -> usize {
        self.core
    }

    /// How many cores the mesh has.
    pub fn count(&self) -> usize {
        self.to.len()
    }

    /// The sender to another core.
    ///
    /// # Panics
    ///
    /// If that is this one, or there are not so many.
    #[track_caller]
    pub fn to(&mut self, core: usize) -> &mut Sender<T> {
        assert_ne!(core, self.core, "a mesh has no queue from a core to itself");
        self.to[core].as_mut().expect("there is one to each other")
    }

    /// Queues a message to another core, after waiting for a place if that queue is full.
    ///
    /// # Errors
    ///
    /// Gives the message back if the queue is closed, before or while this waits.
    ///
    /// # Cancellation
    ///
    /// The message is sent only when this resolves. Dropping the future drops the message unsent; to keep it,
    /// [`reserve`](Sender::reserve) a place of the sender [`to`](MeshSenders::to) that core first.
    ///
    /// # Panics
    ///
    /// As [`to`](MeshSenders::to); and the future if it is polled after it resolved.
    #[track_caller]
    pub fn send(&mut self, core: usize, message: T) -> SendFuture<'_, T> {
        self.to(core).send(message)
    }

    /// The senders to all the others, with their numbers.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Sender<T>)> {
        let all = self.to.iter_mut().enumerate();
        all.filter_map(|(core, sender)| Some((core, sender.as_mut()?)))
    }
}

impl<T> MeshReceiver<T> {
    /// Waits for the next message of any other core, and says which it came from; `None` when nothing is queued and
    /// nothing will be. The cores take turns; messages of one come in the order in which they were sent.
    ///
    /// # Cancellation
    ///
    /// Dropping this future loses no message: it takes one only when it resolves.
    pub async fn recv(&mut self) -> Option<(usize, T)> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](MeshReceiver::recv) for futures written by hand; wakes the task that polled last.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, T)>> {
        ready!(budget::consume(cx));
        match self.try_recv() {
            Ok(found) => return Poll::Ready(Some(found)),
            Err(TryRecvError::Closed) => return Poll::Ready(None),
            Err(TryRecvError::Empty) => {}
        }
        // To be woken by each of them; one may have sent something meanwhile.
        let mut has_ended = true;
        for (core, place) in self.from.iter_mut().enumerate() {
            let Some(receiver) = place else { continue };
            match receiver.poll_recv(cx) {
                Poll::Ready(Some(message)) => return Poll::Ready(Some((core, message))),
                Poll::Ready(None) => *place = None,
                Poll::Pending => has_ended = false,
            }
        }
        match has_ended {
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    ///
    /// Says whether one may still come.
    pub fn try_recv(&mut self) -> Result<(usize, T), TryRecvError> {
        let count = self.from.len();
        let mut nothing = TryRecvError::Closed;
        for offset in 0..count {
            let core = (self.next + offset) % count;
            let Some(receiver) = &mut self.from[core] else {
                continue;
            };
            match receiver.try_recv() {
                Ok(message) => {
                    self.next = (core + 1) % count;
                    return Ok((core, message));
                }
                Err(TryRecvError::Closed) => self.from[core] = None,
                Err(TryRecvError::Empty) => nothing = TryRecvError::Empty,
            }
        }
        Err(nothing)
    }

    /// Refuses further messages. What is queued can be received.
    pub fn close(&mut self) {
        for receiver in self.from.iter_mut().flatten() {
            receiver.close();
        }
    }

    /// How many messages are queued.
    pub fn len(&self) -> usize {
        self.from.iter().flatten().map(Receiver::len).sum()
    }

    /// True if no message is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Stream for MeshReceiver<T> {
    type Item = (usize, T);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<(usize, T)>> {
        self.get_mut().poll_recv(cx)
    }
}

impl<T> fmt::Debug for MeshSenders<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshSenders")
            .field("core", &self.core)
            .field("count", &self.to.len())
            .finish()
    }
}

impl<T> fmt::Debug for MeshReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshReceiver")
            .field("queued", &self.len())
            .finish_non_exhaustive()
    }
}
