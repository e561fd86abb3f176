//! Every interleaving of two drivers and three registers that a small model can hold.
//!
//! The types are the production ones. A question and its answer are one action; the answer, or both, may be lost, and
//! a driver may crash and begin anew at any moment. Ranks are 1 or 2, chosen by the explorer and not by chance.
//! Random schedules hardly ever reach what this one always sees: a left-over `prev` that outbids a decision.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use krug_consensus::core::decree::{Driver, Progress, Ranks};
use krug_consensus::core::{Port, Rank, Register, Step};

const REGISTERS: usize = 3;

#[derive(Clone, Hash)]
struct State {
    registers: [Option<Register<u8>>; REGISTERS],
    drivers: [Option<Driver<u8>>; 2],
    decided: Option<Decision>,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Decision {
    value: u8,
    /// From here on no driver may carry another value.
    binds_from: Step,
}

/// Rank 1 or 2 for each port: one bit each.
struct Chosen(usize);

impl Ranks for Chosen {
    fn rank(&mut self, port: Port) -> Rank {
        Rank(1 + (self.0 as u64 >> port.0 & 1))
    }
}

/// 64 bits of a state. Two states with the same ones would be taken for one: among millions that is one in a million.
#[derive(Default)]
struct Fingerprint(u64);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }

    fn finish(&self) -> u64 {
        let mixed = self.0.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 32)
    }
}

const CHOICES: usize = 1 << REGISTERS;

struct Explorer {
    step_max: Step,
    owner: Option<usize>,
    crashes: bool,
    seen: HashSet<u64, BuildHasherDefault<Fingerprint>>,
    pending: Vec<State>,
    decisions: u64,
}

impl Explorer {
    fn explore(step_max: Step, owner: Option<usize>, crashes: bool) -> Explorer {
        let mut explorer = Explorer {
            step_max,
            owner,
            crashes,
            seen: HashSet::default(),
            pending: Vec::new(),
            decisions: 0,
        };
        for drivers in first_choices() {
            let drivers = [0, 1].map(|index| Some(explorer.driver(index, drivers[index])));
            explorer.reach(State {
                registers: [const { None }; REGISTERS],
                drivers,
                decided: None,
            });
        }
        while let Some(state) = explorer.pending.pop() {
            for driver in 0..2 {
                for port in 0..REGISTERS {
                    explorer.ask(&state, driver, Port(port));
                }
                if explorer.crashes {
                    explorer.crash(&state, driver);
                }
            }
        }
        explorer
    }

    fn driver(&self, index: usize, choice: usize) -> Driver<u8> {
        Driver::new(
            REGISTERS,
            index as u8,
            self.owner == Some(index),
            &mut Chosen(choice),
        )
    }

    fn reach(&mut self, state: State) {
        if state.decided.is_none() && !self.can_decide(&state) {
            return;
        }
        let mut fingerprint = Fingerprint(0);
        state.hash(&mut fingerprint);
        if self.seen.insert(fingerprint.finish()) {
            self.pending.push(state);
        }
    }

    /// Whether some driver has phase 2 before it, within the steps that are looked at.
    fn can_decide(&self, state: &State) -> bool {
        let last = self.step_max.saturating_sub(2) / 4 * 4 + 2;
        let mut drivers = state.drivers.iter().flatten();
        self.crashes || drivers.any(|driver| driver.step() <= last)
    }

    fn ask(&mut self, state: &State, index: usize, port: Port) {
        let Some(driver) = &state.drivers[index] else {
            return;
        };
        let (step, candidate) = (driver.step(), driver.candidate(port));
        if step > self.step_max {
            return;
        }
        let known = &state.registers[port.0];
        let mut register = known
            .clone()
            .unwrap_or_else(|| Register::new(step, candidate.clone()));
        let is_changed = register.record(step, candidate) || known.is_none();
        let answer = register.answer();
        if !is_changed && driver.has_answered(port) && answer.step == step {
            return;
        }
        let mut asked = state.clone();
        asked.registers[port.0] = Some(register);
        if is_changed {
            self.reach(asked.clone());
        }
        for choice in 0..CHOICES {
            let mut answered = asked.clone();
            let driver = answered.drivers[index].as_mut().expect("it asked");
            let progress = driver.take(port, step, answer.clone(), &mut Chosen(choice));
            let draws = !matches!(progress, Progress::None) && driver.step().is_multiple_of(4);
            if let Progress::Decided { value, fast } = progress {
                self.decide(
                    &mut answered,
                    index,
                    value,
                    if fast { step + 1 } else { step / 4 * 4 + 4 },
                );
            }
            check(&answered);
            self.reach(answered);
            if !draws {
                break;
            }
        }
    }

    fn decide(&mut self, state: &mut State, index: usize, value: u8, binds_from: Step) {
        self.decisions += 1;
        let known = state.decided.get_or_insert(Decision { value, binds_from });
        assert_eq!(known.value, value, "two decisions: {:?}", state.registers);
        state.drivers[index] = None;
    }

    fn crash(&mut self, state: &State, index: usize) {
        for choice in 0..CHOICES {
            let mut crashed = state.clone();
            crashed.drivers[index] = Some(self.driver(index, choice));
            self.reach(crashed);
        }
    }
}

/// After a decision there is no other value: so one more round would end in two decisions if this did not hold.
fn check(state: &State) {
    let Some(Decision { value, binds_from }) = state.decided else {
        return;
    };
    for driver in state.drivers.iter().flatten() {
        let carries = driver.candidate(Port(0)).value;
        let is_free = driver.step() < binds_from;
        assert!(
            is_free || carries == value,
            "{value} is decided, {driver:?} goes on; {:?}",
            state.registers
        );
    }
}

/// The ranks of both drivers in step 4. Registers are alike, so of all ways to number them one is enough.
fn first_choices() -> Vec<[usize; 2]> {
    let mut choices = Vec::new();
    for [a, b, c] in (0..64).map(|pairs| [pairs >> 4, pairs >> 2 & 3, pairs & 3]) {
        if a <= b && b <= c {
            choices.push(
                [0, 1].map(|driver| {
                    a >> driver & 1 | (b >> driver & 1) << 1 | (c >> driver & 1) << 2
                }),
            );
        }
    }
    choices
}

fn agreement_holds(step_max: Step, owner: Option<usize>, crashes: bool) {
    let explorer = Explorer::explore(step_max, owner, crashes);
    println!(
        "{} states, {} decisions",
        explorer.seen.len(),
        explorer.decisions
    );
    assert!(explorer.decisions > 0);
}

#[test]
fn no_interleaving_of_two_drivers_decides_two_values() {
    agreement_holds(7, None, false);
}

#[test]
fn no_interleaving_with_an_owner_decides_two_values() {
    agreement_holds(7, Some(0), false);
}

#[test]
fn no_interleaving_with_an_owner_that_crashes_decides_two_values() {
    agreement_holds(4, Some(0), true);
}
