//! krug on one thread, with either driver.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::krug::net::{TcpListener, TcpStream};
use ::krug::runtime::{Builder, Driver};
use ::krug::task::{Class, spawn_in, yield_now};

use super::{Job, Served, hog};

pub(crate) fn serve(driver: Driver, job: &Job) -> io::Result<Served> {
    let runtime = Builder::new().driver(driver).pin(true).build()?;
    runtime.block_on(serve_all(job, Class::Default))?;
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
    runtime.block_on(serve_all(job, class))?;
    hog.abort();
    Ok(polls.load(Ordering::Relaxed))
}

async fn serve_all(job: &Job, class: Class) -> io::Result<()> {
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
