//! krug on one thread: a task for each read in flight.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use ::krug::buf::{self, Buffer, IoBuf};
use ::krug::fs::{DirectFile, File};
use ::krug::runtime::{Builder, Driver};

use super::{Access, Job, Reads};
use crate::file_models::content::BLOCK;
use crate::file_models::ends_early;
use crate::harness::meter::Measured;

enum Opened {
    Cached(File),
    Direct(DirectFile),
}

impl Opened {
    async fn open(job: &Job) -> io::Result<Opened> {
        match job.access {
            Access::Cached => File::open(&job.path).await.map(Opened::Cached),
            Access::Direct => DirectFile::open(&job.path).await.map(Opened::Direct),
        }
    }

    /// Memory that the ring knows, where there is enough of it.
    fn buffer(&self) -> Buffer {
        match self {
            Opened::Cached(_) => buf::alloc(BLOCK),
            Opened::Direct(file) => file.buffer(BLOCK),
        }
    }

    async fn read_at(
        &self,
        buffer: buf::Slice<Buffer>,
        offset: u64,
    ) -> (io::Result<usize>, Buffer) {
        let (result, part) = match self {
            Opened::Cached(file) => file.read_at(buffer, offset).await,
            Opened::Direct(file) => file.read_at(buffer, offset).await,
        };
        (result, part.into_inner())
    }
}

pub(super) fn read(driver: Driver, job: &Job) -> io::Result<Measured> {
    read_with(Builder::new().driver(driver), job)
}

/// On the ring, by a core that looks on for up to so long before it sleeps, if that catches something.
pub(super) fn read_looking_on(longest: Duration, job: &Job) -> io::Result<Measured> {
    let builder = Builder::new().driver(Driver::Uring);
    read_with(builder.pin(true).spin(longest), job)
}

fn read_with(builder: Builder, job: &Job) -> io::Result<Measured> {
    let runtime = builder.build()?;
    let measured = runtime.block_on(read_all(job.clone()))?;
    let metrics = runtime.metrics();
    let calls = (runtime.driver() == Driver::Uring).then_some(metrics.enters + metrics.attempts);
    Ok(Measured { calls, ..measured })
}

async fn read_all(job: Job) -> io::Result<Measured> {
    let job = Rc::new(job);
    let file = Rc::new(Opened::open(&job).await?);
    let reads = Rc::new(RefCell::new(Reads::new(&job)));
    let tasks: Vec<_> = (0..job.depth)
        .map(|_| {
            let (file, job, reads) = (Rc::clone(&file), Rc::clone(&job), Rc::clone(&reads));
            ::krug::spawn(async move { one_after_the_other(&file, &job, &reads).await })
        })
        .collect();
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    let reads = Rc::into_inner(reads).expect("all tasks have ended");
    Ok(reads.into_inner().measured())
}

async fn one_after_the_other(file: &Opened, job: &Job, reads: &RefCell<Reads>) -> io::Result<()> {
    let mut buffer = file.buffer();
    loop {
        let Some(asked) = reads.borrow_mut().next() else {
            return Ok(());
        };
        let length = reads.borrow().length(&asked);
        let mut done = 0;
        while done < length {
            let part = buffer.slice(job.piece_after(done));
            let (result, back) = file.read_at(part, asked.offset() + done as u64).await;
            buffer = back;
            match result? {
                0 => return Err(ends_early()),
                count => done += count,
            }
        }
        reads.borrow_mut().done(asked, &buffer)?;
    }
}
