//! How busy a core is, whoever is on it: a server may be of many processes.

use std::fs;

/// Of one core, in units of the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticks {
    busy: u64,
    all: u64,
}

impl Ticks {
    /// So far; nothing if the kernel does not say.
    pub(super) fn of(core: usize) -> Option<Ticks> {
        ticks_in(&fs::read_to_string("/proc/stat").ok()?, core)
    }

    /// The share of the time since then for which it was busy.
    pub(super) fn load_since(self, before: Ticks) -> f64 {
        let all = self.all.saturating_sub(before.all);
        self.busy.saturating_sub(before.busy) as f64 / all as f64
    }
}

fn ticks_in(text: &str, core: usize) -> Option<Ticks> {
    let name = format!("cpu{core}");
    let mut lines = text.lines().map(str::split_whitespace);
    let words = lines.find_map(|mut words| (words.next() == Some(&name)).then_some(words))?;
    // Time of guests is in that of users already.
    let ticks: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
    let all = ticks.iter().sum();
    let (idle, waiting) = (ticks.get(3)?, ticks.get(4)?);
    Some(Ticks {
        busy: all - idle - waiting,
        all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_busy_when_it_neither_idles_nor_waits_for_a_disk() {
        let text = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu1 1 2 3 10 20 4 5 6 7 8\ncpu10 1 1 1 1 1\nintr 5";
        let one = ticks_in(text, 1).unwrap();
        assert_eq!((one.busy, one.all), (21, 51));
        assert_eq!(ticks_in(text, 10), Some(Ticks { busy: 3, all: 5 }));
        assert_eq!(ticks_in(text, 0), None);
        let later = Ticks { busy: 24, all: 57 };
        assert_eq!(later.load_since(one), 0.5);
    }
}
