//! The table in `krug::runtime` of which type is `Send`, `Sync` and `Clone` says what the compiler says.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use krug::buf::{BufResult, IoBuf, IoBufMut};
use krug::compat::FuturesIo;
use krug::cores::StealableHandle;
use krug::fs;
use krug::io::{self, AsyncWriteOwned};
use krug::net::*;
use krug::runtime::*;
use krug::shutdown::{Cancelled, Report, Shutdown, ShutdownToken, Straggler};
use krug::signal::{Signal, SignalKind};
use krug::task::{self, AbortHandle, CancellationToken, JoinError, JoinHandle, JoinSet, YieldNow};
use krug::{CoreHandle, cores, pipe, sync, time};

const TABLE: &str = include_str!("../../executor/src/runtime/types.md");

/// Asked by reference, so that a type which has the trait is asked directly, and any other one
/// step further away.
struct Probe<T>(PhantomData<T>);

fn probe<T>(_: impl FnOnce() -> T) -> Probe<T> {
    Probe(PhantomData)
}

macro_rules! question {
    ($name:ident, $other:ident, $trait:ident) => {
        trait $name {
            fn $other(&self) -> bool {
                true
            }
        }
        impl<T: $trait> $name for Probe<T> {}
    };
}

macro_rules! otherwise {
    ($name:ident, $other:ident) => {
        trait $name {
            fn $other(&self) -> bool {
                false
            }
        }
        impl<T> $name for &Probe<T> {}
    };
}

question!(IsSend, is_send, Send);
otherwise!(IsNotSend, is_send);
question!(IsSync, is_sync, Sync);
otherwise!(IsNotSync, is_sync);
question!(IsClone, is_clone, Clone);
otherwise!(IsNotClone, is_clone);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Traits {
    send: bool,
    sync: bool,
    clone: bool,
}

/// The traits of a value, which is never made.
macro_rules! traits_of {
    ($value:expr) => {{
        let probe = probe(|| $value);
        Traits {
            send: (&probe).is_send(),
            sync: (&probe).is_sync(),
            clone: (&probe).is_clone(),
        }
    }};
}

macro_rules! traits {
    ($type:ty) => {
        traits_of!(unreachable::<$type>())
    };
}

fn unreachable<T>() -> T {
    unreachable!("a probe does not call")
}

/// What the table should say of a type with a parameter, from its instances with a parameter that is
/// `Send` and `Sync`, one that is not `Sync`, and one that is neither.
fn cell(parameter: &str, [both, send_only, neither]: [bool; 3]) -> String {
    match (both, send_only, neither) {
        (true, true, true) => "yes".into(),
        (true, true, false) => format!("if `{parameter}` is `Send`"),
        (true, false, false) => format!("if `{parameter}` is `Sync`"),
        (false, false, false) => "no".into(),
        other => panic!("{other:?} fits no word"),
    }
}

struct Row {
    name: &'static str,
    cells: [String; 3],
}

fn row(name: &'static str, parameter: &str, instances: [Traits; 3]) -> Row {
    let cells = [
        cell(parameter, instances.map(|traits| traits.send)),
        cell(parameter, instances.map(|traits| traits.sync)),
        cell(parameter, instances.map(|traits| traits.clone)),
    ];
    Row { name, cells }
}

/// All types of one row agree.
macro_rules! plain {
    ($name:literal: $($type:ty),+) => {{
        let all = [$(traits!($type)),+];
        assert!(all.iter().all(|traits| *traits == all[0]), "{}: {all:?}", $name);
        row($name, "", [all[0]; 3])
    }};
}

macro_rules! generic {
    ($name:literal, $parameter:literal: $($($type:ident)::+),+) => {{
        let rows = [$(row($name, $parameter, [
            traits!($($type)::+<u8>), traits!($($type)::+<Cell<u8>>), traits!($($type)::+<Rc<u8>>),
        ])),+];
        assert!(rows.iter().all(|row| row.cells == rows[0].cells), "{}", $name);
        let [first, ..] = rows;
        first
    }};
}

/// Futures of methods of streams that take a buffer.
macro_rules! with_buffer {
    ($name:literal: $($method:ident),+) => {
        with_buffer_of!(stream(), $name: $($method()),+)
    };
}

/// Futures of methods that take a buffer, and then perhaps something else.
macro_rules! with_buffer_of {
    ($of:expr, $name:literal: $($method:ident($($more:expr)?)),+) => {{
        let rows = [$(row($name, "T", [
            traits_of!($of.$method(unreachable::<Buffer<u8>>() $(, $more)?)),
            traits_of!($of.$method(unreachable::<Buffer<Cell<u8>>>() $(, $more)?)),
            traits_of!($of.$method(unreachable::<Buffer<Rc<u8>>>() $(, $more)?)),
        ])),+];
        assert!(rows.iter().all(|row| row.cells == rows[0].cells), "{}", $name);
        let [first, ..] = rows;
        first
    }};
}

macro_rules! futures {
    ($name:literal: $($future:expr),+) => {{
        let all = [$(traits_of!($future)),+];
        assert!(all.iter().all(|traits| *traits == all[0]), "{}: {all:?}", $name);
        row($name, "", [all[0]; 3])
    }};
}

fn stream() -> &'static TcpStream {
    unreachable()
}

fn socket() -> &'static UdpSocket {
    unreachable()
}

fn file() -> &'static fs::File {
    unreachable()
}

/// As `Send` and `Sync` as `T` is.
struct Buffer<T>(Vec<u8>, PhantomData<T>);

// SAFETY: passes on to a vector, which keeps the contract.
unsafe impl<T: 'static> IoBuf for Buffer<T> {
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
unsafe impl<T: 'static> IoBufMut for Buffer<T> {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    unsafe fn set_initialized(&mut self, len: usize) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.set_initialized(len) }
    }
}

/// A writer as `Send` and `Sync` as `T` is.
struct Writer<T>(PhantomData<T>);

impl<T> AsyncWriteOwned for Writer<T> {
    async fn write_all<B: IoBuf>(&mut self, buf: B) -> BufResult<(), B> {
        (Ok(()), buf)
    }

    async fn commit(&mut self, bytes: Vec<u8>) -> BufResult<(), Vec<u8>> {
        (Ok(()), bytes)
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    async fn shutdown(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn rows() -> Vec<Row> {
    let mut rows = vec![
        plain!("`Runtime`": Runtime),
        plain!("`Builder`": Builder),
        plain!("`Cores`": Cores),
        plain!("`CoreHandle`": CoreHandle),
        plain!("`cores::Placement`": cores::Placement),
        plain!("`cores::Place`": cores::Place),
        plain!("`Metrics`, `Histogram`, `OperationKind`, `Capabilities`": Metrics, Histogram, OperationKind, Capabilities),
        plain!("`doctor::Report`, `doctor::Finding`, `doctor::Refusal`": krug::doctor::Report, krug::doctor::Finding, krug::doctor::Refusal),
        plain!("`Dump`, `TaskEntry`, `TaskState`, `OperationEntry`, `OperationState`, `OperationOwner`":
            Dump, TaskEntry, TaskState, OperationEntry, OperationState, OperationOwner),
        plain!("`ShutdownReport`": ShutdownReport),
        generic!("`SpawnError<F>`", "F": SpawnError),
    ];
    rows.extend(rows_of_tasks());
    rows.extend(rows_of_streams());
    rows.extend(rows_of_files());
    rows.extend(rows_of_futures());
    rows.extend([
        plain!("`Sleep`, `Interval`": time::Sleep, time::Interval),
        row(
            "futures of `timeout` with a future `T`",
            "T",
            [
                traits_of!(time::timeout(
                    Duration::ZERO,
                    unreachable::<std::future::Ready<u8>>()
                )),
                traits_of!(time::timeout(
                    Duration::ZERO,
                    unreachable::<std::future::Ready<Cell<u8>>>()
                )),
                traits_of!(time::timeout(
                    Duration::ZERO,
                    unreachable::<std::future::Ready<Rc<u8>>>()
                )),
            ],
        ),
    ]);
    rows.extend(rows_of_cores());
    rows.extend(rows_of_channels());
    rows.extend(rows_of_signals());
    rows.extend([
        plain!("`sync::oneshot::Sender<T>`, `sync::oneshot::Receiver<T>`":
            sync::oneshot::Sender<u8>, sync::oneshot::Receiver<u8>),
        plain!("`sync::mpsc::Sender<T>`, `sync::mpsc::UnboundedSender<T>`":
            sync::mpsc::Sender<u8>, sync::mpsc::UnboundedSender<u8>),
        plain!("`sync::mpsc::Receiver<T>`": sync::mpsc::Receiver<u8>),
        plain!("`sync::Notify`": sync::Notify),
    ]);
    rows.extend(rows_of_sync());
    rows
}

fn rows_of_tasks() -> Vec<Row> {
    vec![
        generic!("`JoinHandle<T>`", "T": JoinHandle),
        plain!("`StealableHandle<T>`":
            StealableHandle<u8>, StealableHandle<Cell<u8>>, StealableHandle<Rc<u8>>),
        plain!("`AbortHandle`": AbortHandle),
        plain!("`JoinError`": JoinError),
        generic!("`JoinSet<T>`", "T": JoinSet),
        plain!("`CancellationToken`": CancellationToken),
        plain!("`task::Cancelled`, `task::CancelledOwned`": task::Cancelled<'static>, task::CancelledOwned),
        plain!("`task::DropGuard`": task::DropGuard),
        plain!("`task::Scope`, `task::TryScope<E>`": task::Scope, task::TryScope<u8>),
        plain!("`task::LocalKey<T>`": task::LocalKey<u8>, task::LocalKey<Rc<u8>>),
        row(
            "`task::TaskLocalFuture<T, F>` with `F`",
            "F",
            [
                traits!(task::TaskLocalFuture<u8, u8>),
                traits!(task::TaskLocalFuture<u8, Cell<u8>>),
                traits!(task::TaskLocalFuture<u8, Rc<u8>>),
            ],
        ),
        row(
            "`task::TaskLocalFuture<T, F>` with `T`",
            "T",
            [
                traits!(task::TaskLocalFuture<u8, u8>),
                traits!(task::TaskLocalFuture<Cell<u8>, u8>),
                traits!(task::TaskLocalFuture<Rc<u8>, u8>),
            ],
        ),
        plain!("`task::AccessError`, `task::Class`, `PanicPolicy`": task::AccessError, task::Class, PanicPolicy),
        plain!("`YieldNow`": YieldNow),
    ]
}

fn rows_of_streams() -> Vec<Row> {
    vec![
        plain!("`TcpListener`, `UnixListener`": TcpListener, UnixListener),
        plain!("`Incoming`, `UnixIncoming`": Incoming<'static>, UnixIncoming<'static>),
        plain!("`TcpSocket`": TcpSocket),
        plain!("`TcpStream`, `UnixStream`": TcpStream, UnixStream),
        generic!("`net::MigrateError<S>`", "S": MigrateError),
        plain!("`UdpSocket`, `UnixDatagram`": UdpSocket, UnixDatagram),
        plain!("`UdpOptions`": UdpOptions),
        plain!("`OwnedReadHalf`, `OwnedUnixReadHalf`": OwnedReadHalf, OwnedUnixReadHalf),
        plain!("`OwnedWriteHalf`, `OwnedUnixWriteHalf`": OwnedWriteHalf, OwnedUnixWriteHalf),
        plain!("`pipe::Sender`, `pipe::Receiver`": pipe::Sender, pipe::Receiver),
        generic!("`compat::FuturesIo<S>`", "S": FuturesIo),
        generic!("`io::BufReader<S>`, `io::Lines<S>`, `io::Split<S>`", "S": io::BufReader, io::Lines, io::Split),
        row(
            "`io::BufWriter<S>`",
            "S",
            [
                traits!(io::BufWriter<Writer<u8>>),
                traits!(io::BufWriter<Writer<Cell<u8>>>),
                traits!(io::BufWriter<Writer<Rc<u8>>>),
            ],
        ),
    ]
}

fn rows_of_channels() -> Vec<Row> {
    use krug::cores::{MeshReceiver, MeshSenders, mpsc, spsc};
    vec![
        generic!("`cores::spsc::Sender<T>`, `cores::spsc::Receiver<T>`", "T": spsc::Sender, spsc::Receiver),
        generic!("`cores::mpsc::Sender<T>`", "T": mpsc::Sender),
        generic!("`cores::mpsc::Receiver<T>`", "T": mpsc::Receiver),
        generic!("`cores::MeshSenders<T>`, `cores::MeshReceiver<T>`", "T": MeshSenders, MeshReceiver),
        row(
            "`cores::spsc::SendFuture<T>`, `cores::mpsc::SendFuture<T>`",
            "T",
            [
                traits!((spsc::SendFuture<'static, u8>, mpsc::SendFuture<'static, u8>)),
                traits!((
                    spsc::SendFuture<'static, Cell<u8>>,
                    mpsc::SendFuture<'static, Cell<u8>>
                )),
                traits!((
                    spsc::SendFuture<'static, Rc<u8>>,
                    mpsc::SendFuture<'static, Rc<u8>>
                )),
            ],
        ),
        row(
            "`cores::spsc::ReserveFuture<T>`, `cores::mpsc::ReserveFuture<T>`",
            "T",
            [
                traits!((
                    spsc::ReserveFuture<'static, u8>,
                    mpsc::ReserveFuture<'static, u8>
                )),
                traits!((
                    spsc::ReserveFuture<'static, Cell<u8>>,
                    mpsc::ReserveFuture<'static, Cell<u8>>
                )),
                traits!((
                    spsc::ReserveFuture<'static, Rc<u8>>,
                    mpsc::ReserveFuture<'static, Rc<u8>>
                )),
            ],
        ),
        row(
            "`cores::spsc::Permit<T>`, `cores::mpsc::Permit<T>`",
            "T",
            [
                traits!((spsc::Permit<'static, u8>, mpsc::Permit<'static, u8>)),
                traits!((
                    spsc::Permit<'static, Cell<u8>>,
                    mpsc::Permit<'static, Cell<u8>>
                )),
                traits!((spsc::Permit<'static, Rc<u8>>, mpsc::Permit<'static, Rc<u8>>)),
            ],
        ),
    ]
}

fn rows_of_signals() -> Vec<Row> {
    vec![
        plain!("`signal::SignalKind`": SignalKind),
        plain!("`signal::Signal`": Signal),
        futures!("futures of `signal::ctrl_c`, `Signal::recv`":
            krug::signal::ctrl_c(), unreachable::<&'static mut Signal>().recv()),
        plain!("`shutdown::Shutdown`, `shutdown::ShutdownToken`": Shutdown, ShutdownToken),
        plain!("`shutdown::Report`, `shutdown::Straggler`, `shutdown::Cancelled`": Report, Straggler, Cancelled),
    ]
}

fn rows_of_files() -> Vec<Row> {
    vec![
        plain!("`fs::File`": fs::File),
        plain!("`fs::OpenOptions`, `fs::Metadata`, `fs::FileType`, `fs::Permissions`, `fs::KeepSize`, `fs::DirEntry`":
            fs::OpenOptions, fs::Metadata, fs::FileType, fs::Permissions, fs::KeepSize, fs::DirEntry),
        plain!("`fs::ReadDir`": fs::ReadDir),
        plain!("`fs::PathError`": fs::PathError),
        generic!("`Blocking<T>`", "T": krug::Blocking),
        plain!("`fs::DirectFile`": fs::DirectFile),
        plain!("`fs::Journal`": fs::Journal),
        plain!("`fs::journal::Recovery`": fs::journal::Recovery),
        plain!("`fs::JournalOptions`, `fs::Alignment`, `fs::journal::Record`, `fs::journal::TornTail`":
            fs::JournalOptions, fs::Alignment, fs::journal::Record, fs::journal::TornTail),
        plain!("`buf::Buffer`": krug::buf::Buffer),
        plain!("`buf::Chunk`": krug::buf::Chunk),
        futures!("futures of `recv`":
            stream().recv(), unreachable::<&'static UnixStream>().recv(), unreachable::<&'static pipe::Receiver>().recv()),
    ]
}

fn rows_of_cores() -> Vec<Row> {
    use krug::cores::*;
    vec![
        generic!("`cores::oneshot::Sender<T>`, `cores::oneshot::Receiver<T>`", "T": oneshot::Sender, oneshot::Receiver),
        generic!("`cores::watch::Sender<T>`", "T": watch::Sender),
        generic!("`cores::watch::Receiver<T>`", "T": watch::Receiver),
        generic!("`cores::broadcast::Sender<T>`", "T": broadcast::Sender),
        generic!("`cores::broadcast::Receiver<T>`", "T": broadcast::Receiver),
        generic!("`cores::Shared<T>`", "T": Shared),
        plain!("`cores::SharedError`": SharedError),
        generic!("`cores::actor::Address<T>`", "T": actor::Address),
        generic!("`cores::actor::Reply<T>`", "T": actor::Reply),
    ]
}

fn rows_of_sync() -> Vec<Row> {
    use sync::*;
    vec![
        plain!("`sync::watch::Sender<T>`": watch::Sender<u8>),
        plain!("`sync::watch::Receiver<T>`": watch::Receiver<u8>),
        plain!("`sync::broadcast::Sender<T>`": broadcast::Sender<u8>),
        plain!("`sync::broadcast::Receiver<T>`": broadcast::Receiver<u8>),
        plain!("`sync::Semaphore`, `sync::Barrier`": Semaphore, Barrier),
        plain!("`sync::SemaphorePermit`, `sync::OwnedSemaphorePermit`":
            SemaphorePermit<'static>, OwnedSemaphorePermit),
        plain!("`sync::Mutex<T>`, `sync::RwLock<T>`, `sync::OnceCell<T>`":
            Mutex<u8>, RwLock<u8>, OnceCell<Cell<u8>>),
        plain!("`sync::MutexGuard<T>`, `sync::OwnedMutexGuard<T>`":
            MutexGuard<'static, u8>, OwnedMutexGuard<u8>),
        plain!("`sync::RwLockReadGuard<T>`, `sync::OwnedRwLockReadGuard<T>`":
            RwLockReadGuard<'static, u8>, OwnedRwLockReadGuard<u8>),
        plain!("`sync::RwLockWriteGuard<T>`, `sync::RwLockMappedWriteGuard<T>`, `sync::OwnedRwLockWriteGuard<T>`":
            RwLockWriteGuard<'static, u8>, RwLockMappedWriteGuard<'static, u8>, OwnedRwLockWriteGuard<u8>),
    ]
}

fn rows_of_futures() -> Vec<Row> {
    vec![
        with_buffer!("futures of `read`, `read_exact`, `peek` with `T`": read, read_exact, peek),
        with_buffer!("futures of `write`, `write_all` with `T`": write, write_all),
        with_buffer_of!(socket(), "futures of `recv`, `recv_from`, `recv_message`, `peek_from` of datagrams with `T`":
            recv(), recv_from(), recv_message(), peek_from()),
        with_buffer_of!(socket(), "futures of `send`, `send_to` with `T`": send(), send_to("127.0.0.1:1")),
        futures!("futures of `flush`, `shutdown`": stream().flush(), stream().shutdown(std::net::Shutdown::Write)),
        with_buffer_of!(file(), "futures of `read_at`, `read_exact_at`, `File::read` with `T`":
            read_at(0), read_exact_at(0), read()),
        with_buffer_of!(file(), "futures of `write_at`, `write_all_at`, `File::write` with `T`":
            write_at(0), write_all_at(0), write()),
        futures!("futures of `sync_all`, `set_len`, `allocate`, `File::metadata`, `seek`":
            file().sync_all(), file().set_len(1), file().allocate(0, 1, fs::KeepSize::No),
            file().metadata(), file().seek(std::io::SeekFrom::Start(0))),
        futures!("futures of `open`, `into_std`, `fs::rename`, `fs::metadata`, `fs::copy`":
            fs::File::open("/nowhere"), unreachable::<fs::File>().into_std(), fs::rename("/a", "/b"),
            fs::metadata("/nowhere"), fs::copy("/a", "/b")),
        futures!("futures of `accept`":
            unreachable::<&'static TcpListener>().accept(), unreachable::<&'static UnixListener>().accept()),
        futures!("futures of `connect`, `bind`, `listen`":
            TcpStream::connect("127.0.0.1:1"), UnixStream::connect("/nowhere"),
            TcpListener::bind("127.0.0.1:1"), UnixListener::bind("/nowhere"),
            unreachable::<&'static TcpSocket>().listen(1), unreachable::<&'static TcpSocket>().connect("127.0.0.1:1")),
        futures!("futures of `close`":
            unreachable::<TcpStream>().close(), unreachable::<UnixStream>().close(),
            unreachable::<TcpListener>().close(), unreachable::<UnixListener>().close(),
            unreachable::<UdpSocket>().close(), unreachable::<UnixDatagram>().close(),
            unreachable::<pipe::Sender>().close(), unreachable::<pipe::Receiver>().close()),
        futures!("futures of `migrate`":
            unreachable::<TcpStream>().migrate(unreachable()), unreachable::<UnixStream>().migrate(unreachable())),
        futures!("futures of `into_std`":
            unreachable::<UdpSocket>().into_std(), unreachable::<UnixDatagram>().into_std()),
        futures!("futures of `pipe`": pipe::pipe()),
        futures!("futures of `nop`": krug::io::nop()),
    ]
}

/// The first four cells of each row of the table.
fn table() -> Vec<Vec<&'static str>> {
    let lines = TABLE.lines().filter(|line| line.starts_with('|')).skip(2);
    lines
        .map(|line| line.split('|').skip(1).take(4).map(str::trim).collect())
        .collect()
}

#[test]
fn the_table_of_types_says_what_the_compiler_says() {
    let (table, rows) = (table(), rows());
    for (written, row) in table.iter().zip(&rows) {
        let [send, sync, clone] = &row.cells;
        assert_eq!(written[..], [row.name, send, sync, clone]);
    }
    assert_eq!(table.len(), rows.len());
}

#[test]
fn every_row_of_the_table_has_every_cell() {
    for line in TABLE.lines().filter(|line| line.starts_with('|')) {
        assert_eq!(line.matches('|').count(), 8, "{line}");
    }
}

#[test]
fn the_probe_tells_types_apart() {
    assert_eq!(
        traits!(u8),
        Traits {
            send: true,
            sync: true,
            clone: true
        }
    );
    assert_eq!(
        traits!(Cell<u8>),
        Traits {
            send: true,
            sync: false,
            clone: true
        }
    );
    assert_eq!(
        traits!(Rc<u8>),
        Traits {
            send: false,
            sync: false,
            clone: true
        }
    );
    assert_eq!(
        traits!(std::sync::Mutex<u8>),
        Traits {
            send: true,
            sync: true,
            clone: false
        }
    );
}
