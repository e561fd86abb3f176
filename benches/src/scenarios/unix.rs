//! A message there and back between two tasks, over a pair of Unix sockets.

use std::io;
use std::os::unix::net::UnixStream;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::course::{Course, compare, contestants};
use super::pipes::{BYTES, check, stamp};
use crate::floor::round_trips::{self, Ends};
use crate::harness::machine::Machine;
use crate::options::Options;

static COURSE: Course = Course {
    scenario: "unix",
    what: "64 bytes there and back between two tasks, over a pair of Unix sockets",
    wanted: "290 k/s or more",
    count: |operations| operations / 4,
    resolution: 0.04,
    contestants: contestants!(on_krug, on_tokio, on_ring),
};

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    compare(options, machine, &COURSE)
}

async fn on_krug(operations: u64) -> io::Result<u64> {
    let (asking, answering) = krug::net::UnixStream::pair()?;
    let other = krug::spawn(async move {
        let mut buffer = vec![0; BYTES];
        for _ in 0..operations {
            let (read, message) = answering.read_exact(buffer).await;
            read?;
            let (written, message) = answering.write_all(message).await;
            written?;
            buffer = message;
        }
        io::Result::Ok(())
    });
    let one = krug::spawn(async move {
        let (mut message, mut answer) = (vec![0; BYTES], vec![0; BYTES]);
        for number in 0..operations {
            stamp(&mut message, number);
            let (written, said) = asking.write_all(message).await;
            written?;
            let (read, heard) = asking.read_exact(answer).await;
            read?;
            check(&said, &heard)?;
            (message, answer) = (said, heard);
        }
        io::Result::Ok(operations)
    });
    let outcome = one.await.map_err(io::Error::other)?;
    other.await.map_err(io::Error::other)??;
    outcome
}

async fn on_tokio(operations: u64) -> io::Result<u64> {
    let (mut asking, mut answering) = tokio::net::UnixStream::pair()?;
    let other = tokio::spawn(async move {
        let mut message = [0; BYTES];
        for _ in 0..operations {
            answering.read_exact(&mut message).await?;
            answering.write_all(&message).await?;
        }
        io::Result::Ok(())
    });
    let one = tokio::spawn(async move {
        let (mut message, mut answer) = ([0; BYTES], [0; BYTES]);
        for number in 0..operations {
            stamp(&mut message, number);
            asking.write_all(&message).await?;
            asking.read_exact(&mut answer).await?;
            check(&message, &answer)?;
        }
        io::Result::Ok(operations)
    });
    let outcome = one.await.map_err(io::Error::other)?;
    other.await.map_err(io::Error::other)??;
    outcome
}

fn on_ring(operations: u64) -> io::Result<u64> {
    let (asking, answering) = UnixStream::pair()?;
    let ends = |socket: UnixStream| {
        io::Result::Ok(Ends {
            input: socket.try_clone()?.into(),
            output: socket.into(),
        })
    };
    round_trips::run([ends(asking)?, ends(answering)?], BYTES, operations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::course::ends_for_all;

    #[test]
    fn every_message_comes_back_to_all() {
        for operations in [1, 2, 50] {
            ends_for_all(&COURSE, operations);
        }
    }
}
