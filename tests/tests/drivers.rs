//! Which tests do not run on every driver, or expect something else there, and why.

use std::fs;
use std::path::{Path, PathBuf};

/// How many tests may be left out on some driver.
const LEFT_OUT_MAX: usize = 10;

/// Programs of tests that need no runtime, or have a driver chosen for each of theirs.
const WITHOUT_RUNTIME: &[&str] = &[
    "tests/tests/bugs.rs",
    "tests/tests/drivers.rs",
    "tests/tests/fallback.rs",
    "tests/tests/museum.rs",
    "tests/tests/send_and_sync.rs",
    "tests/tests/tables.rs",
    "tests/tests/tidy.rs",
    "consensus/tests/decree_exhaustive.rs",
    "consensus/tests/decree_schedules.rs",
    "consensus/tests/peers.rs",
    "consensus/tests/refused.rs",
    "consensus/tests/simulated.rs",
];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file below `folder`, with its path from the top of the repository and its text.
fn sources(folder: &str, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(top().join(folder)).expect("a folder of the repository") {
        let name = entry.expect("an entry of the folder").file_name();
        let path = format!("{folder}/{}", name.to_string_lossy());
        if top().join(&path).is_dir() {
            sources(&path, found);
        } else if path.ends_with(".rs") {
            let text = fs::read_to_string(top().join(&path)).expect("a source file");
            found.push((path, text));
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in [
        "tests/tests",
        "executor/src",
        "executor/tests",
        "consensus/src",
        "consensus/tests",
    ] {
        sources(folder, &mut found);
    }
    found.sort();
    found
}

/// Places where `word` is called, each with the comment above it.
fn places(sources: &[(String, String)], word: &str) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for (path, text) in sources
        .iter()
        .filter(|(path, _)| path != "tests/tests/drivers.rs")
    {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let is_call = line.contains(word) && !line.starts_with("//") && !line.contains("fn ");
            if is_call {
                found.push((format!("{path}:{}", index + 1), reason(&lines, index)));
            }
        }
    }
    found
}

/// The comment that stands above the statement of this line.
fn reason(lines: &[&str], index: usize) -> Option<String> {
    let above = lines[..index].iter().rev().take(6);
    let ends =
        |line: &&&str| !line.starts_with("//") && (line.ends_with(';') || line.ends_with('}'));
    let comment: Vec<&str> = above
        .take_while(|line| !ends(line))
        .filter_map(|line| {
            line.strip_prefix("// ")
                .or_else(|| line.strip_prefix("/// "))
        })
        .collect();
    let text: Vec<&str> = comment.into_iter().rev().collect();
    (!text.is_empty()).then(|| text.join(" "))
}

#[test]
fn tests_that_are_left_out_on_a_driver_are_few_and_say_why() {
    let left_out = places(&all_sources(), "left_out_on(");
    println!("{} tests are left out on some driver", left_out.len());
    for (place, reason) in &left_out {
        println!("{place}: {}", reason.as_deref().unwrap_or(""));
    }
    assert!(left_out.len() <= LEFT_OUT_MAX);
    let unexplained: Vec<_> = left_out
        .iter()
        .filter(|(_, reason)| reason.is_none())
        .collect();
    assert!(unexplained.is_empty(), "without a reason: {unexplained:?}");
}

#[test]
fn whatever_is_counted_differently_without_a_ring_says_why() {
    let different = places(&all_sources(), "has_ring()");
    for (place, reason) in &different {
        println!("{place}: {}", reason.as_deref().unwrap_or(""));
    }
    let unexplained: Vec<_> = different
        .iter()
        .filter(|(_, reason)| reason.is_none())
        .collect();
    assert!(unexplained.is_empty(), "without a reason: {unexplained:?}");
}

#[test]
fn every_program_of_tests_that_has_a_runtime_runs_on_every_driver() {
    let is_root = |path: &str| {
        let inside = ["tests/tests/", "executor/tests/", "consensus/tests/"]
            .iter()
            .find_map(|folder| path.strip_prefix(folder));
        let is_library = ["executor/src/lib.rs", "consensus/src/lib.rs"].contains(&path);
        is_library || inside.is_some_and(|name| !name.contains('/') || name.ends_with("/main.rs"))
    };
    let all = all_sources();
    let roots: Vec<_> = all.iter().filter(|(path, _)| is_root(path)).collect();
    assert!(roots.len() > 30, "{}", roots.len());
    let missing: Vec<_> = roots
        .iter()
        .filter(|(path, text)| {
            // Those of simulated worlds bring their driver with them.
            let is_simulated = path.starts_with("tests/tests/simulat");
            let is_exempt = is_simulated || WITHOUT_RUNTIME.contains(&path.as_str());
            !is_exempt && !text.contains("on_epoll_too!();")
        })
        .map(|(path, _)| path)
        .collect();
    assert!(missing.is_empty(), "without on_epoll_too!(): {missing:?}");
}

#[test]
fn a_place_without_a_reason_is_seen_and_one_with_a_reason_is_not() {
    let source = |text: &str| [("a.rs".to_owned(), text.to_owned())];
    let bare = source("let a = 1;\nlet b = has_ring();\n");
    assert_eq!(places(&bare, "has_ring()"), [("a.rs:2".to_owned(), None)]);
    let explained = source("let a = 1;\n// Because of\n// that.\nlet b =\n    has_ring();\n");
    let expected = Some("Because of that.".to_owned());
    assert_eq!(
        places(&explained, "has_ring()"),
        [("a.rs:5".to_owned(), expected)]
    );
}
