//! One line for each series, and a cross where one could not go on.

use std::io;

use plotters::prelude::ChartBuilder;

use super::axis::Axis;
use super::style::{self, GRID, Look};
use super::{Area, drawn};
use crate::report::curves::{Plot, Series};
use crate::report::figures;

const WIDTH: u32 = 980;
/// At least: a long legend needs more.
const HEIGHT: u32 = 520;
/// The rest of the width is for the legend.
const CHART: u32 = 660;

/// Of the legend: characters in a line, and how far lines are apart.
const LEGEND_CHARACTERS: usize = 42;
const LEGEND_STEP: i32 = 18;
const LEGEND_TOP: i32 = 50;

pub(in crate::report) fn draw(scenario: &str, plot: &Plot) -> io::Result<String> {
    let entries: Vec<Entry> = plot.series.iter().map(Entry::of).collect();
    drawn((WIDTH, height(&entries)), |area| {
        let (left, right) = area.split_horizontally(CHART);
        chart(area, &left, scenario, plot)?;
        legend(&right, &entries)
    })
}

/// The chart is in `left`; places in pixels are those of the whole area.
fn chart(area: &Area<'_>, left: &Area<'_>, scenario: &str, plot: &Plot) -> io::Result<()> {
    let heights = plot
        .series
        .iter()
        .flat_map(|series| series.points.iter().map(|point| point.1));
    let (x_axis, y_axis) = (Axis::of(plot.places(), true), Axis::of(heights, true));
    let bottom = y_axis.from();
    let mut chart = ChartBuilder::on(left)
        .caption(format!("{scenario}: {}", plot.title), style::font(18))
        .margin(12)
        .x_label_area_size(46)
        .y_label_area_size(76)
        .build_cartesian_2d(x_axis, y_axis)
        .map_err(io::Error::other)?;
    chart
        .configure_mesh()
        .light_line_style(GRID)
        .bold_line_style(GRID)
        .label_style(style::font(13))
        .axis_desc_style(style::font(14))
        .x_desc(plot.x_label.as_str())
        .y_desc(plot.y_label.as_str())
        .draw()
        .map_err(io::Error::other)?;
    let place = |point: (f64, f64)| chart.backend_coord(&point);
    for (index, series) in plot.series.iter().enumerate() {
        let look = Look::of(index);
        let points: Vec<_> = series.points.iter().map(|point| place(*point)).collect();
        style::line(area, points.clone(), look.line())?;
        for point in points {
            look.mark(area, point)?;
        }
        for (x, y) in stops(series, bottom) {
            if let Some(before) = last_before(series, x) {
                style::line(area, vec![place(before), place((x, y))], look.faint_line())?;
            }
            look.stop(area, place((x, y)))?;
        }
    }
    Ok(())
}

fn last_before(series: &Series, x: f64) -> Option<(f64, f64)> {
    let before = series.points.iter().rfind(|point| point.0 < x);
    before.copied()
}

/// Where the crosses are: as high as the last point before.
fn stops(series: &Series, bottom: f64) -> Vec<(f64, f64)> {
    let places = series.cannot.iter().map(|stop| stop.0);
    let places = places.filter(|x| series.stops_at(*x));
    let height = |x: f64| last_before(series, x).map_or(bottom, |point| point.1);
    let mut stops: Vec<_> = places.map(|x| (x, height(x))).collect();
    stops.dedup();
    stops
}

/// The lines of the legend that one series has.
struct Entry {
    name: Vec<String>,
    stop: Vec<String>,
}

impl Entry {
    fn of(series: &Series) -> Entry {
        let stop = stop_said(series);
        Entry {
            name: wrapped(&series.full_name(), LEGEND_CHARACTERS),
            stop: stop.map_or_else(Vec::new, |said| wrapped(&said, LEGEND_CHARACTERS - 2)),
        }
    }
}

fn height(entries: &[Entry]) -> u32 {
    let lines: usize = entries
        .iter()
        .map(|entry| entry.name.len() + entry.stop.len())
        .sum();
    let legend = LEGEND_TOP + LEGEND_STEP * (lines as i32 + 1);
    HEIGHT.max(legend.unsigned_abs())
}

fn legend(area: &Area<'_>, entries: &[Entry]) -> io::Result<()> {
    let text = |words: &str, place: (i32, i32)| {
        area.draw_text(words, &style::font(13), place)
            .map_err(io::Error::other)
    };
    let mut y = LEGEND_TOP;
    for (index, entry) in entries.iter().enumerate() {
        let look = Look::of(index);
        style::line(area, vec![(6, y + 7), (30, y + 7)], look.line())?;
        look.mark(area, (18, y + 7))?;
        for words in &entry.name {
            text(words, (38, y))?;
            y += LEGEND_STEP;
        }
        if !entry.stop.is_empty() {
            look.stop(area, (44, y + 7))?;
        }
        for words in &entry.stop {
            text(words, (56, y))?;
            y += LEGEND_STEP;
        }
    }
    Ok(())
}

/// What the legend says of the crosses; the reasons stand in the text.
fn stop_said(series: &Series) -> Option<String> {
    let places = stops(series, 0.0);
    let ticks: Vec<String> = places.iter().map(|place| figures::tick(place.0)).collect();
    (!ticks.is_empty()).then(|| format!("cannot go on at {}", ticks.join(", ")))
}

/// Cut at spaces, where lines would be longer than this.
fn wrapped(text: &str, characters_max: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is always one");
        let length = last.chars().count();
        if length > 0 && length + 1 + word.chars().count() > characters_max {
            lines.push(word.to_owned());
        } else {
            if length > 0 {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Series {
        Series {
            name: "select".to_owned(),
            mark: None,
            points: vec![(10.0, 5.0), (500.0, 7.0)],
            cannot: vec![
                (1.0, "nothing there".to_owned()),
                (2000.0, "descriptors".to_owned()),
            ],
        }
    }

    #[test]
    fn a_cross_is_as_high_as_the_point_before_it() {
        assert_eq!(stops(&series(), 0.5), [(1.0, 0.5), (2000.0, 7.0)]);
        assert_eq!(stop_said(&series()).unwrap(), "cannot go on at 1, 2 k");
        let without = Series {
            cannot: Vec::new(),
            ..series()
        };
        assert_eq!(stop_said(&without), None);
    }

    #[test]
    fn a_place_reached_in_another_run_has_no_cross() {
        let mut series = series();
        series.points.push((2000.0, 9.0));
        assert_eq!(stops(&series, 0.0), [(1.0, 0.0)]);
    }

    #[test]
    fn a_long_legend_makes_the_picture_higher() {
        let entries: Vec<Entry> = (0..20).map(|_| Entry::of(&series())).collect();
        assert_eq!(height(&entries[..3]), HEIGHT);
        assert_eq!(height(&entries), 50 + 18 * 41);
    }

    #[test]
    fn long_names_go_on_in_the_next_line() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("immeasurable", 7), ["immeasurable"]);
    }
}
