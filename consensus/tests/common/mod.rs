//! Runs the program as a user would, and reads what it says.

#![allow(dead_code, reason = "each test program uses its part")]

use std::process::{Command, Output};

use serde_json::Value;

/// A run that is over.
pub(crate) struct Run {
    pub(crate) line: String,
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `consensus` with these arguments.
pub(crate) fn run(arguments: &[&str]) -> Run {
    finish(&mut command(arguments), arguments)
}

/// The program, as a shell would start it: nothing of cargo's in its environment.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consensus"));
    command
        .args(arguments)
        .env_remove("CARGO")
        .env_remove("NO_COLOR");
    command
}

pub(crate) fn finish(command: &mut Command, arguments: &[&str]) -> Run {
    let output = command.output().expect("the program starts");
    read(output, arguments)
}

fn read(output: Output, arguments: &[&str]) -> Run {
    Run {
        line: arguments.join(" "),
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("the program prints text"),
        stderr: String::from_utf8(output.stderr).expect("the program prints text"),
    }
}

impl Run {
    /// The JSON object that was printed.
    pub(crate) fn json(&self) -> Value {
        let text = self.stdout.trim_end();
        assert!(!text.contains('\n'), "one line of JSON: {self}");
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// Fails unless the word was spoken, whole, in order, every letter once. Gives the
    /// JSON object back.
    pub(crate) fn expect_spoken(&self, word: &str) -> Value {
        assert_eq!(self.status, 0, "{self}");
        let json = self.json();
        assert_eq!(json["word"], word, "{self}");
        assert_eq!(json["transcript"], word, "{self}");
        let letters: Vec<String> = word.chars().map(String::from).collect();
        let spoken = json["spoken"].as_array().expect("spoken is a list");
        assert_eq!(spoken.len(), letters.len(), "{self}");
        let heroes = 1..=json["peers"].as_u64().expect("peers is a number");
        for (index, (line, letter)) in spoken.iter().zip(&letters).enumerate() {
            assert_eq!(line["position"], index + 1, "{self}");
            assert_eq!(line["letter"], letter.as_str(), "{self}");
            assert!(
                heroes.contains(&line["speaker"].as_u64().unwrap()),
                "{self}"
            );
            assert_ne!(line["speaker"], line["stood_in"], "{self}");
        }
        json
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Run {
            line,
            status,
            stdout,
            stderr,
        } = self;
        write!(f, "consensus {line}\nstatus {status}\n{stdout}\n{stderr}")
    }
}

/// The heroes in the order of speaking, by their numbers: names and tickets follow from
/// the seed, so that it is the same on every transport.
pub(crate) fn roster(seed: &str, peers: &str) -> Vec<u64> {
    let word = "x".repeat(peers.parse().unwrap());
    let run = run(&[
        "--transport",
        "memory",
        "--seed",
        seed,
        "--peers",
        peers,
        "--word",
        &word,
        "--json",
    ]);
    let json = run.expect_spoken(&word);
    json["spoken"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            line["stood_in"]
                .as_u64()
                .unwrap_or_else(|| line["speaker"].as_u64().unwrap())
        })
        .collect()
}
