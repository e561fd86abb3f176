//! Names of files and directories.

use std::io;
use std::path::{Path, PathBuf};

use krug::fs;
use krug_tests::Random;

use crate::{Kind, digest, failed, said};

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Write {
        at: &'static str,
    },
    Read {
        at: &'static str,
    },
    Rename {
        from: &'static str,
        to: &'static str,
    },
    RemoveFile {
        at: &'static str,
    },
    RemoveDir {
        at: &'static str,
    },
    RemoveDirAll {
        at: &'static str,
    },
    CreateDir {
        at: &'static str,
    },
    CreateDirAll {
        at: &'static str,
    },
    HardLink {
        from: &'static str,
        to: &'static str,
    },
    Symlink {
        target: &'static str,
        at: &'static str,
    },
    ReadLink {
        at: &'static str,
    },
    Canonicalize {
        at: &'static str,
    },
    Metadata {
        at: &'static str,
        follows: bool,
    },
    TryExists {
        at: &'static str,
    },
    Copy {
        from: &'static str,
        to: &'static str,
    },
    List {
        at: &'static str,
    },
    Open {
        at: &'static str,
        writes: bool,
    },
    Permissions {
        at: &'static str,
        mode: u32,
    },
}

const LONG: &str = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\
    nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";

/// The names of a program. Few, so that it meets what it has made.
const NAMES: &[&str] = &[
    "a", "b", "d", "d/x", "d/e", "d/e/y", "l", "l/x", "a/x", "a/", "d/", "l/", "d/..", "d/.",
    "d/../a", "./a", LONG,
];

const TARGETS: &[&str] = &["a", "d", "l", "d/x", "../a", "nowhere", ".", ""];

fn draw(random: &Random) -> Step {
    let name = || match random.below(3) {
        0 => NAMES[random.below(NAMES.len())],
        _ => NAMES[random.below(7)],
    };
    let (at, from, to) = (name(), name(), name());
    match random.below(26) {
        0..=3 => Step::Write { at },
        4 => Step::Read { at },
        5..=7 => Step::Rename { from, to },
        8 => Step::RemoveFile { at },
        9 => Step::RemoveDir { at },
        // Not what the program itself stands on.
        10 => Step::RemoveDirAll {
            at: if at.contains('.') || at.ends_with('/') {
                "d"
            } else {
                at
            },
        },
        11..=13 => Step::CreateDir { at },
        14 => Step::CreateDirAll { at },
        15 => Step::HardLink { from, to },
        16 | 17 => Step::Symlink {
            target: TARGETS[random.below(TARGETS.len())],
            at,
        },
        18 => Step::ReadLink { at },
        19 => Step::Canonicalize { at },
        20 => Step::Metadata {
            at,
            follows: random.below(2) == 0,
        },
        21 => Step::TryExists { at },
        22 => Step::Copy { from, to },
        23 => Step::List { at },
        24 => Step::Open {
            at,
            writes: random.below(2) == 0,
        },
        _ => Step::Permissions {
            at,
            mode: [0o600, 0o700, 0o644][random.below(3)],
        },
    }
}

struct Program {
    folder: PathBuf,
    written: Random,
}

impl Program {
    fn at(&self, name: &str) -> PathBuf {
        // Joining would take a slash at the end away.
        PathBuf::from(format!("{}/{name}", self.folder.display()))
    }

    async fn step(&mut self, step: &Step) -> String {
        match *step {
            Step::Write { at } => {
                let bytes = self.written.bytes(10);
                said(fs::write(self.at(at), bytes).await.map(drop))
            }
            Step::Read { at } => match fs::read(self.at(at)).await {
                Ok(bytes) => digest(&bytes),
                Err(error) => failed(&error),
            },
            Step::Rename { from, to } => said(fs::rename(self.at(from), self.at(to)).await),
            Step::RemoveFile { at } => said(fs::remove_file(self.at(at)).await),
            Step::RemoveDir { at } => said(fs::remove_dir(self.at(at)).await),
            Step::RemoveDirAll { at } => said(fs::remove_dir_all(self.at(at)).await),
            Step::CreateDir { at } => said(fs::create_dir(self.at(at)).await),
            Step::CreateDirAll { at } => said(fs::create_dir_all(self.at(at)).await),
            Step::HardLink { from, to } => said(fs::hard_link(self.at(from), self.at(to)).await),
            Step::Symlink { target, at } => said(fs::symlink(target, self.at(at)).await),
            Step::ReadLink { at } => said(fs::read_link(self.at(at)).await),
            Step::Canonicalize { at } => {
                let found = fs::canonicalize(self.at(at)).await;
                said(found.map(|path| path.strip_prefix(&self.folder).map(Path::to_owned)))
            }
            Step::Metadata { at, follows } => {
                let metadata = match follows {
                    true => fs::metadata(self.at(at)).await,
                    false => fs::symlink_metadata(self.at(at)).await,
                };
                said(metadata.map(described))
            }
            Step::TryExists { at } => said(fs::try_exists(self.at(at)).await),
            Step::Copy { from, to } => said(fs::copy(self.at(from), self.at(to)).await),
            Step::List { at } => said(list(&self.at(at)).await),
            Step::Open { at, writes } => {
                let mut options = fs::OpenOptions::new();
                options.read(!writes).write(writes);
                said(options.open(self.at(at)).await.map(drop))
            }
            Step::Permissions { at, mode } => {
                let permissions = fs::Permissions::from_mode(mode);
                said(fs::set_permissions(self.at(at), permissions).await)
            }
        }
    }
}

/// What is the same on every file system.
fn described(it: fs::Metadata) -> (String, Option<u64>, Option<u64>, u32) {
    let kind = format!("{:?}", it.file_type());
    // How long a directory is, and how many names it has, is up to the file system.
    let of_file = |number| (!it.is_dir()).then_some(number);
    let mode = if it.is_symlink() {
        0
    } else {
        it.mode() & 0o700
    };
    (kind, of_file(it.len()), of_file(it.nlink()), mode)
}

/// The names in a directory, sorted, each with its kind.
async fn list(folder: &Path) -> io::Result<Vec<String>> {
    let mut entries = fs::read_dir(folder).await?;
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        let kind = entry.file_type().await?;
        names.push(format!("{:?} {kind:?}", entry.file_name()));
    }
    names.sort();
    Ok(names)
}

pub(crate) struct Names;

impl Kind for Names {
    const NAME: &'static str = "name";
    type Step = Step;

    fn draw(random: &Random) -> Step {
        draw(random)
    }

    async fn run(steps: &[Step], folder: &Path) -> Vec<String> {
        let mut program = Program {
            folder: folder.to_owned(),
            written: Random::of(1),
        };
        let mut said = Vec::new();
        for step in steps {
            said.push(program.step(step).await);
        }
        said
    }
}
