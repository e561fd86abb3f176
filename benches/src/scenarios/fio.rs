//! Our ways to read a file beside those of `fio`: the same file, the same core, blocks of the same size.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::confirm::{Confirmation, is_there, output_of, skip};
use super::files::{job, no_direct, read, word};
use super::scratch::Scratch;
use crate::file_models::content;
use crate::file_models::read::{Access, Job};
use crate::harness::limit;
use crate::harness::machine::Machine;
use crate::harness::serving::on_first_core;
use crate::options::Options;

const PROGRAM: &str = "fio";

/// Its engine, our model that does the same, and how many reads are in flight. A thread that waits for each has one.
const ENGINES: [(&str, &str, &[usize]); 3] = [
    ("io_uring", "floor", &[1, 32, 128]),
    ("libaio", "linux-aio", &[1, 32, 128]),
    ("psync", "blocking", &[1]),
];

/// It takes some time to begin.
const SHORTEST: Duration = Duration::from_millis(200);

pub(super) fn confirm(options: &Options, machine: &Machine) -> io::Result<()> {
    if !is_there(options, machine, PROGRAM, PROGRAM)? {
        return Ok(());
    }
    let scratch = Scratch::new(options, "confirm")?;
    let path = scratch.path("blocks");
    content::write_blocks(&path, options.file_bytes)?;
    for access in [Access::Cached, Access::Direct] {
        if access == Access::Direct
            && let Some(reason) = no_direct(options, &path)?
        {
            skip(options, machine, "direct reads", &reason)?;
            continue;
        }
        for (engine, model, depths) in ENGINES {
            let count = if options.quick { 1 } else { depths.len() };
            for depth in &depths[..count] {
                let what = format!("reads of 4 KiB, {}, {depth} in flight", word(access));
                if limit::is_over() {
                    println!("\nconfirm, {what}: skipped, the time of --quick is over");
                    return Ok(());
                }
                if access == Access::Cached {
                    content::warm(&path)?;
                }
                let job = job(options, &path, access, *depth);
                let confirmation = Confirmation {
                    what: &what,
                    ours: model,
                    theirs: &format!("{PROGRAM}-{engine}"),
                };
                let ours = || read(model, &job).map(|measured| measured.rate);
                let theirs = || fio(engine, &job);
                match confirmation.measure(options, machine, ours, theirs) {
                    Ok(_) => {}
                    // This system may forbid an engine.
                    Err(error) => println!("\nconfirm, {what}, {engine}: cannot: {error}"),
                }
            }
        }
    }
    Ok(())
}

/// Reads a second.
fn fio(engine: &str, job: &Job) -> io::Result<f64> {
    let takes = job.pace.measured.max(SHORTEST);
    let mut command = Command::new(PROGRAM);
    command.args(arguments(engine, &job.path, job, takes));
    let output = on_first_core(|| output_of(&mut command, takes))?;
    rate_in(&output).map_err(io::Error::other)
}

fn arguments(engine: &str, path: &Path, job: &Job, takes: Duration) -> Vec<String> {
    let mut arguments = vec![
        format!("--filename={}", path.display()),
        format!("--size={}", job.bytes),
        format!("--ioengine={engine}"),
        format!("--iodepth={}", job.depth),
        format!("--direct={}", u8::from(job.access == Access::Direct)),
        format!("--runtime={}ms", takes.as_millis()),
        // As many at once as our loops submit and take.
        format!("--iodepth_batch_submit={}", job.depth),
        format!("--iodepth_batch_complete_max={}", job.depth),
    ];
    let always = [
        "--name=confirm",
        "--rw=randread",
        "--bs=4k",
        "--norandommap",
        "--time_based",
        "--readonly",
        // What is in the cache stays there.
        "--invalidate=0",
        // Only rates are compared: it need not look at the clock for each read.
        "--gtod_reduce=1",
        // With a process for each job it would ask for shared memory.
        "--thread",
        "--output-format=terse",
        "--terse-version=3",
    ];
    arguments.extend(always.map(str::to_owned));
    if engine == "io_uring" {
        // As the floor does it.
        arguments.extend(["--fixedbufs", "--registerfiles"].map(str::to_owned));
    }
    arguments
}

/// Fields of its terse output, version 3, counted from 0.
const VERSION: usize = 0;
const ERROR: usize = 4;
const RATE_OF_READS: usize = 7;

/// What it has printed, or what is wrong with that.
fn rate_in(output: &str) -> Result<f64, String> {
    let fields = output
        .lines()
        .map(|line| line.split(';').collect::<Vec<_>>())
        .find(|fields| fields[VERSION] == "3" && fields.len() > RATE_OF_READS);
    let fields = fields.ok_or_else(|| format!("{PROGRAM} says nothing of reads: {output}"))?;
    if fields[ERROR] != "0" {
        return Err(format!("{PROGRAM}: error {}", fields[ERROR]));
    }
    let rate = fields[RATE_OF_READS].parse().ok();
    rate.filter(|rate| *rate > 0.0)
        .ok_or_else(|| format!("{PROGRAM} has read nothing: {output}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_off_what_it_prints() {
        let output = "fio: a word before\n3;fio-3.33;confirm;0;0;1200;400000;100250;300;0\n";
        assert_eq!(rate_in(output), Ok(100_250.0));
    }

    #[test]
    fn an_error_or_nothing_at_all_is_no_rate() {
        for output in [
            "",
            "3;fio-3.33;confirm",
            "3;fio-3.33;confirm;0;22;0;0;0;0",
            "3;fio-3.33;confirm;0;0;0;0;0;0",
            "5;fio-3.33;confirm;0;0;1200;400000;100250;300;0",
        ] {
            assert!(rate_in(output).is_err(), "{output}");
        }
    }
}
