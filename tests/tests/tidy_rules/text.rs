//! A Rust file as the rules see it: its lines, the same with comments and literals blanked
//! out, and which lines are tests.

/// One file.
pub(crate) struct Source {
    /// Path from the top of the repository.
    pub(crate) name: String,
    /// As written.
    pub(crate) text: String,
    /// The same length line by line, with spaces for comments and for what stands in quotes.
    pub(crate) code: String,
    /// For each line: whether it belongs to a test.
    pub(crate) is_test: Vec<bool>,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Source {
        let code = blank_out(text);
        let is_test = if is_test_file(name) {
            vec![true; text.lines().count()]
        } else {
            test_lines(&code)
        };
        Source {
            name: name.to_owned(),
            text: text.to_owned(),
            code,
            is_test,
        }
    }

    /// The code with the lines of tests emptied.
    pub(crate) fn code_without_tests(&self) -> String {
        let lines = self.code.lines().zip(&self.is_test);
        lines
            .map(|(line, is_test)| if *is_test { "" } else { line })
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// A file that holds nothing but tests: of the package of tests, `tests.rs`, a folder `tests`.
fn is_test_file(name: &str) -> bool {
    let mut parts = name.split('/');
    parts.any(|part| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs"))
}

/// Spaces instead of comments, strings and characters, so that a brace in a string is no brace.
pub(crate) fn blank_out(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut position = 0;
    while position < characters.len() {
        let end = match characters[position] {
            '/' if characters.get(position + 1) == Some(&'/') => end_of_line(&characters, position),
            '/' if characters.get(position + 1) == Some(&'*') => {
                end_of_block_comment(&characters, position)
            }
            '"' => end_of_string(&characters, position),
            'r' | 'b' | 'c' if starts_a_word(&characters, position) => {
                end_of_prefixed_string(&characters, position)
            }
            '\'' => end_of_character(&characters, position),
            _ => position,
        };
        if end == position {
            code.push(characters[position]);
            position += 1;
        } else {
            code.extend(
                characters[position..end]
                    .iter()
                    .map(|c| if *c == '\n' { '\n' } else { ' ' }),
            );
            position = end;
        }
    }
    code
}

fn starts_a_word(characters: &[char], position: usize) -> bool {
    position == 0
        || !(characters[position - 1].is_alphanumeric() || characters[position - 1] == '_')
}

fn end_of_line(characters: &[char], start: usize) -> usize {
    let length = characters[start..].iter().position(|c| *c == '\n');
    length.map_or(characters.len(), |length| start + length)
}

fn end_of_block_comment(characters: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut position = start;
    while position + 1 < characters.len() {
        match (characters[position], characters[position + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                position += 1;
                continue;
            }
        }
        position += 2;
        if depth == 0 {
            return position;
        }
    }
    characters.len()
}

fn end_of_string(characters: &[char], start: usize) -> usize {
    let mut position = start + 1;
    while position < characters.len() {
        match characters[position] {
            '\\' => position += 2,
            '"' => return position + 1,
            _ => position += 1,
        }
    }
    characters.len()
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `b'…'`; `start` itself if it is only a name.
fn end_of_prefixed_string(characters: &[char], start: usize) -> usize {
    let mut position = start;
    let mut raw = false;
    while matches!(characters.get(position), Some('r' | 'b' | 'c')) && position < start + 2 {
        raw |= characters[position] == 'r';
        position += 1;
    }
    let hashes = characters[position..]
        .iter()
        .take_while(|c| **c == '#')
        .count();
    match characters.get(position + hashes) {
        Some('"') if raw => end_of_raw_string(characters, position + hashes + 1, hashes),
        Some('"') if hashes == 0 => end_of_string(characters, position),
        Some('\'') if hashes == 0 && !raw => end_of_character(characters, position),
        _ => start,
    }
}

fn end_of_raw_string(characters: &[char], body: usize, hashes: usize) -> usize {
    let closing = |position: &usize| {
        characters[*position] == '"'
            && characters[position + 1..]
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes
    };
    (body..characters.len())
        .find(closing)
        .map_or(characters.len(), |position| position + 1 + hashes)
}

/// `'x'` and `'\n'`; `start` itself for a lifetime.
fn end_of_character(characters: &[char], start: usize) -> usize {
    match characters.get(start + 1) {
        Some('\\') => {
            let closing =
                (start + 3..characters.len()).find(|position| characters[*position] == '\'');
            closing.map_or(characters.len(), |position| position + 1)
        }
        Some(_) if characters.get(start + 2) == Some(&'\'') => start + 3,
        _ => start,
    }
}

/// Marks what stands under `#[test]` or under a `#[cfg(…)]` that speaks of tests.
fn test_lines(code: &str) -> Vec<bool> {
    let mut is_test = vec![false; code.lines().count()];
    let mut position = 0;
    while let Some(found) = code[position..].find("#[") {
        let start = position + found;
        let Some(length) = code[start..].find(']') else {
            break;
        };
        let attribute = &code[start..start + length + 1];
        position = start + length + 1;
        if speaks_of_tests(attribute) {
            let end = end_of_item(code, position);
            is_test[line_of(code, start)..=line_of(code, end.saturating_sub(1))].fill(true);
            position = end;
        }
    }
    is_test
}

fn speaks_of_tests(attribute: &str) -> bool {
    let words = attribute.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let names_test = words.clone().any(|word| word == "test");
    names_test
        && (attribute == "#[test]"
            || (words.clone().any(|word| word == "cfg")
                && !words.clone().any(|word| word == "not")))
}

/// Number of the line, from 0, on which this byte stands.
pub(crate) fn line_of(code: &str, position: usize) -> usize {
    code[..position].matches('\n').count()
}

/// Past the closing brace of the item that begins here, or past its semicolon.
pub(crate) fn end_of_item(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code[start..].bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && byte == b'}' {
                    return start + offset + 1;
                }
            }
            b';' if depth == 0 => return start + offset + 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn braces_in_comments_and_literals_are_blanked_out() {
    let text =
        "a // {\nb /* { /* { */ */ c \"{ \\\" {\" d r#\"{ \" \"# e '{' f '\\'' g &'a h b\"{\" i";
    let code = blank_out(text);
    assert!(!code.contains('{'), "{code}");
    let words: Vec<_> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "b", "c", "d", "e", "f", "g", "&'a", "h", "i"]);
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn names_that_begin_like_literals_stay() {
    assert_eq!(
        blank_out("ring br r bc cr::b(r#type)"),
        "ring br r bc cr::b(r#type)"
    );
}

#[test]
fn a_test_module_is_marked_and_what_follows_is_not() {
    let source = Source::new(
        "a.rs",
        "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n",
    );
    assert_eq!(source.is_test, [false, true, true, true, true, false]);
    let source = Source::new(
        "a.rs",
        "#[cfg(test)]\nmod tests;\nfn c() {}\n#[cfg(not(test))]\nfn d() {}\n",
    );
    assert_eq!(source.is_test, [true, true, false, false, false]);
    let source = Source::new(
        "a.rs",
        "#[cfg(all(test, krug_loom))]\nmod loom_tests { fn x() {} }\n#[must_use]\nfn c() {}\n",
    );
    assert_eq!(source.is_test, [true, true, false, false]);
}

#[test]
fn a_file_of_tests_is_all_test() {
    assert!(Source::new("executor/src/task/tests.rs", "fn a() {}\n").is_test[0]);
    assert!(!Source::new("executor/src/task/join.rs", "fn a() {}\n").is_test[0]);
}
