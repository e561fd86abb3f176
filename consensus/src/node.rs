//! A living hero: the pure [`Peer`] between a clock, an inbox, its links and its log.
//!
//! The only file in which the agreement meets `await`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use krug::sync::mpsc;
use krug::time::timeout_at;

use crate::advance::{Batch, Hands, begin, conclude};
use crate::core::{Effect, Event, LogRecord, Message, Micros, Peer, Port};
use crate::log::Log;
use crate::transport::{Arrival, Link, Outbox, Tasks, carry};
use crate::wire;

/// How many messages wait for a hero at most; then his neighbours wait.
const INBOX_SIZE: usize = 1_024;

/// Sees what a node does, and decides which of its messages are lost.
pub trait Observer {
    /// True if the next message, over this port, is to be thrown away instead of sent.
    fn loses_next(&mut self, port: Port) -> bool;

    /// The peer took a step, and learned this.
    fn stepped(&mut self, peer: &Peer, learned: &[Effect]);

    /// These records are durable, after those of the calls before.
    fn persisted(&mut self, _records: &[LogRecord]) {}

    /// The peer says this, to one or to all.
    fn says(&mut self, _message: &Message) {}
}

/// What reaches a hero, and how he reaches the others.
#[derive(Debug)]
pub struct Ways {
    /// What came over any of his ports.
    pub inbox: mpsc::Receiver<Arrival>,
    /// What is to go over each of his ports.
    pub outboxes: Vec<Rc<Outbox>>,
    /// Carry both, and end with the hero.
    pub tasks: Tasks,
}

impl Ways {
    /// None yet, and where to put what comes.
    pub fn new() -> (Ways, mpsc::Sender<Arrival>) {
        let (sender, inbox) = mpsc::channel(INBOX_SIZE);
        let ways = Ways {
            inbox,
            outboxes: Vec::new(),
            tasks: Tasks::new(),
        };
        (ways, sender)
    }

    /// Port `i` is link `i`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn over(links: Vec<impl Link>) -> Ways {
        let (mut ways, sender) = Ways::new();
        ways.outboxes = links
            .into_iter()
            .enumerate()
            .map(|(port, link)| carry(Port(port), link, sender.clone(), &mut ways.tasks))
            .collect();
        ways
    }
}

/// A peer, its links, its clock, and its log if it has one.
pub struct Node<O> {
    peer: Rc<RefCell<Peer>>,
    epoch: Instant,
    inbox: mpsc::Receiver<Arrival>,
    links: Links<O>,
    log: Option<Log>,
    /// Batches that wait until the disk has done with those before.
    waiting: VecDeque<Batch>,
    syncing: Option<Syncing>,
    /// Aborts the tasks of the links when the node is dropped, and so closes them.
    _tasks: Tasks,
}

/// Batches that are being written.
struct Syncing {
    batches: Vec<Batch>,
    records: Vec<LogRecord>,
    append: Pin<Box<dyn Future<Output = io::Result<()>>>>,
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

/// What a node waits for.
enum Next {
    Event(Event),
    Synced(io::Result<()>),
}

impl<O: Observer> Node<O> {
    /// A node for `peer`. Its clock shows microseconds since `epoch`, on the clock of [`krug::time::now`].
    ///
    /// With a `log` nothing leaves that depends on what is not durable in it. Without one, memory must do.
    pub fn new(
        peer: Rc<RefCell<Peer>>,
        ways: Ways,
        epoch: Instant,
        log: Option<Log>,
        observer: O,
    ) -> Node<O> {
        let Ways {
            inbox,
            outboxes,
            tasks,
        } = ways;
        Node {
            peer,
            epoch,
            inbox,
            links: Links {
                outboxes,
                observer,
                learned: Vec::new(),
                frame: Vec::new(),
            },
            log,
            waiting: VecDeque::new(),
            syncing: None,
            _tasks: tasks,
        }
    }

    /// Lives, until his log fails: a hero without one lives for ever, for a peer that holds the whole word still answers the
    /// others. Dropping this future is the hero's death, too.
    ///
    /// Returns why the log has failed. What was not durable was not spoken of, and nobody may live with this log again:
    /// what it holds is not known any more.
    pub async fn run(mut self) -> io::Error {
        self.live().await
    }

    /// As [`run`](Node::run), until `end` resolves. What is on its way to the disk then arrives there, and nothing is said of it: as
    /// with a program that is killed, nobody opens the log again before the kernel has done with it. Dropping this future
    /// leaves open whether it has.
    ///
    /// # Errors
    ///
    /// Why the log has failed, before the end or at it.
    pub async fn run_until(mut self, end: impl Future<Output = ()>) -> io::Result<()> {
        let failed = krug::select! {
            error = self.live() => Some(error),
            () = end => None,
        };
        let written = match (failed, self.syncing) {
            (Some(error), _) => Err(error),
            (None, Some(syncing)) => syncing.append.await,
            (None, None) => Ok(()),
        };
        match (written, self.log) {
            (Ok(()), Some(log)) => log.close().await,
            (written, _) => written,
        }
    }

    async fn live(&mut self) -> io::Error {
        self.step(Event::Start);
        loop {
            self.begin_sync();
            match self.next().await {
                Next::Event(event) => self.step(event),
                Next::Synced(Ok(())) => self.end_sync(),
                Next::Synced(Err(error)) => return error,
            }
        }
    }

    async fn next(&mut self) -> Next {
        let deadline = self
            .peer
            .borrow()
            .deadline()
            .map(|at| self.epoch + Duration::from_micros(at));
        let event = next_event(&mut self.inbox, deadline);
        match &mut self.syncing {
            None => Next::Event(event.await),
            Some(syncing) => krug::select! {
                event = event => Next::Event(event),
                result = &mut syncing.append => Next::Synced(result),
            },
        }
    }

    fn step(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            next = self.begin(event);
        }
    }

    /// What follows at once, if something does.
    fn begin(&mut self, event: Event) -> Option<Event> {
        let now = krug::time::now().saturating_duration_since(self.epoch);
        let batch = begin(
            &mut self.peer.borrow_mut(),
            now.as_micros() as Micros,
            event,
            &mut self.links,
        );
        self.show();
        let batch = batch?;
        let is_written = self.log.is_none();
        let waits_for_nothing =
            batch.records().is_empty() && self.syncing.is_none() && self.waiting.is_empty();
        if is_written || waits_for_nothing {
            self.links.observer.persisted(batch.records());
            return Some(conclude(batch, &mut self.links));
        }
        self.waiting.push_back(batch);
        None
    }

    /// Shows the observer what a step has come to.
    fn show(&mut self) {
        let Links {
            observer, learned, ..
        } = &mut self.links;
        observer.stepped(&self.peer.borrow(), learned);
        learned.clear();
    }

    /// Writes all that waits, if the disk is free.
    fn begin_sync(&mut self) {
        let Some(log) = self.log.as_ref().filter(|_| self.syncing.is_none()) else {
            return;
        };
        if self.waiting.is_empty() {
            return;
        }
        let batches: Vec<Batch> = self.waiting.drain(..).collect();
        let records: Vec<LogRecord> = batches
            .iter()
            .flat_map(|batch| batch.records().iter().cloned())
            .collect();
        let (log, to_write) = (log.clone(), records.clone());
        let append = Box::pin(async move {
            // What came without records waits for the disk like the rest, and writes nothing.
            match to_write.is_empty() {
                true => Ok(()),
                false => log.append(&to_write).await,
            }
        });
        self.syncing = Some(Syncing {
            batches,
            records,
            append,
        });
    }

    fn end_sync(&mut self) {
        let Some(Syncing {
            batches, records, ..
        }) = self.syncing.take()
        else {
            return;
        };
        self.links.observer.persisted(&records);
        for batch in batches {
            let event = conclude(batch, &mut self.links);
            self.step(event);
        }
    }
}

async fn next_event(inbox: &mut mpsc::Receiver<Arrival>, deadline: Option<Instant>) -> Event {
    // An inbox that is never empty must not hold the clock up.
    if deadline.is_some_and(|deadline| deadline <= krug::time::now()) {
        return Event::Timer;
    }
    let received = match deadline {
        Some(deadline) => match timeout_at(deadline, inbox.recv()).await {
            Ok(received) => received,
            Err(_) => return Event::Timer,
        },
        None => inbox.recv().await,
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

impl<O: Observer> Links<O> {
    fn encode(&mut self, message: &Message) {
        self.observer.says(message);
        self.frame.clear();
        wire::encode(message, &mut self.frame);
    }
}

impl<O: Observer> Hands for Links<O> {
    fn send(&mut self, port: Port, message: &Message) {
        self.encode(message);
        // A port without a link is a neighbour who was never reached.
        if let Some(outbox) = self.outboxes.get(port.0)
            && !self.observer.loses_next(port)
        {
            outbox.push(&self.frame);
        }
    }

    fn broadcast(&mut self, message: &Message) {
        self.encode(message);
        for (port, outbox) in self.outboxes.iter().enumerate() {
            if !self.observer.loses_next(Port(port)) {
                outbox.push(&self.frame);
            }
        }
    }

    fn learned(&mut self, effect: &Effect) {
        self.learned.push(effect.clone());
    }
}

impl<O> std::fmt::Debug for Node<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("log", &self.log)
            .field("waiting", &self.waiting.len())
            .field("is_syncing", &self.syncing.is_some())
            .finish_non_exhaustive()
    }
}
