//! A message there and back between two tasks, through two pipes or over a pair of Unix sockets.

use std::io;
use std::os::unix::net::UnixStream;

use krug::io::{AsyncReadOwned, AsyncWriteOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::course::{Course, compare, contestants};
use crate::floor::round_trips::{self, Ends};
use crate::harness::machine::Machine;
use crate::options::Options;

/// So few that pipes and sockets of this kind pass them as they were sent, in one piece.
const BYTES: usize = 64;

static PIPES: Course = Course {
    scenario: "pipes",
    what: "64 bytes there and back between two tasks, through two pipes",
    wanted: "600 k/s or more",
    count: |operations| operations / 4,
    resolution: 0.04,
    contestants: contestants!(krug_pipes, tokio_pipes, pipes_on_ring),
};

static UNIX: Course = Course {
    scenario: "unix",
    what: "64 bytes there and back between two tasks, over a pair of Unix sockets",
    wanted: "290 k/s or more",
    count: |operations| operations / 4,
    resolution: 0.04,
    contestants: contestants!(krug_sockets, tokio_sockets, sockets_on_ring),
};

pub(crate) fn pipes(options: &Options, machine: &Machine) -> io::Result<()> {
    compare(options, machine, &PIPES)
}

pub(crate) fn unix(options: &Options, machine: &Machine) -> io::Result<()> {
    compare(options, machine, &UNIX)
}

/// Marks a message, so that an old one is not taken for it.
fn stamp(message: &mut [u8], number: u64) {
    message[..8].copy_from_slice(&number.to_le_bytes());
}

fn check(said: &[u8], heard: &[u8]) -> io::Result<()> {
    if said == heard {
        Ok(())
    } else {
        Err(io::Error::other("something else has come back"))
    }
}

async fn krug_pipes(operations: u64) -> io::Result<u64> {
    let (asking, asked) = krug::pipe::pipe().await?;
    let (answering, answered) = krug::pipe::pipe().await?;
    let other = krug::spawn(krug_answers(asked, answering, operations));
    let one = krug::spawn(krug_asks(asking, answered, operations));
    let outcome = one.await.map_err(io::Error::other)?;
    other.await.map_err(io::Error::other)??;
    outcome
}

async fn krug_sockets(operations: u64) -> io::Result<u64> {
    let (asking, answering) = krug::net::UnixStream::pair()?;
    let other = krug::spawn(async move { krug_answers(&answering, &answering, operations).await });
    let one = krug::spawn(async move { krug_asks(&asking, &asking, operations).await });
    let outcome = one.await.map_err(io::Error::other)?;
    other.await.map_err(io::Error::other)??;
    outcome
}

async fn krug_answers(
    mut reader: impl AsyncReadOwned,
    mut writer: impl AsyncWriteOwned,
    operations: u64,
) -> io::Result<()> {
    let mut buffer = vec![0; BYTES];
    for _ in 0..operations {
        let (read, message) = reader.read(buffer).await;
        read?;
        let (written, message) = writer.write_all(message).await;
        written?;
        buffer = message;
    }
    Ok(())
}

async fn krug_asks(
    mut writer: impl AsyncWriteOwned,
    mut reader: impl AsyncReadOwned,
    operations: u64,
) -> io::Result<u64> {
    let (mut message, mut answer) = (vec![0; BYTES], vec![0; BYTES]);
    for number in 0..operations {
        stamp(&mut message, number);
        let (written, said) = writer.write_all(message).await;
        written?;
        let (read, heard) = reader.read(answer).await;
        read?;
        check(&said, &heard)?;
        (message, answer) = (said, heard);
    }
    Ok(operations)
}

async fn tokio_pipes(operations: u64) -> io::Result<u64> {
    let (asking, asked) = tokio::net::unix::pipe::pipe()?;
    let (answering, answered) = tokio::net::unix::pipe::pipe()?;
    let other = tokio::spawn(tokio_answers(asked, answering, operations));
    let one = tokio::spawn(tokio_asks(asking, answered, operations));
    let outcome = one.await.map_err(io::Error::other)?;
    other.await.map_err(io::Error::other)??;
    outcome
}

async fn tokio_sockets(operations: u64) -> io::Result<u64> {
    let (mut asking, mut answering) = tokio::net::UnixStream::pair()?;
    let other = tokio::spawn(async move {
        let (reader, writer) = answering.split();
        tokio_answers(reader, writer, operations).await
    });
    let one = tokio::spawn(async move {
        let (reader, writer) = asking.split();
        tokio_asks(writer, reader, operations).await
    });
    let outcome = one.await.map_err(io::Error::other)?;
    other.await.map_err(io::Error::other)??;
    outcome
}

async fn tokio_answers(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    operations: u64,
) -> io::Result<()> {
    let mut message = [0; BYTES];
    for _ in 0..operations {
        reader.read_exact(&mut message).await?;
        writer.write_all(&message).await?;
    }
    Ok(())
}

async fn tokio_asks(
    mut writer: impl AsyncWrite + Unpin,
    mut reader: impl AsyncRead + Unpin,
    operations: u64,
) -> io::Result<u64> {
    let (mut message, mut answer) = ([0; BYTES], [0; BYTES]);
    for number in 0..operations {
        stamp(&mut message, number);
        writer.write_all(&message).await?;
        reader.read_exact(&mut answer).await?;
        check(&message, &answer)?;
    }
    Ok(operations)
}

fn pipes_on_ring(operations: u64) -> io::Result<u64> {
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

fn sockets_on_ring(operations: u64) -> io::Result<u64> {
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
        for course in [&PIPES, &UNIX] {
            for operations in [1, 2, 50] {
                ends_for_all(course, operations);
            }
        }
    }

    #[test]
    fn another_message_is_noticed_and_so_is_a_part_of_it() {
        let (mut said, heard) = ([0; BYTES], [0; BYTES]);
        check(&said, &heard).unwrap();
        assert!(check(&said, &heard[1..]).is_err());
        stamp(&mut said, 1);
        assert!(check(&said, &heard).is_err());
    }
}
