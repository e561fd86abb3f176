//! Unsafe code stands in few places, and each says on what it relies.

use super::text::{Source, line_of};

/// Where unsafe code may stand. Tests of other packages may, to watch memory from outside.
const PLACES: &[&str] = &[
    "executor/src/task/",
    "executor/src/inflight/",
    "executor/src/cores/",
    "executor/src/buf/",
    "executor/src/driver/calls.rs",
    "executor/src/driver/epoll/tests.rs",
    "executor/src/driver/sim/memory.rs",
    "executor/src/driver/uring/",
    // A place in the sources, which lives for ever, comes back from the number that a core has stored.
    "executor/src/observe/board.rs",
    "executor/src/sim/interpose.rs",
    "executor/src/sys/",
    "benches/src/floor/",
    // POSIX AIO, Linux AIO, a bare ring and pwritev2, which no safe library offers, behind interfaces that are safe.
    "benches/src/file_models/calls/",
    // select, poll, epoll and fork, likewise.
    "benches/src/pipe_models/calls.rs",
    // Processes that are copies, the three ways to be told what is ready, sockets that leave nothing behind.
    "benches/src/models/calls/",
    "tests/",
];

/// Where single lines `unsafe impl` may stand besides.
const PLACES_OF_IMPLEMENTATIONS: &[&str] = &["executor/src/op/"];

/// How far above a reason may begin, comment and attributes included.
const LINES_ABOVE_MAX: usize = 20;

/// Byte offsets of the word `unsafe`.
fn uses(code: &str) -> Vec<usize> {
    let is_part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let alone = |start: usize| {
        !code[..start]
            .chars()
            .next_back()
            .is_some_and(is_part_of_word)
            && !code[start + "unsafe".len()..].starts_with(is_part_of_word)
    };
    code.match_indices("unsafe")
        .map(|(start, _)| start)
        .filter(|start| alone(*start))
        .collect()
}

fn follows(code: &str, start: usize, word: &str) -> bool {
    code[start + "unsafe".len()..]
        .trim_start()
        .starts_with(word)
}

pub(crate) fn complaints_about_place(source: &Source) -> Vec<String> {
    let lies_in = |places: &[&str]| places.iter().any(|place| source.name.starts_with(place));
    if lies_in(PLACES) {
        return Vec::new();
    }
    let is_allowed =
        |start: usize| lies_in(PLACES_OF_IMPLEMENTATIONS) && follows(&source.code, start, "impl");
    let bad = uses(&source.code)
        .into_iter()
        .filter(|start| !is_allowed(*start));
    bad.map(|start| {
        format!(
            "{}:{}: unsafe code may not stand here",
            source.name,
            line_of(&source.code, start) + 1
        )
    })
    .collect()
}

pub(crate) fn complaints_about_reasons(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    for start in uses(&source.code) {
        let is_block = follows(&source.code, start, "{") || follows(&source.code, start, "impl");
        let line = line_of(&source.code, start);
        if is_block && !has_reason(&lines, line) {
            found.push(format!("{}:{}: no `SAFETY:` above", source.name, line + 1));
        }
    }
    found
}

/// A comment with the word stands on the line, or above it without another statement between.
fn has_reason(lines: &[&str], line: usize) -> bool {
    if lines[line].contains("SAFETY:") {
        return true;
    }
    for above in lines[line.saturating_sub(LINES_ABOVE_MAX)..line]
        .iter()
        .rev()
    {
        let above = above.trim();
        if above.starts_with("//") && above.contains("SAFETY:") {
            return true;
        }
        let ends_statement = !above.starts_with("//")
            && (above.ends_with(';') || above.ends_with('}') || above.is_empty());
        if ends_statement {
            return false;
        }
    }
    false
}

#[test]
fn unsafe_code_in_the_wrong_place_is_seen() {
    let seen = |name: &str, text: &str| complaints_about_place(&Source::new(name, text)).len();
    assert_eq!(
        seen("executor/src/net/tcp.rs", "fn f() { unsafe { g() } }"),
        1
    );
    assert_eq!(seen("executor/src/op/read.rs", "unsafe { g() }"), 1);
    assert_eq!(seen("executor/src/driver/mod.rs", "unsafe fn f() {}"), 1);
    assert_eq!(seen("benches/src/echo.rs", "unsafe impl Send for A {}"), 1);
    assert_eq!(
        seen("executor/src/op/read.rs", "unsafe impl Send for A {}"),
        0
    );
    assert_eq!(seen("executor/src/task/cell.rs", "unsafe { g() }"), 0);
    assert_eq!(
        seen(
            "executor/src/net/tcp.rs",
            "#![deny(unsafe_code)] // unsafe { }\nlet s = \"unsafe\";"
        ),
        0
    );
}

#[test]
fn an_unsafe_block_without_a_reason_is_seen() {
    let seen = |text: &str| {
        complaints_about_reasons(&Source::new("executor/src/task/cell.rs", text)).len()
    };
    assert_eq!(seen("fn f() {\n    unsafe { g() }\n}\n"), 1);
    assert_eq!(
        seen("// SAFETY: of the line below only.\nunsafe { f() };\nunsafe { g() };\n"),
        1
    );
    assert_eq!(seen("unsafe impl Send for A {}\n"), 1);
    assert_eq!(
        seen("// SAFETY: a reason\n// of two lines.\nlet a =\n    unsafe { g() };\n"),
        0
    );
    assert_eq!(
        seen("let a = unsafe { g() }; // SAFETY: the same line.\n"),
        0
    );
    assert_eq!(seen("unsafe fn f() {}\nunsafe extern \"C\" {}\n"), 0);
}
