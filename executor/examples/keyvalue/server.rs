//! The server: connections, and the journal behind them.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use krug::buf::IoBuf;
use krug::fs::{Journal, JournalOptions};
use krug::net::{TcpListener, TcpStream};
use krug::sync::Notify;
use krug::time::timeout;

use super::resp;
use super::store::{Store, Then};

/// How much is read at once; the buffer grows for a command that is longer.
const READ_SIZE: usize = 64 << 10;
/// The longest command, in bytes.
const COMMAND_MAX: usize = 4 << 20;
/// Replies are sent when they are so long, however many commands wait: else a client that asks for much and
/// reads nothing would fill the memory.
const REPLIES_SIZE: usize = 1 << 20;
/// How long a connection that was ended may still send.
const FAREWELL: Duration = Duration::from_secs(2);

struct Server {
    store: RefCell<Store>,
    /// `None`: nothing is kept.
    journal: Option<Journal>,
    /// How many appends have not finished: so long the store is ahead of the disk.
    appending: Cell<usize>,
    /// Why the journal cannot go on.
    failure: RefCell<Option<io::Error>>,
    failed: Notify,
}

/// Serves until its journal fails; without a folder for a journal nothing is kept.
///
/// # Errors
///
/// If it cannot listen, if the folder holds something else, or if the journal cannot go on: the store has what the disk has not, and
/// nobody can tell how much, so only a new start finds out.
pub(crate) async fn run(address: &str, kept: Option<(&str, JournalOptions)>) -> io::Result<()> {
    let mut store = Store::default();
    let journal = match kept {
        Some((folder, options)) => Some(recover(folder, &options, &mut store).await?),
        None => None,
    };
    let server = Rc::new(Server {
        store: RefCell::new(store),
        journal,
        appending: Cell::new(0),
        failure: RefCell::new(None),
        failed: Notify::new(),
    });
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let accepting = async {
        loop {
            let stream = listener.accept().await?;
            let server = server.clone();
            krug::spawn(async move {
                if let Err(error) = serve(&stream, &server).await {
                    eprintln!("a connection ended: {error}");
                }
            });
        }
    };
    krug::select! {
        error = accepting => error,
        _ = server.failed.notified() => Err(server.failure.take().unwrap_or_else(|| io::ErrorKind::Other.into())),
    }
}

async fn recover(folder: &str, options: &JournalOptions, store: &mut Store) -> io::Result<Journal> {
    let mut recovery = options.recover(folder).await?;
    while let Some(record) = recovery.next().await? {
        store.replay(&record.payload).ok_or_else(|| {
            let message = format!(
                "record {} of {folder} is of another program",
                record.sequence
            );
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
    }
    println!("{} keys are in {folder}", store.len());
    recovery.finish().await
}

/// Answers all commands of one read by one write, after one append for all changes.
async fn serve(stream: &TcpStream, server: &Server) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(READ_SIZE);
    let mut replies = Vec::with_capacity(READ_SIZE);
    let mut changes = Vec::new();
    loop {
        let mut then = Then::GoOn;
        let mut used = 0;
        while then == Then::GoOn && replies.len() < REPLIES_SIZE {
            then = match resp::parse(&received[used..]) {
                Ok(Some((command, len))) => {
                    used += len;
                    let mut store = server.store.borrow_mut();
                    store.execute(&command, &mut replies, &mut changes)
                }
                Ok(None) if received.len() - used < COMMAND_MAX => Then::Read,
                Ok(None) => {
                    resp::error(&mut replies, "ERR Protocol error: too big request");
                    Then::Close
                }
                Err(reason) => {
                    resp::error(&mut replies, &format!("ERR Protocol error: {reason}"));
                    Then::Close
                }
            };
        }
        received.drain(..used);
        server.persist(&changes).await?;
        changes.clear();
        if !replies.is_empty() {
            let (sent, written) = stream.write_all(replies).await;
            sent?;
            replies = written;
            replies.clear();
        }
        match then {
            Then::GoOn => {}
            Then::Close => return hang_up(stream, received).await,
            Then::Read => {
                received.reserve(READ_SIZE.max(received.len()) - received.len());
                let begin = received.len();
                let (read, part) = stream.read(received.slice(begin..)).await;
                received = part.into_inner();
                if read? == 0 {
                    return Ok(());
                }
            }
        }
    }
}

impl Server {
    /// Returns when these changes, and all that their client may have seen, are on the disk.
    async fn persist(&self, changes: &[u8]) -> io::Result<()> {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        // Who has changed nothing may have read what is not on the disk yet: an empty record
        // goes there with that, or after it.
        if changes.is_empty() && self.appending.get() == 0 {
            return Ok(());
        }
        self.appending.set(self.appending.get() + 1);
        let appended = journal.append(changes).await;
        self.appending.set(self.appending.get() - 1);
        if let Err(error) = appended {
            let text = format!("the journal cannot go on, so this server ends: {error}");
            self.failure.replace(Some(io::Error::other(text)));
            self.failed.notify_one();
            return Err(error);
        }
        Ok(())
    }
}

/// Ends the connection so that the last reply arrives: closing a socket with bytes unread would reset it.
async fn hang_up(stream: &TcpStream, mut buffer: Vec<u8>) -> io::Result<()> {
    stream.shutdown(Shutdown::Write).await?;
    let drain = async {
        loop {
            let (result, read) = stream.read(buffer).await;
            match result {
                Ok(1..) => buffer = read,
                _ => return,
            }
        }
    };
    let _ = timeout(FAREWELL, drain).await;
    Ok(())
}
