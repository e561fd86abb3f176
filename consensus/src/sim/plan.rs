//! [`Plan`]: what goes wrong in a world, and when, drawn from its seed.
//!
//! First everything may go wrong, though never so much that less than a majority could go on afterwards; then all is
//! mended, and whoever lives must finish.

use std::fmt;
use std::time::Duration;

use super::Carrier;
use crate::program::draws::Draws;

/// How many heroes there are.
pub const PEERS: usize = 33;

/// So many may be lost for ever: dead, or with a log that nobody can trust any more.
pub const LOST_MAX: usize = (PEERS - 1) / 2;

/// The purpose of the draws, among all of a seed.
const PURPOSE: u64 = 5 << 32;

/// What may become of a hero in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// He is alive, and has his log.
    Lives,
    /// He is dead for ever.
    Dies,
    /// His disk flips bits: his log may be damaged, and he mute.
    FlippedBits,
    /// His log is thrown away while he is down, as if its disk had been replaced: he is mute from then on.
    LosesLog,
    /// Syncs of his disk fail now and then: he stops for ever when one does.
    FailingSyncs,
}

/// Something that is done to the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A hero's power fails.
    Crash(usize),
    /// A hero who is down begins another life.
    Restart(usize),
    /// Heroes on different sides hear nothing of each other; `true` is one side.
    Split([bool; PEERS]),
    /// One hero is heard by nobody, and hears everybody.
    Deafen(usize),
    /// All ways are whole again.
    Mend,
    /// So many packets of a hundred are lost, and so many datagrams come twice.
    Loss(u32),
    /// Everything on a hero's disk takes long.
    Stall(usize),
}

/// Everything about a world that its seed decides, but for what the world itself draws.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What everything follows from.
    pub seed: u64,
    /// What carries messages.
    pub carrier: Carrier,
    /// Nobody takes the fast path.
    pub is_strict: bool,
    /// Neighbours step in long before they should, so that many drive at once.
    pub is_impatient: bool,
    /// What becomes of each hero.
    pub fates: [Fate; PEERS],
    /// The longest that a sync takes, on a disk that does not stall.
    pub sync_max: Duration,
    /// What is done when, in this order.
    pub faults: Vec<(Duration, Fault)>,
    /// When all is mended.
    pub end: Duration,
}

/// How long a world goes wrong, at most.
const SAFETY: Duration = Duration::from_millis(1_200);

impl Plan {
    /// The plan of a storm.
    pub fn storm(seed: u64) -> Plan {
        let mut draws = Draws::stream(seed, PURPOSE);
        let mut plan = Plan::calm(seed, &mut draws);
        plan.draw_fates(&mut draws);
        for hero in 0..PEERS {
            plan.draw_crashes(hero, &mut draws);
        }
        for _ in 0..draws.below(3) {
            plan.draw_split(&mut draws);
        }
        for _ in 0..draws.below(3) {
            let begin = plan.moment(&mut draws);
            let share = [1, 5, 20][draws.below(3) as usize];
            plan.faults.push((begin, Fault::Loss(share)));
            let end = begin + below(Duration::from_millis(400), &mut draws);
            plan.faults.push((end, Fault::Loss(0)));
        }
        for _ in 0..draws.below(4) {
            let hero = draws.below(PEERS as u64) as usize;
            let moment = plan.moment(&mut draws);
            plan.faults.push((moment, Fault::Stall(hero)));
        }
        plan.faults.retain(|(moment, _)| *moment < plan.end);
        plan.faults.sort_by_key(|(moment, _)| *moment);
        plan
    }

    /// The plan of a world in which nothing goes wrong, over this carrier, with quick disks.
    pub fn undisturbed(seed: u64, carrier: Carrier) -> Plan {
        Plan {
            carrier,
            is_strict: false,
            is_impatient: false,
            sync_max: Duration::from_micros(500),
            end: Duration::ZERO,
            ..Plan::calm(seed, &mut Draws::stream(seed, PURPOSE))
        }
    }

    /// The plan of a world in which one hero is removed for ever, and nothing else goes wrong. When that is, the caller says.
    pub fn removal(seed: u64) -> (Plan, usize) {
        let mut draws = Draws::stream(seed, PURPOSE);
        let mut plan = Plan::calm(seed, &mut draws);
        plan.end = Duration::ZERO;
        let hero = draws.below(PEERS as u64) as usize;
        plan.fates[hero] = Fate::Dies;
        (plan, hero)
    }

    fn calm(seed: u64, draws: &mut Draws) -> Plan {
        Plan {
            seed,
            carrier: match draws.below(3) {
                0 => Carrier::Udp,
                _ => Carrier::Tcp,
            },
            is_strict: draws.below(5) == 0,
            is_impatient: draws.below(8) == 0,
            fates: [Fate::Lives; PEERS],
            sync_max: Duration::from_micros([500, 3_000, 10_000][draws.below(3) as usize]),
            faults: Vec::new(),
            end: SAFETY / 2 + below(SAFETY / 2, draws),
        }
    }

    fn draw_fates(&mut self, draws: &mut Draws) {
        let mut heroes: Vec<usize> = (0..PEERS).collect();
        draws.shuffle(&mut heroes);
        // All that may be lost, or only a few.
        let most = match draws.below(4) {
            0 => LOST_MAX,
            _ => draws.below(8) as usize,
        };
        for hero in heroes.into_iter().take(most) {
            self.fates[hero] = match draws.below(4) {
                0 => Fate::Dies,
                1 => Fate::FlippedBits,
                2 => Fate::LosesLog,
                _ => Fate::FailingSyncs,
            };
        }
    }

    /// Every life of a hero but the last ends with a crash.
    fn draw_crashes(&mut self, hero: usize, draws: &mut Draws) {
        let crashes = match self.fates[hero] {
            Fate::Dies => 1,
            Fate::FlippedBits | Fate::LosesLog => 1 + draws.below(2),
            Fate::Lives | Fate::FailingSyncs => draws.below(8).saturating_sub(5),
        };
        let mut moment = self.moment(draws);
        for _ in 0..crashes {
            self.faults.push((moment, Fault::Crash(hero)));
            if self.fates[hero] == Fate::Dies {
                return;
            }
            moment += below(Duration::from_millis(150), draws);
            self.faults.push((moment, Fault::Restart(hero)));
            moment += below(Duration::from_millis(300), draws);
        }
    }

    fn draw_split(&mut self, draws: &mut Draws) {
        let begin = self.moment(draws);
        let fault = match draws.below(3) {
            0 => Fault::Deafen(draws.below(PEERS as u64) as usize),
            1 => Fault::Split(std::array::from_fn(|_| draws.below(2) == 0)),
            // One side is a bare majority.
            _ => {
                let mut sides: [bool; PEERS] = std::array::from_fn(|hero| hero <= LOST_MAX);
                draws.shuffle(&mut sides);
                Fault::Split(sides)
            }
        };
        self.faults.push((begin, fault));
        let end = begin + below(Duration::from_millis(300), draws);
        self.faults.push((end, Fault::Mend));
    }

    fn moment(&self, draws: &mut Draws) -> Duration {
        below(self.end, draws)
    }

    /// How many heroes may be lost for ever, at most.
    pub fn lost(&self) -> usize {
        let fates = self.fates.iter();
        fates.filter(|fate| **fate != Fate::Lives).count()
    }
}

fn below(bound: Duration, draws: &mut Draws) -> Duration {
    Duration::from_nanos(draws.below(bound.as_nanos() as u64))
}

impl fmt::Display for Plan {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |is_it: fn(&Fault) -> bool| {
            let faults = self.faults.iter();
            faults.filter(|(_, fault)| is_it(fault)).count()
        };
        let carrier = match self.carrier {
            Carrier::Tcp => "TCP",
            Carrier::Udp => "UDP",
        };
        let crashes = count(|fault| matches!(fault, Fault::Crash(_)));
        let splits = count(|fault| matches!(fault, Fault::Split(_) | Fault::Deafen(_)));
        write!(
            f,
            "{carrier}, syncs up to {:?}, {} of {PEERS} may be lost, {crashes} crashes, {splits} splits, mended at {:?}",
            self.sync_max,
            self.lost(),
            self.end
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_can_always_go_on_and_every_kind_of_fault_is_drawn() {
        let mut kinds = [0; 7];
        let mut fates = [0; 5];
        for seed in 0..500 {
            let plan = Plan::storm(seed);
            assert!(plan.lost() <= LOST_MAX, "{plan}");
            assert!(plan.faults.is_sorted_by_key(|(moment, _)| *moment));
            for (moment, fault) in &plan.faults {
                assert!(*moment < plan.end);
                kinds[match fault {
                    Fault::Crash(_) => 0,
                    Fault::Restart(_) => 1,
                    Fault::Split(_) => 2,
                    Fault::Deafen(_) => 3,
                    Fault::Mend => 4,
                    Fault::Loss(_) => 5,
                    Fault::Stall(_) => 6,
                }] += 1;
            }
            plan.fates
                .iter()
                .for_each(|fate| fates[*fate as usize] += 1);
        }
        assert!(kinds.iter().all(|count| *count > 50), "{kinds:?}");
        assert!(fates.iter().all(|count| *count > 200), "{fates:?}");
    }

    #[test]
    fn the_same_seed_draws_the_same_plan() {
        let plan = |seed| format!("{:?}", Plan::storm(seed));
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
    }
}
