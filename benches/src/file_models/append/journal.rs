//! krug's journal: what many append at once goes out with one write and one sync.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use ::krug::fs::Journal;
use ::krug::fs::journal::JournalOptions;
use ::krug::runtime::{Builder, Driver};

use super::{Appends, Job};
use crate::file_models::content::{self, Check, RECORD};
use crate::harness::meter::Measured;

pub(super) fn append(writers: usize, job: &Job) -> io::Result<Measured> {
    let runtime = Builder::new().driver(job.driver).build()?;
    let options = JournalOptions::new().segment_size(job.bytes);
    let measured = runtime.block_on(append_all(&options, writers, job))?;
    let calls = (job.driver == Driver::Uring).then(|| runtime.metrics().enters);
    runtime.block_on(check(&options, &job.path, measured.operations))?;
    Ok(Measured { calls, ..measured })
}

async fn append_all(options: &JournalOptions, writers: usize, job: &Job) -> io::Result<Measured> {
    let journal = Rc::new(options.open(&job.path).await?);
    let appends = Rc::new(RefCell::new(Appends::new(job)));
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (journal, appends) = (Rc::clone(&journal), Rc::clone(&appends));
            ::krug::spawn(async move { one_after_the_other(&journal, &appends).await })
        })
        .collect();
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    let appends = Rc::into_inner(appends).expect("all tasks have ended");
    let measured = appends.into_inner().measured();
    let journal = Rc::into_inner(journal).expect("all tasks have ended");
    journal.close().await?;
    Ok(measured)
}

async fn one_after_the_other(journal: &Journal, appends: &RefCell<Appends>) -> io::Result<()> {
    let mut record = [0; RECORD];
    loop {
        let Some(asked) = appends.borrow_mut().next(&mut record) else {
            return Ok(());
        };
        journal.append(&record).await?;
        appends.borrow_mut().done(asked);
    }
}

/// Everything that was appended is there, once.
async fn check(options: &JournalOptions, folder: &Path, records: u64) -> io::Result<()> {
    let mut recovery = options.recover(folder).await?;
    let mut count = 0;
    while let Some(record) = recovery.next().await? {
        // Writers are served in the order in which they took their numbers.
        content::check(record.sequence, &record.payload, Check::Whole)?;
        count += 1;
    }
    if count != records {
        let text = format!("the journal holds {count} records, {records} were appended");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    recovery.finish().await?.close().await
}
