//! Names, directories and whole files: as the standard library does it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::pin::pin;

use krug::fs::{self, Permissions};
use krug_tests::{Random, disk, driver, poll_once, run, run_alone, run_with, turns, until};

krug_tests::on_every_driver!();

fn names(directory: &Path) -> BTreeSet<String> {
    let names = disk::names(directory).unwrap().into_iter();
    names.map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn names_are_changed_as_asked() {
    run(|runtime| {
        let folder = disk::folder();
        let at = |name: &str| folder.path().join(name);
        runtime.block_on(async {
            fs::write(at("a"), "content").await.unwrap();
            fs::rename(at("a"), at("b")).await.unwrap();
            fs::hard_link(at("b"), at("c")).await.unwrap();
            fs::symlink("c", at("d")).await.unwrap();
            fs::create_dir(at("e")).await.unwrap();
        });
        assert_eq!(names(folder.path()).into_iter().collect::<String>(), "bcde");
        let ino = |name| runtime.block_on(fs::metadata(at(name))).unwrap().ino();
        assert_eq!(ino("b"), ino("c"));
        assert_eq!(ino("d"), ino("c"));
        runtime.block_on(async {
            assert_eq!(fs::read_link(at("d")).await.unwrap(), Path::new("c"));
            let canonical = std::fs::canonicalize(folder.path()).unwrap().join("c");
            assert_eq!(fs::canonicalize(at("d")).await.unwrap(), canonical);
            assert_eq!(fs::read_to_string(at("d")).await.unwrap(), "content");
            assert!(fs::symlink_metadata(at("d")).await.unwrap().is_symlink());
            assert!(fs::metadata(at("d")).await.unwrap().is_file());
            assert_eq!(fs::metadata(at("c")).await.unwrap().nlink(), 2);
            fs::remove_file(at("c")).await.unwrap();
            assert!(!fs::try_exists(at("d")).await.unwrap(), "leads nowhere");
            assert!(fs::try_exists(at("b")).await.unwrap());
            fs::remove_file(at("d")).await.unwrap();
            fs::remove_dir(at("e")).await.unwrap();
        });
        assert_eq!(names(folder.path()).into_iter().collect::<String>(), "b");
    });
}

#[test]
fn bug_056_each_error_is_the_kernels_and_names_the_paths() {
    run(|runtime| {
        let folder = disk::folder();
        let at = |name: &str| folder.path().join(name);
        disk::create_dir_all(at("full/inner")).unwrap();
        disk::write(at("file"), "x").unwrap();
        runtime.block_on(async {
            let errors = [
                (fs::rename(at("none"), at("b")).await, libc::ENOENT),
                (fs::rename(at("file"), at("full")).await, libc::EISDIR),
                (fs::remove_file(at("none")).await, libc::ENOENT),
                (fs::remove_file(at("full")).await, libc::EISDIR),
                (fs::remove_dir(at("full")).await, libc::ENOTEMPTY),
                (fs::remove_dir(at("file")).await, libc::ENOTDIR),
                (fs::remove_dir_all(at("none")).await, libc::ENOENT),
                (fs::create_dir(at("full")).await, libc::EEXIST),
                (fs::create_dir(at("none/inner")).await, libc::ENOENT),
                (fs::create_dir_all(at("file")).await, libc::EEXIST),
                (fs::create_dir_all(at("file/inner")).await, libc::ENOTDIR),
                (fs::hard_link(at("none"), at("b")).await, libc::ENOENT),
                (fs::hard_link(at("file"), at("full")).await, libc::EEXIST),
                (fs::symlink("x", at("file")).await, libc::EEXIST),
                (fs::metadata(at("none")).await.map(drop), libc::ENOENT),
                (fs::metadata(at("file/x")).await.map(drop), libc::ENOTDIR),
                (fs::read_link(at("file")).await.map(drop), libc::EINVAL),
                (fs::canonicalize(at("none")).await.map(drop), libc::ENOENT),
                (fs::read_dir(at("file")).await.map(drop), libc::ENOTDIR),
                (fs::read(at("none")).await.map(drop), libc::ENOENT),
                (fs::read(at("full")).await.map(drop), libc::EISDIR),
                (fs::write(at("full"), "x").await.map(drop), libc::EISDIR),
                (fs::copy(at("none"), at("b")).await.map(drop), libc::ENOENT),
            ];
            let root = folder.path().to_str().unwrap();
            for (index, (result, errno)) in errors.into_iter().enumerate() {
                let error = result.unwrap_err();
                assert_eq!(fs::raw_os_error(&error), Some(errno), "{index}: {error}");
                let kind = std::io::Error::from_raw_os_error(errno).kind();
                assert_eq!(error.kind(), kind, "{index}: {error}");
                assert!(error.to_string().contains(root), "{index}: {error}");
            }
        });
        assert_eq!(disk::read(at("file")).unwrap(), b"x");
    });
}

#[test]
fn directories_are_made_with_all_above_them_also_by_many_at_once() {
    run(|runtime| {
        let folder = disk::folder();
        let deep = folder.path().join("a/b/c/d/e/f");
        runtime.block_on(async {
            let makers: Vec<_> = (0..8)
                .map(|_| krug::spawn(fs::create_dir_all(deep.clone())))
                .collect();
            for maker in makers {
                maker.await.unwrap().unwrap();
            }
            fs::create_dir_all(&deep).await.unwrap();
            fs::create_dir_all("").await.unwrap();
        });
        assert!(disk::is_dir(&deep));
    });
}

#[test]
fn removing_a_tree_does_not_follow_links() {
    run(|runtime| {
        let folder = disk::folder();
        let at = |name: &str| folder.path().join(name);
        disk::create_dir_all(at("kept/inner")).unwrap();
        disk::create_dir_all(at("tree/a/b")).unwrap();
        disk::write(at("kept/file"), "x").unwrap();
        runtime.block_on(async {
            fs::symlink(at("kept"), at("tree/a/link")).await.unwrap();
            fs::remove_dir_all(at("tree")).await.unwrap();
        });
        assert!(!disk::exists(at("tree")));
        assert!(disk::is_dir(at("kept/inner")) && disk::exists(at("kept/file")));
    });
}

#[test]
fn a_directory_is_read_whole_and_each_entry_says_what_it_is() {
    run(|runtime| {
        let folder = disk::folder();
        // More than one batch.
        for number in 0..600 {
            disk::write(folder.path().join(format!("file {number}")), "").unwrap();
        }
        disk::create_dir_all(folder.path().join("directory")).unwrap();
        runtime.block_on(async {
            let link = folder.path().join("link");
            fs::symlink("file 1", link).await.unwrap();
            let mut found = BTreeSet::new();
            let mut entries = fs::read_dir(folder.path()).await.unwrap();
            while let Some(entry) = entries.next_entry().await.unwrap() {
                let name = entry.file_name().into_string().unwrap();
                let kind = entry.file_type().await.unwrap();
                assert_eq!(kind.is_dir(), name == "directory", "{entry:?}");
                assert_eq!(kind.is_symlink(), name == "link", "{entry:?}");
                assert_eq!(entry.path(), folder.path().join(&name));
                let metadata = entry.metadata().await.unwrap();
                assert_eq!(metadata.ino(), entry.ino());
                assert!(found.insert(name), "twice: {entry:?}");
            }
            assert_eq!(found, names(folder.path()));
            assert!(
                entries.next_entry().await.unwrap().is_none(),
                "the end stays"
            );
        });
    });
}

#[test]
fn a_dropped_reading_of_a_directory_says_so_and_leaves_no_descriptor() {
    run_alone(|runtime| {
        let folder = disk::folder();
        let before = krug_tests::open_descriptors();
        runtime.block_on(async {
            for _ in 0..20 {
                let mut entries = fs::read_dir(folder.path()).await.unwrap();
                // The thread may have been faster.
                let was_dropped = {
                    let next = pin!(entries.next_entry());
                    poll_once(next).await.is_pending()
                };
                match entries.next_entry().await {
                    Ok(end) => assert!(end.is_none() && !was_dropped),
                    Err(error) => assert!(was_dropped && error.to_string().contains("dropped")),
                }
            }
            until("the threads are done", || {
                krug_tests::open_descriptors() <= before
            })
            .await;
        });
    });
}

#[test]
fn whole_files_are_read_and_written_also_those_that_hide_their_size() {
    run(|runtime| {
        let folder = disk::folder();
        let random = Random::new();
        runtime.block_on(async {
            for len in [0, 1, 4095, 4096, 4097, 100_000, 3_000_000] {
                let path = folder.path().join(len.to_string());
                let content = random.bytes(len);
                let back = fs::write(&path, content.clone()).await.unwrap();
                assert_eq!(back, content);
                assert_eq!(disk::read(&path).unwrap(), content);
                assert_eq!(fs::read(&path).await.unwrap(), content);
                fs::write(&path, "short").await.unwrap();
                assert_eq!(fs::read(&path).await.unwrap(), b"short");
            }
            if driver() == krug::runtime::Driver::Sim {
                return;
            }
            // These say that they are empty.
            let limits = fs::read_to_string("/proc/self/limits").await.unwrap();
            assert_eq!(
                limits,
                std::fs::read_to_string("/proc/self/limits").unwrap()
            );
            let symbols = fs::read("/proc/kallsyms").await.unwrap();
            assert!(symbols.len() > 4096, "{}", symbols.len());
        });
    });
}

#[test]
fn text_that_is_none_is_an_error_with_the_path() {
    run(|runtime| {
        let folder = disk::folder();
        let path = folder.path().join("file");
        disk::write(&path, [b'a', 0xff]).unwrap();
        let error = runtime.block_on(fs::read_to_string(&path)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    });
}

#[test]
fn a_copy_has_the_content_and_the_permissions() {
    run(|runtime| {
        let folder = disk::folder();
        let at = |name: &str| folder.path().join(name);
        disk::write(at("a"), "some content").unwrap();
        runtime.block_on(async {
            let permissions = Permissions::from_mode(0o640);
            fs::set_permissions(at("a"), permissions).await.unwrap();
            assert_eq!(fs::copy(at("a"), at("b")).await.unwrap(), 12);
            let metadata = fs::metadata(at("b")).await.unwrap();
            assert_eq!(metadata.permissions(), permissions);
            let file = fs::File::open(at("b")).await.unwrap();
            let permissions = Permissions::from_mode(0o400);
            assert!(permissions.readonly());
            file.set_permissions(permissions).await.unwrap();
        });
        assert_eq!(disk::read(at("b")).unwrap(), b"some content");
        let metadata = runtime.block_on(fs::metadata(at("b"))).unwrap();
        let mode = metadata.permissions().mode();
        assert_eq!(mode & 0o7777, 0o400);
    });
}

#[test]
fn a_change_of_a_name_that_is_under_way_is_done_although_its_future_was_dropped() {
    run(|runtime| {
        let folder = disk::folder();
        let path = folder.path().join("directory");
        runtime.block_on(async {
            // Never submitted, nothing happens.
            drop(Box::pin(fs::create_dir(&path)));
            let mut staged = Box::pin(fs::create_dir(&path));
            assert!(poll_once(staged.as_mut()).await.is_pending());
            drop(staged);
            if runtime.capabilities().path_changes {
                turns(3).await;
                assert!(!disk::exists(&path));
            } else {
                // A thread has begun, and goes on.
                until("the directory is there", || disk::is_dir(&path)).await;
                std::fs::remove_dir(&path).unwrap();
            }
            let mut making = Box::pin(fs::create_dir(&path));
            assert!(poll_once(making.as_mut()).await.is_pending());
            turns(1).await;
            drop(making);
            until("the directory is there", || disk::is_dir(&path)).await;
        });
    });
}

#[test]
fn blocking_work_brings_its_result_or_its_panic() {
    run(|runtime| {
        runtime.block_on(async {
            let answers: Vec<_> = (0..200)
                .map(|number| krug::spawn_blocking(move || number * 2))
                .collect();
            for (number, answer) in answers.into_iter().enumerate() {
                assert_eq!(answer.await.unwrap(), number * 2);
            }
            let error = krug::spawn_blocking(|| panic!("on purpose")).await;
            let error: krug::task::JoinError = error.map(|(): ()| ()).unwrap_err();
            assert!(error.is_panic() && error.to_string().contains("on purpose"));
        });
        // No runtime, no threads.
        let outside = krug::spawn_blocking(|| 1);
        let error = runtime.block_on(outside).unwrap_err();
        assert!(error.is_cancelled());
    });
}

#[test]
fn threads_for_what_blocks_have_the_wanted_name_and_refuse_what_exceeds_the_queue() {
    krug_tests::needs_a_kernel!("a simulation has no threads");
    let configure = |builder: krug::Builder| {
        let builder = builder.blocking_threads(1).blocking_queue(2);
        builder.blocking_thread_name("disk")
    };
    run_with(configure, |runtime| {
        let (key, lock) = std::sync::mpsc::channel::<()>();
        runtime.block_on(async {
            let named = krug::spawn_blocking(|| std::thread::current().name().map(str::to_owned));
            assert_eq!(named.await.unwrap().as_deref(), Some("disk"));
            let (begun, begin) = std::sync::mpsc::channel();
            let held = krug::spawn_blocking(move || {
                begun.send(()).unwrap();
                lock.recv().unwrap_err();
            });
            begin.recv().unwrap();
            let waiting: Vec<_> = (0..2).map(|n| krug::spawn_blocking(move || n)).collect();
            let refused = krug::spawn_blocking(|| 2).await.unwrap_err();
            assert!(refused.is_refused() && !refused.is_cancelled());
            assert!(refused.to_string().contains("refused"), "{refused}");
            // What the runtime asks for itself is not refused: it is done in its turn.
            let ours = krug::spawn(async { fs::canonicalize("/").await.unwrap() });
            turns(2).await;
            drop(key);
            for (number, work) in waiting.into_iter().enumerate() {
                assert_eq!(work.await.unwrap(), number);
            }
            held.await.unwrap();
            assert_eq!(ours.await.unwrap(), std::path::Path::new("/"));
        });
    });
}
