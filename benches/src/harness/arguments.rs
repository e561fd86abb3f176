//! How a command line is read, by this program and by the one with other runtimes.

use std::time::Duration;

/// What is to run, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    /// One of those that there are.
    pub scenario: String,
    /// In their order: names of options with their values, and of switches with none.
    pub options: Vec<(String, Option<String>)>,
}

/// Reads a scenario and its options. Nothing, if help is asked for.
///
/// # Errors
///
/// A complaint, if there is no such scenario, or an option lacks its value. Whether there is such an option is for the caller to say.
pub fn read(
    mut arguments: impl Iterator<Item = String>,
    scenarios: &[&str],
    switches: &[&str],
) -> Result<Option<Arguments>, String> {
    let Some(scenario) = arguments.next() else {
        return Err("no scenario given".to_owned());
    };
    if asks_for_help(&scenario) {
        return Ok(None);
    }
    if !scenarios.contains(&scenario.as_str()) {
        return Err(format!(
            "no scenario is called `{scenario}`: there are {}",
            scenarios.join(", ")
        ));
    }
    let mut options = Vec::new();
    while let Some(name) = arguments.next() {
        if asks_for_help(&name) {
            return Ok(None);
        }
        let value = if switches.contains(&name.as_str()) {
            None
        } else {
            let value = arguments.next();
            Some(value.ok_or_else(|| format!("`{name}` wants a value"))?)
        };
        options.push((name, value));
    }
    Ok(Some(Arguments { scenario, options }))
}

fn asks_for_help(argument: &str) -> bool {
    argument == "--help" || argument == "-h"
}

/// The value of an option that is a number.
///
/// # Errors
///
/// A complaint, if it is none, or 0.
pub fn positive(name: &str, value: &str) -> Result<usize, String> {
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("`{name}` wants a number above 0, not `{value}`"))
}

/// The value of an option that is a time in seconds.
///
/// # Errors
///
/// A complaint, if it is none, or more than an hour.
pub fn seconds(name: &str, value: &str) -> Result<Duration, String> {
    let number = value
        .parse()
        .ok()
        .filter(|number| *number > 0.0 && *number <= 3600.0);
    number
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("`{name}` wants a number up to 3600, not `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(line: &str) -> Result<Option<Arguments>, String> {
        let words = line.split_whitespace().map(str::to_owned);
        read(words, &["echo", "all"], &["--quick"])
    }

    #[test]
    fn options_have_values_and_switches_have_none() {
        let arguments = read_line("echo --pairs 3 --quick --pairs --quick").unwrap();
        let arguments = arguments.unwrap();
        assert_eq!(arguments.scenario, "echo");
        let option = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let all = [
            option("--pairs", Some("3")),
            option("--quick", None),
            option("--pairs", Some("--quick")),
        ];
        assert_eq!(arguments.options, all);
    }

    #[test]
    fn help_is_for_whoever_asks_for_it_anywhere() {
        for line in ["--help", "-h", "echo --quick -h", "all --help --pairs"] {
            assert_eq!(read_line(line), Ok(None), "{line}");
        }
    }

    #[test]
    fn numbers_are_above_0_and_times_end() {
        assert_eq!(positive("--pairs", "7"), Ok(7));
        assert_eq!(seconds("--seconds", "0.5"), Ok(Duration::from_millis(500)));
        for value in ["0", "-1", "many", "", "1e9"] {
            assert!(positive("--pairs", value).is_err(), "{value}");
            let complaint = seconds("--seconds", value).unwrap_err();
            assert!(complaint.starts_with("`--seconds` wants"), "{complaint}");
        }
    }
}
