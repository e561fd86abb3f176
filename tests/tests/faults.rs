//! Whatever a kernel may answer at whatever call, programs do not notice: each program here runs
//! once to count its calls, then once for every call and every answer. By default some calls are left out;
//! `KRUG_LONG=1` runs them all.

#[path = "common_proof/mod.rs"]
mod common_proof;

use std::rc::Rc;
use std::time::Duration;

use common_proof::{Generator, in_time, is_long, poll_once, tcp_pair};
use krug::Runtime;
use krug::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use krug::runtime::Faults;
use krug_tests::disk;

krug_tests::on_every_driver!();

/// How many calls of each kind are made to fail by default.
const CALLS_TRIED: u64 = 24;

type Program = fn(&Runtime) -> String;

/// Runs the program and looks whether everything is put away afterwards.
fn run(program: Program, faults: &Faults, what: &str) -> String {
    let runtime = Runtime::builder()
        .seed(1)
        .entries(8)
        .faults(faults.clone())
        .build()
        .unwrap();
    let result = program(&runtime);
    runtime.block_on(in_time(async {
        while runtime.metrics().sources > 0 || runtime.metrics().operations_alive > 0 {
            krug::time::sleep(Duration::from_micros(100)).await;
        }
    }));
    assert_eq!(runtime.metrics().stale_completions, 0, "{what}");
    assert_eq!(runtime.metrics().timers, 0, "{what}");
    let report = runtime.shutdown(Duration::from_secs(5));
    assert!(report.is_clean(), "{what}: {report:?}");
    result
}

/// From 1 to `count`: all, or some that are spread evenly.
fn calls(count: u64) -> impl Iterator<Item = u64> {
    let step = if is_long() {
        1
    } else {
        count.div_ceil(CALLS_TRIED).max(1)
    };
    (1..=count).step_by(step as usize)
}

fn sweep(program: Program) {
    let calm = Faults::new();
    let expected = run(program, &calm, "without faults");
    let (enters, operations, shots) = (
        calm.enters(),
        calm.operations(),
        calm.multishot_completions(),
    );
    println!("{enters} enters, {operations} operations, {shots} completions of multishots");
    let mut happened = 0;
    let mut check = |faults: Faults, what: String| {
        assert_eq!(run(program, &faults, &what), expected, "{what}");
        happened += usize::from(faults.pending() == 0);
    };
    for nth in calls(enters) {
        for errno in [libc::EAGAIN, libc::EBUSY, libc::EINTR] {
            check(
                Faults::new().enter(nth, errno),
                format!("enter {nth} answers {errno}"),
            );
        }
    }
    for nth in calls(operations) {
        for errno in [libc::EINTR, libc::EAGAIN, libc::ENOBUFS] {
            check(
                Faults::new().operation(nth, errno),
                format!("operation {nth} answers {errno}"),
            );
        }
        for length in [1, 7] {
            check(
                Faults::new().short(nth, length),
                format!("operation {nth} takes {length} bytes"),
            );
        }
    }
    for nth in calls(shots) {
        check(
            Faults::new().end_multishot(nth),
            format!("the multishot ends at {nth}"),
        );
    }
    let mut generator = Generator::new(7);
    for round in 0..if is_long() { 1000 } else { 20 } {
        let mut faults = Faults::new();
        for _ in 0..6 {
            let errno = [libc::EAGAIN, libc::EBUSY, libc::EINTR][generator.below(3) as usize];
            faults = faults.enter(generator.below(enters) + 1, errno);
            let errno = [libc::EINTR, libc::EAGAIN, libc::ENOBUFS][generator.below(3) as usize];
            faults = faults.operation(generator.below(operations.max(1)) + 1, errno);
            faults = faults.end_multishot(generator.below(shots.max(1)) + 1);
            let length = generator.below(9) as u32 + 1;
            faults = faults.short(generator.below(operations.max(1)) + 1, length);
        }
        check(faults, format!("many at once, round {round}"));
    }
    println!("{happened} plans happened");
    assert!(happened > 0);
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| {
        sum.rotate_left(5) ^ u64::from(*byte).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

fn echo(runtime: &Runtime) -> String {
    runtime.block_on(in_time(async {
        let (client, server) = tcp_pair().await.unwrap();
        let server = krug::spawn(async move {
            let mut buf = Vec::with_capacity(4096);
            loop {
                let (result, filled) = server.read(buf).await;
                if result.unwrap() == 0 {
                    return;
                }
                let (result, mut sent) = server.write_all(filled).await;
                result.unwrap();
                sent.clear();
                buf = sent;
            }
        });
        let mut sum = 0;
        for round in 0..20_usize {
            let message: Vec<u8> = (0..1 + round * 157)
                .map(|index| (index * 7 + round) as u8)
                .collect();
            let len = message.len();
            client.write_all(message).await.0.unwrap();
            let (result, echoed) = client.read_exact(Vec::with_capacity(len)).await;
            result.unwrap();
            sum ^= checksum(&echoed);
        }
        client.close().await.unwrap();
        server.await.unwrap();
        format!("{sum:x}")
    }))
}

#[test]
fn an_echo_notices_no_fault() {
    sweep(echo);
}

fn accept_loop(runtime: &Runtime) -> String {
    runtime.block_on(in_time(async {
        const CLIENTS: u8 = 24;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        for number in 0..CLIENTS {
            drop(krug::spawn(async move {
                let stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(vec![number]).await.0.unwrap();
                stream.close().await.unwrap();
            }));
        }
        let mut seen = Vec::new();
        for _ in 0..CLIENTS {
            let stream = listener.accept().await.unwrap();
            let (result, buf) = stream.read_exact(Vec::with_capacity(1)).await;
            result.unwrap();
            seen.push(buf[0]);
            let (result, _) = stream.read(vec![0; 1]).await;
            assert_eq!(result.unwrap(), 0);
        }
        seen.sort_unstable();
        format!("{seen:?}")
    }))
}

#[test]
fn an_accept_loop_notices_no_fault() {
    sweep(accept_loop);
}

fn ping_pong(runtime: &Runtime) -> String {
    runtime.block_on(in_time(async {
        let (to_other, from_one) = krug::pipe::pipe().await.unwrap();
        let (to_one, from_other) = krug::pipe::pipe().await.unwrap();
        let other = krug::spawn(async move {
            loop {
                let (result, mut buf) = from_one.read(Vec::with_capacity(8)).await;
                if result.unwrap() == 0 {
                    return;
                }
                buf[0] += 1;
                to_one.write_all(buf).await.0.unwrap();
            }
        });
        let mut buf = vec![0];
        for _ in 0..30 {
            to_other.write_all(buf).await.0.unwrap();
            buf = from_other.read(Vec::with_capacity(8)).await.1;
            buf[0] += 1;
        }
        drop(to_other);
        other.await.unwrap();
        format!("{buf:?}")
    }))
}

#[test]
fn a_ping_pong_through_pipes_notices_no_fault() {
    sweep(ping_pong);
}

fn reads_that_are_dropped(runtime: &Runtime) -> String {
    runtime.block_on(in_time(async {
        const LEN: usize = 3000;
        let (one, other) = UnixStream::pair().unwrap();
        let writer = krug::spawn(async move {
            let mut generator = Generator::new(3);
            let mut sent = 0;
            while sent < LEN {
                let count = (1 + generator.below(200) as usize).min(LEN - sent);
                let bytes: Vec<u8> = (sent..sent + count)
                    .map(|index| (index % 251) as u8)
                    .collect();
                one.write_all(bytes).await.0.unwrap();
                sent += count;
                krug::task::yield_now().await;
            }
            one.close().await.unwrap();
        });
        let mut generator = Generator::new(4);
        let mut all = Vec::new();
        loop {
            let read = other.read(Vec::with_capacity(1 + generator.below(100) as usize));
            let patience = Duration::from_micros(generator.below(60));
            let Ok((result, buf)) = krug::time::timeout(patience, read).await else {
                continue;
            };
            all.extend_from_slice(&buf);
            if result.unwrap() == 0 {
                break;
            }
        }
        writer.await.unwrap();
        assert!(
            all.iter()
                .enumerate()
                .all(|(index, byte)| *byte == (index % 251) as u8),
            "bytes are out of order"
        );
        format!("{}", all.len())
    }))
}

#[test]
fn a_stream_read_with_timeouts_notices_no_fault() {
    sweep(reads_that_are_dropped);
}

fn close_with_unsent(runtime: &Runtime) -> String {
    runtime.block_on(in_time(async {
        const LEN: usize = 600_000;
        let (client, server) = tcp_pair().await.unwrap();
        let bytes: Vec<u8> = (0..LEN).map(|index| (index % 253) as u8).collect();
        let expected = checksum(&bytes);
        let mut write = Box::pin(client.write_all(bytes));
        assert!(poll_once(&mut write).await.is_pending());
        krug::io::nop().await.unwrap();
        drop(write);
        let reader = krug::spawn(async move {
            let mut all = Vec::new();
            loop {
                let (result, buf) = server.read(Vec::with_capacity(50_000)).await;
                if result.unwrap() == 0 {
                    return all;
                }
                all.extend_from_slice(&buf);
            }
        });
        client.close().await.unwrap();
        let all = reader.await.unwrap();
        format!("{} {}", all.len(), checksum(&all) == expected)
    }))
}

#[test]
fn a_close_with_unsent_data_notices_no_fault() {
    sweep(close_with_unsent);
}

fn listener_close(runtime: &Runtime) -> String {
    runtime.block_on(in_time(async {
        const CLIENTS: usize = 12;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        let mut accepted = vec![];
        for _ in 0..CLIENTS {
            clients.push(TcpStream::connect(address).await.unwrap());
            // Dropped now and then.
            let accept = krug::time::timeout(Duration::from_micros(5), listener.accept()).await;
            accepted.extend(accept.ok().map(Result::unwrap));
        }
        while accepted.len() < CLIENTS / 2 {
            accepted.push(listener.accept().await.unwrap());
        }
        accepted.extend(listener.close().await.unwrap());
        // The address can be bound again, while connections of the first listener are open.
        let again = TcpListener::bind(address).await.unwrap();
        clients.push(TcpStream::connect(address).await.unwrap());
        accepted.push(again.accept().await.unwrap());
        // What the first listener had not taken was reset by the kernel; nothing was taken twice.
        format!(
            "{} {}",
            accepted.len() > CLIENTS / 2,
            accepted.len() <= CLIENTS + 1
        )
    }))
}

#[test]
fn the_close_of_a_listener_notices_no_fault() {
    sweep(listener_close);
}

fn operations_and_timers(runtime: &Runtime) -> String {
    runtime.block_on(in_time(async {
        let (stream, peer) = UnixStream::pair().unwrap();
        let stream = Rc::new(stream);
        let begin = krug::time::now();
        let sleeps: Vec<_> = (0..10_u64)
            .map(|number| {
                let stream = stream.clone();
                krug::spawn(async move {
                    let due = begin + Duration::from_micros(300 * number);
                    krug::time::sleep_until(due).await;
                    assert!(krug::time::now() >= due, "{number} came early");
                    stream.write_all(vec![number as u8]).await.0.unwrap();
                })
            })
            .collect();
        let mut all = Vec::new();
        while all.len() < 10 {
            all.extend(peer.read(Vec::with_capacity(10)).await.1);
        }
        for sleep in sleeps {
            sleep.await.unwrap();
        }
        // A task that begins late may find that its time has come, before those that were waiting hear of it.
        all.sort_unstable();
        format!("{all:?}")
    }))
}

#[test]
fn timers_and_operations_together_notice_no_fault() {
    sweep(operations_and_timers);
}

/// A whole runtime under load is shut down in the midst of it.
fn shutdown_under_load(faults: &Faults, what: &str) {
    let runtime = Runtime::builder()
        .entries(4)
        .faults(faults.clone())
        .build()
        .unwrap();
    runtime.block_on(in_time(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(krug::spawn(async move {
            loop {
                let stream = listener.accept().await.unwrap();
                drop(krug::spawn(async move {
                    loop {
                        let (result, buf) = stream.read(Vec::with_capacity(100)).await;
                        if result.unwrap() == 0 {
                            return;
                        }
                        stream.write_all(buf).await.0.unwrap();
                    }
                }));
            }
        }));
        for _ in 0..4 {
            drop(krug::spawn(async move {
                let stream = TcpStream::connect(address).await.unwrap();
                loop {
                    stream.write_all(vec![1; 100]).await.0.unwrap();
                    stream.read_exact(Vec::with_capacity(100)).await.0.unwrap();
                }
            }));
        }
        while runtime.metrics().operations < 100 {
            krug::task::yield_now().await;
        }
    }));
    let report = runtime.shutdown(Duration::from_secs(20));
    assert!(report.is_clean(), "{what}: {report:?}");
}

#[test]
fn a_shutdown_under_load_notices_no_fault() {
    let calm = Faults::new();
    shutdown_under_load(&calm, "without faults");
    for nth in calls(calm.enters()) {
        for errno in [libc::EAGAIN, libc::EBUSY, libc::EINTR] {
            shutdown_under_load(
                &Faults::new().enter(nth, errno),
                &format!("enter {nth} answers {errno}"),
            );
        }
    }
    for nth in calls(calm.operations()) {
        for errno in [libc::EINTR, libc::EAGAIN, libc::ENOBUFS] {
            shutdown_under_load(
                &Faults::new().operation(nth, errno),
                &format!("operation {nth} answers {errno}"),
            );
        }
    }
    for nth in calls(calm.multishot_completions()) {
        shutdown_under_load(
            &Faults::new().end_multishot(nth),
            &format!("the multishot ends at {nth}"),
        );
    }
}

#[test]
fn a_read_that_was_cancelled_by_nobody_is_submitted_again() {
    krug_tests::needs_a_kernel!("it is about reads alone, and a peer of krug's sends");
    let calm = Faults::new();
    let expected = run(receive_only, &calm, "without faults");
    for nth in 1..=calm.operations() {
        let faults = Faults::new().operation(nth, libc::ECANCELED);
        assert_eq!(run(receive_only, &faults, "a read"), expected, "{nth}");
        assert_eq!(faults.pending(), 0);
    }
}

#[test]
fn bug_074_a_connect_that_a_signal_interrupts_goes_on() {
    // Of what each program connects, every one in turn; the last plan interrupts those that are made again, too.
    for program in [connects_by_tcp, connects_by_unix_sockets] {
        let expected = run(program, &Faults::new(), "without faults");
        for nth in 1..=2 {
            let faults = Faults::new().interrupt_connect(nth);
            assert_eq!(run(program, &faults, "a connect"), expected, "{nth}");
            assert_eq!(faults.pending(), 0);
        }
        let all = (1..=4).fold(Faults::new(), Faults::interrupt_connect);
        assert_eq!(run(program, &all, "every connect"), expected);
    }
}

/// One connect that succeeds and one that is refused.
fn connects_by_tcp(runtime: &Runtime) -> String {
    runtime.block_on(in_time(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let server = listener.accept().await.unwrap();
        assert_eq!(client.local_addr().unwrap(), server.peer_addr().unwrap());
        drop(listener.close().await.unwrap());
        let refused = TcpStream::connect(address).await.unwrap_err();
        server.write_all("welcome").await.0.unwrap();
        let (result, buf) = client.read_exact(vec![0; 7]).await;
        format!("{result:?} {buf:?} {:?}", refused.kind())
    }))
}

/// As [`connects_by_tcp`].
fn connects_by_unix_sockets(runtime: &Runtime) -> String {
    runtime.block_on(in_time(async {
        let folder = disk::folder();
        let listener = UnixListener::bind(folder.path().join("socket"))
            .await
            .unwrap();
        let client = UnixStream::connect(folder.path().join("socket"))
            .await
            .unwrap();
        let server = listener.accept().await.unwrap();
        drop(listener.close().await.unwrap());
        let refused = UnixStream::connect(folder.path().join("socket")).await;
        server.write_all("welcome").await.0.unwrap();
        let (result, buf) = client.read_exact(vec![0; 7]).await;
        format!("{result:?} {buf:?} {:?}", refused.unwrap_err().kind())
    }))
}

/// Operations that transfer data are reads only.
fn receive_only(runtime: &Runtime) -> String {
    use std::io::Write;
    runtime.block_on(in_time(async {
        let (stream, mut peer) = common_proof::stream_and_peer();
        let mut all = Vec::new();
        for round in 0..5 {
            peer.write_all(&[round; 10]).unwrap();
            let (result, buf) = stream.read_exact(Vec::with_capacity(10)).await;
            result.unwrap();
            all.extend(buf);
        }
        format!("{all:?}")
    }))
}
