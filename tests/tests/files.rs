//! Files: what is read, written and asked is what the standard library reads, writes and is told.

use std::io::{ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};

use krug::buf::IoBuf;
use krug::fs::{File, KeepSize, OpenOptions};
use krug::runtime::Driver;
use krug_tests::{disk, driver, run, run_alone};
use tempfile::TempDir;

krug_tests::on_every_driver!();
// They need the least time of all, so they are tried with whatever strange systems answer.
krug_tests::in_hardship_too!(
    Refused(All, libc::EPERM),
    Refused(Enter, libc::EPERM),
    Refused(Setup, libc::ENOSYS),
    Refused(Setup, libc::EACCES),
    Refused(Setup, libc::ENOMEM),
    Refused(Setup, libc::EOPNOTSUPP),
);

/// A folder for one test, and a path in it.
fn place() -> (TempDir, PathBuf) {
    let folder = disk::folder();
    let path = folder.path().join("file");
    (folder, path)
}

/// Opens a file that exists for reading and writing.
async fn open_both(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.open(path).await.expect("a file")
}

#[test]
fn what_is_written_at_an_offset_is_what_the_standard_library_reads() {
    run(|runtime| {
        let (_folder, path) = place();
        runtime.block_on(async {
            let file = File::create(&path).await.unwrap();
            assert_eq!(file.write_at("world", 6).await.0.unwrap(), 5);
            let (result, buf) = file.write_all_at("hello", 0).await;
            result.unwrap();
            assert_eq!(buf, "hello", "the buffer comes back");
            file.close().await.unwrap();
        });
        assert_eq!(disk::read(&path).unwrap(), b"hello\0world");
    });
}

#[test]
fn what_the_kernel_has_in_its_cache_is_read_without_a_turn() {
    run(|runtime| {
        let (_folder, path) = place();
        let content: Vec<u8> = (0..50_000u32).map(|index| index as u8).collect();
        disk::write(&path, &content).unwrap();
        runtime.block_on(async {
            let file = File::open(&path).await.unwrap();
            let before = runtime.metrics();
            for at in (0..40_000).step_by(1000) {
                let (count, buf) = file.read_at(vec![0; 1000], at as u64).await;
                assert_eq!(count.unwrap(), 1000);
                assert!(buf == content[at..at + 1000]);
                let (result, buf) = file.read_exact(vec![0; 1000]).await;
                result.unwrap();
                assert!(buf == content[at..at + 1000], "the cursor moves on");
            }
            let after = runtime.metrics();
            assert_eq!(after.operations - before.operations, 80);
            // There is no cache in a simulation, and the file system of the folder may not say what is in it.
            let is_asked = after.attempts > before.attempts;
            assert_eq!(is_asked, driver() != Driver::Sim);
            if after.attempts - before.attempts == 80 {
                assert_eq!(after.turns, before.turns);
                assert_eq!(after.enters, before.enters);
            }
            // What is behind the end, and what is cut off by it, is none of the cache's business.
            let (count, buf) = file.read_at(vec![0; 1000], 49_900).await;
            assert_eq!((count.unwrap(), &buf[..100]), (100, &content[49_900..]));
            assert_eq!(file.read_at(vec![0; 10], 50_000).await.0.unwrap(), 0);
        });
    });
}

#[test]
fn reads_start_where_they_are_told_and_end_at_the_end() {
    run(|runtime| {
        let (_folder, path) = place();
        disk::write(&path, b"0123456789").unwrap();
        runtime.block_on(async {
            let file = File::open(&path).await.unwrap();
            let (count, buf) = file.read_at(vec![0; 4], 3).await;
            assert_eq!((count.unwrap(), &buf[..]), (4, &b"3456"[..]));
            let (count, buf) = file.read_at(vec![9; 4], 8).await;
            assert_eq!((count.unwrap(), &buf[..]), (2, &b"89"[..]));
            let (count, buf) = file.read_at(vec![9; 4], 10).await;
            assert_eq!((count.unwrap(), buf.len()), (0, 0), "at the end");
            assert_eq!(file.read_at(vec![9; 4], 1 << 40).await.0.unwrap(), 0);
            let (count, buf) = file.read_at(Vec::new(), 0).await;
            assert_eq!((count.unwrap(), buf.len()), (0, 0), "no room");
            let (result, buf) = file.read_exact_at(vec![0; 10], 0).await;
            result.unwrap();
            assert_eq!(buf, b"0123456789");
            let (result, buf) = file.read_exact_at(vec![0; 10], 5).await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
            assert_eq!(buf, b"56789", "what came is there");
        });
    });
}

#[test]
fn an_offset_that_the_kernel_would_take_for_the_cursor_is_refused() {
    run(|runtime| {
        let (_folder, path) = place();
        disk::write(&path, b"0123456789").unwrap();
        runtime.block_on(async {
            let file = open_both(&path).await;
            for offset in [u64::MAX, u64::MAX - 1, 1 << 63] {
                let (read, buf) = file.read_at(vec![7; 3], offset).await;
                assert_eq!(read.unwrap_err().raw_os_error(), Some(libc::EINVAL));
                assert_eq!(buf, [7; 3]);
                let (written, _) = file.write_at("abc", offset).await;
                assert_eq!(written.unwrap_err().raw_os_error(), Some(libc::EINVAL));
                let cut = file.set_len(offset).await.unwrap_err();
                assert_eq!(cut.raw_os_error(), Some(libc::EINVAL));
            }
        });
        assert_eq!(disk::read(&path).unwrap(), b"0123456789");
    });
}

#[test]
fn opening_follows_the_rules_of_the_standard_library() {
    run(|runtime| {
        // Each combination of the six switches, on a file that exists and on one that does not.
        for bits in 0..128u32 {
            let on = |bit: u32| bits & (1 << bit) != 0;
            let (_folder, path) = place();
            // The standard library's is on the machine's disk in any case.
            let other_folder = tempfile::tempdir().unwrap();
            let other = other_folder.path().join("file");
            if on(6) {
                disk::write(&path, b"before").unwrap();
                std::fs::write(&other, b"before").unwrap();
            }
            let mut ours = OpenOptions::new();
            ours.read(on(0)).write(on(1)).append(on(2));
            ours.truncate(on(3)).create(on(4)).create_new(on(5));
            let mut theirs = std::fs::OpenOptions::new();
            theirs.read(on(0)).write(on(1)).append(on(2));
            theirs.truncate(on(3)).create(on(4)).create_new(on(5));
            let opened = runtime.block_on(ours.open(&path)).map(drop);
            let expected = theirs.open(&other).map(drop);
            assert_eq!(
                opened.map_err(|error| error.kind()),
                expected.map_err(|error| error.kind()),
                "{ours:?} exists={}",
                on(6)
            );
            let (content, wanted) = (disk::read(&path).ok(), std::fs::read(&other).ok());
            assert_eq!(content, wanted, "{ours:?} exists={}", on(6));
        }
    });
}

#[test]
fn an_error_of_opening_names_the_path_and_keeps_its_kind_and_number() {
    run(|runtime| {
        let (folder, path) = place();
        runtime.block_on(async {
            let error = File::open(&path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(krug::fs::raw_os_error(&error), Some(libc::ENOENT));
            assert!(
                error.to_string().contains(path.to_str().unwrap()),
                "{error}"
            );
            let error = File::create(folder.path()).await.unwrap_err();
            assert_eq!(krug::fs::raw_os_error(&error), Some(libc::EISDIR));
            let error = File::open("with\0zero").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        });
    });
}

#[test]
fn the_mode_and_the_flags_of_a_new_file_are_those_asked_for() {
    krug_tests::needs_a_kernel!("it trades descriptors with the standard library");
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;
    run(|runtime| {
        let (_folder, path) = place();
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600);
        options.custom_flags(libc::O_NOFOLLOW | libc::O_RDWR);
        let file = runtime.block_on(options.open(&path)).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let file = runtime.block_on(file.into_std()).unwrap();
        // SAFETY: takes no memory.
        let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags, libc::FD_CLOEXEC);
        // SAFETY: takes no memory.
        let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
        assert_eq!(flags & libc::O_ACCMODE, libc::O_WRONLY);
    });
}

#[test]
fn metadata_says_what_the_standard_library_says() {
    krug_tests::needs_a_kernel!("it asks the standard library about the same file");
    use std::os::unix::fs::MetadataExt;
    run(|runtime| {
        let (_folder, path) = place();
        disk::write(&path, b"0123456789").unwrap();
        let theirs = std::fs::metadata(&path).unwrap();
        let ours = runtime.block_on(async {
            let file = File::open(&path).await.unwrap();
            file.metadata().await.unwrap()
        });
        assert_eq!(ours.len(), theirs.len());
        assert!(ours.is_file() && !ours.is_dir() && !ours.is_symlink());
        assert_eq!(
            (ours.mode(), ours.uid(), ours.gid()),
            (theirs.mode(), theirs.uid(), theirs.gid())
        );
        assert_eq!(
            (ours.ino(), ours.dev(), ours.nlink()),
            (theirs.ino(), theirs.dev(), theirs.nlink())
        );
        assert_eq!(
            (ours.blocks(), ours.blksize()),
            (theirs.blocks(), theirs.blksize())
        );
        assert_eq!(ours.modified().unwrap(), theirs.modified().unwrap());
        assert_eq!(ours.accessed().unwrap(), theirs.accessed().unwrap());
        assert_eq!(ours.created().ok(), theirs.created().ok());
    });
}

#[test]
fn the_length_can_be_set_and_space_reserved() {
    run(|runtime| {
        let (_folder, path) = place();
        disk::write(&path, b"0123456789").unwrap();
        runtime.block_on(async {
            let file = File::options().write(true).open(&path).await.unwrap();
            file.set_len(4).await.unwrap();
            assert_eq!(disk::read(&path).unwrap(), b"0123");
            file.set_len(6).await.unwrap();
            assert_eq!(disk::read(&path).unwrap(), b"0123\0\0");
            file.allocate(0, 8192, KeepSize::Yes).await.unwrap();
            let metadata = file.metadata().await.unwrap();
            assert_eq!(metadata.len(), 6);
            assert!(metadata.blocks() >= 16, "{metadata:?}");
            file.allocate(0, 8192, KeepSize::No).await.unwrap();
            assert_eq!(file.metadata().await.unwrap().len(), 8192);
            let error = file.allocate(0, 0, KeepSize::No).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
            file.sync_data().await.unwrap();
            file.sync_all().await.unwrap();
        });
    });
}

#[test]
fn the_cursor_moves_as_that_of_the_standard_library() {
    run(|runtime| {
        let (_folder, path) = place();
        runtime.block_on(async {
            let file = File::create_new(&path).await.unwrap();
            file.write_all("0123456789").await.0.unwrap();
            assert_eq!(file.stream_position().await.unwrap(), 10);
            file.rewind().await.unwrap();
            let (count, buf) = file.read(vec![0; 4]).await;
            assert_eq!((count.unwrap(), &buf[..]), (4, &b"0123"[..]));
            assert_eq!(file.seek(SeekFrom::Current(-2)).await.unwrap(), 2);
            assert_eq!(file.write("ab").await.0.unwrap(), 2);
            let (result, buf) = file.read_exact(vec![0; 6]).await;
            result.unwrap();
            assert_eq!(buf, b"456789");
            assert_eq!(file.read(vec![0; 4]).await.0.unwrap(), 0, "the end");
            assert_eq!(file.seek(SeekFrom::End(-1)).await.unwrap(), 9);
            let error = file.seek(SeekFrom::Current(-10)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(file.seek(SeekFrom::Start(u64::MAX)).await.is_err());
            assert_eq!(file.stream_position().await.unwrap(), 9, "unmoved");
            file.seek(SeekFrom::End(2)).await.unwrap();
            file.write_all("z").await.0.unwrap();
            // Positional operations leave it alone.
            file.write_at("X", 0).await.0.unwrap();
            assert_eq!(file.stream_position().await.unwrap(), 13);
        });
        assert_eq!(disk::read(&path).unwrap(), b"X1ab456789\0\0z");
    });
}

#[test]
fn appending_goes_to_the_end_and_takes_the_cursor_there() {
    run(|runtime| {
        let (_folder, path) = place();
        disk::write(&path, b"old ").unwrap();
        runtime.block_on(async {
            let mut options = OpenOptions::new();
            options.read(true).append(true);
            let file = options.open(&path).await.unwrap();
            let (_, buf) = file.read(vec![0; 2]).await;
            assert_eq!(buf, b"ol");
            file.write_all("new").await.0.unwrap();
            assert_eq!(file.stream_position().await.unwrap(), 7);
            assert_eq!(file.read(vec![0; 2]).await.0.unwrap(), 0);
            disk::write(&path, b"shorter").unwrap();
            file.set_len(3).await.unwrap();
            file.write_all("!").await.0.unwrap();
            assert_eq!(file.stream_position().await.unwrap(), 4);
        });
        assert_eq!(disk::read(&path).unwrap(), b"sho!");
    });
}

#[test]
fn a_file_goes_to_the_standard_library_and_back_with_its_cursor() {
    krug_tests::needs_a_kernel!("it trades descriptors with the standard library");
    use std::io::{Read, Write};
    run(|runtime| {
        let (_folder, path) = place();
        let mut theirs = std::fs::File::create_new(&path).unwrap();
        theirs.write_all(b"one ").unwrap();
        let mut theirs = runtime.block_on(async {
            let ours = File::from_std(theirs).unwrap();
            assert_eq!(ours.stream_position().await.unwrap(), 4);
            ours.write_all("two ").await.0.unwrap();
            ours.into_std().await.unwrap()
        });
        theirs.write_all(b"three").unwrap();
        drop(theirs);
        let mut text = String::new();
        let file = std::fs::File::open(&path).unwrap();
        let mut file = runtime.block_on(async {
            let file = File::from_std(file).unwrap();
            let (_, slice) = file.read(vec![0; 16].slice(..4)).await;
            assert_eq!(&slice[..], b"one ");
            file.into_std().await.unwrap()
        });
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "two three");
    });
}

#[test]
fn bug_071_a_descriptor_is_closed_once_whoever_has_had_it() {
    krug_tests::needs_a_kernel!("it trades descriptors with the standard library");
    run_alone(|runtime| {
        let (_folder, path) = place();
        disk::write(&path, b"x").unwrap();
        runtime.block_on(async {
            for _ in 0..100 {
                let file = File::open(&path).await.unwrap();
                let clone = file.try_clone().unwrap();
                let theirs = file.into_std().await.unwrap();
                let again = File::from_std(theirs).unwrap();
                assert_eq!(again.read_at(vec![0; 1], 0).await.1, b"x");
                again.close().await.unwrap();
                assert_eq!(clone.read_at(vec![0; 1], 0).await.1, b"x");
            }
            // Given up half way.
            let file = File::open(&path).await.unwrap();
            drop(file.into_std());
        });
    });
}
