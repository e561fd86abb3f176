//! The heroes' lives: each on his core, from his birth to the end of the run.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use krug::task::JoinHandle;

use super::arguments::Arguments;
use super::chronicle::Deed;
use super::circle::{Circle, Watcher, close, watch};
use super::control::Control;
use super::course::{Course, MessageCounts};
use super::seeds;
use super::venue::{Door, Meeting};
use crate::core::{Micros, Peer, Waiting};
use crate::log::{Life, Log, Opened};
use crate::node::Node;

/// What is left to say of a hero when the run is over.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What he sent.
    pub(super) sent: MessageCounts,
    /// What he waits for, if he was born.
    pub(super) waiting: Option<Waiting>,
}

impl Told {
    /// Adds a life, as it was so long after the start.
    pub(super) fn adds(&mut self, peer: &Peer, elapsed: Duration) {
        self.sent.add(&peer.counters().sent);
        self.waiting = Some(peer.waiting(elapsed.as_micros() as Micros));
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
        let birth = Birth {
            arguments: Arc::clone(&arguments),
            seed,
            circle: Arc::clone(&circle),
            hero,
        };
        let seat = Seat { birth, control };
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

    let act = |deed| match deed {
        Deed::End(hero) => controls[hero].end(),
        Deed::Restart(hero) => controls[hero].restart(),
        Deed::Stall(hero) => controls[hero].stall(true),
        Deed::GoOn(hero) => controls[hero].stall(false),
        Deed::Split(sides) => circle.split(&sides),
        Deed::Heal => circle.heal(),
    };
    watch(&arguments, &circle, act).await;
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
    birth: Birth,
    control: Arc<Control>,
}

/// What a hero's lives begin with.
pub(super) struct Birth {
    pub(super) arguments: Arc<Arguments>,
    pub(super) seed: u64,
    pub(super) circle: Arc<Circle>,
    /// Counted from 0.
    pub(super) hero: usize,
}

impl Seat {
    /// All of a hero's lives. In each he finds the others, and then talks to them until he is ended.
    async fn live(self, prepared: impl Future<Output = io::Result<Door>>) -> Told {
        let mut told = Told::default();
        let prepared = krug::select! {
            door = prepared => door,
            () = self.control.ended(0) => return told,
        };
        let mut door = match prepared {
            Ok(door) => door,
            Err(error) => {
                self.birth.circle.fail(error);
                return told;
            }
        };
        let mut life = 0;
        loop {
            let lived = self.live_once(life, &mut door);
            let peer = self.control.follow(life, lived).await;
            let next = self.control.next_life(life).await;
            if let Some(peer) = peer {
                let elapsed = self
                    .control
                    .closed()
                    .unwrap_or_else(|| self.birth.circle.now());
                told.adds(&peer.borrow(), elapsed);
            }
            match next {
                Some(next) => life = next,
                None => return told,
            }
        }
    }

    /// Gives back what was left of him, if he came so far.
    async fn live_once(&self, life: u64, door: &mut Door) -> Option<Rc<RefCell<Peer>>> {
        let folder = self.birth.circle.logs();
        let folder = folder.map(|place| place.join((self.birth.hero + 1).to_string()));
        // Is not broken off: whoever opens the log next must find it as it is.
        let (peer, log) = match self.birth.of(life, folder.as_deref()).await {
            Ok(born) => born,
            Err(error) => {
                self.birth.circle.fail(error);
                return None;
            }
        };
        let peer = Rc::new(RefCell::new(peer));
        let ways = krug::select! {
            ways = door.open(life) => ways,
            () = self.control.ended(life) => return Some(peer),
        };
        let Birth {
            arguments,
            seed,
            circle,
            hero,
        } = &self.birth;
        if life == 0 {
            circle.has_linked();
            if arguments.fault.is_stillborn(hero + 1) {
                return Some(peer);
            }
        }
        let watcher = Watcher::new(arguments, *seed, circle, *hero, door.neighbours());
        let node = Node::new(Rc::clone(&peer), ways, circle.started(), log, watcher);
        if let Err(error) = node.run_until(self.control.ended(life)).await {
            circle.fell(*hero, &error);
        }
        Some(peer)
    }
}

impl Birth {
    /// The hero as he begins the life of this number, and his log in `folder`, if he is to have one.
    ///
    /// # Errors
    ///
    /// What the system says; or that there is a log where none was before.
    pub(super) async fn of(
        &self,
        life: u64,
        folder: Option<&Path>,
    ) -> io::Result<(Peer, Option<Log>)> {
        let peers = self.arguments.peers;
        let config = seeds::config(&self.arguments);
        let random = seeds::of_life(self.seed, self.hero, life, peers);
        let Some(folder) = folder else {
            return Ok((Peer::new(config, random), None));
        };
        if life == 0 {
            return match Log::open(folder, peers, Life::First).await? {
                Opened::Whole { log, .. } => Ok((Peer::new(config, random), Some(log))),
                Opened::Damaged(why) => Err(io::Error::other(why)),
            };
        }
        let (peer, log) = match Log::open(folder, peers, Life::Later).await? {
            Opened::Whole { log, records } => {
                self.circle
                    .tell_oracle(|oracle| oracle.reloads(self.hero, &records));
                (Peer::restart(config, random, records), Some(log))
            }
            Opened::Damaged(why) => {
                eprintln!("hero {} is mute: {why}", self.hero + 1);
                (Peer::mute(config, random), None)
            }
        };
        self.circle.returned(self.hero, &peer);
        Ok((peer, log))
    }
}
