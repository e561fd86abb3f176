//! [`Dump`]: what a core has at one moment, as data and as text.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::OperationKind;

/// What one core has at one moment: its tasks, and its operations in flight. Displayed, it is two tables.
///
/// ```
/// let runtime = krug::Runtime::new()?;
/// runtime.block_on(async {
///     let sleeper = krug::spawn(std::future::pending::<()>());
///     krug::task::yield_now().await;
///     let dump = krug::CoreHandle::current().dump().await.unwrap();
///     // The sleeper, and the task that looks.
///     assert_eq!(dump.tasks.len(), 2);
///     println!("{dump}");
///     sleeper.abort();
/// });
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Dump {
    /// Which core of its runtime it is.
    pub core: usize,
    /// All that have not ended; the youngest first. What is given to `block_on` is no task.
    pub tasks: Vec<TaskEntry>,
    /// All that have not ended, and those whose results nobody has looked at yet.
    pub operations: Vec<OperationEntry>,
}

/// A task in a [`Dump`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskEntry {
    /// The line that has spawned it.
    pub spawned_at: &'static Location<'static>,
    /// Since it came to its core, to 17 ms. It begins anew after two years.
    pub age: Duration,
    /// What it does.
    pub state: TaskState,
    /// How often it was polled; after the greatest number it begins anew.
    pub polls: u32,
}

/// What a task in a [`Dump`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// It is polled at this moment: it is the one that asks.
    Running,
    /// It stands in the queue.
    Ready,
    /// It waits to be woken.
    Waiting,
    /// It was aborted, and is dropped in its turn.
    Aborted,
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TaskState::Running => "running",
            TaskState::Ready => "ready",
            TaskState::Waiting => "waiting",
            TaskState::Aborted => "aborted",
        })
    }
}

/// An operation in a [`Dump`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OperationEntry {
    /// What it is about.
    pub kind: OperationKind,
    /// Of the socket, pipe or file that it concerns, if that is a krug type.
    pub descriptor: Option<i32>,
    /// Since the beginning of the turn that started it.
    pub age: Duration,
    /// What it does.
    pub state: OperationState,
    /// For whom.
    pub owner: OperationOwner,
}

/// What an operation in a [`Dump`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationState {
    /// The driver has it.
    InFlight,
    /// The driver has it, and was asked to stop it.
    Cancelling,
    /// It has ended, and its future has not been polled since.
    Ended,
}

impl fmt::Display for OperationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            OperationState::InFlight => "in flight",
            OperationState::Cancelling => "cancelling",
            OperationState::Ended => "ended",
        })
    }
}

/// To whom an operation in a [`Dump`] belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationOwner {
    /// A future in the task that was spawned there waits for it.
    Task(&'static Location<'static>),
    /// A future, and it is not known in which task: it was not polled since, waits in `block_on`, on another core, or in something that makes
    /// wakers of its own.
    Future,
    /// The socket, pipe or file itself: no future waits for it.
    Source,
    /// Nobody: its future was dropped.
    Nobody,
}

impl fmt::Display for OperationOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OperationOwner::Task(spawned_at) => write!(f, "task of {spawned_at}"),
            OperationOwner::Future => f.write_str("a future"),
            OperationOwner::Source => f.write_str("its source"),
            OperationOwner::Nobody => f.write_str("nobody"),
        }
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dump {
            core,
            tasks,
            operations,
        } = self;
        let (spawned, started) = (tasks.len(), operations.len());
        write!(f, "core {core}: {spawned} tasks, {started} operations")?;
        for task in tasks {
            let TaskEntry {
                spawned_at,
                age,
                state,
                polls,
            } = task;
            let age = format!("{age:.1?}");
            write!(
                f,
                "\n  task {age:>12} {state:<10} {polls:>10} polls  of {spawned_at}"
            )?;
        }
        for operation in operations {
            let OperationEntry {
                kind,
                descriptor,
                age,
                state,
                owner,
            } = operation;
            let age = format!("{age:.1?}");
            let descriptor = descriptor.map_or(String::new(), |fd| format!("fd {fd}"));
            write!(
                f,
                "\n  {kind:<12} {age:>12} {state:<10} {descriptor:<8} for {owner}"
            )?;
        }
        Ok(())
    }
}
