//! Random reads of a file, through the kernel's cache and past it.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::compared::{Chosen, Compared, Plot, able, choose};
use super::scratch::Scratch;
use crate::file_models;
use crate::file_models::content::{self, BLOCK, Check};
use crate::file_models::read::{Access, Job, MODELS, Model, SPIN};
use crate::harness::machine::Machine;
use crate::harness::meter::{Measured, Pace};
use crate::harness::serving::on_first_core;
use crate::options::Options;

const DEPTHS: [usize; 3] = [1, 32, 128];

/// Reads through the cache take less than a microsecond: the clock is looked at once for so many.
const STRIDE_CACHED: u64 = 8;

/// However long the other scenarios measure: a disk is not to be kept busy for long.
const DIRECT_MAX: Duration = Duration::from_secs(1);

/// Enough to see that all run; there are many runs.
const QUICK: Duration = Duration::from_millis(30);

/// What krug is to reach on the machine of the specification.
fn bar(access: Access, depth: usize) -> &'static str {
    match (access, depth) {
        (Access::Cached, 1) => "≥ 1100 k/s",
        (Access::Cached, 32) => "≥ 1200 k/s",
        (Access::Cached, _) => "≥ 1270 k/s",
        (Access::Direct, 1) => "parity with the floor; ≥ 1.5 × when it spins before it waits",
        (Access::Direct, 32) => "parity with the floor",
        (Access::Direct, _) => "parity with the floor, ≤ 2.4 µs of CPU",
    }
}

pub(super) fn word(access: Access) -> &'static str {
    match access {
        Access::Cached => "cached",
        Access::Direct => "direct",
    }
}

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    let names: Vec<_> = MODELS.iter().map(|model| model.name).collect();
    let Some(chosen) = choose(options, &names)? else {
        println!("\nfiles: skipped: none of those named reads files");
        return Ok(());
    };
    let scratch = Scratch::new(options, "files")?;
    let path = scratch.path("blocks");
    content::write_blocks(&path, options.file_bytes)?;
    for access in [Access::Cached, Access::Direct] {
        if access == Access::Direct
            && let Some(reason) = no_direct(options, &path)?
        {
            println!("\nfiles, direct: skipped: {reason}");
            continue;
        }
        let what = format!("files, {}", word(access));
        let trial = |name| trial(options, &path, access, name);
        let Some(able) = able(&what, &chosen, trial, |_, _| Ok(()))? else {
            continue;
        };
        for depth in DEPTHS {
            if access == Access::Cached {
                content::warm(&path)?;
            }
            let looking_on_pays = access == Access::Direct && depth == 1;
            let Some(chosen) = chosen_of(&able, looking_on_pays) else {
                continue;
            };
            let job = job(options, &path, access, depth);
            compare(options, machine, &chosen, &job)?;
        }
    }
    Ok(())
}

/// Those that are compared: models that look on only where that can pay. Nothing if the subject does not take part, or nobody is left.
fn chosen_of((subject, baselines): &Chosen, looking_on_pays: bool) -> Option<Chosen> {
    let takes_part = |name: &&&'static str| looking_on_pays || !name.ends_with(SPIN);
    let baselines: Vec<_> = baselines.iter().filter(takes_part).copied().collect();
    let is_there = takes_part(&subject) && !baselines.is_empty();
    is_there.then_some((*subject, baselines))
}

pub(super) fn job(options: &Options, path: &Path, access: Access, depth: usize) -> Job {
    let (warm_up, measured) = if options.quick {
        (QUICK / 4, options.measured.min(QUICK))
    } else {
        (options.warm_up, options.measured)
    };
    Job {
        path: path.to_owned(),
        bytes: options.file_bytes,
        depth,
        access,
        pace: Pace {
            warm_up,
            measured: match access {
                Access::Cached => measured,
                Access::Direct => measured.min(DIRECT_MAX),
            },
            stride: match access {
                Access::Cached => STRIDE_CACHED,
                Access::Direct => 1,
            },
            operations_max: u64::MAX,
        },
        piece: BLOCK,
        check: Check::Three,
        seed: 1,
    }
}

/// Why the file cannot be read past the cache, if it cannot.
pub(super) fn no_direct(options: &Options, path: &Path) -> io::Result<Option<String>> {
    if file_models::is_in_memory(path)? {
        return Ok(Some("the file lies in memory (see --dir)".to_owned()));
    }
    let refused = trial(options, path, Access::Direct, "blocking").err();
    Ok(refused.map(|error| format!("the file system does not do it: {error}")))
}

/// Fails if this model cannot read so.
fn trial(options: &Options, path: &Path, access: Access, name: &str) -> io::Result<()> {
    let most = DEPTHS[DEPTHS.len() - 1];
    let mut job = job(options, path, access, most);
    job.pace.operations_max = most as u64;
    read(name, &job).map(drop)
}

pub(super) fn read(name: &str, job: &Job) -> io::Result<Measured> {
    let model: Option<&Model> = MODELS.iter().find(|model| model.name == name);
    let read = model.expect("a name from the list").read;
    on_first_core(|| read(job))
}

fn compare(options: &Options, machine: &Machine, chosen: &Chosen, job: &Job) -> io::Result<()> {
    let (how, depth) = (word(job.access), job.depth);
    println!(
        "\nfiles: random reads of 4 KiB, {how}, {depth} in flight, of {} MiB; {} pairs of {} s, on one core",
        options.file_bytes >> 20,
        options.pairs,
        job.pace.measured.as_secs_f64()
    );
    let compared = Compared::measure(options, "read", chosen.clone(), |name| read(name, job))?;
    compared.tell();
    println!(
        "bar, file read 4 KiB, {how}, depth {depth}: {}; here {}",
        bar(job.access, depth),
        compared.stand()
    );
    compared.keep(options, machine, "files", |line| {
        line.text("what", &format!("{how}, depth {depth}"));
        line.text("access", how).number("depth", depth as f64);
        line.number("file_bytes", options.file_bytes as f64);
    })?;
    let plot = Plot {
        options,
        machine,
        scenario: "files",
        title: &format!("random reads of 4 KiB, {how}"),
        x_label: "reads in flight",
        y_label: "reads per second",
    };
    for (name, rate) in compared.rates() {
        plot.keep(name, depth, Ok(rate))?;
    }
    Ok(())
}
