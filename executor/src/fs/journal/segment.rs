//! The files of a journal: their names, how one is made, how it is filled.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::rc::Rc;

use super::format::{HEADER_SIZE, Header};
use crate::buf::IoBuf;
use crate::fs::{self, File, OpenOptions};

/// The next segment, until its header is written. Of no value after a crash.
const PREPARED: &str = "prepared";
const SUFFIX: &str = ".segment";
/// How much of a file is filled by one write.
const FILL_SIZE: usize = 256 * 1024;

/// An open segment and the place where its next record goes.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: File,
    pub(super) header: Header,
    pub(super) end: u64,
}

impl Segment {
    /// How many bytes are left for records.
    pub(super) fn room(&self) -> u64 {
        self.header.size.saturating_sub(self.end)
    }
}

/// The file name of the segment whose first record is `first`: in the order of names is the
/// order of records.
pub(super) fn name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

fn first_of(name: &OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_suffix(SUFFIX)?;
    let is_ours = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_ours)
}

/// The first records of the segments in `folder`, in order.
pub(super) async fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut entries = fs::read_dir(folder).await?;
    let mut firsts = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        firsts.extend(first_of(&entry.file_name()));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Opens the segment whose first record is `first`, and checks its header.
pub(super) async fn open(folder: &Path, first: u64) -> io::Result<Segment> {
    let path = folder.join(name(first));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .await?;
    let mut block = Vec::with_capacity(HEADER_SIZE);
    while block.len() < HEADER_SIZE {
        let have = block.len();
        let (read, slice) = file.read_at(block.slice(have..), have as u64).await;
        block = slice.into_inner();
        if read? == 0 {
            break;
        }
    }
    let invalid = |what: String| {
        let text = format!(
            "cannot use the journal's segment {}: {what}",
            path.display()
        );
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let header = Header::decode(&block).map_err(|flaw| invalid(flaw.to_string()))?;
    if header.first != first {
        return Err(invalid(format!(
            "by its header it begins with record {}, by its name with {first}",
            header.first
        )));
    }
    Ok(Segment {
        file,
        header,
        end: HEADER_SIZE as u64,
    })
}

/// Makes a file of `size` zeros that are on the disk, so that writing a record later changes neither
/// the length of the file nor where its blocks are, and a sync has nothing but the record to write.
pub(super) async fn prepare(folder: Rc<Path>, size: u64) -> io::Result<File> {
    let path = folder.join(PREPARED);
    // Always a new file: what a writer that was interrupted still has in flight goes to the old one.
    match fs::remove_file(&path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .await?;
    fill(&file, 0, size, [0; 8]).await?;
    file.sync_all().await?;
    Ok(file)
}

/// Gives a prepared file its header and its name: from then on it is part of the journal, also after a crash.
pub(super) async fn install(file: File, folder: &Path, header: Header) -> io::Result<Segment> {
    let (written, _) = file.write_all_at(header.encode(), 0).await;
    written?;
    file.sync_data().await?;
    fs::rename(folder.join(PREPARED), folder.join(name(header.first))).await?;
    sync_folder(folder).await?;
    Ok(Segment {
        file,
        header,
        end: HEADER_SIZE as u64,
    })
}

/// Makes the folder of a journal, if it is not there, and the names on the way to it last: also those that an earlier life has made, and
/// could not sync.
pub(super) async fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder).await?;
    for name in folder
        .ancestors()
        .filter(|path| !path.as_os_str().is_empty())
    {
        let parent = match name.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => break,
        };
        match sync_folder(parent).await {
            // Who may not even look at it has not made anything in it, and on some file systems there is nothing to sync.
            Err(error) if is_no_matter(error.kind()) => {}
            synced => synced?,
        }
    }
    Ok(())
}

fn is_no_matter(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        kind,
        Kind::PermissionDenied | Kind::InvalidInput | Kind::Unsupported
    )
}

/// Makes new, renamed and removed names in `folder` last.
pub(super) async fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder).await?.sync_all().await
}

/// Writes `word` over and over.
pub(super) async fn fill(file: &File, from: u64, to: u64, word: [u8; 8]) -> io::Result<()> {
    let mut bytes = word.repeat(FILL_SIZE / word.len());
    let mut at = from;
    while at < to {
        let count = (to - at).min(FILL_SIZE as u64) as usize;
        let (written, slice) = file.write_all_at(bytes.slice(..count), at).await;
        written?;
        bytes = slice.into_inner();
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_given_and_sort_like_the_records() {
        let firsts = [0, 1, 9, 10, 99, 1 << 40, u64::MAX];
        let names: Vec<String> = firsts.iter().map(|first| name(*first)).collect();
        assert!(names.is_sorted());
        for (first, name) in firsts.iter().zip(&names) {
            assert_eq!(first_of(OsStr::new(name)), Some(*first));
        }
    }

    #[test]
    fn other_files_are_not_taken_for_segments() {
        for other in [
            "lock",
            "prepared",
            "1.segment",
            "+0000000000000000001.segment",
            "00000000000000000001.segment~",
            "99999999999999999999.segment",
        ] {
            assert_eq!(first_of(OsStr::new(other)), None, "{other}");
        }
    }
}
