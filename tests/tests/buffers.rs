//! Buffers of registered memory, aligned ones, and what happens where memory may not be locked.

use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use krug::Runtime;
use krug::buf::{Buffer, IoBuf, alloc, alloc_aligned};
use krug::net::{TcpStream, UnixStream};
use krug::pipe::{self, pipe};
use krug_tests::{Random, has_ring, passes_in_a_process_of_its_own, run, run_with};

krug_tests::on_every_driver!();

/// Whether the current core's ring knows the memory, so that operations take the shorter way.
fn is_fixed(buf: &impl IoBuf) -> bool {
    buf.registered().is_some()
}

#[test]
fn a_buffer_is_of_registered_memory_where_it_can_be() {
    run(|runtime| {
        assert!(!is_fixed(&alloc(64)));
        let kept = runtime.block_on(async {
            let buf = alloc(64);
            assert!(is_fixed(&buf));
            assert!(!is_fixed(&alloc(2 << 20)), "larger than all there is");
            assert!(!is_fixed(&vec![0; 64]));
            let slice = buf.slice(..0);
            assert!(is_fixed(&slice));
            slice.into_inner()
        });
        assert!(!is_fixed(&kept), "known only where its core is current");
        let other = Runtime::new().unwrap();
        other.block_on(async {
            assert!(is_fixed(&alloc(1)));
            assert!(!is_fixed(&kept), "another core does not know it");
        });
        runtime.block_on(async { assert!(is_fixed(&kept)) });
    });
    run_with(
        |builder| builder.registered_memory(0),
        |runtime| runtime.block_on(async { assert!(!is_fixed(&alloc(64))) }),
    );
}

#[test]
fn a_full_region_gives_way_to_the_heap_and_is_used_again() {
    run_with(
        |builder| builder.registered_memory(64 << 10),
        |runtime| {
            runtime.block_on(async {
                for _ in 0..3 {
                    let mut all: Vec<Buffer> = (0..20).map(|_| alloc(4096)).collect();
                    let fixed = all.iter().filter(|buf| is_fixed(*buf)).count();
                    assert_eq!(fixed, 16);
                    // Half of them come back from another thread.
                    let half = all.split_off(8);
                    std::thread::spawn(move || drop(half)).join().unwrap();
                }
            });
        },
    );
}

#[test]
fn reads_and_writes_of_pipes_with_registered_buffers_move_every_byte() {
    run(|runtime| {
        let foreign = Runtime::new().unwrap();
        let abroad = foreign.block_on(async {
            let mut buf = alloc(5000);
            buf.resize(5000, 77);
            buf
        });
        let random = Random::new();
        let sent = random.bytes(300_000);
        runtime.block_on(async {
            let (sender, receiver) = pipe().await.unwrap();
            let expected = [&sent[..], &[77; 5000]].concat();
            let writing = krug::spawn(async move {
                let mut rest = &sent[..];
                while !rest.is_empty() {
                    let (piece, left) = rest.split_at(rest.len().min(1 + random.below(9000)));
                    let mut buf = alloc(9000);
                    buf.extend_from_slice(piece);
                    assert!(is_fixed(&buf));
                    let from = random.below(piece.len());
                    sender.write_all(buf.slice(..from)).await.0.unwrap();
                    let mut buf = alloc(9000);
                    buf.extend_from_slice(piece);
                    sender.write_all(buf.slice(from..)).await.0.unwrap();
                    rest = left;
                }
                // What another core knows is a buffer like any other.
                sender.write_all(abroad).await.0.unwrap();
            });
            let mut got = Vec::new();
            let mut buf = alloc(4096);
            loop {
                let (read, filled) = receiver.read(buf).await;
                got.extend_from_slice(&filled);
                if read.unwrap() == 0 {
                    break;
                }
                let (read, filled) = receiver.read(filled.slice(0..100)).await;
                buf = filled.into_inner();
                got.extend_from_slice(&buf[..read.unwrap()]);
                buf.clear();
            }
            writing.await.unwrap();
            assert!(got == expected);
        });
    });
}

#[test]
fn a_dropped_read_into_a_registered_buffer_keeps_its_block_until_the_kernel_is_done() {
    run_with(
        |builder| builder.registered_memory(4096),
        |runtime| {
            runtime.block_on(async {
                let (sender, receiver) = pipe().await.unwrap();
                {
                    let mut read = Box::pin(receiver.read(alloc(4096)));
                    assert!(krug_tests::poll_once(read.as_mut()).await.is_pending());
                    krug_tests::turns(2).await;
                }
                assert!(!is_fixed(&alloc(4096)), "the kernel still has the block");
                sender.write_all("late").await.0.unwrap();
                let (read, buf) = receiver.read(vec![0; 10]).await;
                assert_eq!(&buf[..read.unwrap()], b"late");
                assert!(is_fixed(&alloc(4096)));
            });
        },
    );
}

#[test]
fn aligned_buffers_are_aligned() {
    run(|runtime| {
        let check = || {
            for align in [1, 2, 3, 512, 4096, 8192, 1 << 21] {
                for len in [0, 1, 511, 4096, 10_000] {
                    let mut buf = alloc_aligned(len, align);
                    let address = buf.as_ptr().addr();
                    assert_eq!(address % align.next_power_of_two(), 0, "{len} {align}");
                    assert_eq!(Buffer::capacity(&buf), len);
                    buf.resize(len, 1);
                    assert_eq!(*buf, vec![1; len]);
                }
            }
        };
        check();
        runtime.block_on(async {
            check();
            assert!(is_fixed(&alloc_aligned(10_000, 4096)));
        });
    });
}

#[test]
fn a_buffer_is_filled_and_emptied_and_does_not_grow() {
    let mut buf = alloc(8);
    assert!(buf.is_empty());
    buf.extend_from_slice(b"abc");
    buf[0] = b'x';
    buf.resize(5, b'-');
    assert_eq!(&buf[..], b"xbc--");
    buf.resize(2, 0);
    assert_eq!(&buf[..], b"xb");
    assert_eq!(
        format!("{buf:?}"),
        "Buffer { bytes: [120, 98], capacity: 8 }"
    );
    buf.clear();
    assert!(buf.is_empty());
    let overfull = std::panic::AssertUnwindSafe(|| buf.extend_from_slice(&[0; 9]));
    assert!(std::panic::catch_unwind(overfull).is_err());
}

#[test]
fn bug_084_buffers_outlive_their_runtime() {
    let runtime = Runtime::new().unwrap();
    let mut kept: Vec<Buffer> = runtime.block_on(async {
        (0..4_u8)
            .map(|number| {
                let mut buf = alloc(1000);
                buf.resize(1000, number);
                buf
            })
            .collect()
    });
    assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
    for (number, buf) in kept.iter().enumerate() {
        assert_eq!(**buf, [number as u8; 1000]);
    }
    let half = kept.split_off(2);
    std::thread::spawn(move || drop(half)).join().unwrap();
    Runtime::new().unwrap().block_on(async { drop(kept) });
}

/// Counts the warnings about locked memory.
static WARNINGS: AtomicUsize = AtomicUsize::new(0);

struct Log;

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{value:?}");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        println!("warned: {}", text.0);
        if text.0.contains("RLIMIT_MEMLOCK") && text.0.contains("ulimit -l") {
            WARNINGS.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Gives up every privilege, and the right to lock more than `bytes` of memory, for the rest of this process.
fn limit_locked_memory(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: the calls take numbers, and one reads an `rlimit`.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit), 0);
        if libc::geteuid() == 0 {
            // A user of its own: what other processes have locked does not count.
            let user = 50_000 + libc::getpid().cast_unsigned() % 10_000;
            assert_eq!(libc::setgid(user), 0);
            assert_eq!(libc::setuid(user), 0);
        }
    }
}

/// Everything works with plain memory: two runtimes with `recv` and registered buffers.
fn works_with_little_memory(runtimes: usize) {
    let runtimes: Vec<_> = (0..runtimes)
        .map(|_| Runtime::builder().entries(4).build().unwrap())
        .collect();
    for runtime in &runtimes {
        runtime.block_on(async {
            let (sender, receiver) = pipe().await.unwrap();
            let mut buf = alloc(4096);
            // Without a ring nothing is locked, so nothing is refused.
            assert_eq!(is_fixed(&buf), !has_ring(), "1 MiB was locked");
            buf.resize(4096, 5);
            sender.write_all(buf).await.0.unwrap();
            assert_eq!(receiver.recv().await.unwrap(), [5; 4096]);
            let (one, mut peer) = std::os::unix::net::UnixStream::pair().unwrap();
            let stream = UnixStream::from_std(one).unwrap();
            peer.write_all(b"received").unwrap();
            assert_eq!(stream.recv().await.unwrap(), "received");
        });
    }
}

#[test]
fn a_small_limit_of_locked_memory_costs_one_warning() {
    krug_tests::needs_a_kernel!("it runs in a process of its own, with limits of the kernel's");
    if passes_in_a_process_of_its_own("a_small_limit_of_locked_memory_costs_one_warning") {
        return;
    }
    limit_locked_memory(64 << 10);
    tracing::subscriber::set_global_default(Log).unwrap();
    works_with_little_memory(2);
    // Without a ring nothing has to be locked.
    let warnings = usize::from(has_ring());
    assert_eq!(WARNINGS.load(Ordering::SeqCst), warnings);
}

#[test]
fn without_a_pool_and_registered_memory_everything_works_and_nobody_is_warned() {
    krug_tests::needs_a_kernel!("it runs in a process of its own, with limits of the kernel's");
    let name = "without_a_pool_and_registered_memory_everything_works_and_nobody_is_warned";
    if passes_in_a_process_of_its_own(name) {
        return;
    }
    tracing::subscriber::set_global_default(Log).unwrap();
    let runtime = Runtime::builder()
        .receive_buffers_max(0)
        .registered_memory(0)
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = Rc::new(TcpStream::from_std(listener.accept().unwrap().0).unwrap());
        for _ in 0..3 {
            peer.write_all(b"to and fro").unwrap();
            let chunk = stream.recv().await.unwrap();
            assert_eq!(runtime.metrics().buffers_total, 0);
            stream.write_all(chunk).await.0.unwrap();
            let mut back = [0; 10];
            peer.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"to and fro");
        }
    });
    assert_eq!(WARNINGS.load(Ordering::SeqCst), 0);
}

#[test]
fn the_kernel_may_refuse_the_ring_of_the_pool() {
    // 32768 buffers need 512 KiB for their list alone, which the limit does not allow: fewer, or none, do.
    if passes_in_a_process_of_its_own("the_kernel_may_refuse_the_ring_of_the_pool") {
        return;
    }
    let runtime = Runtime::builder()
        .entries(4)
        .receive_buffers_max(1 << 15)
        .build()
        .unwrap();
    limit_locked_memory(16 << 10);
    runtime.block_on(async {
        let (sender, receiver): (pipe::Sender, pipe::Receiver) = pipe().await.unwrap();
        for round in 0..100_u8 {
            sender.write_all(vec![round; 64]).await.0.unwrap();
            assert_eq!(receiver.recv().await.unwrap(), [round; 64]);
        }
    });
    println!("{} buffers", runtime.metrics().buffers_total);
}
