//! Every program of tests runs on every driver: the process itself tests one, and runs itself once more for each other.

use std::io::{self, Read, Seek, Write};
use std::process::{Command, Stdio};

use krug::Runtime;
use krug::runtime::Driver;

use crate::beside_others;
use crate::refusing::Hardship;

/// Names the driver that a process tests.
const DRIVER: &str = "KRUG_DRIVER";
/// A file to which the counts of the other runs are added, for whoever keeps the books.
const COUNTS: &str = "KRUG_TEST_COUNTS";
/// Set where the system refuses to make rings.
const WITHOUT_RINGS: &str = "KRUG_TESTS_WITHOUT_RINGS";

/// The driver that this process tests: the one that `KRUG_DRIVER` names, else io_uring.
pub fn driver() -> Driver {
    match std::env::var(DRIVER).as_deref() {
        Ok("epoll") => Driver::Epoll,
        Ok("sim") => Driver::Sim,
        Ok("uring" | "") | Err(_) => Driver::Uring,
        Ok("auto") => Driver::Auto,
        Ok(other) => panic!("{DRIVER}={other}: there is no such driver"),
    }
}

/// True if this process tests the driver on io_uring. Where it stands in a test, something is counted or bounded
/// differently without a ring; a comment above says why, and a test lists all these places.
pub fn has_ring() -> bool {
    match driver() {
        Driver::Auto => Runtime::new().is_ok_and(|it| it.driver() == Driver::Uring),
        driver => driver == Driver::Uring,
    }
}

/// Fails if there is a ring where none can be.
pub fn check(runtime: &Runtime) {
    let is_forbidden = std::env::var_os(WITHOUT_RINGS).is_some();
    assert!(
        !is_forbidden || runtime.driver() == Driver::Epoll,
        "{runtime:?} has a ring"
    );
}

/// Makes `cargo test` run the program of tests, in whose root it stands, on the other drivers, too.
#[macro_export]
macro_rules! on_every_driver {
    () => {
        $crate::on_every_kernel_driver!();

        #[::core::prelude::v1::test]
        fn all_tests_of_this_program_pass_on_the_simulation_too() {
            $crate::drivers::pass_on("sim");
        }
    };
}

/// As [`on_every_driver`], for programs that are only about what a real kernel has: they do not run in a simulation.
#[macro_export]
macro_rules! on_every_kernel_driver {
    () => {
        #[::core::prelude::v1::test]
        fn all_tests_of_this_program_pass_on_epoll_too() {
            $crate::drivers::pass_on("epoll");
        }
    };
}

/// Makes `cargo test` run the program of tests, in whose root it stands, with each [`Hardship`] of a list, too. Which driver it
/// runs on is left to krug.
#[macro_export]
macro_rules! in_hardship_too {
    ($($hardship:expr),+ $(,)?) => {
        #[::core::prelude::v1::test]
        fn all_tests_of_this_program_pass_in_hardship_too() {
            use $crate::refusing::{Calls::*, Hardship::*};
            for hardship in [$($hardship),+] {
                $crate::drivers::pass_with(hardship);
            }
        }

        #[::core::prelude::v1::test]
        fn where_there_can_be_no_ring_this_program_has_none() {
            let runtime = ::krug::Runtime::builder().driver($crate::driver());
            $crate::drivers::check(&runtime.build().expect("a runtime"));
        }
    };
}

/// How the names of those tests begin that run the whole program once more: it does not run them again.
const RUNS_ALL: &str = "all_tests_of_this_program_pass_";

/// Runs all tests of this program, in a process of its own, on the driver of this name. Does nothing in that process,
/// nor where somebody has chosen a driver: he sees to the others himself.
pub fn pass_on(name: &str) {
    if std::env::var_os(DRIVER).is_some() {
        return;
    }
    let program = std::env::current_exe().expect("the path of this program");
    let (passed, failed) = pass(Command::new(program).env(DRIVER, name), name);
    keep(&format!("{passed} passed, {failed} failed\n"));
}

/// As [`pass_on`], on whichever driver krug chooses in this `hardship`. Where that leaves
/// no ring, it is an error if there is one.
pub fn pass_with(hardship: Hardship) {
    if std::env::var_os(DRIVER).is_some() || !hardship.is_possible() {
        return;
    }
    // Another user may not be able to walk to the program, but can start what it is itself.
    let mut program = Command::new("/proc/self/exe");
    program.env(DRIVER, "auto");
    if hardship.forbids_rings() {
        program.env(WITHOUT_RINGS, "1");
    }
    hardship.befall(&mut program);
    pass(&mut program, &format!("{hardship:?}"));
}

/// How many tests passed and failed; fails itself if any of them did.
fn pass(program: &mut Command, name: &str) -> (usize, usize) {
    let (is_success, said) = run(program).expect("a process");
    assert!(is_success, "on {name}:\n{said}");
    let counts = said.lines().find_map(counts_of);
    let (passed, failed) = counts.expect("a line 'test result: …'");
    assert!(passed > 0, "no test has run on {name}:\n{said}");
    println!("{passed} passed, {failed} failed on {name}");
    (passed, failed)
}

/// Runs all tests but those that run all, and says whether they passed and what they said.
///
/// Other tests of this process may count what it has open or allocated: that changes only at the beginning and the end,
/// while none of them does. So what is said goes to a file, not through pipes.
fn run(program: &mut Command) -> io::Result<(bool, String)> {
    let beside = beside_others();
    let mut said = tempfile::tempfile()?;
    let mut child = program
        .args(["--skip", RUNS_ALL])
        // One after the other: the first run is under way beside it, and has as many threads as there are processors.
        .args(["--test-threads", "1"])
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said.try_clone()?)
        .spawn()?;
    // What the command keeps for its children.
    program.stdout(Stdio::null()).stderr(Stdio::null());
    drop(beside);
    let status = child.wait()?;
    let _beside = beside_others();
    let mut text = Vec::new();
    said.rewind()?;
    said.read_to_end(&mut text)?;
    Ok((
        status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
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
