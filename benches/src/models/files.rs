//! The files that are served. Each is opened once, by the first request for it, and read by every one.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// So many stay open; others are opened by each request.
pub(crate) const OPEN_MAX: usize = 64;

/// Files of one folder, for servers that wait for them.
#[derive(Debug)]
pub(crate) struct Files {
    folder: Arc<Path>,
    open: RwLock<HashMap<String, Arc<Opened>>>,
}

#[derive(Debug)]
struct Opened {
    file: File,
    length: usize,
}

impl Files {
    pub(crate) fn of(folder: PathBuf) -> Files {
        Files {
            folder: folder.into(),
            open: RwLock::default(),
        }
    }

    /// All of a file; nothing if there is none, or it cannot be read.
    pub(crate) fn load(&self, name: &str) -> Option<Vec<u8>> {
        let file = self.opened(name).ok()?;
        let mut content = vec![0; file.length];
        file.file.read_exact_at(&mut content, 0).ok()?;
        Some(content)
    }

    /// For a server that does not wait, and opens them itself.
    pub(crate) fn into_folder(self) -> Arc<Path> {
        self.folder
    }

    fn opened(&self, name: &str) -> io::Result<Arc<Opened>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(name) {
            return Ok(file.clone());
        }
        drop(open);
        let (file, length) = open_file(&self.folder.join(name))?;
        let file = Arc::new(Opened { file, length });
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.len() < OPEN_MAX {
            open.insert(name.to_owned(), file.clone());
        }
        Ok(file)
    }
}

/// A file and its length; an error for all that is not a file.
fn open_file(path: &Path) -> io::Result<(File, usize)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let length = usize::try_from(metadata.len()).map_err(io::Error::other)?;
    Ok((file, length))
}
