//! [`CancellationToken`]: telling many, on any thread, that it is time to stop.
//!
//! The tokens that come from one share a tree, and the tree has one lock: nothing can deadlock, and a parent that is dropped
//! can hand its children on in the same moment. The lock is held for a few instructions, never while code of the user runs.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use slab::Slab;

use super::budget;
use crate::cores::quietly;

/// A wish to stop, which many wait for: tasks of any core, threads, futures of other executors. Once it is expressed it stays.
///
/// Clones are the same token. [Children](CancellationToken::child_token) are cancelled with their parent, not the
/// other way round.
///
/// ```
/// use krug::task::CancellationToken;
/// use krug::time::sleep;
/// use std::time::Duration;
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let stop = CancellationToken::new();
/// let worker = {
///     let stop = stop.child_token();
///     krug::spawn(async move {
///         let mut steps = 0;
///         while stop.run_until_cancelled(sleep(Duration::from_millis(1))).await.is_some() {
///             steps += 1;
///         }
///         steps
///     })
/// };
/// sleep(Duration::from_millis(5)).await;
/// stop.cancel();
/// assert!(worker.await.unwrap() > 0);
/// # });
/// ```
///
/// Unlike an abort it is asked for, not done: who is told finishes what must be finished. It stands beside tasks, not in
/// [`sync`](crate::sync), because it goes between cores. It takes a lock for a few instructions, so it is for the
/// beginning and the end of things, not for each message.
pub struct CancellationToken {
    tree: Arc<Tree>,
    node: usize,
}

#[derive(Default)]
struct Tree(Mutex<Nodes>);

#[derive(Default)]
struct Nodes(Slab<Node>);

struct Node {
    /// How many tokens are this node.
    tokens: usize,
    is_cancelled: bool,
    /// The parent, and the place among its children. None for one that is cancelled: it has nothing to hear any more.
    parent: Option<(usize, usize)>,
    children: Slab<usize>,
    /// A future has its place until it is dropped, or the node is cancelled.
    waiting: Slab<Waker>,
}

impl Tree {
    fn lock(&self) -> MutexGuard<'_, Nodes> {
        // Nothing that panics runs while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Nodes {
    fn add(&mut self, is_cancelled: bool, parent: Option<usize>) -> usize {
        let node = self.0.insert(Node {
            tokens: 1,
            is_cancelled,
            parent: None,
            children: Slab::new(),
            waiting: Slab::new(),
        });
        if let Some(parent) = parent {
            self.adopt(parent, node);
        }
        node
    }

    fn adopt(&mut self, parent: usize, child: usize) {
        let place = self.0[parent].children.insert(child);
        self.0[child].parent = Some((parent, place));
    }

    /// Cancels a node and all below it, and returns who waits for that.
    fn cancel(&mut self, node: usize) -> Vec<Waker> {
        self.leave_parent(node);
        let mut wakers = Vec::new();
        let mut to_do = vec![node];
        while let Some(next) = to_do.pop() {
            let next = &mut self.0[next];
            next.is_cancelled = true;
            next.parent = None;
            wakers.extend(
                std::mem::take(&mut next.waiting)
                    .into_iter()
                    .map(|(_, waker)| waker),
            );
            to_do.extend(
                std::mem::take(&mut next.children)
                    .into_iter()
                    .map(|(_, child)| child),
            );
        }
        wakers
    }

    fn leave_parent(&mut self, node: usize) {
        if let Some((parent, place)) = self.0[node].parent.take() {
            self.0[parent].children.remove(place);
        }
    }

    /// One token less. The last one takes its node along, and the children become those of the parent. What is returned
    /// holds wakers of leaked futures: to be dropped when the lock is free.
    #[must_use]
    fn release(&mut self, node: usize) -> Option<Node> {
        self.0[node].tokens -= 1;
        if self.0[node].tokens > 0 {
            return None;
        }
        let parent = self.0[node].parent.map(|(parent, _)| parent);
        self.leave_parent(node);
        let removed = self.0.remove(node);
        for (_, child) in &removed.children {
            match parent {
                Some(parent) => self.adopt(parent, *child),
                None => self.0[*child].parent = None,
            }
        }
        Some(removed)
    }
}

impl CancellationToken {
    /// A token of its own.
    pub fn new() -> CancellationToken {
        let tree = Arc::<Tree>::default();
        let node = tree.lock().add(false, None);
        CancellationToken { tree, node }
    }

    /// A token that is cancelled with this one, and can be cancelled without it. A child of a cancelled token is cancelled.
    ///
    /// ```
    /// let parent = krug::task::CancellationToken::new();
    /// let (first, second) = (parent.child_token(), parent.child_token());
    /// first.cancel();
    /// assert!(first.is_cancelled() && !parent.is_cancelled() && !second.is_cancelled());
    /// parent.cancel();
    /// assert!(second.is_cancelled());
    /// ```
    pub fn child_token(&self) -> CancellationToken {
        let mut nodes = self.tree.lock();
        let is_cancelled = nodes.0[self.node].is_cancelled;
        let parent = (!is_cancelled).then_some(self.node);
        let node = nodes.add(is_cancelled, parent);
        drop(nodes);
        CancellationToken {
            tree: self.tree.clone(),
            node,
        }
    }

    /// Cancels the token and all below it, and wakes whoever waits for one of them. Once more changes nothing.
    ///
    /// A waker of somebody else's executor that panics is reported by the panic hook, and keeps nobody from being woken.
    pub fn cancel(&self) {
        let wakers = self.tree.lock().cancel(self.node);
        for waker in wakers {
            quietly(|| waker.wake());
        }
    }

    /// True once it is cancelled, itself or with a parent.
    pub fn is_cancelled(&self) -> bool {
        self.tree.lock().0[self.node].is_cancelled
    }

    /// Waits until the token is cancelled.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub fn cancelled(&self) -> Cancelled<'_> {
        Cancelled {
            token: self,
            place: None,
        }
    }

    /// As [`cancelled`](CancellationToken::cancelled), for a future that keeps the token.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing, and drops the token.
    pub fn cancelled_owned(self) -> CancelledOwned {
        CancelledOwned {
            token: self,
            place: None,
        }
    }

    /// Runs `future`, and gives its output; `None` if the token is cancelled first, and `future` is dropped then. On a token that is cancelled
    /// already `future` is not polled at all; if both happen at the same time its output counts.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops `future`.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        if self.is_cancelled() {
            return None;
        }
        let mut future = pin!(future);
        let mut cancelled = self.cancelled();
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            Pin::new(&mut cancelled).poll(cx).map(|()| None)
        })
        .await
    }

    /// Cancels the token when the guard is dropped.
    pub fn drop_guard(self) -> DropGuard {
        DropGuard { token: Some(self) }
    }

    #[cfg(test)]
    pub(super) fn in_tree(&self) -> usize {
        self.tree.lock().0.len()
    }

    /// One poll of a future that has, perhaps, a place among those that wait.
    fn poll_cancelled(&self, place: &mut Option<usize>, cx: &mut Context<'_>) -> Poll<()> {
        let nodes = self.tree.lock();
        let node = &nodes.0[self.node];
        let is_known = place
            .is_some_and(|place| !node.is_cancelled && node.waiting[place].will_wake(cx.waker()));
        if is_known {
            return Poll::Pending;
        }
        if node.is_cancelled {
            drop(nodes);
            ready!(budget::consume(cx));
            return Poll::Ready(());
        }
        drop(nodes);
        // Code of the user, which may do anything: so one looks again.
        let waker = cx.waker().clone();
        let mut nodes = self.tree.lock();
        let node = &mut nodes.0[self.node];
        let old = match *place {
            _ if node.is_cancelled => {
                drop(nodes);
                return Poll::Ready(());
            }
            Some(place) => Some(std::mem::replace(&mut node.waiting[place], waker)),
            None => {
                *place = Some(node.waiting.insert(waker));
                None
            }
        };
        drop(nodes);
        drop(old);
        Poll::Pending
    }

    /// A future that had a place is dropped.
    fn leave(&self, place: &mut Option<usize>) {
        let Some(place) = place.take() else {
            return;
        };
        let mut nodes = self.tree.lock();
        let node = &mut nodes.0[self.node];
        // One that is cancelled has emptied all places.
        let waker = (!node.is_cancelled).then(|| node.waiting.remove(place));
        drop(nodes);
        drop(waker);
    }
}

impl Default for CancellationToken {
    fn default() -> CancellationToken {
        CancellationToken::new()
    }
}

impl Clone for CancellationToken {
    /// The same token once more.
    fn clone(&self) -> CancellationToken {
        self.tree.lock().0[self.node].tokens += 1;
        CancellationToken {
            tree: self.tree.clone(),
            node: self.node,
        }
    }
}

impl Drop for CancellationToken {
    fn drop(&mut self) {
        let removed = self.tree.lock().release(self.node);
        drop(removed);
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken")
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

/// The future of [`CancellationToken::cancelled`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Cancelled<'a> {
    token: &'a CancellationToken,
    place: Option<usize>,
}

impl Future for Cancelled<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.token.poll_cancelled(&mut this.place, cx)
    }
}

impl Drop for Cancelled<'_> {
    fn drop(&mut self) {
        self.token.leave(&mut self.place);
    }
}

/// The future of [`CancellationToken::cancelled_owned`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct CancelledOwned {
    token: CancellationToken,
    place: Option<usize>,
}

impl Future for CancelledOwned {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.token.poll_cancelled(&mut this.place, cx)
    }
}

impl Drop for CancelledOwned {
    fn drop(&mut self) {
        self.token.leave(&mut self.place);
    }
}

/// Cancels a token when it is dropped: also by a panic, or with the future that holds it.
///
/// ```
/// let token = krug::task::CancellationToken::new();
/// let guard = token.clone().drop_guard();
/// drop(guard);
/// assert!(token.is_cancelled());
/// ```
#[derive(Debug)]
#[must_use = "a guard that is dropped at once cancels at once"]
pub struct DropGuard {
    /// Taken by `disarm`.
    token: Option<CancellationToken>,
}

impl DropGuard {
    /// The token, which is not cancelled.
    pub fn disarm(mut self) -> CancellationToken {
        self.token.take().expect("taken only here, at the end")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }
}
