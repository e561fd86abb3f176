//! 33 heroes in a simulated world.
use krug_consensus::sim::storm;
#[test]
fn one() {
    let seed = std::env::var("SEED").map_or(1, |s| s.parse().unwrap());
    let n = std::env::var("N").map_or(1, |s| s.parse().unwrap());
    let scen = match std::env::var("L3") { Ok(_) => storm::removal as storm::Scenario, _ => storm::storm };
    storm::run(seed..=seed+n-1, scen, |told| { 
        match &told.outcome { Ok(o) => println!("{} ok {:?} events {} virtual {:?} mute {} stopped {} rounds {:?} hash {:x}", told.seed, told.took, o.events, o.elapsed, o.mute, o.stopped, o.rounds, o.trace_hash), Err(e) => println!("{} FAIL {:?} {e}\n   {}", told.seed, told.took, krug_consensus::sim::plan::Plan::storm(told.seed)) } true });
}
