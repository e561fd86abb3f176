//! Two sides that send a message back and forth, over pipes or a pair of sockets, as one bare loop.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use io_uring::{opcode, types};

use super::ring::{Completed, Ring};

/// Where a side reads from and writes to.
pub(crate) struct Ends {
    pub(crate) input: OwnedFd,
    pub(crate) output: OwnedFd,
}

/// Who asks and who sends back what comes.
const ASKS: usize = 0;
const ANSWERS: usize = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read = 0,
    Write = 1,
}

struct Side {
    ends: Ends,
    incoming: Box<[u8]>,
    outgoing: Box<[u8]>,
    /// Bytes of the message that is under way.
    done: usize,
}

/// Both sides. Of each, one request at most is in flight.
struct Sides {
    list: Vec<Side>,
    in_flight: usize,
}

/// Passes so many messages of `bytes` there and back; says how many.
pub(crate) fn run(ends: [Ends; 2], bytes: usize, operations: u64) -> io::Result<u64> {
    let mut ring = Ring::new(8)?;
    let mut sides = Sides::new(ends, bytes);
    let mut completed = Vec::new();
    let (mut asked, mut answered) = (0, 0);
    sides.stamp(asked);
    sides.begin(&mut ring, ASKS, Kind::Write)?;
    sides.begin(&mut ring, ANSWERS, Kind::Read)?;
    while sides.in_flight > 0 {
        ring.turn(1, &mut completed)?;
        let mut to_read = [false; 2];
        for completion in completed.drain(..) {
            let (index, kind) = sides.completed(completion)?;
            match kind {
                kind if !sides.is_whole(index) => match kind {
                    Kind::Read => to_read[index] = true,
                    Kind::Write => sides.begin(&mut ring, index, kind)?,
                },
                Kind::Write => {
                    sides.list[index].done = 0;
                    to_read[index] = index == ASKS || answered < operations;
                }
                Kind::Read if index == ANSWERS => {
                    answered += 1;
                    sides.swap(index);
                    sides.begin(&mut ring, index, Kind::Write)?;
                }
                Kind::Read => {
                    sides.check()?;
                    asked += 1;
                    sides.list[index].done = 0;
                    if asked < operations {
                        sides.stamp(asked);
                        sides.begin(&mut ring, index, Kind::Write)?;
                    }
                }
            }
        }
        // What produces goes before what waits for it.
        for index in [ASKS, ANSWERS] {
            if to_read[index] {
                sides.begin(&mut ring, index, Kind::Read)?;
            }
        }
    }
    Ok(asked)
}

impl Sides {
    fn new(ends: [Ends; 2], bytes: usize) -> Sides {
        let buffer = || vec![0; bytes].into_boxed_slice();
        let side = |ends| Side {
            ends,
            incoming: buffer(),
            outgoing: buffer(),
            done: 0,
        };
        let mut list: Vec<Side> = ends.into_iter().map(side).collect();
        for (place, byte) in list[ASKS].outgoing.iter_mut().enumerate() {
            *byte = (place * 31) as u8;
        }
        Sides { list, in_flight: 0 }
    }

    /// Marks what is asked next, so that an old message is not taken for it.
    fn stamp(&mut self, number: u64) {
        let message = &mut self.list[ASKS].outgoing;
        let stamp = number.to_le_bytes();
        let length = stamp.len().min(message.len());
        message[..length].copy_from_slice(&stamp[..length]);
    }

    fn check(&self) -> io::Result<()> {
        let Side {
            incoming, outgoing, ..
        } = &self.list[ASKS];
        match incoming == outgoing {
            true => Ok(()),
            false => Err(io::Error::other("something else has come back")),
        }
    }

    /// What was read is what is written next.
    fn swap(&mut self, index: usize) {
        let side = &mut self.list[index];
        std::mem::swap(&mut side.incoming, &mut side.outgoing);
        side.done = 0;
    }

    /// Whether the message that this side is at was transferred to its end.
    fn is_whole(&self, index: usize) -> bool {
        self.list[index].done == self.list[index].incoming.len()
    }

    /// Reads or writes what is left of the message that this side is at.
    fn begin(&mut self, ring: &mut Ring, index: usize, kind: Kind) -> io::Result<()> {
        let side = &mut self.list[index];
        let rest = match kind {
            Kind::Read => &mut side.incoming[side.done..],
            Kind::Write => &mut side.outgoing[side.done..],
        };
        let length = u32::try_from(rest.len()).expect("messages below 4 GiB");
        let (input, output) = (side.ends.input.as_raw_fd(), side.ends.output.as_raw_fd());
        // Neither a pipe nor a socket has a position.
        let entry = match kind {
            Kind::Read => opcode::Read::new(types::Fd(input), rest.as_mut_ptr(), length)
                .offset(u64::MAX)
                .build(),
            Kind::Write => opcode::Write::new(types::Fd(output), rest.as_ptr(), length)
                .offset(u64::MAX)
                .build(),
        };
        let user_data = (index as u64) << 1 | kind as u64;
        // SAFETY: both buffers are on the heap and stay in this list, which does not free them while a request is in flight; the loop
        // touches those of a side only when its request has completed.
        unsafe { ring.push(&entry.user_data(user_data)) }?;
        self.in_flight += 1;
        Ok(())
    }

    /// Takes note that a request is over: of which side, and what it was.
    fn completed(&mut self, (user_data, result): Completed) -> io::Result<(usize, Kind)> {
        self.in_flight -= 1;
        let kind = match user_data & 1 {
            0 => Kind::Read,
            _ => Kind::Write,
        };
        let index = usize::try_from(user_data >> 1).expect("made from a usize");
        let count = usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.list[index].done += count;
        Ok((index, kind))
    }
}

impl Drop for Sides {
    fn drop(&mut self) {
        if self.in_flight > 0 {
            // The kernel may still write to the buffers, also after the ring was closed.
            std::mem::forget(std::mem::take(&mut self.list));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Two sides with a socket each.
    fn sockets() -> [Ends; 2] {
        let (one, other) = UnixStream::pair().unwrap();
        [one, other].map(|socket| Ends {
            input: socket.try_clone().unwrap().into(),
            output: socket.into(),
        })
    }

    #[test]
    fn messages_that_do_not_fit_at_once_come_back_whole() {
        // More than a socket holds.
        assert_eq!(run(sockets(), 1 << 20, 3).unwrap(), 3);
        assert_eq!(run(sockets(), 1, 3).unwrap(), 3);
    }

    #[test]
    fn something_else_that_comes_is_noticed() {
        let ends = sockets();
        let mut answering = UnixStream::from(ends[ANSWERS].output.try_clone().unwrap());
        answering.write_all(&[1; 4]).unwrap();
        assert!(run(ends, 8, 3).is_err());
    }

    #[test]
    fn an_end_is_an_error() {
        let [asks, mut answers] = sockets();
        let (nobody, gone) = UnixStream::pair().unwrap();
        drop(gone);
        answers.input = nobody.into();
        assert!(run([asks, answers], 8, 3).is_err());
    }
}
