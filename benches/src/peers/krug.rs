//! krug on one thread, with either driver.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::krug::net::{TcpListener, TcpStream};
use ::krug::runtime::{Builder, Driver};
use ::krug::task::{Class, spawn_in, yield_now};
use ::krug::time::timeout;

use super::{Job, LIMIT, Served, hog};

pub(crate) fn serve(driver: Driver, job: &Job) -> io::Result<Served> {
    serve_with(of_one_core(driver), job, echo)
}

/// The same, and a core that has nothing to do sleeps at once.
pub(crate) fn serve_without_spin(driver: Driver, job: &Job) -> io::Result<Served> {
    serve_with(of_one_core(driver).spin(Duration::ZERO), job, echo)
}

/// As it is recommended for a server that has a processor for itself.
fn of_one_core(driver: Driver) -> Builder {
    Builder::new().driver(driver).pin(true)
}

/// The same, and every receive has a timeout.
pub(crate) fn serve_with_timeouts(driver: Driver, job: &Job) -> io::Result<Served> {
    serve_with(of_one_core(driver), job, echo_with_timeouts)
}

/// The same, and a connection on which nothing comes holds no buffer.
pub(crate) fn serve_without_buffers(driver: Driver, job: &Job) -> io::Result<Served> {
    serve_with(of_one_core(driver), job, |stream, _| {
        echo_without_buffer(stream)
    })
}

fn serve_with<F: Future<Output = io::Result<()>> + 'static>(
    builder: Builder,
    job: &Job,
    echo: impl Fn(TcpStream, usize) -> F,
) -> io::Result<Served> {
    let runtime = builder.build()?;
    runtime.block_on(serve_all(job, Class::Default, echo))?;
    Ok(Served {
        enters: Some(runtime.metrics().enters),
        detail: None,
    })
}

/// Serves in this class, beside a hog of the default class. How often that was polled.
pub(crate) fn serve_beside_a_hog(driver: Driver, class: Class, job: &Job) -> io::Result<u64> {
    let runtime = Builder::new().driver(driver).build()?;
    let polls = Arc::<AtomicU64>::default();
    let hog = runtime.spawn(hog::run(Arc::clone(&polls), yield_now));
    runtime.block_on(serve_all(job, class, echo))?;
    hog.abort();
    Ok(polls.load(Ordering::Relaxed))
}

async fn serve_all<F: Future<Output = io::Result<()>> + 'static>(
    job: &Job,
    class: Class,
    echo: impl Fn(TcpStream, usize) -> F,
) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    job.listening(listener.local_addr()?);
    let mut tasks = Vec::with_capacity(job.connections);
    for _ in 0..job.connections {
        let stream = listener.accept().await?;
        stream.set_nodelay(true)?;
        tasks.push(spawn_in(class, echo(stream, job.bytes)));
    }
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Ok(())
}

async fn echo(stream: TcpStream, bytes: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(bytes);
    loop {
        let (received, data) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let (sent, data) = stream.write_all(data).await;
        sent?;
        buffer = data;
    }
}

async fn echo_with_timeouts(stream: TcpStream, bytes: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(bytes);
    loop {
        let (received, data) = timeout(LIMIT, stream.read(buffer)).await?;
        if received? == 0 {
            return Ok(());
        }
        let (sent, data) = stream.write_all(data).await;
        sent?;
        buffer = data;
    }
}

async fn echo_without_buffer(stream: TcpStream) -> io::Result<()> {
    loop {
        let chunk = stream.recv().await?;
        if chunk.is_empty() {
            return Ok(());
        }
        let (sent, _) = stream.write_all(chunk).await;
        sent?;
    }
}

/// As many tasks as the batch has operations, so that one turn of the loop submits one batch.
pub(crate) fn nops(driver: Driver, operations: u64, batch: usize) -> io::Result<u64> {
    let each = operations.div_ceil(batch as u64);
    let runtime = Builder::new().driver(driver).build()?;
    runtime.block_on(async {
        let loops: Vec<_> = (0..batch).map(|_| ::krug::spawn(nop_loop(each))).collect();
        for task in loops {
            task.await.map_err(io::Error::other)??;
        }
        Ok(each * batch as u64)
    })
}

async fn nop_loop(count: u64) -> io::Result<()> {
    for _ in 0..count {
        ::krug::io::nop().await?;
    }
    Ok(())
}
