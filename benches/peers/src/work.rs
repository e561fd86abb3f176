//! What is done in a runtime and measured: the loops that are the same in all of them.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// One thing to do, on one thread.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// Nothing: does the runtime start here at all?
    Nothing,
    /// So many tasks that end at once, in batches of [`BATCH`], of which all are joined.
    SpawnInBatches(u64),
    /// The same, each joined before the next.
    SpawnOneByOne(u64),
    /// So many times to the end of the queue, by so many tasks in turn.
    Yield(u64, u64),
    /// A number to another task of the same thread and back, so many times, through channels with room for one.
    Channel(u64),
    /// So many tasks, all of which sleep at the same time, for 1 to [`LONGEST_SLEEP`] ms.
    Sleep(u64),
    /// Blocks of a file, in a random order.
    Read(Reads),
    /// A message to another task and back, through two pipes.
    Pipe(Trips),
    /// The same through a pair of Unix sockets.
    Unix(Trips),
}

/// Does some work by what a runtime calls it: that is the same for all of them but for names. With `spawn` before it a future is a
/// task; the others are functions.
macro_rules! on_runtime {
    (
        $work:expr, spawn: [$($spawn:tt)+], yield_now: [$($yield_now:tt)+], sleep: [$($sleep:tt)+],
        channel: $channel:expr, read: $read:expr, pipes: $pipes:expr, unix: $unix:expr $(,)?
    ) => {
        match $work {
            $crate::work::Work::Nothing => Ok($crate::work::Took::default()),
            $crate::work::Work::SpawnInBatches(count) => {
                Ok($crate::work::spawn_in_batches(*count, || $($spawn)+(async {})).await)
            }
            $crate::work::Work::SpawnOneByOne(count) => {
                Ok($crate::work::spawn_one_by_one(*count, || $($spawn)+(async {})).await)
            }
            $crate::work::Work::Yield(count, tasks) => {
                let yielding = |each| {
                    $($spawn)+(async move {
                        for _ in 0..each {
                            $($yield_now)+().await;
                        }
                    })
                };
                Ok($crate::work::yields(*count, *tasks, yielding).await)
            }
            $crate::work::Work::Channel(count) => $channel(*count).await,
            $crate::work::Work::Sleep(count) => {
                let sleeping = |time| $($spawn)+($($sleep)+(time));
                Ok($crate::work::sleeps(*count, sleeping).await)
            }
            $crate::work::Work::Read(reads) => $read(reads).await,
            $crate::work::Work::Pipe(trips) => $pipes(*trips).await,
            $crate::work::Work::Unix(trips) => $unix(*trips).await,
        }
    };
}
pub(crate) use on_runtime;

/// Tasks that are spawned before the first of them is joined.
const BATCH: u64 = 64;
/// In milliseconds.
const LONGEST_SLEEP: u64 = 100;
/// Size of a block that is read.
pub(crate) const BLOCK: usize = 4096;
/// Blocks of the file.
const BLOCKS: u64 = 4096;

/// What it took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Took {
    pub(crate) operations: u64,
    pub(crate) elapsed: Duration,
    /// Of all threads of this process.
    pub(crate) cpu: Duration,
}

/// Why there is no result.
#[derive(Debug)]
pub(crate) enum Cannot {
    /// The runtime has nothing of the kind; what it lacks.
    NotOffered(&'static str),
    /// It went wrong.
    Failed(io::Error),
}

impl fmt::Display for Cannot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cannot::NotOffered(lack) => formatter.write_str(lack),
            Cannot::Failed(error) => write!(formatter, "{error}"),
        }
    }
}

impl From<io::Error> for Cannot {
    fn from(error: io::Error) -> Cannot {
        Cannot::Failed(error)
    }
}

/// What comes of some work.
pub(crate) type Outcome = Result<Took, Cannot>;

/// Runs from the moment when everything is ready.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    begin: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        Stopwatch {
            begin: Instant::now(),
            cpu: cpu_of_process(),
        }
    }

    pub(crate) fn stop(self, operations: u64) -> Took {
        Took {
            operations,
            elapsed: self.begin.elapsed(),
            cpu: cpu_of_process().saturating_sub(self.cpu),
        }
    }
}

fn cpu_of_process() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// `spawn` begins a task that does nothing.
pub(crate) async fn spawn_in_batches<T: Future>(count: u64, spawn: impl Fn() -> T) -> Took {
    let watch = Stopwatch::start();
    let mut batch = Vec::with_capacity(BATCH as usize);
    let batches = count.div_ceil(BATCH);
    for _ in 0..batches {
        batch.extend((0..BATCH).map(|_| spawn()));
        for task in batch.drain(..) {
            task.await;
        }
    }
    watch.stop(batches * BATCH)
}

/// `spawn` begins a task that does nothing.
pub(crate) async fn spawn_one_by_one<T: Future>(count: u64, spawn: impl Fn() -> T) -> Took {
    let watch = Stopwatch::start();
    for _ in 0..count {
        spawn().await;
    }
    watch.stop(count)
}

/// `spawn` begins a task that yields so many times.
pub(crate) async fn yields<T: Future>(count: u64, tasks: u64, spawn: impl Fn(u64) -> T) -> Took {
    let watch = Stopwatch::start();
    let each = count.div_ceil(tasks);
    let yielding: Vec<T> = (0..tasks).map(|_| spawn(each)).collect();
    for task in yielding {
        task.await;
    }
    watch.stop(each * tasks)
}

/// `spawn` begins a task that sleeps so long.
pub(crate) async fn sleeps<T: Future>(count: u64, spawn: impl Fn(Duration) -> T) -> Took {
    let watch = Stopwatch::start();
    let mut random = Random::new(7);
    let mut tasks = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let milliseconds = 1 + random.below(LONGEST_SLEEP);
        tasks.push(spawn(Duration::from_millis(milliseconds)));
    }
    for task in tasks {
        task.await;
    }
    watch.stop(count)
}

/// A file that lies in the kernel's cache, and how it is to be read.
#[derive(Debug, Clone)]
pub(crate) struct Reads {
    pub(crate) path: PathBuf,
    /// Reads at once.
    pub(crate) depth: usize,
    pub(crate) count: u64,
}

/// `spawn` begins a task that reads these blocks.
pub(crate) async fn reads<T>(reads: &Reads, spawn: impl Fn(Blocks) -> T) -> Outcome
where
    T: Future<Output = io::Result<()>>,
{
    let watch = Stopwatch::start();
    let each = reads.count.div_ceil(reads.depth as u64);
    let readers = (0..reads.depth).map(|number| {
        spawn(Blocks {
            random: Random::new(number as u64 + 1),
            left: each,
        })
    });
    let readers: Vec<T> = readers.collect();
    for reader in readers {
        reader.await?;
    }
    Ok(watch.stop(each * reads.depth as u64))
}

/// The places of the blocks that one task reads.
#[derive(Debug, Clone)]
pub(crate) struct Blocks {
    random: Random,
    left: u64,
}

impl Iterator for Blocks {
    /// Where in the file.
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        Some(self.random.below(BLOCKS) * BLOCK as u64)
    }
}

/// Makes the file; having been written, it lies in the kernel's cache.
pub(crate) fn make_file(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut block = vec![0; BLOCK];
    for number in 0..BLOCKS {
        block[..8].copy_from_slice(&(number * BLOCK as u64).to_le_bytes());
        file.write_all(&block)?;
    }
    file.sync_all()
}

/// Fails if this is not what stands there in the file.
pub(crate) fn check_block(block: &[u8], offset: u64) -> io::Result<()> {
    if block.len() == BLOCK && block[..8] == offset.to_le_bytes() {
        Ok(())
    } else {
        Err(io::Error::other("another block than that which was read"))
    }
}

/// Messages that go there and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trips {
    pub(crate) bytes: usize,
    pub(crate) count: u64,
}

const FILLING: u8 = 0x5a;

impl Trips {
    /// Room for a message.
    fn message(self) -> Vec<u8> {
        vec![FILLING; self.bytes]
    }
}

/// `exchange` sends a message whole, and gives back what comes whole in answer.
pub(crate) async fn ask(
    trips: Trips,
    mut exchange: impl AsyncFnMut(Vec<u8>) -> io::Result<Vec<u8>>,
) -> Outcome {
    let mut message = trips.message();
    let watch = Stopwatch::start();
    for round in 0..trips.count {
        stamp(&mut message, round);
        message = exchange(message).await?;
        check_message(&message, round)?;
    }
    Ok(watch.stop(trips.count))
}

/// `exchange` sends a number to another task, and gives back what comes in answer.
pub(crate) async fn ask_in_numbers(
    count: u64,
    mut exchange: impl AsyncFnMut(u64) -> Option<u64>,
) -> Outcome {
    let watch = Stopwatch::start();
    for number in 0..count {
        if exchange(number).await != Some(number) {
            return Err(io::Error::other("another number came back").into());
        }
    }
    Ok(watch.stop(count))
}

/// Makes the message that of this round.
fn stamp(message: &mut [u8], round: u64) {
    let stamp = round.to_le_bytes();
    let length = message.len().min(stamp.len());
    message[..length].copy_from_slice(&stamp[..length]);
}

/// Fails if the message is not that of this round.
fn check_message(message: &[u8], round: u64) -> io::Result<()> {
    let stamp = round.to_le_bytes();
    let length = message.len().min(stamp.len());
    if message[..length] == stamp[..length] && message[length..].iter().all(|byte| *byte == FILLING)
    {
        Ok(())
    } else {
        Err(io::Error::other("another message came back"))
    }
}

/// Xorshift: the same numbers for all.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_another_round_or_with_another_byte_is_seen() {
        for bytes in [1, 8, 64] {
            let mut message = Trips { bytes, count: 1 }.message();
            stamp(&mut message, 3);
            check_message(&message, 3).unwrap();
            check_message(&message, 4).unwrap_err();
            message[bytes - 1] ^= 0x80;
            check_message(&message, 3).unwrap_err();
        }
    }

    #[test]
    fn blocks_lie_in_the_file_and_are_told_from_each_other() {
        let path = std::env::temp_dir().join(format!("krug-peers-work-{}", std::process::id()));
        make_file(&path).unwrap();
        let content = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let blocks = Blocks {
            random: Random::new(1),
            left: 1000,
        };
        assert_eq!(blocks.clone().count(), 1000);
        for offset in blocks {
            let block = &content[offset as usize..][..BLOCK];
            check_block(block, offset).unwrap();
            check_block(block, offset + BLOCK as u64).unwrap_err();
            check_block(&block[1..], offset).unwrap_err();
        }
    }

    #[test]
    fn a_stopwatch_sees_work_of_all_threads() {
        let watch = Stopwatch::start();
        std::thread::spawn(|| {
            let begin = cpu_of_process();
            while cpu_of_process() - begin < Duration::from_millis(20) {}
        })
        .join()
        .unwrap();
        assert!(watch.stop(1).cpu >= Duration::from_millis(20));
    }
}
