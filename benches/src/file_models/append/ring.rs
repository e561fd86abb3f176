//! A bare ring: a write and a sync that begins when it is over, submitted by one call that waits for both.

use std::io;

use super::{Appends, Job, something};
use crate::file_models::calls::ring::RingAppends;
use crate::file_models::content::RECORD;
use crate::file_models::is_passing;
use crate::harness::meter::Measured;

pub(super) fn append(job: &Job) -> io::Result<Measured> {
    let file = job.open()?;
    let mut appends = Appends::new(job);
    let mut ring = RingAppends::new(&file)?;
    while let Some(asked) = appends.next(ring.record()) {
        let mut done = 0;
        while done < RECORD {
            let part = job.piece_after(done);
            match ring.write_and_sync(part, job.offset(&asked) + done as u64) {
                Ok(count) => done += something(count)?,
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        appends.done(asked);
    }
    Ok(Measured {
        calls: Some(ring.calls()),
        ..appends.measured()
    })
}
