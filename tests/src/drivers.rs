//! Every program of tests runs on every driver: the process itself tests one, and runs itself once more for each other.

use std::io::{self, Read, Seek, Write};
use std::process::{Command, Stdio};

use krug::runtime::Driver;

/// Names the driver that a process tests.
const DRIVER: &str = "KRUG_DRIVER";
/// A file to which the counts of the other runs are added, for whoever keeps the books.
const COUNTS: &str = "KRUG_TEST_COUNTS";

/// The driver that this process tests: the one that `KRUG_DRIVER` names, else io_uring.
pub fn driver() -> Driver {
    match std::env::var(DRIVER).as_deref() {
        Ok("epoll") => Driver::Epoll,
        Ok("uring" | "") | Err(_) => Driver::Uring,
        Ok("auto") => Driver::Auto,
        Ok(other) => panic!("{DRIVER}={other}: there is no such driver"),
    }
}

/// True if this process tests the driver on io_uring. Where it stands in a test, something is counted or bounded
/// differently without a ring; a comment above says why, and a test lists all these places.
pub fn has_ring() -> bool {
    match driver() {
        Driver::Auto => krug::Runtime::new().is_ok_and(|it| it.driver() == Driver::Uring),
        driver => driver == Driver::Uring,
    }
}

/// Makes `cargo test` run the program of tests, in whose root it stands, on epoll, too.
#[macro_export]
macro_rules! on_epoll_too {
    () => {
        #[::core::prelude::v1::test]
        fn all_tests_of_this_program_pass_on_epoll_too() {
            $crate::drivers::pass_on(
                "epoll",
                concat!(
                    module_path!(),
                    "::all_tests_of_this_program_pass_on_epoll_too"
                ),
            );
        }
    };
}

/// Runs all tests of this program but `but`, in a process of its own, on the driver of this name. Does nothing in that process,
/// nor where somebody has chosen a driver: he sees to the others himself.
pub fn pass_on(name: &str, but: &str) {
    if std::env::var_os(DRIVER).is_some() {
        return;
    }
    let but = but.split_once("::").map_or(but, |(_, inside)| inside);
    let (is_success, said) = run_again(name, but);
    assert!(is_success, "on {name}:\n{said}");
    let counts = said.lines().find_map(counts_of);
    let (passed, failed) = counts.expect("a line 'test result: …'");
    assert!(passed > 0, "no test has run on {name}:\n{said}");
    println!("{passed} passed, {failed} failed on {name}");
    keep(&format!("{passed} passed, {failed} failed\n"));
}

/// Runs all tests but `but` in another process, and says whether they passed and what they said.
///
/// Other tests of this process may count what it has open or allocated: it changes only at the beginning and the end,
/// while none of them does. So what is said goes to a file, not through pipes.
fn run_again(driver: &str, but: &str) -> (bool, String) {
    let begin = || {
        let said = tempfile::tempfile()?;
        // One after the other: the first run is under way beside it, and has as many threads as there are processors.
        let child = Command::new(std::env::current_exe()?)
            .args(["--skip", but, "--test-threads", "1"])
            .env(DRIVER, driver)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said.try_clone()?)
            .spawn()?;
        io::Result::Ok((said, child))
    };
    let beside = crate::beside_others();
    let (mut said, mut child) = begin().expect("a process");
    drop(beside);
    let status = child.wait().expect("the end of the process");
    let _beside = crate::beside_others();
    let mut text = Vec::new();
    said.rewind()
        .and_then(|()| said.read_to_end(&mut text))
        .expect("the file that it wrote to");
    (
        status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// How many tests passed and failed, if the line says so.
fn counts_of(line: &str) -> Option<(usize, usize)> {
    let counts = line.strip_prefix("test result: ")?;
    let count_before = |word: &str| {
        let before = counts.split(word).next()?;
        before.split_whitespace().last()?.parse().ok()
    };
    Some((count_before(" passed")?, count_before(" failed")?))
}

fn keep(line: &str) {
    let Some(path) = std::env::var_os(COUNTS) else {
        return;
    };
    let mut options = std::fs::OpenOptions::new();
    let file = options.create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    written.expect("the file that is named for the counts");
}

#[test]
fn the_counts_of_a_run_are_read_off_its_last_line() {
    let line = "test result: ok. 34 passed; 1 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.60s";
    assert_eq!(counts_of(line), Some((34, 1)));
    assert_eq!(counts_of("test something ... ok"), None);
}
