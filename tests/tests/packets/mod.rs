//! A reader of captures that shares nothing with what writes them.

/// A packet of a capture: only what the tests ask for.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// In nanoseconds since 1970.
    pub(crate) time: u64,
    pub(crate) protocol: u8,
    pub(crate) ports: (u16, u16),
    /// Of TCP.
    pub(crate) sequence: u32,
    pub(crate) acknowledged: u32,
    pub(crate) flags: u8,
    pub(crate) payload: Vec<u8>,
}

fn little(bytes: &[u8], place: usize) -> u32 {
    u32::from_le_bytes(bytes[place..place + 4].try_into().unwrap())
}

fn big16(bytes: &[u8], place: usize) -> u16 {
    u16::from_be_bytes(bytes[place..place + 2].try_into().unwrap())
}

fn big32(bytes: &[u8], place: usize) -> u32 {
    u32::from_be_bytes(bytes[place..place + 4].try_into().unwrap())
}

/// The packets of a file of one section with one interface of raw packets and nanoseconds.
pub(crate) fn read(mut file: &[u8]) -> Vec<Packet> {
    let mut kinds = Vec::new();
    let mut packets = Vec::new();
    while !file.is_empty() {
        let (kind, length) = (little(file, 0), little(file, 4) as usize);
        assert_eq!(length % 4, 0);
        let (block, rest) = file.split_at(length);
        assert_eq!(
            little(block, length - 4) as usize,
            length,
            "the length stands at both ends"
        );
        match kind {
            0x0a0d_0d0a => assert_eq!(little(block, 8), 0x1a2b_3c4d),
            1 => {
                assert_eq!(little(block, 8), 101, "raw packets");
                assert_eq!(block[16..21], [9, 0, 1, 0, 9], "nanoseconds");
            }
            6 => {
                assert_eq!(little(block, 8), 0, "of the only interface");
                let time = u64::from(little(block, 12)) << 32 | u64::from(little(block, 16));
                let captured = little(block, 20) as usize;
                assert_eq!(captured, little(block, 24) as usize);
                packets.push(packet(time, &block[28..28 + captured]));
            }
            other => panic!("a block of type {other}"),
        }
        kinds.push(kind);
        file = rest;
    }
    assert_eq!(kinds[..2], [0x0a0d_0d0a, 1]);
    packets
}

fn packet(time: u64, bytes: &[u8]) -> Packet {
    assert_eq!(bytes[0], 0x45, "version 4, without options");
    assert_eq!(usize::from(big16(bytes, 2)), bytes.len());
    assert_eq!(sum(&bytes[..20]), 0xffff, "the checksum of the header");
    let protocol = bytes[9];
    let rest = &bytes[20..];
    let mut covered = bytes[12..20].to_vec();
    covered.extend([0, protocol]);
    covered.extend((rest.len() as u16).to_be_bytes());
    covered.extend(rest);
    assert_eq!(sum(&covered), 0xffff, "the checksum of the packet");
    let ports = (big16(rest, 0), big16(rest, 2));
    let mut packet = Packet {
        time,
        protocol,
        ports,
        sequence: 0,
        acknowledged: 0,
        flags: 0,
        payload: Vec::new(),
    };
    match protocol {
        6 => {
            (packet.sequence, packet.acknowledged) = (big32(rest, 4), big32(rest, 8));
            packet.flags = rest[13];
            packet.payload = rest[usize::from(rest[12] >> 4) * 4..].to_vec();
        }
        17 => {
            assert_eq!(usize::from(big16(rest, 4)), rest.len());
            packet.payload = rest[8..].to_vec();
        }
        other => panic!("protocol {other}"),
    }
    packet
}

/// The sum of the internet's checksum: all ones if it is right.
fn sum(bytes: &[u8]) -> u32 {
    let mut sum: u32 = 0;
    for (place, byte) in bytes.iter().enumerate() {
        sum += u32::from(*byte) << if place % 2 == 0 { 8 } else { 0 };
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// What went over a connection.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    pub(crate) asked: Vec<u8>,
    pub(crate) answered: Vec<u8>,
}

/// Follows the only connection to this port from its beginning to its end. On the way every number must fit.
pub(crate) fn follow(packets: &[Packet], port: u16) -> Connection {
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let mut connection = Connection::default();
    // The next number of the client, and of the server.
    let mut next = [0_u32; 2];
    let mut flags = Vec::new();
    for packet in packets.iter().filter(|packet| packet.protocol == 6) {
        let side = usize::from(packet.ports.0 == port);
        assert_eq!([packet.ports.1, packet.ports.0][side], port);
        assert_eq!(packet.sequence, next[side], "{packet:?} does not follow");
        assert!(
            packet.acknowledged <= next[1 - side],
            "{packet:?} acknowledges what was not sent"
        );
        let bytes = [&mut connection.asked, &mut connection.answered];
        let [asked, answered] = bytes;
        let bytes = if side == 0 { asked } else { answered };
        bytes.extend(&packet.payload);
        let numbers = u32::from(packet.flags & SYN != 0) + u32::from(packet.flags & FIN != 0);
        next[side] += packet.payload.len() as u32 + numbers;
        flags.push((side, packet.flags & (SYN | ACK | FIN)));
    }
    assert_eq!(
        flags[..3],
        [(0, SYN), (1, SYN | ACK), (0, ACK)],
        "it begins with a handshake"
    );
    assert!(
        flags
            .iter()
            .any(|(side, flags)| *side == 0 && flags & FIN != 0),
        "the client ends it"
    );
    connection
}
