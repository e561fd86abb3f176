//! What differs by nature: the table in `tests/FIDELITY.md`.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// A step that comes to something else on one driver than on io_uring.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    pub(crate) kind: &'static str,
    pub(crate) driver: String,
    pub(crate) index: usize,
    pub(crate) step: String,
    pub(crate) says: String,
    pub(crate) expected: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "step {}, {}: {} says '{}', the first driver '{}'",
            self.index, self.step, self.driver, self.says, self.expected
        )
    }
}

/// A row of the table. In all columns but the reason `*` stands for anything, in the middle of a text, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: String,
    driver: String,
    step: String,
    says: String,
    expected: String,
    pub(crate) reason: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry {
            kind,
            driver,
            step,
            says,
            expected,
            reason,
        } = self;
        write!(
            f,
            "{kind}, {driver}, {step}: '{says}', not '{expected}': {reason}"
        )
    }
}

impl Entry {
    fn explains(&self, found: &Difference) -> bool {
        let columns = [
            (&self.driver, &found.driver),
            (&self.step, &found.step),
            (&self.says, &found.says),
            (&self.expected, &found.expected),
        ];
        self.kind == found.kind && columns.iter().all(|(pattern, text)| fits(pattern, text))
    }
}

/// Whether a text fits a pattern, in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((before, behind)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    let mut starts = rest
        .char_indices()
        .map(|(start, _)| start)
        .chain([rest.len()]);
    starts.any(|start| fits(behind, &rest[start..]))
}

/// All rows of the table.
pub(crate) fn listed() -> Vec<Entry> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("FIDELITY.md");
    let text = std::fs::read_to_string(path).expect("the list of differences");
    rows(&text)
}

fn rows(text: &str) -> Vec<Entry> {
    let is_row = |line: &&str| line.starts_with('|') && !line.starts_with("|-");
    let rows = text.lines().filter(is_row).skip(1);
    let entry = |row: &str| {
        let cells: Vec<String> = row.trim_matches('|').split('|').map(unquoted).collect();
        let [kind, driver, step, says, expected, reason] = <[String; 6]>::try_from(cells)
            .unwrap_or_else(|cells| panic!("a row has six columns: {cells:?}"));
        Entry {
            kind,
            driver,
            step,
            says,
            expected,
            reason,
        }
    };
    rows.map(entry).collect()
}

fn unquoted(cell: &str) -> String {
    cell.trim().trim_matches('`').to_owned()
}

/// Those of one kind of programs, and which of them were met.
pub(crate) struct Differences {
    entries: Vec<Entry>,
    met: BTreeSet<usize>,
}

impl Differences {
    pub(crate) fn read(kind: &str) -> Differences {
        let entries = listed().into_iter();
        Differences {
            entries: entries.filter(|entry| entry.kind == kind).collect(),
            met: BTreeSet::new(),
        }
    }

    pub(crate) fn explains(&self, found: &Difference) -> bool {
        self.entries.iter().any(|entry| entry.explains(found))
    }

    /// True if it is on the list, where it is marked.
    pub(crate) fn meet(&mut self, found: &Difference) -> bool {
        let place = self.entries.iter().position(|entry| entry.explains(found));
        self.met.extend(place);
        place.is_some()
    }

    pub(crate) fn never_met(&self) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.iter().enumerate();
        entries.filter_map(|(place, entry)| (!self.met.contains(&place)).then_some(entry))
    }
}

#[test]
fn a_row_explains_what_fits_it_and_nothing_else() {
    let text = "\
| kind | driver | step | says | instead of | why |
|---|---|---|---|---|---|
| a | sim | `Read { * }` | `error 5` | `*` | because |
";
    let rows = rows(text);
    assert_eq!(rows.len(), 1);
    let found = |step: &str, says: &str| Difference {
        kind: "a",
        driver: "sim".into(),
        index: 0,
        step: step.into(),
        says: says.into(),
        expected: "3".into(),
    };
    assert!(rows[0].explains(&found("Read { end: 1 }", "error 5")));
    assert!(!rows[0].explains(&found("Write { end: 1 }", "error 5")));
    assert!(!rows[0].explains(&found("Read { end: 1 }", "error 55")));
    let mut known = Differences {
        entries: rows,
        met: BTreeSet::new(),
    };
    assert_eq!(known.never_met().count(), 1);
    assert!(!known.meet(&found("Write", "error 5")));
    assert!(known.meet(&found("Read { x }", "error 5")));
    assert_eq!(known.never_met().count(), 0);
}
