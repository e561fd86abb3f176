//! One thread that wants to read, and a pool of as many as reads are in flight, which wait for them: a queue
//! there and a queue back.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use super::{Asked, Block, Job, Reads, read_block};
use crate::harness::meter::Measured;

/// A read on its way to the pool, and back.
struct Errand {
    asked: Asked,
    length: usize,
    block: Box<Block>,
}

/// What waits for a thread; `None` when nothing more will come.
#[derive(Default)]
struct Queue {
    errands: Mutex<Option<VecDeque<Errand>>>,
    arrived: Condvar,
}

impl Queue {
    fn push(&self, errand: Errand) {
        let mut errands = self.errands.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(errands) = &mut *errands {
            errands.push_back(errand);
        }
        self.arrived.notify_one();
    }

    fn close(&self) {
        *self.errands.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.arrived.notify_all();
    }

    fn pop(&self) -> Option<Errand> {
        let mut errands = self.errands.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match errands.as_mut()?.pop_front() {
                Some(errand) => return Some(errand),
                None => {
                    let woken = self.arrived.wait(errands);
                    errands = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

pub(super) fn read(job: &Job) -> io::Result<Measured> {
    let file = job.open()?;
    let queue = Queue {
        errands: Mutex::new(Some(VecDeque::new())),
        ..Queue::default()
    };
    let (to_caller, from_pool) = mpsc::channel();
    thread::scope(|scope| {
        let result = start(scope, job, &file, &queue, &to_caller).and_then(|()| {
            drop(to_caller);
            ask(job, &queue, &from_pool)
        });
        queue.close();
        result
    })
}

type Answer = (Errand, io::Result<()>);

fn start<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    job: &'scope Job,
    file: &'scope std::fs::File,
    queue: &'scope Queue,
    to_caller: &Sender<Answer>,
) -> io::Result<()> {
    for _ in 0..job.depth {
        let to_caller = to_caller.clone();
        let builder = thread::Builder::new().stack_size(128 * 1024);
        builder.spawn_scoped(scope, move || {
            while let Some(mut errand) = queue.pop() {
                let Errand {
                    asked,
                    length,
                    block,
                } = &mut errand;
                let result = read_block(file, job, asked.offset(), *length, block);
                if to_caller.send((errand, result)).is_err() {
                    return;
                }
            }
        })?;
    }
    Ok(())
}

fn ask(job: &Job, queue: &Queue, from_pool: &mpsc::Receiver<Answer>) -> io::Result<Measured> {
    let mut reads = Reads::new(job);
    let mut in_flight = 0;
    let mut spare = vec![Box::new(Block::EMPTY); job.depth];
    loop {
        while let Some(block) = spare.pop() {
            let Some(asked) = reads.next() else { break };
            let length = reads.length(&asked);
            in_flight += 1;
            queue.push(Errand {
                asked,
                length,
                block,
            });
        }
        if in_flight == 0 {
            return Ok(reads.measured());
        }
        let (errand, result) = from_pool.recv().map_err(io::Error::other)?;
        result?;
        in_flight -= 1;
        reads.done(errand.asked, &errand.block.0)?;
        spare.push(errand.block);
    }
}
