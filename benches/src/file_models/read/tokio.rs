//! tokio: a task for each read in flight, which has its pool of threads do it. `tokio::fs` has no read at an
//! offset; its page <https://docs.rs/tokio/latest/tokio/fs/> says to put what belongs together into one
//! `spawn_blocking`, as a seek and a read would be two trips to the pool.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use ::tokio::runtime::Builder;
use ::tokio::task::spawn_blocking;

use super::{Block, Job, Reads, read_block};
use crate::harness::meter::Measured;

pub(super) fn read(job: &Job) -> io::Result<Measured> {
    let runtime = Builder::new_current_thread().build()?;
    runtime.block_on(read_all(Arc::new(job.clone())))
}

async fn read_all(job: Arc<Job>) -> io::Result<Measured> {
    let file = Arc::new(job.open()?);
    let reads = Arc::new(Mutex::new(Reads::new(&job)));
    let tasks: Vec<_> = (0..job.depth)
        .map(|_| {
            let (file, job, reads) = (Arc::clone(&file), Arc::clone(&job), Arc::clone(&reads));
            ::tokio::spawn(one_after_the_other(file, job, reads))
        })
        .collect();
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    let reads = Arc::into_inner(reads).expect("all tasks have ended");
    Ok(reads
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .measured())
}

async fn one_after_the_other(
    file: Arc<std::fs::File>,
    job: Arc<Job>,
    reads: Arc<Mutex<Reads>>,
) -> io::Result<()> {
    let lock = || reads.lock().unwrap_or_else(PoisonError::into_inner);
    let mut block = Box::new(Block::EMPTY);
    loop {
        let Some((asked, length)) = ({
            let mut reads = lock();
            reads.next().map(|asked| (asked, reads.length(&asked)))
        }) else {
            return Ok(());
        };
        let (file, job) = (Arc::clone(&file), Arc::clone(&job));
        let trip = spawn_blocking(move || {
            let result = read_block(&file, &job, asked.offset(), length, &mut block);
            (result, block)
        });
        let (result, back) = trip.await.map_err(io::Error::other)?;
        block = back;
        result?;
        lock().done(asked, &block.0)?;
    }
}
