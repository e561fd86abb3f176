//! How a connection goes to another core.

use std::fmt;
use std::future::ready;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::connection::Connection;
use crate::context;
use crate::cores::CoreHandle;
use crate::source::{HandOver, Luggage, Stream, unpack};

/// A stream that could not go to another core, and why. It is as usable as before.
pub struct MigrateError<S> {
    /// What was to go.
    pub stream: S,
    /// Why it did not.
    pub error: io::Error,
}

impl<S> MigrateError<S> {
    pub(super) fn map<T>(self, wrap: impl FnOnce(S) -> T) -> MigrateError<T> {
        MigrateError {
            stream: wrap(self.stream),
            error: self.error,
        }
    }
}

impl<S> fmt::Debug for MigrateError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MigrateError")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Display for MigrateError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stream could not go to another core: {}", self.error)
    }
}

impl<S> std::error::Error for MigrateError<S> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// On its way. Whoever opens it first has what is inside: the other core, or this one if that has ended.
struct Parcel(Mutex<Option<Luggage>>);

impl Parcel {
    /// Makes a connection of it on this core; `None` if it was opened before.
    fn open(&self) -> Option<io::Result<Connection>> {
        let luggage = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        Some(unpack(luggage).map(Connection::of))
    }
}

impl Connection {
    /// See [`TcpStream::migrate`](super::TcpStream::migrate).
    pub(super) async fn migrate(
        self,
        core: CoreHandle,
    ) -> Result<Connection, MigrateError<Connection>> {
        let id = self.source();
        if id.home() == core.id() {
            return Ok(self);
        }
        if let Err(error) = check_sibling(core) {
            let stream = self;
            return Err(MigrateError { stream, error });
        }
        let luggage = match HandOver::<Stream>::new(id).await {
            Ok(luggage) => luggage,
            Err(error) => {
                let stream = self;
                return Err(MigrateError { stream, error });
            }
        };
        let parcel = Arc::new(Parcel(Mutex::new(Some(luggage))));
        let theirs = parcel.clone();
        let arrived = core.call(move || ready(theirs.open())).await.ok().flatten();
        if let Some(Ok(connection)) = arrived {
            return Ok(connection);
        }
        let stream = match parcel.open() {
            Some(Ok(connection)) => connection,
            // It was opened there, and that core has ended: it is closed, and says so.
            _ => self,
        };
        let error = io::Error::other("the other core has ended");
        Err(MigrateError { stream, error })
    }
}

/// A descriptor of one driver is nothing to another one, and a runtime has one kind of them.
fn check_sibling(core: CoreHandle) -> io::Result<()> {
    let is_one = context::with(|here| here.scheduler.team().contains(&core.id()));
    match is_one {
        // Outside a runtime, the stream itself says what is wrong.
        Some(true) | None => Ok(()),
        Some(false) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "that core belongs to another runtime: a stream can go to the cores of CoreHandle::of_all_cores() only",
        )),
    }
}

macro_rules! migrate_method {
    ($stream:ident) => {
        /// Moves the connection to another core of this runtime, where the stream that this resolves to belongs. It may be in use:
        /// what was written is sent first, however long that takes, and what was received and not read goes along.
        ///
        /// On its own core already, it stays as it is. Halves are put together by `reunite` before they can go. A
        /// leaked read or write (`mem::forget`) keeps it from going. A connection that goes costs a [call](crate::cores::CoreHandle::call) of the other core, which waits for room there.
        ///
        /// Dropping this future closes the connection, in good order.
        ///
        /// # Errors
        ///
        /// If `core` has ended or is one of another runtime; if the stream is used on a core that is not its own. The
        /// stream comes back, as usable as before.
        pub async fn migrate(
            self,
            core: $crate::cores::CoreHandle,
        ) -> Result<$stream, $crate::net::MigrateError<$stream>> {
            let connection = self.connection.migrate(core).await;
            let wrap = |connection| $stream { connection };
            connection.map(wrap).map_err(|error| error.map(wrap))
        }
    };
}
pub(super) use migrate_method;
