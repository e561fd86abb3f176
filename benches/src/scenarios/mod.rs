//! One file for each scenario.

mod cores;
mod echo;
mod hog;
mod hotspot;
mod instructions;
mod nop;
mod served;
mod sim;

use std::io;

use crate::harness::machine::Machine;
use crate::options::Options;
use crate::peers::{self, Peer};

/// Runs what the options name.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    if let Some((who, batch)) = &options.counted {
        return instructions::work(who, *batch, options.operations);
    }
    if let Some(who) = &options.served {
        return served::serve(who, options);
    }
    let machine = Machine::look();
    println!("{}", machine.describe());
    if options.quick {
        println!("quick: shows that it runs; the numbers are not worth telling");
    }
    let is_wanted = |scenario| options.scenario == scenario || options.scenario == "all";
    if is_wanted("cores") {
        cores::run(options, &machine)?;
    }
    if is_wanted("hotspot") {
        hotspot::run(options, &machine)?;
    }
    if is_wanted("nop") {
        nop::run(options, &machine)?;
    }
    if is_wanted("echo") {
        echo::run(options, &machine)?;
    }
    if is_wanted("hog") {
        hog::run(options, &machine)?;
    }
    if is_wanted("sim") {
        sim::run(options, &machine)?;
    }
    Ok(())
}

/// The subject and its baselines, of those that `can` take part. A peer may be compared with itself
/// if it is named: what is seen then is the noise.
fn contestants(
    options: &Options,
    can: impl Fn(&Peer) -> bool,
) -> io::Result<(&'static Peer, Vec<&'static Peer>)> {
    let subject = peers::named(&options.subject())?;
    let mut baselines = Vec::new();
    for name in options.peers() {
        baselines.push(peers::named(&name)?);
    }
    if baselines.is_empty() {
        baselines.extend(
            peers::PEERS
                .iter()
                .filter(|peer| !peer.is_ours() && peer.name != subject.name),
        );
    }
    baselines.retain(|peer| can(peer));
    if baselines.is_empty() || !can(subject) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "nothing is left to compare",
        ));
    }
    Ok((subject, baselines))
}
