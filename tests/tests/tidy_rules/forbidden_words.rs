//! What is not finished is not called done.

use super::text::{Source, line_of};

/// In code. Written in two halves, so that this file does not complain about itself.
const IN_CODE: &[&str] = &[
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("unreachable_", "unchecked"),
    concat!("dbg", "!("),
    concat!("#[ig", "nore"),
];

/// In code and comments: what is left to do, and where somebody's files lie.
const ANYWHERE: &[&str] = &[
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("XX", "X"),
];

pub(crate) fn complaints(source: &Source) -> Vec<String> {
    let in_code = IN_CODE.iter().map(|word| (word, &source.code));
    let anywhere = ANYWHERE.iter().map(|word| (word, &source.text));
    let mut found = Vec::new();
    for (word, text) in in_code.chain(anywhere) {
        let places = text
            .match_indices(word)
            .map(|(start, _)| line_of(text, start) + 1);
        found.extend(places.map(|line| format!("{}:{line}: `{word}`", source.name)));
    }
    found
}

#[test]
fn every_forbidden_word_is_seen() {
    for word in IN_CODE.iter().chain(ANYWHERE) {
        assert_eq!(
            complaints(&Source::new("a.rs", &format!("fn f() {{\n    {word} }}\n"))),
            [format!("a.rs:2: `{word}`")]
        );
    }
    for word in ANYWHERE {
        assert_eq!(
            complaints(&Source::new("a.rs", &format!("// {word}: later\n"))).len(),
            1
        );
    }
    assert_eq!(
        complaints(&Source::new("a.rs", "// Nothing here.\nfn f() {}\n")),
        Vec::<String>::new()
    );
}
