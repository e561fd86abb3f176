//! Conformance: each future under a waker that counts, under a poller that polls a child
//! only if that child's own waker was woken, and dropped at every moment.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

mod barrier;
mod broadcast;
mod helpers;
mod locks;
mod mpsc;
mod notify;
mod once_cell;
mod oneshot;
mod semaphore;
mod watch;

/// A waker that counts how often it was woken.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counter {
    fn new() -> (Arc<Counter>, Waker) {
        let counter = Arc::new(Counter::default());
        (counter.clone(), counter.into())
    }

    fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Polls once, for what must be ready or is not watched.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll(future, Waker::noop())
}

/// The output of a future that resolves at once.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future is not ready"),
    }
}

/// Runs all children to their ends. Like the well-known unordered sets of futures it
/// gives each child a waker of its own and polls only those that were woken; with
/// everybody waiting and nobody woken it gives up.
fn run_all(children: Vec<Pin<Box<dyn Future<Output = ()> + '_>>>) {
    struct Child(AtomicBool);

    impl Wake for Child {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let mut running: Vec<_> = children
        .into_iter()
        .map(|future| (Arc::new(Child(AtomicBool::new(true))), future))
        .collect();
    while !running.is_empty() {
        let mut was_woken = false;
        running.retain_mut(|(child, future)| {
            if !child.0.swap(false, Ordering::SeqCst) {
                return true;
            }
            was_woken = true;
            let waker = Waker::from(child.clone());
            future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        });
        assert!(
            was_woken,
            "{} futures wait and nobody is woken",
            running.len()
        );
    }
}

/// Pending once; wakes itself.
async fn yield_once() {
    let mut was_polled = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut was_polled, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Demands that a task which never has to wait, and takes 10 000 units of the budget, does
/// not keep others from running.
fn gives_way<F: Future<Output = ()> + 'static>(busy: impl FnOnce() -> F + 'static) {
    let runtime = crate::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let others_turns = Rc::new(Cell::new(0));
        let turns = others_turns.clone();
        let other = crate::task::spawn(async move {
            loop {
                turns.set(turns.get() + 1);
                crate::task::yield_now().await;
            }
        });
        crate::task::spawn(busy()).await.expect("it ended");
        other.abort();
        // 128 units for each poll.
        assert!(others_turns.get() > 50, "{} turns", others_turns.get());
    });
}

/// SplitMix64, as in the tests across modules; the seed is printed, and set by `KRUG_SEED`.
struct Random(Cell<u64>);

impl Random {
    fn new() -> Random {
        let given = std::env::var("KRUG_SEED").ok();
        let given = given.and_then(|seed| seed.parse().ok());
        let state = std::hash::RandomState::new();
        let seed = given.unwrap_or_else(|| std::hash::BuildHasher::hash_one(&state, 0));
        println!("KRUG_SEED={seed}");
        Random(Cell::new(seed))
    }

    fn below(&self, bound: usize) -> usize {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// Calls a function when it is dropped: stands for a message with a destructor.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A waker that runs a function when it is cloned, woken or dropped: it does what no
/// waker should, and must find nothing borrowed.
///
/// Only for one thread; the tests keep it there.
struct Meddler {
    action: RefCell<Option<Box<dyn Fn()>>>,
    runs: Cell<usize>,
}

struct OnThread(Rc<Meddler>);

// `Wake` asks for `Send + Sync` and unsafe code is not for this folder, so the meddler is
// found through a local of the thread.
thread_local! {
    static MEDDLER: RefCell<Option<Rc<Meddler>>> = const { RefCell::new(None) };
}

struct MeddlingWake;

impl Wake for MeddlingWake {
    fn wake(self: Arc<Self>) {
        meddle();
    }
}

impl Drop for MeddlingWake {
    fn drop(&mut self) {
        meddle();
    }
}

fn meddle() {
    let meddler = MEDDLER.with(|meddler| meddler.borrow().clone());
    if let Some(meddler) = meddler {
        meddler.runs.set(meddler.runs.get() + 1);
        if let Some(action) = &*meddler.action.borrow() {
            action();
        }
    }
}

impl Meddler {
    /// Runs `action` whenever a waker from [`meddling_waker`] is woken or its last clone dropped.
    fn install(action: impl Fn() + 'static) -> OnThread {
        let meddler = Rc::new(Meddler {
            action: RefCell::new(Some(Box::new(action))),
            runs: Cell::new(0),
        });
        MEDDLER.with(|current| *current.borrow_mut() = Some(meddler.clone()));
        OnThread(meddler)
    }
}

impl OnThread {
    fn runs(&self) -> usize {
        self.0.runs.get()
    }
}

impl Drop for OnThread {
    fn drop(&mut self) {
        MEDDLER.with(|current| current.borrow_mut().take());
    }
}

fn meddling_waker() -> Waker {
    Arc::new(MeddlingWake).into()
}
