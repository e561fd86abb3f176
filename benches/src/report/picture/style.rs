//! Colours, marks and text.

use std::io;

use plotters::element::{Circle, Cross, Rectangle, TriangleMarker};
use plotters::prelude::{BLACK, Color, IntoFont, IntoTextStyle, PathElement, RGBColor, TextStyle};
use plotters::style::ShapeStyle;

use super::Area;

/// Told apart also by those who see fewer colours, the first eight of them; marks differ besides.
const COLOURS: [RGBColor; 12] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(127, 127, 127),
    RGBColor(23, 190, 207),
    RGBColor(188, 189, 34),
];

pub(super) const AHEAD: RGBColor = RGBColor(0, 114, 178);
pub(super) const BEHIND: RGBColor = RGBColor(213, 94, 0);
pub(super) const TIED: RGBColor = RGBColor(127, 127, 127);

pub(super) const GRID: RGBColor = RGBColor(225, 225, 225);

const MARK: i32 = 4;

/// How the series with this number is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    index: usize,
}

impl Look {
    pub(super) fn of(index: usize) -> Look {
        Look { index }
    }

    pub(super) fn line(self) -> ShapeStyle {
        self.colour().stroke_width(2)
    }

    /// Towards a point that was not reached.
    pub(super) fn faint_line(self) -> ShapeStyle {
        self.colour().mix(0.35).stroke_width(1)
    }

    fn colour(self) -> RGBColor {
        COLOURS[self.index % COLOURS.len()]
    }

    /// Draws the mark of a point that was measured.
    pub(super) fn mark(self, area: &Area<'_>, (x, y): (i32, i32)) -> io::Result<()> {
        let filled = self.colour().filled();
        match self.index % 3 {
            0 => area.draw(&Circle::new((x, y), MARK, filled)),
            1 => {
                let corners = [(x - MARK, y - MARK), (x + MARK, y + MARK)];
                area.draw(&Rectangle::new(corners, filled))
            }
            _ => area.draw(&TriangleMarker::new((x, y), MARK + 1, filled)),
        }
        .map_err(io::Error::other)
    }

    /// Draws the mark of a point at which it could not go on.
    pub(super) fn stop(self, area: &Area<'_>, place: (i32, i32)) -> io::Result<()> {
        let cross = Cross::new(place, MARK + 2, self.line());
        area.draw(&cross).map_err(io::Error::other)
    }
}

pub(super) fn line(
    area: &Area<'_>,
    points: Vec<(i32, i32)>,
    style: impl Into<ShapeStyle>,
) -> io::Result<()> {
    area.draw(&PathElement::new(points, style))
        .map_err(io::Error::other)
}

pub(super) fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size)
        .into_font()
        .color(&BLACK)
        .into_text_style(&(0, 0))
}
