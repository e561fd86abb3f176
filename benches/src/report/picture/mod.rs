//! Pictures: SVG, drawn without any font of the system.

pub(super) mod axis;
pub(super) mod curve;
pub(super) mod ratios;
mod style;

use std::io;

use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::prelude::{IntoDrawingArea, SVGBackend, WHITE};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What `paint` puts on a white sheet of so many pixels.
fn drawn(
    (width, height): (u32, u32),
    paint: impl FnOnce(&Area<'_>) -> io::Result<()>,
) -> io::Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        area.fill(&WHITE).map_err(io::Error::other)?;
        paint(&area)?;
        area.present().map_err(io::Error::other)?;
    }
    Ok(text)
}
