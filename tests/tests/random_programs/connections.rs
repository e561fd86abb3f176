//! Accept and connect: every connection that was made is accepted, or is still in the queue of the listener.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use krug::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::ways::{Outcome, World};

/// What the clients of one listener have done, and what came in.
#[derive(Default)]
struct Guests {
    /// The numbers of those whose connect succeeded.
    connected: RefCell<BTreeSet<u8>>,
    /// Connects that were dropped: each may have come as a connection that ends at once.
    dropped: Cell<usize>,
    /// The numbers that came out of accepted connections.
    accepted: RefCell<Vec<u8>>,
    /// Connections that ended without a number.
    silent: Cell<usize>,
}

impl Guests {
    fn check(&self) -> Result<(), String> {
        let (connected, accepted) = (self.connected.borrow(), self.accepted.borrow());
        let distinct: BTreeSet<u8> = accepted.iter().copied().collect();
        if distinct.len() != accepted.len() {
            return Err(format!("a connection came twice: {accepted:?}"));
        }
        if distinct != *connected {
            return Err(format!("connected: {connected:?}, accepted: {accepted:?}"));
        }
        if self.silent.get() > self.dropped.get() {
            return Err(format!(
                "{} connections of {} dropped connects",
                self.silent.get(),
                self.dropped.get()
            ));
        }
        Ok(())
    }
}

/// How many connects are tried on one listener.
const CLIENTS: u8 = 20;

/// The number that a client sends, if it does.
macro_rules! first_byte {
    ($stream:expr) => {{
        let (result, buf) = $stream.read(vec![0; 1]).await;
        matches!(result, Ok(1)).then(|| buf[0])
    }};
}

/// The body of an actor; `$connect` makes the future of one connect.
macro_rules! listener_and_clients {
    ($world:expr, $listener:expr, $connect:expr, $what:expr) => {{
        let (world, listener, guests) = ($world, Rc::new($listener), Rc::new(Guests::default()));
        let clients = {
            let (world, guests) = (world.clone(), guests.clone());
            let connect = $connect;
            krug::spawn(async move {
                let mut streams = Vec::new();
                for number in 0..CLIENTS {
                    match world.end(connect()).await {
                        Outcome::Done(Ok(stream)) => {
                            guests.connected.borrow_mut().insert(number);
                            stream
                                .write_all(vec![number])
                                .await
                                .0
                                .expect("there is room for a byte");
                            streams.push(stream);
                        }
                        // Cancelled, or dropped: connected or not, nobody knows.
                        Outcome::Done(Err(_)) | Outcome::Dropped => {
                            guests.dropped.set(guests.dropped.get() + 1)
                        }
                        Outcome::NeverPolled => {}
                    }
                    world.pause().await;
                }
                streams
            })
        };
        while !clients.is_finished() {
            let accept = {
                let (listener, guests) = (listener.clone(), guests.clone());
                async move {
                    let stream = listener.accept().await?;
                    // From here on it is ours, and must be noted whatever happens to this future.
                    krug::spawn(note(guests, Box::pin(async move { first_byte!(stream) })));
                    std::io::Result::Ok(())
                }
            };
            // An accept that nobody comes for would wait for ever.
            drop(krug::time::timeout(Duration::from_millis(1), world.end(accept)).await);
        }
        let streams = clients.await.expect("the clients");
        // What is left with the kernel, where the listener's own operation has ended early, is no longer there after a close.
        while let Ok(stream) =
            krug::time::timeout(Duration::from_millis(5), listener.accept()).await
        {
            let stream = stream.expect("a connection that waits");
            krug::spawn(note(
                guests.clone(),
                Box::pin(async move { first_byte!(stream) }),
            ));
        }
        // An accept in a task of its own goes away with the next turn.
        krug_tests::until("no accept is left", || Rc::strong_count(&listener) == 1).await;
        let listener = Rc::into_inner(listener).expect("the only one");
        let queued = listener
            .close()
            .await
            .expect("a close that returns what is queued");
        let left: Vec<_> = queued
            .into_iter()
            .map(|stream| {
                krug::spawn(note(
                    guests.clone(),
                    Box::pin(async move { first_byte!(stream) }),
                ))
            })
            .collect();
        for task in left {
            task.await.expect("a connection from the queue");
        }
        krug_tests::until("each connection has said who it is", || {
            Rc::strong_count(&guests) == 1
        })
        .await;
        drop(streams);
        if let Err(complaint) = guests.check() {
            world.complain(format!("{}: {complaint}", $what));
        }
    }};
}

async fn note(guests: Rc<Guests>, number: Pin<Box<dyn Future<Output = Option<u8>>>>) {
    match number.await {
        Some(number) => guests.accepted.borrow_mut().push(number),
        None => guests.silent.set(guests.silent.get() + 1),
    }
}

pub(crate) async fn tcp(world: Rc<World>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("its address");
    let connect = move || TcpStream::connect(address);
    listener_and_clients!(world, listener, connect, "a TCP listener");
}

pub(crate) async fn unix(world: Rc<World>) {
    let folder = krug_tests::disk::folder();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).await.expect("a listener");
    let connect = move || UnixStream::connect(path.clone());
    listener_and_clients!(world, listener, connect, "a Unix listener");
}

#[test]
fn a_guest_that_is_lost_or_comes_twice_is_noticed() {
    let guests = Guests::default();
    guests.connected.borrow_mut().extend([1, 2]);
    guests.accepted.borrow_mut().push(2);
    assert!(guests.check().is_err());
    guests.accepted.borrow_mut().push(1);
    assert_eq!(guests.check(), Ok(()));
    guests.accepted.borrow_mut().push(1);
    assert!(guests.check().is_err());
    guests.accepted.borrow_mut().pop();
    guests.silent.set(1);
    assert!(guests.check().is_err());
    guests.dropped.set(1);
    assert_eq!(guests.check(), Ok(()));
}
