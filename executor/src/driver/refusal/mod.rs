//! [`Refusal`]: why there is no ring, and what can be done about it.
//!
//! - `facts`: what the system says of itself, read when it has refused and not before;
//! - `cause`: from the answer and the facts to the likely cause;
//! - `ways`: what to say of it, and what to do.
//!
//! All but the reading is a function of the answer and the facts, and is tested as such.

mod cause;
mod facts;
#[cfg(test)]
mod tests;
mod ways;

use std::fmt;
use std::io;

pub use cause::Cause;
pub(crate) use facts::{Container, Facts, Seccomp};

use super::system::System;

/// What a system answered that would not make a ring, why it probably did, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    errno: Option<i32>,
    kind: io::ErrorKind,
    answer: String,
    cause: Cause,
    explanation: String,
    remedies: Vec<String>,
}

impl Refusal {
    /// Asks the system why it has answered like this.
    pub(super) fn of(error: &io::Error) -> Refusal {
        Refusal::explained(error, &Facts::read(&System::here()))
    }

    pub(crate) fn explained(error: &io::Error, facts: &Facts) -> Refusal {
        let cause = Cause::of(error.raw_os_error(), facts);
        Refusal {
            errno: error.raw_os_error(),
            kind: error.kind(),
            answer: error.to_string(),
            cause,
            explanation: ways::explanation(cause, facts),
            remedies: ways::remedies(cause, facts),
        }
    }

    /// What the system answered; `None` if it made a ring that lacks something.
    pub fn errno(&self) -> Option<i32> {
        self.errno
    }

    /// The same in words.
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// Why it probably did.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The same in words, with the numbers that matter.
    pub fn explanation(&self) -> &str {
        &self.explanation
    }

    /// What to do about it: what has to be reached first, then ways to reach it, of which one is enough. At least one.
    pub fn remedies(&self) -> &[String] {
        &self.remedies
    }
}

/// One line: what the system answered, the cause, the first remedy.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal {
            answer,
            explanation,
            remedies,
            ..
        } = self;
        let remedy = remedies.first().map_or("", String::as_str);
        write!(
            f,
            "cannot set up io_uring: {answer}; {explanation}: {remedy}"
        )
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> io::Error {
        io::Error::new(refusal.kind, refusal.to_string())
    }
}
