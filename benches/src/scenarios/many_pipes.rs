//! Small records through many pipes to one reader.

use std::io;
use std::time::Duration;

use super::compared::{Chosen, Compared, Plot, able, choose};
use crate::floor::limits::raise_descriptor_limit;
use crate::harness::machine::Machine;
use crate::options::Options;
use crate::pipe_models::{Cut, Job, MODELS, Model, run as read};

/// The last one needs more descriptors than `select` knows.
const PIPES: &[usize] = &[10, 100, 500, 1000];
const PIPES_QUICK: &[usize] = &[10, 50];

/// Descriptors that are needed besides the pipes, at most.
const OTHERS: u64 = 64;

/// How many records show whether a model can do it.
const TRIAL: u64 = 1000;

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    let names: Vec<_> = MODELS.iter().map(|model| model.name).collect();
    let Some(chosen) = choose(options, &names)? else {
        println!("\nmany-pipes: skipped: none of those named reads pipes");
        return Ok(());
    };
    let descriptors = raise_descriptor_limit()?;
    for pipes in if options.quick { PIPES_QUICK } else { PIPES } {
        let needed = *pipes as u64 * 2 + OTHERS;
        if descriptors < needed {
            println!(
                "\nmany-pipes, {pipes} pipes: skipped: {needed} descriptors are needed, this process may have {descriptors}"
            );
            continue;
        }
        compare(options, machine, &chosen, *pipes)?;
    }
    Ok(())
}

fn find(name: &str) -> &'static Model {
    let model = MODELS.iter().find(|model| model.name == name);
    model.expect("a name from the list")
}

fn compare(options: &Options, machine: &Machine, chosen: &Chosen, pipes: usize) -> io::Result<()> {
    println!(
        "\nmany-pipes: records of 32 bytes through {pipes} pipes, each chosen by chance; {} pairs of {} s, reader on the first core",
        options.pairs,
        options.measured.as_secs_f64()
    );
    let job = Job {
        pipes,
        measured: options.measured,
        records_max: u64::MAX,
        cut: Cut::Nowhere,
        seed: 1,
    };
    let plot = |title, y_label| Plot {
        options,
        machine,
        scenario: "many-pipes",
        title,
        x_label: "pipes",
        y_label,
    };
    let rates = plot(
        "records through many pipes to one reader",
        "records per second",
    );
    let refused = |name: &str, reason: &str| rates.keep(name, pipes, Err(reason));
    let Some(able) = able(
        "many-pipes",
        chosen,
        |name| trial(find(name), &job),
        refused,
    )?
    else {
        return Ok(());
    };
    let compared = Compared::measure(options, "record", able, |name| read(find(name), &job))?;
    compared.tell();
    println!("here {}", compared.stand());
    compared.keep(options, machine, "many-pipes", |line| {
        line.text("what", &format!("{pipes} pipes"));
        line.number("pipes", pipes as f64).number("bytes", 32.0);
    })?;
    for (name, rate) in compared.rates() {
        rates.keep(name, pipes, Ok(rate))?;
    }
    let costs = plot(
        "time on processors for a record through many pipes",
        "µs of the reader per record",
    );
    for (name, cost) in compared.costs() {
        costs.keep(name, pipes, Ok(cost))?;
    }
    Ok(())
}

/// Fails with `Unsupported` if the model cannot read so many pipes. Records are cut here, so that what puts them together
/// is seen to work.
fn trial(model: &'static Model, job: &Job) -> io::Result<()> {
    let little = Job {
        records_max: TRIAL,
        measured: Duration::from_secs(1),
        cut: Cut::Anywhere,
        ..job.clone()
    };
    read(model, &little).map(drop)
}
