//! Numbers for people.

/// Four digits, and a letter for large ones: `304.5 k`, `0.97`.
pub(super) fn figure(number: f64) -> String {
    let (scaled, unit) = match number.abs() {
        1e9.. => (number / 1e9, " G"),
        1e6.. => (number / 1e6, " M"),
        1e4.. => (number / 1e3, " k"),
        _ => (number, ""),
    };
    trimmed(scaled, 4) + unit
}

/// As short as it can be at an axis.
pub(super) fn tick(number: f64) -> String {
    let (scaled, unit) = match number.abs() {
        1e9.. => (number / 1e9, " G"),
        1e6.. => (number / 1e6, " M"),
        1e3.. => (number / 1e3, " k"),
        _ => (number, ""),
    };
    trimmed(scaled, 3) + unit
}

/// A place on an axis or a size: exact.
pub(super) fn exact(number: f64) -> String {
    number.to_string()
}

/// A ratio: always three places, so that columns are even.
pub(super) fn ratio(number: f64) -> String {
    format!("{number:.3}")
}

fn trimmed(number: f64, digits: i32) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let before_point = number.abs().log10().floor() as i32 + 1;
    let places = (digits - before_point).clamp(0, 9) as usize;
    let text = format!("{number:.places$}");
    if places == 0 {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_four_digits_whatever_their_size() {
        for (number, text) in [
            (0.0, "0"),
            (0.000_123_44, "0.0001234"),
            (0.97, "0.97"),
            (46.789, "46.79"),
            (9_876.4, "9876"),
            (304_512.0, "304.5 k"),
            (12_345_678.0, "12.35 M"),
            (3.55e10, "35.5 G"),
            (-46.789, "-46.79"),
            (1000.0, "1000"),
        ] {
            assert_eq!(figure(number), text);
        }
    }

    #[test]
    fn ticks_are_short() {
        let ticks = [0.1, 1.0, 50.0, 1000.0, 250_000.0, 1e6].map(tick);
        assert_eq!(ticks, ["0.1", "1", "50", "1 k", "250 k", "1 M"]);
    }
}
