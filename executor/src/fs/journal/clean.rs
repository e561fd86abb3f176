//! [`Mark`]: says in a file of its own that a journal has ended cleanly.
//!
//! It is written when the journal is closed, after the last sync has succeeded, and stays true as long as nothing else is written. So
//! it is removed, and the folder synced, before anything is: whichever mark is found belongs to the end of the life before. It need not be
//! synced itself. What a crash leaves of it is no mark, or a true one.
//!
//! | bytes | hold |
//! |---|---|
//! | 0..8 | `krugends` |
//! | 8..16 | the sequence number of the segment's first record, little-endian as all |
//! | 16..24 | the salt of the segment |
//! | 24..32 | where its records end |
//! | 32..36 | CRC-32 of all before |

use std::io;
use std::path::Path;

use super::format::Header;
use crate::fs;

const NAME: &str = "clean";
const MAGIC: [u8; 8] = *b"krugends";

/// The records of a segment are on the disk up to `end`, and no traces of others are behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    first: u64,
    salt: u64,
    end: u64,
}

impl Mark {
    pub(super) fn new(header: &Header, end: u64) -> Mark {
        Mark {
            first: header.first,
            salt: header.salt,
            end,
        }
    }

    fn encode(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [self.first, self.salt, self.end] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Without it the next opening has more to do: that it could not be written is no error.
    pub(super) async fn write(self, folder: &Path) {
        let written = fs::write(folder.join(NAME), self.encode()).await;
        if let Err(error) = written {
            tracing::debug!(%error, "a journal has ended cleanly and cannot say so");
        }
    }

    /// Removes the mark, and says whether it was this one. It is gone for good when the folder has been synced.
    pub(super) async fn take(self, folder: &Path) -> io::Result<bool> {
        let path = folder.join(NAME);
        // What cannot be read is not believed.
        let found = fs::read(&path).await.unwrap_or_default();
        match fs::remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(found == self.encode()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_has_bytes_of_its_own() {
        let header = Header {
            size: 1 << 20,
            first: 9,
            salt: 7,
        };
        let mark = Mark::new(&header, 5000);
        assert_eq!(mark.encode().len(), 36);
        let others = [
            Mark { first: 8, ..mark },
            Mark { salt: 8, ..mark },
            Mark { end: 5008, ..mark },
        ];
        assert!(others.iter().all(|other| other.encode() != mark.encode()));
    }
}
