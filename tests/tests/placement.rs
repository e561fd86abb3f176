//! Where connections live: dealt out over cores when they come, and moved later.

#[path = "common_proof/mod.rs"]
mod common_proof;

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use common_proof::{Generator, in_time, open_descriptors, patience, poll_once, tcp_pair};
use krug::cores::Placement;
use krug::net::{TcpListener, TcpStream, UnixStream};
use krug::runtime::Faults;
use krug::{CoreHandle, Runtime, spawn_on};
use krug_tests::{Random, iterations, turns, with_settings};

krug_tests::on_every_driver!();

const DEADLINE: Duration = Duration::from_secs(10);

/// Runs `test` with a runtime of `count` cores, and demands that all of them end cleanly.
fn with_cores(count: usize, test: impl Fn(&Runtime)) {
    with_settings(|builder| {
        let runtime = builder.cores(count).build().unwrap();
        test(&runtime);
        assert!(runtime.shutdown(DEADLINE).is_clean());
    });
}

/// Runs what `make` makes on a core, and brings back what comes of it.
async fn there<M, F>(core: CoreHandle, make: M) -> F::Output
where
    M: FnOnce() -> F + Send + 'static,
    F: Future<Output: Send> + 'static,
{
    let task = spawn_on(core, make).expect("the core lives");
    in_time(task)
        .await
        .expect("it neither panics nor is aborted")
}

/// Reads until the end of the stream.
async fn read_all(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let (read, buf) = stream.read(Vec::with_capacity(4096)).await;
        if read? == 0 {
            return Ok(all);
        }
        all.extend_from_slice(&buf);
    }
}

#[test]
fn a_connection_that_moved_reads_and_writes_on_its_new_core_only() {
    with_cores(2, |runtime| {
        let other = runtime.core(1).unwrap();
        runtime.block_on(in_time(async {
            let (moving, peer) = tcp_pair().await.unwrap();
            let address = moving.local_addr().unwrap();
            let moved = moving.migrate(other).await.unwrap();
            let text = moved.local_addr().unwrap_err().to_string();
            assert!(text.contains("belongs to"), "{text}");
            peer.write_all("question").await.0.unwrap();
            let moved = there(other, move || async move {
                assert_eq!(moved.local_addr().unwrap(), address);
                let (read, buf) = moved.read(Vec::with_capacity(64)).await;
                read.unwrap();
                assert_eq!(buf, b"question");
                moved.write_all("answer").await.0.unwrap();
                moved
            })
            .await;
            let (read, buf) = peer.read(Vec::with_capacity(64)).await;
            read.unwrap();
            assert_eq!(buf, b"answer");
            drop(moved);
            assert_eq!(peer.read(Vec::with_capacity(1)).await.0.unwrap(), 0);
        }));
    });
}

#[test]
fn what_was_received_and_not_read_goes_along_in_order() {
    with_cores(2, |runtime| {
        let other = runtime.core(1).unwrap();
        runtime.block_on(in_time(async {
            let (moving, peer) = tcp_pair().await.unwrap();
            // A chunk: from here on the stream receives ahead, into buffers of this core.
            peer.write_all("one ").await.0.unwrap();
            assert_eq!(&moving.recv().await.unwrap()[..], b"one ");
            peer.write_all("two ").await.0.unwrap();
            turns(20).await;
            // A read that nobody waits for.
            let mut read = Box::pin(moving.read(Vec::with_capacity(2)));
            let mut read_here = match poll_once(&mut read).await {
                Poll::Ready((read, buf)) => read.map(|_| buf).unwrap(),
                Poll::Pending => Vec::new(),
            };
            drop(read);
            peer.write_all("three").await.0.unwrap();
            let moved = moving.migrate(other).await.unwrap();
            peer.shutdown(Shutdown::Write).await.unwrap();
            let rest = there(
                other,
                move || async move { read_all(&moved).await.unwrap() },
            )
            .await;
            read_here.extend_from_slice(&rest);
            assert_eq!(read_here, b"two three");
        }));
    });
}

#[test]
fn what_a_read_had_that_was_dropped_elsewhere_goes_along() {
    with_cores(2, |runtime| {
        let other = runtime.core(1).unwrap();
        runtime.block_on(in_time(async {
            let (moving, peer) = tcp_pair().await.unwrap();
            let moving = Arc::new(moving);
            let reader = moving.clone();
            let mut read = Box::pin(async move { reader.read(Vec::with_capacity(8)).await });
            assert!(poll_once(&mut read).await.is_pending());
            peer.write_all("bytes").await.0.unwrap();
            turns(20).await;
            // It has its bytes, and nobody has asked it. The letter that brings them home is not opened before the next turn.
            thread::spawn(move || drop(read)).join().unwrap();
            let moving = Arc::try_unwrap(moving).unwrap();
            let moved = moving.migrate(other).await.unwrap();
            drop(peer);
            let rest = there(
                other,
                move || async move { read_all(&moved).await.unwrap() },
            );
            assert_eq!(rest.await, b"bytes");
        }));
    });
}

#[test]
fn what_was_written_is_sent_before_a_connection_moves() {
    with_cores(2, |runtime| {
        let other = runtime.core(1).unwrap();
        runtime.block_on(in_time(async {
            let (moving, peer) = tcp_pair().await.unwrap();
            let sent: Vec<u8> = (0..4_000_000_u32).map(|n| n as u8).collect();
            let mut write = Box::pin(moving.write_all(sent.clone()));
            assert!(poll_once(&mut write).await.is_pending());
            turns(3).await;
            drop(write);
            let mut migration = Box::pin(moving.migrate(other));
            assert!(poll_once(&mut migration).await.is_pending());
            turns(50).await;
            assert!(poll_once(&mut migration).await.is_pending(), "nobody reads");
            let reader = krug::spawn(async move { read_all(&peer).await.unwrap() });
            let moved = migration.await.unwrap();
            there(other, move || async move {
                moved.write_all("end").await.0.unwrap();
                moved.close().await.unwrap();
            })
            .await;
            let received = reader.await.unwrap();
            assert_eq!(received.len(), sent.len() + 3);
            assert!(received.starts_with(&sent) && received.ends_with(b"end"));
        }));
    });
}

#[test]
fn how_a_connection_ended_is_known_on_its_new_core() {
    with_cores(2, |runtime| {
        let other = runtime.core(1).unwrap();
        runtime.block_on(in_time(async {
            // Reset, and the one error that the kernel gives for it was seen here.
            let (moving, peer) = tcp_pair().await.unwrap();
            moving.write_all("unread").await.0.unwrap();
            peer.peek(Vec::with_capacity(1)).await.0.unwrap();
            drop(peer);
            let error = moving.read(Vec::with_capacity(1)).await.0.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            let moved = moving.migrate(other).await.unwrap();
            let again = there(other, move || async move {
                let error = moved.read(Vec::with_capacity(1)).await.0.unwrap_err();
                error.kind()
            });
            assert_eq!(again.await, io::ErrorKind::ConnectionReset);
            // Ended in good order.
            let (moving, peer) = tcp_pair().await.unwrap();
            drop(peer);
            assert_eq!(moving.read(Vec::with_capacity(1)).await.0.unwrap(), 0);
            let moved = moving.migrate(other).await.unwrap();
            let read = there(other, move || async move {
                moved.read(Vec::with_capacity(1)).await.0.unwrap()
            });
            assert_eq!(read.await, 0);
        }));
    });
}

#[test]
fn a_connection_on_its_own_core_stays_as_it_is() {
    with_cores(2, |runtime| {
        runtime.block_on(in_time(async {
            let (staying, peer) = UnixStream::pair().unwrap();
            let stayed = staying.migrate(CoreHandle::current()).await.unwrap();
            peer.write_all("x").await.0.unwrap();
            assert_eq!(stayed.read(Vec::with_capacity(1)).await.0.unwrap(), 1);
        }));
    });
}

#[test]
fn a_connection_comes_back_usable_if_it_cannot_move() {
    krug_tests::needs_a_kernel!("a core ends alone when its driver breaks");
    with_settings(|builder| {
        // Core 0 takes few turns before core 1 gets there.
        let broken = Faults::new().enter(300, libc::EBADR);
        let runtime = builder.cores(2).faults(broken).build().unwrap();
        let foreign = Runtime::new().unwrap();
        let other = runtime.core(1).unwrap();
        let (staying, peer) = runtime.block_on(in_time(tcp_pair())).unwrap();
        let error = runtime.block_on(staying.migrate(foreign.handle()));
        let error = error.unwrap_err();
        assert!(error.to_string().contains("another runtime"), "{error}");
        let staying = error.stream;

        let busy = spawn_on(other, || async {
            loop {
                krug::io::nop().await.unwrap();
                krug::time::sleep(Duration::from_micros(1)).await;
            }
        });
        drop(busy.unwrap());
        let begin = Instant::now();
        while other.is_alive() {
            assert!(begin.elapsed() < patience(), "the core does not end");
            thread::yield_now();
        }
        runtime.block_on(in_time(async {
            peer.write_all("before").await.0.unwrap();
            let mut read = Box::pin(staying.read(Vec::with_capacity(6)));
            let _ = poll_once(&mut read).await;
            drop(read);
            let error = staying.migrate(other).await.unwrap_err();
            assert!(error.to_string().contains("has ended"), "{error}");
            let staying = error.stream;
            let (read, buf) = staying.read(Vec::with_capacity(6)).await;
            read.unwrap();
            assert_eq!(buf, b"before");
            staying.write_all("after").await.0.unwrap();
            let (read, buf) = peer.read(Vec::with_capacity(6)).await;
            read.unwrap();
            assert_eq!(buf, b"after");
        }));
        drop(foreign);
    });
}

#[test]
fn a_migration_that_is_dropped_closes_its_connection_and_leaks_nothing() {
    let random = Random::new();
    with_cores(2, |runtime| {
        let other = runtime.core(1).unwrap();
        runtime.block_on(in_time(async {
            let (first, _peer) = tcp_pair().await.unwrap();
            drop(first.migrate(other).await.unwrap());
            turns(20).await;
            let before = open_descriptors();
            for _ in 0..iterations(100) {
                let (moving, peer) = tcp_pair().await.unwrap();
                let armed = random.below(2) == 0;
                if armed {
                    let mut recv = Box::pin(moving.recv());
                    assert!(poll_once(&mut recv).await.is_pending());
                }
                let leaves_something = armed && random.below(2) == 0;
                if leaves_something {
                    peer.write_all("unread").await.0.unwrap();
                    turns(3).await;
                }
                let mut migration = Box::pin(moving.migrate(other));
                for _ in 0..random.below(6) {
                    if poll_once(&mut migration).await.is_ready() {
                        break;
                    }
                    turns(1).await;
                }
                drop(migration);
                let end = peer.read(Vec::with_capacity(1)).await.0;
                // What nobody has taken from the kernel resets the connection.
                assert!(leaves_something || end.unwrap() == 0);
            }
            krug_tests::until("all are closed", || open_descriptors() <= before).await;
            let leased = || runtime.metrics().buffers_leased;
            krug_tests::until("all buffers are back", || leased() == 0).await;
        }));
    });
}

#[test]
fn a_connection_that_moves_all_the_time_loses_and_doubles_no_byte() {
    with_settings(|builder| {
        let random = Random::new();
        let runtime = builder.cores(4).build().unwrap();
        let cores = runtime.handles();
        let total = 200_000_u32;
        let seed = random.number();
        runtime.block_on(in_time(async {
            let (mut moving, peer) = tcp_pair().await.unwrap();
            let writer = krug::spawn(async move {
                let mut generator = Generator::new(seed);
                let mut next = 0_u32;
                while next < total {
                    let end = (next + 1 + generator.below(3000) as u32).min(total);
                    let bytes: Vec<u8> = (next..end).map(|n| n as u8).collect();
                    peer.write_all(bytes).await.0.unwrap();
                    next = end;
                }
                peer
            });
            let mut seen = 0_u32;
            let mut hops = 0;
            while seen < total {
                let core = cores[random.below(4)];
                moving = moving.migrate_from(&mut hops, core).await;
                let (how, room) = (random.below(4), 1 + random.below(2000));
                let (stream, bytes) = there(core, move || read_some(moving, how, room)).await;
                for byte in bytes {
                    assert_eq!(byte, seen as u8, "byte {seen} after {hops} hops");
                    seen += 1;
                }
                moving = stream;
            }
            drop(writer.await.unwrap());
        }));
        assert!(runtime.shutdown(DEADLINE).is_clean());
    });
}

/// Reads a little, in one of several ways; sometimes a read is dropped on the way.
async fn read_some(stream: TcpStream, how: usize, room: usize) -> (TcpStream, Vec<u8>) {
    let bytes = match how {
        0 => stream.recv().await.unwrap().to_vec(),
        1 => {
            let mut read = Box::pin(stream.read(Vec::with_capacity(room)));
            let dropped = poll_once(&mut read).await;
            drop(read);
            match dropped {
                Poll::Ready((read, buf)) => {
                    read.unwrap();
                    buf
                }
                Poll::Pending => Vec::new(),
            }
        }
        2 => {
            let mut recv = Box::pin(stream.recv());
            match poll_once(&mut recv).await {
                Poll::Ready(chunk) => chunk.unwrap().to_vec(),
                Poll::Pending => Vec::new(),
            }
        }
        _ => {
            let (read, buf) = stream.read(Vec::with_capacity(room)).await;
            read.unwrap();
            buf
        }
    };
    (stream, bytes)
}

/// Moves a stream from whatever core it is on.
trait MigrateFrom {
    async fn migrate_from(self, hops: &mut usize, core: CoreHandle) -> TcpStream;
}

impl MigrateFrom for TcpStream {
    async fn migrate_from(self, hops: &mut usize, core: CoreHandle) -> TcpStream {
        *hops += 1;
        let mut stream = self;
        // It knows its home, and we do not: only there it can be sent on.
        for home in CoreHandle::of_all_cores() {
            let tried = there(home, move || async move { stream.migrate(core).await });
            match tried.await {
                Ok(moved) => return moved,
                Err(error) => stream = error.stream,
            }
        }
        unreachable!("one of the cores is its home");
    }
}

#[test]
fn sixty_four_connections_are_spread_evenly_over_eight_cores() {
    with_cores(8, |runtime| {
        let placement = Placement::least_loaded(runtime.handles());
        let served = Arc::new(AtomicUsize::new(0));
        runtime.block_on(in_time(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (dealing, counted) = (placement.clone(), served.clone());
            let dealer = krug::spawn(async move {
                let serve = move |stream: TcpStream| {
                    let counted = counted.clone();
                    async move {
                        counted.fetch_add(1, Ordering::SeqCst);
                        // On its own core, or this errs.
                        let echoed = stream.read(Vec::with_capacity(8)).await;
                        let echoed = stream.write_all(echoed.1).await;
                        echoed.0.unwrap();
                        let _ = stream.read(Vec::with_capacity(1)).await;
                    }
                };
                listener.distribute(&dealing, serve).await
            });
            let mut clients = Vec::new();
            for number in 0..64_u8 {
                let client = TcpStream::connect(address).await.unwrap();
                client.write_all(vec![number]).await.0.unwrap();
                let (read, buf) = client.read(Vec::with_capacity(8)).await;
                read.unwrap();
                assert_eq!(buf, [number]);
                clients.push(client);
            }
            let loads: Vec<usize> = placement.loads().iter().map(|(_, load)| *load).collect();
            assert_eq!(loads, [8; 8]);
            // Those of two cores leave: the next ones go there.
            let left: Vec<TcpStream> = clients.drain(..).step_by(2).collect();
            krug_tests::until("half of them is gone", || {
                placement
                    .loads()
                    .iter()
                    .map(|(_, load)| load)
                    .sum::<usize>()
                    == 32
            })
            .await;
            for number in 0..32_u8 {
                let client = TcpStream::connect(address).await.unwrap();
                client.write_all(vec![number]).await.0.unwrap();
                client.read(Vec::with_capacity(8)).await.0.unwrap();
                clients.push(client);
            }
            let loads = placement.loads();
            assert!(loads.iter().all(|(_, load)| *load == 8), "{loads:?}");
            drop((clients, left));
            krug_tests::until("all are gone", || {
                placement.loads().iter().all(|(_, load)| *load == 0)
            })
            .await;
            dealer.abort();
        }));
        assert_eq!(served.load(Ordering::SeqCst), 96);
    });
}

#[test]
fn cores_take_turns_and_those_that_have_ended_are_passed_over() {
    with_settings(|builder| {
        let ended = Runtime::new().unwrap();
        let runtime = builder.cores(3).build().unwrap();
        let mut cores = runtime.handles();
        cores.insert(1, ended.handle());
        drop(ended);
        for placement in [
            Placement::round_robin(cores.clone()),
            Placement::least_loaded(cores.clone()),
        ] {
            let places: Vec<_> = (0..9).map(|_| placement.next().unwrap()).collect();
            for core in runtime.handles() {
                let share = places.iter().filter(|place| place.core() == core).count();
                assert!((2..=4).contains(&share), "{placement:?}");
            }
            let (_, of_the_ended) = placement.loads()[1];
            assert_eq!(of_the_ended, 0);
        }
        drop(runtime);
        assert!(Placement::round_robin(cores).next().is_none());
        assert!(Placement::least_loaded([]).next().is_none());
    });
}

#[test]
fn a_distribution_that_is_dropped_loses_no_connection() {
    with_cores(2, |runtime| {
        let placement = Placement::round_robin(runtime.handles());
        runtime.block_on(in_time(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let serve = |stream: TcpStream| async move {
                stream.write_all("served").await.0.unwrap();
            };
            for _ in 0..iterations(20) {
                let mut distribution = Box::pin(listener.distribute(&placement, serve));
                assert!(poll_once(&mut distribution).await.is_pending());
                let client = TcpStream::connect(address).await.unwrap();
                turns(1).await;
                drop(distribution);
                let mut answered = Box::pin(read_all(&client));
                // Served there, or still here for whoever accepts next.
                let answer =
                    match krug::time::timeout(Duration::from_millis(2), answered.as_mut()).await {
                        Ok(answer) => answer.unwrap(),
                        Err(_) => {
                            serve(in_time(listener.accept()).await.unwrap()).await;
                            answered.await.unwrap()
                        }
                    };
                assert_eq!(answer, b"served");
            }
        }));
    });
}
