//! The heroes' lives: each on his core, from his birth to the end of the run.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use krug::task::JoinHandle;

use super::arguments::Arguments;
use super::circle::{Circle, Watcher, close, watch};
use super::control::Control;
use super::course::{Course, MessageCounts};
use super::seeds;
use super::venue::{Door, Meeting};
use crate::core::{Micros, Peer, Waiting};
use crate::log::{Life, Log, Opened};
use crate::node::{Node, Ways};

/// What is left to say of a hero when the run is over.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What he sent.
    pub(super) sent: MessageCounts,
    /// What he waits for, if he was born.
    pub(super) waiting: Option<Waiting>,
}

impl Told {
    /// Of a hero as he was so long after the start.
    pub(super) fn of(peer: &Peer, elapsed: std::time::Duration) -> Told {
        let mut sent = MessageCounts::default();
        sent.add(&peer.counters().sent);
        Told {
            sent,
            waiting: Some(peer.waiting(elapsed.as_micros() as Micros)),
        }
    }
}

/// Bears all heroes, each with what `prepare` gives him, and watches them to the end.
pub(super) async fn hold<M, P>(
    meeting: Meeting,
    mut prepare: impl FnMut(usize) -> M,
) -> io::Result<Course>
where
    M: FnOnce() -> P + Send + 'static,
    P: Future<Output = io::Result<Door>> + 'static,
{
    let Meeting {
        arguments,
        seed,
        circle,
        cores,
    } = meeting;
    let mut controls = Vec::new();
    let mut tasks: Vec<JoinHandle<Told>> = Vec::new();
    for hero in 0..arguments.peers {
        let control = Arc::new(Control::new());
        controls.push(Arc::clone(&control));
        let seat = Seat {
            arguments: Arc::clone(&arguments),
            seed,
            circle: Arc::clone(&circle),
            hero,
            control,
        };
        let prepare = prepare(hero);
        let live = move || seat.live(prepare());
        tasks.push(match cores.is_empty() {
            true => krug::spawn(live()),
            false => {
                let core = cores[hero % cores.len()];
                let gone = |_| io::Error::other("a core has ended before its time");
                krug::spawn_on(core, live).map_err(gone)?
            }
        });
    }

    watch(&arguments, &circle, |hero| controls[hero].end()).await;
    let elapsed = circle.now();
    controls.iter().for_each(|control| control.close(elapsed));
    let mut told = Vec::new();
    for task in tasks {
        match task.await {
            Ok(of_hero) => told.push(of_hero),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    match circle.take_failure() {
        Some(error) => Err(error),
        None => Ok(close(&arguments, &circle, &told, elapsed)),
    }
}

/// Where a hero sits.
struct Seat {
    arguments: Arc<Arguments>,
    seed: u64,
    circle: Arc<Circle>,
    hero: usize,
    control: Arc<Control>,
}

impl Seat {
    /// A hero's life: he finds the others, and then talks to them until he is ended.
    async fn live(self, prepared: impl Future<Output = io::Result<Door>>) -> Told {
        let Seat {
            arguments, hero, ..
        } = &self;
        let config = seeds::config(arguments);
        let random = seeds::of_hero(self.seed, *hero, arguments.peers);
        let peer = Rc::new(RefCell::new(Peer::new(config, random)));
        krug::select! {
            () = self.speak(prepared, Rc::clone(&peer)) => {}
            () = self.control.ended(0) => {}
        }
        _ = self.control.next_life(0).await;
        let closed = self.control.closed().unwrap_or_else(|| self.circle.now());
        Told::of(&peer.borrow(), closed)
    }

    async fn speak(
        &self,
        prepared: impl Future<Output = io::Result<Door>>,
        peer: Rc<RefCell<Peer>>,
    ) {
        let folder = self.circle.logs();
        let folder = folder.map(|place| place.join((self.hero + 1).to_string()));
        let born = async {
            let door = prepared.await?;
            let log = match folder {
                Some(folder) => Some(first_log(&folder, self.arguments.peers).await?),
                None => None,
            };
            Ok((door, log))
        };
        let (door, log) = match born.await {
            Ok(born) => born,
            Err(error) => return self.circle.fail(error),
        };
        let ways = door.open().await;
        self.circle.has_linked();
        if !self.arguments.fault.is_stillborn(self.hero + 1) {
            let watcher = Watcher::new(&self.arguments, self.seed, &self.circle, self.hero);
            speak(peer, ways, log, watcher).await;
        }
    }
}

/// A log in `folder`, where none was before.
///
/// # Errors
///
/// What the system says, or that there was one.
pub(super) async fn first_log(folder: &Path, peers: usize) -> io::Result<Log> {
    match Log::open(folder, peers, Life::First).await? {
        Opened::Whole { log, .. } => Ok(log),
        Opened::Damaged(why) => Err(io::Error::other(why)),
    }
}

/// The rest of a hero's life: it ends if his log fails.
pub(super) async fn speak(peer: Rc<RefCell<Peer>>, ways: Ways, log: Option<Log>, watcher: Watcher) {
    let (circle, hero) = (watcher.circle(), watcher.hero());
    let node = Node::new(peer, ways, circle.started(), log, watcher);
    let error = node.run().await;
    circle.fell(hero, &error);
}
