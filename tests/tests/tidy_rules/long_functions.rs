//! A function fits on a screen.

use super::text::{Source, line_of};

const LINES_MAX: usize = 70;

pub(crate) fn complaints(source: &Source) -> Vec<String> {
    let code = source.code_without_tests();
    let functions = functions(&code)
        .into_iter()
        .filter(|(_, lines)| *lines > LINES_MAX);
    let complaint = |(line, lines)| format!("{}:{line}: a function of {lines} lines", source.name);
    functions.map(complaint).collect()
}

/// Line and length of every function that has a body.
fn functions(code: &str) -> Vec<(usize, usize)> {
    let is_part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let inside_word = code[..start]
            .chars()
            .next_back()
            .is_some_and(is_part_of_word);
        if inside_word || !code[start + 3..].starts_with(is_part_of_word) {
            continue;
        }
        if let Some(end) = end_of_function(code, start) {
            found.push((
                line_of(code, start) + 1,
                line_of(code, end) - line_of(code, start) + 1,
            ));
        }
    }
    found
}

/// The closing brace of the body; nothing if a semicolon comes first.
fn end_of_function(code: &str, start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (offset, byte) in code[start..].bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 && byte == b'}' {
                    return Some(start + offset);
                }
            }
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[test]
fn a_function_of_seventy_one_lines_is_seen_and_one_of_seventy_passes() {
    let function = |lines: usize| {
        format!(
            "impl A {{\n    fn f([a]: [u8; 1]) {{\n{}    }}\n}}\n",
            "        g();\n".repeat(lines - 2)
        )
    };
    assert_eq!(
        complaints(&Source::new("a.rs", &function(70))),
        Vec::<String>::new()
    );
    assert_eq!(
        complaints(&Source::new("a.rs", &function(71))),
        ["a.rs:2: a function of 71 lines"]
    );
}

#[test]
fn functions_without_a_body_and_tests_do_not_count() {
    let test = format!(
        "trait T {{ fn a(); }}\n#[test]\nfn long() {{\n{}}}\n",
        "g();\n".repeat(100)
    );
    assert_eq!(
        complaints(&Source::new("a.rs", &test)),
        Vec::<String>::new()
    );
    assert_eq!(
        functions("type F = fn (u8) -> u8; fn a() {}\nfn b();"),
        [(1, 1)]
    );
}
