//! Lines, put together: what was measured under one name stands in one place, in the order of its first line.

use super::lines::{Circumstances, Comparison, Content, Field, Line, Point};
use crate::harness::statistics::{Summary, Verdict, verdict};

#[derive(Debug)]
pub(super) struct Results {
    pub(super) lines: usize,
    pub(super) circumstances: Vec<(Circumstances, Loads)>,
    pub(super) scenarios: Vec<Scenario>,
}

/// Of the machine before the first runs, as often as they were said.
#[derive(Debug, Default)]
pub(super) struct Loads(pub(super) Vec<f64>);

#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) groups: Vec<Group>,
    pub(super) comparisons: Vec<Compared>,
    /// The name of the file with the picture of the comparisons.
    pub(super) ratios_file: String,
    pub(super) plots: Vec<Plot>,
    stops: Vec<Stop>,
}

/// Under which of the circumstances; none where there are only one.
pub(super) type Mark = Option<usize>;

/// Rows of which the same was measured.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) kind: String,
    /// Names of the lists of numbers.
    measured: Vec<String>,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) mark: Mark,
    pub(super) fields: Vec<(String, Field)>,
}

#[derive(Debug)]
pub(super) struct Compared {
    pub(super) subject: String,
    pub(super) baseline: String,
    pub(super) ratios: Summary,
    pub(super) verdict: Verdict,
    /// Where it was compared.
    pub(super) row: Row,
}

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
        let mut circumstances: Vec<(Circumstances, Loads)> = Vec::new();
        for line in lines {
            let known = circumstances
                .iter()
                .position(|(known, _)| *known == line.circumstances);
            let index = known.unwrap_or_else(|| {
                circumstances.push((line.circumstances.clone(), Loads::default()));
                circumstances.len() - 1
            });
            let load: Option<f64> = line.load.as_ref().and_then(|load| load.parse().ok());
            circumstances[index].1.0.extend(load);
        }
        let mark = |line: &Line| {
            let is_it = |(known, _): &(Circumstances, Loads)| *known == line.circumstances;
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
            scenario.ratios_file = files.name(&scenario.ratios_title());
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
            groups: Vec::new(),
            comparisons: Vec::new(),
            ratios_file: String::new(),
            plots: Vec::new(),
            stops: Vec::new(),
        }
    }

    fn add(&mut self, mark: Mark, content: &Content) {
        match content {
            Content::Comparison(comparison) => self.comparisons.push(compared(mark, comparison)),
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
        let lists = kept
            .iter()
            .filter(|(_, field)| matches!(field, Field::Numbers(_)));
        let measured: Vec<String> = lists.map(|(name, _)| name.clone()).collect();
        let row = Row { mark, fields: kept };
        let group = self
            .groups
            .iter_mut()
            .find(|group| group.kind == kind && group.measured == measured);
        match group {
            Some(group) => group.rows.push(row),
            None => self.groups.push(Group {
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

    pub(super) fn ratios_title(&self) -> String {
        format!("{} ratios", self.name)
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

fn compared(mark: Mark, comparison: &Comparison) -> Compared {
    let ratios = Summary::of(&comparison.ratios);
    Compared {
        subject: comparison.subject.clone(),
        baseline: comparison.baseline.clone(),
        verdict: verdict(&ratios, comparison.resolution),
        ratios,
        row: Row {
            mark,
            fields: comparison.place.clone(),
        },
    }
}

impl Plot {
    fn add(&mut self, mark: Mark, point: &Point) {
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
    fn finish(&mut self) {
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
    fn stops(&self) -> Vec<Stop> {
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

/// The name of the circumstances with this number.
pub(super) fn letter(index: usize) -> String {
    match u8::try_from(index) {
        Ok(index @ 0..26) => char::from(b'A' + index).to_string(),
        _ => (index + 1).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circumstances(commit: &str) -> Circumstances {
        Circumstances {
            processor: "Fast One".to_owned(),
            cores: "2".to_owned(),
            kernel: "6.18".to_owned(),
            commit: commit.to_owned(),
            build: "optimised".to_owned(),
            versions: "krug 0.1.0".to_owned(),
        }
    }

    fn line(commit: &str, content: Content) -> Line {
        Line {
            scenario: "models".to_owned(),
            circumstances: circumstances(commit),
            load: Some("0.10".to_owned()),
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
        let points = [(10.0, 5.0), (1.0, 1.0), (1.0, 9.0), (1.0, 2.0)];
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
        assert_eq!(results.circumstances[1].1.0, [0.1, 0.1]);
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
        let sizes: Vec<_> = scenario
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
}
