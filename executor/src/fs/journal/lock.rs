//! [`Lock`]: one process, and one journal in it, at a time.

use std::io;
use std::path::Path;

use crate::fs::{File, OpenOptions};

const NAME: &str = "lock";

/// A locked file; unlocked at once when this is dropped, though closed a little later.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    pub(super) async fn take(folder: &Path) -> io::Result<Lock> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .open(folder.join(NAME))
            .await?;
        file.try_lock().map_err(|error| {
            let text = format!(
                "the journal in {} is open elsewhere: {error}",
                folder.display()
            );
            io::Error::new(error.kind(), text)
        })?;
        Ok(Lock(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // It fails only where nothing is locked any more: after the end of the runtime.
        let _ = self.0.unlock();
    }
}
