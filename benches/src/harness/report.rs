//! Results for people and, as lines of JSON, for programs.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use super::machine::Machine;
use super::pairs::Runs;
use super::statistics::{Summary, Verdict, verdict};

/// The subject against one baseline.
#[derive(Debug)]
pub struct Comparison {
    /// Who is compared.
    pub subject: String,
    /// With whom.
    pub baseline: String,
    /// One for each pair; above 1: the subject is faster.
    pub ratios: Vec<f64>,
    /// Differences below it cannot be told apart here, however many pairs there are.
    pub resolution: f64,
}

impl Comparison {
    /// The subject with one of the baselines, in what `rate` reads off a run.
    pub fn of<T>(
        runs: &Runs<T>,
        (subject, baseline): (&str, (usize, &str)),
        resolution: f64,
        rate: impl Fn(&T) -> f64,
    ) -> Comparison {
        Comparison {
            subject: subject.to_owned(),
            baseline: baseline.1.to_owned(),
            ratios: runs.ratios(baseline.0, rate),
            resolution,
        }
    }

    /// Where the ratios lie.
    pub fn summary(&self) -> Summary {
        Summary::of(&self.ratios)
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        let ratios = self.summary();
        let Summary {
            count,
            minimum,
            lower_quartile,
            median,
            upper_quartile,
            maximum,
        } = ratios;
        let word = match verdict(&ratios, self.resolution) {
            Verdict::Ahead => "ahead",
            Verdict::Behind => "behind",
            Verdict::Tied => "tied",
            Verdict::Open => "too few pairs",
        };
        format!(
            "{} / {}: {median:.3} ({word}; quartiles {lower_quartile:.3}…{upper_quartile:.3}, all {minimum:.3}…{maximum:.3}, {count} pairs)",
            self.subject, self.baseline,
        )
    }

    /// The same for programs, to which is added where it was.
    pub fn line(&self, machine: &Machine, scenario: &str) -> Line {
        let mut line = Line::of(machine, scenario, "comparison");
        line.text("peer", &self.subject)
            .text("baseline", &self.baseline);
        line.numbers("ratios", self.ratios.iter().copied())
            .number("resolution", self.resolution);
        line
    }
}

/// An object of JSON, written field by field.
#[derive(Debug, Default)]
pub struct Line {
    fields: String,
}

impl Line {
    /// A line that begins with the circumstances.
    pub fn of(machine: &Machine, scenario: &str, kind: &str) -> Line {
        let mut line = Line::default();
        line.text("scenario", scenario).text("kind", kind);
        line.text("processor", &machine.processor)
            .number("cores", machine.cores as f64)
            .text("kernel", &machine.kernel);
        line.text("commit", &machine.commit)
            .text("build", &machine.build)
            .text("versions", &machine.versions)
            .text("ring", &machine.ring)
            .text("command", &machine.command)
            .text("load", &machine.load);
        line
    }

    /// Adds a field of text.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Line {
        self.begin(name);
        self.fields.push('"');
        for character in value.chars() {
            match character {
                '"' | '\\' => self.fields.extend(['\\', character]),
                control if control.is_control() => {
                    write!(self.fields, "\\u{:04x}", u32::from(control))
                        .expect("a string takes every text");
                }
                other => self.fields.push(other),
            }
        }
        self.fields.push('"');
        self
    }

    /// Adds a field of one number; what is not finite becomes `null`.
    pub fn number(&mut self, name: &str, value: f64) -> &mut Line {
        self.begin(name);
        // JSON has no word for what is not a number.
        if value.is_finite() {
            write!(self.fields, "{value}").expect("a string takes every text");
        } else {
            self.fields.push_str("null");
        }
        self
    }

    /// Adds a field of several numbers.
    pub fn numbers(&mut self, name: &str, values: impl IntoIterator<Item = f64>) -> &mut Line {
        self.begin(name);
        let values = values.into_iter().map(|value| {
            if value.is_finite() {
                value.to_string()
            } else {
                "null".to_owned()
            }
        });
        let values: Vec<String> = values.collect();
        write!(self.fields, "[{}]", values.join(",")).expect("a string takes every text");
        self
    }

    /// # Panics
    ///
    /// If a field of this name is there already: whoever reads the line would see one of the two.
    fn begin(&mut self, name: &str) {
        let is_new = !self.fields.contains(&format!("\"{name}\":"));
        assert!(is_new, "a line of results has the field `{name}` twice");
        let comma = if self.fields.is_empty() { "" } else { "," };
        write!(self.fields, "{comma}\"{name}\":").expect("a string takes every text");
    }

    fn finished(&self) -> String {
        format!("{{{}}}\n", self.fields)
    }
}

/// Adds the line to the file, if there is one.
///
/// # Errors
///
/// If the file cannot be opened or written.
pub fn keep(file: Option<&Path>, line: &Line) -> io::Result<()> {
    let Some(path) = file else { return Ok(()) };
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?
        .write_all(line.finished().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "the field `load` twice")]
    fn a_field_is_given_once() {
        Line::default().text("load", "1.0").numbers("load", [1.0]);
    }

    #[test]
    fn a_line_is_one_object_of_json() {
        let mut line = Line::default();
        line.text("name", "a \"b\" \\ \n")
            .number("rate", 1.5)
            .number("none", f64::NAN)
            .numbers("runs", [1.0, 2.5])
            .numbers("broken", [f64::INFINITY]);
        assert_eq!(
            line.finished(),
            "{\"name\":\"a \\\"b\\\" \\\\ \\u000a\",\"rate\":1.5,\"none\":null,\"runs\":[1,2.5],\"broken\":[null]}\n"
        );
    }

    #[test]
    fn a_comparison_says_what_it_found_and_how_sure_it_is() {
        let comparison = Comparison {
            subject: "krug".to_owned(),
            baseline: "floor".to_owned(),
            ratios: vec![0.97, 0.98, 0.99],
            resolution: 0.04,
        };
        assert_eq!(
            comparison.describe(),
            "krug / floor: 0.980 (tied; quartiles 0.975…0.985, all 0.970…0.990, 3 pairs)"
        );
    }
}
