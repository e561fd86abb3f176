//! Traits of other libraries, behind features.
//!
//! | feature | what | costs |
//! |---|---|---|
//! | `futures-io` | [`FuturesIo`]: `AsyncRead`, `AsyncBufRead`, `AsyncWrite` | one copy of each byte |

mod futures_io;
mod reading;
mod writing;

pub use futures_io::FuturesIo;
#[cfg(test)]
pub(crate) use reading::PIECE_LENGTH;
