//! Connections, their buffers, and the requests in flight on them.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;

use io_uring::{opcode, types};

use super::ring::{Completed, Ring};

/// What a request was; the lowest bit of its `user_data`, under the number of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Receive = 0,
    Send = 1,
}

/// The `user_data` of cancels.
pub(crate) const CANCEL: u64 = u64::MAX;

/// One connection, and what the kernel may read and write for it.
struct Connection {
    stream: TcpStream,
    outgoing: Box<[u8]>,
    incoming: Box<[u8]>,
}

/// All connections of one loop. At most one receive and one send are in flight on each.
pub(crate) struct Connections {
    list: Vec<Connection>,
    in_flight: usize,
}

impl Connections {
    /// With a buffer of `bytes` for each direction.
    pub(crate) fn new(streams: Vec<TcpStream>, bytes: usize) -> Connections {
        let buffer = || vec![0; bytes].into_boxed_slice();
        let connection = |stream| Connection {
            stream,
            outgoing: buffer(),
            incoming: buffer(),
        };
        Connections {
            list: streams.into_iter().map(connection).collect(),
            in_flight: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// What is sent; only to be changed while no send is in flight on this connection.
    pub(crate) fn outgoing_mut(&mut self, index: usize) -> &mut [u8] {
        &mut self.list[index].outgoing
    }

    /// Whether the buffers hold the same.
    pub(crate) fn came_back(&self, index: usize) -> bool {
        self.list[index].outgoing == self.list[index].incoming
    }

    /// The buffer that was received into becomes the one to send from.
    pub(crate) fn swap(&mut self, index: usize) {
        let connection = &mut self.list[index];
        std::mem::swap(&mut connection.incoming, &mut connection.outgoing);
    }

    /// Receives into the buffer from byte `from` on.
    pub(crate) fn receive(&mut self, ring: &mut Ring, index: usize, from: usize) -> io::Result<()> {
        let connection = &mut self.list[index];
        let room = &mut connection.incoming[from..];
        let length = u32::try_from(room.len()).expect("buffers below 4 GiB");
        let entry = opcode::Recv::new(
            types::Fd(connection.stream.as_raw_fd()),
            room.as_mut_ptr(),
            length,
        )
        .build();
        // SAFETY: `incoming` is on the heap and stays in this list, which does not free it while a
        // request is in flight; the loops touch it only when its receive has completed.
        unsafe { ring.push(&entry.user_data(user_data(index, Kind::Receive))) }?;
        self.in_flight += 1;
        Ok(())
    }

    /// Asks for an end of the receive that is in flight. The answer to that is a completion of its own, with [`CANCEL`] as its
    /// `user_data`, which does not count as a request of a connection.
    pub(crate) fn cancel_receive(&mut self, ring: &mut Ring, index: usize) -> io::Result<()> {
        let entry = opcode::AsyncCancel::new(user_data(index, Kind::Receive)).build();
        // SAFETY: a cancel names no memory.
        unsafe { ring.push(&entry.user_data(CANCEL)) }
    }

    /// What was received.
    pub(crate) fn incoming(&self, index: usize) -> &[u8] {
        &self.list[index].incoming
    }

    /// Sends the bytes `from..to` of the buffer.
    pub(crate) fn send(
        &mut self,
        ring: &mut Ring,
        index: usize,
        from: usize,
        to: usize,
    ) -> io::Result<()> {
        let connection = &self.list[index];
        let data = &connection.outgoing[from..to];
        let length = u32::try_from(data.len()).expect("buffers below 4 GiB");
        let entry = opcode::Send::new(
            types::Fd(connection.stream.as_raw_fd()),
            data.as_ptr(),
            length,
        );
        let entry = entry.flags(libc::MSG_NOSIGNAL).build();
        // SAFETY: as for `receive`, with `outgoing`.
        unsafe { ring.push(&entry.user_data(user_data(index, Kind::Send))) }?;
        self.in_flight += 1;
        Ok(())
    }

    /// Takes note that a request is over. A count, or the error.
    pub(crate) fn completed(
        &mut self,
        (user_data, result): Completed,
    ) -> (usize, Kind, io::Result<usize>) {
        self.in_flight -= 1;
        let kind = if user_data & 1 == 0 {
            Kind::Receive
        } else {
            Kind::Send
        };
        let index = usize::try_from(user_data >> 1).expect("made from a usize");
        let result = usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result));
        (index, kind, result)
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        if self.in_flight > 0 {
            // The other side waits for an end, which leaked descriptors would never send.
            for connection in &self.list {
                let _ = connection.stream.shutdown(Shutdown::Both);
            }
            // The kernel may still write to the buffers, also after the ring was closed.
            std::mem::forget(std::mem::take(&mut self.list));
        }
    }
}

fn user_data(index: usize, kind: Kind) -> u64 {
    (index as u64) << 1 | kind as u64
}
