//! Cancel an operation and keep its buffer: a read with a deadline that gives its buffer back, and a read
//! that is simply dropped, which loses no byte either.
//!
//! ```text
//! cargo run --example cancel
//! ```

use std::io;
use std::pin::pin;
use std::time::Duration;

use krug::buf::BufResult;
use krug::io::Canceller;
use krug::net::UnixStream;
use krug::time::{sleep, timeout};

/// As `stream.read(buf)`, but resolves to `None` if nothing has come within `patience`. The buffer comes back
/// in any case.
async fn read_within(
    patience: Duration,
    stream: &UnixStream,
    buf: Vec<u8>,
) -> BufResult<Option<usize>, Vec<u8>> {
    let canceller = Canceller::new();
    let mut reading = pin!(canceller.scope(stream.read(buf)));
    let (result, buf) = krug::select! {
        biased;
        finished = &mut reading => finished,
        () = sleep(patience) => {
            canceller.cancel();
            // Not dropped but waited for: the kernel may have read something in this very moment.
            reading.await
        }
    };
    match result {
        Err(error) if Canceller::was_cancelled(&error) => (Ok(None), buf),
        result => (result.map(Some), buf),
    }
}

#[krug::main]
async fn main() -> io::Result<()> {
    let (stream, peer) = UnixStream::pair()?;
    let patience = Duration::from_millis(50);

    // Nobody writes: the deadline passes, and the megabyte is ours again, not left with the kernel.
    let (result, buf) = read_within(patience, &stream, Vec::with_capacity(1 << 20)).await;
    println!("after {patience:?}: {:?}", result?);
    println!("the buffer is back: {} bytes of room", buf.capacity());

    // The same buffer, for a read that finds something.
    peer.write_all("in time").await.0?;
    let (result, buf) = read_within(patience, &stream, buf).await;
    println!("read {:?}: {}", result?, String::from_utf8_lossy(&buf));

    // A read that is dropped goes on in the kernel, and its buffer with it. The bytes that it gets are the
    // stream's: the next read finds them.
    let dropped = timeout(patience, stream.read(buf)).await;
    println!("dropped while it waited: {}", dropped.is_err());
    peer.write_all("not lost").await.0?;
    let (result, buf) = stream.read(Vec::with_capacity(64)).await;
    println!("read {:?}: {}", result?, String::from_utf8_lossy(&buf));
    Ok(())
}
