//! Lines of JSON, each an object that a run has kept.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// More complaints than these help nobody.
const COMPLAINTS_MAX: usize = 20;

/// Smaller differences are not told apart where a line does not say what can be: as coarse as the coarsest scenario.
const RESOLUTION: f64 = 0.04;

/// Under which circumstances a result came to be: what two results must have in common to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Circumstances {
    pub(super) processor: String,
    pub(super) cores: String,
    pub(super) kernel: String,
    pub(super) commit: String,
    pub(super) build: String,
    pub(super) versions: String,
    /// What rings could be made. Nothing in older lines.
    pub(super) ring: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Line {
    pub(super) scenario: String,
    pub(super) circumstances: Circumstances,
    /// Of the machine, before the first run.
    pub(super) load: Option<String>,
    /// What the program was called with.
    pub(super) command: Option<String>,
    pub(super) content: Content,
}

#[derive(Debug, PartialEq)]
pub(super) enum Content {
    Comparison(Comparison),
    Point(Point),
    /// Whatever else was kept, under the name of its kind.
    Fields {
        kind: String,
        fields: Vec<(String, Field)>,
    },
}

/// The subject against one baseline.
#[derive(Debug, PartialEq)]
pub(super) struct Comparison {
    pub(super) subject: String,
    pub(super) baseline: String,
    /// One of each pair; above 1: the subject is faster.
    pub(super) ratios: Vec<f64>,
    pub(super) resolution: f64,
    /// What else tells it from others of the scenario.
    pub(super) place: Vec<(String, Field)>,
}

/// Of a curve.
#[derive(Debug, PartialEq)]
pub(super) struct Point {
    pub(super) plot: String,
    pub(super) series: String,
    pub(super) x_label: String,
    pub(super) y_label: String,
    pub(super) x: f64,
    /// Or why there is none.
    pub(super) y: Result<f64, String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field {
    Text(String),
    Number(f64),
    Numbers(Vec<f64>),
}

/// All lines, or what is wrong with the bad ones, by their numbers. Empty lines are none.
pub(super) fn read(text: &[u8]) -> Result<Vec<Line>, Vec<(usize, String)>> {
    let mut lines = Vec::new();
    let mut complaints = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match read_line(line) {
            Ok(line) => lines.push(line),
            Err(reason) if complaints.len() < COMPLAINTS_MAX => {
                complaints.push((index + 1, reason));
            }
            Err(_) => {}
        }
    }
    if lines.is_empty() && complaints.is_empty() {
        complaints.push((1, "there is no line in it".to_owned()));
    }
    if complaints.is_empty() {
        Ok(lines)
    } else {
        Err(complaints)
    }
}

fn read_line(line: &[u8]) -> Result<Line, String> {
    let object: Object = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let mut fields = Fields::of(object)?;
    let scenario = fields.text("scenario")?;
    let kind = fields.text("kind")?;
    let circumstances = Circumstances {
        processor: fields.text("processor")?,
        cores: fields
            .number_if_any("cores")?
            .map_or_else(String::new, |cores| cores.to_string()),
        kernel: fields.text("kernel")?,
        commit: fields.text("commit")?,
        build: fields.text("build")?,
        versions: fields.text("versions")?,
        ring: fields.text_if_any("ring")?,
    };
    let command = fields.text_if_any("command")?;
    let load = fields.text_if_any("load")?;
    let content = match kind.as_str() {
        // `ratios` is what lines of a comparison were called before.
        "comparison" | "ratios" => Content::Comparison(comparison(fields)?),
        "curve" => Content::Point(point(fields)?),
        _ => content(kind, fields)?,
    };
    Ok(Line {
        scenario,
        circumstances,
        load,
        command,
        content,
    })
}

fn comparison(mut fields: Fields) -> Result<Comparison, String> {
    let subject = fields.text("peer")?;
    let baseline = fields.text("baseline")?;
    let ratios = fields.numbers("ratios")?;
    if let Some(ratio) = ratios.iter().find(|ratio| **ratio <= 0.0) {
        return Err(format!("`ratios` holds {ratio}, which is no ratio"));
    }
    let resolution = fields.number_if_any("resolution")?.unwrap_or(RESOLUTION);
    Ok(Comparison {
        subject,
        baseline,
        ratios,
        resolution,
        place: fields.0,
    })
}

fn point(mut fields: Fields) -> Result<Point, String> {
    let cannot = fields.text_if_any("cannot")?;
    let y = match (fields.number_if_any("y")?, cannot) {
        (Some(y), None) => Ok(y),
        (None, Some(reason)) => Err(reason),
        (None, None) => return Err("neither a number `y` nor a reason `cannot`".to_owned()),
        (Some(_), Some(_)) => return Err("both `y` and `cannot`".to_owned()),
    };
    Ok(Point {
        plot: fields.text("plot")?,
        series: fields.text("series")?,
        x_label: fields.text("x_label")?,
        y_label: fields.text("y_label")?,
        x: fields.number("x")?,
        y,
    })
}

fn content(kind: String, Fields(fields): Fields) -> Result<Content, String> {
    if fields.is_empty() {
        return Err("nothing was measured in it".to_owned());
    }
    Ok(Content::Fields { kind, fields })
}

/// What is left of an object while its known fields are taken out.
struct Fields(Vec<(String, Field)>);

impl Fields {
    /// A null stands where there was no number: the field is as good as absent.
    fn of(object: Object) -> Result<Fields, String> {
        let mut fields: Vec<(String, Field)> = Vec::new();
        for (name, value) in object.0 {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(format!("`{name}` stands in it twice"));
            }
            if !value.is_null() {
                let field = field(&value).map_err(|reason| format!("`{name}` {reason}"))?;
                fields.push((name, field));
            }
        }
        Ok(Fields(fields))
    }

    fn take(&mut self, name: &str) -> Option<Field> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(index).1)
    }

    fn text(&mut self, name: &str) -> Result<String, String> {
        let text = self.text_if_any(name)?;
        text.ok_or_else(|| format!("no `{name}`"))
    }

    fn text_if_any(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Field::Text(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{name}` is no text")),
        }
    }

    fn number(&mut self, name: &str) -> Result<f64, String> {
        let number = self.number_if_any(name)?;
        number.ok_or_else(|| format!("no `{name}`"))
    }

    fn number_if_any(&mut self, name: &str) -> Result<Option<f64>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Field::Number(number)) => Ok(Some(number)),
            Some(_) => Err(format!("`{name}` is no number")),
        }
    }

    fn numbers(&mut self, name: &str) -> Result<Vec<f64>, String> {
        match self.take(name) {
            None => Err(format!("no `{name}`")),
            Some(Field::Numbers(numbers)) => Ok(numbers),
            Some(_) => Err(format!("`{name}` is no list of numbers")),
        }
    }
}

fn field(value: &Value) -> Result<Field, String> {
    match value {
        Value::String(text) => Ok(Field::Text(text.clone())),
        Value::Bool(is_so) => Ok(Field::Text(if *is_so { "yes" } else { "no" }.to_owned())),
        Value::Array(values) if values.is_empty() => Err("is an empty list".to_owned()),
        Value::Array(values) => {
            let numbers: Option<Vec<f64>> = values.iter().map(Value::as_f64).collect();
            let numbers = numbers.ok_or("holds something that is no number")?;
            Ok(Field::Numbers(numbers))
        }
        Value::Object(_) => Err("is an object".to_owned()),
        Value::Null | Value::Number(_) => value
            .as_f64()
            .map(Field::Number)
            .ok_or_else(|| "is no number".to_owned()),
    }
}

/// An object of JSON that keeps the order of its fields.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Object;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#""processor":"Fast One","kernel":"6.18","commit":"abc","build":"optimised","versions":"krug 0.1.0""#;

    fn line(scenario: &str, kind: &str, rest: &str) -> String {
        format!(r#"{{"scenario":"{scenario}","kind":"{kind}",{HEAD}{rest}}}"#)
    }

    fn complaint(text: &str) -> (usize, String) {
        let mut complaints = read(text.as_bytes()).unwrap_err();
        assert_eq!(complaints.len(), 1, "{text}");
        complaints.remove(0)
    }

    #[test]
    fn fields_keep_their_order_and_a_null_is_none() {
        let text = line("echo", "runs", r#","z":"a","b":[1,2],"c":null,"a":1.5"#);
        let lines = read(text.as_bytes()).unwrap();
        let wanted = [
            ("z".to_owned(), Field::Text("a".to_owned())),
            ("b".to_owned(), Field::Numbers(vec![1.0, 2.0])),
            ("a".to_owned(), Field::Number(1.5)),
        ];
        let Content::Fields { kind, fields } = &lines[0].content else {
            panic!("{lines:?}")
        };
        assert_eq!((kind.as_str(), fields.as_slice()), ("runs", &wanted[..]));
        assert_eq!(lines[0].circumstances.processor, "Fast One");
    }

    #[test]
    fn bad_lines_are_refused_with_their_numbers_and_reasons() {
        let good = line("echo", "runs", r#","rate":[1]"#);
        for (bad, reason) in [
            ("{\"scenario\":\"echo\"", "EOF while parsing"),
            ("[1,2]", "expected an object"),
            ("{}", "no `scenario`"),
            ("{\"scenario\":1}", "`scenario` is no text"),
            ("{\"scenario\":\"\u{fffd}", "EOF while parsing"),
            (
                &line("echo", "runs", r#","rate":[]"#),
                "`rate` is an empty list",
            ),
            (
                &line("echo", "runs", r#","rate":[1,null]"#),
                "`rate` holds something",
            ),
            (
                &line("echo", "runs", r#","rate":1,"rate":2"#),
                "`rate` stands in it twice",
            ),
            (&line("echo", "runs", ""), "nothing was measured"),
            (&line("echo", "runs", r#","a":{}"#), "`a` is an object"),
            (
                &line("echo", "runs", r#","a":1e999"#),
                "number out of range",
            ),
        ] {
            let (number, complaint) = complaint(&format!("{good}\n\n{bad}\n{good}\n"));
            assert_eq!(number, 3, "{bad}");
            assert!(complaint.contains(reason), "{bad}: {complaint}");
        }
    }

    #[test]
    fn a_comparison_needs_both_sides_and_ratios() {
        let refused = |rest| complaint(&line("echo", "comparison", rest)).1;
        assert_eq!(refused(r#","peer":"krug""#), "no `baseline`");
        let sides = r#","peer":"krug","baseline":"floor""#;
        assert_eq!(refused(sides), "no `ratios`");
        assert_eq!(
            refused(&format!(r#"{sides},"ratios":[1,0]"#)),
            "`ratios` holds 0, which is no ratio"
        );
        let text = line(
            "echo",
            "ratios",
            &format!(r#"{sides},"in_flight":16,"ratios":[0.9]"#),
        );
        let lines = read(text.as_bytes()).unwrap();
        let Content::Comparison(comparison) = &lines[0].content else {
            panic!("{lines:?}")
        };
        assert_eq!(comparison.resolution, RESOLUTION);
        assert_eq!(
            comparison.place,
            [("in_flight".to_owned(), Field::Number(16.0))]
        );
    }

    #[test]
    fn a_point_has_a_height_or_a_reason() {
        let refused = |rest: &str| {
            let labels = r#","plot":"p","series":"s","x_label":"x","y_label":"y","x":1"#;
            complaint(&line("models", "curve", &format!("{labels}{rest}"))).1
        };
        assert!(refused("").starts_with("neither"));
        assert!(refused(r#","y":null"#).starts_with("neither"));
        assert!(refused(r#","y":1,"cannot":"no more threads""#).starts_with("both"));
        let (_, reason) = complaint(&line("models", "curve", r#","y":1,"x":1"#));
        assert_eq!(reason, "no `plot`");
    }

    #[test]
    fn a_file_without_lines_and_one_of_bad_ones_only_are_refused() {
        assert_eq!(complaint("\n \n"), (1, "there is no line in it".to_owned()));
        assert_eq!(
            read("x\n".repeat(100).as_bytes()).unwrap_err().len(),
            COMPLAINTS_MAX
        );
        let not_text = read(b"{\"scenario\":\"\xff\"}").unwrap_err();
        assert!(not_text[0].1.contains("invalid unicode"), "{not_text:?}");
    }
}
