//! Counts operations within a window of time, with their latencies and what they cost.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::floor::system;

/// When to count, and when to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// The clock is read at every so many operations: at each, it would be a part of what is measured
    /// where an operation takes less than a microsecond.
    pub(crate) stride: u64,
    /// It ends after so many operations, whatever the time.
    pub(crate) operations_max: u64,
}

/// That an operation has begun, and when, if its latency is to be known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun(Option<Instant>);

/// Tells one worker whether to go on, and counts what it does.
#[derive(Debug)]
pub(crate) struct Meter {
    pace: Pace,
    created: Instant,
    /// There are others, whose windows are the same.
    is_one_of_several: bool,
    begun: u64,
    finished: u64,
    window: Option<Window>,
    is_over: bool,
    latencies: Histogram<u32>,
}

#[derive(Debug)]
struct Window {
    opened: Instant,
    finished_before: u64,
    busy_before: Duration,
    /// The count, the time, and how long the process was on processors meanwhile, once it is closed.
    seen: Option<(u64, Duration, Duration)>,
}

impl Meter {
    pub(crate) fn new(pace: Pace) -> Meter {
        Meter {
            pace,
            created: Instant::now(),
            is_one_of_several: false,
            begun: 0,
            finished: 0,
            window: None,
            is_over: false,
            // From a nanosecond to a minute, to the percent.
            latencies: Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("these are bounds"),
        }
    }

    /// For one of so many workers that began to work at this moment and know nothing of each other. All count within the same
    /// window, whether they are on a processor at its edges or not, and share the bound of operations.
    pub(crate) fn of_several(pace: Pace, workers: usize, began: Instant) -> Meter {
        Meter {
            created: began,
            is_one_of_several: true,
            ..Meter::new(Pace {
                operations_max: pace.operations_max.div_ceil(workers as u64),
                ..pace
            })
        }
    }

    /// Begins another operation, unless it is time to end.
    pub(crate) fn begin(&mut self) -> Option<Begun> {
        self.begin_by(Instant::now)
    }

    fn begin_by(&mut self, clock: impl FnOnce() -> Instant) -> Option<Begun> {
        if self.is_over || self.begun >= self.pace.operations_max {
            return None;
        }
        let begun = if self.begun.is_multiple_of(self.pace.stride) {
            let now = clock();
            self.look_at(now);
            if self.is_over {
                return None;
            }
            Some(now)
        } else {
            None
        };
        self.begun += 1;
        Some(Begun(begun))
    }

    /// An operation has ended well.
    pub(crate) fn end(&mut self, Begun(begun): Begun) {
        self.finished += 1;
        if let (Some(begun), Some(_)) = (begun, &self.window) {
            let nanoseconds = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.latencies.saturating_record(nanoseconds.max(1));
        }
    }

    /// Opens the window after the warm-up. Closes it when the time is over and something was counted, so
    /// that a slow machine gives a small number and not none.
    fn look_at(&mut self, now: Instant) {
        let opens = self.created + self.pace.warm_up;
        match &self.window {
            None if now >= opens => {
                let opened = if self.is_one_of_several { opens } else { now };
                self.window = Some(Window {
                    opened,
                    finished_before: self.finished,
                    busy_before: system::process_time(),
                    seen: None,
                });
            }
            Some(window)
                if now - window.opened >= self.pace.measured
                    && self.finished > window.finished_before =>
            {
                self.close(now);
            }
            _ => {}
        }
    }

    fn close(&mut self, now: Instant) {
        self.is_over = true;
        let Some(window) = &mut self.window else {
            return;
        };
        let count = self.finished - window.finished_before;
        let mut elapsed = now - window.opened;
        if self.is_one_of_several && count > 1 {
            // What is later than the end was spent waiting for a processor that another one had.
            elapsed = elapsed.min(self.pace.measured);
        }
        let busy = system::process_time().saturating_sub(window.busy_before);
        window.seen.get_or_insert((count, elapsed, busy));
    }

    pub(crate) fn measured(mut self) -> Measured {
        self.close(Instant::now());
        let seen = self.window.and_then(|window| window.seen);
        let (rate, load) = seen.map_or((0.0, 0.0), |(count, elapsed, busy)| {
            let seconds = elapsed.as_secs_f64().max(1e-9);
            (count as f64 / seconds, busy.as_secs_f64() / seconds)
        });
        Measured {
            operations: self.finished,
            rate,
            load,
            latencies: Some(self.latencies),
            calls: None,
        }
    }
}

/// What one run came to.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// All that were finished, those of the warm-up too.
    pub(crate) operations: u64,
    /// A second, within the window.
    pub(crate) rate: f64,
    /// How many processors were busy with it, meanwhile.
    pub(crate) load: f64,
    /// In nanoseconds; where they are known.
    pub(crate) latencies: Option<Histogram<u32>>,
    /// System calls for all operations, where they are counted.
    pub(crate) calls: Option<u64>,
}

impl Measured {
    /// What several workers of one process have done side by side, for which it was so long on processors.
    pub(crate) fn together(workers: Vec<Measured>, busy: Duration) -> Measured {
        let rate = workers.iter().map(|one| one.rate).sum::<f64>();
        let operations: u64 = workers.iter().map(|one| one.operations).sum();
        let mut together = Measured {
            operations,
            rate,
            load: busy.as_secs_f64() / operations.max(1) as f64 * rate,
            latencies: None,
            calls: workers.iter().map(|one| one.calls).sum(),
        };
        for latencies in workers.into_iter().filter_map(|one| one.latencies) {
            match &mut together.latencies {
                None => together.latencies = Some(latencies),
                Some(all) => all.add(latencies).expect("the bounds are the same"),
            }
        }
        together
    }

    /// Microseconds on processors for each operation.
    pub(crate) fn cpu_us(&self) -> f64 {
        if self.rate > 0.0 {
            self.load / self.rate * 1e6
        } else {
            0.0
        }
    }

    /// In microseconds; nothing if none was recorded.
    pub(crate) fn latency_us(&self, quantile: f64) -> Option<f64> {
        let latencies = self.latencies.as_ref().filter(|all| !all.is_empty())?;
        Some(latencies.value_at_quantile(quantile) as f64 / 1e3)
    }

    pub(crate) fn calls_each(&self) -> Option<f64> {
        let calls = self.calls.filter(|_| self.operations > 0)?;
        Some(calls as f64 / self.operations as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(measured: u64, stride: u64) -> Pace {
        Pace {
            warm_up: Duration::ZERO,
            measured: Duration::from_millis(measured),
            stride,
            operations_max: u64::MAX,
        }
    }

    #[test]
    fn what_was_finished_in_the_window_makes_the_rate() {
        let mut meter = Meter::new(pace(20, 4));
        let begin = Instant::now();
        while let Some(begun) = meter.begin() {
            std::hint::black_box([0_u8; 64]);
            meter.end(begun);
        }
        let elapsed = begin.elapsed().as_secs_f64();
        let measured = meter.measured();
        let all = measured.operations as f64 / elapsed;
        assert!(elapsed >= 0.02);
        assert!(
            measured.rate >= all * 0.9,
            "{} a second of {all}",
            measured.rate
        );
        assert!(measured.latency_us(0.99) >= measured.latency_us(0.5));
    }

    #[test]
    fn a_window_lasts_until_something_has_ended_in_it() {
        let mut meter = Meter::new(pace(0, 1));
        let (first, second) = (meter.begin().unwrap(), meter.begin().unwrap());
        meter.end(first);
        assert!(
            meter.begin().is_none(),
            "the time is over, and one has ended"
        );
        meter.end(second);
        let measured = meter.measured();
        assert_eq!(measured.operations, 2);
        assert!(measured.rate > 0.0 && measured.rate.is_finite());
    }

    #[test]
    fn the_bound_of_operations_ends_it_before_the_time() {
        let mut meter = Meter::new(Pace {
            operations_max: 5,
            ..pace(60_000, 1)
        });
        while let Some(begun) = meter.begin() {
            meter.end(begun);
        }
        assert_eq!(meter.measured().operations, 5);
    }

    #[test]
    fn workers_together_are_as_fast_as_all_of_them_and_cost_what_their_process_did() {
        let one = |rate| Measured {
            operations: 10,
            rate,
            load: 7.0,
            latencies: None,
            calls: Some(20),
        };
        let both = Measured::together(vec![one(100.0), one(50.0)], Duration::from_millis(2));
        assert_eq!((both.operations, both.rate), (20, 150.0));
        assert_eq!(both.calls_each(), Some(2.0));
        assert!((both.cpu_us() - 100.0).abs() < 1e-6, "{}", both.cpu_us());
    }

    #[test]
    fn workers_that_take_turns_on_a_processor_are_no_faster_than_it() {
        let began = Instant::now();
        let mut now = began;
        let mut meters = [(); 8].map(|()| Meter::of_several(pace(40, 4), 8, began));
        while !meters.iter().all(|meter| meter.is_over) {
            for meter in &mut meters {
                // Three milliseconds for each, ten microseconds for an operation; the others wait meanwhile.
                for _ in 0..300 {
                    let Some(begun) = meter.begin_by(|| now) else {
                        break;
                    };
                    now += Duration::from_micros(10);
                    meter.end(begun);
                }
            }
        }
        let together = Measured::together(meters.map(Meter::measured).to_vec(), Duration::ZERO);
        // All it can do is 100000.
        assert!(
            (together.rate - 1e5).abs() < 5e3,
            "{} a second",
            together.rate
        );
    }

    #[test]
    fn nothing_finished_is_no_division_by_nothing() {
        let measured = Meter::new(pace(10, 1)).measured();
        assert_eq!((measured.rate, measured.cpu_us()), (0.0, 0.0));
        assert_eq!(measured.latency_us(0.99), None);
    }
}
