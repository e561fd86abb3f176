//! What the docs name exists: tests that check the rows of tables, files on the way of a read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of all functions below `folder`, those of tests among them.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let lines = text.lines().map(str::trim_start);
            names.extend(lines.filter_map(|line| {
                let name = line.strip_prefix("fn ")?.split(['(', '<']).next()?;
                Some(name.to_owned())
            }));
        }
    }
}

/// The last cells of the rows of the table whose head begins with `head`, without their quotes.
fn named_tests(docs: &str, head: &str) -> Vec<String> {
    let mut lines = docs.lines().skip_while(|line| !line.starts_with(head));
    assert!(lines.next().is_some(), "no table that begins with '{head}'");
    let rows = lines.skip(1).take_while(|line| line.starts_with("//! |"));
    rows.map(|row| {
        let cell = row.trim_end_matches('|').rsplit('|').next().unwrap_or("");
        cell.trim().trim_matches('`').to_owned()
    })
    .collect()
}

#[test]
fn every_row_of_the_table_of_errors_has_its_test() {
    let docs = fs::read_to_string(root().join("executor/src/runtime/mod.rs")).expect("the docs");
    let mut names = BTreeSet::new();
    functions(&root().join("tests/tests"), &mut names);
    functions(&root().join("executor/src"), &mut names);
    let named = named_tests(&docs, "//! | errno | where |");
    assert!(named.len() >= 12, "rows are missing: {named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !names.contains(*name)).collect();
    assert!(
        missing.is_empty(),
        "the table names tests that do not exist: {missing:?}"
    );
}

#[test]
fn a_row_without_a_test_is_found() {
    let docs =
        "//! | errno | where | test |\n//! |---|---|---|\n//! | `EIO` | x | `no_such_test` |\n";
    assert_eq!(named_tests(docs, "//! | errno | where |"), ["no_such_test"]);
    let mut names = BTreeSet::new();
    functions(&root().join("tests/tests"), &mut names);
    assert!(!names.contains("no_such_test"));
}

#[test]
fn the_way_of_a_read_through_the_files_leads_through_files_that_exist() {
    let docs = fs::read_to_string(root().join("executor/src/lib.rs")).expect("the crate's docs");
    let links = docs.split("](../src/krug/").skip(1);
    let files: BTreeSet<_> = links
        .filter_map(|rest| rest.split(".html)").next())
        .collect();
    assert!(files.len() >= 12, "the way is too short: {files:?}");
    for file in files {
        let path = root().join("executor/src").join(file);
        assert!(
            path.is_file(),
            "the docs link to {file}, which is not there"
        );
    }
}
