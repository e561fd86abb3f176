//! Instructions of a process, counted by valgrind.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What is counted takes seconds. A process that does not end is a failure, and not waited for.
const AT_MOST: Duration = Duration::from_secs(120);

/// Of one run of this program.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) instructions: u64,
    /// What shows where they go.
    pub(crate) command: String,
}

pub(crate) fn is_installed() -> bool {
    let version = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

/// Runs this program with these arguments.
pub(crate) fn count(arguments: &[String]) -> io::Result<Counted> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(arguments);
    let words = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned());
    let words = words.collect::<Vec<_>>().join(" ");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let begin = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if begin.elapsed() > AT_MOST => {
                child.kill()?;
                break child.wait()?;
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut told = Vec::new();
    let mut output = child.stderr.take().expect("it has a pipe");
    output.read_to_end(&mut told)?;
    let told = String::from_utf8_lossy(&told);
    let instructions = collected(&told).filter(|_| status.success());
    let instructions = instructions
        .ok_or_else(|| io::Error::other(format!("valgrind {words}: {status}: {told}")))?;
    Ok(Counted {
        instructions,
        command: format!("valgrind {words}"),
    })
}

/// Instructions for each operation: the difference of two runs, so that starting up does not count.
///
/// `arguments` are those of a run of so many operations.
pub(crate) fn count_each(
    [few, many]: [u64; 2],
    arguments: impl Fn(u64) -> Vec<String>,
) -> io::Result<(f64, String)> {
    let [arguments_of_few, arguments_of_many] = [few, many].map(arguments);
    let (of_few, of_many) = thread::scope(|scope| {
        // Counting is slow, and nobody looks at the time.
        let of_few = scope.spawn(|| count(&arguments_of_few));
        let of_many = count(&arguments_of_many);
        (of_few.join(), of_many)
    });
    let of_few = of_few.unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))?;
    let of_many = of_many?;
    let difference = of_many.instructions as f64 - of_few.instructions as f64;
    Ok((difference / (many - few) as f64, of_many.command))
}

/// The number in `==17== Collected : 123456`.
fn collected(told: &str) -> Option<u64> {
    let line = told.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_callgrind_is_read() {
        assert_eq!(
            collected("==17== Events    : Ir\n==17== Collected : 123456\n==17==\n"),
            Some(123_456)
        );
        assert_eq!(collected("==17== no such tool\n"), None);
    }
}
