//! An axis, linear or logarithmic, whichever shows the data.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::report::figures;

/// Data that span more than so many to one are shown on a logarithmic axis.
const LINEAR_MAX: f64 = 100.0;

/// About as many ticks as fit.
const TICKS: f64 = 6.0;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    from: f64,
    to: f64,
    is_logarithmic: bool,
    /// Ticks fall together with what is measured: no line between.
    ticks: Vec<f64>,
}

impl Axis {
    /// Shows all of these with a margin. From nothing on, if it is linear and all are positive and `from_zero` is said.
    pub(super) fn of(values: impl IntoIterator<Item = f64>, from_zero: bool) -> Axis {
        let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            (from, to) = (from.min(value), to.max(value));
        }
        if from > to {
            (from, to) = (0.0, 1.0);
        }
        if from > 0.0 && to / from > LINEAR_MAX {
            return Axis::logarithmic(from, to);
        }
        if from_zero && from > 0.0 {
            from = 0.0;
        }
        // One value alone has no extent that a margin could be a part of.
        let extent = if to > from {
            to - from
        } else {
            to.abs().max(1.0)
        };
        let margin = extent * 0.06;
        let from = if from == 0.0 { 0.0 } else { from - margin };
        let to = to + margin;
        Axis {
            from,
            to,
            is_logarithmic: false,
            ticks: even_ticks(from, to),
        }
    }

    fn logarithmic(from: f64, to: f64) -> Axis {
        let margin = (to / from).powf(0.05);
        let (from, to) = (from / margin, to * margin);
        Axis {
            from,
            to,
            is_logarithmic: true,
            ticks: decades(from, to),
        }
    }

    #[cfg(test)]
    pub(super) fn is_logarithmic(&self) -> bool {
        self.is_logarithmic
    }

    /// Where its beginning is, for what has no place of its own.
    pub(super) fn from(&self) -> f64 {
        self.from
    }

    fn share(&self, value: f64) -> f64 {
        if self.is_logarithmic {
            (value / self.from).log10() / (self.to / self.from).log10()
        } else {
            (value - self.from) / (self.to - self.from)
        }
    }
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn even_ticks(from: f64, to: f64) -> Vec<f64> {
    let rough = (to - from) / TICKS;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(10.0 * power);
    let (first, last) = ((from / step).ceil() as i64, (to / step).floor() as i64);
    (first..=last).map(|index| index as f64 * step).collect()
}

fn decades(from: f64, to: f64) -> Vec<f64> {
    let (first, last) = (from.log10().ceil() as i32, to.log10().floor() as i32);
    (first..=last).map(|power| 10f64.powi(power)).collect()
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let extent = f64::from(limit.1 - limit.0);
        limit.0 + (self.share(*value) * extent).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        figures::tick(*value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_two_decades_are_shown_logarithmically() {
        assert!(!Axis::of([1.0, 100.0], true).is_logarithmic());
        assert!(Axis::of([1.0, 101.0], true).is_logarithmic());
        assert!(!Axis::of([0.0, 1e6], true).is_logarithmic());
        assert!(!Axis::of([-1.0, 1e6], true).is_logarithmic());
    }

    #[test]
    fn every_value_has_its_place_on_the_axis() {
        let sets: [&[f64]; 6] = [
            &[],
            &[5.0],
            &[0.0],
            &[-3.0, -2.0],
            &[0.97, 1.03],
            &[1.0, 20_000.0],
        ];
        for values in sets {
            for from_zero in [false, true] {
                let axis = Axis::of(values.iter().copied(), from_zero);
                for value in values {
                    let place = axis.map(value, (0, 1000));
                    assert!((0..=1000).contains(&place), "{value} in {axis:?}: {place}");
                }
                assert!((2..=12).contains(&axis.ticks.len()), "{axis:?}");
            }
        }
    }

    #[test]
    fn a_decade_is_as_long_as_another() {
        let axis = Axis::of([1.0, 10_000.0], true);
        let places = [1.0, 10.0, 100.0].map(|value| axis.map(&value, (0, 10_000)));
        assert!(
            (places[2] - places[1]).abs_diff(places[1] - places[0]) <= 1,
            "{places:?}"
        );
        assert_eq!(axis.ticks, [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
    }
}
