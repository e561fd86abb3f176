//! What the documents for people promise.

/// The first block of Rust in a Markdown text, with the end of its last line.
pub(crate) fn first_program(markdown: &str) -> Option<String> {
    let start = markdown.find("\n```rust\n")? + "\n```rust\n".len();
    let length = markdown[start..].find("\n```\n")? + 1;
    Some(markdown[start..start + length].to_owned())
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
fn the_program_is_cut_out_with_its_last_newline() {
    let markdown =
        "# A\n\n```console\nls\n```\n\n```rust\nfn main() {\n}\n```\n\n```rust\nsecond\n```\n";
    assert_eq!(first_program(markdown).as_deref(), Some("fn main() {\n}\n"));
    assert_eq!(first_program("no program"), None);
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
