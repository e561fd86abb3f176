//! A process for each pipe, which waits for it and passes whole records on, all through one pipe, from which
//! the reader collects them: a write of at most 4096 bytes is not mixed with others. What these processes cost is
//! counted for their whole lives.

use std::io::{self, Read};
use std::time::Instant;

use super::calls::Relay;
use super::record::{Ledger, Stream};
use super::{Incoming, ROOM, Received, cannot};

pub(super) fn read(mut incoming: Incoming) -> io::Result<Received> {
    let (mut collected, collecting) = io::pipe()?;
    let mut relays = Vec::with_capacity(incoming.pipes.len());
    let mut ledger = Ledger::new(incoming.pipes.len());
    for pipe in std::mem::take(&mut incoming.pipes) {
        let relay = Relay::start(&pipe, &collecting)
            .map_err(|error| cannot(format!("after {} processes: {error}", relays.len())))?;
        relays.push(relay);
    }
    drop(collecting);
    incoming.start();
    let mut stream = Stream::default();
    let mut room = [0; ROOM];
    loop {
        match collected.read(&mut room) {
            Ok(0) => break,
            Ok(count) => stream.feed(&room[..count], &mut ledger)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let ended = Instant::now();
    stream.end()?;
    for relay in relays {
        relay.join()?;
    }
    Ok(Received {
        ledger,
        ended,
        calls: None,
    })
}
