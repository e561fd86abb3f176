//! How an await ends: [`World::end`].

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use krug::JoinHandle;
use krug::io::Canceller;
use krug_tests::{Random, Track, Tracked, poll_once};

/// What became of a future.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    Done(T),
    /// It was polled at least once and did not resolve.
    Dropped,
    NeverPolled,
}

/// One way to end an await.
#[derive(Clone, Copy, Debug)]
enum Way {
    Await,
    NeverPoll,
    Drop,
    Timeout,
    Select,
    Abort,
    Cancel,
}

/// All ways, each as likely as it is often here.
const WAYS: &[Way] = &[
    Way::Await,
    Way::Await,
    Way::NeverPoll,
    Way::Drop,
    Way::Drop,
    Way::Timeout,
    Way::Select,
    Way::Abort,
    Way::Cancel,
];

/// For as many drops as possible in a second.
const DROPS: &[Way] = &[
    Way::Await,
    Way::Drop,
    Way::Drop,
    Way::Drop,
    Way::Drop,
    Way::Drop,
    Way::Drop,
    Way::Timeout,
    Way::Select,
    Way::Abort,
];

/// A task that does not outlive the future that made it.
struct Aborted<T>(JoinHandle<T>);

impl<T> Drop for Aborted<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the actors of one program share.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) random: Random,
    ways: &'static [Way],
    /// How many operations an actor does.
    pub(crate) steps: usize,
    has_big_messages: bool,
    drops: Cell<u64>,
    complaints: RefCell<Vec<String>>,
    tracks: RefCell<Vec<Track>>,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        World {
            seed,
            random: Random::of(seed),
            ways: WAYS,
            steps: 40,
            has_big_messages: false,
            drops: Cell::new(0),
            complaints: RefCell::default(),
            tracks: RefCell::default(),
        }
    }

    /// Some messages are more than a socket takes at once.
    pub(crate) fn with_big_messages(self) -> World {
        World {
            has_big_messages: true,
            ..self
        }
    }

    /// Almost every future is dropped.
    pub(crate) fn that_drops(self) -> World {
        World {
            ways: DROPS,
            steps: 300,
            ..self
        }
    }

    pub(crate) fn drops(&self) -> u64 {
        self.drops.get()
    }

    /// Something is not as the model says.
    pub(crate) fn complain(&self, what: String) {
        self.complaints
            .borrow_mut()
            .push(format!("KRUG_SEED={}: {what}", self.seed));
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        self.complaints.borrow().clone()
    }

    /// A buffer that holds `bytes` and is missed if it is never dropped.
    pub(crate) fn buffer(&self, bytes: Vec<u8>) -> Tracked {
        let (buffer, track) = Tracked::new(bytes);
        let mut tracks = self.tracks.borrow_mut();
        if tracks.len() > 10_000 {
            tracks.retain(|track| !track.is_dropped());
        }
        tracks.push(track);
        buffer
    }

    /// An empty buffer with room, rarely with none.
    pub(crate) fn room(&self) -> Tracked {
        let most = if self.random.below(8) == 0 { 5000 } else { 100 };
        self.buffer(Vec::with_capacity(self.random.below(most)))
    }

    pub(crate) fn buffers_alive(&self) -> usize {
        let tracks = self.tracks.borrow();
        tracks.iter().filter(|track| !track.is_dropped()).count()
    }

    /// The length of the next message.
    pub(crate) fn message_length(&self) -> usize {
        match self.random.below(40) {
            0 if self.has_big_messages => 1 + self.random.below(1 << 20),
            1..4 => self.random.below(5000),
            _ => self.random.below(60),
        }
    }

    /// Lets others run, for a while that may be none.
    pub(crate) async fn pause(&self) {
        match self.random.below(8) {
            0 => krug::time::sleep(self.random.micros(200)).await,
            1 => drop(krug::io::nop().await),
            _ => {
                for _ in 0..self.random.below(4) {
                    krug::task::yield_now().await;
                }
            }
        }
    }

    /// Ends `future` in one of the ways.
    pub(crate) async fn end<T: 'static>(
        &self,
        future: impl Future<Output = T> + 'static,
    ) -> Outcome<T> {
        let future = Box::pin(future);
        let outcome = match self.ways[self.random.below(self.ways.len())] {
            Way::Await => Outcome::Done(future.await),
            Way::NeverPoll => Outcome::NeverPolled,
            Way::Drop => self.poll_and_drop(future).await,
            Way::Timeout => {
                let limit = self.random.micros(300);
                match krug::time::timeout(limit, future).await {
                    Ok(output) => Outcome::Done(output),
                    Err(_) => Outcome::Dropped,
                }
            }
            Way::Select => krug::select! {
                output = future => Outcome::Done(output),
                _ = self.pause() => Outcome::Dropped,
            },
            Way::Abort => {
                let mut task = Aborted(krug::spawn(future));
                self.pause().await;
                task.0.abort();
                match (&mut task.0).await {
                    Ok(output) => Outcome::Done(output),
                    Err(error) if error.is_cancelled() => Outcome::Dropped,
                    Err(error) => panic!("{error}"),
                }
            }
            Way::Cancel => {
                let canceller = Canceller::new();
                let cancel = async {
                    self.pause().await;
                    canceller.cancel();
                };
                let (output, ()) = krug::join!(canceller.scope(future), cancel);
                Outcome::Done(output)
            }
        };
        if !matches!(outcome, Outcome::Done(_)) {
            self.drops.set(self.drops.get() + 1);
        }
        outcome
    }

    /// Polls a few times, with pauses of their own between, and drops.
    async fn poll_and_drop<T>(&self, mut future: Pin<Box<dyn Future<Output = T>>>) -> Outcome<T> {
        for _ in 0..=self.random.below(3) {
            if let Poll::Ready(output) = poll_once(future.as_mut()).await {
                return Outcome::Done(output);
            }
            self.pause().await;
        }
        Outcome::Dropped
    }

    /// How long something that must come may take.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
}
