//! tokio on one thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::net::{TcpListener, TcpStream};
use ::tokio::runtime::Builder;
use ::tokio::task::yield_now;

use super::{Job, Served, hog};

pub(crate) fn serve(job: &Job) -> io::Result<Served> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(serve_all(job))?;
    Ok(Served::default())
}

/// Serves beside a hog. How often that was polled.
pub(crate) fn serve_beside_a_hog(job: &Job) -> io::Result<u64> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let polls = Arc::<AtomicU64>::default();
    let hog = runtime.spawn(hog::run(Arc::clone(&polls), yield_now));
    runtime.block_on(serve_all(job))?;
    hog.abort();
    Ok(polls.load(Ordering::Relaxed))
}

async fn serve_all(job: &Job) -> io::Result<()> {
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
