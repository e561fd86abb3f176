//! A write that waits, then a sync that waits.

use std::io;
use std::os::unix::fs::FileExt;

use super::{Appends, Job};
use crate::file_models::content::RECORD;
use crate::file_models::is_passing;
use crate::harness::meter::Measured;

pub(super) fn append(job: &Job) -> io::Result<Measured> {
    let file = job.open()?;
    let mut appends = Appends::new(job);
    let mut record = [0; RECORD];
    while let Some(asked) = appends.next(&mut record) {
        // It goes on after a short write, and after a signal.
        file.write_all_at(&record, job.offset(&asked))?;
        loop {
            match file.sync_data() {
                Err(error) if is_passing(&error) => {}
                result => break result?,
            }
        }
        appends.done(asked);
    }
    Ok(appends.measured())
}
