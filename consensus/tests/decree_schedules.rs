//! The bare decree under random schedules: packets are lost, doubled and delivered in any order, drivers crash and
//! begin anew, registers are cut off. Every invariant is checked at every event.
//!
//! `KRUG_SCHEDULES` says how many schedules each test runs (100 000 if it does not), `KRUG_SEED` runs one of them alone.

mod support;

use krug_consensus::core::decree::{Driver, FIRST_STEP, Progress, Ranks};
use krug_consensus::core::{Answer, Candidate, Port, Rank, Register, Step};
use support::{Chance, for_each_seed};

const STEPS_MAX: usize = 256;
const REGISTERS_MAX: usize = 5;

/// Few ranks, so that ties are common.
impl Ranks for Chance {
    fn rank(&mut self, _: Port) -> Rank {
        Rank(self.below(4) as u64)
    }
}

#[derive(Clone)]
enum Packet {
    Ask {
        hero: usize,
        attempt: u32,
        port: Port,
        step: Step,
        candidate: Candidate<u8>,
    },
    Answer {
        hero: usize,
        attempt: u32,
        port: Port,
        asked: Step,
        answer: Answer<u8>,
    },
}

/// A driver and its later lives.
struct Hero {
    attempt: u32,
    driver: Option<Driver<u8>>,
}

/// What the world knows and no peer does.
struct Oracle {
    majority: u32,
    owned: Option<u8>,
    proposed: u32,
    /// For each step, the values that were carried in it, one bit each.
    carried: Vec<u32>,
    /// For each step and candidate of phase 1, the registers that recorded it, one bit each.
    spread: Vec<(Step, Candidate<u8>, u32)>,
    decided: Option<(u8, Step)>,
    reached: u32,
}

struct World {
    chance: Chance,
    loss: usize,
    /// A register that hears nothing, for a while.
    cut_off: Option<usize>,
    owner: Option<usize>,
    registers: Vec<Option<Register<u8>>>,
    heroes: Vec<Hero>,
    network: Vec<Packet>,
    oracle: Oracle,
}

impl Oracle {
    fn new(registers: usize, owned: Option<u8>) -> Oracle {
        Oracle {
            majority: registers as u32 / 2 + 1,
            owned,
            proposed: 0,
            carried: vec![0; STEPS_MAX],
            spread: Vec::new(),
            decided: None,
            reached: 0,
        }
    }

    fn asks(&mut self, hero: usize, step: Step, candidate: &Candidate<u8>) {
        let value = candidate.value;
        assert!(
            self.proposed >> value & 1 == 1,
            "I5: nobody proposed {value}"
        );
        if candidate.rank == Rank::TOP {
            assert_eq!(
                Some(value),
                self.owned,
                "I9: the top rank with another value"
            );
            assert!(step < 8, "I9: the top rank again in step {step}");
            assert!(step > 4 || hero == 0, "I9: the top rank by somebody else");
        }
        if step % 4 == 2 {
            let holders = self.holders(step - 1, candidate).count_ones();
            assert!(
                holders >= self.majority,
                "I2: {holders} registers hold {candidate:?} of step {step}"
            );
        }
        if let Some((decided, from)) = self.decided {
            assert!(
                step < from || value == decided,
                "I3: {value} in step {step}, {decided} is decided"
            );
        }
        self.carried[step as usize] |= 1 << value;
    }

    fn holders(&mut self, step: Step, candidate: &Candidate<u8>) -> &mut u32 {
        let is_same =
            |known: &&(Step, Candidate<u8>, u32)| known.0 == step && known.1 == *candidate;
        let index = self
            .spread
            .iter()
            .position(|known| is_same(&known))
            .unwrap_or_else(|| {
                self.spread.push((step, candidate.clone(), 0));
                self.spread.len() - 1
            });
        &mut self.spread[index].2
    }

    fn records(
        &mut self,
        port: usize,
        asked: Step,
        candidate: &Candidate<u8>,
        register: &Register<u8>,
    ) {
        self.reached |= 1 << port;
        if asked % 4 == 1 && register.step == asked {
            *self.holders(asked, candidate) |= 1 << port;
        }
    }

    fn changes(before: Option<&Register<u8>>, after: &Register<u8>) {
        assert!(
            after.best >= after.first,
            "I1: best below first in {after:?}"
        );
        let Some(before) = before else { return };
        assert!(
            after.step >= before.step,
            "I1: from {before:?} to {after:?}"
        );
        match after.step - before.step {
            0 => {
                assert_eq!(after.first, before.first, "I1: first changed within a step");
                assert_eq!(after.prev, before.prev, "I1: prev changed within a step");
                assert!(after.best >= before.best, "I1: best fell within a step");
            }
            1 => assert_eq!(
                after.prev.as_ref(),
                Some(&before.best),
                "I1: prev is not the last best"
            ),
            _ => {}
        }
    }

    fn decides(&mut self, value: u8, step: Step, fast: bool) {
        assert!(
            self.reached.count_ones() >= self.majority,
            "I12: a minority decided"
        );
        let from = if fast { step + 1 } else { step / 4 * 4 + 4 };
        let (known, known_from) = *self.decided.get_or_insert((value, from));
        assert_eq!(value, known, "I4: two decisions");
        self.decided = Some((known, from.min(known_from)));
        for (step, &values) in self.carried.iter().enumerate().skip(from as usize) {
            assert_eq!(
                values & !(1 << value),
                0,
                "I3: another value in step {step}"
            );
        }
    }
}

impl World {
    fn new(seed: u64, with_owner: bool) -> World {
        let mut chance = Chance::new(seed);
        let registers = 3 + chance.below(REGISTERS_MAX - 2);
        let heroes = 2 + chance.below(2);
        let loss = [0, 5, 20][chance.below(3)];
        let owner = with_owner.then_some(0);
        let mut world = World {
            loss,
            cut_off: chance.percent(30).then(|| chance.below(registers)),
            owner,
            registers: vec![None; registers],
            heroes: (0..heroes)
                .map(|_| Hero {
                    attempt: 0,
                    driver: None,
                })
                .collect(),
            network: Vec::new(),
            oracle: Oracle::new(registers, owner.map(|owner| owner as u8)),
            chance,
        };
        for hero in 0..heroes {
            if hero == 0 || world.chance.percent(80) {
                world.begin(hero);
            }
        }
        world
    }

    /// A new life. The owner proposes what he always does, others perhaps something else.
    fn begin(&mut self, hero: usize) {
        let is_owner = self.owner == Some(hero);
        let other = (hero + 4 * self.chance.below(2)) as u8;
        let value = if is_owner { hero as u8 } else { other };
        self.oracle.proposed |= 1 << value;
        self.heroes[hero].attempt += 1;
        let driver = Driver::new(self.registers.len(), value, is_owner, &mut self.chance);
        self.heroes[hero].driver = Some(driver);
        self.ask(hero, true);
    }

    fn ask(&mut self, hero: usize, all: bool) {
        let Hero {
            attempt,
            driver: Some(driver),
        } = &self.heroes[hero]
        else {
            return;
        };
        for port in (0..self.registers.len()).map(Port) {
            if all || !driver.has_answered(port) {
                let (attempt, step, candidate) = (*attempt, driver.step(), driver.candidate(port));
                self.oracle.asks(hero, step, &candidate);
                self.network.push(Packet::Ask {
                    hero,
                    attempt,
                    port,
                    step,
                    candidate,
                });
            }
        }
    }

    fn receive(&mut self, packet: Packet) {
        match packet {
            Packet::Ask {
                hero,
                attempt,
                port,
                step,
                candidate,
            } => {
                if self.cut_off == Some(port.0) {
                    return;
                }
                let register = &mut self.registers[port.0];
                let before = register.clone();
                let register = match register {
                    Some(register) => {
                        register.record(step, candidate.clone());
                        register
                    }
                    None => register.insert(Register::new(step, candidate.clone())),
                };
                Oracle::changes(before.as_ref(), register);
                self.oracle.records(port.0, step, &candidate, register);
                let answer = register.answer();
                self.network.push(Packet::Answer {
                    hero,
                    attempt,
                    port,
                    asked: step,
                    answer,
                });
            }
            Packet::Answer {
                hero,
                attempt,
                port,
                asked,
                answer,
            } => {
                if self.heroes[hero].attempt == attempt {
                    self.take(hero, port, asked, answer);
                }
            }
        }
    }

    fn take(&mut self, hero: usize, port: Port, asked: Step, answer: Answer<u8>) {
        let Some(driver) = &mut self.heroes[hero].driver else {
            return;
        };
        let step = driver.step();
        match driver.take(port, asked, answer, &mut self.chance) {
            Progress::None => {}
            Progress::Advanced | Progress::Jumped => {
                assert!((driver.step() as usize) < STEPS_MAX, "no end in sight");
                self.ask(hero, true);
            }
            Progress::Decided { value, fast } => {
                assert!(
                    !fast || step == FIRST_STEP,
                    "a fast decision in step {step}"
                );
                self.oracle.decides(value, step, fast);
                self.heroes[hero].driver = None;
            }
        }
    }

    fn random_event(&mut self) {
        let dice = self.chance.below(100);
        let hero = self.chance.below(self.heroes.len());
        if dice < 2 {
            self.begin(hero);
        } else if dice < 3 {
            self.cut_off = self
                .chance
                .percent(50)
                .then(|| self.chance.below(self.registers.len()));
        } else if dice < 6 || self.network.is_empty() {
            self.ask(hero, false);
        } else {
            let index = self.chance.below(self.network.len());
            if self.chance.percent(self.loss) {
                self.network.swap_remove(index);
            } else if self.chance.percent(8) {
                self.receive(self.network[index].clone());
            } else {
                let packet = self.network.swap_remove(index);
                self.receive(packet);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.heroes.iter().all(|hero| hero.driver.is_none())
    }

    /// Runs to the end; returns what was decided and after how many events.
    fn run(mut self) -> (u8, usize) {
        let mut events = 0;
        while events < 120 && !self.is_over() {
            self.random_event();
            events += 1;
        }
        // The world heals: nothing is lost any more, and whoever drives, or begins to, must come to an end.
        self.cut_off = None;
        self.loss = 0;
        let late = self.chance.below(self.heroes.len());
        self.begin(late);
        while let Some(hero) = self.heroes.iter().position(|hero| hero.driver.is_some()) {
            assert!(events < 20_000, "healed, and still undecided");
            events += 1;
            if self.network.is_empty() {
                self.ask(hero, false);
            }
            let packet = self.chance.below(self.network.len());
            let packet = self.network.swap_remove(packet);
            self.receive(packet);
        }
        (
            self.oracle.decided.expect("somebody drove to the end").0,
            events,
        )
    }
}

fn random_schedules_keep_the_invariants(with_owner: bool) {
    let (mut decided, mut events, mut schedules) = ([0u32; 8], 0, 0);
    for_each_seed("KRUG_SCHEDULES", 100_000, |seed| {
        let (value, took) = World::new(seed, with_owner).run();
        decided[usize::from(value)] += 1;
        events += took;
        schedules += 1;
    });
    println!("{schedules} schedules, {events} events, decisions by value: {decided:?}");
}

#[test]
fn random_schedules_keep_the_invariants_with_the_fast_path() {
    random_schedules_keep_the_invariants(true);
}

#[test]
fn random_schedules_keep_the_invariants_without_the_fast_path() {
    random_schedules_keep_the_invariants(false);
}

/// L2. Everybody drives at once, nothing is lost: the hardest contention there is.
#[test]
fn a_decree_takes_fewer_than_seven_steps_on_average_and_rarely_many_rounds() {
    let (mut steps, mut drivers, mut rounds) = (0, 0, [0u32; 64]);
    for_each_seed("KRUG_DECREES", 5_000, |seed| {
        let mut chance = Chance::new(seed);
        let mut wide = Chance::new(!seed);
        let ranks = &mut Wide(&mut wide);
        let mut registers = vec![None::<Register<u8>>; 5];
        let mut heroes: Vec<_> = (0..5)
            .map(|value| Some(Driver::new(5, value, false, ranks)))
            .collect();
        let mut network: Vec<(usize, Port)> =
            (0..25).map(|pair| (pair / 5, Port(pair % 5))).collect();
        while !network.is_empty() {
            let (hero, port) = network.swap_remove(chance.below(network.len()));
            let Some(driver) = &mut heroes[hero] else {
                continue;
            };
            let (step, candidate) = (driver.step(), driver.candidate(port));
            let register =
                registers[port.0].get_or_insert_with(|| Register::new(step, candidate.clone()));
            register.record(step, candidate);
            match driver.take(port, step, register.answer(), ranks) {
                Progress::None => {}
                Progress::Advanced | Progress::Jumped => {
                    network.retain(|&(asker, _)| asker != hero);
                    network.extend((0..5).map(|port| (hero, Port(port))));
                }
                Progress::Decided { .. } => {
                    steps += step - FIRST_STEP + 1;
                    drivers += 1;
                    rounds[step as usize / 4] += 1;
                    heroes[hero] = None;
                }
            }
        }
    });
    let mean = f64::from(steps) / f64::from(drivers);
    println!(
        "mean {mean:.2} steps; decisions by round {:?}",
        &rounds[..10]
    );
    assert!(mean < 7.0, "{mean} steps on average");
    for more_than in 1..10 {
        let longer: u32 = rounds[more_than + 1..].iter().sum();
        let share = f64::from(longer) / f64::from(drivers);
        assert!(
            share < 0.5f64.powi(more_than as i32),
            "{share} of decrees take more than {more_than} rounds"
        );
    }
}

struct Wide<'a>(&'a mut Chance);

impl Ranks for Wide<'_> {
    fn rank(&mut self, _: Port) -> Rank {
        Rank::drawn(self.0.next())
    }
}
