//! krug: a write at an offset, then a sync.

use std::io;

use ::krug::fs::OpenOptions;
use ::krug::runtime::{Builder, Driver};

use super::{Appends, Job};
use crate::file_models::content::RECORD;
use crate::harness::meter::Measured;

pub(super) fn append(driver: Driver, job: &Job) -> io::Result<Measured> {
    let runtime = Builder::new().driver(driver).build()?;
    let measured = runtime.block_on(append_all(job))?;
    let calls = (driver == Driver::Uring).then(|| runtime.metrics().enters);
    Ok(Measured { calls, ..measured })
}

async fn append_all(job: &Job) -> io::Result<Measured> {
    let file = OpenOptions::new().write(true).open(&job.path).await?;
    let mut appends = Appends::new(job);
    let mut record = Box::new([0; RECORD]);
    let mut buffer = ::krug::buf::alloc(RECORD);
    while let Some(asked) = appends.next(&mut record) {
        buffer.clear();
        buffer.extend_from_slice(&record[..]);
        let (result, back) = file.write_all_at(buffer, job.offset(&asked)).await;
        buffer = back;
        result?;
        file.sync_data().await?;
        appends.done(asked);
    }
    Ok(appends.measured())
}
