//! What goes through the pipes, and the account of it.

use std::io;

pub(super) const RECORD: usize = 32;

/// The record with this number on a channel. It says both, each twice.
pub(super) fn record(channel: usize, sequence: u64) -> [u8; RECORD] {
    let channel = channel as u64;
    let mut record = [0; RECORD];
    for (place, word) in record
        .chunks_exact_mut(8)
        .zip([channel, sequence, !channel, !sequence])
    {
        place.copy_from_slice(&word.to_le_bytes());
    }
    record
}

/// How many records have come on each channel; they come in order.
#[derive(Debug)]
pub(super) struct Ledger {
    counts: Vec<u64>,
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl Ledger {
    pub(super) fn new(channels: usize) -> Ledger {
        Ledger {
            counts: vec![0; channels],
        }
    }

    pub(super) fn records(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Fails unless it is the next one on its channel.
    fn enter(&mut self, data: &[u8]) -> io::Result<()> {
        let channel = u64::from_le_bytes(data[..8].try_into().expect("eight bytes"));
        let index = usize::try_from(channel).unwrap_or(usize::MAX);
        let count = self.counts.get_mut(index);
        let count = count.ok_or_else(|| invalid(format!("there is no channel {channel}")))?;
        if data != record(index, *count) {
            return Err(invalid(format!("not record {count} of channel {channel}")));
        }
        *count += 1;
        Ok(())
    }

    /// Fails unless as many have come as were sent.
    pub(super) fn compare(&self, sent: &[u64]) -> io::Result<()> {
        if self.counts == sent {
            return Ok(());
        }
        let (came, sent) = (self.records(), sent.iter().sum::<u64>());
        Err(invalid(format!(
            "{sent} records were sent, {came} have come"
        )))
    }
}

/// Puts the records of one stream of bytes together again, wherever it was cut.
#[derive(Debug, Default)]
pub(super) struct Stream {
    beginning: [u8; RECORD],
    length: usize,
}

impl Stream {
    pub(super) fn feed(&mut self, mut data: &[u8], ledger: &mut Ledger) -> io::Result<()> {
        if self.length > 0 {
            let (rest, others) = data.split_at(data.len().min(RECORD - self.length));
            self.beginning[self.length..][..rest.len()].copy_from_slice(rest);
            self.length += rest.len();
            data = others;
            if self.length < RECORD {
                return Ok(());
            }
            ledger.enter(&self.beginning)?;
        }
        let (records, rest) = data.as_chunks::<RECORD>();
        for record in records {
            ledger.enter(record)?;
        }
        self.beginning[..rest.len()].copy_from_slice(rest);
        self.length = rest.len();
        Ok(())
    }

    /// The stream has ended: not within a record.
    pub(super) fn end(&self) -> io::Result<()> {
        if self.length > 0 {
            return Err(invalid("a stream has ended within a record".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_whole_wherever_they_were_cut() {
        let bytes: Vec<u8> = (0..5).flat_map(|number| record(0, number)).collect();
        for size in 1..=bytes.len() {
            let (mut ledger, mut stream) = (Ledger::new(1), Stream::default());
            for piece in bytes.chunks(size) {
                stream.feed(piece, &mut ledger).unwrap();
            }
            stream.end().unwrap();
            ledger.compare(&[5]).unwrap();
        }
    }

    #[test]
    fn a_record_that_is_lost_doubled_damaged_or_cut_off_is_seen() {
        let seen = |bytes: &[u8]| {
            let (mut ledger, mut stream) = (Ledger::new(2), Stream::default());
            stream.feed(bytes, &mut ledger)?;
            stream.end()?;
            ledger.compare(&[0, 2])
        };
        let (first, second) = (record(1, 0), record(1, 1));
        seen(&[first, second].concat()).unwrap();
        let mut damaged = second;
        damaged[20] ^= 1;
        for wrong in [
            [&first[..]].concat(),
            [first, first].concat(),
            [second, first].concat(),
            [first, damaged].concat(),
            [first, record(0, 0)].concat(),
            [first, record(2, 0)].concat(),
            [&first[..], &second[..31]].concat(),
        ] {
            assert!(seen(&wrong).is_err(), "{wrong:?}");
        }
    }
}
