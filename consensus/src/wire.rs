//! The bytes between two heroes.
//!
//! A message travels as one frame; all numbers are little-endian.
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 4 | length | how many bytes follow the checksum: version, kind and body |
//! | 4 | checksum | CRC-32C over length, version, kind and body |
//! | 1 | version | [`VERSION`] |
//! | 1 | kind | which message, see [`Kind`] |
//! | … | body | the message's fields, in the order of their declaration |
//!
//! Whatever arrives, decoding ends in a message or in a [`WireError`]: it never
//! panics, and never allocates more than the bytes that are there can fill.

pub(crate) mod codec;
mod crc32c;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::core::Message;

pub use codec::Kind;
pub use crc32c::crc32c;

/// The version of this format. A frame of another version is refused.
pub const VERSION: u8 = 1;

/// The most bytes a frame may have behind its checksum.
pub const LENGTH_MAX: usize = 1 << 20;

/// Length and checksum.
const HEAD: usize = 8;

/// Version and kind.
const LENGTH_MIN: usize = 2;

/// Why bytes are no message. After any of these a stream has lost its frame borders
/// and must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The length field is below 2 or above [`LENGTH_MAX`].
    Length(u32),
    /// The checksum does not fit: bytes were changed on the way.
    Checksum {
        /// What the frame says.
        stated: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// A version this program does not speak.
    Version(u8),
    /// A kind this program does not know.
    Kind(u8),
    /// The body ends within a field.
    BodyTooShort,
    /// So many bytes are left after the last field.
    BodyTooLong(usize),
    /// A field holds a value that no message has.
    Field(&'static str),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Length(length) => {
                write!(
                    f,
                    "frame length {length} is outside {LENGTH_MIN}..{LENGTH_MAX}"
                )
            }
            WireError::Checksum { stated, computed } => {
                write!(
                    f,
                    "frame checksum is {computed:#010x}, stated as {stated:#010x}"
                )
            }
            WireError::Version(version) => {
                write!(f, "frame version {version} is not {VERSION}")
            }
            WireError::Kind(kind) => write!(f, "message kind {kind} is unknown"),
            WireError::BodyTooShort => f.write_str("message body ends within a field"),
            WireError::BodyTooLong(left) => {
                write!(f, "message body has {left} bytes after its last field")
            }
            WireError::Field(field) => write!(f, "message field `{field}` has an impossible value"),
        }
    }
}

impl std::error::Error for WireError {}

/// Appends `message` to `out` as one frame.
///
/// # Panics
///
/// If the message does not fit a frame: the core never makes one so large, because
/// the number of heroes is bounded.
pub fn encode(message: &Message, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    out.extend_from_slice(&[VERSION, Kind::of(message) as u8]);
    codec::write_body(message, out);
    let length = out.len() - start - HEAD;
    assert!(
        length <= LENGTH_MAX,
        "a message of {length} bytes fits no frame"
    );
    let length = (length as u32).to_le_bytes();
    let checksum = crc32c(&[&length, &out[start + HEAD..]]).to_le_bytes();
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + HEAD].copy_from_slice(&checksum);
}

/// Reads the frame at the start of `bytes`: the message and the frame's size, or `None`
/// while it is not whole.
///
/// # Errors
///
/// If the bytes that are there cannot become a message.
pub fn decode(bytes: &[u8]) -> Result<Option<(Message, usize)>, WireError> {
    let Some((length_field, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length_field);
    let size = length as usize;
    if !(LENGTH_MIN..=LENGTH_MAX).contains(&size) {
        return Err(WireError::Length(length));
    }
    let Some((checksum, rest)) = rest.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let Some(covered) = rest.get(..size) else {
        return Ok(None);
    };
    let (stated, computed) = (
        u32::from_le_bytes(*checksum),
        crc32c(&[length_field, covered]),
    );
    if stated != computed {
        return Err(WireError::Checksum { stated, computed });
    }
    let (version, kind, body) = (covered[0], covered[1], &covered[LENGTH_MIN..]);
    if version != VERSION {
        return Err(WireError::Version(version));
    }
    let kind = Kind::from_byte(kind).ok_or(WireError::Kind(kind))?;
    let message = codec::read_body(kind, body)?;
    Ok(Some((message, HEAD + size)))
}

/// How many bytes the first frame of `bytes` says it has, whether they are there or not; `None` if there
/// are too few to say so.
pub fn frame_size(bytes: &[u8]) -> Option<usize> {
    let length = bytes.first_chunk::<4>()?;
    Some(HEAD + u32::from_le_bytes(*length) as usize)
}

/// Cuts a stream of bytes, in whatever pieces it arrives, into messages.
///
/// It holds at most one frame that is not whole, and what was pushed behind it.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Where the first frame that was not taken yet begins.
    start: usize,
    failed: Option<WireError>,
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Takes the next bytes of the stream; after an error they are thrown away.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        // What was taken is moved away once per push, not once per message.
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message, or `None` until more bytes arrive.
    ///
    /// # Errors
    ///
    /// If the stream is broken; from then on always the same error.
    pub fn next_message(&mut self) -> Result<Option<Message>, WireError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match decode(&self.bytes[self.start..]) {
            Ok(None) => Ok(None),
            Ok(Some((message, size))) => {
                self.start += size;
                Ok(Some(message))
            }
            Err(error) => {
                self.failed = Some(error);
                self.bytes = Vec::new();
                self.start = 0;
                Err(error)
            }
        }
    }

    /// How many bytes wait for the rest of their frame. Not 0 at the end of a stream
    /// means that the stream was cut within a message.
    pub fn pending(&self) -> usize {
        self.bytes.len() - self.start
    }
}
