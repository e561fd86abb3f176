//! What a scenario has measured, row for row, and in sections if it is several things.

use super::lines::{Comparison, Field};
use crate::harness::statistics::{Summary, Verdict, verdict};

/// One of the things that a scenario measures, if it measures several of each contestant; else all of it.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: Option<String>,
    pub(super) groups: Vec<Group>,
    pub(super) comparisons: Vec<Compared>,
    pub(super) ratios_title: String,
    /// The name of the file with the picture of the comparisons.
    pub(super) ratios_file: String,
}

/// Under which of the circumstances; none where there are only one.
pub(super) type Mark = Option<usize>;

/// Rows of which the same was measured.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) kind: String,
    /// The name of the first list of numbers. What only some contestants know besides makes no other group.
    pub(super) measured: Option<String>,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) mark: Mark,
    pub(super) fields: Vec<(String, Field)>,
}

#[derive(Debug, Clone)]
pub(super) struct Compared {
    pub(super) subject: String,
    pub(super) baseline: String,
    pub(super) ratios: Summary,
    pub(super) verdict: Verdict,
    /// Where it was compared.
    pub(super) row: Row,
}

impl Section {
    pub(super) fn new(title: Option<String>) -> Section {
        Section {
            title,
            groups: Vec::new(),
            comparisons: Vec::new(),
            ratios_title: String::new(),
            ratios_file: String::new(),
        }
    }

    fn part_about(&self, thing: Option<String>) -> Section {
        let is_about_it = |row: &Row| row.what() == thing;
        let mut part = Section::new(thing.clone());
        for group in &self.groups {
            let rows = group.rows.iter().filter(|row| is_about_it(row));
            let rows: Vec<Row> = rows.map(Row::without_what).collect();
            if !rows.is_empty() {
                part.groups.push(Group {
                    rows,
                    ..group.clone()
                });
            }
        }
        for compared in &self.comparisons {
            if is_about_it(&compared.row) {
                part.comparisons.push(Compared {
                    row: compared.row.without_what(),
                    ..compared.clone()
                });
            }
        }
        part
    }
}

/// The field that says which of its things a scenario has measured.
const WHAT: &str = "what";

/// A section for each thing that was measured, if there are several and several rows of one.
pub(super) fn divided(all: &Section) -> Vec<Section> {
    let rows = all.groups.iter().flat_map(|group| &group.rows);
    let compared = all.comparisons.iter().map(|compared| &compared.row);
    let mut things: Vec<Option<String>> = Vec::new();
    for row in rows.chain(compared) {
        if !things.contains(&row.what()) {
            things.push(row.what());
        }
    }
    let has_several_rows = |group: &Group| {
        let mut rows = group.rows.iter();
        let mut pairs = group.rows.windows(2);
        rows.all(|row| row.what().is_some()) && pairs.any(|pair| pair[0].what() == pair[1].what())
    };
    if things.len() < 2 || !all.groups.iter().any(has_several_rows) {
        let whole = Section {
            groups: all.groups.clone(),
            comparisons: all.comparisons.clone(),
            ..Section::new(None)
        };
        return vec![whole];
    }
    things
        .into_iter()
        .map(|thing| all.part_about(thing))
        .collect()
}

impl Row {
    pub(super) fn what(&self) -> Option<String> {
        let field = self.fields.iter().find(|(name, _)| name == WHAT)?;
        match &field.1 {
            Field::Text(what) => Some(what.clone()),
            _ => None,
        }
    }

    fn without_what(&self) -> Row {
        let fields = self.fields.iter().filter(|(name, _)| name != WHAT);
        Row {
            mark: self.mark,
            fields: fields.cloned().collect(),
        }
    }
}

pub(super) fn compared(mark: Mark, comparison: &Comparison) -> Compared {
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

/// The name of the circumstances with this number.
pub(super) fn letter(index: usize) -> String {
    match u8::try_from(index) {
        Ok(index @ 0..26) => char::from(b'A' + index).to_string(),
        _ => (index + 1).to_string(),
    }
}
