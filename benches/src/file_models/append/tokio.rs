//! `tokio::fs`: a write, whose error its flush tells, and a sync; each is a trip to the pool of threads.

use std::io::{self, SeekFrom};

use ::tokio::fs::OpenOptions;
use ::tokio::io::{AsyncSeekExt, AsyncWriteExt};
use ::tokio::runtime::Builder;

use super::{Appends, Job};
use crate::file_models::content::RECORD;
use crate::harness::meter::Measured;

pub(super) fn append(job: &Job) -> io::Result<Measured> {
    let runtime = Builder::new_current_thread().build()?;
    runtime.block_on(append_all(job))
}

async fn append_all(job: &Job) -> io::Result<Measured> {
    let mut file = OpenOptions::new().write(true).open(&job.path).await?;
    let mut appends = Appends::new(job);
    let mut record = [0; RECORD];
    while let Some(asked) = appends.next(&mut record) {
        if job.offset(&asked) == 0 {
            file.seek(SeekFrom::Start(0)).await?;
        }
        file.write_all(&record).await?;
        file.flush().await?;
        file.sync_data().await?;
        appends.done(asked);
    }
    Ok(appends.measured())
}
