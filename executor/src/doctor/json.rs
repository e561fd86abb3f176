//! [`Json`]: writes JSON. Values come in order and go straight into the text.

use std::fmt::Write;

/// One value that is being written.
#[derive(Debug, Default)]
pub(super) struct Json {
    text: String,
    depth: usize,
}

/// The fields of an object that is being written.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    json: &'a mut Json,
    is_first: bool,
}

impl Json {
    /// The text of an object with the fields that `write` writes.
    pub(super) fn object_text(write: impl FnOnce(&mut Fields<'_>)) -> String {
        let mut json = Json::default();
        json.object(write);
        json.text.push('\n');
        json.text
    }

    pub(super) fn object(&mut self, write: impl FnOnce(&mut Fields<'_>)) {
        self.text.push('{');
        self.depth += 1;
        let mut fields = Fields {
            json: self,
            is_first: true,
        };
        write(&mut fields);
        let is_empty = fields.is_first;
        self.end('}', is_empty);
    }

    pub(super) fn array<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&mut Json, T),
    ) {
        self.text.push('[');
        self.depth += 1;
        let mut is_first = true;
        for item in items {
            self.next(is_first);
            is_first = false;
            write(self, item);
        }
        self.end(']', is_first);
    }

    pub(super) fn string(&mut self, value: &str) {
        self.text.push('"');
        for character in value.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\t' => self.text.push_str("\\t"),
                '\0'..='\u{1f}' => self.write(format_args!("\\u{:04x}", u32::from(character))),
                _ => self.text.push(character),
            }
        }
        self.text.push('"');
    }

    pub(super) fn number(&mut self, value: impl Into<u64>) {
        self.write(format_args!("{}", value.into()));
    }

    /// Not finite: JSON has no such numbers, and writes null.
    pub(super) fn fraction(&mut self, value: f64) {
        match value.is_finite() {
            true => self.write(format_args!("{value}")),
            false => self.null(),
        }
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.write(format_args!("{value}"));
    }

    pub(super) fn null(&mut self) {
        self.text.push_str("null");
    }

    /// What `write` writes, or null.
    pub(super) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Json, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.text.write_fmt(arguments);
    }

    fn next(&mut self, is_first: bool) {
        if !is_first {
            self.text.push(',');
        }
        self.new_line();
    }

    fn end(&mut self, bracket: char, is_empty: bool) {
        self.depth -= 1;
        if !is_empty {
            self.new_line();
        }
        self.text.push(bracket);
    }

    fn new_line(&mut self) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n("  ", self.depth));
    }
}

impl Fields<'_> {
    /// The place where the value of the field `name` is to be written, once.
    pub(super) fn field(&mut self, name: &str) -> &mut Json {
        self.json.next(self.is_first);
        self.is_first = false;
        self.json.string(name);
        self.json.text.push_str(": ");
        self.json
    }

    pub(super) fn text(&mut self, name: &str, value: Option<&str>) {
        self.field(name).optional(value, Json::string);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_string_is_escaped() {
        let text = Json::object_text(|fields| {
            fields.text("a\"", Some("\\ \" \n \t \r \0 \u{1f} \u{7f} я \u{1f642}"));
        });
        let expected = r#"  "a\"": "\\ \" \n \t \u000d \u0000 \u001f "#;
        assert_eq!(text, format!("{{\n{expected}\u{7f} я \u{1f642}\"\n}}\n"));
    }

    #[test]
    fn values_are_written_as_json_has_them() {
        let written = |write: &dyn Fn(&mut Json)| {
            let mut json = Json::default();
            write(&mut json);
            json.text
        };
        assert_eq!(
            written(&|json| json.number(u64::MAX)),
            "18446744073709551615"
        );
        assert_eq!(written(&|json| json.fraction(0.5)), "0.5");
        assert_eq!(written(&|json| json.fraction(f64::NAN)), "null");
        assert_eq!(written(&|json| json.boolean(true)), "true");
        assert_eq!(written(&|json| json.optional(None, Json::string)), "null");
        assert_eq!(written(&|json| json.array([0u64; 0], Json::number)), "[]");
    }

    #[test]
    fn objects_and_arrays_are_indented() {
        let text = Json::object_text(|fields| {
            fields.field("a").array([1u64, 2], Json::number);
            fields.field("b").object(|_| {});
        });
        assert_eq!(text, "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}\n");
    }
}
