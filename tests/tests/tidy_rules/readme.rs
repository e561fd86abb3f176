//! What the documents for people promise.

/// The blocks of Rust in a Markdown text, each with the end of its last line.
pub(crate) fn programs(markdown: &str) -> Vec<&str> {
    let blocks = markdown.split("\n```rust\n").skip(1);
    blocks
        .filter_map(|rest| Some(&rest[..rest.find("\n```\n")? + 1]))
        .collect()
}

/// How many lines are exactly this one.
pub(crate) fn lines_that_are(markdown: &str, line: &str) -> usize {
    markdown
        .lines()
        .filter(|candidate| *candidate == line)
        .count()
}

/// Targets of links `[text](target)` that are paths of this repository, without `#…`.
pub(crate) fn local_links(markdown: &str) -> Vec<String> {
    let targets = markdown
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let paths = targets.map(|target| target.split('#').next().unwrap_or_default());
    paths
        .filter(|path| !path.is_empty() && !path.contains("://"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn programs_are_cut_out_with_their_last_newlines() {
    let markdown =
        "# A\n\n```console\nls\n```\n\n```rust\nfn main() {\n}\n```\n\n```rust\nsecond\n```\n";
    assert_eq!(programs(markdown), ["fn main() {\n}\n", "second\n"]);
    assert!(programs("no program").is_empty());
}

#[test]
fn a_command_with_something_behind_it_is_another_command() {
    assert_eq!(
        lines_that_are(
            "cargo test --workspace\ncargo test --workspace --release\n",
            "cargo test --workspace"
        ),
        1
    );
}

#[test]
fn links_to_files_are_found_and_links_to_the_web_are_not() {
    let markdown =
        "[a](executor/src/lib.rs) [b](https://example.org) [c](#map) [d](CONTRIBUTING.md#test)";
    assert_eq!(
        local_links(markdown),
        ["executor/src/lib.rs", "CONTRIBUTING.md"]
    );
}
