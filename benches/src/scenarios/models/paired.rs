//! krug on one core and the loop around epoll, in pairs: of curves, each point of which was measured once, nobody can say which is above.

use std::io;

use super::{Folder, Point, measure};
use crate::harness::limit;
use crate::harness::machine::Machine;
use crate::harness::pairs::interleave;
use crate::harness::progress::Progress;
use crate::harness::report::{self, Line};
use crate::models::{self, Model};
use crate::options::Options;
use crate::scenarios::course::tell_ratios;

/// The subject and its baseline.
const NAMES: [&str; 2] = ["krug-one-core", "epoll"];
const USERS: &[usize] = &[100, 1000, 5000, 20_000];
const USERS_QUICK: &[usize] = &[100];

/// As of every scenario over TCP.
const RESOLUTION: f64 = 0.04;

/// Of an error that says that a model cannot go on: users wait for it in vain.
const CANNOT: io::ErrorKind = io::ErrorKind::TimedOut;

/// Compares the two, if both were chosen.
pub(super) fn compare(
    options: &Options,
    machine: &Machine,
    chosen: &[&Model],
    users_max: usize,
    content: (&Folder, &[u8]),
) -> io::Result<()> {
    let is_chosen = |name: &&str| chosen.iter().any(|model| model.name == *name);
    if !NAMES.iter().all(is_chosen) {
        return Ok(());
    }
    let [subject, baseline] = NAMES.map(models::named);
    let (subject, baseline) = (subject?, baseline?);
    let usual = match options.quick {
        true => USERS_QUICK,
        false => USERS,
    };
    let given = options.users.map(|users| vec![users]);
    for users in given.unwrap_or_else(|| usual.to_vec()) {
        let users = users.min(users_max);
        if limit::is_over() {
            println!("\nskipped: pairs with {users} users, the time of --quick is over");
            continue;
        }
        let what = format!("{users} users, in pairs");
        let runs = interleave(options.pairs, 1, |who| {
            let model = who.of(subject, &[baseline]);
            rate(model, users, options, content)
        });
        let runs = match runs {
            Err(error) if error.kind() == CANNOT => {
                println!("\n{what}: skipped: {error}");
                let mut line = Line::of(machine, "models", "runs");
                line.text("what", &what).text("skipped", &error.to_string());
                report::keep(options.json.as_deref(), &line)?;
                continue;
            }
            runs => runs?,
        };
        println!("\n{what}: requests a second");
        for (name, rates) in runs.rows(subject.name, &[baseline.name]) {
            let mut line = Line::of(machine, "models", "runs");
            line.text("what", &what).text("peer", name);
            line.numbers("rate", rates.iter().copied());
            report::keep(options.json.as_deref(), &line)?;
        }
        let field = (subject.name, &[baseline.name][..]);
        let compared = ("models", &*what, RESOLUTION);
        tell_ratios(options, machine, compared, field, &runs, |rate| *rate)?;
    }
    Ok(())
}

/// Requests a second; an error of the kind [`CANNOT`] if the model does not go on with so many users.
fn rate(
    model: &Model,
    users: usize,
    options: &Options,
    content: (&Folder, &[u8]),
) -> io::Result<f64> {
    match measure(model, users, options, content, &Progress::unseen())? {
        Point::Measured(measured) => Ok(measured.rate()),
        Point::Cannot(reason) => Err(io::Error::new(CANNOT, format!("{}: {reason}", model.name))),
    }
}
