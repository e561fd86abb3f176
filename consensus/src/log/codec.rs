//! The entries of a log as bytes: one record of the journal each.
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 1 | version | [`VERSION`] |
//! | 1 | kind | 1 claimed, 2 registered, 3 decided, 4 end of a batch |
//! | … | body | the fields, in the order of their declaration, as in [`wire`](crate::wire) |
//!
//! There is no length and no checksum: the journal has both.

use std::fmt;

use crate::core::{LogRecord, Register};
use crate::wire::WireError;
use crate::wire::codec::{Fields, write_candidate, write_claim, write_prev, write_value};

/// The version of this format. An entry of another version is refused.
pub const VERSION: u8 = 1;

const CLAIMED: u8 = 1;
const REGISTERED: u8 = 2;
const DECIDED: u8 = 3;
const END: u8 = 4;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Something that the peer must not forget.
    Record(LogRecord),
    /// What stands before this was written together.
    End,
}

/// Why bytes are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryError {
    /// A version this program does not know.
    Version(u8),
    /// A kind this program does not know.
    Kind(u8),
    /// The body is none.
    Body(WireError),
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryError::Version(version) => {
                write!(f, "version {version} is not {VERSION}")
            }
            EntryError::Kind(kind) => write!(f, "kind {kind} is unknown"),
            EntryError::Body(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for EntryError {}

impl From<WireError> for EntryError {
    fn from(error: WireError) -> EntryError {
        EntryError::Body(error)
    }
}

/// The bytes of the end of a batch.
pub const END_BYTES: [u8; 2] = [VERSION, END];

/// The bytes of a record.
pub fn encode(record: &LogRecord) -> Vec<u8> {
    let mut out = vec![VERSION];
    match record {
        LogRecord::Claimed(claim) => {
            out.push(CLAIMED);
            write_claim(claim, &mut out);
        }
        LogRecord::Registered { slot, register } => {
            out.push(REGISTERED);
            out.extend_from_slice(&slot.to_le_bytes());
            out.extend_from_slice(&register.step.to_le_bytes());
            write_candidate(&register.first, &mut out);
            write_candidate(&register.best, &mut out);
            write_prev(register.prev.as_ref(), &mut out);
        }
        LogRecord::Decided { slot, value } => {
            out.push(DECIDED);
            out.extend_from_slice(&slot.to_le_bytes());
            write_value(value, &mut out);
        }
    }
    out
}

/// Reads an entry back. Allocates no more than `bytes` can fill.
///
/// # Errors
///
/// If they are none.
pub fn decode(bytes: &[u8]) -> Result<Entry, EntryError> {
    let mut fields = Fields::new(bytes);
    let (version, kind) = (fields.u8()?, fields.u8()?);
    if version != VERSION {
        return Err(EntryError::Version(version));
    }
    let entry = match kind {
        CLAIMED => Entry::Record(LogRecord::Claimed(fields.claim()?)),
        REGISTERED => Entry::Record(LogRecord::Registered {
            slot: fields.u64()?,
            register: Register {
                step: fields.u32()?,
                first: fields.candidate()?,
                best: fields.candidate()?,
                prev: fields.prev()?,
            },
        }),
        DECIDED => Entry::Record(LogRecord::Decided {
            slot: fields.u64()?,
            value: fields.value()?,
        }),
        END => Entry::End,
        kind => return Err(EntryError::Kind(kind)),
    };
    fields.end()?;
    Ok(entry)
}
