//! Requests that do nothing, as a bare loop: submit a batch, wait for it, take it.

use std::io;

use super::ring::Ring;

/// Runs at least `operations` of them, `batch` at a time; says how many.
pub(crate) fn run(operations: u64, batch: usize) -> io::Result<u64> {
    let mut ring = Ring::new(batch)?;
    let mut completed = Vec::with_capacity(batch);
    let mut done = 0;
    while done < operations {
        ring.push_nops(batch);
        while completed.len() < batch {
            ring.turn(batch - completed.len(), &mut completed)?;
        }
        if let Some((_, result)) = completed.iter().find(|(_, result)| *result < 0) {
            return Err(io::Error::from_raw_os_error(-result));
        }
        done += completed.len() as u64;
        completed.clear();
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_batch_that_does_not_divide_the_count_is_finished() {
        assert_eq!(super::run(100, 32).unwrap(), 128);
        assert_eq!(super::run(5, 1).unwrap(), 5);
    }
}
