//! A channel for one value, between cores: [`channel`]. As [`sync::oneshot`](crate::sync::oneshot), but both halves may be
//! sent to other cores, and to threads that run none.
//!
//! No lock is taken, and nothing is allocated but the channel itself.

// # How it works
//
// One word says who has done what; it is only changed by read-modify-writes. Beside it are three cells.
//
// | flag | set by | says |
// |---|---|---|
// | `FINISHED` | the sender, once, unless `CLOSED` is set: it has sent or was dropped | the sender does nothing more |
// | `CLOSED` | the receiver, once: it was closed or dropped | nothing will be received but what was sent before |
// | `RECEIVING` | the receiver sets and clears it, while neither flag above is set | its waker is in `receiving` |
// | `CLOSING` | the sender sets and clears it, likewise | its waker is in `closing` |
//
// | cell | touched by |
// |---|---|
// | `value` | the sender, until it has set `FINISHED` or has seen `CLOSED`; the receiver when it has seen `FINISHED` |
// | `receiving` | the receiver may write while `RECEIVING` is not set and, when it cleared or is to set that, `FINISHED` was not; it may read always. The sender, if it has found `RECEIVING` when it set `FINISHED`, reads |
// | `closing` | the same with the roles exchanged: the sender writes, the receiver, if it has found `CLOSING` when it set `CLOSED` before `FINISHED`, reads |
//
// So whoever finishes wakes the other side by reference, and the waker goes with the last half. Which of `FINISHED` and
// `CLOSED` was first is decided once: the second one is not set over the first by the sender, and the
// receiver sees in what it found that it came second.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use super::quietly;
use crate::primitives::{AtomicU32, Ordering, UnsafeCell};
use crate::task::budget;

const FINISHED: u32 = 1;
const CLOSED: u32 = 1 << 1;
const RECEIVING: u32 = 1 << 2;
const CLOSING: u32 = 1 << 3;

/// Makes a channel for one value.
///
/// ```
/// let runtime = krug::Runtime::builder().cores(2).build()?;
/// let other = runtime.core(1).expect("there are two");
/// runtime.block_on(async {
///     let (sender, receiver) = krug::cores::oneshot::channel();
///     let task = krug::spawn_on(other, || async { receiver.await });
///     sender.send("answer").unwrap();
///     assert_eq!(task.unwrap().await.unwrap(), Ok("answer"));
/// });
/// # std::io::Result::Ok(())
/// ```
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel {
        word: AtomicU32::new(0),
        value: UnsafeCell::new(None),
        receiving: UnsafeCell::new(None),
        closing: UnsafeCell::new(None),
    });
    let sender = Sender {
        channel: Some(channel.clone()),
    };
    let receiver = Receiver {
        channel,
        has_resolved: false,
    };
    (sender, receiver)
}

/// The sending half of a [`channel`]. Dropping it without sending tells the receiver.
pub struct Sender<T> {
    /// `None` once it has sent.
    channel: Option<Arc<Channel<T>>>,
}

/// The receiving half of a [`channel`]: a future that resolves with the value, or with
/// [`RecvError`] when the sender was dropped without sending.
///
/// # Cancellation
///
/// Wait with `(&mut receiver).await` to be able to stop waiting and go on later. Dropping
/// the receiver itself closes the channel and drops a value that was sent.
///
/// # Panics
///
/// When polled again after it resolved.
#[must_use = "the value only arrives if it is awaited"]
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
    has_resolved: bool,
}

/// The sender was dropped without sending, or the receiver had closed the channel before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// Why there is no value (yet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// Nothing was sent yet.
    Empty,
    /// The sender was dropped without sending, the channel was closed before it sent, or
    /// the value was already taken.
    Closed,
}

struct Channel<T> {
    word: AtomicU32,
    value: UnsafeCell<Option<T>>,
    receiving: UnsafeCell<Option<Waker>>,
    closing: UnsafeCell<Option<Waker>>,
}

// SAFETY: the value goes from the thread of the sender to that of the receiver, or is dropped on either: it is `Send`. No two
// threads touch a cell at the same time, as the table above says, but to read a waker, which is `Sync`.
unsafe impl<T: Send> Send for Channel<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Channel<T> {}

/// A waker's cell and the flag that says that it is in use.
struct Waiting<'a> {
    word: &'a AtomicU32,
    waker: &'a UnsafeCell<Option<Waker>>,
    in_use: u32,
    /// What the other side sets when it is over.
    over: u32,
}

impl Waiting<'_> {
    /// Sees to it that whoever polls with `cx` is woken; false if it is over.
    ///
    /// # Safety
    ///
    /// Called by the one half that writes the cell, which has not set its own final flag.
    unsafe fn wait(&self, cx: &Context<'_>) -> bool {
        let word = self.word.load(Ordering::Acquire);
        if word & self.over != 0 {
            return false;
        }
        if word & self.in_use != 0 {
            // SAFETY: only this half writes the cell, and does not now; the other one reads at most.
            let is_known = self.waker.with(|waker| unsafe {
                (*waker)
                    .as_ref()
                    .is_some_and(|waker| waker.will_wake(cx.waker()))
            });
            if is_known {
                return true;
            }
        }
        // A clone is code of the user: before anything is half done.
        let fresh = cx.waker().clone();
        if word & self.in_use != 0 {
            let found = self.word.fetch_and(!self.in_use, Ordering::AcqRel);
            if found & self.over != 0 {
                // The other half may be about to read the waker that is there: let it be.
                return false;
            }
        }
        // SAFETY: the flag is not set, and the other half was not over when it was cleared: it reads the cell only if it finds
        // the flag when it is over. Only this half sets it.
        let old = self
            .waker
            .with_mut(|waker| unsafe { (*waker).replace(fresh) });
        let found = self.word.fetch_or(self.in_use, Ordering::AcqRel);
        // Code of the user, when everything is in its place.
        quietly(|| drop(old));
        found & self.over == 0
    }

    /// Wakes whom the other half has left.
    ///
    /// # Safety
    ///
    /// The caller has set `over`, the first of both halves to be over, and found `in_use` then.
    unsafe fn wake(&self) {
        self.waker.with(|waker| {
            // SAFETY: from now on the other half writes the cell no more, see `wait`.
            if let Some(waker) = unsafe { &*waker } {
                quietly(|| waker.wake_by_ref());
            }
        });
    }
}

impl<T> Channel<T> {
    fn receiver_waits(&self) -> Waiting<'_> {
        Waiting {
            word: &self.word,
            waker: &self.receiving,
            in_use: RECEIVING,
            over: FINISHED,
        }
    }

    fn sender_waits(&self) -> Waiting<'_> {
        Waiting {
            word: &self.word,
            waker: &self.closing,
            in_use: CLOSING,
            over: CLOSED,
        }
    }

    fn has(&self, flag: u32) -> bool {
        self.word.load(Ordering::Acquire) & flag != 0
    }

    /// The sender is over. False if the receiver was before.
    fn finish(&self) -> bool {
        let finished = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                (word & CLOSED == 0).then_some(word | FINISHED)
            });
        let Ok(found) = finished else {
            return false;
        };
        if found & RECEIVING != 0 {
            // SAFETY: just set, and found.
            unsafe { self.receiver_waits().wake() };
        }
        true
    }

    /// The receiver is over.
    fn close(&self) {
        let found = self.word.fetch_or(CLOSED, Ordering::AcqRel);
        if found & (FINISHED | CLOSED) == 0 && found & CLOSING != 0 {
            // SAFETY: just set, and found.
            unsafe { self.sender_waits().wake() };
        }
    }

    /// # Safety
    ///
    /// Called by the receiver, which has seen `FINISHED`, or by the sender, which has not set that.
    unsafe fn take(&self) -> Option<T> {
        // SAFETY: the caller's promise: the value is its own.
        self.value.with_mut(|value| unsafe { (*value).take() })
    }
}

impl<T> Sender<T> {
    fn channel(&self) -> &Channel<T> {
        self.channel
            .as_ref()
            .expect("only `send` takes it, which consumes the sender")
    }

    /// Sends the value. A waker of the receiver's that panics is reported by the panic hook, else ignored.
    ///
    /// # Errors
    ///
    /// Gives the value back if the receiver was dropped or closed.
    pub fn send(mut self, value: T) -> Result<(), T> {
        let channel = self.channel.take().expect("it sends once");
        // SAFETY: the sender has not set `FINISHED`; nobody else touches the cell before.
        channel
            .value
            .with_mut(|cell| unsafe { *cell = Some(value) });
        if channel.finish() {
            return Ok(());
        }
        // SAFETY: `FINISHED` is not set, and will not be.
        let value = unsafe { channel.take() };
        Err(value.expect("nobody else takes it"))
    }

    /// True if nobody will receive the value: the receiver was dropped or closed.
    pub fn is_closed(&self) -> bool {
        self.channel().has(CLOSED)
    }

    /// Resolves when the receiver is dropped or closed: time to stop working on the value.
    ///
    /// # Cancellation
    ///
    /// Dropping this future only stops waiting.
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// [`closed`](Sender::closed) for futures written by hand; wakes the task that polled last.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: this half alone writes that cell; it sets `FINISHED` only when it is gone.
        match unsafe { self.channel().sender_waits().wait(cx) } {
            true => Poll::Pending,
            false => budget::consume(cx),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if let Some(channel) = self.channel.take() {
            channel.finish();
        }
    }
}

impl<T> Receiver<T> {
    /// Takes the value if it is there.
    ///
    /// # Errors
    ///
    /// Says whether it may still come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        if !self.channel.has(FINISHED) {
            return Err(match self.channel.has(CLOSED) {
                true => TryRecvError::Closed,
                false => TryRecvError::Empty,
            });
        }
        // SAFETY: `FINISHED` was seen.
        let value = unsafe { self.channel.take() };
        self.has_resolved |= value.is_some();
        value.ok_or(TryRecvError::Closed)
    }

    /// Refuses a value that was not sent yet; one that was can still be received.
    pub fn close(&mut self) {
        self.channel.close();
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let receiver = self.get_mut();
        assert!(
            !receiver.has_resolved,
            "a oneshot receiver was polled after it had resolved"
        );
        let channel = &receiver.channel;
        // SAFETY: this half alone writes that cell, and only while it has not closed.
        if !channel.has(CLOSED) && unsafe { channel.receiver_waits().wait(cx) } {
            return Poll::Pending;
        }
        ready!(budget::consume(cx));
        receiver.has_resolved = true;
        if !channel.has(FINISHED) {
            return Poll::Ready(Err(RecvError));
        }
        // SAFETY: `FINISHED` was seen.
        Poll::Ready(unsafe { channel.take() }.ok_or(RecvError))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.close();
        if self.channel.has(FINISHED) {
            // SAFETY: `FINISHED` was seen.
            drop(unsafe { self.channel.take() });
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("closed", &self.is_closed())
            .finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("finished", &self.channel.has(FINISHED))
            .field("closed", &self.channel.has(CLOSED))
            .finish()
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no value was sent")
    }
}

impl std::error::Error for RecvError {}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryRecvError::Empty => "nothing was sent yet",
            TryRecvError::Closed => "no value will come",
        })
    }
}

impl std::error::Error for TryRecvError {}
