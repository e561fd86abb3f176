//! [`Watchdog`]: the thread that reports tasks which hold their cores.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::board::{Board, Seen};

/// How many looks there are in the time that a task may have.
const LOOKS: u32 = 4;
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// Watches the cores of one runtime until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// Nothing is sent: its end is the message.
    end: Option<mpsc::Sender<Infallible>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watchdog {
    /// Reports whoever holds one of these cores for longer than `limit`; they stand in the order of the cores.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub(crate) fn start(limit: Duration, boards: Vec<Arc<Board>>) -> io::Result<Watchdog> {
        let (end, ended) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("krug-watchdog".to_owned())
            .spawn(move || watch(limit, &boards, &ended))?;
        Ok(Watchdog {
            end: Some(end),
            thread: Some(thread),
        })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A subscriber of the user's may have paniced there, and said so.
            drop(thread.join());
        }
    }
}

fn watch(limit: Duration, boards: &[Arc<Board>], ended: &mpsc::Receiver<Infallible>) {
    let pause = (limit / LOOKS).max(PAUSE_MIN);
    let mut polls: Vec<_> = boards.iter().map(|board| Polled::new(board)).collect();
    let mut before = Instant::now();
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(pause) {
        let now = Instant::now();
        // If the whole process stood still, that is not the task's fault.
        let passed = now.duration_since(before).min(pause * 2);
        before = now;
        for (core, (polled, board)) in polls.iter_mut().zip(boards).enumerate() {
            if polled.is_over_limit(board.look(), passed, limit) {
                report(core, polled);
            }
        }
    }
}

/// What was seen of one core.
#[derive(Debug)]
struct Polled {
    seen: Seen,
    /// For how long it has been seen, at least.
    held: Duration,
    is_reported: bool,
}

impl Polled {
    fn new(board: &Board) -> Polled {
        Polled {
            seen: board.look(),
            held: Duration::ZERO,
            is_reported: false,
        }
    }

    /// True once for each poll that takes longer than `limit`.
    fn is_over_limit(&mut self, seen: Seen, passed: Duration, limit: Duration) -> bool {
        if seen != self.seen {
            *self = Polled {
                seen,
                held: Duration::ZERO,
                is_reported: false,
            };
            return false;
        }
        self.held += passed;
        let is_polled = self.seen.place().is_some();
        is_polled && self.held >= limit && !std::mem::replace(&mut self.is_reported, true)
    }
}

fn report(core: usize, polled: &Polled) {
    let Some(place) = polled.seen.place() else {
        return;
    };
    tracing::warn!(
        "a task holds core {core} for {:?} already without giving way, so that nothing else runs there: it was spawned at {place}; \
         what computes belongs into spawn_blocking, a long loop awaits task::yield_now now and then",
        polled.held
    );
}

#[cfg(all(test, not(krug_loom)))]
mod tests {
    use super::*;
    use std::panic::Location;

    const LIMIT: Duration = Duration::from_millis(100);
    const STEP: Duration = Duration::from_millis(25);

    fn reports(board: &Board, polled: &mut Polled, looks: usize) -> usize {
        let look = |_: &usize| polled.is_over_limit(board.look(), STEP, LIMIT);
        (0..looks).filter(look).count()
    }

    #[test]
    fn a_poll_that_goes_on_is_reported_once() {
        let board = Board::default();
        let mut polled = Polled::new(&board);
        board.begin(Location::caller());
        assert_eq!(reports(&board, &mut polled, 4), 0);
        assert_eq!(reports(&board, &mut polled, 100), 1);
    }

    #[test]
    fn the_next_poll_of_the_same_task_is_another_one() {
        let board = Board::default();
        let mut polled = Polled::new(&board);
        for _ in 0..3 {
            board.begin(Location::caller());
            assert_eq!(reports(&board, &mut polled, 3), 0);
        }
        assert_eq!(reports(&board, &mut polled, 100), 1);
        board.begin(Location::caller());
        assert_eq!(reports(&board, &mut polled, 100), 1);
    }

    #[test]
    fn a_core_that_polls_nothing_is_never_reported() {
        let board = Board::default();
        let mut polled = Polled::new(&board);
        assert_eq!(reports(&board, &mut polled, 100), 0);
        board.begin(Location::caller());
        board.end();
        assert_eq!(reports(&board, &mut polled, 100), 0);
    }
}
