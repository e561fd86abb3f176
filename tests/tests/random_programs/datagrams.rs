//! Datagrams: each that was begun to be sent arrives once, whole and in order, whatever becomes of the futures on both sides.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use krug::io::Canceller;
use krug::net::UnixDatagram;

use crate::ways::{Outcome, World};

/// What the receiver may and must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Arrives,
    May,
    Never,
}

/// Numbered datagrams through a pair of Unix sockets, which lose none by nature.
pub(crate) async fn unix(world: Rc<World>) {
    let (one, other) = UnixDatagram::pair().expect("a pair");
    let (one, other) = (Rc::new(one), Rc::new(other));
    let fates = RefCell::new(Vec::new());
    let is_over = Cell::new(false);
    let sending = async {
        for number in 0..world.steps as u32 {
            let (socket, buffer) = (one.clone(), world.buffer(message(number)));
            let outcome = world.end(async move { socket.send(buffer).await.0 }).await;
            fates.borrow_mut().push(match outcome {
                Outcome::Done(Ok(_)) => Fate::Arrives,
                Outcome::Done(Err(error)) if Canceller::was_cancelled(&error) => Fate::May,
                Outcome::Done(Err(error)) => {
                    world.complain(format!("a datagram was not sent: {error}"));
                    Fate::May
                }
                Outcome::Dropped => Fate::May,
                Outcome::NeverPolled => Fate::Never,
            });
        }
        // The last one, which nobody drops, says that no more will come.
        let (sent, _) = one.send(message(u32::MAX)).await;
        sent.expect("the last one");
        is_over.set(true);
    };
    let receiving = async {
        let mut seen = Vec::new();
        loop {
            let (socket, room) = (other.clone(), world.buffer(Vec::with_capacity(2000)));
            let outcome = world
                .end(async move {
                    let (result, buffer) = socket.recv(room).await;
                    result.map(|_| buffer.bytes().to_vec())
                })
                .await;
            match outcome {
                Outcome::Done(Ok(bytes)) => match number(&bytes) {
                    Some(u32::MAX) => return seen,
                    Some(number) => seen.push(number),
                    None => world.complain(format!("a datagram of {} bytes is torn", bytes.len())),
                },
                Outcome::Done(Err(error)) if !Canceller::was_cancelled(&error) => {
                    world.complain(format!("a datagram was not received: {error}"));
                }
                _ => {}
            }
        }
    };
    let ((), seen) = krug::join!(sending, receiving);
    assert!(is_over.get());
    compare(&world, &fates.into_inner(), &seen);
}

fn compare(world: &World, fates: &[Fate], seen: &[u32]) {
    if !seen.is_sorted_by(|before, after| before < after) {
        world.complain(format!("datagrams came twice or out of order: {seen:?}"));
    }
    for (number, fate) in (0..).zip(fates) {
        let arrived = seen.contains(&number);
        let is_wrong = match fate {
            Fate::Arrives => !arrived,
            Fate::Never => arrived,
            Fate::May => false,
        };
        if is_wrong {
            world.complain(format!("datagram {number} ({fate:?}) arrived: {arrived}"));
        }
    }
}

/// Says its number, in every word of it, and is of a length that depends on it.
fn message(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(1 + number as usize % 400)
}

fn number(bytes: &[u8]) -> Option<u32> {
    let number = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    (bytes == message(number)).then_some(number)
}

#[test]
fn a_datagram_that_is_lost_doubled_or_unwanted_is_noticed() {
    let complaints = |fates: &[Fate], seen: &[u32]| {
        let world = World::new(1);
        compare(&world, fates, seen);
        world.complaints().len()
    };
    let fates = [Fate::Arrives, Fate::May, Fate::Never];
    assert_eq!(complaints(&fates, &[0]), 0);
    assert_eq!(complaints(&fates, &[0, 1]), 0);
    assert_eq!(complaints(&fates, &[1]), 1, "lost");
    assert_eq!(complaints(&fates, &[0, 0]), 1, "doubled");
    assert_eq!(complaints(&fates, &[0, 2]), 1, "never sent");
    assert_eq!(number(&message(7)), Some(7));
    assert_eq!(number(&message(7)[4..]), None, "torn");
}
