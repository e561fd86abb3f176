//! What becomes of a file when futures are dropped: changes are done whole, in order, and their errors are told.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use krug::fs::{File, OpenOptions};
use krug::runtime::Faults;
use krug::{Builder, Runtime};
use krug_tests::{
    Random, Tracked, disk, has_ring, iterations, passes_in_a_process_of_its_own, poll_once, run,
    run_alone, run_with, turns, until, with_settings,
};
use tempfile::TempDir;

krug_tests::on_every_driver!();

/// A folder for one test, and a path in it.
fn place() -> (TempDir, PathBuf) {
    let folder = disk::folder();
    let path = folder.path().join("file");
    (folder, path)
}

/// Submits the operation of `future`, then drops it.
async fn drop_in_flight<T>(mut future: Pin<Box<dyn Future<Output = T> + '_>>) {
    assert!(poll_once(future.as_mut()).await.is_pending());
    turns(1).await;
    drop(future);
}

/// The same, but waits until it may begin.
async fn drop_once_begun<T>(runtime: &Runtime, mut future: Pin<Box<dyn Future<Output = T> + '_>>) {
    let before = runtime.metrics().operations;
    while runtime.metrics().operations == before {
        assert!(poll_once(future.as_mut()).await.is_pending());
        turns(1).await;
    }
}

#[test]
fn bug_026_a_write_whose_future_and_file_are_dropped_arrives_whole() {
    run(|runtime| {
        let (_folder, path) = place();
        let content = vec![7; 1 << 20];
        let (buf, track) = Tracked::new(content.clone());
        runtime.block_on(async {
            let file = File::create(&path).await.unwrap();
            drop_in_flight(Box::pin(file.write_at(buf, 0))).await;
            assert!(!track.is_dropped() || disk::read(&path).unwrap() == content);
            drop(file);
            until("it is closed", || runtime.metrics().sources == 0).await;
        });
        assert!(track.is_dropped());
        assert_eq!(disk::read(&path).unwrap(), content);
    });
}

#[test]
fn a_write_that_was_never_submitted_writes_nothing() {
    run(|runtime| {
        let (_folder, path) = place();
        runtime.block_on(async {
            let file = File::create(&path).await.unwrap();
            drop(file.write_all("never"));
            let mut staged = Box::pin(file.write_all("staged"));
            assert!(poll_once(staged.as_mut()).await.is_pending());
            drop(staged);
            assert_eq!(
                file.stream_position().await.unwrap(),
                0,
                "nor does it move the cursor"
            );
            file.close().await.unwrap();
        });
        assert_eq!(disk::read(&path).unwrap(), b"");
    });
}

#[test]
fn a_later_write_of_the_same_bytes_is_the_one_that_stays_and_a_later_read_sees_it() {
    run(|runtime| {
        let (_folder, path) = place();
        runtime.block_on(async {
            let file = File::create_new(&path).await.unwrap();
            for round in 0..iterations(50) {
                let first = vec![1; 1 << 16];
                drop_in_flight(Box::pin(file.write_at(first, 0))).await;
                let (_, read) = file.read_at(vec![0; 100], 1000).await;
                assert_eq!(read, [1; 100], "round {round}");
                drop_in_flight(Box::pin(file.write_at(vec![2; 1 << 16], 0))).await;
                file.write_all_at(vec![3; 1 << 15], 1 << 14)
                    .await
                    .0
                    .unwrap();
                let (_, read) = file.read_at(vec![0; 1 << 16], 0).await;
                let expected = [vec![2; 1 << 14], vec![3; 1 << 15], vec![2; 1 << 14]].concat();
                assert!(read == expected, "round {round}");
            }
        });
    });
}

#[test]
fn metadata_sync_and_set_len_come_after_what_was_dropped() {
    run(|runtime| {
        let (_folder, path) = place();
        runtime.block_on(async {
            let file = File::create_new(&path).await.unwrap();
            for round in 1..iterations(20) as u64 {
                let len = round << 16;
                drop_in_flight(Box::pin(file.write_at(vec![1; 1 << 16], len - (1 << 16)))).await;
                assert_eq!(file.metadata().await.unwrap().len(), len);
                drop_in_flight(Box::pin(file.set_len(len + 5))).await;
                file.sync_all().await.unwrap();
                assert_eq!(disk::len(&path).unwrap(), len + 5);
                drop_in_flight(Box::pin(file.write_at("z", len + 10))).await;
                file.set_len(len).await.unwrap();
                assert_eq!(disk::len(&path).unwrap(), len);
            }
        });
    });
}

#[test]
fn dropped_writes_at_the_cursor_and_at_the_end_keep_their_order() {
    run(|runtime| {
        for append in [false, true] {
            let (_folder, path) = place();
            let mut options = OpenOptions::new();
            options.create(true).read(true).write(true).append(append);
            let mut expected = Vec::new();
            runtime.block_on(async {
                let file = options.open(&path).await.unwrap();
                for number in 0..iterations(60) as u8 {
                    let bytes = vec![number; 1 + usize::from(number) * 50];
                    expected.extend_from_slice(&bytes);
                    if number % 3 == 0 {
                        file.write_all(bytes).await.0.unwrap();
                    } else {
                        drop_once_begun(runtime, Box::pin(file.write(bytes))).await;
                    }
                    if number % 5 == 0 {
                        let position = file.stream_position().await.unwrap();
                        assert_eq!(position, expected.len() as u64);
                    }
                }
                file.close().await.unwrap();
            });
            assert!(disk::read(&path).unwrap() == expected, "append: {append}");
        }
    });
}

#[test]
fn a_dropped_read_leaves_the_cursor_where_it_was() {
    // A fault that is always to come: what the kernel's cache could answer at once is in flight all the same.
    let faults = Faults::new().operation(u64::MAX, libc::EIO);
    let in_flight = |builder: Builder| builder.faults(faults.clone());
    run_with(in_flight, |runtime| {
        let (_folder, path) = place();
        let content: Vec<u8> = (0..200_000u32).map(|index| index as u8).collect();
        disk::write(&path, &content).unwrap();
        runtime.block_on(async {
            let file = File::open(&path).await.unwrap();
            let random = Random::new();
            let mut read = Vec::new();
            while read.len() < content.len() {
                let mut reading = Box::pin(file.read(Vec::with_capacity(1 + random.below(3000))));
                assert!(poll_once(reading.as_mut()).await.is_pending());
                turns(random.below(3)).await;
                drop(reading);
                let (count, buf) = file.read(Vec::with_capacity(1 + random.below(3000))).await;
                assert!(count.unwrap() > 0);
                read.extend_from_slice(&buf);
            }
            assert!(read == content);
        });
    });
}

/// A file on which a write of ten bytes at offset 100 was dropped and has failed.
async fn after_a_failed_write(path: &PathBuf) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    let file = options.open(path).await.unwrap();
    drop_in_flight(Box::pin(file.write_all_at(vec![1; 10], 100))).await;
    // Waits for it.
    file.metadata().await.unwrap();
    file
}

/// The first write is short, what is left of it fails.
fn failing() -> Faults {
    Faults::new().short(1, 3).operation(2, libc::EIO)
}

#[test]
fn bug_017_an_error_of_a_dropped_write_is_told_once_to_the_first_who_minds() {
    async fn told(result: std::io::Result<()>) {
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EIO));
    }
    for case in 0..7 {
        run_with(
            |builder| builder.faults(failing()),
            |runtime| {
                let (_folder, path) = place();
                runtime.block_on(async {
                    let file = after_a_failed_write(&path).await;
                    // Nobody of these minds.
                    file.write_all_at("elsewhere", 0).await.0.unwrap();
                    file.read_at(vec![0; 10], 95).await.0.unwrap();
                    file.metadata().await.unwrap();
                    match case {
                        0 => told(file.sync_all().await).await,
                        1 => told(file.sync_data().await).await,
                        2 => told(file.set_len(50).await).await,
                        3 => told(file.write_all_at("again", 105).await.0).await,
                        4 => told(file.allocate(0, 10, krug::fs::KeepSize::Yes).await).await,
                        5 => return told(file.close().await).await,
                        _ => return told(file.into_std().await.map(drop)).await,
                    }
                    // What has brought the error was not done.
                    assert_eq!(disk::len(&path).unwrap(), 103, "{case}");
                    file.write_all_at("again", 105).await.0.unwrap();
                    file.sync_all().await.unwrap();
                    file.set_len(10).await.unwrap();
                    file.close().await.unwrap();
                    assert_eq!(disk::read(&path).unwrap(), b"elsewhere\0");
                });
            },
        );
    }
}

#[test]
fn the_error_of_a_dropped_sync_is_told_to_the_next() {
    run_with(
        |builder| builder.faults(Faults::new().operation(2, libc::EIO)),
        |runtime| {
            let (_folder, path) = place();
            runtime.block_on(async {
                let file = File::create(&path).await.unwrap();
                file.write_all_at("x", 0).await.0.unwrap();
                drop_in_flight(Box::pin(file.sync_all())).await;
                file.write_all_at("y", 0).await.0.unwrap();
                let error = file.sync_all().await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EIO));
                file.sync_all().await.unwrap();
            });
        },
    );
}

#[test]
fn a_file_that_is_dropped_with_an_untold_error_says_so_once() {
    // That it neither hangs nor leaks; what is logged is seen in the log.
    run_with(
        |builder| builder.faults(failing()),
        |runtime| {
            let (_folder, path) = place();
            runtime.block_on(async {
                drop(after_a_failed_write(&path).await);
                until("it is closed", || runtime.metrics().sources == 0).await;
            });
            assert_eq!(disk::len(&path).unwrap(), 103);
        },
    );
}

#[test]
fn bug_062_short_reads_and_writes_are_continued_at_every_place() {
    let content: Vec<u8> = (0..5000u32).map(|index| (index % 251) as u8).collect();
    for nth in 1..=12 {
        for fault in 0..5 {
            let faults = match fault {
                0 => Faults::new().short(nth, 1).short(nth + 1, 700),
                1 => Faults::new().operation(nth, libc::EINTR),
                2 => Faults::new().operation(nth, libc::EAGAIN),
                3 => Faults::new().operation(nth, libc::ECANCELED),
                _ => Faults::new().short(nth, 9).operation(nth + 1, libc::EINTR),
            };
            let content = content.clone();
            run_with(
                |builder| builder.faults(faults.clone()).entries(1),
                move |runtime| {
                    let (_folder, path) = place();
                    runtime.block_on(async {
                        let file = File::create_new(&path).await.unwrap();
                        let parts = [content[..100].to_vec(), content[100..2000].to_vec()];
                        file.write_all_vectored(parts).await.0.unwrap();
                        file.write_all(content[2000..3000].to_vec())
                            .await
                            .0
                            .unwrap();
                        file.write_all_at(content[3000..].to_vec(), 3000)
                            .await
                            .0
                            .unwrap();
                        file.sync_all().await.unwrap();
                        let (result, read) = file.read_exact_at(vec![0; 5000], 0).await;
                        result.unwrap();
                        assert!(read == content);
                        file.rewind().await.unwrap();
                        let (result, read) = file.read_exact(vec![0; 4000]).await;
                        result.unwrap();
                        assert!(read == content[..4000]);
                        let mut done = 4000;
                        while done < content.len() {
                            let bufs = [vec![0; 300], vec![0; 1000]];
                            let (count, bufs) = file.read_vectored(bufs).await;
                            let count = count.unwrap();
                            assert!(bufs.concat()[..count] == content[done..done + count]);
                            done += count;
                        }
                        file.set_len(10).await.unwrap();
                        file.close().await.unwrap();
                    });
                    assert_eq!(disk::read(&path).unwrap(), content[..10]);
                },
            );
        }
    }
}

#[test]
fn an_append_that_the_kernel_gave_up_is_not_repeated() {
    run_with(
        |builder| builder.faults(Faults::new().operation(1, libc::ECANCELED)),
        |runtime| {
            let (_folder, path) = place();
            runtime.block_on(async {
                let mut options = OpenOptions::new();
                let file = options.append(true).create(true).open(&path).await.unwrap();
                let (result, _) = file.write_all("once").await;
                assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
                file.write_all("twice").await.0.unwrap();
            });
            assert_eq!(disk::read(&path).unwrap(), b"twice");
        },
    );
}

#[test]
fn bug_004_ten_thousand_cancelled_opens_leave_no_descriptor() {
    run_alone(|runtime| {
        let (_folder, path) = place();
        disk::write(&path, "x").unwrap();
        let random = Random::new();
        runtime.block_on(async {
            for _ in 0..iterations(200) {
                let mut opens: Vec<_> = (0..50).map(|_| Box::pin(File::open(&path))).collect();
                for open in &mut opens {
                    assert!(poll_once(open.as_mut()).await.is_pending());
                }
                // Staged, in flight, or done and unread.
                turns(random.below(3)).await;
            }
            until("all have ended", || runtime.metrics().operations_alive == 0).await;
        });
    });
}

#[test]
fn bug_027_a_path_stays_until_the_kernel_is_done_with_it() {
    run(|runtime| {
        let (_folder, path) = place();
        runtime.block_on(async {
            for number in 0..iterations(200) {
                let path = path.with_file_name(format!("file-{number}"));
                let mut options = OpenOptions::new();
                options.write(true).create(true);
                drop_in_flight(Box::pin(options.open(path.clone()))).await;
                // Memory that was free is filled with something else.
                let noise: Vec<_> = (0..20).map(|_| path.clone().into_os_string()).collect();
                drop(noise);
            }
            until("all have ended", || runtime.metrics().operations_alive == 0).await;
        });
        let folder = path.parent().unwrap();
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let number: usize = name.strip_prefix("file-").unwrap().parse().unwrap();
            assert!(number < iterations(200), "{name}");
        }
    });
}

#[test]
fn bug_083_a_file_outside_its_runtime_is_an_error_and_no_panic() {
    with_settings(|builder| {
        let runtime = builder.build().unwrap();
        let (_folder, path) = place();
        let file = runtime.block_on(File::create(&path)).unwrap();
        // Outside.
        let waker = std::task::Waker::noop();
        let mut cx = std::task::Context::from_waker(waker);
        let mut write = Box::pin(file.write_at("x", 0));
        let std::task::Poll::Ready((result, buf)) = write.as_mut().poll(&mut cx) else {
            panic!("it waits for nothing");
        };
        assert!(result.unwrap_err().to_string().contains("runtime"));
        assert_eq!(buf, "x");
        drop(write);
        assert_eq!(disk::read(&path).unwrap(), b"");
        // On another core.
        let other = builder.build().unwrap();
        let error = other.block_on(file.sync_all()).unwrap_err();
        assert!(error.to_string().contains("belongs to"), "{error}");
        drop(runtime);
        // After its end.
        let error = other.block_on(file.set_len(1)).unwrap_err();
        assert!(error.to_string().contains("belongs to"), "{error}");
        let error = other.block_on(file.close()).unwrap_err();
        assert!(error.to_string().contains("belongs to"), "{error}");
    });
}

#[test]
fn shutting_down_waits_for_changes_of_files() {
    with_settings(|builder| {
        let runtime = builder.build().unwrap();
        let (_folder, path) = place();
        let content = vec![5; 8 << 20];
        runtime.block_on(async {
            let file = File::create(&path).await.unwrap();
            let bytes = content.clone();
            let task = krug::spawn(async move { file.write_all_at(bytes, 0).await.0 });
            turns(3).await;
            drop(task);
        });
        let report = runtime.shutdown(Duration::from_secs(20));
        assert!(report.is_clean(), "{report:?}");
        assert!(disk::read(&path).unwrap() == content);
    });
}

#[test]
fn a_full_disk_is_told_at_the_write_or_if_that_was_dropped_at_the_sync() {
    krug_tests::needs_a_kernel!("it runs in a process of its own, with limits of the kernel's");
    if passes_in_a_process_of_its_own(
        "a_full_disk_is_told_at_the_write_or_if_that_was_dropped_at_the_sync",
    ) {
        return;
    }
    let limit = libc::rlimit {
        rlim_cur: 1000,
        rlim_max: 1000,
    };
    // SAFETY: the limit is a valid value, and the signal is one that can be ignored.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
    run(|runtime| {
        let (_folder, path) = place();
        runtime.block_on(async {
            let file = File::create(&path).await.unwrap();
            // As much as fits, then the error.
            assert_eq!(file.write_at(vec![1; 600], 600).await.0.unwrap(), 400);
            let (result, buf) = file.write_all_at(vec![1; 600], 600).await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::FileTooLarge);
            assert_eq!(buf.len(), 600);
            drop_in_flight(Box::pin(file.write_at(vec![2; 600], 600))).await;
            let error = file.sync_all().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FileTooLarge);
            file.sync_all().await.unwrap();
            let error = file.set_len(2000).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        });
        assert_eq!(disk::read(&path).unwrap()[600..], [2; 400]);
    });
}

/// Kernel threads that serve the rings of this process.
fn kernel_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    // Without a ring they are threads of the process.
    let name = if has_ring() {
        "iou-wrk"
    } else {
        "krug-blocking"
    };
    names.filter(|found| found.starts_with(name)).count()
}

#[test]
fn bug_092_ten_thousand_writes_take_no_more_kernel_threads_than_allowed() {
    krug_tests::needs_a_kernel!("it counts threads of the kernel");
    if passes_in_a_process_of_its_own(
        "bug_092_ten_thousand_writes_take_no_more_kernel_threads_than_allowed",
    ) {
        return;
    }
    const ALLOWED: u32 = 2;
    run_with(
        |builder| builder.file_threads(ALLOWED),
        |runtime| {
            let folder = disk::folder();
            runtime.block_on(async {
                let mut files = Vec::new();
                for number in 0..20 {
                    let path = folder.path().join(number.to_string());
                    files.push(File::create(path).await.unwrap());
                }
                let mut most = 0;
                for round in 0..50u64 {
                    let mut writes: Vec<Pin<Box<dyn Future<Output = _>>>> = Vec::new();
                    for file in &files {
                        for place in 0..10 {
                            let write = file.write_at(vec![1; 4096], (round * 10 + place) * 4096);
                            writes.push(Box::pin(write));
                        }
                    }
                    for write in &mut writes {
                        let _ = poll_once(write.as_mut()).await;
                    }
                    turns(1).await;
                    most = most.max(kernel_threads());
                    for write in writes {
                        assert_eq!(write.await.0.unwrap(), 4096);
                    }
                    most = most.max(kernel_threads());
                }
                println!("at most {most} kernel threads");
                assert!(most >= 1, "the writes were expected to need some");
                assert!(most <= ALLOWED as usize, "{most}");
            });
        },
    );
}

#[test]
fn bug_062_a_sparse_file_beyond_four_gibibytes_is_read_and_written_where_it_should() {
    krug_tests::needs_a_kernel!("a simulated disk keeps every byte of its files in memory");
    run(|runtime| {
        let (_folder, path) = place();
        runtime.block_on(async {
            let file = File::create_new(&path).await.unwrap();
            for gibibytes in [2u64, 4, 5, 9] {
                let offset = (gibibytes << 30) - 3;
                file.write_all_at("border", offset).await.0.unwrap();
                let (result, read) = file.read_exact_at(vec![0; 8], offset - 1).await;
                assert!(result.is_err() && read == b"\0border");
                let (count, _) = file.read_at(vec![0; 10], offset % (1 << 30) - 20).await;
                assert_eq!(count.unwrap(), 10, "what is before is a hole");
            }
            let end = (9u64 << 30) + 3;
            assert_eq!(file.metadata().await.unwrap().len(), end);
            assert_eq!(
                file.seek(std::io::SeekFrom::End(-6)).await.unwrap(),
                end - 6
            );
            let (_, read) = file.read(vec![0; 6]).await;
            assert_eq!(read, b"border");
            assert!(file.metadata().await.unwrap().blocks() < 1000);
            file.set_len(5 << 30).await.unwrap();
            assert_eq!(file.metadata().await.unwrap().len(), 5 << 30);
        });
    });
}

#[test]
fn what_has_no_position_is_a_stream_that_loses_nothing() {
    krug_tests::needs_a_kernel!("a simulated disk has no FIFOs");
    use std::io::Write;
    run(|runtime| {
        let (_folder, path) = place();
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: `name` is a C string.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        runtime.block_on(async {
            let mut options = OpenOptions::new();
            let fifo = options.read(true).open(&path).await.unwrap();
            let mut writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            // A read is dropped in flight; what arrives for it goes to the next.
            drop_in_flight(Box::pin(fifo.read(vec![0; 16]))).await;
            writer.write_all(b"first").unwrap();
            turns(3).await;
            let (count, buf) = fifo.read(vec![0; 16]).await;
            assert_eq!((count.unwrap(), &buf[..]), (5, &b"first"[..]));
            let (result, _) = fifo.read_at(vec![0; 1], 0).await;
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ESPIPE));
            assert_eq!(
                fifo.rewind().await.unwrap_err().raw_os_error(),
                Some(libc::ESPIPE)
            );
            assert!(fifo.sync_all().await.is_err());
            assert!(fifo.metadata().await.unwrap().file_type().is_fifo());
            // A writer of ours, which the reader's end of the same FIFO hears.
            let mut options = OpenOptions::new();
            let ours = options.write(true).open(&path).await.unwrap();
            ours.write_all("second").await.0.unwrap();
            ours.close().await.unwrap();
            drop(writer);
            let (_, buf) = fifo.read_exact(vec![0; 6]).await;
            assert_eq!(buf, b"second");
            assert_eq!(fifo.read(vec![0; 1]).await.0.unwrap(), 0);
            drop(fifo.into_std().await.unwrap());
            // What has a position but no end.
            let zeros = File::open("/dev/zero").await.unwrap();
            assert_eq!(zeros.read_exact(vec![9; 100]).await.1, [0; 100]);
        });
    });
}
