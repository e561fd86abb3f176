//! From lines of JSON to tables and pictures, by the program.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Lines as runs keep them, and the text that belongs to them.
const LINES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report/lines.jsonl");
const TEXT: &str = include_str!("report/RESULTS.md");

fn report(lines: &Path, folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_krug-benches"))
        .arg("report")
        .arg(lines)
        .arg("--to")
        .arg(folder)
        .output()
        .unwrap()
}

/// Name and content of all files, in the order of their names.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn files_of_the_lines() -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("made/if/missing");
    let output = report(Path::new(LINES), &folder);
    assert!(output.status.success(), "{output:?}");
    let files = files(&folder);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), files.len(), "{said}");
    files
}

/// If the text is to be another one: `cargo run -p krug-benches -- report benches/tests/report/lines.jsonl --to FOLDER`, read it, and copy it.
#[test]
fn lines_become_the_text_that_belongs_to_them() {
    let files = files_of_the_lines();
    let (_, text) = files.iter().find(|(name, _)| name == "RESULTS.md").unwrap();
    assert_eq!(text, TEXT);
}

#[test]
fn equal_lines_make_equal_files() {
    assert_eq!(files_of_the_lines(), files_of_the_lines());
}

#[test]
fn every_picture_is_a_well_formed_one_and_shown_in_the_text() {
    let files = files_of_the_lines();
    let pictures: Vec<_> = files
        .iter()
        .filter(|(name, _)| name.ends_with(".svg"))
        .collect();
    let names: Vec<_> = pictures.iter().map(|(name, _)| name.as_str()).collect();
    let wanted = [
        "echo-ratios.svg",
        "models-requests-per-second.svg",
        "reads-s-until-a-read-is-done-direct.svg",
    ];
    assert_eq!(names, wanted);
    for (name, picture) in pictures {
        let document =
            roxmltree::Document::parse(picture).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(document.root_element().tag_name().name(), "svg", "{name}");
        for node in document.descendants() {
            for attribute in node.attributes() {
                let value = attribute.value();
                assert!(
                    !value.contains("NaN") && !value.contains("inf"),
                    "{name}: {value}"
                );
            }
        }
        assert!(TEXT.contains(&format!("]({name})")), "{name} is not shown");
    }
}

/// All words of a picture.
fn words(name: &str) -> String {
    let files = files_of_the_lines();
    let (_, picture) = files.iter().find(|(known, _)| known == name).unwrap();
    let document = roxmltree::Document::parse(picture).unwrap();
    let nodes = document.descendants().filter(|node| node.is_text());
    let texts = nodes.filter_map(|node| node.text());
    texts.map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_legend_says_who_could_not_go_on_and_where() {
    let words = words("models-requests-per-second.svg");
    for wanted in [
        "krug, one core",
        "select",
        "cannot go on at 11 k",
        "concurrent users",
    ] {
        assert!(words.contains(wanted), "no {wanted:?} in {words}");
    }
    assert_eq!(words.matches("cannot go on").count(), 2, "{words}");
    // More than two decades of users and of requests less: powers of ten on one axis only.
    for tick in ["10", "100", "10 k", "50 k"] {
        assert!(
            words.lines().any(|line| line == tick),
            "no tick {tick} in {words}"
        );
    }
}

#[test]
fn the_picture_of_ratios_says_what_is_tied() {
    let words = words("echo-ratios.svg");
    for wanted in [
        "krug-uring / tokio, in flight 16",
        "1.065 ahead",
        "0.989 tied",
        "0.931 behind",
    ] {
        assert!(words.contains(wanted), "no {wanted:?} in {words}");
    }
}

#[test]
fn bad_lines_are_refused_by_number_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("bad.jsonl");
    let good = fs::read_to_string(LINES).unwrap();
    let good = good.lines().next().unwrap();
    fs::write(
        &lines,
        format!("{good}\nnonsense\n{good}\n{{\"scenario\":\"echo\"}}\n"),
    )
    .unwrap();
    let results = folder.path().join("results");
    let output = report(&lines, &results);
    assert_eq!(output.status.code(), Some(2));
    let complaints = String::from_utf8(output.stderr).unwrap();
    let complaints: Vec<_> = complaints.lines().collect();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    let begins = |line: usize, number| {
        complaints[line].starts_with(&format!("{}:{number}: ", lines.display()))
    };
    assert!(begins(0, 2) && begins(1, 4), "{complaints:?}");
    assert!(complaints[1].ends_with("no `kind`"), "{complaints:?}");
    assert!(!results.exists());
}

#[test]
fn a_file_that_is_not_there_is_said() {
    let output = report(Path::new("no/such/file"), Path::new("nowhere"));
    assert_eq!(output.status.code(), Some(2));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.starts_with("no/such/file: "), "{complaint}");
}
