//! [`copy`] and [`copy_bidirectional`]: from a reader to a writer.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use super::{AsyncReadOwned, AsyncWriteOwned};

/// The most bytes that [`copy`] reads at a time.
pub(crate) const COPY_LENGTH: usize = 64 << 10;

/// Copies everything from `reader` to `writer`, up to its end, and flushes. Resolves to the count of
/// bytes. The writer is not shut down.
///
/// The bytes are not copied inside this program: the buffer that was read into is the one that is sent. It has 64 KiB and
/// lives as long as this future.
///
/// Dropping this future loses nothing: what it has read is sent all the same, before anything written
/// afterwards, and what it has not read goes to the next read. Calling `copy` again goes on where this one was.
///
/// ```
/// use krug::io;
/// use krug::net::UnixStream;
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let (client, server) = UnixStream::pair()?;
/// let echo = krug::spawn(async move { io::copy(&server, &server).await });
/// let (result, _buf) = client.write_all("hello").await;
/// result?;
/// client.shutdown(std::net::Shutdown::Write).await?;
/// assert_eq!(io::read_to_string(&client).await?, "hello");
/// assert_eq!(echo.await.unwrap()?, 5);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// # Errors
///
/// The reader's or the writer's. After an error of the writer, or after a [`Canceller`](super::Canceller) has stopped
/// it, bytes that were read may not have arrived.
pub async fn copy<R, W>(mut reader: R, mut writer: W) -> io::Result<u64>
where
    R: AsyncReadOwned,
    W: AsyncWriteOwned,
{
    // What an earlier copy has left behind goes first; else copies that are dropped again and again would heap it up.
    writer.flush().await?;
    let mut copied = 0;
    let mut buf = Vec::with_capacity(COPY_LENGTH);
    loop {
        let (result, filled) = reader.read(buf).await;
        let count = result?;
        if count == 0 {
            writer.flush().await?;
            return Ok(copied);
        }
        // Accepted at once: there is no moment at which the bytes belong to this future alone and it could be dropped.
        let (result, sent) = writer.commit(filled).await;
        result?;
        copied += count as u64;
        buf = sent;
    }
}

/// Copies both ways at the same time, until both have ended: what a proxy does. The end of the one is passed on
/// to the other by shutting it down for writing. Resolves to the counts of bytes from `a` to `b`, and from `b` to `a`.
///
/// Dropping this future loses nothing, as for [`copy`]; ends that were passed on stay.
///
/// # Errors
///
/// The first error of either way; the other way is dropped then.
pub async fn copy_bidirectional<'a, 'b, A, B>(a: &'a A, b: &'b B) -> io::Result<(u64, u64)>
where
    &'a A: AsyncReadOwned + AsyncWriteOwned,
    &'b B: AsyncReadOwned + AsyncWriteOwned,
{
    let mut there = pin!(copy_and_shut_down(a, b));
    let mut back = pin!(copy_and_shut_down(b, a));
    let (mut to_b, mut to_a) = (None, None);
    poll_fn(|cx| {
        if to_b.is_none()
            && let Poll::Ready(result) = there.as_mut().poll(cx)
        {
            to_b = Some(result?);
        }
        if to_a.is_none()
            && let Poll::Ready(result) = back.as_mut().poll(cx)
        {
            to_a = Some(result?);
        }
        match (to_b, to_a) {
            (Some(to_b), Some(to_a)) => Poll::Ready(Ok((to_b, to_a))),
            _ => Poll::Pending,
        }
    })
    .await
}

async fn copy_and_shut_down<R, W>(reader: R, mut writer: W) -> io::Result<u64>
where
    R: AsyncReadOwned,
    W: AsyncWriteOwned,
{
    let copied = copy(reader, &mut writer).await?;
    match writer.shutdown().await {
        // The peer has closed both ways already: there is nobody to tell.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(copied),
        result => result.map(|()| copied),
    }
}
