//! Points, put together to curves.

use super::lines::Point;
use super::results::Stop;
use super::sections::{Mark, letter};
use crate::harness::statistics::Summary;

/// All that makes one picture.
#[derive(Debug)]
pub(super) struct Plot {
    pub(super) title: String,
    /// The name of the file with the picture.
    pub(super) file: String,
    pub(super) x_label: String,
    pub(super) y_label: String,
    pub(super) series: Vec<Series>,
}

#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) mark: Mark,
    /// From left to right. What was measured several times is the median.
    pub(super) points: Vec<(f64, f64)>,
    /// From left to right: where it could not go on, and why.
    pub(super) cannot: Vec<(f64, String)>,
}

impl Plot {
    pub(super) fn add(&mut self, mark: Mark, point: &Point) {
        let is_it = |series: &Series| (&series.name, series.mark) == (&point.series, mark);
        let index = self.series.iter().position(is_it).unwrap_or_else(|| {
            self.series.push(Series {
                name: point.series.clone(),
                mark,
                points: Vec::new(),
                cannot: Vec::new(),
            });
            self.series.len() - 1
        });
        let series = &mut self.series[index];
        match &point.y {
            Ok(y) => series.points.push((point.x, *y)),
            Err(reason) => series.cannot.push((point.x, reason.clone())),
        }
    }

    /// Brings points into order. A mark stays only where it tells two series of one name apart.
    pub(super) fn finish(&mut self) {
        let names: Vec<String> = self
            .series
            .iter()
            .map(|series| series.name.clone())
            .collect();
        for series in &mut self.series {
            let is_alone = names.iter().filter(|name| **name == series.name).count() == 1;
            series.mark = series.mark.filter(|_| !is_alone);
            series.points = medians(&series.points);
            series
                .cannot
                .sort_by(|left, right| left.0.total_cmp(&right.0));
            series.cannot.dedup();
        }
    }

    /// All places at which something was to be measured, from left to right.
    pub(super) fn places(&self) -> Vec<f64> {
        let of_points = self.series.iter().flat_map(|series| &series.points);
        let of_stops = self.series.iter().flat_map(|series| &series.cannot);
        let mut places: Vec<f64> = of_points
            .map(|point| point.0)
            .chain(of_stops.map(|stop| stop.0))
            .collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        places
    }

    /// One for each reason of each series.
    pub(super) fn stops(&self) -> Vec<Stop> {
        let mut stops = Vec::new();
        for series in &self.series {
            let mut reasons: Vec<&String> = series.cannot.iter().map(|stop| &stop.1).collect();
            reasons.sort();
            reasons.dedup();
            for reason in reasons {
                let places = series.cannot.iter().filter(|stop| stop.1 == *reason);
                let places: Vec<String> = places.map(|stop| stop.0.to_string()).collect();
                let name = series.full_name();
                let what = format!("{name}, {} {}", self.x_label, places.join(", "));
                stops.push(Stop {
                    what,
                    reason: reason.clone(),
                });
            }
        }
        stops
    }
}

impl Series {
    pub(super) fn full_name(&self) -> String {
        match self.mark {
            Some(index) => format!("{} ({})", self.name, letter(index)),
            None => self.name.clone(),
        }
    }

    pub(super) fn at(&self, x: f64) -> Option<f64> {
        let point = self.points.iter().find(|point| point.0 == x);
        point.map(|point| point.1)
    }

    pub(super) fn stops_at(&self, x: f64) -> bool {
        self.at(x).is_none() && self.cannot.iter().any(|stop| stop.0 == x)
    }
}

fn medians(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|left, right| left.0.total_cmp(&right.0));
    let same_place = sorted.chunk_by(|left, right| left.0 == right.0);
    let median = |points: &[(f64, f64)]| {
        let heights: Vec<f64> = points.iter().map(|point| point.1).collect();
        (points[0].0, Summary::of(&heights).median)
    };
    same_place.map(median).collect()
}
