//! [`TakeCursor`]: the cursor of a file for one future alone.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::waiters::Place;
use super::{SourceId, at_home, file};

/// Waits until nobody else uses the cursor.
pub(crate) struct TakeCursor {
    id: SourceId,
    place: Option<Place>,
    orphans: Option<Place>,
    held: Option<HeldCursor>,
}

impl TakeCursor {
    pub(crate) fn new(id: SourceId) -> TakeCursor {
        TakeCursor {
            id,
            place: None,
            orphans: None,
            held: None,
        }
    }
}

impl Future for TakeCursor {
    type Output = io::Result<HeldCursor>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.id;
        let file = file(id)?;
        file.check_open()?;
        if self.held.is_none() {
            if !file.lane.acquire(&mut self.place, cx) {
                return Poll::Pending;
            }
            self.held = Some(HeldCursor { id });
        }
        if !file.knows_position() {
            file.wait(&mut self.orphans, cx);
            return Poll::Pending;
        }
        file.leave(self.orphans.take());
        Poll::Ready(self.held.take().ok_or_else(super::closed_error))
    }
}

impl Drop for TakeCursor {
    fn drop(&mut self) {
        let (id, place, orphans) = (self.id, self.place, self.orphans);
        if place.is_none() && orphans.is_none() {
            return;
        }
        at_home(id, move || {
            let Ok(file) = file(id) else { return };
            file.leave(orphans);
            if let Some(place) = place {
                file.lane.leave(place);
            }
        });
    }
}

/// The right to move the cursor; dropping it lets the next one have it.
pub(crate) struct HeldCursor {
    id: SourceId,
}

impl HeldCursor {
    pub(crate) fn position(&self) -> io::Result<u64> {
        file(self.id)?.position()
    }

    pub(crate) fn set_position(&self, offset: u64) -> io::Result<()> {
        file(self.id).map(|file| file.set_position(offset))
    }
}

impl Drop for HeldCursor {
    fn drop(&mut self) {
        let id = self.id;
        at_home(id, move || {
            if let Ok(file) = file(id) {
                file.end_turn();
            }
        });
    }
}
