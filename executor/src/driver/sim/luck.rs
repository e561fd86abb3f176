//! [`Luck`]: where bad luck comes from, and [`Faults`]: what it has brought, so that a run can be repeated with less of it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use super::world::Purpose;
use crate::random::Random;

thread_local! {
    /// What the next world of this thread has to suffer.
    static NEXT: RefCell<Suffering> = RefCell::default();
}

/// Names an occasion on which something went wrong: the how-many-eth it was of those that came from the same stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FaultId {
    pub(crate) purpose: Purpose,
    pub(crate) number: u32,
}

/// What went wrong, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) id: FaultId,
    pub(crate) moment: Duration,
    pub(crate) what: &'static str,
    /// It lasts for a time, which could be shorter.
    pub(crate) lasts: bool,
}

/// Which faults happen in a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suffering {
    /// No others than these do, and each lasts for its time divided by two so often. `None`: all do, as long as they may.
    pub(crate) only: Option<BTreeMap<FaultId, u32>>,
    /// What a test has planned and does not happen.
    pub(crate) spared: BTreeSet<u32>,
    /// Whether what happens is kept in mind.
    pub(crate) is_recorded: bool,
    /// It is for that only, and nothing is written down.
    pub(crate) is_rehearsal: bool,
}

/// Calls `make`; the world that it makes has this to suffer.
pub(crate) fn suffer<T>(suffering: Suffering, make: impl FnOnce() -> T) -> T {
    NEXT.set(suffering);
    let made = make();
    NEXT.take();
    made
}

/// What goes wrong in a world.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    suffering: Suffering,
    now: Cell<Duration>,
    plans: Cell<u32>,
    met: RefCell<Vec<Fault>>,
}

impl Faults {
    pub(super) fn of_thread() -> Rc<Faults> {
        Rc::new(Faults {
            suffering: NEXT.take(),
            ..Faults::default()
        })
    }

    pub(super) fn is_rehearsal(&self) -> bool {
        self.suffering.is_rehearsal
    }

    pub(super) fn advance_to(&self, moment: Duration) {
        self.now.set(moment);
    }

    /// Whether this one happens, and by how many halvings shorter.
    fn befalls(&self, id: FaultId, what: &'static str, lasts: bool) -> Option<u32> {
        let shorter = match &self.suffering.only {
            None => 0,
            Some(only) => *only.get(&id)?,
        };
        self.record(id, what, lasts);
        Some(shorter)
    }

    fn record(&self, id: FaultId, what: &'static str, lasts: bool) {
        if self.suffering.is_recorded {
            let moment = self.now.get();
            self.met.borrow_mut().push(Fault {
                id,
                moment,
                what,
                lasts,
            });
        }
    }

    /// Whether something happens that a test has planned.
    pub(crate) fn plan_befalls(&self) -> bool {
        let number = self.plans.replace(self.plans.get() + 1);
        if self.suffering.spared.contains(&number) {
            return false;
        }
        let purpose = Purpose::Plan;
        self.record(FaultId { purpose, number }, "what the test planned", false);
        true
    }

    /// What was planned last is no fault: it has mended something.
    pub(crate) fn forget_plan(&self) {
        let mut met = self.met.borrow_mut();
        if let Some(last) = met
            .iter()
            .rposition(|fault| fault.id.purpose == Purpose::Plan)
        {
            met.remove(last);
        }
    }

    pub(crate) fn take_met(&self) -> Vec<Fault> {
        self.met.take()
    }
}

/// A random stream that also brings bad luck.
pub(crate) struct Luck {
    random: Random,
    purpose: Purpose,
    /// How often it has struck, also if that came to nothing.
    struck: Cell<u32>,
    faults: Rc<Faults>,
}

impl Luck {
    pub(super) fn new(seed: u64, purpose: Purpose, faults: &Rc<Faults>) -> Luck {
        Luck {
            random: Random::of_stream(seed, purpose as u64, 0),
            purpose,
            struck: Cell::new(0),
            faults: Rc::clone(faults),
        }
    }

    #[cfg(test)]
    pub(super) fn of_test(seed: u64) -> Luck {
        Luck::new(seed, Purpose::Disk, &Faults::of_thread())
    }

    /// Whether it strikes, as it does in this share of the cases.
    #[inline]
    pub(super) fn strikes(&self, share: f64, what: &'static str) -> bool {
        self.random.chance(share) && self.befalls(what)
    }

    /// As [`strikes`](Luck::strikes), with a time that it takes; `None`: it does not.
    pub(super) fn strikes_for(
        &self,
        share: f64,
        time: Duration,
        what: &'static str,
    ) -> Option<Duration> {
        let shorter = self
            .random
            .chance(share)
            .then(|| self.count(what, true))??;
        Some(time / 2_u32.saturating_pow(shorter))
    }

    /// Whether what was drawn for somebody happens.
    pub(super) fn befalls(&self, what: &'static str) -> bool {
        self.count(what, false).is_some()
    }

    fn count(&self, what: &'static str, lasts: bool) -> Option<u32> {
        let number = self.struck.replace(self.struck.get() + 1);
        let purpose = self.purpose;
        self.faults
            .befalls(FaultId { purpose, number }, what, lasts)
    }
}

impl Deref for Luck {
    type Target = Random;

    fn deref(&self) -> &Random {
        &self.random
    }
}

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let purpose = names().find(|(_, purpose)| *purpose == self.purpose);
        write!(
            f,
            "{}:{}",
            purpose.map_or("", |(name, _)| name),
            self.number
        )
    }
}

/// By which names the streams are known that bring bad luck.
fn names() -> impl Iterator<Item = (&'static str, Purpose)> {
    [
        ("kernel", Purpose::Kernel),
        ("net", Purpose::Network),
        ("disk", Purpose::Disk),
        ("ring", Purpose::Faults),
        ("plan", Purpose::Plan),
    ]
    .into_iter()
}

impl Suffering {
    /// Reads what its `Display` writes; `None` if it is something else.
    pub(crate) fn parse(text: &str) -> Option<Suffering> {
        let mut suffering = Suffering {
            only: Some(BTreeMap::new()),
            ..Suffering::default()
        };
        for part in text.split(',').filter(|part| *part != "none") {
            let (name, rest) = part.split_once(':')?;
            let (number, shorter) = rest.split_once('/').unwrap_or((rest, "0"));
            let (number, shorter) = (number.parse().ok()?, shorter.parse().ok()?);
            if name == "!plan" {
                suffering.spared.insert(number);
                continue;
            }
            let (_, purpose) = names().find(|(known, _)| *known == name)?;
            if let Some(only) = &mut suffering.only {
                only.insert(FaultId { purpose, number }, shorter);
            }
        }
        Some(suffering)
    }
}

impl fmt::Display for Suffering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.only.iter().flatten().map(|(id, shorter)| {
            let shorter = match shorter {
                0 => String::new(),
                shorter => format!("/{shorter}"),
            };
            format!("{id}{shorter}")
        });
        let spared = self.spared.iter().map(|number| format!("!plan:{number}"));
        let parts: Vec<String> = faults.chain(spared).collect();
        match parts.is_empty() {
            true => f.write_str("none"),
            false => f.write_str(&parts.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_suffered_can_be_written_and_read() {
        let id = |purpose, number| FaultId { purpose, number };
        let suffering = Suffering {
            only: Some(BTreeMap::from([
                (id(Purpose::Network, 12), 0),
                (id(Purpose::Disk, 0), 4),
            ])),
            spared: BTreeSet::from([3]),
            ..Suffering::default()
        };
        let text = suffering.to_string();
        assert_eq!(text, "net:12,disk:0/4,!plan:3");
        assert_eq!(Suffering::parse(&text), Some(suffering));
        let nothing = Suffering::parse("none").unwrap();
        assert_eq!(nothing.only, Some(BTreeMap::new()));
        assert_eq!(nothing.to_string(), "none");
        for wrong in ["", "net", "net:", "net:x", "sea:1", "net:1/x", "net:1,,"] {
            assert_eq!(Suffering::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_those_strike_that_are_to_and_the_stream_stays_the_same() {
        let numbers = |suffering| {
            let faults = suffer(suffering, Faults::of_thread);
            let luck = Luck::new(7, Purpose::Network, &faults);
            let struck: Vec<bool> = (0..20)
                .map(|_| luck.strikes(0.5, "a packet is lost"))
                .collect();
            (struck, faults.take_met().len(), luck.next())
        };
        let recorded = Suffering {
            is_recorded: true,
            ..Suffering::default()
        };
        let (all, count, next) = numbers(recorded);
        assert_eq!(all.iter().filter(|struck| **struck).count(), count);
        assert!(count > 2);
        let (one, _, next_of_one) = numbers(Suffering::parse("net:1").unwrap());
        let second = all.iter().enumerate().filter(|(_, struck)| **struck).nth(1);
        let places: Vec<usize> = (0..20).filter(|place| one[*place]).collect();
        assert_eq!(places, [second.unwrap().0]);
        assert_eq!(next, next_of_one);
    }
}
