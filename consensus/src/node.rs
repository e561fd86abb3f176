//! A living hero: the pure [`Peer`] between a clock, an inbox and its links.
//!
//! The only file in which the agreement meets `await`.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use krug::sync::mpsc;
use krug::time::timeout_at;

use crate::advance::{Hands, advance};
use crate::core::{Effect, Event, Message, Micros, Peer, Port};
use crate::transport::{Arrival, Link, Outbox, Tasks, carry};
use crate::wire;

/// How many messages wait for a hero at most; then his neighbours wait.
const INBOX_SIZE: usize = 1_024;

/// Sees what a node does, and decides which of its messages are lost.
pub trait Observer {
    /// True if the next message is to be thrown away instead of sent.
    fn loses_next(&mut self) -> bool;

    /// The peer took a step, and learned this.
    fn stepped(&mut self, peer: &Peer, learned: &[Effect]);
}

/// A peer, its links and its clock.
#[derive(Debug)]
pub struct Node<O> {
    peer: Rc<RefCell<Peer>>,
    epoch: Instant,
    inbox: mpsc::Receiver<Arrival>,
    links: Links<O>,
    /// Aborts the tasks of the links when the node is dropped, and so closes them.
    _tasks: Tasks,
}

/// The outboxes of all links, and who watches them.
#[derive(Debug)]
struct Links<O> {
    outboxes: Vec<Rc<Outbox>>,
    observer: O,
    learned: Vec<Effect>,
    /// Memory for frames, used over and over.
    frame: Vec<u8>,
}

impl<O: Observer> Node<O> {
    /// A node for `peer`, whose port `i` is link `i`. Its clock shows microseconds since `epoch`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn new(
        peer: Rc<RefCell<Peer>>,
        links: Vec<impl Link>,
        epoch: Instant,
        observer: O,
    ) -> Node<O> {
        let (sender, inbox) = mpsc::channel(INBOX_SIZE);
        let mut tasks = Tasks::new();
        let outboxes = links
            .into_iter()
            .enumerate()
            .map(|(port, link)| carry(Port(port), link, sender.clone(), &mut tasks))
            .collect();
        let links = Links {
            outboxes,
            observer,
            learned: Vec::new(),
            frame: Vec::new(),
        };
        Node {
            peer,
            epoch,
            inbox,
            links,
            _tasks: tasks,
        }
    }

    /// Lives: for ever, for a peer that holds the whole word still answers the others.
    /// Dropping this future is the hero's death.
    pub async fn run(mut self) {
        self.step(Event::Start);
        loop {
            let event = self.next_event().await;
            self.step(event);
        }
    }

    async fn next_event(&mut self) -> Event {
        let deadline = self
            .peer
            .borrow()
            .deadline()
            .map(|at| self.epoch + Duration::from_micros(at));
        // An inbox that is never empty must not hold the clock up.
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Event::Timer;
        }
        let received = match deadline {
            Some(deadline) => match timeout_at(deadline, self.inbox.recv()).await {
                Ok(received) => received,
                Err(_) => return Event::Timer,
            },
            None => self.inbox.recv().await,
        };
        match (received, deadline) {
            (Some(Arrival { port, message }), _) => Event::Received { port, message },
            // All links are gone. The peer may still have something to say to himself.
            (None, Some(deadline)) => {
                krug::time::sleep_until(deadline).await;
                Event::Timer
            }
            (None, None) => std::future::pending().await,
        }
    }

    fn step(&mut self, event: Event) {
        let now = self.epoch.elapsed().as_micros() as Micros;
        let mut peer = self.peer.borrow_mut();
        advance(&mut peer, now, event, &mut self.links);
        let Links {
            observer, learned, ..
        } = &mut self.links;
        observer.stepped(&peer, learned);
        learned.clear();
    }
}

impl<O: Observer> Links<O> {
    fn encode(&mut self, message: &Message) {
        self.frame.clear();
        wire::encode(message, &mut self.frame);
    }
}

impl<O: Observer> Hands for Links<O> {
    fn send(&mut self, port: Port, message: &Message) {
        self.encode(message);
        // A port without a link is a neighbour who was never reached.
        if let Some(outbox) = self.outboxes.get(port.0)
            && !self.observer.loses_next()
        {
            outbox.push(&self.frame);
        }
    }

    fn broadcast(&mut self, message: &Message) {
        self.encode(message);
        for outbox in &self.outboxes {
            if !self.observer.loses_next() {
                outbox.push(&self.frame);
            }
        }
    }

    fn learned(&mut self, effect: &Effect) {
        self.learned.push(effect.clone());
    }
}
