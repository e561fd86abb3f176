//! The rules of this repository that no compiler checks, read off its sources as text.
//!
//! Each rule is a function from text to complaints; each is shown a planted piece of bad
//! text too, so that a rule that sees nothing fails.

mod tidy_rules;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tidy_rules::{
    Source, arrows, drop_docs, forbidden_words, long_files, long_functions, readme, unsafe_code,
};

/// How many crates of others the executor may stand on.
const THIRD_PARTY_CRATES_MAX: usize = 10;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the folder of the repository")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file below these folders, with its path from the top of the repository.
fn sources(folders: &[&str]) -> Vec<Source> {
    let top = repository();
    let mut pending: Vec<PathBuf> = folders.iter().map(|folder| top.join(folder)).collect();
    let mut found = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder that can be read");
            pending.extend(entries.map(|entry| entry.expect("an entry of a folder").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(&top)
                .expect("a path below the top")
                .display()
                .to_string();
            found.push(Source::new(&name, &read(&path)));
        }
    }
    assert!(!found.is_empty(), "no source below {folders:?}");
    found.sort_by(|left, right| left.name.cmp(&right.name));
    found
}

fn everything() -> Vec<Source> {
    sources(&[
        "executor/src",
        "executor/examples",
        "executor/macros/src",
        "consensus/src",
        "tests/src",
        "tests/tests",
        "benches/src",
        "benches/benches",
        "benches/built",
        "benches/counted",
        "benches/tests",
        "benches/peers/src",
        "benches/peers/tests",
    ])
}

fn check(sources: &[Source], rule: impl Fn(&Source) -> Vec<String>) {
    let complaints: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

#[test]
fn arrows_between_modules_run_down_only() {
    check(&sources(&["executor/src"]), arrows::complaints);
}

#[test]
fn every_module_of_the_executor_has_a_layer() {
    let mut modules = BTreeSet::new();
    for source in sources(&["executor/src"]) {
        modules.extend(arrows::module_of(&source.name));
    }
    let unknown: Vec<_> = modules
        .iter()
        .filter(|module| arrows::layer(module).is_none())
        .collect();
    assert!(
        unknown.is_empty(),
        "without a layer in tidy_rules/arrows.rs: {unknown:?}"
    );
}

#[test]
fn docs_of_all_that_is_awaited_say_what_dropping_it_does() {
    let sources = sources(&["executor/src"]);
    let types = drop_docs::future_types(&sources);
    assert!(types.iter().any(|name| name == "Sleep"), "{types:?}");
    check(&sources, |source| drop_docs::complaints(source, &types));
}

#[test]
fn functions_have_at_most_seventy_lines() {
    check(&everything(), long_functions::complaints);
}

#[test]
fn files_have_at_most_five_hundred_lines_without_tests() {
    check(&everything(), long_files::complaints);
}

#[test]
fn unsafe_code_stands_only_where_it_may() {
    check(&everything(), unsafe_code::complaints_about_place);
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    check(&everything(), unsafe_code::complaints_about_reasons);
}

#[test]
fn nothing_is_left_open() {
    check(&everything(), forbidden_words::complaints);
}

#[test]
fn the_programs_of_the_readme_are_the_echo_example_and_the_beginning_of_the_sharded_one() {
    let top = repository();
    let text = read(&top.join("README.md"));
    let example = |name| read(&top.join("executor/examples").join(name));
    let (echo, sharded) = (example("echo.rs"), example("sharded.rs"));
    let programs = readme::programs(&text);
    let [first, second] = programs[..] else {
        panic!("README.md has {} programs in Rust", programs.len());
    };
    assert!(
        first == echo,
        "README.md shows:\n{first}\nexecutor/examples/echo.rs is:\n{echo}"
    );
    let begin = |text: &str| text.find("async fn echo(").expect("a function echo");
    let (shown, common) = (&sharded[..begin(&sharded)], &echo[begin(&echo)..]);
    assert!(
        second == format!("{}\n", shown.trim_end()),
        "README.md shows:\n{second}\nexecutor/examples/sharded.rs begins:\n{shown}"
    );
    assert!(sharded.ends_with(common), "the two have another `echo`");
}

#[test]
fn the_readme_gives_its_two_commands_once_each() {
    let text = read(&repository().join("README.md"));
    for command in [
        "cargo run --release --bin consensus",
        "cargo test --workspace",
    ] {
        assert_eq!(
            readme::lines_that_are(&text, command),
            1,
            "README.md should hold the line `{command}` once"
        );
    }
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let top = repository();
    for document in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let missing: Vec<String> = readme::local_links(&read(&top.join(document)))
            .into_iter()
            .filter(|link| !top.join(link).exists())
            .collect();
        assert!(
            missing.is_empty(),
            "{document} links to what is not there: {missing:?}"
        );
    }
}

#[test]
fn the_executor_stands_on_few_crates() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "krug",
            "-e",
            "normal",
            "--no-default-features",
            "--prefix",
            "none",
        ])
        .arg("--locked")
        .current_dir(repository())
        .output()
        .expect("cargo tree runs");
    let listing = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let crates = third_party(&listing);
    assert!(
        crates.contains("io-uring"),
        "cargo tree answered something else: {listing}"
    );
    assert!(
        crates.len() <= THIRD_PARTY_CRATES_MAX,
        "{} crates: {crates:?}",
        crates.len()
    );
}

/// The names in `cargo tree --prefix none`, without our own.
fn third_party(listing: &str) -> BTreeSet<String> {
    let names = listing
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| !name.starts_with("krug"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_crate_listed_twice_counts_once_and_ours_do_not_count() {
    let listing =
        "krug v0.1.0\nio-uring v0.7.15\nlibc v0.2.1\nlibc v0.2.1 (*)\n\nkrug-macros v0.1.0\n";
    assert_eq!(
        third_party(listing),
        ["io-uring", "libc"].map(str::to_owned).into()
    );
}
