//! `tests/BUGS.md` tells the truth: it has a row for every bug, and the tests that it names exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// How many bugs the list has.
const ROWS: usize = 93;

/// One bug of the list.
#[derive(Debug)]
struct Row {
    number: usize,
    cells: Vec<String>,
}

impl Row {
    /// What proves it.
    fn proof(&self) -> &str {
        self.cells.last().map_or("", String::as_str)
    }

    /// The tests that it names.
    fn tests(&self) -> BTreeSet<String> {
        let marked = self.proof().split('`').skip(1).step_by(2);
        marked
            .filter(|name| looks_like_a_test(name))
            .map(str::to_owned)
            .collect()
    }

    /// What is wrong with it, as far as it can be seen without the sources.
    fn complaints(&self) -> Vec<String> {
        let number = self.number;
        let mut complaints = Vec::new();
        if self.cells.len() != 3 || self.cells.iter().any(String::is_empty) {
            complaints.push(format!("row {number} does not have four cells with text"));
        }
        let explains = ["reason: ", "open: "]
            .iter()
            .any(|word| self.proof().contains(word));
        if self.tests().is_empty() && !explains {
            complaints.push(format!(
                "row {number} has neither a test nor a reason nor says what it waits for"
            ));
        }
        complaints
    }
}

/// A name of several words in lower case: not a constant, not an option.
fn looks_like_a_test(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.contains('_') && name.chars().all(fits)
}

fn rows(document: &str) -> Vec<Row> {
    let lines = document.lines().filter_map(|line| line.strip_prefix("| "));
    lines
        .filter_map(|line| {
            let mut cells = line.trim_end().trim_end_matches('|').split(" | ");
            let number = cells.next()?.trim().parse().ok()?;
            let cells = cells.map(|cell| cell.trim().to_owned()).collect();
            Some(Row { number, cells })
        })
        .collect()
}

/// The number in the name of a test of a bug; a model's name has its tool before it. A name may hold several.
fn numbers_in(name: &str) -> Vec<usize> {
    let name = name.strip_prefix("loom_").unwrap_or(name);
    let Some(rest) = name.strip_prefix("bug_") else {
        return Vec::new();
    };
    let parts = rest.split('_').map_while(|part| {
        let is_number = part.len() == 3 && part.chars().all(|c| c.is_ascii_digit());
        is_number.then(|| part.parse().expect("three digits"))
    });
    parts.collect()
}

/// The names of the functions in a source.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")?.split(['(', '<']).next()
    })
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every function of the workspace, and the file where it was found.
fn all_functions() -> BTreeMap<String, PathBuf> {
    let folders = ["executor", "consensus", "benches", "tests"];
    let mut pending: Vec<PathBuf> = folders.iter().map(|name| repository().join(name)).collect();
    let mut found = BTreeMap::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder that can be read");
            pending.extend(entries.map(|entry| entry.expect("an entry of a folder").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            found.extend(functions(&text).map(|name| (name.to_owned(), path.clone())));
        }
    }
    found
}

/// What is wrong between the rows and the functions that exist.
fn disagreements(rows: &[Row], functions: &BTreeMap<String, PathBuf>) -> Vec<String> {
    let mut complaints = Vec::new();
    for row in rows {
        for test in row
            .tests()
            .iter()
            .filter(|test| !functions.contains_key(*test))
        {
            complaints.push(format!("row {} names {test}, which is nowhere", row.number));
        }
    }
    for (function, path) in functions {
        for number in numbers_in(function) {
            let row = rows.iter().find(|row| row.number == number);
            if !row.is_some_and(|row| row.tests().contains(function)) {
                complaints.push(format!(
                    "{}: {function} is not named in row {number} of tests/BUGS.md",
                    path.display()
                ));
            }
        }
    }
    complaints
}

fn document() -> String {
    fs::read_to_string(repository().join("tests/BUGS.md")).expect("tests/BUGS.md")
}

#[test]
fn the_list_has_every_bug_once_and_in_order() {
    let rows = rows(&document());
    let numbers: Vec<usize> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=ROWS).collect::<Vec<_>>());
    let complaints: Vec<String> = rows.iter().flat_map(Row::complaints).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_tests_that_the_list_names_exist_and_those_that_exist_are_named() {
    let complaints = disagreements(&rows(&document()), &all_functions());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_row_that_is_wrong_is_found() {
    let rows = rows(
        "| # | what | where | proof |\n|---|---|---|---|\n\
         | 1 | a | b | `bug_001_there` |\n| 2 | a | b | trust me |\n| 3 | a | b | `not_there` |\n| 4 | a | reason: `MSG_X` |\n",
    );
    assert_eq!(rows.len(), 4);
    let complaints: Vec<usize> = rows.iter().map(|row| row.complaints().len()).collect();
    assert_eq!(complaints, [0, 1, 0, 1]);
    let source = "fn bug_001_there() {\n    async fn bug_002_unnamed() {}\n    pub fn loom_bug_001_003_model<T>() {}";
    let functions = functions(source)
        .map(|name| (name.to_owned(), PathBuf::new()))
        .collect();
    let found = disagreements(&rows, &functions);
    assert_eq!(found.len(), 4, "{found:?}");
    for part in ["not_there", "bug_002_unnamed", "row 1 of", "row 3 of"] {
        assert!(
            found.iter().any(|text| text.contains(part)),
            "{part}: {found:?}"
        );
    }
}
