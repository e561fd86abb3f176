//! Records appended to a log, each on the disk before it counts.

use std::fs;
use std::io;

use ::krug::runtime::Driver;

use super::compared::{Compared, able, choose};
use super::scratch::Scratch;
use crate::file_models::append::{GROUP, Job, MODELS, Model};
use crate::file_models::content::{self, RECORD};
use crate::harness::machine::Machine;
use crate::harness::meter::{Measured, Pace};
use crate::harness::serving::on_first_core;
use crate::options::Options;

/// The log, and a segment of the journal: so large that a run of one writer seldom comes round, so small that the journal has
/// the next segment to make while it is measured, as it has in a long life.
const BYTES: u64 = 16 << 20;
const BYTES_QUICK: u64 = 1 << 20;

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    let names: Vec<_> = MODELS.iter().map(|model| model.name).collect();
    let Some(chosen) = choose(options, &names)? else {
        println!("\nlog: skipped: none of those named appends to files");
        return Ok(());
    };
    let scratch = Scratch::new(options, "log")?;
    let job = Job {
        path: scratch.path("log"),
        bytes: if options.quick { BYTES_QUICK } else { BYTES },
        pace: Pace {
            warm_up: options.warm_up,
            measured: options.measured,
            stride: 1,
            operations_max: u64::MAX,
        },
        driver: match options.driver.as_str() {
            "epoll" => Driver::Epoll,
            _ => Driver::Uring,
        },
        piece: RECORD,
    };
    content::write_zeros(&job.path, job.bytes)?;

    let trial = |name| {
        let mut little = job.clone();
        little.pace.operations_max = 10;
        append(find(name), &scratch, &little).map(drop)
    };
    tell_title(options, "one writer");
    let Some(chosen) = able("log", &chosen, trial, |_, _| Ok(()))? else {
        return Ok(());
    };
    let compared = Compared::measure(options, "append", chosen, |name| {
        append(find(name), &scratch, &job)
    })?;
    compared.tell();
    println!(
        "bar, log append 512 B + fdatasync: ≥ 0.98 of the floor; here {}",
        compared.stand()
    );
    compared.keep(options, machine, "log", |line| {
        line.text("what", "one writer")
            .text("driver", &options.driver);
        line.number("writers", 1.0).number("bytes", RECORD as f64);
    })?;

    tell_title(options, "32 writers of one journal, against one");
    let ours = match job.driver {
        Driver::Epoll => "krug-epoll",
        _ => "krug-uring",
    };
    let chosen = (GROUP.name, vec!["krug-journal-1", ours, "floor"]);
    let Some(chosen) = able("log", &chosen, trial, |_, _| Ok(()))? else {
        return Ok(());
    };
    let compared = Compared::measure(options, "append", chosen, |name| {
        append(find(name), &scratch, &job)
    })?;
    compared.tell();
    println!(
        "bar, group commit with 32 writers: ≥ 10 ×; here {}",
        compared.comparison(0).describe()
    );
    compared.keep(options, machine, "log", |line| {
        line.text("what", "32 writers")
            .text("driver", &options.driver);
        line.number("writers", 32.0).number("bytes", RECORD as f64);
    })
}

fn tell_title(options: &Options, who: &str) {
    println!(
        "\nlog: {RECORD} bytes appended and synced, {who}; {} pairs of {} s",
        options.pairs,
        options.measured.as_secs_f64()
    );
}

fn find(name: &str) -> &'static Model {
    let mut models = MODELS.iter().chain([&GROUP]);
    models
        .find(|model| model.name == name)
        .expect("a name from the list")
}

/// Has the model append, and looks at what it has left behind.
fn append(model: &Model, scratch: &Scratch, job: &Job) -> io::Result<Measured> {
    if model.is_journal {
        let folder = scratch.path("journal");
        let job = Job {
            path: folder.clone(),
            ..job.clone()
        };
        let measured = on_first_core(|| (model.append)(&job));
        // Where it failed early there is none.
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        return measured;
    }
    let measured = on_first_core(|| (model.append)(job))?;
    content::check_log(&job.path, measured.operations)?;
    Ok(measured)
}
