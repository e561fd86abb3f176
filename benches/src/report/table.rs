//! A table of Markdown.

/// A row has as many cells as there are columns.
#[derive(Debug)]
pub(super) struct Table {
    head: Vec<String>,
    /// Whether the column holds numbers, which stand to the right.
    is_number: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: &[(&str, bool)]) -> Table {
        Table {
            head: columns.iter().map(|(name, _)| escaped(name)).collect(),
            is_number: columns.iter().map(|(_, is_number)| *is_number).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.head.len(), "a cell for each column");
        let cells = cells.iter().map(|cell| escaped(cell)).collect();
        self.rows.push(cells);
    }

    /// A row whose cells are Markdown already.
    pub(super) fn row_of_markdown(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.head.len(), "a cell for each column");
        self.rows.push(cells);
    }

    pub(super) fn text(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = |is_number: &bool| if *is_number { "--:" } else { "---" }.to_owned();
        let rules: Vec<String> = self.is_number.iter().map(rule).collect();
        let mut text = line(&self.head) + &line(&rules).replace("| ", "|").replace(" |", "|");
        text.extend(self.rows.iter().map(|row| line(row)));
        text
    }
}

/// Text that means itself in a cell and elsewhere.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '\\' | '<' | '*' | '`' | '[' | ']' => escaped.extend(['\\', character]),
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cannot_break_the_table() {
        let mut table = Table::new(&[("what", false), ("ns | each", true)]);
        table.row(vec!["two\nlines".to_owned(), "1".to_owned()]);
        table.row_of_markdown(vec!["*tied*".to_owned(), "2".to_owned()]);
        assert_eq!(
            table.text(),
            "| what | ns \\| each |\n|---|--:|\n| two lines | 1 |\n| *tied* | 2 |\n"
        );
    }
}
