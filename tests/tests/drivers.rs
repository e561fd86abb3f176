//! Which tests do not run on every driver, or expect something else there, and why.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// How many tests may be left out on some driver.
const LEFT_OUT_MAX: usize = 10;

/// How many tests may be left out in a simulation. Whoever needs more should first see whether the other side can be krug's, too.
/// Eleven are those of `cores.rs` about threads and processors.
const NEED_A_KERNEL_MAX: usize = 75;

/// Programs of tests that need no runtime, or have a driver chosen for each of theirs.
const WITHOUT_RUNTIME: &[&str] = &[
    "tests/tests/bugs.rs",
    "tests/tests/drivers.rs",
    "tests/tests/fallback.rs",
    "tests/tests/fidelity/main.rs",
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

/// Programs that run on the drivers on a kernel, and not in a simulation, and why.
const WITHOUT_SIMULATION: &[(&str, &str)] = &[
    (
        "tests/tests/cores_channels.rs",
        "is about threads; a host of several cores has channels in tests/tests/simulation.rs",
    ),
    (
        "tests/tests/counters.rs",
        "counts system calls and allocations of the drivers on a kernel; a simulation allocates for its world",
    ),
    (
        "tests/tests/idle_memory.rs",
        "measures what the process takes from the system for real connections",
    ),
    (
        "tests/tests/interoperation.rs",
        "talks with programs that nobody here wrote",
    ),
    (
        "tests/tests/signals.rs",
        "the system's signals come to the process, never into a world; simulated_signals.rs is about those",
    ),
    (
        "tests/tests/stalls.rs",
        "is about time that passes during a poll; in a simulation none does, and the watchdog is ignored: the last test there",
    ),
    (
        "consensus/src/lib.rs",
        "its transports are tested with sockets of the standard library's",
    ),
    (
        "consensus/tests/demo.rs",
        "starts the demo as a program, which is to speak over real sockets",
    ),
    ("consensus/tests/program.rs", "starts the demo as a program"),
    ("consensus/tests/faults.rs", "starts the demo as a program"),
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
    let without_simulation: Vec<&str> = WITHOUT_SIMULATION.iter().map(|(path, _)| *path).collect();
    for (path, text) in roots {
        // Those of simulated worlds bring their driver with them.
        let is_simulated = path.starts_with("tests/tests/simulat");
        if is_simulated || WITHOUT_RUNTIME.contains(&path.as_str()) {
            continue;
        }
        let wanted = match without_simulation.contains(&path.as_str()) {
            true => "on_every_kernel_driver!();",
            false => "on_every_driver!();",
        };
        assert!(text.contains(wanted), "{path} is without {wanted}");
    }
    for (path, reason) in WITHOUT_SIMULATION {
        assert!(all.iter().any(|(found, _)| found == path), "{path} is gone");
        assert!(!reason.is_empty(), "{path} is left out for no reason");
    }
}

/// What a test gives as its reason not to run in a simulation.
fn reason_given(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("needs_a_kernel!(")?;
    let (reason, _) = rest.trim().strip_prefix('"')?.split_once('"')?;
    Some(reason).filter(|reason| reason.split_whitespace().count() >= 3)
}

#[test]
fn tests_that_are_left_out_in_a_simulation_say_why() {
    let mut reasons = BTreeMap::new();
    let all = all_sources();
    for (path, text) in all
        .iter()
        .filter(|(path, _)| path != "tests/tests/drivers.rs")
    {
        let mut name = String::new();
        // A line may be too long for its reason.
        let text = text.replace("needs_a_kernel!(\n", "needs_a_kernel!(");
        for line in text.lines() {
            if let Some((_, rest)) = line.trim().split_once("fn ") {
                name = rest.split('(').next().unwrap_or(rest).to_owned();
            }
            if line.contains("needs_a_kernel!(") {
                let reason = reason_given(line);
                let reason = reason.unwrap_or_else(|| panic!("{path}: {name} gives no reason"));
                reasons
                    .entry(reason.to_owned())
                    .or_insert_with(Vec::new)
                    .push((path, name.clone()));
            }
        }
    }
    let count: usize = reasons.values().map(Vec::len).sum();
    println!("{count} tests are left out in a simulation");
    for (reason, tests) in &reasons {
        println!("{reason}:");
        for (path, name) in tests {
            println!("  {path}: {name}");
        }
    }
    assert!(count <= NEED_A_KERNEL_MAX, "{count}");
}

#[test]
fn a_reason_is_read_off_the_line_that_gives_it() {
    let line = r#"    krug_tests::needs_a_kernel!("it is about signals");"#;
    assert_eq!(reason_given(line), Some("it is about signals"));
    assert_eq!(reason_given(r#"needs_a_kernel!("");"#), None);
    assert_eq!(reason_given(r#"needs_a_kernel!("so");"#), None);
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
