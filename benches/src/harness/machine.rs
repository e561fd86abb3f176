//! The circumstances of a result.

use std::fs;
use std::process::Command;

use krug::doctor::Rung;

use crate::floor::ring::Ring;

/// What must be known to compare a number with another one.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its name as the kernel tells it.
    pub processor: String,
    /// How many of them this process may use.
    pub cores: usize,
    /// The release of Linux.
    pub kernel: String,
    /// Of the folder in which the program runs, and whether it differs from it.
    pub commit: String,
    /// Optimised or not, how it was linked, and with which flags.
    pub build: String,
    /// Of the packages that are compared.
    pub versions: String,
    /// What rings the kernel makes, for krug and for a bare loop.
    pub ring: String,
    /// The arguments with which the program was called, but for where results go.
    pub command: String,
    /// One-minute load before the first run, which should be near zero.
    pub load: String,
}

impl Machine {
    pub(crate) fn look(built: &str) -> Machine {
        Machine::look_with(built, LOCK, &["krug", "io-uring", "tokio"])
    }

    /// Looks, and reads the versions of these packages off the text of a lock file. `built` says how the program was compiled.
    pub fn look_with(built: &str, lock: &str, packages: &[&str]) -> Machine {
        let version = |name| version_in(lock, name).unwrap_or("unknown");
        let versions: Vec<String> = packages
            .iter()
            .map(|name| format!("{name} {}", version(name)))
            .collect();
        Machine {
            processor: processor(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: first_word("/proc/sys/kernel/osrelease"),
            commit: commit(),
            build: build(built),
            versions: versions.join(", "),
            ring: ring(),
            command: command(std::env::args().skip(1)),
            load: first_word("/proc/loadavg"),
        }
    }

    /// Three lines for people.
    pub fn describe(&self) -> String {
        let Machine {
            processor,
            cores,
            kernel,
            commit,
            build,
            versions,
            ring,
            command,
            load,
        } = self;
        format!(
            "{processor}, {cores} cores, Linux {kernel}, load before {load}\ncommit {commit}, {build}; {versions}\nring: {ring}; called with `{command}`"
        )
    }
}

fn first_word(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .next()
        .unwrap_or("unknown")
        .to_owned()
}

fn processor(cpuinfo: &str) -> String {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name") || line.starts_with("Model"));
    let name = line
        .and_then(|line| line.split_once(':'))
        .map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The commit, and whether the folder differs from it.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(hash) = git(&["rev-parse", "--short=10", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let is_clean = git(&["status", "--porcelain"]).is_some_and(|changes| changes.is_empty());
    if is_clean {
        hash
    } else {
        hash + " with changes"
    }
}

/// What can be had here: how modern a ring krug makes, and the flags of a bare one.
fn ring() -> String {
    let rung = krug::doctor().rung().map(Rung::name);
    match Ring::new(8) {
        Ok(bare) => format!("krug {}, bare {}", rung.unwrap_or("none"), bare.flags),
        Err(error) => format!("none: {error}"),
    }
}

fn command(mut arguments: impl Iterator<Item = String>) -> String {
    let mut words = Vec::new();
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--json" | "--dir" => drop(arguments.next()),
            _ => words.push(word),
        }
    }
    words.join(" ")
}

fn build(built: &str) -> String {
    let asserts = if cfg!(debug_assertions) {
        "WITH DEBUG ASSERTIONS, "
    } else {
        ""
    };
    let flags = option_env!("RUSTFLAGS").unwrap_or("none");
    format!("{asserts}{built}, RUSTFLAGS {flags}")
}

const LOCK: &str = include_str!("../../../Cargo.lock");

fn version_in<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines
        .nth(1)?
        .strip_prefix("version = \"")?
        .strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_off_the_lock_file() {
        let lock = "[[package]]\nname = \"io-uring-x\"\nversion = \"9.9.9\"\n\n[[package]]\nname = \"io-uring\"\nversion = \"0.7.15\"\n";
        assert_eq!(version_in(lock, "io-uring"), Some("0.7.15"));
        assert_eq!(version_in(lock, "io"), None);
        assert!(version_in(LOCK, "tokio").is_some());
        let machine = Machine::look_with("somehow", lock, &["io-uring", "io"]);
        assert!(
            machine.build.contains("somehow, RUSTFLAGS "),
            "{}",
            machine.build
        );
        assert_eq!(machine.versions, "io-uring 0.7.15, io unknown");
    }

    #[test]
    fn a_run_can_be_repeated_by_what_is_kept_of_its_command() {
        let line = "echo --json /somewhere/x.jsonl --pairs 9 --dir /elsewhere --quick";
        let words = line.split(' ').map(str::to_owned);
        assert_eq!(command(words), "echo --pairs 9 --quick");
    }

    #[test]
    fn the_processor_has_a_name() {
        assert_eq!(
            processor("processor\t: 0\nmodel name\t: Fast One\n"),
            "Fast One"
        );
        assert_eq!(processor(""), std::env::consts::ARCH);
    }
}
