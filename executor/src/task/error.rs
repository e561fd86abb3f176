//! [`JoinError`]: why a task has no output.

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

use crate::cores::discard;

/// Why a task, or a call of [`spawn_blocking`](crate::spawn_blocking), ended without an output: it paniced, it was cancelled, or it
/// was refused.
///
/// A task is cancelled by `abort`, and by the end of the runtime it lives in. Tasks are never refused.
pub struct JoinError {
    cause: Cause,
}

enum Cause {
    Cancelled(&'static Location<'static>),
    Refused(&'static Location<'static>),
    // Boxed: every task that runs has room for this error where its output will be.
    Panicked(Box<Panicked>),
}

struct Panicked {
    spawned_at: &'static Location<'static>,
    /// What the panic said, if it said it in words.
    message: Option<Box<str>>,
    /// Only `into_panic` takes it out. A payload may be shared by nobody; the lock lets the error be.
    payload: Mutex<Option<Box<dyn Any + Send>>>,
}

impl JoinError {
    pub(crate) fn cancelled(spawned_at: &'static Location<'static>) -> JoinError {
        JoinError {
            cause: Cause::Cancelled(spawned_at),
        }
    }

    pub(crate) fn refused(spawned_at: &'static Location<'static>) -> JoinError {
        JoinError {
            cause: Cause::Refused(spawned_at),
        }
    }

    #[cold]
    pub(crate) fn panicked(
        payload: Box<dyn Any + Send>,
        spawned_at: &'static Location<'static>,
    ) -> JoinError {
        let message = if let Some(text) = payload.downcast_ref::<&'static str>() {
            Some(Box::from(*text))
        } else {
            payload
                .downcast_ref::<String>()
                .map(|text| text.as_str().into())
        };
        JoinError {
            cause: Cause::Panicked(Box::new(Panicked {
                spawned_at,
                message,
                payload: Mutex::new(Some(payload)),
            })),
        }
    }

    /// True if the task paniced: in a poll, or when its future was dropped.
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panicked(_))
    }

    /// True if the task was aborted, or its runtime ended first.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cause, Cause::Cancelled(_))
    }

    /// True if too many calls waited for a thread already: see
    /// [`Builder::blocking_queue`](crate::Builder::blocking_queue). It was not begun.
    pub fn is_refused(&self) -> bool {
        matches!(self.cause, Cause::Refused(_))
    }

    /// What the task paniced with, for `std::panic::resume_unwind`.
    ///
    /// # Panics
    ///
    /// If the task did not panic.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("`JoinError::into_panic` called, but the {error}"),
        }
    }

    /// What the task paniced with.
    ///
    /// # Errors
    ///
    /// The error itself if the task did not panic.
    pub fn try_into_panic(mut self) -> Result<Box<dyn Any + Send + 'static>, JoinError> {
        match &mut self.cause {
            Cause::Panicked(panicked) => Ok(panicked.take_payload().expect("taken only here")),
            Cause::Cancelled(_) | Cause::Refused(_) => Err(self),
        }
    }
}

impl Panicked {
    fn take_payload(&mut self) -> Option<Box<dyn Any + Send>> {
        self.payload
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Drop for Panicked {
    fn drop(&mut self) {
        if let Some(payload) = self.take_payload() {
            discard(payload);
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Cancelled(spawned_at) => {
                write!(f, "task spawned at {spawned_at} was cancelled")
            }
            Cause::Refused(spawned_at) => {
                write!(
                    f,
                    "work spawned at {spawned_at} was refused: too much waits for a thread already"
                )
            }
            Cause::Panicked(panicked) => {
                write!(f, "task spawned at {} panicked", panicked.spawned_at)?;
                match &panicked.message {
                    Some(message) => write!(f, ": {message}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Cancelled(spawned_at) => f
                .debug_struct("Cancelled")
                .field("spawned_at", &format_args!("{spawned_at}"))
                .finish(),
            Cause::Refused(spawned_at) => f
                .debug_struct("Refused")
                .field("spawned_at", &format_args!("{spawned_at}"))
                .finish(),
            Cause::Panicked(panicked) => f
                .debug_struct("Panicked")
                .field("spawned_at", &format_args!("{}", panicked.spawned_at))
                .field("message", &panicked.message)
                .finish(),
        }
    }
}

impl std::error::Error for JoinError {}
