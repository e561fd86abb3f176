//! Traits of other libraries, behind features.
//!
//! | feature | what | costs |
//! |---|---|---|
//! | `futures-io` | [`FuturesIo`]: `AsyncRead`, `AsyncBufRead`, `AsyncWrite`, for files `AsyncSeek` | one copy of each byte |

mod futures_io;
mod reading;
mod seeking;
mod writing;

pub use futures_io::FuturesIo;
#[cfg(test)]
pub(crate) use reading::PIECE_LENGTH;
