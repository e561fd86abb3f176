//! The simulated world: over TCP and UDP each hero has a host of his own, over Unix sockets and pipes they share one.
//!
//! The seed fixes everything, to the last completion: two runs with the same hash went the same way, whatever the machine
//! and however the program was built.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use krug::sim::Sim;

use super::arguments::{Arguments, Durable, Transport};
use super::chronicle::Deed;
use super::circle::{self, Circle, Watcher};
use super::control::Control;
use super::course::Course;
use super::lives::{Birth, Told};
use super::report::Narrator;
use super::seeds;
use super::venue::{self, Places};
use crate::core::Peer;
use crate::node::Node;
use crate::sim::{Carrier, host, ways};

/// On the disk of each host.
const TEMPORARY: &str = "/tmp";

/// The host of all heroes, if they share one; else that of the harness.
const HARNESS: &str = "harness";

/// How far the world goes on before somebody looks what is to be done to it.
const LOOK: Duration = Duration::from_micros(100);

/// Runs the heroes that `arguments` ask for, to the end.
///
/// # Errors
///
/// What went wrong that was not asked for.
pub fn run(arguments: &Arguments, seed: u64, narrator: Narrator) -> io::Result<Course> {
    let circle = Circle::new(arguments, narrator, "sim", 1).with_oracle(arguments);
    let circle = Arc::new(circle);
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
            let of_harness = Rc::clone(&seats);
            let of_course = Arc::clone(&arguments);
            sim.client(HARNESS, async move {
                circle::watch(&of_course, &circle, |deed| of_harness.act(deed)).await;
                let elapsed = circle.now();
                told.replace(Some(match circle.take_failure() {
                    Some(error) => Err(error),
                    None => {
                        let told = of_harness.told(elapsed);
                        Ok(circle::close(&of_course, &circle, &told, elapsed))
                    }
                }));
            });
            // What befalls hosts and the ways between them is done from outside.
            while !arguments.fault.only_takes_away() && course.borrow().is_none() {
                sim.run_for(LOOK).map_err(io::Error::other)?;
                for deed in seats.deeds.take() {
                    if let Deed::Restart(hero) = deed {
                        seats.heroes[hero].control.restart();
                    }
                    befall(&mut sim, &deed, arguments.peers);
                }
            }
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

/// Does to the world what the harness wants.
fn befall(sim: &mut Sim, deed: &Deed, peers: usize) {
    let others = |hero: usize| (0..peers).filter(move |other| *other != hero);
    let pairs = || (0..peers).flat_map(|one| (0..one).map(move |other| (one, other)));
    match deed {
        // His program ends by itself.
        Deed::End(_) => {}
        // If he lives, his power fails.
        Deed::Restart(hero) => sim.bounce(&host(*hero)),
        Deed::Stall(hero) => {
            others(*hero).for_each(|other| sim.hold(&host(*hero), &host(other)));
        }
        Deed::GoOn(hero) => {
            others(*hero).for_each(|other| sim.release(&host(*hero), &host(other)));
        }
        Deed::Split(sides) => pairs().for_each(|(one, other)| match sides[one] == sides[other] {
            true => sim.repair(&host(one), &host(other)),
            false => sim.partition(&host(one), &host(other)),
        }),
        Deed::Heal => pairs().for_each(|(one, other)| sim.repair(&host(one), &host(other))),
    }
}

/// What the harness holds of the heroes on their hosts.
#[derive(Default)]
struct Seats {
    heroes: Vec<Rc<Seat>>,
    /// What is to be done from outside.
    deeds: RefCell<Vec<Deed>>,
}

/// What the harness holds of one hero.
struct Seat {
    control: Control,
    /// As he is in his newest life.
    peer: Rc<RefCell<Peer>>,
    /// What is to be told of the lives before.
    earlier: Cell<Told>,
}

impl Seats {
    fn act(&self, deed: Deed) {
        let control = |hero: usize| &self.heroes[hero].control;
        match &deed {
            Deed::End(hero) => control(*hero).end(),
            Deed::Stall(hero) => control(*hero).stall(true),
            Deed::GoOn(hero) => control(*hero).stall(false),
            Deed::Restart(_) | Deed::Split(_) | Deed::Heal => {}
        }
        self.deeds.borrow_mut().push(deed);
    }

    fn told(&self, elapsed: Duration) -> Vec<Told> {
        let told = |seat: &Rc<Seat>| seat.told(elapsed);
        self.heroes.iter().map(told).collect()
    }
}

impl Seat {
    fn told(&self, elapsed: Duration) -> Told {
        let mut told = self.earlier.take();
        told.adds(&self.peer.borrow(), elapsed);
        told
    }
}

/// A host for each hero.
fn take_seats(
    sim: &mut Sim,
    arguments: &Arc<Arguments>,
    seed: u64,
    circle: &Arc<Circle>,
    carrier: Carrier,
) -> Rc<Seats> {
    let config = seeds::config(arguments);
    let mut seats = Seats::default();
    for hero in 0..arguments.peers {
        let random = seeds::of_hero(seed, hero, arguments.peers);
        let seat = Rc::new(Seat {
            control: Control::new(),
            peer: Rc::new(RefCell::new(Peer::new(config.clone(), random))),
            earlier: Cell::default(),
        });
        seats.heroes.push(Rc::clone(&seat));
        let (arguments, circle) = (Arc::clone(arguments), Arc::clone(circle));
        sim.host(&host(hero), move || {
            let seat = Rc::clone(&seat);
            let birth = Birth {
                arguments: Arc::clone(&arguments),
                seed,
                circle: Arc::clone(&circle),
                hero,
            };
            // As a program that is killed: what it had open is closed.
            async move {
                let control = &seat.control;
                let life = control.life();
                let living = async {
                    krug::select! {
                        () = live(birth, life, &seat, carrier) => {}
                        () = control.ended(life) => {}
                    }
                };
                control.follow(life, living).await;
            }
        });
    }
    Rc::new(seats)
}

async fn live(birth: Birth, life: u64, seat: &Seat, carrier: Carrier) {
    let peers = birth.arguments.peers;
    let purpose = seeds::TABLES + (life << 10) + birth.hero as u64;
    let mut tables = seeds::draws(birth.seed, purpose);
    let born = async {
        let ways = ways(carrier, birth.hero, peers, &mut tables).await?;
        let folder = Path::new(TEMPORARY).join("log");
        let has_log = birth.arguments.durable == Durable::Sync;
        let (peer, log) = birth.of(life, has_log.then_some(&*folder)).await?;
        Ok((ways, peer, log))
    };
    let (ways, peer, log) = match born.await {
        Ok(born) => born,
        Err(error) => return birth.circle.fail(error),
    };
    if life > 0 {
        seat.earlier.set(seat.told(Duration::ZERO));
    }
    seat.peer.replace(peer);
    let Birth {
        arguments,
        seed,
        circle,
        hero,
    } = &birth;
    if life == 0 {
        circle.has_linked();
        if arguments.fault.is_stillborn(hero + 1) {
            return;
        }
    }
    // The world itself loses what a split takes.
    let watcher = Watcher::new(arguments, *seed, circle, *hero, Rc::from([]));
    let node = Node::new(Rc::clone(&seat.peer), ways, circle.started(), log, watcher);
    let error = node.run().await;
    circle.fell(*hero, &error);
}
