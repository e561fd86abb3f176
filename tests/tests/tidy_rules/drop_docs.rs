//! The docs of everything that is awaited say what happens when its future is dropped.

use super::text::Source;

/// How a declaration begins whose result is to be awaited.
const FUTURES: &[&str] = &[
    "pub async fn ",
    "-> impl Future<",
    "-> impl std::future::Future<",
];

/// The types of these files that are futures.
pub(crate) fn future_types(sources: &[Source]) -> Vec<String> {
    let mut types = Vec::new();
    for source in sources {
        let code = source.code_without_tests();
        for (start, found) in code.match_indices(" Future for ") {
            let name =
                code[start + found.len()..].split(|c: char| !c.is_alphanumeric() && c != '_');
            types.extend(name.take(1).map(str::to_owned));
        }
    }
    types
}

/// `types`: what is awaited besides what is declared as such.
pub(crate) fn complaints(source: &Source, types: &[String]) -> Vec<String> {
    let code: Vec<&str> = source.code.lines().collect();
    let text: Vec<&str> = source.text.lines().collect();
    let mut complaints = Vec::new();
    for (index, line) in code.iter().enumerate() {
        let is_awaited =
            FUTURES.iter().any(|future| line.contains(future)) || returns_one_of(line, types);
        if source.is_test[index] || !is_awaited {
            continue;
        }
        let Some(first) = declaration(&code, index) else {
            continue;
        };
        if !says_so(&text, first) {
            complaints.push(format!(
                "{}:{}: the docs do not say what happens when this future is dropped",
                source.name,
                first + 1
            ));
        }
    }
    complaints
}

fn returns_one_of(line: &str, types: &[String]) -> bool {
    let Some((_, result)) = line.split_once("-> ") else {
        return false;
    };
    let name = result
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next();
    line.contains("fn ") && types.iter().any(|known| Some(known.as_str()) == name)
}

/// The line where the public function begins that line `index` belongs to.
fn declaration(code: &[&str], index: usize) -> Option<usize> {
    let begins = |line: &&str| line.contains("fn ");
    let first = (0..=index).rev().find(|line| begins(&code[*line]))?;
    code[first]
        .trim_start()
        .starts_with("pub ")
        .then_some(first)
        .filter(|first| !code[*first].trim_start().starts_with("pub("))
}

/// Whether the comment before line `first` speaks of dropping.
fn says_so(text: &[&str], first: usize) -> bool {
    text[..first]
        .iter()
        .rev()
        .map(|line| line.trim_start())
        .take_while(|line| line.starts_with("///") || line.starts_with('#') || line.ends_with(']'))
        .any(|line| line.contains("Dropping") || line.contains("dropped"))
}

#[test]
fn an_async_function_without_a_word_on_dropping_is_seen() {
    let seen = |text: &str| {
        complaints(
            &Source::new("executor/src/net/a.rs", text),
            &["Sleep".to_owned()],
        )
        .len()
    };
    assert_eq!(seen("/// Reads.\npub async fn read() {}\n"), 1);
    assert_eq!(
        seen("/// Waits.\n#[inline]\npub fn wait() -> impl Future<Output = ()> {}\n"),
        1
    );
    assert_eq!(
        seen("/// Waits.\npub fn wait(\n    a: u8,\n) -> impl Future<Output = ()> {}\n"),
        1
    );
    assert_eq!(
        seen(
            "/// Reads.\n///\n/// Dropping this future loses nothing.\n#[inline]\npub async fn read() {}\n"
        ),
        0
    );
    assert_eq!(seen("/// Sleeps.\npub fn sleep() -> Sleep {}\n"), 1);
    assert_eq!(seen("pub(crate) async fn read() {}\n"), 0);
    assert_eq!(
        seen("#[cfg(test)]\nmod tests {\n    pub async fn read() {}\n}\n"),
        0
    );
}
