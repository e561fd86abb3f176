//! [`Again`]: what could not be done and is to be tried again after a pause.

use std::time::{Duration, Instant};

use super::Key;

/// Keys whose turn comes again after a pause.
#[derive(Debug)]
pub(super) struct Again {
    keys: Vec<Key>,
    /// When the pause of all of them is over.
    due: Option<Instant>,
    pause: Duration,
    /// The first pause, and the longest; each is twice as long as the one before.
    pauses: (Duration, Duration),
}

impl Again {
    pub(super) fn new(first: Duration, longest: Duration) -> Again {
        Again {
            keys: Vec::new(),
            due: None,
            pause: first,
            pauses: (first, longest),
        }
    }

    pub(super) fn add(&mut self, key: Key) {
        self.keys.push(key);
        let pause = self.pause;
        self.due.get_or_insert_with(|| Instant::now() + pause);
    }

    /// Those whose pause is over. What is added before the next look at the clock pauses longer.
    pub(super) fn take_due(&mut self) -> Vec<Key> {
        match self.due {
            None => self.pause = self.pauses.0,
            Some(due) if due > Instant::now() => {}
            Some(_) => {
                self.due = None;
                self.pause = (self.pause * 2).min(self.pauses.1);
                return std::mem::take(&mut self.keys);
            }
        }
        Vec::new()
    }

    /// `timeout`, or the rest of the pause if that is shorter.
    pub(super) fn shorten(&self, timeout: Option<Duration>) -> Option<Duration> {
        let Some(due) = self.due else { return timeout };
        let pause = due.saturating_duration_since(Instant::now());
        Some(timeout.map_or(pause, |timeout| timeout.min(pause)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::tests::key;

    #[test]
    fn what_fails_again_pauses_longer_and_what_is_new_does_not() {
        let (first, longest) = (Duration::from_micros(100), Duration::from_micros(300));
        let mut again = Again::new(first, longest);
        let mut pauses = Vec::new();
        for _ in 0..4 {
            again.add(key(1, 1));
            pauses.push(again.pause);
            while again.take_due().is_empty() {
                std::thread::sleep(Duration::from_micros(20));
            }
        }
        assert_eq!(pauses, [first, first * 2, longest, longest]);
        assert_eq!(again.take_due(), []);
        again.add(key(2, 1));
        assert_eq!(again.pause, first);
        assert!(again.shorten(None).is_some_and(|pause| pause <= first));
    }
}
