//! Tasks: what `spawn` starts, and the handles to wait for it or to abort it.
//!
//! ```no_run
//! # async fn example() -> Result<(), krug::task::JoinError> {
//! let answer = krug::task::spawn(async {
//!     krug::task::yield_now().await;
//!     6 * 7
//! });
//! assert_eq!(answer.await?, 42);
//! # Ok(())
//! # }
//! ```
//!
//! A task stays on the core that spawned it, so its future need not be `Send`
//! (one that may move is spawned by [`spawn_stealable`](crate::spawn_stealable)). A panic in it
//! goes to whoever awaits its [`JoinHandle`]; the core and its other tasks live on.
//!
//! # Tasks that belong together
//!
//! | what | for |
//! |---|---|
//! | [`JoinSet`] | tasks of one kind, on any core, joined in the order in which they end; dropping it aborts them |
//! | [`scope`](scope()), [`try_scope`] | tasks of this core that are over before the code goes on; the first error or panic ends them all |
//! | [`CancellationToken`] | asking tasks, threads and futures of other executors to stop; they do so when they can |
//! | [`task_local!`](crate::task_local) | a value that a future has with it, wherever it is polled |
//!
//! What a panic leads to is set for the whole runtime: see [`PanicPolicy`].
//!
//! # Classes
//!
//! Tasks of a core share it fairly, first come, first served, as long as they are all alike. Where some are more urgent than others they are
//! started with [`spawn_in`], in one of three classes:
//!
//! | class | for | share, unless set |
//! |---|---|---|
//! | [`Class::Latency`] | what somebody waits for | 16 |
//! | [`Class::Default`] | whatever [`spawn`](fn@spawn) starts | 4 |
//! | [`Class::Background`] | what may take its time | 1 |
//!
//! - While tasks of several classes are ready, each class gets of the core what its share says: of 21 polls 16, 4 and 1. A
//!   poll that takes longer than 2 µs counts as several, one for each 2 µs: a task of the background that computes for 5 ms at a time waits
//!   after each of them until the others have had their shares of that time, or have nothing to do. A class whose tasks are the only ones
//!   that are ready gets everything.
//! - A class that has not had its share is polled first, the most urgent one before the others. What a class has spent is remembered while its
//!   tasks sleep; what it did not use is not saved up.
//! - Within a class it is first come, first served. Only tasks of the default class run right after the task that woke them.
//! - While tasks of another class than the default one are ready, a turn of the loop ends after 256 polls or 500 µs, and the core looks for
//!   what has completed, whatever else is ready: that is how long the result of an urgent task's operation may go unseen, plus
//!   one poll. No poll is ever interrupted.
//! - A turn also ends when the tasks of [`Class::Latency`] have been polled that were ready: what they have asked of the kernel begins before the next poll
//!   of another task, however long that takes.
//! - Of a core whose tasks are all of the default class, nothing of this costs anything.
//! - The future that [`block_on`](crate::Runtime::block_on) runs is no task: if it was woken, it is polled once a turn, after the tasks;
//!   more often within the turn while a task has woken it and no other is ready.
//!
//! The shares are set with [`Builder::class_shares`](crate::runtime::Builder::class_shares). In a simulation
//! polls are counted, not their time.
//!
//! # What becomes of a task
//!
//! Each row is a test of the same name in `tests/join_table.rs`.
//!
//! | event | when | then |
//! |---|---|---|
//! | awaited | before completion | waits; the output when it is there |
//! | awaited | after completion | the output at once |
//! | awaited on another thread | before completion | waits; its waker is called by the task's core |
//! | awaited on another thread | after completion | the output at once, the core is not asked |
//! | aborted | before the first poll | the future is dropped unpolled, in the core's next turn; the joiner sees "cancelled" |
//! | aborted | while it waits | the future is dropped in the core's next turn, and only then the joiner sees "cancelled" |
//! | aborted by itself | while it runs, and then pending | the future is dropped when the poll is over; "cancelled" |
//! | aborted by itself | while it runs, and then ready | the output |
//! | aborted | after completion | nothing: the output is still there |
//! | aborted on another thread | any time | as above, once the core has got the message |
//! | handle dropped | before completion | the task runs on, its output is dropped when it is there |
//! | handle dropped | after completion | the output is dropped at once |
//! | handle dropped on another thread | before completion | as above, the output is dropped by the task's core |
//! | handle dropped on another thread | after completion | the output is dropped right there |
//! | the future panics | in a poll | it is dropped; the joiner sees the panic |
//! | the future panics | in its destructor, after it was ready or aborted | the output is dropped; the joiner sees the panic |
//! | the future panics | in a poll and in its destructor | the joiner sees the first panic |
//! | the output or a panic's payload panics | in its destructor, which the task's core runs | reported by the panic hook, else ignored |
//! | the joiner's waker panics | when it is woken | reported by the panic hook, else ignored |
//! | the runtime ends | before completion | the future is dropped by its core; the joiner sees "cancelled", on any thread |
//! | the runtime ends | after completion | the output is still there, for any thread, for ever |
//! | spawned | when the runtime is ending | the future is dropped inside `spawn`; the joiner sees "cancelled" |
//! | polled | after it was ready | panics |
//!

// # How it works
//
// A task is one block of memory: a [`Header`](header::Header) that does not depend on the
// type of the future, then the *stage*: the future, and when that has gone, in its place, the
// output (`Result<T, JoinError>`).
//
// The *home* of a task is the worker that runs it. A thread is "at home" if the scheduler that
// is entered on it right now leases the task's mailbox (`here::is_home`): never because of the
// thread's id. At home nothing is atomic. Everybody else changes the one atomic word of the
// task, and if the home has to do something about it, sends it the task's own node.
//
// # References
//
// A block lives as long as it is referred to, by
//
// - the *scheduler*: one reference, until the task is complete. A main task's is its `MainTask`'s;
// - the *join handle*: one, until it has handed out the output or was dropped;
// - *wakers*, [`TaskRef`]s and [`AbortHandle`]s: one each.
//
// The run queue and the list of tasks have none of their own: what is in the queue is not
// complete, so the scheduler's is there; what is freed or merged has left the list before.
// A poll borrows the scheduler's reference for the waker it passes.
//
// Counts are biased: `count` is the home's, the word holds what others added and took away,
// so either may be wrong by itself (the word may be negative), but their sum is the truth.
// A reference may be made at home and dropped elsewhere, or the other way round.
//
// # Fields, and who may touch them when
//
// | field | touched by |
// |---|---|
// | `home`, `spawned_at` | read by anyone; never written |
// | `state`, `count`, `polls`, `spawned`, `queue_next`, `list_…`, `joiner` | the home. Before the task is sent to its home by `spawn_from_afar`, and after it was merged without one (`decline`), the only thread that knows it. Read by a later worker that leases the same mailbox, see 6 |
// | `remote` | anyone, by read-modify-writes only |
// | `node` | its table, which is the task's, is read by anyone and never written; the rest: who set `QUEUED`, until it is pushed; the home from taking it out until it clears `QUEUED` |
// | `finished` | written by the home, once, when the output is in its place; read by anyone |
// | `watched` | the join handle, wherever it is |
// | `remote_joiner` | the join handle puts a boxed waker in; the home, or the handle itself, takes it out: always by exchange |
// | the stage: future | the home, while `RUNNING` |
// | the stage: output | written by the home before `finished`; after that read or dropped once, by the join handle, or by the home if the handle has gone |
//
// # The word
//
// The flags are listed in `remote.rs`. `QUEUED` says that the node is in the mailbox, or that the one
// thread that turned `QUEUED` on is about to push it. The flags with it say what the home shall
// do. The home takes node, flags and count out again with one exchange and acts on them. `MERGED` says that there
// is no home any more: the word's count is the truth, and who brings it to zero frees the block.
//
// # Situations, and why each is sound
//
// 1. *Woken elsewhere while being polled.* The thread does what it wants to be seen, then changes
//    the word. If it finds `QUEUED` the home has not yet taken the word, and when it does it reads
//    this change or a later one (there is one order of changes): the poll after that sees
//    everything. If it does not find `QUEUED`, it pushes the node. Nothing is decided by a
//    mere load, so there is no stale view that could strand the task (bug rows 38 and 39).
//
// 2. *Pushing when the last reference may be gone.* A waker used by value gives its reference up in
//    the same change that sets `QUEUED`. From then on `QUEUED` keeps the block: the home neither frees
//    nor merges a task that has it. After the push the thread touches only the mailbox, which lives for ever.
//
// 3. *The node is pushed again while the home opens it.* The home reads the node's link before it clears
//    `QUEUED`, and does not look at the node afterwards.
//
// 4. *The home's count comes to zero while the task lives.* Its scheduler's reference exists, so
//    others must have dropped at home what was made elsewhere, and the word's count is positive: the
//    home takes it over. While a task is not complete its home has a count.
//
// 5. *The home's count comes to zero, the task is complete.* If the word has `QUEUED`, the arrival of the
//    node settles it. If its count is zero too, nobody has a reference: this look is not stale, because
//    everything dropped at home was dropped after it had been made, and so were the changes it was made
//    by; a set of events closed in this way with a sum of zero leaves nobody who could add another.
//    Else the home *merges*: it sets `MERGED`, counting one for itself; forgets the task; and drops that one. A
//    reference that comes home later finds `count == 0`, and goes by the word like everywhere else.
//
// 6. *The worker dies.* It drops all futures, so that every task is complete. Then it merges
//    each: one with `QUEUED` set is waited for, for whoever set it is about to push and does nothing else in
//    between. When no task is left the inbox is closed; nobody has a reason to push but who sends something new,
//    and that push fails. Should the mailbox be leased again, the tasks of the earlier life seem to
//    be at home there: but they are complete and their `count` is zero, which the new home reads
//    after the old one wrote it (the pool's lock is between them), and every function of the home
//    then does nothing, or goes by the word.
//
// 7. *A task is sent to its home and comes too late.* It was born with `QUEUED`; its node is found in the
//    closed inbox. It is completed as cancelled while `QUEUED` is still set, so that nobody pushes it again, and
//    goes from there to `MERGED` in one change. The same happens if the node came to the mailbox's next life.
//
//    The handle may be at home before its task is: it finds a task that is `SCHEDULED` from birth, so nothing
//    queues it a second time, and what it leaves (`ABORTED`, `DETACHED`, a joiner) is honoured by either outcome.
//
// 8. *Joined elsewhere.* The handle leaves its waker, then looks at `finished`. The home sets `finished`, then takes
//    the waker. Both exchange the same pointer: if the home's exchange came first, the handle's sees it and so
//    sees `finished`; else the home finds the waker. That the home has to look at all, it learns by the message `WATCH`,
//    which the handle sends once; if that comes after completion, the home takes the waker then.
//
// 9. *The handle is dropped elsewhere.* If `finished`, the output is the handle's to drop. If not, it sends
//    `DETACH` with its reference; the home, whether it completes the task before or after it opens the message, finds
//    that the handle has gone and drops the output itself. If there is no home, the task is finished.
//
// 10. *The output is not `Send`.* Then its handle is not either, and lives on the thread of its home, entered or not.
//
// 11. *User code runs in the middle of something.* It runs in polls, destructors and wakers: never while a cell of ours is
//     borrowed (there are only `Cell`s, and `joiner` is taken out before it is woken or dropped), always with a reference
//     of ours around it, and with panics caught. A task woken while `RUNNING` is queued when its poll is over, once.

mod afar;
mod beside;
mod cancellation;
mod class;
mod death;
mod error;
mod header;
mod here;
mod home;
mod join;
mod join_set;
mod local;
mod made;
mod main_task;
mod memory;
mod panics;
mod queue;
mod raw;
mod remote;
mod report;
mod scope;
mod spawn;
mod traced;
mod waker;
mod yield_now;

pub use cancellation::{CancellationToken, Cancelled, CancelledOwned, DropGuard};
pub use class::{Class, spawn_in};
pub use error::JoinError;
pub use join::{AbortHandle, JoinHandle};
pub use join_set::JoinSet;
pub use local::{AccessError, LocalKey, TaskLocalFuture};
pub use scope::{Scope, TryScope, scope, try_scope};
pub use spawn::spawn;
pub use yield_now::{YieldNow, yield_now};

#[doc(hidden)]
pub use local::CurrentValue as __CurrentValue;

pub(crate) use beside::poll_beside;
pub(crate) use death::{abort_all, merge_all};
pub(crate) use here::{Entered, budget, with as with_scheduler};
pub(crate) use main_task::MainTask;
pub(crate) use memory::Blocks;
pub use panics::PanicPolicy;
pub(crate) use panics::{FirstPanic, PanicResponse, Panics, note_panic_here};
pub(crate) use queue::{RunQueue, Runnable, TaskList};
pub(crate) use report::report;
pub(crate) use spawn::{spawn_from_afar, spawn_made_from_afar, spawn_made_in, spawn_on};
#[cfg(test)]
pub(crate) use waker::TaskRef;
pub(crate) use waker::Waiter;

#[cfg(all(test, not(krug_loom)))]
mod tests;

#[cfg(all(test, krug_loom))]
pub(crate) mod loom_models;
