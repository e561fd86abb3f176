//! The simulated world: over TCP and UDP each hero has a host of his own, over Unix sockets and pipes they share one.
//!
//! The seed fixes everything, to the last completion: two runs with the same hash went the same way, whatever the machine
//! and however the program was built.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use krug::sim::Sim;
use krug::sync::Notify;

use super::arguments::{Arguments, Durable, Transport};
use super::circle::{self, Circle, Watcher};
use super::course::Course;
use super::lives::{self, Told};
use super::report::Narrator;
use super::seeds;
use super::venue::{self, Places};
use crate::core::Peer;
use crate::sim::{Carrier, host, ways};

/// On the disk of each host.
const TEMPORARY: &str = "/tmp";

/// The host of all heroes, if they share one; else that of the harness.
const HARNESS: &str = "harness";

/// Runs the heroes that `arguments` ask for, to the end.
///
/// # Errors
///
/// What went wrong that was not asked for.
pub fn run(arguments: &Arguments, seed: u64, narrator: Narrator) -> io::Result<Course> {
    let circle = Arc::new(Circle::new(arguments, narrator, "sim", 1));
    let mut sim = Sim::new(seed);
    let course = Rc::new(RefCell::new(None));
    let told = Rc::clone(&course);
    let arguments = Arc::new(arguments.clone());
    let carrier = match arguments.transport() {
        Transport::Tcp => Some(Carrier::Tcp),
        Transport::Udp => Some(Carrier::Udp),
        Transport::Memory | Transport::Unix | Transport::Pipe => None,
    };
    match carrier {
        Some(carrier) => {
            let seats = take_seats(&mut sim, &arguments, seed, &circle, carrier);
            sim.client(HARNESS, async move {
                let end = |hero: usize| seats.ends[hero].notify_one();
                circle::watch(&arguments, &circle, end).await;
                let elapsed = circle.now();
                told.replace(Some(match circle.take_failure() {
                    Some(error) => Err(error),
                    None => Ok(circle::close(
                        &arguments,
                        &circle,
                        &seats.told(elapsed),
                        elapsed,
                    )),
                }));
            });
        }
        None => sim.client(HARNESS, async move {
            let directory = PathBuf::from(TEMPORARY);
            let places = Places {
                logs: (arguments.durable == Durable::Sync).then(|| directory.clone()),
                sockets: Some(directory),
                cores: Vec::new(),
            };
            told.replace(Some(venue::meet(&arguments, seed, circle, places).await));
        }),
    }
    sim.run().map_err(io::Error::other)?;
    let course = course.take();
    let mut course =
        course.unwrap_or_else(|| Err(io::Error::other("the harness has said nothing")))?;
    course.trace_hash = sim.trace_hash();
    Ok(course)
}

/// What the harness holds of the heroes on their hosts.
struct Seats {
    peers: Vec<Rc<RefCell<Peer>>>,
    /// Each ends a hero.
    ends: Vec<Rc<Notify>>,
}

impl Seats {
    fn told(&self, elapsed: Duration) -> Vec<Told> {
        let told = |peer: &Rc<RefCell<Peer>>| Told::of(&peer.borrow(), elapsed);
        self.peers.iter().map(told).collect()
    }
}

/// A host for each hero.
fn take_seats(
    sim: &mut Sim,
    arguments: &Arc<Arguments>,
    seed: u64,
    circle: &Arc<Circle>,
    carrier: Carrier,
) -> Seats {
    let config = seeds::config(arguments);
    let mut seats = Seats {
        peers: Vec::new(),
        ends: Vec::new(),
    };
    for hero in 0..arguments.peers {
        let random = seeds::of_hero(seed, hero, arguments.peers);
        let peer = Rc::new(RefCell::new(Peer::new(config.clone(), random)));
        let end = Rc::new(Notify::new());
        seats.peers.push(Rc::clone(&peer));
        seats.ends.push(Rc::clone(&end));
        let (arguments, circle) = (Arc::clone(arguments), Arc::clone(circle));
        sim.host(&host(hero), move || {
            let end = Rc::clone(&end);
            let life = live(
                Arc::clone(&arguments),
                seed,
                Arc::clone(&circle),
                hero,
                Rc::clone(&peer),
                carrier,
            );
            // As a program that is killed: what it had open is closed.
            async move {
                krug::select! {
                    () = life => {}
                    () = end.notified() => {}
                }
            }
        });
    }
    seats
}

async fn live(
    arguments: Arc<Arguments>,
    seed: u64,
    circle: Arc<Circle>,
    hero: usize,
    peer: Rc<RefCell<Peer>>,
    carrier: Carrier,
) {
    let peers = arguments.peers;
    let mut tables = seeds::draws(seed, seeds::TABLES + hero as u64);
    let born = async {
        let ways = ways(carrier, hero, peers, &mut tables).await?;
        let folder = Path::new(TEMPORARY).join("log");
        let log = match arguments.durable {
            Durable::Sync => Some(lives::first_log(&folder, peers).await?),
            Durable::None => None,
        };
        Ok((ways, log))
    };
    let (ways, log) = match born.await {
        Ok(born) => born,
        Err(error) => return circle.fail(error),
    };
    circle.has_linked();
    if arguments.fault.is_stillborn(hero + 1) {
        return;
    }
    let watcher = Watcher::new(&arguments, seed, &circle, hero);
    lives::speak(peer, ways, log, watcher).await;
}
