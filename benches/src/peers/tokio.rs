//! tokio on one thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::net::{TcpListener, TcpStream};
use ::tokio::runtime::Builder;
use ::tokio::task::yield_now;
use ::tokio::time::timeout;

use super::{Job, LIMIT, Served, hog};

pub(crate) fn serve(job: &Job) -> io::Result<Served> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(serve_all(job, echo))?;
    Ok(Served::default())
}

/// The same, and every receive has a timeout.
pub(crate) fn serve_with_timeouts(job: &Job) -> io::Result<Served> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve_all(job, echo_with_timeouts))?;
    Ok(Served::default())
}

/// The same, and a connection on which nothing comes holds no buffer.
pub(crate) fn serve_without_buffers(job: &Job) -> io::Result<Served> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(serve_all(job, |stream, _| echo_without_buffer(stream)))?;
    Ok(Served::default())
}

/// The same with buffers of another size.
pub(crate) fn serve_in_pieces(job: &Job, bytes: usize) -> io::Result<Served> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(serve_all(job, |stream, _| echo(stream, bytes)))?;
    Ok(Served::default())
}

/// Serves beside a hog. How often that was polled.
pub(crate) fn serve_beside_a_hog(job: &Job) -> io::Result<u64> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let polls = Arc::<AtomicU64>::default();
    let hog = runtime.spawn(hog::run(Arc::clone(&polls), yield_now));
    runtime.block_on(serve_all(job, echo))?;
    hog.abort();
    Ok(polls.load(Ordering::Relaxed))
}

async fn serve_all<F: Future<Output = io::Result<()>> + Send + 'static>(
    job: &Job,
    echo: impl Fn(TcpStream, usize) -> F,
) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    job.listening(listener.local_addr()?);
    let mut tasks = Vec::with_capacity(job.connections);
    for _ in 0..job.connections {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tasks.push(::tokio::spawn(echo(stream, job.bytes)));
    }
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Ok(())
}

async fn echo(mut stream: TcpStream, bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; bytes];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

async fn echo_with_timeouts(mut stream: TcpStream, bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; bytes];
    loop {
        let count = timeout(LIMIT, stream.read(&mut buffer)).await??;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

/// As its documentation of `TcpStream::readable` shows it: the buffer is on the stack, and gone before the task waits.
async fn echo_without_buffer(stream: TcpStream) -> io::Result<()> {
    loop {
        stream.readable().await?;
        match answer(&stream) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

/// Sends back what has come; says how much. An answer that the socket does not take at once is an error: messages are small here.
fn answer(stream: &TcpStream) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    let count = stream.try_read(&mut buffer)?;
    match stream.try_write(&buffer[..count]) {
        Ok(sent) if sent == count => Ok(count),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}
