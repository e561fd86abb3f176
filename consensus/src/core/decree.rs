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
