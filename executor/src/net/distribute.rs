//! One listener for all cores: each connection goes to the core that a [`Placement`] chooses.

use std::io;

use crate::cores::{Placement, spawn_on};
use crate::driver::OwnedDescriptor;
use crate::source::{self, AcceptNext, SourceId};
use crate::task::spawn;

/// Takes connections and sends each to a core, where `open` makes a stream of it and `serve` serves it.
///
/// # Errors
///
/// As `accept`.
pub(super) async fn distribute<S, F>(
    listener: SourceId,
    placement: &Placement,
    open: fn(OwnedDescriptor) -> io::Result<S>,
    serve: impl Fn(S) -> F + Clone + Send + 'static,
) -> io::Result<()>
where
    S: 'static,
    F: Future<Output = ()> + 'static,
{
    loop {
        let fd = AcceptNext::new(listener).await?;
        source::forget(&fd);
        let Some(place) = placement.next() else {
            return Err(io::Error::other(
                "every core that connections could go to has ended",
            ));
        };
        let (core, serve) = (place.core(), serve.clone());
        let service = move || async move {
            source::forget(&fd);
            // Counts for the core as long as the connection is served.
            let _place = place;
            match open(fd) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!(%error, "a connection is lost on its way to its core"),
            }
        };
        if let Err(refused) = spawn_on(core, service) {
            // That core has just ended, or is full: this one is neither.
            drop(spawn(refused.into_inner()()));
        }
    }
}
