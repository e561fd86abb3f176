//! Instructions instead of time: repeatable on every machine, blind to what the kernel does. They are the gate: a change that makes the
//! executor's own work longer is seen by [`check`](Options::check), however busy the machine.

mod baseline;
pub(super) mod peers;

use std::fs;
use std::io;
use std::path::Path;

use krug_counted::{ALL, COMPILER, Workload};

use crate::harness::callgrind;
use crate::harness::machine::Machine;
use crate::harness::progress::Progress;
use crate::harness::report::{self, Line};
use crate::options::Options;
use baseline::{Baseline, Row};

const NO_VALGRIND: &str = "skipped: instruction counts need valgrind, which is not installed";

/// What was counted when it was last said to be right.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json");

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    if options.quick && !options.check && !options.bless {
        println!(
            "\ninstructions: there is no quick way to count them; `instructions --check` takes half a minute"
        );
        return Ok(());
    }
    if !callgrind::is_installed() {
        println!("\n{NO_VALGRIND}");
        return Ok(());
    }
    if let Err(error) = krug_counted::is_possible() {
        println!("\nskipped: instructions are counted on the ring: {error}");
        return Ok(());
    }
    let is_judged = options.check || options.bless;
    if is_judged && cfg!(debug_assertions) {
        return Err(io::Error::other(
            "the baseline is of an optimised build: run it with --release",
        ));
    }
    let counted = count_all()?;
    keep(options, machine, &counted)?;
    let now = Baseline::new(COMPILER, &machine.kernel, &counted);
    if options.bless {
        fs::write(BASELINE, now.text())?;
    }
    let then = baseline().map_err(|error| io::Error::other(format!("{BASELINE}: {error}")))?;
    tell(&then, &now);
    if options.check {
        judge(&then, &now)
    } else {
        Ok(())
    }
}

fn baseline() -> io::Result<Baseline> {
    Ok(Baseline::read(&fs::read_to_string(BASELINE)?)?)
}

/// What the counted process does.
pub(super) fn work(name: &str, operations: u64) -> io::Result<()> {
    let workload = ALL.iter().find(|workload| workload.name == name);
    let workload =
        workload.ok_or_else(|| io::Error::other(format!("nothing is called `{name}`")))?;
    workload.run(operations)
}

fn count_all() -> io::Result<Vec<(&'static str, f64)>> {
    let progress = Progress::begin("", ALL.len());
    let mut counted = Vec::new();
    for workload in ALL {
        progress.say(workload.name);
        counted.push((workload.name, count(workload)?));
        progress.step();
    }
    Ok(counted)
}

fn count(workload: &Workload) -> io::Result<f64> {
    let (each, _) = callgrind::count_each(workload.operations, |operations| {
        let operations = operations.to_string();
        let words = [
            "instructions",
            "--work",
            workload.name,
            "--operations",
            &operations,
        ];
        words.map(str::to_owned).to_vec()
    })?;
    Ok(each)
}

fn tell(then: &Baseline, now: &Baseline) {
    println!(
        "\ninstructions of user space for each operation; the baseline is {}",
        Path::new(BASELINE).display()
    );
    println!("{:<62} {:>9} {:>9} {:>9}", "", "baseline", "now", "change");
    for row in then.compare(now) {
        println!("{row}");
    }
    println!(
        "where they go: valgrind --tool=callgrind target/release/krug-benches instructions --work NAME --operations 10000"
    );
}

/// Refuses what became longer; says what else is not as it was.
fn judge(then: &Baseline, now: &Baseline) -> io::Result<()> {
    if then.compiler != now.compiler {
        println!(
            "note: nothing is judged, the baseline is of {}, this is {}; `instructions --bless` writes it anew",
            then.compiler, now.compiler
        );
        return Ok(());
    }
    let rows = then.compare(now);
    for row in rows.iter().filter(|row| row.has_fallen()) {
        println!(
            "note: less than before, `instructions --bless` keeps it so: {}",
            row.name
        );
    }
    let refused: Vec<&str> = rows.iter().filter_map(Row::complaint).collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "not as in the baseline (taken on Linux {}, here {}): {}. If it has to be so, `instructions --bless` writes it anew",
        then.kernel,
        now.kernel,
        refused.join("; ")
    )))
}

fn keep(options: &Options, machine: &Machine, counted: &[(&str, f64)]) -> io::Result<()> {
    for (name, each) in counted {
        let mut line = Line::of(machine, "instructions", "runs");
        line.text("what", name)
            .number("instructions_per_operation", *each);
        report::keep(options.json.as_deref(), &line)?;
    }
    Ok(())
}
