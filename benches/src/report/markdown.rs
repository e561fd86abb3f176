//! The text: under which circumstances, and a table for everything.

use std::fmt::Write as _;

use super::curves::Plot;
use super::figures::{exact, figure, ratio};
use super::lines::Field;
use super::results::{Results, Scenario};
use super::sections::{Compared, Group, Mark, Row, letter};
use super::table::{Table, escaped};
use crate::harness::statistics::{Summary, Verdict};

const HOW_TO_READ: &str = "\
A cell that was measured several times holds the median and, in brackets, the quartiles. Ratios come from interleaved pairs: each run of the
subject is divided by the mean of the runs of the baseline just before and just after it, and above 1 the subject is faster. It is *ahead* or
*behind* only if the median differs from 1 by more than can be resolved there and the quartiles lie on the same side; all else is *tied*,
unless there are fewer than three pairs, which decide nothing.
";

/// The whole text. The pictures are beside it.
pub(super) fn of(results: &Results) -> String {
    let mut text = format!(
        "# Results\n\nMade by `krug-benches report` from {} lines of JSON; not written by hand.\n\n{}\n{HOW_TO_READ}",
        results.lines,
        circumstances(results)
    );
    for scenario in &results.scenarios {
        text += &of_scenario(scenario);
    }
    text += &stops(results);
    text
}

fn circumstances(results: &Results) -> String {
    let has_marks = results.circumstances.len() > 1;
    let head = [
        "",
        "machine",
        "kernel",
        "commit",
        "build",
        "versions",
        "load before",
    ];
    let columns: Vec<_> = head.iter().map(|name| (*name, false)).collect();
    let mut table = Table::new(&columns[usize::from(!has_marks)..]);
    for (index, (known, calls)) in results.circumstances.iter().enumerate() {
        let cores = match known.cores.as_str() {
            "" => String::new(),
            cores => format!(", {cores} cores"),
        };
        let load = if calls.loads.is_empty() {
            "unknown".to_owned()
        } else {
            let loads = Summary::of(&calls.loads);
            range(loads.minimum, loads.maximum, |load| format!("{load:.2}"))
        };
        let mut cells = vec![
            known.processor.clone() + &cores,
            format!("Linux {}", known.kernel),
            known.commit.clone(),
            known.build.clone(),
            known.versions.clone(),
            load,
        ];
        if has_marks {
            cells.insert(0, letter(index));
        }
        table.row(cells);
    }
    table.text() + &calls(results, has_marks)
}

/// What rings there were, and what the program was called with, as far as that is known.
fn calls(results: &Results, has_marks: bool) -> String {
    let mut text = String::new();
    for (index, (known, calls)) in results.circumstances.iter().enumerate() {
        let mark = match has_marks {
            true => format!("{}: ", letter(index)),
            false => String::new(),
        };
        if let Some(ring) = &known.ring {
            text += &format!("\n{mark}rings: {}.\n", escaped(ring));
        }
        if !calls.commands.is_empty() {
            let commands = calls.commands.iter().map(|command| format!("`{command}`"));
            let commands = commands.collect::<Vec<_>>().join(", ");
            text += &format!("\n{mark}called with {commands}.\n");
        }
    }
    text
}

fn range(from: f64, to: f64, write: impl Fn(f64) -> String) -> String {
    let (from, to) = (write(from), write(to));
    if from == to {
        from
    } else {
        format!("{from}…{to}")
    }
}

fn of_scenario(scenario: &Scenario) -> String {
    let mut text = format!("\n## {}\n", escaped(&scenario.name));
    for section in &scenario.sections {
        if let Some(title) = &section.title {
            text += &format!("\n### {}\n", escaped(title));
        }
        for group in &section.groups {
            text += &measured(group);
        }
        if !section.comparisons.is_empty() {
            text += &comparisons(&section.comparisons);
            text += &picture(&section.ratios_title, &section.ratios_file);
        }
    }
    for plot in &scenario.plots {
        text += &curve(plot);
        text += &picture(&plot.title, &plot.file);
    }
    text
}

fn picture(title: &str, file: &str) -> String {
    format!("\n![{}]({file})\n", escaped(title))
}

/// What differs between rows is a column; what all have in common is said once.
struct Columns {
    common: Vec<String>,
    varying: Vec<String>,
}

impl Columns {
    fn of(rows: &[&Row]) -> Columns {
        let mut names: Vec<&String> = Vec::new();
        for (name, _) in rows.iter().flat_map(|row| &row.fields) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut columns = Columns {
            common: Vec::new(),
            varying: Vec::new(),
        };
        for name in names {
            let first = field(rows[0], name);
            let is_same = rows.iter().all(|row| field(row, name) == first);
            match first {
                Some(first) if is_same && can_be_common(rows, name, first) => {
                    columns
                        .common
                        .push(format!("{} {}", spaced(name), cell(Some(first))));
                }
                _ => columns.varying.push(name.clone()),
            }
        }
        columns
    }

    /// What stands above the columns, and whether they hold numbers.
    fn heads(&self, rows: &[&Row]) -> Vec<(String, bool)> {
        let is_text = |name: &str| {
            rows.iter()
                .any(|row| matches!(field(row, name), Some(Field::Text(_))))
        };
        self.varying
            .iter()
            .map(|name| (spaced(name), !is_text(name)))
            .collect()
    }

    /// The sentence above the table, if there is something to say.
    fn sentence(&self) -> String {
        if self.common.is_empty() {
            return String::new();
        }
        format!("\n{}.\n", escaped(&self.common.join(", ")))
    }
}

/// A measured value is a result even if all rows have the same.
fn can_be_common(rows: &[&Row], name: &str, field: &Field) -> bool {
    rows.len() > 1 && name != "peer" && !matches!(field, Field::Numbers(_))
}

fn field<'a>(row: &'a Row, name: &str) -> Option<&'a Field> {
    let field = row.fields.iter().find(|(known, _)| known == name);
    field.map(|(_, field)| field)
}

fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

fn cell(field: Option<&Field>) -> String {
    match field {
        None => "–".to_owned(),
        Some(Field::Text(text)) => text.clone(),
        Some(Field::Number(number)) if number.fract() == 0.0 && number.abs() < 1e7 => {
            exact(*number)
        }
        Some(Field::Number(number)) => figure(*number),
        Some(Field::Numbers(numbers)) if numbers.len() == 1 => figure(numbers[0]),
        Some(Field::Numbers(numbers)) => {
            let summary = Summary::of(numbers);
            format!(
                "{} ({}…{})",
                figure(summary.median),
                figure(summary.lower_quartile),
                figure(summary.upper_quartile)
            )
        }
    }
}

fn marked(mark: Mark) -> Option<String> {
    mark.map(letter)
}

fn measured(group: &Group) -> String {
    let rows: Vec<&Row> = group.rows.iter().collect();
    let columns = Columns::of(&rows);
    let has_marks = rows.iter().any(|row| row.mark.is_some());
    let heads = columns.heads(&rows);
    let mut head: Vec<(&str, bool)> = heads
        .iter()
        .map(|(name, is_number)| (name.as_str(), *is_number))
        .collect();
    if has_marks {
        head.insert(0, ("", false));
    }
    let mut table = Table::new(&head);
    for row in rows {
        let cells = columns.varying.iter().map(|name| cell(field(row, name)));
        let mark = has_marks.then(|| marked(row.mark).unwrap_or_default());
        table.row(mark.into_iter().chain(cells).collect());
    }
    let heading = match group.kind.as_str() {
        "runs" => String::new(),
        kind => format!("\nOf the kind *{}*:\n", escaped(kind)),
    };
    format!("{heading}{}\n{}", columns.sentence(), table.text())
}

fn comparisons(compared: &[Compared]) -> String {
    let rows: Vec<&Row> = compared.iter().map(|compared| &compared.row).collect();
    let columns = Columns::of(&rows);
    let has_marks = rows.iter().any(|row| row.mark.is_some());
    let heads = columns.heads(&rows);
    let mut head = vec![("ratio", false)];
    head.extend(
        heads
            .iter()
            .map(|(name, is_number)| (name.as_str(), *is_number)),
    );
    head.extend([("median", true), ("quartiles", true), ("all", true)]);
    head.extend([("pairs", true), ("verdict", false)]);
    if has_marks {
        head.insert(0, ("", false));
    }
    let mut table = Table::new(&head);
    for compared in compared {
        let mut cells = Vec::new();
        if has_marks {
            cells.push(marked(compared.row.mark).unwrap_or_default());
        }
        let names = [&compared.subject, &compared.baseline].map(|name| escaped(name));
        cells.push(names.join(" / "));
        let place = columns
            .varying
            .iter()
            .map(|name| escaped(&cell(field(&compared.row, name))));
        cells.extend(place);
        let Summary {
            count,
            minimum,
            lower_quartile,
            median,
            upper_quartile,
            maximum,
        } = compared.ratios;
        let between = |from, to| format!("{}…{}", ratio(from), ratio(to));
        cells.push(ratio(median));
        cells.push(between(lower_quartile, upper_quartile));
        cells.push(between(minimum, maximum));
        cells.push(count.to_string());
        cells.push(word(compared.verdict).to_owned());
        table.row_of_markdown(cells);
    }
    format!("{}\n{}", columns.sentence(), table.text())
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ahead => "ahead",
        Verdict::Behind => "behind",
        Verdict::Tied => "*tied*",
        Verdict::Open => "too few pairs",
    }
}

/// Where a comparison was made, for a picture: what all have in common is not said.
pub(super) fn places(compared: &[Compared]) -> Vec<String> {
    let rows: Vec<&Row> = compared.iter().map(|compared| &compared.row).collect();
    let columns = Columns::of(&rows);
    let place = |row: &&Row| {
        let fields = columns.varying.iter().filter_map(|name| {
            let value = field(row, name)?;
            Some(match value {
                Field::Text(text) => text.clone(),
                value => format!("{} {}", spaced(name), cell(Some(value))),
            })
        });
        let mark = marked(row.mark);
        fields.chain(mark).collect::<Vec<_>>().join(", ")
    };
    rows.iter().map(place).collect()
}

fn curve(plot: &Plot) -> String {
    let names: Vec<String> = plot
        .series
        .iter()
        .map(|series| series.full_name())
        .collect();
    let mut head = vec![(plot.x_label.as_str(), true)];
    head.extend(names.iter().map(|name| (name.as_str(), true)));
    let mut table = Table::new(&head);
    for x in plot.places() {
        let mut cells = vec![exact(x)];
        for series in &plot.series {
            cells.push(match series.at(x) {
                Some(y) => figure(y),
                None if series.stops_at(x) => "cannot".to_owned(),
                None => "–".to_owned(),
            });
        }
        table.row(cells);
    }
    format!(
        "\n### {}\n\n{}:\n\n{}",
        escaped(&plot.title),
        escaped(&plot.y_label),
        table.text()
    )
}

fn stops(results: &Results) -> String {
    let mut text = String::new();
    for scenario in &results.scenarios {
        for stop in scenario.all_stops() {
            let [name, what, reason] =
                [&scenario.name, &stop.what, &stop.reason].map(|text| escaped(text));
            writeln!(text, "- {name}: {what}: {reason}").expect("a string takes every text");
        }
    }
    if text.is_empty() {
        return text;
    }
    format!("\n## What could not go on, or not be known, and why\n\n{text}")
}
