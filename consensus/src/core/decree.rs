//! How one thing is decided: an interval register at every peer, and drivers that write to all of them.
//!
//! The family is QSC and QuePaxa: no leader, no common coin, safe in full asynchrony, and everything may be lost,
//! doubled, reordered or sent again. Steps are numbered from 4; `step / 4` is the round, `step % 4` the phase.
//!
//! | phase | the driver sends to every port | when a majority has answered for this step |
//! |---|---|---|
//! | 0 | its value, with a fresh random rank for each port | take the greatest `first`; in step 4, if all carry the top rank: **decided** |
//! | 1 | its candidate | go on: the candidate is now known to a majority |
//! | 2 | its candidate | if it is the greatest `prev`, nobody can have a greater one: **decided** |
//! | 3 | its candidate | take the greatest `prev`; next round |
//!
//! In any phase an answer with a greater step ends this one: the driver adopts that answer's `first` and jumps there.
//!
//! # Why two drivers cannot decide differently
//!
//! A candidate of phase 2 was recorded by a majority in phase 1, so every majority that answers in phase 2 holds it
//! among its `prev`s: the driver that finds its own to be the greatest knows that no driver has a greater one, and it
//! has just recorded it at a majority. Whoever leaves phase 3 reads `prev` from a majority, meets it there, and takes
//! it along, because it is the greatest. From the next round on there is no other value. `prev` must be *exactly* the
//! greatest of the step before, and empty if that step was skipped: a left-over of an older step proves nothing.
//!
//! # The top rank
//!
//! At most one value per slot may carry [`Rank::TOP`], in step 4. If a majority saw it first, every driver that leaves
//! step 4 meets it and takes it, because nothing is greater. So that one value is settled in one round trip.

use super::Port;

/// The step of a driver or a register. Round `step / 4`, phase `step % 4`; the first is [`FIRST_STEP`].
pub type Step = u32;

/// Where every driver begins. Smaller steps are "nothing recorded yet".
pub const FIRST_STEP: Step = 4;

/// How a candidate fares against others. Drawn at random, but for the one on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank(pub u64);

impl Rank {
    /// Reserved for the owner's candidate in step 4.
    pub const TOP: Rank = Rank(u64::MAX);

    /// A random rank: never the top one.
    pub fn drawn(draw: u64) -> Rank {
        Rank(draw.min(Rank::TOP.0 - 1))
    }
}

/// Where a driver takes its random ranks from.
pub trait Ranks {
    /// A fresh rank for what is sent to this port. Never [`Rank::TOP`].
    fn rank(&mut self, port: Port) -> Rank;
}

/// A value and its rank. The value is part of the order: two candidates of equal rank are still one greater than the
/// other, for everybody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Candidate<V> {
    /// Compared first.
    pub rank: Rank,
    /// Compared second.
    pub value: V,
}

/// What a register tells a driver.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answer<V> {
    /// The step the register is at now: the driver's, or a greater one.
    pub step: Step,
    /// The first candidate it saw at that step.
    pub first: Candidate<V>,
    /// The greatest it saw at the step before, if it was at that step at all.
    pub prev: Option<Candidate<V>>,
}

/// One peer's memory of one decree. Must be durable before any answer leaves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Register<V> {
    /// Never falls.
    pub step: Step,
    /// The first candidate seen at `step`.
    pub first: Candidate<V>,
    /// The greatest candidate seen at `step`.
    pub best: Candidate<V>,
    /// The greatest candidate seen at `step - 1`, empty if the register was never at that step.
    pub prev: Option<Candidate<V>>,
}

impl<V: Clone + Ord> Register<V> {
    /// The register after its first candidate. A step it was not at has no greatest candidate.
    pub fn new(step: Step, candidate: Candidate<V>) -> Register<V> {
        Register {
            step,
            first: candidate.clone(),
            best: candidate,
            prev: None,
        }
    }

    /// Records a candidate. `false`: it changed nothing.
    pub fn record(&mut self, step: Step, candidate: Candidate<V>) -> bool {
        if step > self.step {
            let before = std::mem::replace(self, Register::new(step, candidate));
            // After a jump nothing is known about the step in between: a left-over would pass for its greatest.
            self.prev = if step - before.step == 1 {
                Some(before.best)
            } else {
                None
            };
            return true;
        }
        let greater = step == self.step && candidate > self.best;
        if greater {
            self.best = candidate;
        }
        greater
    }

    /// What it tells a driver, whatever that one asked. It may leave once the register is durable.
    pub fn answer(&self) -> Answer<V> {
        Answer {
            step: self.step,
            first: self.first.clone(),
            prev: self.prev.clone(),
        }
    }
}

/// What an answer did to a driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<V> {
    /// Nothing: it was late, doubled, or not yet the last one needed.
    None,
    /// The driver is at the next step: ask all ports.
    Advanced,
    /// The driver is at a later step, with the candidate of somebody who was there before: ask all ports.
    Jumped,
    /// It is done.
    Decided {
        /// The decision, for everybody and for ever.
        value: V,
        /// By the top rank, in one round trip.
        fast: bool,
    },
}

/// One attempt to decide. Nothing in it needs to survive a crash: a new driver learns from the registers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Driver<V> {
    majority: usize,
    step: Step,
    candidate: Candidate<V>,
    /// In phase 0, the rank for each port; else empty.
    ranks: Vec<Rank>,
    /// Which ports have answered for this step. Of their answers the greatest are all that matters.
    answered: Vec<bool>,
    first: Option<Candidate<V>>,
    prev: Option<Candidate<V>>,
    first_all_top: bool,
}

impl<V: Clone + Ord> Driver<V> {
    /// A driver that proposes `value` to `ports` registers, its own peer's among them.
    ///
    /// `owner` puts the value on top in step 4. There must be one owner per decree at most, and whenever it drives it
    /// must propose the same value, also in another life.
    pub fn new(ports: usize, value: V, owner: bool, ranks: &mut impl Ranks) -> Driver<V> {
        // A random rank comes with each port, below.
        let rank = if owner { Rank::TOP } else { Rank(0) };
        let mut driver = Driver {
            majority: ports / 2 + 1,
            step: FIRST_STEP,
            candidate: Candidate { rank, value },
            ranks: Vec::new(),
            answered: vec![false; ports],
            first: None,
            prev: None,
            first_all_top: true,
        };
        if !owner {
            driver.begin(FIRST_STEP, ranks);
        }
        driver
    }

    /// Where it is.
    pub fn step(&self) -> Step {
        self.step
    }

    /// What to send to this port, every time it is asked in this step.
    pub fn candidate(&self, port: Port) -> Candidate<V> {
        let rank = self
            .ranks
            .get(port.0)
            .copied()
            .unwrap_or(self.candidate.rank);
        Candidate {
            rank,
            value: self.candidate.value.clone(),
        }
    }

    /// Whether this port has answered for this step.
    pub fn has_answered(&self, port: Port) -> bool {
        self.answered[port.0]
    }

    /// How many ports have answered for this step.
    pub fn answers(&self) -> usize {
        self.answered.iter().filter(|&&answered| answered).count()
    }

    /// Takes the answer of `port` to what it was asked at step `asked`.
    ///
    /// The answer must be to *this* driver: one to an earlier driver of the same peer may speak of another candidate.
    pub fn take(
        &mut self,
        port: Port,
        asked: Step,
        answer: Answer<V>,
        ranks: &mut impl Ranks,
    ) -> Progress<V> {
        if answer.step > self.step {
            self.candidate = answer.first;
            self.begin(answer.step, ranks);
            return Progress::Jumped;
        }
        // An answer to an earlier step says nothing of what the register did with this step's candidate.
        if asked != self.step || answer.step != self.step || self.answered[port.0] {
            return Progress::None;
        }
        self.answered[port.0] = true;
        self.first_all_top &= answer.first.rank == Rank::TOP;
        self.first = self.first.take().max(Some(answer.first));
        self.prev = self.prev.take().max(answer.prev);
        if self.answers() < self.majority {
            return Progress::None;
        }
        self.conclude(ranks)
    }

    fn conclude(&mut self, ranks: &mut impl Ranks) -> Progress<V> {
        let (first, prev) = (self.first.take(), self.prev.take());
        match self.step % 4 {
            0 => {
                self.candidate = first.unwrap_or_else(|| self.candidate.clone());
                if self.step == FIRST_STEP && self.first_all_top {
                    return self.decided(true);
                }
            }
            2 if prev.as_ref() == Some(&self.candidate) => return self.decided(false),
            // It is never empty here: the majority of phase 2 holds what phase 2 recorded.
            3 => self.candidate = prev.unwrap_or_else(|| self.candidate.clone()),
            _ => {}
        }
        self.begin(self.step.saturating_add(1), ranks);
        Progress::Advanced
    }

    fn decided(&self, fast: bool) -> Progress<V> {
        Progress::Decided {
            value: self.candidate.value.clone(),
            fast,
        }
    }

    fn begin(&mut self, step: Step, ranks: &mut impl Ranks) {
        self.step = step;
        self.ranks.clear();
        if step.is_multiple_of(4) {
            self.ranks
                .extend((0..self.answered.len()).map(|port| ranks.rank(Port(port))));
        }
        self.answered.fill(false);
        self.first = None;
        self.prev = None;
        self.first_all_top = true;
    }
}

#[cfg(test)]
mod tests;
