//! The book sees every contradiction.

use super::*;

const NAMES: [Name; 3] = [Name(1), Name(2), Name(3)];

fn chronicle(fault: &str) -> Chronicle {
    let line = [
        "consensus",
        "--peers",
        "3",
        "--word",
        "abc",
        "--fault",
        fault,
    ];
    let arguments = Arguments::read(line.into_iter().map(Into::into)).unwrap();
    let mut chronicle = Chronicle::new(&arguments, Narrator::silent());
    for (hero, name) in NAMES.into_iter().enumerate() {
        chronicle.named(hero, name);
    }
    chronicle
}

fn rolled(names: &[Name]) -> Effect {
    Effect::Rolled {
        roster: names.to_vec(),
    }
}

fn spoken(position: usize, letter: char, speaker: Name) -> Effect {
    let owner = NAMES[position % 3];
    Effect::Spoken(Utterance {
        position,
        letter,
        speaker,
        owner,
        own: false,
    })
}

fn end(chronicle: Chronicle, waiting: &[Waiting]) -> End {
    let limit = Duration::from_secs(3);
    chronicle
        .close(
            waiting,
            limit,
            MessageCounts::default(),
            Duration::ZERO,
            "none",
        )
        .end
}

/// Tells each hero each of these things, in turn.
fn tell(chronicle: &mut Chronicle, effects: &[Effect]) {
    for effect in effects {
        for hero in 0..3 {
            chronicle.learned(hero, effect, Duration::ZERO);
        }
    }
}

fn whole() -> Vec<Effect> {
    let letters = "abc".chars().zip(NAMES).enumerate();
    let spoken = letters.map(|(position, (letter, name))| spoken(position, letter, name));
    std::iter::once(rolled(&NAMES)).chain(spoken).collect()
}

#[test]
fn a_word_that_all_have_heard_is_spoken() {
    let mut chronicle = chronicle("");
    tell(&mut chronicle, &whole()[..3]);
    assert!(!chronicle.is_over());
    tell(&mut chronicle, &whole()[3..]);
    assert!(chronicle.is_over());
    assert_eq!(end(chronicle, &[]), End::Spoken);
}

#[test]
fn every_contradiction_breaks_the_run() {
    let stranger = Name(9);
    let table: &[(&str, Effect, &str)] = &[
        (
            "another roster",
            rolled(&[NAMES[1], NAMES[0], NAMES[2]]),
            "hero 2 has another roster",
        ),
        (
            "another speaker",
            spoken(0, 'a', NAMES[1]),
            "hero 2 heard another say letter 1",
        ),
        (
            "another letter",
            spoken(0, 'b', NAMES[0]),
            "hero 2 heard 'b' at position 1",
        ),
        (
            "out of order",
            spoken(1, 'b', NAMES[1]),
            "hero 2 heard 'b' at position 2",
        ),
        (
            "a letter too many",
            spoken(3, 'd', NAMES[0]),
            "hero 2 heard 'd' at position 4",
        ),
    ];
    for (what, effect, expected) in table {
        let mut chronicle = chronicle("");
        whole()
            .iter()
            .for_each(|effect| chronicle.learned(0, effect, Duration::ZERO));
        chronicle.learned(1, effect, Duration::ZERO);
        assert!(chronicle.is_over(), "{what}");
        let End::Broken(text) = end(chronicle, &[]) else {
            panic!("{what}")
        };
        assert!(text.contains(expected), "{what}: {text}");
    }
    let mut chronicle = chronicle("");
    chronicle.learned(0, &rolled(&[stranger]), Duration::ZERO);
    assert!(
        matches!(end(chronicle, &[]), End::Broken(text) if text.contains("nobody drew the name"))
    );
}

#[test]
fn what_a_dead_hero_heard_counts() {
    let mut chronicle = chronicle("kill 1 @ letter 2");
    tell(&mut chronicle, &whole()[..1]);
    chronicle.learned(0, &spoken(0, 'a', NAMES[0]), Duration::ZERO);
    assert_eq!(chronicle.take_due(Duration::ZERO), [Deed::End(0)]);
    chronicle.learned(1, &spoken(0, 'a', NAMES[1]), Duration::ZERO);
    assert!(matches!(end(chronicle, &[]), End::Broken(_)));
}

#[test]
fn the_living_need_not_wait_for_the_dead() {
    let mut chronicle = chronicle("kill 2 @ letter 3");
    tell(&mut chronicle, &whole()[..3]);
    assert_eq!(chronicle.take_due(Duration::ZERO), [Deed::End(1)]);
    for hero in [0, 2] {
        chronicle.learned(hero, &whole()[3], Duration::ZERO);
    }
    assert!(chronicle.is_over());
    assert_eq!(end(chronicle, &[]), End::Spoken);
}

#[test]
fn kills_are_due_at_their_moment_and_once() {
    let mut chronicle = chronicle("kill 1; kill 2 @ letter 1; kill 3 @ 20ms; kill 1..3 @ letter 2");
    assert_eq!(chronicle.take_beginning(Duration::ZERO), [Deed::End(0)]);
    assert_eq!(chronicle.next_deed(), Some(Duration::from_millis(20)));
    assert!(chronicle.take_due(Duration::from_millis(19)).is_empty());
    tell(&mut chronicle, &whole()[..1]);
    assert_eq!(
        chronicle.take_due(Duration::from_millis(19)),
        [Deed::End(1)]
    );
    assert_eq!(
        chronicle.take_due(Duration::from_millis(20)),
        [Deed::End(2)]
    );
    tell(&mut chronicle, &whole()[1..2]);
    assert!(
        chronicle.take_due(Duration::from_millis(20)).is_empty(),
        "all are dead"
    );
    assert_eq!(chronicle.next_deed(), None);
}

#[test]
fn the_reason_of_being_stuck_is_what_the_heroes_miss() {
    let quorum = |heard| Waiting::Quorum {
        heard,
        peers: 3,
        needed: 2,
    };
    let table: &[(&[Waiting], &str)] = &[
        (
            &[quorum(1), quorum(1), quorum(1)],
            "1 of 3 hear each other, 2 needed",
        ),
        (&[Waiting::Roll], "1 of 3 hear each other, 2 needed"),
        (&[], "0 of 3 hear each other, 2 needed"),
        (
            &[Waiting::Roll, quorum(1), Waiting::Roll],
            "3 of 3 live, and nothing was said for 3s: the roll is being settled",
        ),
    ];
    for (waiting, expected) in table {
        assert_eq!(
            end(chronicle(""), waiting),
            End::Stuck((*expected).to_owned()),
            "{waiting:?}"
        );
    }
}

#[test]
fn decrees_are_counted_by_whoever_decided_them_first() {
    let mut chronicle = chronicle("");
    let concluded = |slot, how| Effect::Concluded { slot, how };
    chronicle.learned(
        0,
        &concluded(0, Conclusion::Slow { round: 2 }),
        Duration::ZERO,
    );
    chronicle.learned(1, &concluded(0, Conclusion::Told), Duration::ZERO);
    chronicle.learned(2, &concluded(1, Conclusion::Told), Duration::ZERO);
    chronicle.learned(1, &concluded(1, Conclusion::Fast), Duration::ZERO);
    chronicle.learned(
        0,
        &concluded(1, Conclusion::Slow { round: 1 }),
        Duration::ZERO,
    );
    let limit = Duration::from_secs(3);
    let course = chronicle.close(&[], limit, MessageCounts::default(), Duration::ZERO, "none");
    assert_eq!(course.decrees, DecreeCounts { fast: 1, slow: 1 });
    assert_eq!(course.rounds, 3);
}
