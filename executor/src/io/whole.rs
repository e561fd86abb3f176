//! [`Whole`]: all of a buffer, or an error.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::buf::BufResult;
use crate::op::send::whole_or_error;

/// A transfer of which nobody wants to know the count.
pub(crate) struct Whole<F> {
    transfer: F,
    /// Fewer bytes than that are an error.
    length: usize,
}

impl<F> Whole<F> {
    pub(crate) fn new(transfer: F, length: usize) -> Whole<F> {
        Whole { transfer, length }
    }
}

impl<B, F: Future<Output = BufResult<usize, B>> + Unpin> Future for Whole<F> {
    type Output = BufResult<(), B>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (result, buf) = ready!(Pin::new(&mut self.transfer).poll(cx));
        Poll::Ready((whole_or_error(result, self.length), buf))
    }
}
