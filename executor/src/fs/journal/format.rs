//! What stands in a segment, byte by byte. No I/O here.
//!
//! A segment is a file of a fixed size, all zeros before its first use. It begins with
//! a header of [`HEADER_SIZE`] bytes; numbers are little-endian:
//!
//! | bytes | hold |
//! |---|---|
//! | 0..8 | `krugjrnl` |
//! | 8..12 | the version of this format, 1 |
//! | 12..16 | CRC-32 of bytes 16..40 |
//! | 16..24 | the size of the segment |
//! | 24..32 | the sequence number of its first record |
//! | 32..40 | the salt: a random number |
//!
//! Records follow, each at a multiple of eight:
//!
//! | bytes | hold |
//! |---|---|
//! | 0..4 | the length of the payload, with the highest bit set, so that it is never zero |
//! | 4..8 | CRC-32 of salt, sequence number, bytes 0..4 and payload |
//! | 8.. | the payload, and zeros up to the next multiple of eight |
//!
//! A length of zero ends the records; behind it are zeros, or [`COVER`] where something else had been. The sequence number is not stored: it is known from the place,
//! and being part of the checksum it finds out records that belong elsewhere; the salt does
//! the same for bytes of an earlier file that the disk brings back.

use crc32fast::Hasher;

/// One block of the disk: the header is written whole or not at all.
pub(super) const HEADER_SIZE: usize = 4096;
/// Length and checksum of a record.
const PREFIX_SIZE: usize = 8;
const MAGIC: [u8; 8] = *b"krugjrnl";
/// Covers what is not to be taken for a record again. At every place it ends the records, as zeros do, and can be told from them:
/// a cover that a failed sync has left in memory only is seen, and written once more.
pub(super) const COVER: [u8; 8] = [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
const VERSION: u32 = 1;
const PRESENT: u32 = 1 << 31;

/// What is wrong with the bytes of a header or a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Not the beginning of a segment.
    Magic,
    /// A format that this version does not know.
    Version(u32),
    /// The bytes are not those that were written, or not all of them.
    Checksum,
    /// A length that no record here can have.
    Length(u32),
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Flaw::Magic => f.write_str("this is not a segment of a journal"),
            Flaw::Version(version) => {
                write!(f, "format {version} is not known here, only {VERSION} is")
            }
            Flaw::Checksum => f.write_str("the checksum is wrong"),
            Flaw::Length(length) => write!(f, "no record here can be {length} bytes long"),
        }
    }
}

/// The beginning of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) size: u64,
    /// The sequence number of the first record.
    pub(super) first: u64,
    pub(super) salt: u64,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.salt.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[16..40]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Header, Flaw> {
        if bytes.len() < HEADER_SIZE || bytes[..8] != MAGIC {
            return Err(Flaw::Magic);
        }
        let version = number32(&bytes[8..]);
        if version != VERSION {
            return Err(Flaw::Version(version));
        }
        if number32(&bytes[12..]) != crc32fast::hash(&bytes[16..40]) {
            return Err(Flaw::Checksum);
        }
        Ok(Header {
            size: number64(&bytes[16..]),
            first: number64(&bytes[24..]),
            salt: number64(&bytes[32..]),
        })
    }
}

/// What a record's checksum binds it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) salt: u64,
    pub(super) sequence: u64,
}

impl Seal {
    fn checksum(self, length: [u8; 4], payload: &[u8]) -> u32 {
        let mut hasher = Hasher::new();
        hasher.update(&self.salt.to_le_bytes());
        hasher.update(&self.sequence.to_le_bytes());
        hasher.update(&length);
        hasher.update(payload);
        hasher.finalize()
    }
}

/// The longest payload for which a segment of `segment_size` bytes has room.
pub(super) fn payload_max(segment_size: u64) -> usize {
    let room = segment_size.saturating_sub((HEADER_SIZE + PREFIX_SIZE) as u64) & !7;
    room.min(u64::from(PRESENT - 1) & !7) as usize
}

/// How many bytes of the segment a record with a payload of `length` bytes takes.
pub(super) fn record_size(length: usize) -> usize {
    PREFIX_SIZE + length.next_multiple_of(8)
}

/// Appends a record without its checksum, which [`seal`] adds when it is known where the record goes.
pub(super) fn push_unsealed(batch: &mut Vec<u8>, payload: &[u8]) {
    let end = batch.len() + record_size(payload.len());
    let length = payload.len() as u32 | PRESENT;
    batch.extend_from_slice(&length.to_le_bytes());
    batch.extend_from_slice(&[0; 4]);
    batch.extend_from_slice(payload);
    batch.resize(end, 0);
}

/// Adds the checksums to as many records of `batch` as fit into `room` bytes. Returns how many
/// bytes these take, and how many records they are.
pub(super) fn seal(batch: &mut [u8], mut seal: Seal, room: u64) -> (usize, u64) {
    let (mut at, mut count) = (0, 0);
    while at < batch.len() {
        let length = (number32(&batch[at..]) & !PRESENT) as usize;
        let size = record_size(length);
        if (at + size) as u64 > room {
            break;
        }
        let prefix = [batch[at], batch[at + 1], batch[at + 2], batch[at + 3]];
        let payload = &batch[at + PREFIX_SIZE..at + PREFIX_SIZE + length];
        let checksum = seal.checksum(prefix, payload);
        batch[at + 4..at + PREFIX_SIZE].copy_from_slice(&checksum.to_le_bytes());
        at += size;
        count += 1;
        seal.sequence += 1;
    }
    (at, count)
}

/// What stands at the place where the next record would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A record, and how many bytes of the segment it takes.
    Record { payload: &'a [u8], size: usize },
    /// So many bytes are needed to say.
    Needs(usize),
    /// The records of this segment end here.
    End,
    /// Something that is not the record that was written here.
    Torn(Flaw),
}

/// Looks at the place of the record that `seal` names: `bytes` are what was read from
/// there on, `left` is how many bytes of the segment there are.
pub(super) fn find(bytes: &[u8], left: u64, seal: Seal) -> Found<'_> {
    if left < PREFIX_SIZE as u64 {
        return Found::End;
    }
    if bytes.len() < PREFIX_SIZE {
        return Found::Needs(PREFIX_SIZE);
    }
    let word = number32(bytes);
    if word == 0 {
        return Found::End;
    }
    let length = word & !PRESENT;
    let size = record_size(length as usize);
    if word & PRESENT == 0 || size as u64 > left {
        return Found::Torn(Flaw::Length(length));
    }
    if bytes.len() < size {
        return Found::Needs(size);
    }
    let payload = &bytes[PREFIX_SIZE..PREFIX_SIZE + length as usize];
    if number32(&bytes[4..]) != seal.checksum(word.to_le_bytes(), payload) {
        return Found::Torn(Flaw::Checksum);
    }
    Found::Record { payload, size }
}

/// Where a good record stands in `bytes`, the rest of a segment, although there is none of the number that `first` names at their
/// beginning: one of that number elsewhere, or of a later one.
pub(super) fn stray(bytes: &[u8], first: Seal) -> Option<usize> {
    let places = (0..bytes.len()).step_by(8);
    places.into_iter().find(|&at| {
        let rest = &bytes[at..];
        // Between here and the beginning is room for so many records.
        let most = (at / PREFIX_SIZE) as u64;
        let is_like_one = rest.len() >= PREFIX_SIZE && number32(rest) & PRESENT != 0;
        is_like_one
            && (0..=most).any(|ahead| {
                let seal = Seal {
                    sequence: first.sequence + ahead,
                    ..first
                };
                matches!(find(rest, rest.len() as u64, seal), Found::Record { .. })
            })
    })
}

fn number32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn number64(bytes: &[u8]) -> u64 {
    u64::from(number32(bytes)) | u64::from(number32(&bytes[4..])) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const SEAL: Seal = Seal {
        salt: 0x1234_5678_9abc_def0,
        sequence: 41,
    };

    fn at(sequence: u64) -> Seal {
        Seal { sequence, ..SEAL }
    }

    fn batch(payloads: &[&[u8]]) -> Vec<u8> {
        let mut batch = Vec::new();
        payloads
            .iter()
            .for_each(|payload| push_unsealed(&mut batch, payload));
        batch
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header = Header {
            size: 1 << 20,
            first: u64::MAX - 1,
            salt: 7,
        };
        let bytes = header.encode();
        assert_eq!(bytes.len(), HEADER_SIZE);
        assert_eq!(Header::decode(&bytes), Ok(header));
    }

    #[test]
    fn every_changed_bit_of_a_header_is_seen() {
        let header = Header {
            size: 1 << 20,
            first: 9,
            salt: 7,
        };
        for bit in 0..40 * 8 {
            let mut bytes = header.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes).is_err(), "bit {bit}");
        }
        assert_eq!(Header::decode(&header.encode()[..100]), Err(Flaw::Magic));
    }

    #[test]
    fn records_are_read_as_they_were_written_in_order_up_to_the_zeros() {
        let payloads: [&[u8]; 4] = [
            b"first",
            b"",
            b"exactly8",
            b"the fourth, longer than the others",
        ];
        let mut bytes = batch(&payloads);
        let (sealed, count) = seal(&mut bytes, SEAL, u64::MAX);
        assert_eq!((sealed, count), (bytes.len(), 4));
        bytes.extend([0; 64]);
        let mut place = 0;
        for (sequence, expected) in (41..).zip(payloads) {
            let left = (bytes.len() - place) as u64;
            match find(&bytes[place..], left, at(sequence)) {
                Found::Record { payload, size } => {
                    assert_eq!(payload, expected);
                    place += size;
                }
                other => panic!("{other:?}"),
            }
        }
        let left = (bytes.len() - place) as u64;
        assert_eq!(find(&bytes[place..], left, at(45)), Found::End);
    }

    #[test]
    fn what_is_covered_holds_no_records_at_any_place() {
        let covered = COVER.repeat(8);
        for place in (0..covered.len()).step_by(8) {
            let rest = &covered[place..];
            assert_eq!(find(rest, rest.len() as u64, SEAL), Found::End);
        }
        assert_eq!(stray(&covered, SEAL), None);
    }

    #[test]
    fn a_full_segment_ends_without_zeros() {
        for left in 0..PREFIX_SIZE as u64 {
            assert_eq!(find(&[1; 8], left, SEAL), Found::End);
        }
    }

    #[test]
    fn only_records_that_fit_are_sealed() {
        let mut bytes = batch(&[&[1; 24], &[2; 24], &[3; 24]]);
        assert_eq!(seal(&mut bytes.clone(), SEAL, 31), (0, 0));
        assert_eq!(seal(&mut bytes.clone(), SEAL, 32), (32, 1));
        assert_eq!(seal(&mut bytes.clone(), SEAL, 95), (64, 2));
        assert_eq!(seal(&mut bytes, SEAL, 96), (96, 3));
    }

    #[test]
    fn the_longest_payload_fills_a_segment_and_one_more_byte_does_not_fit() {
        for size in [HEADER_SIZE as u64 + 64, HEADER_SIZE as u64 + 69, 1 << 20] {
            let most = payload_max(size);
            assert!((HEADER_SIZE + record_size(most)) as u64 <= size);
            assert!((HEADER_SIZE + record_size(most + 1)) as u64 > size);
        }
        assert_eq!(payload_max(0), 0);
        assert!(payload_max(u64::MAX) < PRESENT as usize);
    }

    #[test]
    fn every_changed_bit_and_every_missing_byte_of_a_record_is_seen() {
        let mut bytes = batch(&[b"payload"]);
        seal(&mut bytes, SEAL, u64::MAX);
        let payload_end = PREFIX_SIZE + b"payload".len();
        let is_record = |bytes: &[u8], seal| {
            matches!(find(bytes, bytes.len() as u64, seal), Found::Record { .. })
        };
        assert!(is_record(&bytes, SEAL));
        for bit in 0..payload_end * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_record(&changed, SEAL), "bit {bit}");
        }
        for kept in 0..payload_end {
            let mut torn = bytes.clone();
            torn[kept..].fill(0);
            assert!(!is_record(&torn, SEAL), "{kept} bytes kept");
        }
        assert!(!is_record(&bytes, at(42)), "another place");
        let elsewhere = Seal { salt: 1, ..SEAL };
        assert!(!is_record(&bytes, elsewhere), "another file");
    }

    #[test]
    fn a_good_record_behind_the_end_is_found_and_nothing_else_is() {
        let mut bytes = batch(&[b"one", b"the second", b"3"]);
        seal(&mut bytes, SEAL, u64::MAX);
        let second = record_size(3);
        assert_eq!(stray(&bytes, SEAL), Some(0));
        bytes[8] ^= 1;
        assert_eq!(stray(&bytes, SEAL), Some(second));
        bytes[second + 8] ^= 1;
        assert_eq!(stray(&bytes, SEAL), Some(second + record_size(10)));
        let elsewhere = Seal { salt: 1, ..SEAL };
        assert_eq!(stray(&bytes, elsewhere), None);
        bytes.truncate(second + record_size(10));
        assert_eq!(stray(&bytes, SEAL), None);
        // What was to come first, somewhere else.
        let mut moved = batch(&[b"one"]);
        seal(&mut moved, SEAL, u64::MAX);
        moved.splice(0..0, [0; 24]);
        assert_eq!(stray(&moved, SEAL), Some(24));
    }

    #[test]
    fn whatever_the_bytes_are_reading_them_ends_and_never_asks_for_more_than_is_left() {
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
        println!("seed: {seed}");
        let random = Random::new(seed);
        for _ in 0..50_000 {
            let mut bytes = batch(&[b"one", &[7; 40], b""]);
            seal(&mut bytes, SEAL, u64::MAX);
            for _ in 0..random.below(4) {
                let place = random.below(bytes.len() as u32) as usize;
                bytes[place] = random.next() as u8;
            }
            bytes.truncate(random.below(bytes.len() as u32 + 1) as usize);
            let left = u64::from(random.below(200));
            match find(&bytes, left, SEAL) {
                Found::Record { payload, size } => {
                    assert!(size <= bytes.len() && size as u64 <= left);
                    assert!(payload.len() < size);
                }
                Found::Needs(more) => assert!(more > bytes.len() && more as u64 <= left),
                Found::End | Found::Torn(_) => {}
            }
            let _ = Header::decode(&bytes);
        }
    }
}
