//! What all streams have in common: the methods to read and to write.
//!
//! `TcpStream`, `UnixStream`, their halves and the ends of a pipe share one set of
//! methods, which take an owned buffer and give it back with the result: see
//! [`buf`](crate::buf) for the rules. The rest of this module is built upon them.
//!
//! # Which way to read and write
//!
//! Copies are those inside the program; the kernel makes its own, from and to its socket buffers.
//!
//! | you want | use | copies of each byte | what dropping a future does |
//! |---|---|---|---|
//! | the least work for each byte; the buffer is yours | `stream.read(buf)`, `write_all(buf)` | none | bytes go to the next read; a write that has begun is sent whole |
//! | everything from here to there | [`copy`](copy()), [`copy_bidirectional`] | none | nothing is lost: what was read is sent |
//! | everything up to the end | [`read_to_end`], [`read_to_string`] | none, but for the growth of the buffer | what was read so far is dropped with the buffer |
//! | lines, records, small reads | [`BufReader`] | one, to you; one more for what spans two reads | nothing is lost: it stays in the reader |
//! | many small writes | [`BufWriter`] | one | what was accepted is sent |
//! | to lend a `&mut [u8]`, or a library that does: the traits of `futures-io` | `compat::FuturesIo`, feature `futures-io` | one | nothing is lost; what was accepted is sent |
//!
//! Code that shall work with any of the streams asks for [`AsyncReadOwned`] and [`AsyncWriteOwned`].
//!
//! # Who reads next, when a read was dropped
//!
//! A stream has at most one receive and one send in flight. Several futures on one
//! stream are served in the order in which they were first polled. A read that is
//! dropped in flight goes on; its bytes go to the next read. A write that is dropped in flight
//! goes on, too, until all of its buffer is sent; what is written afterwards comes after it.
//! So retrying a write that timed out sends the bytes twice.

mod buf_reader;
mod buf_writer;
mod cancel;
mod copy;
mod lines;
mod methods;
mod owned;
mod readiness;
// Ports are asked for by the borrowing traits alone.
#[cfg_attr(not(feature = "futures-io"), allow(dead_code))]
pub(crate) mod streams;
mod to_end;
mod whole;

pub use buf_reader::BufReader;
pub use buf_writer::BufWriter;
pub use cancel::Canceller;
pub use copy::{copy, copy_bidirectional};
pub use lines::{Lines, Split};
pub use owned::{AsyncReadOwned, AsyncWriteOwned};
pub use readiness::{readable, writable};
pub use to_end::{read_to_end, read_to_string};

pub(crate) use methods::{read_methods, stream_end_methods, write_methods};
pub(crate) use streams::{read_stream, write_stream};
pub(crate) use whole::Whole;

use std::io;

use crate::inflight;
use crate::op::nop::Nop;

/// Does nothing, through the whole ring and back: for measuring what the way itself costs.
///
/// Dropping this future cancels it.
///
/// # Errors
///
/// Outside a runtime, and in one that is shutting down.
pub fn nop() -> impl Future<Output = io::Result<()>> {
    inflight::submit(Nop)
}

#[cfg(test)]
pub(crate) mod bounds {
    //! What the table of bounds tells of this module.

    pub(crate) const COPY: usize = super::copy::COPY_LENGTH;
    pub(crate) const BUFFER: [usize; 2] = [
        super::buf_reader::CAPACITY_DEFAULT,
        super::buf_writer::CAPACITY_DEFAULT,
    ];
}
