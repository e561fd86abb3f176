//! Whole peers speaking their word in a world that loses, delays, doubles, kills and cuts off.
//!
//! `KRUG_WORLDS` says how many random worlds to run, `KRUG_SEED` runs one of them alone.

mod support;
mod world;

use krug_consensus::core::{Micros, Waiting};
use support::{Chance, for_each_seed};
use world::{Setup, World};

/// Long after the last fault: whoever is not finished by then never will be.
const PATIENCE: Micros = 60_000_000;

const ALPHABET: &str = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя";

/// The word as it was said, which must be a prefix of the word; and all of it, if everybody heard the end.
fn said(world: &World) -> String {
    world
        .oracle
        .transcript()
        .iter()
        .map(|utterance| utterance.letter)
        .collect()
}

#[test]
fn without_faults_all_are_on_the_roster_and_each_speaks_in_turn() {
    for (peers, word) in [
        (1, "a"),
        (2, "ab"),
        (3, "hello"),
        (4, "krug"),
        (7, "ab"),
        (33, ALPHABET),
    ] {
        let mut world = World::new(Setup::new(peers, word, 1));
        assert!(world.run_until(PATIENCE), "{peers} peers never finish");
        assert_eq!(said(&world), word);
        let roster = world.oracle.roster();
        assert_eq!(roster.len(), peers);
        let turns: Vec<usize> = (0..word.chars().count())
            .map(|position| roster[position % peers])
            .collect();
        assert_eq!(world.speakers(), turns, "{peers} peers");
    }
}

#[test]
fn thirty_three_heroes_need_no_more_messages_and_round_trips_than_the_protocol_promises() {
    let mut world = World::new(Setup::new(33, ALPHABET, 5));
    assert!(world.run_until(PATIENCE));
    let messages: u64 = world.peers().map(|peer| peer.counters().sent.total()).sum();
    let fast: u64 = world.peers().map(|peer| peer.counters().decrees_fast).sum();
    println!(
        "{messages} messages, {} round trips, {fast} fast",
        world.now / 1_000
    );
    assert!(messages < 6_000, "{messages} messages");
    assert!(world.now < 80_000, "{} round trips", world.now / 1_000);
    assert_eq!(fast, 33, "every letter by its owner's fast path");
}

#[test]
fn strict_peers_never_take_the_fast_path() {
    let mut setup = Setup::new(5, "strict", 3);
    setup.config.strict = true;
    let mut world = World::new(setup);
    assert!(world.run_until(PATIENCE));
    assert_eq!(said(&world), "strict");
    assert_eq!(world.oracle.fast(), 0);
    assert!(world.oracle.slow() >= 7);
}

/// Loss, doubling, slow disks, crashes with and without return, a partition: at the end everybody alive has heard the
/// whole word, and the oracle has seen nothing it must not see.
fn random_world(seed: u64, strict: bool) -> World {
    let mut chance = Chance::new(seed ^ 0x6b72_7567);
    let peers = [3, 3, 4, 5, 5, 7, 9][chance.below(7)];
    let word: String = ALPHABET.chars().take(1 + chance.below(7)).collect();
    let mut setup = Setup::new(peers, &word, seed);
    setup.config.strict = strict;
    setup.loss = [0, 5, 20, 30][chance.below(4)];
    setup.doubling = [0, 10][chance.below(2)];
    setup.sync_max = [0, 300, 3_000][chance.below(3)];
    setup.relabelling = chance.next();
    // Patience shorter than a round trip: everybody drives at once, all the time.
    setup.config.patience = [20_000, 500, 50][chance.below(3)];
    let mut world = World::new(setup);
    let for_ever = chance.below((peers - 1) / 2 + 1);
    for victim in 0..peers {
        let dies_for_ever = victim < for_ever;
        if !dies_for_ever && chance.percent(50) {
            continue;
        }
        let back = (!dies_for_ever).then(|| chance.below(100_000) as Micros);
        if chance.percent(50) {
            world.crash_after_sends(victim, 1 + chance.below(150) as u64, back);
        } else {
            let at = chance.below(150_000) as Micros;
            world.crash_at(victim, at);
            back.into_iter()
                .for_each(|back| world.restart_at(victim, at + back));
        }
    }
    if chance.percent(40) {
        world.run_until(chance.below(120_000) as Micros);
        (0..peers).for_each(|peer| world.sides[peer] = chance.below(2));
        world.run_until(world.now + chance.below(400_000) as Micros);
        world.sides.fill(0);
    }
    assert!(
        world.run_until(world.now + PATIENCE),
        "somebody never finishes"
    );
    assert_eq!(said(&world), word);
    world
}

#[test]
fn random_worlds_keep_the_invariants_and_finish_with_the_fast_path() {
    let (mut fast, mut slow) = (0, 0);
    for_each_seed("KRUG_WORLDS", 400, |seed| {
        let world = random_world(seed, false);
        fast += world.oracle.fast();
        slow += world.oracle.slow();
    });
    println!("{fast} fast and {slow} slow decisions");
}

#[test]
fn random_worlds_keep_the_invariants_and_finish_without_the_fast_path() {
    for_each_seed("KRUG_WORLDS", 400, |seed| {
        let world = random_world(seed, true);
        assert_eq!(world.oracle.fast(), 0);
    });
}

#[test]
fn thirty_three_heroes_finish_though_sixteen_die_and_a_tenth_of_the_messages_is_lost() {
    for_each_seed("KRUG_CIRCLES", 2, |seed| {
        let mut setup = Setup::new(33, ALPHABET, seed);
        setup.loss = 10;
        let mut world = World::new(setup);
        let mut chance = Chance::new(seed);
        let mut victims: Vec<usize> = (0..33).collect();
        chance.shuffle(&mut victims);
        for &victim in &victims[..16] {
            world.crash_at(victim, chance.below(300_000) as Micros);
        }
        assert!(world.run_until(PATIENCE));
        assert_eq!(said(&world), ALPHABET);
    });
}

#[test]
fn a_peer_that_vanishes_after_any_of_its_sends_does_not_stop_the_others() {
    crash_after_every_send(None);
}

#[test]
fn a_peer_that_crashes_after_any_of_its_sends_and_returns_breaks_no_promise() {
    crash_after_every_send(Some(5_000));
}

fn crash_after_every_send(restart_after: Option<Micros>) {
    let setup = |seed| Setup {
        sync_max: 800,
        ..Setup::new(3, "abc", seed)
    };
    for_each_seed("KRUG_CRASHES", 6, |seed| {
        for victim in 0..3 {
            for sends in 1.. {
                let mut world = World::new(setup(seed));
                world.crash_after_sends(victim, sends, restart_after);
                assert!(
                    world.run_until(PATIENCE),
                    "peer {victim} crashes after {sends} sends, nobody finishes"
                );
                assert_eq!(said(&world), "abc");
                if world.sends(victim) < sends {
                    break;
                }
            }
        }
    });
}

#[test]
fn whoever_dies_before_claiming_is_not_on_the_roster_and_somebody_says_two_letters() {
    let mut world = World::new(Setup::new(33, ALPHABET, 2));
    world.crash_after_sends(7, 1, None);
    world.crash_at(7, 0);
    assert!(world.run_until(PATIENCE));
    assert_eq!(said(&world), ALPHABET);
    let roster = world.oracle.roster();
    assert_eq!(roster.len(), 32);
    let speakers = world.speakers();
    assert_eq!(
        speakers[0], speakers[32],
        "the first of the circle says the last letter as well"
    );
}

#[test]
fn whoever_dies_before_his_turn_is_stood_in_for_exactly_once() {
    let mut calm = World::new(Setup::new(5, "abcde", 11));
    calm.run_until(PATIENCE);
    let speakers = calm.speakers();
    let mut world = World::new(Setup::new(5, "abcde", 11));
    // Long enough for the roll, too short for the third letter.
    while world.oracle.transcript().is_empty() {
        world.run_until(world.now + 100);
    }
    world.crash_at(speakers[3], world.now);
    assert!(world.run_until(PATIENCE));
    assert_eq!(said(&world), "abcde");
    let stood_in: Vec<bool> = world
        .oracle
        .transcript()
        .iter()
        .map(|utterance| utterance.stood_in())
        .collect();
    assert_eq!(stood_in, [false, false, false, true, false]);
    assert_ne!(world.speakers()[3], speakers[3]);
}

#[test]
fn a_partition_stops_the_minority_only_and_healing_brings_it_up_to_date() {
    let mut world = World::new(Setup::new(33, ALPHABET, 4));
    while world.oracle.decided() < 5 {
        world.run_until(world.now + 1_000);
    }
    world.sides[..16].fill(1);
    world.run_until(world.now + 4_000_000);
    assert_eq!(said(&world), ALPHABET, "the majority goes on alone");
    for identity in 0..16 {
        let peer = world.peer(identity).expect("alive");
        assert!(!peer.is_finished());
        let Waiting::Quorum {
            heard: 2..=16,
            peers: 33,
            needed: 17,
        } = peer.waiting(world.now)
        else {
            panic!("{identity} waits for {:?}", peer.waiting(world.now));
        };
    }
    world.sides.fill(0);
    assert!(
        world.run_until(world.now + 2_000_000),
        "healed, and yet not up to date"
    );
}

#[test]
fn a_minority_decides_nothing_and_says_why_it_waits() {
    let mut world = World::new(Setup::new(33, "никогда", 6));
    world.sides[..16].fill(1);
    world.sides[16..32].fill(2);
    world.sides[32] = 3;
    world.run_until(3_000_000);
    assert_eq!(world.oracle.decided(), 0);
    assert_eq!(
        world.peer(0).expect("alive").waiting(world.now).to_string(),
        "16 of 33 hear each other, 17 needed"
    );
    assert_eq!(
        world
            .peer(32)
            .expect("alive")
            .waiting(world.now)
            .to_string(),
        "1 of 33 hear each other, 17 needed"
    );
    world.sides.fill(0);
    assert!(world.run_until(world.now + PATIENCE));
    assert_eq!(said(&world), "никогда");
}

#[test]
fn with_a_dead_majority_nothing_is_lost_and_one_restart_resumes_in_mid_word() {
    let mut world = World::new(Setup::new(5, "abcdefgh", 9));
    while world.oracle.transcript().len() < 3 {
        world.run_until(world.now + 100);
    }
    (0..3).for_each(|victim| world.crash_at(victim, world.now));
    world.run_until(world.now + 5_000_000);
    let before = said(&world);
    assert!(before.len() < 8, "two of five went on");
    let restart = world.now;
    world.restart_at(1, restart);
    assert!(world.run_until(restart + PATIENCE));
    assert_eq!(said(&world), "abcdefgh");
    assert!("abcdefgh".starts_with(&before));
}

#[test]
fn a_peer_without_its_log_never_votes_and_still_hears_everything() {
    for seed in 0..20 {
        let mut world = World::new(Setup::new(3, "abcd", seed));
        world.crash_after_sends(0, 1 + 3 * seed, Some(10_000));
        world.run_until(15_000);
        if world.peer(0).is_some() {
            world.crash_at(0, world.now);
            world.restart_at(0, world.now + 1);
        }
        world.lose_log(0);
        assert!(world.run_until(world.now + PATIENCE));
        assert_eq!(said(&world), "abcd");
    }
}

#[test]
fn with_one_mute_and_one_dead_of_three_nothing_is_decided_any_more() {
    let mut world = World::new(Setup::new(3, "abcd", 1));
    while world.oracle.transcript().is_empty() {
        world.run_until(world.now + 100);
    }
    let now = world.now;
    world.crash_at(0, now);
    world.crash_at(1, now);
    world.run_until(now);
    world.lose_log(1);
    world.restart_at(1, now + 1);
    world.run_until(now + 1_000);
    let before = world.oracle.decided();
    assert!(!world.run_until(now + 5_000_000));
    assert_eq!(world.oracle.decided(), before, "a mute peer voted");
}

#[test]
fn a_stalled_disk_makes_its_own_peer_late_and_nobody_else() {
    let mut world = World::new(Setup::new(5, "abcde", 8));
    while world.oracle.transcript().is_empty() {
        world.run_until(world.now + 100);
    }
    let victim = *world.oracle.roster().last().expect("rolled");
    world.stall_disk(victim, 50_000_000);
    world.run_until(world.now + 500_000);
    assert_eq!(said(&world), "abcde");
    assert!(!world.is_finished(), "the stalled one cannot know the end");
    assert!(world.run_until(world.now + 100 * PATIENCE));
}

/// S1. Ports and spawn order are labels. Everything else stays, so the same heroes say the same letters at the same time.
#[test]
fn relabelling_ports_and_spawn_order_changes_nothing_but_labels() {
    for_each_seed("KRUG_RELABELLINGS", 60, |seed| {
        let run = |relabelling| {
            let mut setup = Setup::new(3 + seed as usize % 5, "symmetry", seed);
            setup.relabelling = relabelling;
            setup.loss = 10;
            setup.doubling = 5;
            // So short that there is contention in every decree.
            setup.config.patience = 300;
            let mut world = World::new(setup);
            world.crash_at(0, 20_000);
            world.restart_at(0, 60_000);
            assert!(world.run_until(PATIENCE));
            (world.oracle.roster(), world.speakers(), world.now)
        };
        let expected = run(0);
        for relabelling in 1..4 {
            assert_eq!(run(relabelling), expected, "relabelling {relabelling}");
        }
    });
}

/// S2. Nobody is more likely than anybody else to have any rank.
#[test]
fn ranks_are_uniform_over_seeds() {
    const PEERS: usize = 5;
    const SEEDS: u64 = 10_000;
    let mut counts = [[0u32; PEERS]; PEERS];
    for_each_seed("KRUG_RANKS", SEEDS, |seed| {
        let mut world = World::new(Setup::new(PEERS, "a", seed));
        assert!(world.run_until(PATIENCE));
        for (rank, identity) in world.oracle.roster().into_iter().enumerate() {
            counts[identity][rank] += 1;
        }
    });
    let seeds: u32 = counts[0].iter().sum();
    let expected = f64::from(seeds) / PEERS as f64;
    let chi_squared: f64 = counts
        .iter()
        .flatten()
        .map(|&count| (f64::from(count) - expected).powi(2) / expected)
        .sum();
    println!("χ² = {chi_squared:.1} with 16 degrees of freedom");
    // Sixteen degrees of freedom; beyond 39.3 lies one case in a thousand.
    assert!(chi_squared < 39.3, "χ² = {chi_squared:.1}: {counts:?}");
}

/// S3.
#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run = |seed| {
        let mut world = World::new(Setup {
            loss: 10,
            doubling: 10,
            sync_max: 500,
            ..Setup::new(7, "bytes", seed)
        });
        world.oracle.trace();
        assert!(world.run_until(PATIENCE));
        world.oracle.fingerprint()
    };
    for seed in 0..10 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
        assert_ne!(run(seed), run(seed + 1), "the seed makes no difference");
    }
}
