//! krug on one thread: a task for each pipe.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use ::krug::pipe::Receiver;
use ::krug::runtime::{Builder, Driver};

use super::record::{Ledger, Stream};
use super::{Incoming, ROOM, Received};

pub(super) fn read(driver: Driver, incoming: Incoming) -> io::Result<Received> {
    let runtime = Builder::new().driver(driver).build()?;
    let (ledger, ended) = runtime.block_on(read_all(incoming))?;
    let calls = (driver == Driver::Uring).then(|| runtime.metrics().enters);
    Ok(Received {
        ledger,
        ended,
        calls,
    })
}

async fn read_all(mut incoming: Incoming) -> io::Result<(Ledger, Instant)> {
    let ledger = Rc::new(RefCell::new(Ledger::new(incoming.pipes.len())));
    let mut tasks = Vec::with_capacity(incoming.pipes.len());
    for pipe in std::mem::take(&mut incoming.pipes) {
        let receiver = Receiver::from_owned_fd(OwnedFd::from(pipe))?;
        let ledger = Rc::clone(&ledger);
        tasks.push(::krug::spawn(
            async move { read_one(receiver, &ledger).await },
        ));
    }
    incoming.start();
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    let ended = Instant::now();
    let ledger = Rc::into_inner(ledger).expect("all tasks have ended");
    Ok((ledger.into_inner(), ended))
}

async fn read_one(receiver: Receiver, ledger: &RefCell<Ledger>) -> io::Result<()> {
    let mut stream = Stream::default();
    let mut buffer = Vec::with_capacity(ROOM);
    loop {
        let (result, back) = receiver.read(buffer).await;
        buffer = back;
        match result? {
            0 => return stream.end(),
            count => stream.feed(&buffer[..count], &mut ledger.borrow_mut())?,
        }
    }
}
