//! What a connection costs that waits in `recv`. In a process of its own: the allocator counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use krug::net::{TcpStream, UnixStream};
use krug::{Runtime, spawn};
use krug_tests::{has_ring, turns};

krug_tests::on_every_kernel_driver!();

/// Bytes that are allocated.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: passes everything on to the system's allocator, and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// A little below what tables grow to, so that half-empty tables do not count.
const CONNECTIONS: usize = 1000;
const WARM_UP: usize = 10;
/// Bytes of heap for each connection: its task, its stream, its operation.
const BOUND: usize = 500;
/// The same without a ring; the records of the peers' descriptors count, too, as they are of this process.
const BOUND_OF_EPOLL: usize = 600;
/// What the core keeps ready for a turn in which all of them have something to do: it is not a connection's own, and grows when
/// many come at once.
const BOUND_OF_A_TURN: usize = 64;

fn raise_descriptor_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the calls fill, and read, one `rlimit`.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
}

type Peer = Box<dyn Write>;

fn tcp_pair(listener: &std::net::TcpListener) -> (Waiting, Peer) {
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (Waiting::Tcp(listener.accept().unwrap().0), Box::new(peer))
}

fn unix_pair() -> (Waiting, Peer) {
    let (stream, peer) = std::os::unix::net::UnixStream::pair().unwrap();
    (Waiting::Unix(stream), Box::new(peer))
}

/// Bytes for each connection that waits: fresh, and after it has received once.
async fn measure(runtime: &Runtime, pairs: Vec<(Waiting, Peer)>) -> [usize; 2] {
    let (streams, mut peers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let mut streams = streams.into_iter();
    let mut tasks = Vec::with_capacity(CONNECTIONS);
    // The tables of the runtime, and its pool, are there when there are connections at all.
    for stream in streams.by_ref().take(WARM_UP) {
        tasks.push(stream.wait());
    }
    turns(10).await;
    let before = ALLOCATED.load(Ordering::Relaxed);
    let buffers_before = runtime.metrics().buffers_total;
    for stream in streams {
        tasks.push(stream.wait());
        // As they come in life: lists of what one turn does are as long as the turn, not as the number of connections.
        turns(1).await;
    }
    turns(10).await;
    let each = || {
        let buffers = (runtime.metrics().buffers_total - buffers_before) * 4096;
        (ALLOCATED.load(Ordering::Relaxed) - before - buffers) / (CONNECTIONS - WARM_UP)
    };
    let fresh = each();
    for peer in &mut peers {
        peer.write_all(b"x").unwrap();
        turns(1).await;
    }
    turns(10).await;
    let used = each();
    assert_eq!(
        runtime.metrics().buffers_leased,
        0,
        "an idle connection holds a buffer"
    );
    assert_eq!(runtime.metrics().operations_alive, CONNECTIONS);
    for task in tasks {
        task.abort();
        task.await.unwrap_err();
        // They go as they came: what it takes to close many at once would count as the next ones' memory.
        turns(1).await;
    }
    [fresh, used]
}

/// A connection before the runtime has it.
enum Waiting {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Waiting {
    fn wait(self) -> krug::JoinHandle<()> {
        match self {
            Waiting::Tcp(stream) => {
                let stream = TcpStream::from_std(stream).unwrap();
                spawn(async move { while !stream.recv().await.unwrap().is_empty() {} })
            }
            Waiting::Unix(stream) => {
                let stream = UnixStream::from_std(stream).unwrap();
                spawn(async move { while !stream.recv().await.unwrap().is_empty() {} })
            }
        }
    }
}

#[test]
fn an_idle_connection_that_waits_in_recv_costs_at_most_500_bytes() {
    raise_descriptor_limit();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let pairs = (0..CONNECTIONS).map(|_| tcp_pair(&listener)).collect();
    let runtime = Runtime::new().unwrap();
    let tcp = runtime.block_on(measure(&runtime, pairs));
    let pairs = (0..CONNECTIONS).map(|_| unix_pair()).collect();
    let runtime = Runtime::new().unwrap();
    let unix = runtime.block_on(measure(&runtime, pairs));
    println!("bytes for each idle connection, fresh and used: TCP {tcp:?}, Unix {unix:?}");
    // What waits for readiness is kept by us instead of the kernel.
    let bound = if has_ring() { BOUND } else { BOUND_OF_EPOLL };
    for [fresh, used] in [tcp, unix] {
        assert!(
            fresh <= bound,
            "{fresh} bytes for a connection that is idle"
        );
        assert!(
            used <= bound + BOUND_OF_A_TURN,
            "{used} bytes for a connection that was used and is idle"
        );
    }
}
