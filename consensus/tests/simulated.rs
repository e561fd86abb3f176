//! 33 heroes, each on a simulated host of his own, with his log on a simulated disk: whatever goes wrong, the oracle sees
//! nothing that must not be, and when all is mended everybody who lives finishes.
//!
//! `KRUG_STORMS` says how many storms there are, `KRUG_REMOVALS` how often a hero is removed; `KRUG_SEED` runs one seed alone.
//! `consensus storm --seeds 17..17` runs the storm of seed 17 as well.

use std::env;
use std::ops::RangeInclusive;

use krug_consensus::sim::plan::Plan;
use krug_consensus::sim::stage::{self, Outcome};
use krug_consensus::sim::storm::{self, Scenario, Told};

/// The seeds that the environment asks for, else the first `usual`.
fn seeds(variable: &str, usual: u64) -> RangeInclusive<u64> {
    let number = |name: &str| {
        let text = env::var(name).ok()?;
        Some(text.parse().expect("a number"))
    };
    match number("KRUG_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number(variable).unwrap_or(usual),
    }
}

/// What all seeds have come to. Fails with the first that went wrong, and how to see it again.
fn outcomes(scenario: Scenario, seeds: RangeInclusive<u64>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut wrong = None;
    storm::run(
        seeds,
        scenario,
        |Told { seed, outcome, .. }| match outcome {
            Ok(outcome) => {
                outcomes.push(outcome);
                true
            }
            Err(what) => {
                wrong.get_or_insert((seed, what));
                false
            }
        },
    );
    if let Some((seed, what)) = wrong {
        panic!("{what}\nrepeat it alone with KRUG_SEED={seed}");
    }
    outcomes
}

fn sum(outcomes: &[Outcome], count: impl Fn(&Outcome) -> u64) -> u64 {
    outcomes.iter().map(count).sum()
}

#[test]
fn in_a_storm_no_invariant_breaks_and_after_it_all_who_live_finish() {
    let outcomes = outcomes(storm::storm, seeds("KRUG_STORMS", 60));
    let mute = sum(&outcomes, |it| it.mute as u64);
    let stopped = sum(&outcomes, |it| it.stopped as u64);
    let faults = sum(&outcomes, |it| it.faults_in_time as u64);
    let lives = sum(&outcomes, |it| it.later_lives);
    let rounds = rounds_of(&outcomes);
    println!(
        "{mute} mute, {stopped} stopped, {faults} faults before the end, {lives} restarts, rounds {rounds:?}"
    );
    if outcomes.len() < 50 {
        return;
    }
    // What is drawn happens, and in time.
    let worlds = outcomes.len() as u64;
    assert!(mute > worlds, "{mute} mute");
    assert!(stopped > worlds / 4, "{stopped} stopped");
    assert!(faults > 5 * worlds, "{faults} faults");
    assert!(lives > 5 * worlds, "{lives} restarts");
    expect_few_rounds(&rounds);
}

fn rounds_of(outcomes: &[Outcome]) -> Vec<u64> {
    let mut rounds = Vec::new();
    for outcome in outcomes {
        rounds.resize(outcome.rounds.len().max(rounds.len()), 0);
        for (round, count) in outcome.rounds.iter().enumerate() {
            rounds[round] += count;
        }
    }
    rounds
}

/// L2: less than seven steps for a decree in the mean, and more than k rounds less often than in one case of 2^k.
fn expect_few_rounds(rounds: &[u64]) {
    let slow: u64 = rounds.iter().skip(1).sum();
    let steps: u64 = (1..rounds.len())
        .map(|round| rounds[round] * (4 * round as u64 - 1))
        .sum();
    assert!(steps < 7 * slow, "{steps} steps for {slow} decrees");
    for limit in 1..rounds.len() {
        let more: u64 = rounds[limit + 1..].iter().sum();
        assert!(
            more << limit < slow,
            "{more} of {slow} took more than {limit} rounds"
        );
    }
}

/// L3.
#[test]
fn any_one_hero_may_be_removed_at_any_event_and_the_rest_finish() {
    let outcomes = outcomes(storm::removal, seeds("KRUG_REMOVALS", 20));
    let in_time = sum(&outcomes, |it| it.faults_in_time as u64);
    println!("{in_time} of {} removed before the end", outcomes.len());
    assert!(
        4 * in_time >= 3 * outcomes.len() as u64 || outcomes.len() < 20,
        "{in_time}"
    );
}

#[test]
fn the_same_seed_leads_to_the_same_world_and_another_to_another() {
    let run = |seed| {
        let outcomes = outcomes(storm::storm, seed..=seed);
        (outcomes[0].trace_hash, outcomes[0].events)
    };
    let first = run(1);
    assert_eq!(run(1), first);
    assert_ne!(run(2), first);
}

#[test]
fn undisturbed_heroes_speak_each_letter_in_one_round_trip_over_tcp_and_udp() {
    for carrier in [
        krug_consensus::sim::Carrier::Tcp,
        krug_consensus::sim::Carrier::Udp,
    ] {
        let outcome = stage::run(&Plan::undisturbed(5, carrier), None).unwrap();
        assert_eq!(outcome.rounds[0], 33, "{outcome:?}");
        assert_eq!(
            (outcome.mute, outcome.stopped, outcome.later_lives),
            (0, 0, 0)
        );
    }
}
