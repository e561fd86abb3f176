//! Ratios of the subject to its baselines: a dot for the median, a bar between the quartiles, a line between the extremes.

use std::io;

use plotters::element::{Circle, Rectangle};
use plotters::prelude::{BLACK, ChartBuilder, Color, RGBColor};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::style::{self, AHEAD, BEHIND, GRID, TIED};
use super::{Area, drawn};
use crate::harness::statistics::Verdict;
use crate::report::figures;
use crate::report::markdown::places;
use crate::report::sections::{Compared, Section};

const WIDTH: u32 = 980;
const ROW: u32 = 28;
/// For caption and axis.
const AROUND: u32 = 96;
/// For what is compared, on the left, and what came out, on the right.
const LABELS: u32 = 380;
const VERDICTS: u32 = 120;

pub(in crate::report) fn draw(section: &Section) -> io::Result<String> {
    let compared = &section.comparisons;
    let height = AROUND + ROW * compared.len() as u32;
    drawn((WIDTH, height), |area| {
        let axis = Axis::of(extent(compared), false);
        let rows = compared.len() as f64;
        let mut chart = ChartBuilder::on(area)
            .caption(section.ratios_title.as_str(), style::font(18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(LABELS)
            .margin_right(VERDICTS)
            .build_cartesian_2d(axis, 0.0..rows)
            .map_err(io::Error::other)?;
        chart
            .configure_mesh()
            .light_line_style(GRID)
            .bold_line_style(GRID)
            .label_style(style::font(13))
            .axis_desc_style(style::font(13))
            .x_desc("above 1: the first is faster")
            .disable_y_mesh()
            .y_labels(0)
            .draw()
            .map_err(io::Error::other)?;
        let place = |ratio: f64, height: f64| chart.backend_coord(&(ratio, height));
        let one = [0.0, rows].map(|height| place(1.0, height));
        style::line(area, one.to_vec(), BLACK)?;
        for (index, (compared, label)) in compared.iter().zip(places(compared)).enumerate() {
            let height = rows - index as f64 - 0.5;
            row(area, compared, &label, |ratio| place(ratio, height))?;
        }
        Ok(())
    })
}

/// The line of equality is shown in any case.
fn extent(compared: &[Compared]) -> impl Iterator<Item = f64> {
    let ends = compared
        .iter()
        .flat_map(|compared| [compared.ratios.minimum, compared.ratios.maximum]);
    ends.chain([0.98, 1.02])
}

fn row(
    area: &Area<'_>,
    compared: &Compared,
    label: &str,
    place: impl Fn(f64) -> (i32, i32),
) -> io::Result<()> {
    let (colour, word) = look(compared.verdict);
    let ratios = &compared.ratios;
    let whisker = [ratios.minimum, ratios.maximum].map(&place);
    style::line(area, whisker.to_vec(), colour.stroke_width(1))?;
    let (left, right) = (place(ratios.lower_quartile), place(ratios.upper_quartile));
    let corners = [(left.0, left.1 - 4), (right.0, right.1 + 4)];
    area.draw(&Rectangle::new(corners, colour.mix(0.4).filled()))
        .map_err(io::Error::other)?;
    let median = place(ratios.median);
    area.draw(&Circle::new(median, 4, colour.filled()))
        .map_err(io::Error::other)?;

    let beside = |words: &str, x: u32, side: HPos| {
        let font = style::font(13).pos(Pos::new(side, VPos::Center));
        area.draw_text(words, &font, (x as i32, median.1))
            .map_err(io::Error::other)
    };
    let names = format!("{} / {}", compared.subject, compared.baseline);
    let names = match label {
        "" => names,
        label => format!("{names}, {label}"),
    };
    beside(&names, LABELS, HPos::Right)?;
    let found = format!("{} {word}", figures::ratio(ratios.median));
    beside(&found, WIDTH - VERDICTS + 8, HPos::Left)
}

fn look(verdict: Verdict) -> (RGBColor, &'static str) {
    match verdict {
        Verdict::Ahead => (AHEAD, "ahead"),
        Verdict::Behind => (BEHIND, "behind"),
        Verdict::Tied => (TIED, "tied"),
        Verdict::Open => (TIED, "too few pairs"),
    }
}
