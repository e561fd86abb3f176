//! A thread for each read in flight, which waits for it. Depth 1 is the plain loop.

use std::fs::File;
use std::io;
use std::thread;
use std::time::Instant;

use super::{Block, Job, Reads, read_block};
use crate::floor::system;
use crate::harness::meter::Measured;

pub(super) fn read(job: &Job) -> io::Result<Measured> {
    let file = job.open()?;
    if job.depth == 1 {
        return one_after_the_other(&file, job, Reads::new(job));
    }
    let (began, busy_before) = (Instant::now(), system::process_time());
    let workers = thread::scope(|scope| {
        let mut threads = Vec::with_capacity(job.depth);
        for index in 0..job.depth {
            let (file, reads) = (&file, Reads::of_thread(job, index, began));
            let builder = thread::Builder::new().stack_size(128 * 1024);
            threads
                .push(builder.spawn_scoped(scope, move || one_after_the_other(file, job, reads))?);
        }
        threads
            .into_iter()
            .map(|thread| thread.join().expect("it does not panic"))
            .collect::<io::Result<Vec<_>>>()
    })?;
    let busy = system::process_time() - busy_before;
    Ok(Measured::together(workers, busy))
}

fn one_after_the_other(file: &File, job: &Job, mut reads: Reads) -> io::Result<Measured> {
    let mut block = Block::EMPTY;
    while let Some(asked) = reads.next() {
        let length = reads.length(&asked);
        read_block(file, job, asked.offset(), length, &mut block)?;
        reads.done(asked, &block.0)?;
    }
    Ok(reads.measured())
}
