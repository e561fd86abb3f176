//! Modules of the executor name what lies below them, never what lies above.

use super::text::{Source, line_of};

/// From the bottom up: what shares a number may name each other.
const LAYERS: &[(u8, &[&str])] = &[
    (0, &["primitives", "random", "sys", "tries", "observe"]),
    (1, &["driver"]),
    (2, &["task", "scheduler", "wheel", "cores"]),
    (3, &["context"]),
    (4, &["inflight", "blocking"]),
    (5, &["op", "buf"]),
    (6, &["source"]),
    (
        7,
        &[
            "net", "fs", "pipe", "io", "time", "sync", "rand", "compat", "signal", "shutdown",
        ],
    ),
    (8, &["runtime", "worker", "doctor"]),
    (9, &["sim"]),
];

/// How high a module stands, if it is known.
pub(crate) fn layer(module: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(_, modules)| modules.contains(&module))
        .map(|(height, _)| *height)
}

/// `executor/src/task/join.rs` belongs to `task`; the root of the crate to nobody.
pub(crate) fn module_of(name: &str) -> Option<String> {
    let inside = name.strip_prefix("executor/src/")?;
    let first = inside.split('/').next()?.trim_end_matches(".rs");
    (first != "lib").then(|| first.to_owned())
}

/// Whether the one may name the other.
fn may_name(from: &str, to: &str) -> bool {
    let (Some(above), Some(below)) = (layer(from), layer(to)) else {
        return false;
    };
    match (from, to) {
        _ if from == to => true,
        (_, "sys") => from == "driver",
        // Tasks and their queue are of use without any I/O, and are read without knowing of it.
        ("task" | "scheduler", "driver") => false,
        _ => above >= below,
    }
}

pub(crate) fn complaints(source: &Source) -> Vec<String> {
    let Some(from) = module_of(&source.name) else {
        return Vec::new();
    };
    let code = source.code_without_tests();
    let mut found = Vec::new();
    for (position, to) in named_modules(&code, depth_of(&source.name)) {
        if !may_name(&from, &to) {
            let line = line_of(&code, position) + 1;
            found.push(format!(
                "{}:{line}: `{from}` names `{to}`, which it may not",
                source.name
            ));
        }
    }
    found
}

/// How many `super::` lead from this file to the root of the crate.
fn depth_of(name: &str) -> usize {
    let inside = name.trim_start_matches("executor/src/");
    let folders = inside.matches('/').count();
    if inside.ends_with("/mod.rs") {
        folders
    } else {
        folders + 1
    }
}

/// The modules at the root of the crate that this code names, with the places.
fn named_modules(code: &str, depth: usize) -> Vec<(usize, String)> {
    let to_root = "super::".repeat(depth);
    let mut found = Vec::new();
    for prefix in ["crate::", &to_root] {
        for (start, _) in code.match_indices(prefix) {
            let before = code[..start].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = &code[start + prefix.len()..];
            found.extend(
                first_segments(rest)
                    .into_iter()
                    .map(|module| (start, module)),
            );
        }
    }
    found
}

/// `a::b` names `a`; `{a, b::{c, d}, e}` names `a`, `b` and `e`. Macros of the crate are no modules.
fn first_segments(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        let name = first_word(path);
        let is_macro = path[name.len()..].starts_with('!');
        return if name.is_empty() || is_macro {
            Vec::new()
        } else {
            vec![name]
        };
    };
    let mut names = Vec::new();
    let mut depth = 0;
    let mut expects_name = true;
    for (offset, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expects_name = true,
            _ if expects_name && !character.is_whitespace() => {
                names.push(first_word(&group[offset..]));
                expects_name = false;
            }
            _ => {}
        }
    }
    names
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn an_arrow_that_runs_up_is_seen() {
    let seen = |name: &str, text: &str| complaints(&Source::new(name, text)).len();
    assert_eq!(
        seen("executor/src/wheel.rs", "use crate::net::TcpStream;"),
        1
    );
    assert_eq!(
        seen(
            "executor/src/driver/uring/mod.rs",
            "use crate::{sys, cores::{Ring, CoreId}};"
        ),
        1
    );
    assert_eq!(
        seen(
            "executor/src/driver/mod.rs",
            "fn f() { crate::task::spawn() }"
        ),
        1
    );
    assert_eq!(
        seen(
            "executor/src/op/read.rs",
            "use super::super::source::Stream;"
        ),
        1
    );
    assert_eq!(
        seen("executor/src/inflight/mod.rs", "use super::op::Read;"),
        1
    );
    assert_eq!(seen("executor/src/net/mod.rs", "use crate::sys::close;"), 1);
    assert_eq!(
        seen("executor/src/task/mod.rs", "use crate::driver::Key;"),
        1
    );
    assert_eq!(
        seen("executor/src/net/mod.rs", "use crate::unheard_of::Thing;"),
        1
    );
}

#[test]
fn an_arrow_that_runs_down_passes() {
    let seen = |name: &str, text: &str| complaints(&Source::new(name, text)).len();
    assert_eq!(
        seen(
            "executor/src/net/mod.rs",
            "use crate::{source::{Stream, sys}, buf::IoBuf};"
        ),
        0
    );
    assert_eq!(seen("executor/src/driver/mod.rs", "use crate::sys;"), 0);
    assert_eq!(
        seen("executor/src/worker.rs", "use crate::driver::Driver;"),
        0
    );
    assert_eq!(
        seen(
            "executor/src/wheel.rs",
            "// crate::net\n#[cfg(test)]\nmod tests { use crate::net::X; }"
        ),
        0
    );
    assert_eq!(
        seen("executor/src/op/read.rs", "use super::write::helper;"),
        0
    );
    assert_eq!(seen("executor/src/net/tcp.rs", "crate::select!(a, b)"), 0);
    assert_eq!(
        seen("executor/src/lib.rs", "pub use crate::net::TcpStream;"),
        0
    );
}
