//! `AsyncSeek` for files.

use std::borrow::Borrow;
use std::future::Future;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::AsyncSeek;

use super::FuturesIo;
use crate::fs::File;

/// A seek on its way.
pub(super) type Seeking = Pin<Box<dyn Future<Output = io::Result<u64>> + Send + Sync>>;

impl<S: Borrow<File>> AsyncSeek for FuturesIo<S> {
    /// Moves the cursor, after everything that was accepted. What was read and not handed out is read again.
    fn poll_seek(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        if this.seeking.is_none() {
            this.reading.reset();
        }
        let file: &File = this.stream.borrow();
        let seeking = this
            .seeking
            .get_or_insert_with(|| Box::pin(file.seek_detached(to)));
        let result = ready!(seeking.as_mut().poll(cx));
        this.seeking = None;
        Poll::Ready(result)
    }
}
