//! A thread-per-core async executor for Linux on which every socket, pipe and file operation
//! is an io_uring submission, batched into one system call per turn of the loop.
//!
//! *Krug* (круг) is Russian for circle: the ring that a program shares with the kernel.
//!
//! ```no_run
//! use krug::net::TcpListener;
//!
//! #[krug::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:7000").await?;
//!     loop {
//!         let stream = listener.accept().await?;
//!         krug::spawn(async move {
//!             let mut buf = Vec::with_capacity(4096);
//!             loop {
//!                 let (read, filled) = stream.read(buf).await;
//!                 if !matches!(read, Ok(1..)) {
//!                     return;
//!                 }
//!                 let (written, sent) = stream.write_all(filled).await;
//!                 if written.is_err() {
//!                     return;
//!                 }
//!                 buf = sent;
//!             }
//!         });
//!     }
//! }
//! ```
//!
//! # What it promises
//!
//! - **Nothing is lost when a future is dropped.** No connection, no byte, no datagram, no descriptor, no buffer.
//!   `select!`, [`timeout`](time::timeout) and [`abort`](JoinHandle::abort) are safe on every operation: the socket or file owns the
//!   operation, not the future. The exact rules are in the docs of each method.
//! - **Sound whatever safe code does**: futures may be dropped, leaked, moved between threads.
//!   The kernel never points into a future, and nothing that it may still write to is ever freed.
//! - **Buffers are yours again afterwards**: an operation takes its buffer by value and gives it back
//!   with the result, also on an error. See [`buf`].
//! - **No allocation and no lock** on the way of a read, a write, a timer or a wake-up in steady state; no system call that
//!   a turn does not need; none at all when idle.
//!
//! # The modules, in reading order
//!
//! | module | what it is |
//! |---|---|
//! | [`net`], [`pipe`] | streams, listeners and datagram sockets; pipes |
//! | [`fs`] | files and directories, past the kernel's cache if wanted, and a journal |
//! | [`buf`] | buffers that operations own, chunks that are received without one |
//! | [`io`] | the three ways to read and write; copying, lines, buffered readers and writers |
//! | [`time`] | sleeping, timeouts, intervals; a paused clock for tests |
//! | [`task`], [`spawn`] | tasks, joining and aborting them; sets and scopes of tasks, cancellation, task-local values |
//! | [`sync`], [`select!`], [`join!`] | channels, locks and signals between tasks, waiting for several futures |
//! | [`signal`] | ctrl-c and the other signals of the system |
//! | [`shutdown`] | ending in good order: stop accepting, drain, cancel, say who was late |
//! | [`cores`], [`spawn_on`], [`spawn_stealable`] | several cores: starting work on another one, or on whichever has time, channels, shared values and actors between them |
//! | [`rand`] | random numbers that follow the runtime's seed |
//! | [`sim`] | whole systems in one test, repeated by their seed |
//! | [`runtime`] | starting, settings, several cores, spawning on another one, shutdown, all bounds and defaults |
//! | [`doctor`](mod@doctor) | what this machine allows, and what to do about what it does not |
//!
//! # How one read travels
//!
//! From the call to the kernel and back, through the files of the crate in order:
//!
//! 1. [`stream.read(buf).await`](net::TcpStream::read) ([`io/methods.rs`](../src/krug/io/methods.rs.html)) wraps name and buffer in a `Transfer` future
//!    ([`source/transfer.rs`](../src/krug/source/transfer.rs.html)). Nothing happens before its first poll.
//! 2. The first poll looks the stream up by its name ([`source/mod.rs`](../src/krug/source/mod.rs.html): it must live on this core) and waits for
//!    its turn in the stream's receive lane ([`source/waiters.rs`](../src/krug/source/waiters.rs.html)). If bytes of a dropped read are queued there,
//!    or the stream has ended, the read is served from that and done ([`source/stream.rs`](../src/krug/source/stream.rs.html)).
//! 3. Else it becomes an operation, `Receive` ([`op/receive.rs`](../src/krug/op/receive.rs.html)): the buffer and the descriptor. It is
//!    moved into a slot ([`inflight/slots.rs`](../src/krug/inflight/slots.rs.html)), which has a final address; only there it lowers itself to a plain value,
//!    `Operation::Receive { fd, address, length, … }` ([`driver/operation.rs`](../src/krug/driver/operation.rs.html)). The future keeps the
//!    key of the slot, nothing else.
//! 4. The driver encodes the value as an entry of the ring's queue ([`driver/uring/encode.rs`](../src/krug/driver/uring/encode.rs.html)), which it
//!    puts on one of the lists of this turn ([`driver/staging.rs`](../src/krug/driver/staging.rs.html)): what waits for what this core itself may
//!    produce comes last.
//! 5. When every task that was ready has been polled, the worker ([`worker/mod.rs`](../src/krug/worker/mod.rs.html)) enters the kernel: the lists
//!    are copied into the ring's queue and submitted by one `io_uring_enter`, which also
//!    sleeps if nothing is ready ([`driver/uring/enter.rs`](../src/krug/driver/uring/enter.rs.html)). That is the only system call of the turn.
//! 6. The kernel receives into the buffer and posts a completion. The next turn begins with
//!    walking the completion queue; each completion is taken back to its slot by the index and generation
//!    in its `user_data` ([`driver/uring/decode.rs`](../src/krug/driver/uring/decode.rs.html)).
//! 7. The slot remembers the result and gives up its waiter (`Slots::complete`), the stream learns of
//!    it (an end or an error stays), and the task goes to the run queue ([`task/waker.rs`](../src/krug/task/waker.rs.html), [`scheduler.rs`](../src/krug/scheduler.rs.html)).
//! 8. The task is polled; the `Transfer` takes operation and result out of the slot, passes the lane's turn on, and
//!    resolves to the count and the buffer.
//!
//! If the future is dropped between 3 and 8, the slot stays, and the bytes go to the stream
//! instead: steps 6 and 7 end in its queue, where the next read finds them in step 2.
//!
//! [`recv`](net::TcpStream::recv) goes the same way with one difference: in step 3 the operation belongs to the stream from the start
//! ([`source/receiving.rs`](../src/krug/source/receiving.rs.html)), names no buffer but a pool of them ([`buf/pool.rs`](../src/krug/buf/pool.rs.html)), and goes on
//! receiving; the future only waits for the next chunk. A file's operation takes no lane: as many as the user likes are in flight, and
//! the file keeps count of the changes whose futures are gone ([`source/file.rs`](../src/krug/source/file.rs.html)).
//!
//! # Where there is no io_uring
//!
//! Sandboxes forbid it, old kernels lack it, limits on locked memory can be too low. A runtime then runs on epoll, with the same
//! results, and says once, as a warning of `tracing`, why, and what to do about it. On that way, steps 5 to 7 are:
//!
//! - The operation is tried at once by a call that does not wait ([`driver/epoll/begin.rs`](../src/krug/driver/epoll/begin.rs.html),
//!   [`attempt.rs`](../src/krug/driver/epoll/attempt.rs.html)). If there is nothing to read yet, it is put into the queue of its descriptor
//!   ([`waiting.rs`](../src/krug/driver/epoll/waiting.rs.html)), which the kernel watches from then on ([`descriptors.rs`](../src/krug/driver/epoll/descriptors.rs.html)).
//! - When the kernel reports an edge, what waits is tried again, in order ([`turn.rs`](../src/krug/driver/epoll/turn.rs.html)).
//! - What waits for a disk is done by threads ([`in_pool.rs`](../src/krug/driver/epoll/in_pool.rs.html)).
//!
//! [`runtime::Driver`] chooses between the two; the variable `KRUG_DRIVER` (`auto`, `uring`, `epoll`, `sim`) does where a program leaves it open.
//! [`doctor()`](doctor()) says which of them it is on this machine, why, and what would have to be done for the other:
//! `cargo run --release -p krug --example doctor`.
//!
//! # Limits
//!
//! - Linux only. With io_uring: 5.11 or newer; 6.1 or newer is recommended.
//! - Child processes are not there yet.
//! - Host names are not looked up.
//!
//! # Features
//!
//! - `macros` (default): `#[krug::main]`, `#[krug::test]` and `#[krug::sim_test]`.
//! - `journal` (default): [`fs::Journal`].
//! - `bytes`: `Bytes` and `BytesMut` as buffers, received chunks as `Bytes`.
//! - `futures-io`: the borrowing traits `AsyncRead`, `AsyncBufRead` and `AsyncWrite` for all streams and pipes, by
//!   `compat::FuturesIo`.
//! - `console`: what [tokio-console](https://docs.rs/tokio-console) reads: tasks, their wakers, operations in flight; see
//!   [`runtime`](runtime#what-it-does).
//! - `fault-injection`: lets tests make the n-th call to the kernel go wrong.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "krug runs on Linux only: it is built on io_uring, with epoll as its fallback. \
     Build it for a Linux target, for example in a container or a virtual machine."
);

pub mod buf;
#[cfg(feature = "futures-io")]
pub mod compat;
pub mod cores;
pub mod doctor;
pub mod fs;
pub mod io;
pub mod net;
pub mod pipe;
pub mod rand;
pub mod runtime;
pub mod shutdown;
pub mod signal;
pub mod sim;
pub mod sync;
pub mod task;
pub mod time;

mod blocking;
mod context;

mod driver;
mod inflight;
mod observe;
mod op;
mod primitives;
mod random;
mod scheduler;
mod source;
mod sys;
mod tries;
mod wheel;
mod worker;

pub use blocking::{Blocking, spawn_blocking};
pub use cores::{CoreHandle, spawn_on, spawn_stealable};
pub use doctor::doctor;
#[cfg(feature = "macros")]
pub use krug_macros::{main, sim_test, test};
pub use runtime::{Builder, Runtime, run_on_every};
pub use task::{JoinHandle, spawn};

#[cfg(test)]
krug_tests::on_every_driver!();
