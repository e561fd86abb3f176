//! What is done.

use std::io;
use std::time::Duration;

use krug::net::UnixStream;
use krug::spawn;
use krug::sync::mpsc;
use krug::task::yield_now;
use krug::time::{pause, sleep, timeout};

use super::runtime;

const MESSAGE: usize = 64;

/// As many tasks as are done at a time, so that one turn of the loop submits one batch.
pub(super) fn nops(operations: u64, at_a_time: u64) -> io::Result<()> {
    let each = operations.div_ceil(at_a_time);
    runtime()?.block_on(async {
        let tasks: Vec<_> = (0..at_a_time).map(|_| spawn(nop_loop(each))).collect();
        for task in tasks {
            task.await.map_err(io::Error::other)??;
        }
        Ok(())
    })
}

async fn nop_loop(count: u64) -> io::Result<()> {
    for _ in 0..count {
        krug::io::nop().await?;
    }
    Ok(())
}

pub(super) fn spawn_one_by_one(operations: u64) -> io::Result<()> {
    runtime()?.block_on(async {
        for number in 0..operations {
            let joined = spawn(async move { number }).await;
            check(joined.map_err(io::Error::other)? == number)?;
        }
        Ok(())
    })
}

pub(super) fn spawn_in_batches(operations: u64) -> io::Result<()> {
    const AT_ONCE: u64 = 1000;
    runtime()?.block_on(async {
        let mut tasks = Vec::with_capacity(AT_ONCE as usize);
        for _ in 0..operations.div_ceil(AT_ONCE) {
            tasks.extend((0..AT_ONCE).map(|number| spawn(async move { number })));
            for (number, task) in tasks.drain(..).enumerate() {
                check(task.await.map_err(io::Error::other)? == number as u64)?;
            }
        }
        Ok(())
    })
}

pub(super) fn yields(operations: u64) -> io::Result<()> {
    runtime()?.block_on(async {
        for _ in 0..operations {
            yield_now().await;
        }
    });
    Ok(())
}

pub(super) fn channel(operations: u64) -> io::Result<()> {
    runtime()?.block_on(async {
        let (asking, mut asked) = mpsc::channel(1);
        let (answering, mut answered) = mpsc::channel(1);
        let other = spawn(async move {
            while let Some(number) = asked.recv().await {
                answering.send(number).await.expect("somebody has asked");
            }
        });
        for number in 0..operations {
            asking.send(number).await.map_err(io::Error::other)?;
            check(answered.recv().await == Some(number))?;
        }
        drop(asking);
        other.await.map_err(io::Error::other)
    })
}

/// On a clock that stands still and jumps: what is due when does not depend on how fast the machine is.
pub(super) fn sleeps(operations: u64) -> io::Result<()> {
    const AT_ONCE: u64 = 10_000;
    runtime()?.block_on(async {
        pause();
        let mut tasks = Vec::with_capacity(AT_ONCE as usize);
        for _ in 0..operations.div_ceil(AT_ONCE) {
            // All lengths up to ten seconds, in disorder.
            let lengths = (0..AT_ONCE).map(|number| number * 7_919 % AT_ONCE + 1);
            tasks.extend(lengths.map(|length| spawn(sleep(Duration::from_millis(length)))));
            for task in tasks.drain(..) {
                task.await.map_err(io::Error::other)?;
            }
        }
        Ok(())
    })
}

/// A message there and back, between two tasks.
pub(super) fn stream(operations: u64, with_timeouts: bool) -> io::Result<()> {
    runtime()?.block_on(async {
        let (near, far) = UnixStream::pair()?;
        let other = spawn(answer(far, with_timeouts));
        let mut message = vec![0; MESSAGE];
        for number in 0..operations {
            message.fill(number as u8);
            let (written, sent) = near.write_all(message).await;
            written?;
            message = receive(&near, sent, with_timeouts).await?;
            check(message == [number as u8; MESSAGE])?;
        }
        drop(near);
        other.await.map_err(io::Error::other)?
    })
}

async fn answer(stream: UnixStream, with_timeouts: bool) -> io::Result<()> {
    let mut message = vec![0; MESSAGE];
    loop {
        message = receive(&stream, message, with_timeouts).await?;
        if message.is_empty() {
            return Ok(());
        }
        let (written, sent) = stream.write_all(message).await;
        written?;
        message = sent;
    }
}

/// What comes next; nothing at the end of the stream.
async fn receive(
    stream: &UnixStream,
    mut buffer: Vec<u8>,
    with_timeouts: bool,
) -> io::Result<Vec<u8>> {
    buffer.clear();
    let reading = stream.read(buffer);
    let (read, filled) = if with_timeouts {
        timeout(Duration::from_secs(600), reading)
            .await
            .map_err(io::Error::other)?
    } else {
        reading.await
    };
    read.map(|_| filled)
}

fn check(is_right: bool) -> io::Result<()> {
    if is_right {
        Ok(())
    } else {
        Err(io::Error::other("something else has come back"))
    }
}
