//! What stands in the files, so that whoever reads them knows whether it came from the right place.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// The size of a block, which is what a read asks for.
pub(crate) const BLOCK: usize = 4096;

/// The size of a record that is appended.
pub(crate) const RECORD: usize = 512;

const WORD: usize = size_of::<u64>();

/// How much of a block is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Its first, middle and last words: that costs next to nothing beside the read.
    Three,
    Whole,
}

/// A word says in which piece it stands, from 1 on, and where in it.
fn word(number: u64, index: usize) -> [u8; WORD] {
    ((number + 1) << 16 | index as u64).to_le_bytes()
}

/// Fills a block or a record.
pub(crate) fn fill(number: u64, data: &mut [u8]) {
    for (index, bytes) in data.chunks_mut(WORD).enumerate() {
        bytes.copy_from_slice(&word(number, index)[..bytes.len()]);
    }
}

/// Fails if the block or record, or what there is of it, is not that one.
pub(crate) fn check(number: u64, data: &[u8], how: Check) -> io::Result<()> {
    let words = data.len() / WORD;
    let is_right = |index: usize| data[index * WORD..][..WORD] == word(number, index);
    let all_right = match how {
        Check::Three => words == 0 || [0, words / 2, words - 1].into_iter().all(is_right),
        Check::Whole => (0..words).all(is_right),
    };
    if all_right {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("what was read is not number {number}"),
        ))
    }
}

/// Makes a file of so many bytes of numbered blocks, on the disk when this returns, and in the cache.
pub(crate) fn write_blocks(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut chunk = vec![0; 256 * BLOCK];
    let (mut written, mut number) = (0, 0);
    while written < bytes {
        for block in chunk.chunks_mut(BLOCK) {
            fill(number, block);
            number += 1;
        }
        let length =
            usize::try_from(bytes - written).map_or(chunk.len(), |rest| rest.min(chunk.len()));
        file.write_all(&chunk[..length])?;
        written += length as u64;
    }
    file.sync_all()
}

/// Makes a file of zeros, on the disk when this returns: what is written over them changes nothing but them.
pub(crate) fn write_zeros(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    io::copy(&mut io::repeat(0).take(bytes), &mut file)?;
    file.sync_all()
}

/// Reads all of a file, so that it is in the cache.
pub(crate) fn warm(path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; 256 * BLOCK];
    while file.read(&mut chunk)? > 0 {}
    Ok(())
}

/// Fails unless the file holds the last of so many records that were written from its start to its end, and
/// from its start again.
pub(crate) fn check_log(path: &Path, records: u64) -> io::Result<()> {
    let data = std::fs::read(path)?;
    let places = (data.len() / RECORD) as u64;
    for number in records.saturating_sub(places)..records {
        let place = usize::try_from(number % places).expect("a place in memory") * RECORD;
        check(number, &data[place..][..RECORD], Check::Whole)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_told_from_every_other_and_from_itself_shifted() {
        let mut block = vec![0; BLOCK];
        assert!(
            check(0, &block, Check::Three).is_err(),
            "zeros are no block"
        );
        fill(7, &mut block);
        for how in [Check::Three, Check::Whole] {
            check(7, &block, how).unwrap();
            check(7, &block[..100], how).unwrap();
            assert!(check(8, &block, how).is_err());
            assert!(check(7, &block[8..], how).is_err());
        }
        block[2000] ^= 1;
        check(7, &block, Check::Three).unwrap();
        assert!(check(7, &block, Check::Whole).is_err());
    }

    #[test]
    fn a_log_that_lacks_a_record_is_seen_also_when_it_has_gone_round() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut data = vec![0; 4 * RECORD];
        // Six records on four places.
        for number in 0..6 {
            let place = number as usize % 4 * RECORD;
            fill(number, &mut data[place..][..RECORD]);
        }
        std::fs::write(&path, &data).unwrap();
        check_log(&path, 6).unwrap();
        assert!(check_log(&path, 7).is_err());
    }
}
