//! The size of a ring bounds one system call, never the program.

#[path = "common_proof/mod.rs"]
mod common_proof;

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use common_proof::{
    Generator, in_time, is_long, poll_once, raise_descriptor_limit, stream_and_sender, tcp_pair,
};
use krug::Runtime;
use krug::net::{TcpListener, TcpStream, UnixStream};

krug_tests::on_every_driver!();
krug_tests::in_hardship_too!(Refused(All, libc::EPERM), LittleMemory);

const TINY: [u32; 4] = [1, 2, 4, 8];

fn ring_of(entries: u32) -> Runtime {
    Runtime::builder()
        .entries(entries)
        .seed(u64::from(entries))
        .build()
        .unwrap()
}

/// Everything is put away, and nothing came that nobody waited for.
fn check_rest(runtime: &Runtime) {
    runtime.block_on(in_time(async {
        while runtime.metrics().operations_alive > 0 || runtime.metrics().sources > 0 {
            krug::time::sleep(Duration::from_micros(100)).await;
        }
    }));
    assert_eq!(runtime.metrics().stale_completions, 0);
    assert_eq!(runtime.metrics().timers, 0);
}

type Nops = Vec<Pin<Box<dyn Future<Output = std::io::Result<()>>>>>;

/// That many operations, all of them started.
async fn nops(count: usize) -> Nops {
    let mut nops: Nops = Vec::new();
    for _ in 0..count {
        let mut nop: Pin<Box<dyn Future<Output = _>>> = Box::pin(krug::io::nop());
        assert!(poll_once(&mut nop).await.is_pending());
        nops.push(nop);
    }
    nops
}

#[test]
fn ten_thousand_operations_fit_through_any_ring_at_once() {
    const COUNT: usize = 10_000;
    for entries in TINY {
        let runtime = ring_of(entries);
        runtime.block_on(in_time(async {
            for nop in nops(COUNT).await {
                nop.await.unwrap();
            }
        }));
        assert!(runtime.metrics().operations >= COUNT as u64);
        check_rest(&runtime);
    }
}

#[test]
fn ten_thousand_operations_are_dropped_together_on_any_ring() {
    const COUNT: usize = 10_000;
    for entries in TINY {
        let runtime = ring_of(entries);
        runtime.block_on(in_time(async {
            // Never submitted: taken back.
            let submitted = runtime.metrics().submitted;
            drop(nops(COUNT).await);
            krug::io::nop().await.unwrap();
            // The bell's descriptor has a read in flight while the core sleeps.
            let of_the_bell = 1;
            assert!(
                (1..=1 + of_the_bell).contains(&(runtime.metrics().submitted - submitted)),
                "{:?}",
                runtime.metrics()
            );
            // Submitted, and done or under way.
            let started = nops(COUNT).await;
            krug::io::nop().await.unwrap();
            drop(started);
            krug::io::nop().await.unwrap();
        }));
        check_rest(&runtime);
    }
}

#[test]
fn many_tasks_move_bytes_through_any_ring() {
    const TASKS: usize = 50;
    for entries in TINY {
        let runtime = ring_of(entries);
        runtime.block_on(in_time(async {
            let mut tasks = Vec::new();
            for number in 0..TASKS {
                let (one, other) = UnixStream::pair().unwrap();
                tasks.push(krug::spawn(async move {
                    for round in 0..50 {
                        one.write_all(vec![(number + round) as u8; 10])
                            .await
                            .0
                            .unwrap();
                    }
                }));
                tasks.push(krug::spawn(async move {
                    for round in 0..50 {
                        let (result, buf) = other.read_exact(Vec::with_capacity(10)).await;
                        result.unwrap();
                        assert_eq!(buf, [(number + round) as u8; 10]);
                    }
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
        }));
        assert!(runtime.metrics().operations >= 2 * 50 * TASKS as u64);
        check_rest(&runtime);
    }
}

#[test]
fn five_thousand_timeouts_of_reads_end_at_the_same_instant() {
    const TIMEOUTS: usize = 5000;
    // Two descriptors for each; where there are fewer, several reads share a stream.
    let streams = (raise_descriptor_limit() as usize / 4).min(2000);
    for entries in TINY {
        let runtime = ring_of(entries);
        runtime.block_on(in_time(async {
            let (streams, mut peers): (Vec<_>, Vec<_>) =
                (0..streams).map(|_| stream_and_sender()).unzip();
            let streams: Vec<_> = streams.into_iter().map(Rc::new).collect();
            let instant = krug::time::now() + Duration::from_millis(20);
            let tasks: Vec<_> = (0..TIMEOUTS)
                .map(|number| {
                    let stream = streams[number % streams.len()].clone();
                    krug::spawn(async move {
                        let read = stream.read(Vec::with_capacity(10));
                        krug::time::timeout_at(instant, read).await.is_err()
                    })
                })
                .collect();
            for task in tasks {
                assert!(
                    task.await.unwrap(),
                    "nothing was written, so nothing is read"
                );
            }
            // Not one of the reads that are left behind takes a byte with it.
            for (stream, peer) in streams.iter().zip(&mut peers) {
                peer.send(b"x").await;
                let (result, buf) = stream.read(Vec::with_capacity(10)).await;
                assert_eq!((result.unwrap(), &buf[..]), (1, &b"x"[..]));
            }
        }));
        check_rest(&runtime);
    }
}

#[test]
fn a_completion_queue_of_two_loses_nothing() {
    const COUNT: usize = 1000;
    let runtime = Runtime::builder()
        .entries(1)
        .completion_entries(2)
        .build()
        .unwrap();
    runtime.block_on(in_time(async {
        for _ in 0..3 {
            for nop in nops(COUNT).await {
                nop.await.unwrap();
            }
        }
        // Completions that come while nobody looks.
        let (streams, mut peers): (Vec<_>, Vec<_>) = (0..100).map(|_| stream_and_sender()).unzip();
        let mut reads = Vec::new();
        for stream in &streams {
            let mut read = Box::pin(stream.read(Vec::with_capacity(10)));
            assert!(poll_once(&mut read).await.is_pending());
            reads.push(read);
        }
        krug::io::nop().await.unwrap();
        for (number, peer) in peers.iter_mut().enumerate() {
            peer.send(&[number as u8]).await;
        }
        for (number, read) in reads.into_iter().enumerate() {
            let (result, buf) = read.await;
            result.unwrap();
            assert_eq!(buf, [number as u8]);
        }
    }));
    println!("{} overflows", runtime.metrics().overflows);
    check_rest(&runtime);
}

#[test]
fn one_task_that_is_always_ready_does_not_stop_the_others() {
    for entries in TINY {
        let runtime = ring_of(entries);
        let turns = Rc::new(Cell::new(0_u64));
        let counts = turns.clone();
        drop(runtime.spawn(async move {
            loop {
                counts.set(counts.get() + 1);
                krug::task::yield_now().await;
            }
        }));
        // This one never gives way by itself: only its budget stops it.
        drop(runtime.spawn(async {
            let (sender, mut receiver) = krug::sync::mpsc::channel(1);
            loop {
                sender.send(()).await.unwrap();
                receiver.recv().await.unwrap();
            }
        }));
        runtime.block_on(in_time(async {
            let (one, other) = tcp_pair().await.unwrap();
            for round in 0..100_u8 {
                one.write_all(vec![round]).await.0.unwrap();
                let (result, buf) = other.read(Vec::with_capacity(1)).await;
                assert_eq!((result.unwrap(), buf[0]), (1, round));
            }
            krug::time::sleep(Duration::from_millis(1)).await;
        }));
        assert!(turns.get() > 100);
    }
}

#[test]
fn a_future_that_spawns_and_joins_for_ever_does_not_stop_the_others() {
    for entries in TINY {
        let runtime = ring_of(entries);
        let is_over = Rc::new(Cell::new(false));
        let ends = is_over.clone();
        let other = runtime.spawn(async move {
            let (one, other) = tcp_pair().await.unwrap();
            for round in 0..20_u8 {
                one.write_all(vec![round]).await.0.unwrap();
                let (result, buf) = other.read(Vec::with_capacity(1)).await;
                assert_eq!((result.unwrap(), buf[0]), (1, round));
            }
            krug::time::sleep(Duration::from_millis(1)).await;
            ends.set(true);
        });
        runtime.block_on(async {
            let before = runtime.metrics().turns;
            let mut joined = 0_u64;
            while !is_over.get() {
                assert_eq!(krug::spawn(async move { joined }).await.unwrap(), joined);
                joined += 1;
                assert!(joined < 2_000_000, "nothing else has its turn");
            }
            let turns = runtime.metrics().turns - before;
            // A simulation draws who is next, and looks at its world after each.
            if krug_tests::driver() != krug::runtime::Driver::Sim {
                assert!(joined > 2 * turns, "{joined} in {turns} turns");
            }
            other.await.unwrap();
        });
    }
}

#[test]
fn completed_operations_that_nobody_polls_hold_up_no_other() {
    for entries in TINY {
        let runtime = ring_of(entries);
        runtime.block_on(in_time(async {
            let held = nops(1000).await;
            krug::io::nop().await.unwrap();
            // All of them have completed, as they went in before; none was polled.
            for _ in 0..10 {
                krug::io::nop().await.unwrap();
            }
            let (one, other) = UnixStream::pair().unwrap();
            one.write_all("x").await.0.unwrap();
            other.read(Vec::with_capacity(1)).await.0.unwrap();
            assert!(runtime.metrics().operations_alive >= held.len());
            for mut nop in held {
                assert!(poll_once(&mut nop).await.is_ready());
            }
        }));
        check_rest(&runtime);
    }
}

/// What one task of the mix has at hand.
struct Player {
    generator: Generator,
    listener: Rc<TcpListener>,
    /// Bytes in one direction, in order, whatever is dropped.
    one: Rc<UnixStream>,
    other: UnixStream,
    sent: u64,
    received: u64,
}

impl Player {
    fn new(seed: u64, listener: Rc<TcpListener>) -> Player {
        let (one, other) = UnixStream::pair().unwrap();
        Player {
            generator: Generator::new(seed),
            listener,
            one: Rc::new(one),
            other,
            sent: 0,
            received: 0,
        }
    }

    fn moment(&mut self) -> Duration {
        Duration::from_micros(self.generator.below(80))
    }

    async fn write(&mut self) {
        let count = 1 + self.generator.below(300);
        let bytes: Vec<u8> = (self.sent..self.sent + count)
            .map(|index| (index % 251) as u8)
            .collect();
        let stream = self.one.clone();
        let mut write = Box::pin(async move { stream.write_all(bytes).await.0 });
        // Dropped before its first poll it has not been, after it was submitted it will be.
        if self.generator.below(8) == 0 {
            return;
        }
        let polled = poll_once(&mut write).await;
        self.sent += count;
        if polled.is_ready() {
            return;
        }
        match self.generator.below(2) {
            0 => write.await.unwrap(),
            _ => {
                // Whatever was staged in this turn is submitted at its end.
                krug::io::nop().await.unwrap();
                drop(write);
            }
        }
    }

    async fn read(&mut self) {
        let read = self
            .other
            .read(Vec::with_capacity(1 + self.generator.below(500) as usize));
        let patience = Duration::from_micros(self.generator.below(80));
        let Ok((result, buf)) = krug::time::timeout(patience, read).await else {
            return;
        };
        result.unwrap();
        self.take(&buf);
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            assert_eq!(
                u64::from(*byte),
                self.received % 251,
                "bytes are lost or out of order"
            );
            self.received += 1;
        }
    }

    async fn connect(&mut self) {
        let address = self.listener.local_addr().unwrap();
        let moment = self.moment();
        drop(krug::time::timeout(moment, TcpStream::connect(address)).await);
        let moment = self.moment();
        drop(krug::time::timeout(moment, self.listener.accept()).await);
    }

    async fn spawn(&mut self) {
        let moment = self.moment();
        let task = krug::spawn(async move {
            krug::time::sleep(moment).await;
            krug::io::nop().await.unwrap();
        });
        match self.generator.below(3) {
            0 => task.abort(),
            1 => drop(task),
            _ => task.await.unwrap(),
        }
    }

    async fn step(&mut self) {
        match self.generator.below(12) {
            0..3 => self.write().await,
            3..7 => self.read().await,
            7 => self.connect().await,
            8 => self.spawn().await,
            9 => {
                let moment = self.moment();
                drop(krug::time::timeout(moment, krug::pipe::pipe()).await);
            }
            10 => drop(nops(self.generator.below(10) as usize).await),
            _ => krug::task::yield_now().await,
        }
    }

    /// Everything that was sent arrives.
    async fn finish(mut self) {
        while self.received < self.sent {
            let (result, buf) = self.other.read(Vec::with_capacity(1000)).await;
            result.unwrap();
            self.take(&buf);
        }
        assert_eq!(self.received, self.sent);
    }
}

#[test]
fn a_mix_of_everything_with_drops_on_a_ring_of_two_loses_nothing() {
    let seeds = if is_long() { 100 } else { 4 };
    for seed in 0..seeds {
        let runtime = Runtime::builder()
            .entries(2)
            .completion_entries(2)
            .seed(seed)
            .build()
            .unwrap();
        runtime.block_on(in_time(async {
            let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
            let players: Vec<_> = (0..20)
                .map(|number| {
                    let mut player = Player::new(seed * 1000 + number, listener.clone());
                    krug::spawn(async move {
                        for _ in 0..100 {
                            player.step().await;
                        }
                        player.finish().await;
                    })
                })
                .collect();
            for player in players {
                player.await.unwrap();
            }
        }));
        check_rest(&runtime);
    }
}
