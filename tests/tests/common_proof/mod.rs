//! What the tests of the executor's foundations share.
#![allow(dead_code)] // Each test binary uses a part of it.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use krug::net::{TcpListener, TcpStream};

/// After this long a test is taken to hang. No verdict depends on it otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// [`PATIENCE`], longer where `KRUG_PATIENCE` says that the machine is slow.
pub(crate) fn patience() -> Duration {
    krug_tests::patient(PATIENCE)
}

/// SplitMix64: small, seeded, the same on every machine.
pub(crate) struct Generator(u64);

impl Generator {
    pub(crate) fn new(seed: u64) -> Generator {
        println!("seed {seed}");
        Generator(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// True if `KRUG_LONG=1` asks for the long form of the tests.
pub(crate) fn is_long() -> bool {
    std::env::var("KRUG_LONG").is_ok_and(|value| value == "1")
}

/// Polls once, inside a task or a main future.
pub(crate) async fn poll_once<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

struct Unpark {
    thread: Thread,
    calls: AtomicUsize,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.calls.fetch_add(1, Ordering::Release);
        self.thread.unpark();
    }
}

/// Runs a future on a thread that has no runtime. Panics if it is not called for so long that it never will be; how much it has to do
/// does not count.
pub(crate) fn run_outside<F: Future>(future: F) -> F::Output {
    let unpark = Arc::new(Unpark {
        thread: std::thread::current(),
        calls: AtomicUsize::new(0),
    });
    let waker = Waker::from(unpark.clone());
    let mut future = pin!(future);
    loop {
        let calls = unpark.calls.load(Ordering::Acquire);
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let deadline = Instant::now() + patience();
        while unpark.calls.load(Ordering::Acquire) == calls {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "a future does not resolve");
            std::thread::park_timeout(left);
        }
    }
}

/// Fails the test if the future takes for ever. In a simulation it waits for it, as long as it takes: the clock of a world does not wait
/// for other threads, and would be past any deadline while they work.
pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    if krug_tests::driver() == krug::runtime::Driver::Sim {
        return future.await;
    }
    match krug::time::timeout(patience(), future).await {
        Ok(output) => output,
        Err(_) => panic!("a future does not resolve"),
    }
}

/// How many descriptors this process has open.
pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Raises the soft limit of open descriptors to the hard one and returns it.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a local of the right type.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur = limit.rlim_max.min(1 << 16);
    // SAFETY: as above.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!((got, set), (0, 0));
    limit.rlim_cur
}

/// A stream of this core and the socket it is connected with, which is a plain one.
pub(crate) fn stream_and_peer() -> (krug::net::UnixStream, std::os::unix::net::UnixStream) {
    let (mine, peer) = std::os::unix::net::UnixStream::pair().unwrap();
    (krug::net::UnixStream::from_std(mine).unwrap(), peer)
}

/// Who sends to a stream: a plain socket that blocks, or, in a simulation, where nobody else is, a stream of krug's.
pub(crate) enum Sender {
    Foreign(std::os::unix::net::UnixStream),
    Simulated(krug::net::UnixStream),
}

impl Sender {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        match self {
            Sender::Foreign(peer) => io::Write::write_all(peer, bytes).unwrap(),
            Sender::Simulated(peer) => peer.write_all(bytes.to_vec()).await.0.unwrap(),
        }
    }
}

/// A stream of this core and who sends to it.
pub(crate) fn stream_and_sender() -> (krug::net::UnixStream, Sender) {
    if krug_tests::driver() == krug::runtime::Driver::Sim {
        let (mine, peer) = krug::net::UnixStream::pair().unwrap();
        return (mine, Sender::Simulated(peer));
    }
    let (mine, peer) = stream_and_peer();
    (mine, Sender::Foreign(peer))
}

/// Two connected streams of this core.
pub(crate) async fn tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?))
}

/// The text of a panic.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}
