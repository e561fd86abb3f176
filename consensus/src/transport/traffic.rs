//! The two tasks of a link.

use std::rc::Rc;

use krug::sync::mpsc;

use super::{Link, Outbox, Tasks};
use crate::core::{Message, Port};
use crate::wire::Decoder;

/// How many bytes one receive takes at most: some twenty messages of a recital.
const RECEIVE_SIZE: usize = 4 * 1024;

/// A message, and the port it came over.
#[derive(Debug)]
pub struct Arrival {
    /// Which link.
    pub port: Port,
    /// What it brought.
    pub message: Message,
}

/// Starts the tasks of a link: one that sends what is put into the outbox that is handed
/// back, one that posts what arrives into `inbox`.
///
/// Both end with `tasks`, or when the link breaks. A link that carries bytes which are no
/// message is broken as well: nothing behind them can be trusted.
pub fn carry(
    port: Port,
    link: impl Link,
    inbox: mpsc::Sender<Arrival>,
    tasks: &mut Tasks,
) -> Rc<Outbox> {
    let link = Rc::new(link);
    let outbox = Rc::new(Outbox::new());
    tasks.spawn(send_all(Rc::clone(&link), Rc::clone(&outbox)));
    tasks.spawn(receive_all(port, link, inbox, Vec::new()));
    outbox
}

async fn send_all(link: Rc<impl Link>, outbox: Rc<Outbox>) {
    let mut spare = Vec::new();
    loop {
        let bytes = outbox.take(spare).await;
        let (result, bytes) = link.send(bytes).await;
        if result.is_err() {
            // The neighbour is gone. Whatever is meant for him from now on fills the outbox and is dropped.
            return;
        }
        spare = bytes;
    }
}

/// `first` was received already.
pub(super) async fn receive_all(
    port: Port,
    link: Rc<impl Link>,
    inbox: mpsc::Sender<Arrival>,
    first: Vec<u8>,
) {
    let mut decoder = Decoder::new();
    let mut buffer = first;
    loop {
        decoder.push(&buffer);
        loop {
            match decoder.next_message() {
                // A hero who is busy makes his neighbours wait: the inbox is bounded.
                Ok(Some(message)) => {
                    if inbox.send(Arrival { port, message }).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
        buffer.clear();
        buffer.reserve(RECEIVE_SIZE);
        let (result, received) = link.receive(buffer).await;
        buffer = received;
        if !matches!(result, Ok(1..)) {
            return;
        }
    }
}
