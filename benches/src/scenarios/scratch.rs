//! A folder for the files of a scenario, which goes away with it, however it ends.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::options::Options;

pub(super) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// In the folder that the options name, or beside this program: that is where it was built, mostly on a
    /// disk, while the folder for temporary files is often in memory.
    pub(super) fn new(options: &Options, scenario: &str) -> io::Result<Scratch> {
        let parent = match &options.dir {
            Some(folder) => folder.clone(),
            None => {
                let program = std::env::current_exe()?;
                program.parent().unwrap_or(Path::new(".")).to_owned()
            }
        };
        let folder = parent.join(format!("krug-benches-{scenario}-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", folder.display()))
        })?;
        Ok(Scratch { folder })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} is left behind: {error}", self.folder.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Parsed, parse};

    #[test]
    fn a_scratch_folder_lies_where_it_was_asked_for_and_goes_away_also_when_something_fails() {
        let parent = tempfile::tempdir().unwrap();
        let line = format!("files --dir {}", parent.path().display());
        let Ok(Parsed::Run(options)) = parse(line.split(' ').map(str::to_owned)) else {
            panic!("{line}")
        };
        let entries = || fs::read_dir(parent.path()).unwrap().count();
        let failed = std::panic::catch_unwind(|| {
            let scratch = Scratch::new(&options, "files").unwrap();
            fs::write(scratch.path("file"), "something").unwrap();
            assert_eq!(entries(), 1);
            std::panic::resume_unwind(Box::new("failed"));
        });
        assert!(failed.is_err());
        assert_eq!(entries(), 0);
    }
}
