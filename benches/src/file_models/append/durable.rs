//! A write that comes back when the record is on the disk: write and sync in one call.

use std::io;

use super::{Appends, Job, something};
use crate::file_models::calls::sync::write_at_durably;
use crate::file_models::content::RECORD;
use crate::file_models::is_passing;
use crate::harness::meter::Measured;

pub(super) fn append(job: &Job) -> io::Result<Measured> {
    let file = job.open()?;
    let mut appends = Appends::new(job);
    let mut record = [0; RECORD];
    let mut calls = 0;
    while let Some(asked) = appends.next(&mut record) {
        let mut done = 0;
        while done < RECORD {
            let part = &record[job.piece_after(done)];
            calls += 1;
            match write_at_durably(&file, part, job.offset(&asked) + done as u64) {
                Ok(count) => done += something(count)?,
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        appends.done(asked);
    }
    Ok(Measured {
        calls: Some(calls),
        ..appends.measured()
    })
}
