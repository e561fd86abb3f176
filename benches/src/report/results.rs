//! Lines, put together: what was measured under one name stands in one place, in the order of its first line.

use super::curves::Plot;
use super::lines::{Circumstances, Content, Field, Line, Point};
use super::sections::{Group, Mark, Row, Section, compared, divided};

#[derive(Debug)]
pub(super) struct Results {
    pub(super) lines: usize,
    pub(super) circumstances: Vec<(Circumstances, Calls)>,
    pub(super) scenarios: Vec<Scenario>,
}

/// How the program was called under the same circumstances.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Of the machine before the first runs, as often as they were said.
    pub(super) loads: Vec<f64>,
    /// Each once.
    pub(super) commands: Vec<String>,
}

impl Calls {
    fn add(&mut self, line: &Line) {
        let load = line.load.as_ref().and_then(|load| load.parse().ok());
        self.loads.extend::<Option<f64>>(load);
        let known = |command: &&String| !self.commands.contains(command);
        let command = line.command.as_ref().filter(known).cloned();
        self.commands.extend(command);
    }
}

#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) sections: Vec<Section>,
    pub(super) plots: Vec<Plot>,
    stops: Vec<Stop>,
}

/// Something that could not go on, or not be known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stop {
    pub(super) what: String,
    pub(super) reason: String,
}

/// Fields that say why something else is missing.
fn is_reason(name: &str) -> bool {
    name == "cannot" || name == "skipped" || name.ends_with("_unknown")
}

impl Results {
    pub(super) fn of(lines: &[Line]) -> Results {
        let mut circumstances: Vec<(Circumstances, Calls)> = Vec::new();
        for line in lines {
            let known = circumstances
                .iter()
                .position(|(known, _)| *known == line.circumstances);
            let index = known.unwrap_or_else(|| {
                circumstances.push((line.circumstances.clone(), Calls::default()));
                circumstances.len() - 1
            });
            circumstances[index].1.add(line);
        }
        let mark = |line: &Line| {
            let is_it = |(known, _): &(Circumstances, Calls)| *known == line.circumstances;
            let index = circumstances.iter().position(is_it);
            index.filter(|_| circumstances.len() > 1)
        };
        let mut scenarios: Vec<Scenario> = Vec::new();
        for line in lines {
            let known = scenarios
                .iter()
                .position(|known| known.name == line.scenario);
            let index = known.unwrap_or_else(|| {
                scenarios.push(Scenario::new(&line.scenario));
                scenarios.len() - 1
            });
            scenarios[index].add(mark(line), &line.content);
        }
        let mut files = Files::default();
        for scenario in &mut scenarios {
            scenario.sections = divided(scenario.all());
            for section in &mut scenario.sections {
                section.ratios_title = match &section.title {
                    Some(title) => format!("{}, {title}: ratios", scenario.name),
                    None => format!("{}: ratios", scenario.name),
                };
                section.ratios_file = files.name(&section.ratios_title);
            }
            for plot in &mut scenario.plots {
                plot.finish();
                plot.file = files.name(&format!("{} {}", scenario.name, plot.title));
            }
        }
        Results {
            lines: lines.len(),
            circumstances,
            scenarios,
        }
    }
}

impl Scenario {
    fn new(name: &str) -> Scenario {
        Scenario {
            name: name.to_owned(),
            sections: vec![Section::new(None)],
            plots: Vec::new(),
            stops: Vec::new(),
        }
    }

    /// The section that holds everything, until the lines are over.
    fn all(&mut self) -> &mut Section {
        &mut self.sections[0]
    }

    fn add(&mut self, mark: Mark, content: &Content) {
        match content {
            Content::Comparison(comparison) => {
                self.all().comparisons.push(compared(mark, comparison));
            }
            Content::Point(point) => self.add_point(mark, point),
            Content::Fields { kind, fields } => self.add_fields(mark, kind, fields),
        }
    }

    fn add_fields(&mut self, mark: Mark, kind: &str, fields: &[(String, Field)]) {
        let (mut kept, mut reasons) = (Vec::new(), Vec::new());
        for (name, field) in fields {
            match field {
                Field::Text(reason) if is_reason(name) => reasons.push((name, reason)),
                _ => kept.push((name.clone(), field.clone())),
            }
        }
        let names = kept.iter().filter_map(|(_, field)| match field {
            Field::Text(text) => Some(text.as_str()),
            _ => None,
        });
        let who = names.collect::<Vec<_>>().join(", ");
        for (name, reason) in reasons {
            let what = match name.strip_suffix("_unknown") {
                Some(unknown) => format!("{who}: {}", unknown.replace('_', " ")),
                None => who.clone(),
            };
            self.stops.push(Stop {
                what,
                reason: reason.clone(),
            });
        }
        let is_measured =
            |(_, field): &(String, Field)| matches!(field, Field::Number(_) | Field::Numbers(_));
        if !kept.iter().any(is_measured) {
            return;
        }
        let is_list = |(_, field): &&(String, Field)| matches!(field, Field::Numbers(_));
        let measured = kept.iter().find(is_list).map(|(name, _)| name.clone());
        let row = Row { mark, fields: kept };
        let groups = &mut self.all().groups;
        let group = groups
            .iter_mut()
            .find(|group| group.kind == kind && group.measured == measured);
        match group {
            Some(group) => group.rows.push(row),
            None => groups.push(Group {
                kind: kind.to_owned(),
                measured,
                rows: vec![row],
            }),
        }
    }

    fn add_point(&mut self, mark: Mark, point: &Point) {
        let labels = (&point.plot, &point.x_label, &point.y_label);
        let known = self
            .plots
            .iter()
            .position(|plot| (&plot.title, &plot.x_label, &plot.y_label) == labels);
        let index = known.unwrap_or_else(|| {
            self.plots.push(Plot {
                title: point.plot.clone(),
                file: String::new(),
                x_label: point.x_label.clone(),
                y_label: point.y_label.clone(),
                series: Vec::new(),
            });
            self.plots.len() - 1
        });
        self.plots[index].add(mark, point);
    }

    /// What could not go on, the curves too. What is the same in several plots is said once.
    pub(super) fn all_stops(&self) -> Vec<Stop> {
        let of_plots = self.plots.iter().flat_map(Plot::stops);
        let mut stops: Vec<Stop> = Vec::new();
        for stop in of_plots.chain(self.stops.iter().cloned()) {
            if !stops.contains(&stop) {
                stops.push(stop);
            }
        }
        stops
    }
}

/// Names of files that have been given.
#[derive(Default)]
struct Files(Vec<String>);

impl Files {
    /// One that nobody has yet, and that needs no quoting anywhere.
    fn name(&mut self, title: &str) -> String {
        let words = title.split(|character: char| !character.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let stem = match words.join("-").to_ascii_lowercase() {
            empty if empty.is_empty() => "picture".to_owned(),
            stem => stem,
        };
        let numbered = (2..).map(|number| format!("{stem}-{number}.svg"));
        let mut names = std::iter::once(format!("{stem}.svg")).chain(numbered);
        let name = names.find(|name| !self.0.contains(name));
        let name = name.expect("there is always one more number");
        self.0.push(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::curves::Series;
    use crate::report::lines::Comparison;

    fn circumstances(commit: &str) -> Circumstances {
        Circumstances {
            processor: "Fast One".to_owned(),
            cores: "2".to_owned(),
            kernel: "6.18".to_owned(),
            commit: commit.to_owned(),
            build: "optimised".to_owned(),
            versions: "krug 0.1.0".to_owned(),
            ring: None,
        }
    }

    fn line(commit: &str, content: Content) -> Line {
        Line {
            scenario: "models".to_owned(),
            circumstances: circumstances(commit),
            load: Some("0.10".to_owned()),
            command: Some("models".to_owned()),
            content,
        }
    }

    fn point(series: &str, x: f64, y: Result<f64, &str>) -> Content {
        Content::Point(Point {
            plot: "speed".to_owned(),
            series: series.to_owned(),
            x_label: "users".to_owned(),
            y_label: "requests/s".to_owned(),
            x,
            y: y.map_err(str::to_owned),
        })
    }

    #[test]
    fn every_picture_has_a_file_of_its_own() {
        let mut files = Files::default();
        let names =
            ["µs per read, direct!", "S per read: direct", "µ"].map(|title| files.name(title));
        assert_eq!(
            names,
            [
                "s-per-read-direct.svg",
                "s-per-read-direct-2.svg",
                "picture.svg"
            ]
        );
    }

    #[test]
    fn points_come_into_order_and_repeated_ones_are_their_median() {
        let points = [(10.0, 5.0), (1.0, 1.0), (1.0, 2.0), (1.0, 9.0)];
        let lines = points.map(|(x, y)| line("a", point("krug", x, Ok(y))));
        let results = Results::of(&lines);
        let plot = &results.scenarios[0].plots[0];
        assert_eq!(plot.series[0].points, [(1.0, 2.0), (10.0, 5.0)]);
        assert_eq!(plot.series[0].full_name(), "krug");
    }

    #[test]
    fn a_reason_is_told_once_with_all_its_places() {
        let stop = Err("descriptors beyond 1023");
        let in_another_plot = |x: f64| {
            let mut content = point("select", x, stop);
            if let Content::Point(point) = &mut content {
                point.plot = "latency".to_owned();
            }
            line("a", content)
        };
        let lines = [
            in_another_plot(5000.0),
            in_another_plot(2000.0),
            line("a", point("select", 500.0, Ok(1.0))),
            line("a", point("select", 5000.0, stop)),
            line("a", point("select", 2000.0, stop)),
        ];
        let results = Results::of(&lines);
        let scenario = &results.scenarios[0];
        assert_eq!(scenario.plots[1].places(), [500.0, 2000.0, 5000.0]);
        assert!(scenario.plots[1].series[0].stops_at(2000.0));
        let wanted = Stop {
            what: "select, users 2000, 5000".to_owned(),
            reason: "descriptors beyond 1023".to_owned(),
        };
        assert_eq!(scenario.all_stops(), [wanted]);
    }

    #[test]
    fn the_same_series_of_two_commits_is_two_and_others_need_no_mark() {
        let lines = [
            line("a", point("krug", 1.0, Ok(1.0))),
            line("b", point("krug", 1.0, Ok(2.0))),
            line("b", point("tokio", 1.0, Ok(3.0))),
        ];
        let results = Results::of(&lines);
        let names: Vec<_> = results.scenarios[0].plots[0]
            .series
            .iter()
            .map(Series::full_name)
            .collect();
        assert_eq!(names, ["krug (A)", "krug (B)", "tokio"]);
        assert_eq!(results.circumstances.len(), 2);
        let calls = &results.circumstances[1].1;
        assert_eq!(calls.loads, [0.1, 0.1]);
        assert_eq!(calls.commands, ["models"]);
    }

    #[test]
    fn what_was_measured_differently_stands_in_another_group() {
        let fields = |name: &str, more: Option<(&str, Field)>| {
            let mut fields = vec![
                ("peer".to_owned(), Field::Text("krug".to_owned())),
                (name.to_owned(), Field::Numbers(vec![1.0])),
            ];
            fields.extend(more.map(|(name, field)| (name.to_owned(), field)));
            line(
                "a",
                Content::Fields {
                    kind: "runs".to_owned(),
                    fields,
                },
            )
        };
        let reason = Field::Text("not permitted".to_owned());
        let lines = [
            fields("rate", Some(("calls", Field::Number(2.0)))),
            fields("seconds", None),
            fields("rate", Some(("calls_unknown", reason))),
        ];
        let scenario = &Results::of(&lines).scenarios[0];
        let sizes: Vec<_> = scenario.sections[0]
            .groups
            .iter()
            .map(|group| group.rows.len())
            .collect();
        assert_eq!(sizes, [2, 1]);
        let wanted = Stop {
            what: "krug: calls".to_owned(),
            reason: "not permitted".to_owned(),
        };
        assert_eq!(scenario.all_stops(), [wanted]);
    }

    /// A result of a contestant, and how it stands to another.
    fn measured(what: &str, peer: &str) -> [Line; 2] {
        let text = |text: &str| Field::Text(text.to_owned());
        let fields = vec![
            ("what".to_owned(), text(what)),
            ("peer".to_owned(), text(peer)),
            ("rate".to_owned(), Field::Numbers(vec![1.0])),
        ];
        let comparison = Comparison {
            subject: "krug".to_owned(),
            baseline: peer.to_owned(),
            ratios: vec![1.0],
            resolution: 0.04,
            place: vec![("what".to_owned(), text(what))],
        };
        let kind = "runs".to_owned();
        let contents = [
            Content::Fields { kind, fields },
            Content::Comparison(comparison),
        ];
        contents.map(|content| line("a", content))
    }

    #[test]
    fn what_was_measured_of_several_contestants_has_a_section_of_its_own() {
        let lines = [
            measured("yield", "floor"),
            measured("yield", "tokio"),
            measured("spawn", "floor"),
        ];
        let scenario = &Results::of(lines.as_flattened()).scenarios[0];
        let titles: Vec<_> = scenario
            .sections
            .iter()
            .map(|section| section.title.as_deref())
            .collect();
        assert_eq!(titles, [Some("yield"), Some("spawn")]);
        let first = &scenario.sections[0];
        assert_eq!(
            (first.groups[0].rows.len(), first.comparisons.len()),
            (2, 2)
        );
        assert_eq!(first.groups[0].rows[0].what(), None);
        assert_eq!(first.ratios_file, "models-yield-ratios.svg");

        let lines = [measured("yield", "floor"), measured("spawn", "floor")];
        let scenario = &Results::of(lines.as_flattened()).scenarios[0];
        assert_eq!(scenario.sections.len(), 1, "a column does");
        assert_eq!(scenario.sections[0].title, None);
    }
}
