//! A file holds one idea.

use super::text::Source;

const LINES_MAX: usize = 500;

pub(crate) fn complaints(source: &Source) -> Vec<String> {
    let lines = source.is_test.iter().filter(|is_test| !**is_test).count();
    if lines <= LINES_MAX {
        return Vec::new();
    }
    vec![format!("{}: {lines} lines without its tests", source.name)]
}

#[test]
fn a_file_of_five_hundred_and_one_lines_is_seen_and_tests_do_not_count() {
    let tests = "#[cfg(test)]\nmod tests {\n}\n";
    assert_eq!(
        complaints(&Source::new("a.rs", &("// x\n".repeat(500) + tests))),
        Vec::<String>::new()
    );
    assert_eq!(
        complaints(&Source::new("a.rs", &("// x\n".repeat(501) + tests))),
        ["a.rs: 501 lines without its tests"]
    );
}
