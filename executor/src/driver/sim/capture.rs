//! [`Capture`]: the packets of a world in a file that programs for real networks read.
//!
//! The format is pcapng, with one interface of raw IP packets and nanoseconds. A packet is captured when it leaves its
//! host; headers are made up for it, with numbers that fit the simulated connection.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::network::{Body, Packet, Segment};
use super::objects::ObjectId;
use super::record::Fate;
use super::telling::make_anew;

/// `LINKTYPE_RAW`: packets begin with the header of IP.
const LINK_TYPE: u16 = 101;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// More bytes than this do not go into one packet: the length in the header of IP has 16 bits.
const PIECE_MAX: usize = 32_768;
/// What an end of a connection says that it has room for, in units of 128 bytes (a window scale of 7): all that it may have to take.
const WINDOW: u16 = 1024;
const WINDOW_SCALE: u8 = 7;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

#[derive(Debug)]
pub(super) struct Capture {
    file: File,
    ends: BTreeMap<ObjectId, End>,
    /// How many packets there were: the identification in their headers.
    packets: u16,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    /// The number of the next byte that it sends. Each begins with 0, which is the connection's beginning itself.
    next: u32,
    /// The number of the next byte that it gets.
    expected: u32,
}

/// What the header of a packet of TCP says.
#[derive(Clone, Copy)]
struct Numbers {
    flags: u8,
    sequence: u32,
    acknowledged: u32,
}

impl Capture {
    /// # Errors
    ///
    /// What the system says when the file is made.
    pub(super) fn new(path: &Path) -> io::Result<Capture> {
        let mut file = make_anew(path)?;
        file.write_all(&beginning())?;
        Ok(Capture {
            file,
            ends: BTreeMap::new(),
            packets: 0,
        })
    }

    /// Something becomes of a packet.
    pub(super) fn take(
        &mut self,
        moment: Duration,
        packet: &Packet,
        addresses: (SocketAddr, SocketAddr),
        fate: Fate<'_>,
    ) {
        let comment = match fate {
            Fate::Leaves([None, None]) => "lost on its way",
            _ => "",
        };
        let when = (moment, comment);
        match (&packet.body, fate) {
            (Body::Datagram { bytes, .. }, Fate::Leaves(_)) => {
                self.datagram(when, addresses, bytes)
            }
            (Body::Open { client, .. }, Fate::Leaves(_)) => {
                let end = self.end(*client);
                end.next = 1;
                self.segment(when, addresses, Numbers::new(SYN, 0, 0), &[]);
            }
            (Body::Opened { client, server }, Fate::Leaves(_)) => {
                let begun = |end: &mut End| end.next = end.next.max(1);
                begun(self.end(*server));
                begun(self.end(*client));
                self.end(*server).expected = self.end(*server).expected.max(1);
                self.segment(when, addresses, Numbers::new(SYN | ACK, 0, 1), &[]);
            }
            (Body::Opened { client, .. }, Fate::Arrives) => {
                let end = self.end(*client);
                end.expected = end.expected.max(1);
                let numbers = Numbers::new(ACK, end.next, end.expected);
                let (from, to) = addresses;
                self.segment(when, (to, from), numbers, &[]);
            }
            (Body::Segment { from, to, segment }, Fate::Leaves(_)) => {
                let numbers = match from == to {
                    // Nobody's answer to whoever wanted a connection.
                    true => Numbers::new(0, 0, 1),
                    false => {
                        let end = self.end(*from);
                        let numbers = Numbers::new(0, end.next, end.expected);
                        end.next = end.next.wrapping_add(length(segment));
                        numbers
                    }
                };
                self.connected(when, addresses, numbers, segment);
            }
            // What is sent once more is what the other side waits for.
            (Body::Segment { from, to, segment }, Fate::Again) => {
                let (sequence, acknowledged) = (self.end(*to).expected, self.end(*from).expected);
                let numbers = Numbers::new(0, sequence, acknowledged);
                self.connected(when, addresses, numbers, segment);
            }
            (Body::Segment { to, segment, .. }, Fate::Arrives) => {
                let end = self.end(*to);
                end.expected = end.expected.wrapping_add(length(segment));
            }
            _ => {}
        }
    }

    fn end(&mut self, id: ObjectId) -> &mut End {
        self.ends.entry(id).or_default()
    }

    /// What goes from one end of a connection to the other.
    fn connected(
        &mut self,
        when: (Duration, &str),
        addresses: (SocketAddr, SocketAddr),
        mut numbers: Numbers,
        segment: &Segment,
    ) {
        let bytes = match segment {
            Segment::Data(bytes) => bytes,
            Segment::End | Segment::Reset | Segment::Read(_) => {
                numbers.flags = match segment {
                    Segment::End => FIN | ACK,
                    Segment::Reset => RST | ACK,
                    Segment::Read(_) | Segment::Data(_) => ACK,
                };
                return self.segment(when, addresses, numbers, &[]);
            }
        };
        for piece in bytes.chunks(PIECE_MAX) {
            numbers.flags = PSH | ACK;
            self.segment(when, addresses, numbers, piece);
            numbers.sequence = numbers.sequence.wrapping_add(piece.len() as u32);
        }
    }

    fn segment(
        &mut self,
        when: (Duration, &str),
        (from, to): (SocketAddr, SocketAddr),
        numbers: Numbers,
        bytes: &[u8],
    ) {
        let is_first = numbers.flags & SYN != 0;
        let header = if is_first { 24 } else { 20 };
        let mut packet = Vec::with_capacity(header + bytes.len());
        packet.extend(from.port().to_be_bytes());
        packet.extend(to.port().to_be_bytes());
        packet.extend(numbers.sequence.to_be_bytes());
        packet.extend(numbers.acknowledged.to_be_bytes());
        packet.extend([(header as u8 / 4) << 4, numbers.flags]);
        packet.extend(WINDOW.to_be_bytes());
        // The checksum, and nothing urgent.
        packet.extend([0; 4]);
        if is_first {
            // The window scale, and one byte that says nothing.
            packet.extend([3, 3, WINDOW_SCALE, 1]);
        }
        packet.extend(bytes);
        self.internet(when, (from.ip(), to.ip()), (TCP, 16), packet);
    }

    fn datagram(
        &mut self,
        when: (Duration, &str),
        (from, to): (SocketAddr, SocketAddr),
        bytes: &[u8],
    ) {
        let mut packet = Vec::with_capacity(8 + bytes.len());
        packet.extend(from.port().to_be_bytes());
        packet.extend(to.port().to_be_bytes());
        packet.extend((8 + bytes.len() as u16).to_be_bytes());
        packet.extend([0; 2]);
        packet.extend(bytes);
        self.internet(when, (from.ip(), to.ip()), (UDP, 6), packet);
    }

    /// Puts the header of IP before a packet of a protocol, whose checksum stands at this place.
    fn internet(
        &mut self,
        when: (Duration, &str),
        (from, to): (IpAddr, IpAddr),
        (protocol, place): (u8, usize),
        mut packet: Vec<u8>,
    ) {
        self.packets = self.packets.wrapping_add(1);
        let (from, to) = (from.to_canonical(), to.to_canonical());
        let length = packet.len() as u32;
        let mut covered = octets(from);
        covered.extend(octets(to));
        covered.extend(length.to_be_bytes());
        covered.extend([0, 0, 0, protocol]);
        let sum = checksum(&[&covered, &packet]);
        // Zero would say that there is none.
        let sum = if sum == 0 { 0xffff } else { sum };
        packet[place..place + 2].copy_from_slice(&sum.to_be_bytes());
        let mut whole = match from {
            IpAddr::V4(_) => {
                let total = (20 + length) as u16;
                let mut header = vec![0x45, 0];
                header.extend(total.to_be_bytes());
                header.extend(self.packets.to_be_bytes());
                // Not to be cut; through 64 routers at most; and the checksum.
                header.extend([0x40, 0, 64, protocol, 0, 0]);
                header.extend(octets(from));
                header.extend(octets(to));
                let sum = checksum(&[&header]);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                header
            }
            IpAddr::V6(_) => {
                let mut header = vec![0x60, 0, 0, 0];
                header.extend((length as u16).to_be_bytes());
                header.extend([protocol, 64]);
                header.extend(octets(from));
                header.extend(octets(to));
                header
            }
        };
        whole.append(&mut packet);
        // A disk that is full ends the capture and not the world.
        let _ = self.file.write_all(&enhanced_packet(when, &whole));
    }
}

impl Numbers {
    fn new(flags: u8, sequence: u32, acknowledged: u32) -> Numbers {
        Numbers {
            flags,
            sequence,
            acknowledged,
        }
    }
}

/// How many numbers it takes.
fn length(segment: &Segment) -> u32 {
    match segment {
        Segment::Data(bytes) => bytes.len() as u32,
        Segment::End => 1,
        Segment::Reset | Segment::Read(_) => 0,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The internet's: the complement of the sum of all words, with the carries added. All parts but the last are even.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u64 = words
        .map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |byte| u64::from(*byte)))
        .sum();
    let mut folded = sum;
    while folded > 0xffff {
        folded = (folded & 0xffff) + (folded >> 16);
    }
    !(folded as u16)
}

/// The block of the section, and that of its only interface.
fn beginning() -> Vec<u8> {
    let mut section = Vec::new();
    section.extend(0x1a2b_3c4d_u32.to_le_bytes());
    // Version 1.0, of a length that is not known yet.
    section.extend([1, 0, 0, 0]);
    section.extend([0xff; 8]);
    let mut interface = Vec::new();
    interface.extend(LINK_TYPE.to_le_bytes());
    // Whole packets, however long.
    interface.extend([0; 6]);
    // if_tsresol: times are in 10⁻⁹ seconds; and the end of the options.
    interface.extend([9, 0, 1, 0, 9, 0, 0, 0]);
    interface.extend([0; 4]);
    let mut blocks = block(0x0a0d_0d0a, &section);
    blocks.extend(block(1, &interface));
    blocks
}

fn enhanced_packet((moment, comment): (Duration, &str), packet: &[u8]) -> Vec<u8> {
    let time = (crate::sys::interposed::DATE + moment).as_nanos() as u64;
    let length = (packet.len() as u32).to_le_bytes();
    let mut body = Vec::with_capacity(packet.len() + 32);
    body.extend([0; 4]);
    body.extend(((time >> 32) as u32).to_le_bytes());
    body.extend((time as u32).to_le_bytes());
    body.extend(length);
    body.extend(length);
    body.extend(packet);
    pad(&mut body);
    if !comment.is_empty() {
        body.extend([1, 0]);
        body.extend((comment.len() as u16).to_le_bytes());
        body.extend(comment.as_bytes());
        pad(&mut body);
        body.extend([0; 4]);
    }
    block(6, &body)
}

/// A block between its type and its length, which stands at both ends.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = (12 + body.len() as u32).to_le_bytes();
    let mut block = Vec::with_capacity(body.len() + 12);
    block.extend(kind.to_le_bytes());
    block.extend(length);
    block.extend(body);
    block.extend(length);
    block
}

/// To a multiple of four bytes.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
