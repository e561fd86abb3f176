//! How runtimes begin and end, and what a panic costs: the task it happened in, nobody else.

#[path = "common_proof/mod.rs"]
mod common_proof;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::{Duration, Instant};

use common_proof::{
    PATIENCE, in_time, panic_text, poll_once, run_outside, stream_and_peer, stream_and_sender,
    tcp_pair,
};
use krug::CoreHandle;
use krug::Runtime;
use krug::runtime::Faults;
use krug_tests::{has_ring, passes_in_a_process_of_its_own};

krug_tests::on_every_driver!();

/// A round trip through the kernel.
async fn echo() {
    let (one, other) = tcp_pair().await.unwrap();
    one.write_all("hello").await.0.unwrap();
    let (result, buf) = other.read_exact(Vec::with_capacity(5)).await;
    result.unwrap();
    assert_eq!(buf, b"hello");
}

fn panics(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it must panic");
    panic_text(&*payload)
}

#[test]
fn block_on_may_be_called_again_and_tasks_go_on() {
    let runtime = Runtime::new().unwrap();
    let (sender, mut receiver) = krug::sync::mpsc::channel(1);
    let task = runtime.spawn(async move {
        for number in 0.. {
            if sender.send(number).await.is_err() {
                return number;
            }
        }
        unreachable!()
    });
    for round in 0..3 {
        runtime.block_on(in_time(async {
            echo().await;
            assert_eq!(receiver.recv().await, Some(round));
        }));
    }
    drop(receiver);
    assert!(runtime.block_on(in_time(task)).unwrap() >= 3);
}

#[test]
fn block_on_inside_block_on_is_an_error_that_says_what_to_do() {
    let runtime = Runtime::new().unwrap();
    let other = Runtime::new().unwrap();
    runtime.block_on(async {
        for runtime in [&runtime, &other] {
            let error = runtime.try_block_on(async {}).unwrap_err().to_string();
            // A turn is made only if there is something to wait for.
            let text = panics(|| runtime.block_on(krug::task::yield_now()));
            assert_eq!(text, error);
            assert!(
                text.contains(
                    "block_on was called on a thread that is running a krug runtime already"
                ),
                "{text}"
            );
            assert!(text.contains("await the future, or spawn it"), "{text}");
        }
        echo().await;
    });
    other.block_on(echo());
}

#[test]
fn two_threads_run_runtimes_at_once() {
    let together = Arc::new(Barrier::new(2));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let together = together.clone();
            std::thread::spawn(move || {
                let runtime = Runtime::new().unwrap();
                together.wait();
                for _ in 0..50 {
                    runtime.block_on(in_time(echo()));
                }
                runtime.metrics().stale_completions
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 0);
    }
}

#[test]
fn a_panic_of_the_main_future_comes_through_and_the_runtime_goes_on() {
    let runtime = Runtime::new().unwrap();
    let task = runtime.spawn(async {
        echo().await;
        7
    });
    let text = panics(|| {
        runtime.block_on(async {
            echo().await;
            panic!("of the main future");
        })
    });
    assert_eq!(text, "of the main future");
    assert_eq!(runtime.block_on(in_time(task)).unwrap(), 7);
    assert!(
        CoreHandle::try_current().is_none(),
        "the thread has left the runtime"
    );
}

#[test]
fn a_panic_of_a_task_goes_to_its_joiner_and_costs_nobody_else_anything() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(in_time(async {
        let fine = krug::spawn(echo());
        let broken = krug::spawn(async {
            krug::io::nop().await.unwrap();
            panic!("of a task");
        });
        let error = broken.await.unwrap_err();
        assert!(error.is_panic());
        assert_eq!(panic_text(&*error.into_panic()), "of a task");
        fine.await.unwrap();
    }));
}

struct PanicsOnDrop(&'static str);

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

#[test]
fn a_panic_of_a_destructor_goes_to_the_joiner_also_when_the_task_was_aborted() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(in_time(async {
        let held = PanicsOnDrop("at the end");
        let ends = krug::spawn(async move {
            let _held = held;
            krug::task::yield_now().await;
        });
        assert_eq!(
            panic_text(&*ends.await.unwrap_err().into_panic()),
            "at the end"
        );
        let held = PanicsOnDrop("when aborted");
        let aborted = krug::spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        krug::task::yield_now().await;
        aborted.abort();
        assert_eq!(
            panic_text(&*aborted.await.unwrap_err().into_panic()),
            "when aborted"
        );
        echo().await;
    }));
}

#[test]
fn a_destructor_that_panics_at_shutdown_hinders_no_other() {
    let runtime = Runtime::new().unwrap();
    let dropped = Arc::new(AtomicUsize::new(0));
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            if self.0.load(Ordering::Relaxed) % 2 == 1 {
                panic!("every other one");
            }
        }
    }
    for _ in 0..10 {
        let counts = Counts(dropped.clone());
        drop(runtime.spawn(async move {
            let _counts = counts;
            pending::<()>().await;
        }));
    }
    runtime.block_on(krug::task::yield_now());
    assert!(runtime.shutdown(Duration::from_secs(1)).is_clean());
    assert_eq!(dropped.load(Ordering::Relaxed), 10);
}

/// A waker whose every wake panics; counts them.
struct PanicsOnWake(AtomicUsize);

impl Wake for PanicsOnWake {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("of a waker");
    }
}

#[test]
fn a_panic_of_a_foreign_waker_costs_nobody_else_a_completion() {
    const COUNT: usize = 20;
    let runtime = Runtime::new().unwrap();
    let panicking = Arc::new(PanicsOnWake(AtomicUsize::new(0)));
    let waiting = Cell::new(0);
    let waker = Waker::from(panicking.clone());
    runtime.block_on(in_time(async {
        let mut broken: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        let (mut fine, mut peers) = (Vec::new(), Vec::new());
        let due = krug::time::now() + Duration::from_millis(30);
        for _ in 0..COUNT {
            let (stream, peer) = stream_and_sender();
            peers.push(peer);
            broken.push(Box::pin(async move {
                drop(stream.read(Vec::with_capacity(8)).await)
            }));
            broken.push(Box::pin(krug::time::sleep_until(due)));
            let (stream, peer) = stream_and_sender();
            peers.push(peer);
            fine.push(krug::spawn(async move {
                stream.read(Vec::with_capacity(8)).await.0.unwrap();
                krug::time::sleep_until(due).await;
            }));
        }
        // On a slow machine the time of a timer may be over already.
        broken.retain_mut(|future| {
            future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        });
        assert!(broken.len() >= COUNT);
        waiting.set(broken.len());
        krug::task::yield_now().await;
        for peer in &mut peers {
            peer.send(b"x").await;
        }
        for task in fine {
            task.await.unwrap();
        }
        // Those that were woken in vain are complete all the same.
        for mut future in broken {
            assert!(poll_once(&mut future).await.is_ready());
        }
    }));
    assert_eq!(panicking.0.load(Ordering::Relaxed), waiting.get());
    runtime.block_on(in_time(async {
        while runtime.metrics().operations_alive > 0 {
            krug::task::yield_now().await;
        }
    }));
}

/// A buffer whose destructor panics.
struct Fragile(Vec<u8>);

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("of a buffer");
    }
}

// SAFETY: passes on to a vector, which keeps the contract.
unsafe impl krug::buf::IoBuf for Fragile {
    fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.0.len()
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

// SAFETY: as above.
unsafe impl krug::buf::IoBufMut for Fragile {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    unsafe fn set_initialized(&mut self, len: usize) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.set_initialized(len) }
    }
}

#[test]
fn a_panic_of_the_destructor_of_an_adopted_buffer_costs_no_byte() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(in_time(async {
        let (stream, mut peer) = stream_and_sender();
        let mut read = Box::pin(stream.read(Fragile(Vec::with_capacity(8))));
        assert!(poll_once(&mut read).await.is_pending());
        krug::io::nop().await.unwrap();
        drop(read);
        peer.send(b"abc").await;
        let (result, buf) = stream.read_exact(Vec::with_capacity(3)).await;
        result.unwrap();
        assert_eq!(buf, b"abc");
    }));
}

#[test]
fn a_runtime_may_be_dropped_inside_a_task_of_another() {
    let inner = Runtime::new().unwrap();
    let left = inner.block_on(async {
        let (stream, peer) = stream_and_peer();
        drop(krug::spawn(async move {
            drop(stream.read(Vec::with_capacity(8)).await)
        }));
        krug::io::nop().await.unwrap();
        peer
    });
    let outer = Runtime::new().unwrap();
    outer.block_on(in_time(async move {
        let task = krug::spawn(async move {
            let here = CoreHandle::current();
            drop(inner);
            assert_eq!(CoreHandle::current(), here);
            echo().await;
        });
        task.await.unwrap();
        echo().await;
    }));
    drop(left);
}

#[test]
fn a_runtime_may_be_made_inside_a_runtime_and_taken_out() {
    let outer = Runtime::new().unwrap();
    let inner = outer.block_on(async {
        let inner = Runtime::new().unwrap();
        drop(inner.spawn(echo()));
        echo().await;
        inner
    });
    inner.block_on(in_time(echo()));
}

/// A waker of no runtime whose clone and drop end a whole runtime.
#[test]
fn a_foreign_waker_may_end_another_runtime_wherever_it_is_dropped() {
    struct EndsRuntime(RefCell<Option<Runtime>>);
    fn clone(data: *const ()) -> RawWaker {
        // SAFETY: the data is that of an `Rc` that is counted once for each waker.
        unsafe { Rc::increment_strong_count(data.cast::<EndsRuntime>()) };
        RawWaker::new(data, &TABLE)
    }
    fn release(data: *const ()) {
        // SAFETY: as above; this waker is gone afterwards.
        let shared = unsafe { Rc::from_raw(data.cast::<EndsRuntime>()) };
        drop(shared.0.take());
    }
    static TABLE: RawWakerVTable = RawWakerVTable::new(clone, release, |_| (), release);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(in_time(async {
        let (stream, _peer) = stream_and_peer();
        let mut read = Box::pin(stream.read(Vec::with_capacity(8)));
        let mut sleep = Box::pin(krug::time::sleep(Duration::from_secs(3600)));
        for future in [0, 1] {
            let shared = Rc::new(EndsRuntime(RefCell::new(Some(Runtime::new().unwrap()))));
            // SAFETY: all of this happens on one thread, which is what the `Rc` asks for.
            let waker = unsafe { Waker::new(Rc::into_raw(shared.clone()).cast(), &TABLE) };
            let mut cx = Context::from_waker(&waker);
            match future {
                0 => drop(read.as_mut().poll(&mut cx)),
                _ => drop(sleep.as_mut().poll(&mut cx)),
            }
            // The next poll puts another waker in its place.
            match future {
                0 => assert!(poll_once(&mut read).await.is_pending()),
                _ => assert!(poll_once(&mut sleep).await.is_pending()),
            }
            assert!(shared.0.borrow().is_none(), "the waker was dropped");
            std::mem::forget(waker);
        }
    }));
    runtime.block_on(in_time(echo()));
}

#[test]
fn threads_may_spawn_while_the_runtime_shuts_down() {
    const THREADS: usize = 8;
    for _ in 0..20 {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        let begin = Arc::new(Barrier::new(THREADS + 1));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let begin = begin.clone();
                std::thread::spawn(move || {
                    begin.wait();
                    let (mut finished, mut cancelled) = (0, 0);
                    loop {
                        match handle.spawn(async { 1 }) {
                            Ok(task) => match run_outside(task) {
                                Ok(one) => finished += one,
                                Err(error) if error.is_cancelled() => cancelled += 1,
                                Err(error) => panic!("{error}"),
                            },
                            Err(ended) => {
                                assert_eq!(
                                    run_outside(ended.into_inner()),
                                    1,
                                    "the future came back whole"
                                );
                                return (finished, cancelled);
                            }
                        }
                    }
                })
            })
            .collect();
        begin.wait();
        runtime.block_on(async {
            for _ in 0..10 {
                krug::task::yield_now().await;
            }
        });
        let report = runtime.shutdown(Duration::from_secs(5));
        assert!(report.is_clean(), "{report:?}");
        assert!(!handle.is_alive());
        for thread in threads {
            let (_finished, _cancelled): (usize, usize) = thread.join().unwrap();
        }
    }
}

#[test]
fn a_join_handle_can_be_awaited_on_another_runtime() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let (done, is_done) = std::sync::mpsc::channel();
    let home = std::thread::spawn(move || {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let slow = krug::spawn(async {
                krug::time::sleep(Duration::from_millis(5)).await;
                "slow".to_string()
            });
            let never = krug::spawn(pending::<()>());
            let abort = never.abort_handle();
            sender.send((slow, never)).unwrap();
            krug::time::sleep(Duration::from_millis(15)).await;
            abort.abort();
            krug::time::sleep(Duration::from_millis(1)).await;
        });
        // The thread waits so that the answers come from a runtime that is alive.
        is_done.recv().unwrap();
    });
    let (slow, never) = receiver.recv().unwrap();
    Runtime::new().unwrap().block_on(in_time(async {
        assert_eq!(slow.await.unwrap(), "slow");
        assert!(never.await.unwrap_err().is_cancelled());
    }));
    done.send(()).unwrap();
    home.join().unwrap();
}

#[test]
fn wakers_of_a_runtime_that_has_ended_do_nothing() {
    let runtime = Runtime::new().unwrap();
    let wakers = Rc::new(RefCell::new(Vec::new()));
    let main = runtime.block_on(async {
        let taken = wakers.clone();
        drop(krug::spawn(std::future::poll_fn(move |cx| {
            taken.borrow_mut().push(cx.waker().clone());
            Poll::<()>::Pending
        })));
        krug::task::yield_now().await;
        std::future::poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
    });
    drop(runtime);
    let mut all = wakers.take();
    all.push(main);
    // The mailbox of the dead may be another's by now.
    let another = Runtime::new().unwrap();
    for waker in &all {
        waker.wake_by_ref();
    }
    std::thread::spawn(move || {
        for waker in all {
            let another = waker.clone();
            waker.wake_by_ref();
            waker.wake();
            drop(another);
        }
    })
    .join()
    .unwrap();
    another.block_on(in_time(echo()));
}

#[test]
fn a_runtime_with_accept_receive_and_timer_pending_ends_without_waiting() {
    let runtime = Runtime::builder()
        .shutdown_deadline(6 * PATIENCE)
        .build()
        .unwrap();
    let peer = runtime.block_on(async {
        let listener = krug::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        drop(krug::spawn(async move { drop(listener.accept().await) }));
        let (stream, peer) = stream_and_peer();
        drop(krug::spawn(async move {
            drop(stream.read(Vec::with_capacity(8)).await)
        }));
        drop(krug::spawn(krug::time::sleep(Duration::from_secs(3600))));
        krug::io::nop().await.unwrap();
        peer
    });
    let begin = Instant::now();
    drop(runtime);
    // Any waiting would be for much longer.
    assert!(begin.elapsed() < PATIENCE);
    drop(peer);
}

#[test]
fn a_shutdown_does_not_sleep_on_what_has_completed_already() {
    let runtime = Runtime::builder()
        .linger(3 * PATIENCE)
        .shutdown_deadline(3 * PATIENCE)
        .build()
        .unwrap();
    let (stream, peer) = runtime.block_on(async { stream_and_peer() });
    // The write completes in the last system call of `block_on`; after it, nothing ever does.
    runtime.block_on(async move {
        let mut write = Box::pin(async move { drop(stream.write_all(vec![1; 64]).await) });
        assert!(poll_once(&mut write).await.is_pending());
        std::mem::forget(write);
    });
    let begin = Instant::now();
    drop(runtime);
    assert!(begin.elapsed() < PATIENCE);
    drop(peer);
}

#[test]
fn a_stalled_write_is_given_up_at_shutdown_when_its_linger_time_is_over() {
    let runtime = Runtime::builder()
        .linger(Duration::from_millis(20))
        .shutdown_deadline(6 * PATIENCE)
        .build()
        .unwrap();
    let peer = runtime.block_on(async {
        let (stream, peer) = stream_and_peer();
        drop(krug::spawn(async move {
            drop(stream.write_all(vec![1; 4 << 20]).await)
        }));
        krug::io::nop().await.unwrap();
        peer
    });
    let begin = Instant::now();
    drop(runtime);
    assert!(begin.elapsed() < PATIENCE);
    drop(peer);
}

#[test]
fn a_stream_closed_by_the_last_poll_is_closed_before_the_runtime_rests() {
    krug_tests::needs_a_kernel!("its peer looks while the runtime rests");
    use std::io::Read;
    struct Ends {
        _stream: krug::net::UnixStream,
    }
    impl Future for Ends {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    let runtime = Runtime::new().unwrap();
    let (stream, mut peer) = runtime.block_on(async { stream_and_peer() });
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    // The stream is dropped with the future, after its last poll; the runtime lives on and does nothing.
    runtime.block_on(Ends { _stream: stream });
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    drop(runtime);
}

#[test]
fn a_broken_ring_is_a_panic_with_its_cause_and_ends_without_another() {
    krug_tests::needs_a_kernel!("a simulation makes no call that could fail");
    let broken = (3..50).fold(Faults::new(), |faults, nth| faults.enter(nth, libc::EBADR));
    let runtime = Runtime::builder().faults(broken).build().unwrap();
    let text = panics(|| {
        runtime.block_on(async {
            loop {
                krug::io::nop().await.unwrap();
            }
        });
    });
    // What the number means is known of rings; of epoll it is only handed on.
    let cause = match has_ring() {
        true => "lost completions",
        false => "os error 53",
    };
    assert!(text.contains(cause), "{text}");
    drop(runtime);
}

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_signal(_: i32) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn signals_during_a_wait_disturb_nobody() {
    krug_tests::needs_a_kernel!("it is about signals of the system's");
    // SAFETY: the handler only counts; SIGUSR1 is used by nobody else in this process.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as usize;
        assert_eq!(
            libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()),
            0
        );
    }
    let runtime = Runtime::new().unwrap();
    // SAFETY: asks for this thread's own name.
    let thread = unsafe { libc::pthread_self() } as usize;
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = is_over.clone();
    let sender = std::thread::spawn(move || {
        while !ends.load(Ordering::Relaxed) {
            // SAFETY: the thread is alive: it joins this one.
            unsafe { libc::pthread_kill(thread as libc::pthread_t, libc::SIGUSR1) };
            std::thread::sleep(Duration::from_micros(100));
        }
    });
    runtime.block_on(in_time(async {
        let begin = Instant::now();
        krug::time::sleep(Duration::from_millis(100)).await;
        assert!(begin.elapsed() >= Duration::from_millis(100), "never early");
        for _ in 0..20 {
            echo().await;
        }
    }));
    is_over.store(true, Ordering::Relaxed);
    sender.join().unwrap();
    assert!(SIGNALS.load(Ordering::Relaxed) > 0);
    assert_eq!(runtime.metrics().stale_completions, 0);
}

#[test]
fn every_type_can_be_used_and_dropped_outside_a_runtime_without_a_panic() {
    use krug::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
    fn says_so<T>(result: std::io::Result<T>) {
        let error = result.err().expect("there is no runtime").to_string();
        assert!(error.contains("no krug runtime on this thread"), "{error}");
    }
    says_so(run_outside(TcpListener::bind("127.0.0.1:0")));
    says_so(run_outside(TcpStream::connect("127.0.0.1:1")));
    says_so(run_outside(TcpSocket::new().connect("127.0.0.1:1")));
    says_so(run_outside(UnixListener::bind("/nowhere")));
    says_so(run_outside(UnixStream::connect("/nowhere")));
    says_so(UnixStream::pair());
    says_so(run_outside(krug::pipe::pipe()));
    says_so(run_outside(krug::io::nop()));
    says_so(UnixStream::from_std(
        std::os::unix::net::UnixStream::pair().unwrap().0,
    ));
    drop(krug::time::sleep(Duration::ZERO));
    drop(krug::time::interval(Duration::from_secs(1)));
    drop(krug::time::timeout(Duration::ZERO, async {}));
    let runtime = Runtime::new().unwrap();
    let (stream, other, listener, peer) = runtime.block_on(async {
        let (stream, peer) = stream_and_peer();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        (stream, stream_and_peer().0, listener, peer)
    });
    // The runtime lives but is not running here.
    let (result, buf) = run_outside(stream.read(vec![1, 2, 3]));
    says_so(result);
    assert_eq!(buf, [1, 2, 3], "the buffer comes back");
    says_so(run_outside(stream.write_all("abc")).0.map(drop));
    says_so(run_outside(stream.flush()));
    says_so(run_outside(listener.accept()));
    says_so(listener.local_addr());
    says_so(run_outside(other.close()));
    drop(runtime);
    let ended = run_outside(stream.read(Vec::with_capacity(1)))
        .0
        .unwrap_err()
        .to_string();
    assert!(ended.contains("has ended"), "{ended}");
    let ended = run_outside(listener.close()).err().unwrap().to_string();
    assert!(ended.contains("has ended"), "{ended}");
    drop((stream, peer));
}

#[test]
fn what_needs_a_runtime_and_cannot_err_panics_with_advice() {
    assert!(panics(|| drop(krug::spawn(async {}))).contains("`krug::spawn` needs a runtime"));
    assert!(panics(|| assert!(CoreHandle::current().is_alive())).contains("needs a krug runtime"));
    let sleep = || run_outside(krug::time::sleep(Duration::from_secs(1)));
    assert!(panics(sleep).contains("outside a krug runtime"));
}

#[test]
fn a_task_that_spawns_and_starts_operations_while_it_is_dropped_at_shutdown_does_no_harm() {
    struct Busy(Rc<Cell<bool>>);
    impl Drop for Busy {
        fn drop(&mut self) {
            let task = krug::spawn(async { unreachable!("the runtime is shutting down") });
            assert!(task.is_finished());
            let mut nop = Box::pin(krug::io::nop());
            match nop.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Err(error)) => assert!(error.to_string().contains("shutting down")),
                other => panic!("{other:?}"),
            }
            self.0.set(true);
        }
    }
    let was_dropped = Rc::new(Cell::new(false));
    let runtime = Runtime::new().unwrap();
    let busy = Busy(was_dropped.clone());
    drop(runtime.spawn(async move {
        let _busy = busy;
        pending::<()>().await;
    }));
    runtime.block_on(krug::task::yield_now());
    assert!(runtime.shutdown(Duration::from_secs(1)).is_clean());
    assert!(was_dropped.get());
}

#[test]
fn a_runtime_is_of_no_use_in_a_forked_child_and_does_it_no_harm() {
    if passes_in_a_process_of_its_own(
        "a_runtime_is_of_no_use_in_a_forked_child_and_does_it_no_harm",
    ) {
        return;
    }
    let runtime = Runtime::new().unwrap();
    // Both ends live on, so that the parent can read.
    let (_one, other) = runtime.block_on(async {
        let (one, other) = krug::net::UnixStream::pair().unwrap();
        one.write_all("before").await.0.unwrap();
        (one, other)
    });
    // SAFETY: no other thread of this process holds anything: it only runs this test.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let text = panics(|| runtime.block_on(async {}));
        drop(runtime);
        let own =
            Runtime::new().is_ok_and(|own| own.block_on(async { krug::io::nop().await.is_ok() }));
        let is_good = text.contains("forked child") && own;
        // SAFETY: ends this process without what the parent has registered for its end.
        unsafe { libc::_exit(i32::from(!is_good)) };
    }
    let mut status = -1;
    // SAFETY: the child is ours, and the status lives until the call returns.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child's status");
    // The parent goes on.
    runtime.block_on(async {
        let (result, buf) = other.read(vec![0; 10]).await;
        assert_eq!((result.unwrap(), &buf[..]), (6, &b"before"[..]));
    });
}

/// How often a runtime has looked on, and how often something came, after it has slept so often for so long.
fn spins(longest: Duration, sleeps: u32, each: Duration) -> (u64, u64) {
    let runtime = Runtime::builder().spin(longest).build().unwrap();
    runtime.block_on(async {
        for _ in 0..sleeps {
            krug::time::sleep(each).await;
        }
    });
    let metrics = runtime.metrics();
    assert_eq!(metrics.spins == 0, metrics.spinning.is_zero());
    (metrics.spins, metrics.spins_caught)
}

#[test]
fn a_core_that_looks_on_is_awake_when_a_timer_is_due() {
    let (spins, caught) = spins(Duration::from_millis(1), 100, Duration::from_micros(10));
    // Without a ring nobody sees without a system call what comes.
    let looks_on = has_ring();
    assert_eq!((caught > 0, spins > 0), (looks_on, looks_on));
    assert!(spins >= caught, "{caught} of {spins}");
}

#[test]
fn a_core_that_is_woken_soon_after_it_slept_looks_on_for_longer() {
    // Without a ring it never looks on.
    if !has_ring() {
        return;
    }
    let builder = Runtime::builder().spin(Duration::from_millis(1));
    let runtime = builder.build().unwrap();
    // At first it looks on for a fifth of that.
    let each = Duration::from_micros(100);
    runtime.block_on(async {
        for _ in 0..20_000 {
            krug::time::sleep(each).await;
            if runtime.metrics().spins_caught >= 100 {
                break;
            }
        }
    });
    let metrics = runtime.metrics();
    assert!(metrics.spins_caught >= 100, "{metrics:?}");
}

#[test]
fn a_core_that_looks_on_in_vain_sleeps_the_more_often() {
    let (spins, _) = spins(Duration::from_micros(1), 100, Duration::from_millis(2));
    // Before the first, second, fourth, eighth … sleep; the others are those of turns without a timer.
    assert!(spins <= 20, "{spins}");
    // Without a ring: see above.
    assert_eq!(spins > 0, has_ring());
}

#[test]
fn a_core_that_is_not_pinned_sleeps_at_once_unless_it_is_told_otherwise() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(echo());
    assert_eq!(runtime.metrics().spins, 0);
    let (spins, _) = spins(Duration::ZERO, 10, Duration::from_micros(10));
    assert_eq!(spins, 0);
}

#[test]
fn cores_that_look_on_hear_each_other_and_end_like_any() {
    let builder = Runtime::builder().cores(3).spin(Duration::from_millis(1));
    let runtime = builder.build().unwrap();
    let cores = runtime.handles();
    let sum = runtime.block_on(async {
        let mut sum = 0;
        for number in 0..300 {
            let core = &cores[number % cores.len()];
            sum += core
                .call(move || async move {
                    echo().await;
                    number
                })
                .await
                .unwrap();
        }
        sum
    });
    assert_eq!(sum, (0..300).sum());
}
