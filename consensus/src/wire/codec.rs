//! Bodies: the fields of each message, one behind the other.
//!
//! Numbers are little-endian and as wide as in the core. An option is a byte, 0 or 1,
//! and then the value. A list is its length in 4 bytes and then its elements. A value is
//! a byte, 0 for a roll and 1 for a speaker, and then the list of claims or the name.

use std::sync::Arc;

use super::WireError;
use crate::core::{Answer, Candidate, Claim, Message, Name, Rank, Ticket, Value};

/// The byte that tells messages apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`Message::Claim`]
    Claim = 1,
    /// [`Message::Decided`]
    Decided = 2,
    /// [`Message::Record`]
    Record = 3,
    /// [`Message::Recorded`]
    Recorded = 4,
    /// [`Message::Fetch`]
    Fetch = 5,
}

impl Kind {
    /// The kind of a message.
    pub fn of(message: &Message) -> Kind {
        match message {
            Message::Claim(_) => Kind::Claim,
            Message::Decided { .. } => Kind::Decided,
            Message::Record { .. } => Kind::Record,
            Message::Recorded { .. } => Kind::Recorded,
            Message::Fetch { .. } => Kind::Fetch,
        }
    }

    pub(super) fn from_byte(byte: u8) -> Option<Kind> {
        [
            Kind::Claim,
            Kind::Decided,
            Kind::Record,
            Kind::Recorded,
            Kind::Fetch,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

const VALUE_ROLL: u8 = 0;
const VALUE_SAY: u8 = 1;

pub(super) fn write_body(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::Claim(claim) => write_claim(claim, out),
        Message::Decided { slot, value } => {
            out.extend_from_slice(&slot.to_le_bytes());
            write_value(value, out);
        }
        Message::Record {
            slot,
            attempt,
            step,
            candidate,
        } => {
            out.extend_from_slice(&slot.to_le_bytes());
            out.extend_from_slice(&attempt.to_le_bytes());
            out.extend_from_slice(&step.to_le_bytes());
            write_candidate(candidate, out);
        }
        Message::Recorded {
            slot,
            attempt,
            asked,
            answer,
        } => {
            out.extend_from_slice(&slot.to_le_bytes());
            out.extend_from_slice(&attempt.to_le_bytes());
            out.extend_from_slice(&asked.to_le_bytes());
            write_answer(answer, out);
        }
        Message::Fetch { slot } => out.extend_from_slice(&slot.to_le_bytes()),
    }
}

pub(crate) fn write_claim(claim: &Claim, out: &mut Vec<u8>) {
    out.extend_from_slice(&claim.ticket.0.to_le_bytes());
    out.extend_from_slice(&claim.name.0.to_le_bytes());
    out.extend_from_slice(&claim.redraws.to_le_bytes());
}

pub(crate) fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Roll(claims) => {
            out.push(VALUE_ROLL);
            out.extend_from_slice(&(claims.len() as u32).to_le_bytes());
            claims.iter().for_each(|claim| write_claim(claim, out));
        }
        Value::Say { by } => {
            out.push(VALUE_SAY);
            out.extend_from_slice(&by.0.to_le_bytes());
        }
    }
}

pub(crate) fn write_candidate(candidate: &Candidate<Value>, out: &mut Vec<u8>) {
    out.extend_from_slice(&candidate.rank.0.to_le_bytes());
    write_value(&candidate.value, out);
}

fn write_answer(answer: &Answer<Value>, out: &mut Vec<u8>) {
    out.extend_from_slice(&answer.step.to_le_bytes());
    write_candidate(&answer.first, out);
    write_prev(answer.prev.as_ref(), out);
}

pub(crate) fn write_prev(prev: Option<&Candidate<Value>>, out: &mut Vec<u8>) {
    match prev {
        None => out.push(0),
        Some(prev) => {
            out.push(1);
            write_candidate(prev, out);
        }
    }
}

pub(super) fn read_body(kind: Kind, body: &[u8]) -> Result<Message, WireError> {
    let mut fields = Fields::new(body);
    let message = match kind {
        Kind::Claim => Message::Claim(fields.claim()?),
        Kind::Decided => Message::Decided {
            slot: fields.u64()?,
            value: fields.value()?,
        },
        Kind::Record => Message::Record {
            slot: fields.u64()?,
            attempt: fields.u64()?,
            step: fields.u32()?,
            candidate: fields.candidate()?,
        },
        Kind::Recorded => Message::Recorded {
            slot: fields.u64()?,
            attempt: fields.u64()?,
            asked: fields.u32()?,
            answer: fields.answer()?,
        },
        Kind::Fetch => Message::Fetch {
            slot: fields.u64()?,
        },
    };
    fields.end()?;
    Ok(message)
}

/// What was not read of a body.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Fields<'a> {
        Fields { rest: body }
    }
}

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (array, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(WireError::BodyTooShort)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Result<u128, WireError> {
        self.array().map(u128::from_le_bytes)
    }

    pub(crate) fn claim(&mut self) -> Result<Claim, WireError> {
        Ok(Claim {
            ticket: Ticket(self.u128()?),
            name: Name(self.u128()?),
            redraws: self.u32()?,
        })
    }

    pub(crate) fn value(&mut self) -> Result<Value, WireError> {
        match self.u8()? {
            VALUE_ROLL => {
                let count = self.u32()? as usize;
                // A length is only an assertion: memory grows with the bytes that are there, and ends with them.
                let claims: Result<Arc<[Claim]>, WireError> =
                    (0..count).map(|_| self.claim()).collect();
                claims.map(Value::Roll)
            }
            VALUE_SAY => Ok(Value::Say {
                by: Name(self.u128()?),
            }),
            _ => Err(WireError::Field("value")),
        }
    }

    pub(crate) fn candidate(&mut self) -> Result<Candidate<Value>, WireError> {
        Ok(Candidate {
            rank: Rank(self.u64()?),
            value: self.value()?,
        })
    }

    fn answer(&mut self) -> Result<Answer<Value>, WireError> {
        let step = self.u32()?;
        let first = self.candidate()?;
        let prev = self.prev()?;
        Ok(Answer { step, first, prev })
    }

    /// The greatest candidate of the step before, if there was one.
    pub(crate) fn prev(&mut self) -> Result<Option<Candidate<Value>>, WireError> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.candidate().map(Some),
            _ => Err(WireError::Field("prev")),
        }
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(WireError::BodyTooLong(left)),
        }
    }
}
