//! From lines of JSON, which runs have kept, to tables and pictures.
//!
//! In the order of the way: [`lines`] reads, [`results`] puts together what belongs together, [`sections`] and [`curves`], [`markdown`] makes tables of it and
//! [`picture`] pictures. Equal lines make equal files, to the byte.

mod curves;
mod figures;
mod lines;
mod markdown;
mod picture;
mod results;
mod sections;
mod table;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use results::Results;

/// Where tables and pictures go unless `--to` says otherwise.
const FOLDER: &str = "benches/results";

/// What to report, and where to.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    lines: PathBuf,
    folder: PathBuf,
}

impl Request {
    /// Of the arguments behind `report`.
    pub(crate) fn parse(
        mut arguments: impl Iterator<Item = String>,
    ) -> Result<Option<Request>, String> {
        let mut lines = None;
        let mut folder = PathBuf::from(FOLDER);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--help" | "-h" => return Ok(None),
                "--to" => folder = arguments.next().ok_or("`--to` wants a folder")?.into(),
                option if option.starts_with('-') => {
                    return Err(format!("unknown option `{option}`"));
                }
                _ if lines.is_some() => {
                    return Err(format!("`report` wants one file, not also `{argument}`"));
                }
                _ => lines = Some(PathBuf::from(argument)),
            }
        }
        let lines = lines.ok_or("`report` wants a file of lines that `--json` has written")?;
        Ok(Some(Request { lines, folder }))
    }
}

/// Why there is no report.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What was asked for makes no sense: one complaint for each line.
    Input(Vec<String>),
    Output(io::Error),
}

/// Writes the report. Returns the files, the text first; if a line is bad there is none.
pub(crate) fn write(request: &Request) -> Result<Vec<PathBuf>, Refusal> {
    let text = fs::read(&request.lines)
        .map_err(|error| Refusal::Input(vec![format!("{}: {error}", request.lines.display())]))?;
    let lines = lines::read(&text).map_err(|complaints| {
        let file = request.lines.display();
        let complaints = complaints.into_iter();
        Refusal::Input(
            complaints
                .map(|(line, reason)| format!("{file}:{line}: {reason}"))
                .collect(),
        )
    })?;
    write_results(&Results::of(&lines), &request.folder).map_err(Refusal::Output)
}

fn write_results(results: &Results, folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = vec![("RESULTS.md", markdown::of(results))];
    for scenario in &results.scenarios {
        for section in &scenario.sections {
            if !section.comparisons.is_empty() {
                files.push((&section.ratios_file, picture::ratios::draw(section)?));
            }
        }
        for plot in &scenario.plots {
            files.push((&plot.file, picture::curve::draw(&scenario.name, plot)?));
        }
    }
    fs::create_dir_all(folder)?;
    let mut written = Vec::new();
    for (name, content) in files {
        let path = folder.join(name);
        fs::write(&path, content)?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Request>, String> {
        Request::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_file_may_stand_before_and_behind_the_folder() {
        let wanted = Request {
            lines: "out.jsonl".into(),
            folder: "there".into(),
        };
        assert_eq!(parsed("out.jsonl --to there").unwrap().unwrap(), wanted);
        assert_eq!(parsed("--to there out.jsonl").unwrap().unwrap(), wanted);
        let folder = parsed("out.jsonl").unwrap().unwrap().folder;
        assert_eq!(folder, Path::new("benches/results"));
        assert_eq!(parsed("--help"), Ok(None));
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        for (line, word) in [
            ("", "wants a file"),
            ("a b", "one file, not also `b`"),
            ("a --to", "wants a folder"),
            ("a --into b", "unknown option `--into`"),
        ] {
            let complaint = parsed(line).unwrap_err();
            assert!(complaint.contains(word), "{line:?}: {complaint}");
        }
    }
}
