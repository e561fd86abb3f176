//! An echo server as a bare loop that holds nothing for a connection on which nothing comes but its descriptor.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use io_uring::{opcode, types};

use super::ring::Ring;
use crate::peers::{Job, Served};

/// Accepts the connections of the job, sends back what comes, and returns when all are closed. An answer that the socket does not take
/// at once is an error: messages are small here.
pub(crate) fn serve(job: &Job) -> io::Result<Served> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let mut ring = Ring::new(64)?;
    let mut streams: Vec<Option<TcpStream>> = Vec::with_capacity(job.connections);
    wait_for(&mut ring, listener.as_raw_fd(), ACCEPT)?;
    job.listening(listener.local_addr()?);
    let mut buffer = vec![0; job.bytes];
    let mut completed = Vec::new();
    let mut closed = 0;
    while closed < job.connections {
        ring.turn(1, &mut completed)?;
        for (number, result) in completed.drain(..) {
            if result < 0 {
                return Err(io::Error::from_raw_os_error(-result));
            }
            if number == ACCEPT {
                accept_all(&mut ring, &listener, &mut streams)?;
                if streams.len() < job.connections {
                    wait_for(&mut ring, listener.as_raw_fd(), ACCEPT)?;
                }
                continue;
            }
            let place = usize::try_from(number).expect("made from a usize");
            let Some(stream) = &mut streams[place] else {
                continue;
            };
            if answer(stream, &mut buffer)? {
                wait_for(&mut ring, stream.as_raw_fd(), number)?;
            } else {
                streams[place] = None;
                closed += 1;
            }
        }
    }
    Ok(Served {
        enters: Some(ring.enters),
        detail: Some(ring.flags.to_owned()),
    })
}

/// The number of the listener; those of connections are their places.
const ACCEPT: u64 = u64::MAX;

fn wait_for(ring: &mut Ring, descriptor: i32, number: u64) -> io::Result<()> {
    let entry = opcode::PollAdd::new(types::Fd(descriptor), libc::POLLIN as u32).build();
    // SAFETY: it names no memory.
    unsafe { ring.push(&entry.user_data(number)) }
}

fn accept_all(
    ring: &mut Ring,
    listener: &TcpListener,
    streams: &mut Vec<Option<TcpStream>>,
) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                wait_for(ring, stream.as_raw_fd(), streams.len() as u64)?;
                streams.push(Some(stream));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Sends back what has come. False at the end.
fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<bool> {
    match stream.read(buffer) {
        Ok(0) => Ok(false),
        Ok(count) => stream.write_all(&buffer[..count]).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}
