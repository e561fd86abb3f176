//! [`System`]: what the system says of itself, in small files and bounds.

use std::fs;
use std::path::PathBuf;

use crate::sys::{self, Resource};

/// Where to read it. Tests give it files of their own.
#[derive(Clone, Debug)]
pub(crate) struct System {
    root: PathBuf,
    pub(crate) locked_memory: Option<Limit>,
    pub(crate) descriptors: Option<Limit>,
}

/// A bound on what the process may use, and how far it may raise that itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// [`Limit::NONE`]: there is none.
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

impl Limit {
    pub(crate) const NONE: u64 = u64::MAX;

    /// The bound; `None` if there is none.
    pub fn soft(&self) -> Option<u64> {
        (self.soft != Limit::NONE).then_some(self.soft)
    }

    /// How far the process may raise it; `None`: as far as it likes.
    pub fn hard(&self) -> Option<u64> {
        (self.hard != Limit::NONE).then_some(self.hard)
    }
}

impl System {
    /// The one that this thread runs on. The bounds come from calls: reading a file takes a descriptor, and there may be
    /// none left.
    pub(crate) fn here() -> System {
        let limit = |resource| {
            let (soft, hard) = sys::limit(resource).ok()?;
            Some(Limit { soft, hard })
        };
        System {
            root: PathBuf::from("/"),
            locked_memory: limit(Resource::LockedMemory),
            descriptors: limit(Resource::Descriptors),
        }
    }

    #[cfg(test)]
    pub(crate) fn at(root: &std::path::Path) -> System {
        System {
            root: root.to_owned(),
            locked_memory: None,
            descriptors: None,
        }
    }

    /// The text of a file, without the space around it; `None` if there is no such file, or it cannot be read.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.root.join(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    pub(crate) fn read_number<T: std::str::FromStr>(&self, path: &str) -> Option<T> {
        self.read(path)?.parse().ok()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// How many entries a folder has.
    pub(crate) fn count(&self, path: &str) -> Option<usize> {
        Some(fs::read_dir(self.root.join(path)).ok()?.count())
    }
}

/// What follows `name:` in the lines of a text such as `/proc/self/status`.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let lines = text.lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    values.next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "Seccomp_filters:\t3\nSeccomp:\t2\nGroups:\t\n";
        assert_eq!(field(text, "Seccomp"), Some("2"));
        assert_eq!(field(text, "Groups"), Some(""));
        assert_eq!(field(text, "Sec"), None);
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        let system = System::at(std::path::Path::new("/nonexistent"));
        assert_eq!(system.read("proc/self/status"), None);
        assert_eq!(system.read_number::<u32>("proc/self/status"), None);
        assert_eq!(system.count("proc/self/fd"), None);
    }

    #[test]
    fn bounds_are_known_without_a_file() {
        let here = System::here();
        let limit = here.descriptors.expect("every process has it");
        assert!(0 < limit.soft && limit.soft <= limit.hard);
        assert!(here.locked_memory.is_some());
    }
}
