//! A message there and back between two tasks, through two pipes.

use std::io;

use krug::pipe::pipe as krug_pipe;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::pipe as tokio_pipe;

use super::course::{Course, compare, contestants};
use crate::floor::round_trips::{self, Ends};
use crate::harness::machine::Machine;
use crate::options::Options;

pub(super) const BYTES: usize = 64;

static COURSE: Course = Course {
    scenario: "pipes",
    what: "64 bytes there and back between two tasks, through two pipes",
    wanted: "600 k/s or more",
    count: |operations| operations / 4,
    resolution: 0.04,
    contestants: contestants!(on_krug, on_tokio, on_ring),
};

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    compare(options, machine, &COURSE)
}

/// Marks a message, so that an old one is not taken for it.
pub(super) fn stamp(message: &mut [u8], number: u64) {
    message[..8].copy_from_slice(&number.to_le_bytes());
}

pub(super) fn check(said: &[u8], heard: &[u8]) -> io::Result<()> {
    if said == heard {
        Ok(())
    } else {
        Err(io::Error::other("something else has come back"))
    }
}

async fn on_krug(operations: u64) -> io::Result<u64> {
    let (asking, asked) = krug_pipe().await?;
    let (answering, answered) = krug_pipe().await?;
    let other = krug::spawn(async move {
        let mut buffer = vec![0; BYTES];
        for _ in 0..operations {
            let (read, message) = asked.read_exact(buffer).await;
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
            let (read, heard) = answered.read_exact(answer).await;
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
    let (mut asking, mut asked) = tokio_pipe()?;
    let (mut answering, mut answered) = tokio_pipe()?;
    let other = tokio::spawn(async move {
        let mut message = [0; BYTES];
        for _ in 0..operations {
            asked.read_exact(&mut message).await?;
            answering.write_all(&message).await?;
        }
        io::Result::Ok(())
    });
    let one = tokio::spawn(async move {
        let (mut message, mut answer) = ([0; BYTES], [0; BYTES]);
        for number in 0..operations {
            stamp(&mut message, number);
            asking.write_all(&message).await?;
            answered.read_exact(&mut answer).await?;
            check(&message, &answer)?;
        }
        io::Result::Ok(operations)
    });
    let outcome = one.await.map_err(io::Error::other)?;
    other.await.map_err(io::Error::other)??;
    outcome
}

fn on_ring(operations: u64) -> io::Result<u64> {
    let (asked, asking) = io::pipe()?;
    let (answered, answering) = io::pipe()?;
    let ends = [
        Ends {
            input: answered.into(),
            output: asking.into(),
        },
        Ends {
            input: asked.into(),
            output: answering.into(),
        },
    ];
    round_trips::run(ends, BYTES, operations)
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

    #[test]
    fn another_message_is_noticed() {
        let (mut said, heard) = ([0; BYTES], [0; BYTES]);
        check(&said, &heard).unwrap();
        stamp(&mut said, 1);
        assert!(check(&said, &heard).is_err());
    }
}
