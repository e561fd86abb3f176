//! The heroes of one simulated world, and who watches them: [`run`].

use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use krug::sim::{Failure, Sim};

use super::plan::{Fate, Fault, PEERS, Plan};
use super::{Carrier, host, ways};
use crate::core::{Config, Effect, LogRecord, Message, Peer, Port, Random};
use crate::log::{self, Life, Log, Opened};
use crate::node::{Node, Observer};
use crate::oracle::Oracle;
use crate::program::draws::Draws;
use crate::program::word::RUSSIAN_ALPHABET;

/// Where each hero has his log, on his own disk.
const FOLDER: &str = "/tmp/log";

/// How long it may take, when all is mended, until everybody who lives has heard the whole word.
const BOUND: Duration = Duration::from_secs(30);

/// How far the world goes on before somebody looks whether all is said.
const LOOK: Duration = Duration::from_millis(20);

/// The purpose of the draws of each life, among all of a seed.
const LIVES: u64 = 6 << 32;

/// What a world has come to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// [`Sim::trace_hash`].
    pub trace_hash: u64,
    /// [`Sim::events`].
    pub events: u64,
    /// How long the world existed, on its own clock.
    pub elapsed: Duration,
    /// How many drivers needed so many rounds; at 0 are those of the fast path.
    pub rounds: Vec<u64>,
    /// How many heroes were mute at the end.
    pub mute: usize,
    /// How many had stopped because of their disks.
    pub stopped: usize,
    /// How many faults befell the world before the last letter was said.
    pub faults_in_time: usize,
    /// How many lives of heroes were not their first.
    pub later_lives: u64,
}

/// What all hosts of a world share with who watches them.
#[derive(Debug)]
struct Stage {
    config: Config,
    seed: u64,
    carrier: Carrier,
    fates: [Fate; PEERS],
    oracle: RefCell<Oracle>,
    seats: Vec<Seat>,
    /// Who has taken a step since they were looked at.
    stepped: RefCell<Vec<usize>>,
    faults_in_time: Cell<usize>,
}

/// What is known of a hero.
#[derive(Debug, Default)]
struct Seat {
    lives: Cell<u64>,
    /// He has had a log.
    is_born: Cell<bool>,
    /// His log was thrown away.
    is_lost: Cell<bool>,
    /// His log has failed.
    is_stopped: Cell<bool>,
    peer: RefCell<Option<Rc<RefCell<Peer>>>>,
}

/// Runs the world of a plan. `remove`: ends this hero for ever when so much has happened.
///
/// # Errors
///
/// What the oracle saw that must not be, or who did not finish in time.
pub fn run(plan: &Plan, remove: Option<(usize, u64)>) -> Result<Outcome, String> {
    let stage = Rc::new(Stage::new(plan));
    let mut sim = Sim::new(plan.seed);
    for hero in 0..PEERS {
        let stage = Rc::clone(&stage);
        sim.host(&host(hero), move || live(Rc::clone(&stage), hero));
    }
    prepare_disks(&mut sim, plan);
    let watched = Rc::clone(&stage);
    sim.every_event(move |_| watched.look());
    for (moment, fault) in &plan.faults {
        let (stage, fault) = (Rc::clone(&stage), fault.clone());
        sim.at(*moment, move |sim| stage.befall(sim, &fault));
    }
    if let Some((hero, events)) = remove {
        let stage = Rc::clone(&stage);
        sim.at_event(events, move |sim| stage.befall(sim, &Fault::Crash(hero)));
    }
    let failed = |failure: Failure| failure.to_string();
    sim.run_for(plan.end).map_err(failed)?;
    stage.mend(&mut sim);
    let last = sim.elapsed() + BOUND;
    while !stage.is_finished(&sim) {
        if sim.elapsed() >= last {
            return Err(stage.late(&sim));
        }
        sim.run_for(LOOK).map_err(failed)?;
    }
    Ok(stage.outcome(&sim))
}

fn prepare_disks(sim: &mut Sim, plan: &Plan) {
    let sync_max = plan.sync_max;
    sim.disk(|disks| _ = disks.sync_time(sync_max / 20..sync_max));
    for (hero, fate) in plan.fates.iter().enumerate() {
        sim.disk_of(&host(hero), |disks| match fate {
            Fate::FlippedBits => _ = disks.bit_flips(0.1),
            Fate::FailingSyncs => _ = disks.sync_errors(0.02),
            Fate::Lives | Fate::Dies | Fate::LosesLog => {}
        });
    }
}

impl Stage {
    fn new(plan: &Plan) -> Stage {
        let mut config = Config::new(PEERS, RUSSIAN_ALPHABET).expect("a circle and a word");
        config.strict = plan.is_strict;
        // There and back, and a sync on either side.
        config.round_trip = 2_000 + 2 * plan.sync_max.as_micros() as u64;
        config.patience = match plan.is_impatient {
            true => config.round_trip,
            false => 5 * config.round_trip,
        };
        config.roll_patience = 10 * config.round_trip;
        Stage {
            oracle: RefCell::new(Oracle::new(config.clone())),
            config,
            seed: plan.seed,
            carrier: plan.carrier,
            fates: plan.fates,
            seats: (0..PEERS).map(|_| Seat::default()).collect(),
            stepped: RefCell::new(Vec::new()),
            faults_in_time: Cell::new(0),
        }
    }

    /// The draws of the life that a hero begins.
    fn begin_life(&self, hero: usize) -> Draws {
        let seat = &self.seats[hero];
        let life = seat.lives.replace(seat.lives.get() + 1);
        Draws::stream(self.seed, LIVES + (life << 8) + hero as u64)
    }

    /// Something has happened: what do those who took part know now?
    fn look(&self) {
        for hero in self.stepped.take() {
            if let Some(peer) = &*self.seats[hero].peer.borrow() {
                self.oracle.borrow_mut().looks_at(hero, &peer.borrow());
            }
        }
    }

    fn befall(&self, sim: &mut Sim, fault: &Fault) {
        if self.oracle.borrow().transcript().len() < self.config.word.len() {
            self.faults_in_time.set(self.faults_in_time.get() + 1);
        }
        match fault {
            Fault::Crash(hero) => {
                sim.crash(&host(*hero));
                if self.fates[*hero] == Fate::LosesLog {
                    self.seats[*hero].is_lost.set(true);
                }
            }
            Fault::Restart(hero) => self.restart(sim, *hero),
            Fault::Split(sides) => {
                for one in 0..PEERS {
                    for other in (0..one).filter(|other| sides[*other] != sides[one]) {
                        sim.partition(&host(one), &host(other));
                    }
                }
            }
            Fault::Deafen(hero) => {
                for other in (0..PEERS).filter(|other| other != hero) {
                    sim.partition_one_way(&host(*hero), &host(other));
                }
            }
            Fault::Mend => sim.heal(),
            Fault::Loss(percent) => {
                let share = f64::from(*percent) / 100.0;
                sim.net(|ways| _ = ways.loss(share).duplication(share));
            }
            Fault::Stall(hero) => {
                let (shortest, longest) = (Duration::from_millis(5), Duration::from_millis(200));
                sim.disk_of(&host(*hero), |disks| {
                    _ = disks.stalls(0.3, shortest..longest)
                });
            }
        }
    }

    /// A hero who is down begins another life, unless he is lost for ever.
    fn restart(&self, sim: &mut Sim, hero: usize) {
        let is_over = self.seats[hero].is_stopped.get() || self.fates[hero] == Fate::Dies;
        if !is_over && !sim.is_running(&host(hero)) {
            sim.bounce(&host(hero));
        }
    }

    /// Nothing goes wrong any more, and everybody is back who can be.
    fn mend(&self, sim: &mut Sim) {
        sim.heal();
        sim.net(|ways| _ = ways.loss(0.0).duplication(0.0));
        sim.disk(|disks| {
            let nothing = Duration::ZERO..Duration::ZERO;
            disks.stalls(0.0, nothing).sync_errors(0.0).bit_flips(0.0);
        });
        for hero in 0..PEERS {
            self.restart(sim, hero);
        }
    }

    /// A majority runs, and whoever does has heard the whole word.
    fn is_finished(&self, sim: &Sim) -> bool {
        let enough = self.running(sim).count() >= self.config.majority();
        enough && self.running(sim).all(|hero| self.has_finished(hero))
    }

    fn running(&self, sim: &Sim) -> impl Iterator<Item = usize> {
        (0..PEERS).filter(|hero| sim.is_running(&host(*hero)))
    }

    fn has_finished(&self, hero: usize) -> bool {
        let peer = self.seats[hero].peer.borrow();
        peer.as_ref()
            .is_some_and(|peer| peer.borrow().is_finished())
    }

    /// L1: somebody is late.
    fn late(&self, sim: &Sim) -> String {
        let now = sim.elapsed();
        let late: Vec<String> = self
            .running(sim)
            .filter(|hero| !self.has_finished(*hero))
            .map(|hero| match &*self.seats[hero].peer.borrow() {
                Some(peer) => format!(
                    "{}: {}",
                    host(hero),
                    peer.borrow().waiting(now.as_micros() as u64)
                ),
                None => format!("{} has not even begun", host(hero)),
            })
            .collect();
        format!(
            "L1: {BOUND:?} after all was mended {} have not finished: {}",
            late.len(),
            late.join("; ")
        )
    }

    fn outcome(&self, sim: &Sim) -> Outcome {
        let oracle = self.oracle.borrow();
        let lives = self.seats.iter();
        Outcome {
            trace_hash: sim.trace_hash(),
            events: sim.events(),
            elapsed: sim.elapsed(),
            rounds: oracle.rounds().to_vec(),
            mute: (0..PEERS).filter(|hero| oracle.is_mute(*hero)).count(),
            stopped: self
                .seats
                .iter()
                .filter(|seat| seat.is_stopped.get())
                .count(),
            faults_in_time: self.faults_in_time.get(),
            later_lives: lives.map(|seat| seat.lives.get().saturating_sub(1)).sum(),
        }
    }
}

/// What runs on the host of a hero: one life.
async fn live(stage: Rc<Stage>, hero: usize) {
    if let Err(error) = try_to_live(&stage, hero).await {
        assert_eq!(
            stage.fates[hero],
            Fate::FailingSyncs,
            "a disk without flaws has failed: {error}"
        );
        stage.seats[hero].is_stopped.set(true);
    }
}

async fn try_to_live(stage: &Rc<Stage>, hero: usize) -> io::Result<()> {
    let seat = &stage.seats[hero];
    seat.peer.take();
    let mut draws = stage.begin_life(hero);
    let random = Random::new(draws.draw(), PEERS - 1);
    let folder = Path::new(FOLDER);
    if seat.is_lost.get() {
        log::remove(folder).await?;
    }
    let life = match seat.is_born.get() {
        true => Life::Later,
        false => Life::First,
    };
    let config = stage.config.clone();
    let (peer, log) = match Log::open(folder, PEERS, life).await? {
        Opened::Whole { log, records } => {
            seat.is_born.set(true);
            stage.oracle.borrow_mut().reloads(hero, &records);
            (Peer::restart(config, random, records), Some(log))
        }
        Opened::Damaged(why) => {
            let may_be = [Fate::FlippedBits, Fate::LosesLog].contains(&stage.fates[hero]);
            assert!(may_be, "the log of a disk without flaws: {why}");
            (Peer::mute(config, random), None)
        }
    };
    stage.oracle.borrow_mut().restarts(hero, &peer);
    let peer = Rc::new(RefCell::new(peer));
    seat.peer.replace(Some(Rc::clone(&peer)));
    let ways = ways(stage.carrier, hero, PEERS, &mut draws).await?;
    let eye = Eye {
        stage: Rc::clone(stage),
        hero,
    };
    Err(Node::new(peer, ways, krug::time::now(), log, eye)
        .run()
        .await)
}

/// The oracle's eye on one hero.
struct Eye {
    stage: Rc<Stage>,
    hero: usize,
}

impl Observer for Eye {
    fn loses_next(&mut self, _: Port) -> bool {
        false
    }

    fn stepped(&mut self, _: &Peer, learned: &[Effect]) {
        self.stage.stepped.borrow_mut().push(self.hero);
        let mut oracle = self.stage.oracle.borrow_mut();
        learned
            .iter()
            .for_each(|effect| oracle.learned(self.hero, effect));
    }

    fn persisted(&mut self, records: &[LogRecord]) {
        self.stage.oracle.borrow_mut().persists(self.hero, records);
    }

    fn says(&mut self, message: &Message) {
        self.stage.oracle.borrow_mut().says(self.hero, message);
    }
}
