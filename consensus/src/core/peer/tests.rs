use super::*;
use crate::core::{Answer, Candidate, Rank, Register, Step, Waiting};

const ROUND_TRIP: Micros = 2_000;

fn config(peers: usize) -> Config {
    Config {
        round_trip: ROUND_TRIP,
        ..Config::new(peers, "word").unwrap()
    }
}

fn peer(peers: usize) -> Peer {
    Peer::new(config(peers), Random::new(1, peers - 1))
}

/// Steps a peer whose disk is always done at once, and flattens what it wants.
fn step(peer: &mut Peer, now: Micros, event: Event) -> Vec<Effect> {
    let mut done = Vec::new();
    for effect in peer.step(now, event) {
        if let Effect::Persist { batch, then, .. } = effect {
            done.extend(then);
            done.extend(step(peer, now, Event::Persisted { batch }));
        } else {
            done.push(effect);
        }
    }
    done
}

fn hear(peer: &mut Peer, now: Micros, port: usize, message: Message) -> Vec<Effect> {
    step(
        peer,
        now,
        Event::Received {
            port: Port(port),
            message,
        },
    )
}

fn other(ticket: u128) -> Claim {
    Claim {
        ticket: Ticket(ticket),
        name: Name(ticket),
        redraws: 0,
    }
}

fn sent(effects: &[Effect]) -> Vec<(Port, &Message)> {
    let send = |effect| match effect {
        &Effect::Send { port, ref message } => Some((port, message)),
        _ => None,
    };
    effects.iter().filter_map(send).collect()
}

/// A peer of three that knows the roll. `first`: its own name comes first in it, else last.
fn rolled(mut peer: Peer, first: bool) -> (Peer, Vec<Effect>) {
    step(&mut peer, 0, Event::Start);
    let mut own = peer.claim().unwrap();
    own.ticket = Ticket(if first { 0 } else { u128::MAX });
    let value = Value::Roll(choir::roll([own, other(1), other(2)].iter()));
    let effects = hear(&mut peer, 10, 0, Message::Decided { slot: 0, value });
    (peer, effects)
}

fn record(slot: Slot, step: Step) -> Message {
    let candidate = Candidate {
        rank: Rank(7),
        value: Value::Say { by: Name(1) },
    };
    Message::Record {
        slot,
        attempt: 3,
        step,
        candidate,
    }
}

#[test]
fn a_claim_is_heard_by_others_and_by_oneself_only_when_it_is_durable() {
    let mut peer = peer(3);
    let effects = peer.step(0, Event::Start);
    let claim = peer.claim().unwrap();
    let Some(Effect::Persist {
        batch: 1,
        records,
        then,
    }) = effects.last()
    else {
        panic!("{effects:?}")
    };
    assert_eq!(records, &[LogRecord::Claimed(claim)]);
    assert_eq!(then, &[Effect::Broadcast(Message::Claim(claim))]);
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Broadcast(_)))
    );
    assert!(peer.claims.is_empty());
    peer.step(1, Event::Persisted { batch: 1 });
    assert_eq!(peer.claims[&Port(2)], claim);
}

#[test]
fn whoever_hears_his_own_name_from_another_port_draws_again_and_says_so() {
    let mut peer = peer(3);
    step(&mut peer, 0, Event::Start);
    let first = peer.claim().unwrap();
    let double = Claim {
        ticket: Ticket(5),
        ..first
    };
    let effects = hear(&mut peer, 1, 0, Message::Claim(double));
    let second = peer.claim().unwrap();
    assert_ne!(second.name, first.name);
    assert_eq!(second.redraws, 1);
    assert!(effects.contains(&Effect::Broadcast(Message::Claim(second))));
    assert_eq!(peer.counters().redraws, 1);
}

#[test]
fn a_redrawn_claim_replaces_the_first_one_in_whatever_order_they_come() {
    let mut peer = peer(3);
    step(&mut peer, 0, Event::Start);
    let again = Claim {
        redraws: 1,
        ..other(6)
    };
    hear(&mut peer, 1, 0, Message::Claim(again));
    hear(&mut peer, 2, 0, Message::Claim(other(5)));
    assert_eq!(peer.claims[&Port(0)], again);
}

#[test]
fn claims_are_repeated_until_the_roll_is_decided() {
    let mut peer = peer(3);
    step(&mut peer, 0, Event::Start);
    let mut repeats = 0;
    while peer.deadline().unwrap() < 200_000 {
        let now = peer.deadline().unwrap();
        let effects = step(&mut peer, now, Event::Timer);
        repeats += effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Broadcast(Message::Claim(_))))
            .count();
    }
    assert!((1..5).contains(&repeats), "{repeats} repeats");
    let value = Value::Roll(choir::roll([other(1), other(2)].iter()));
    hear(&mut peer, 200_000, 0, Message::Decided { slot: 0, value });
    for _ in 0..50 {
        let now = peer.deadline().unwrap();
        let effects = step(&mut peer, now, Event::Timer);
        assert!(
            !effects
                .iter()
                .any(|effect| matches!(effect, Effect::Broadcast(Message::Claim(_))))
        );
    }
}

#[test]
fn with_all_claims_the_roll_is_driven_after_a_hedge_and_with_a_majority_after_patience() {
    let mut all = peer(3);
    step(&mut all, 0, Event::Start);
    hear(&mut all, 1, 0, Message::Claim(other(1)));
    assert!(all.turn.is_none());
    hear(&mut all, 2, 1, Message::Claim(other(2)));
    assert!((2..2 + 3 * ROUND_TRIP).contains(&all.turn.as_ref().unwrap().at));

    let mut some = peer(3);
    step(&mut some, 0, Event::Start);
    hear(&mut some, 1, 0, Message::Claim(other(1)));
    let patience = some.config.roll_patience;
    while some.drive.is_none() {
        assert!(some.turn.is_none() || some.turn.as_ref().unwrap().at >= patience);
        let now = some.deadline().unwrap();
        step(&mut some, now, Event::Timer);
    }
    let Value::Roll(claims) = some.drive.unwrap().driver.candidate(Port(0)).value else {
        panic!()
    };
    assert_eq!(claims.len(), 2);
}

#[test]
fn a_minority_of_claims_never_becomes_a_roll() {
    let mut peer = peer(5);
    step(&mut peer, 0, Event::Start);
    hear(&mut peer, 1, 0, Message::Claim(other(1)));
    for _ in 0..100 {
        let now = peer.deadline().unwrap();
        step(&mut peer, now, Event::Timer);
    }
    assert!(peer.drive.is_none() && peer.turn.is_none());
}

#[test]
fn the_owner_of_a_letter_drives_at_once_with_the_top_rank_unless_strict() {
    for strict in [false, true] {
        let strictly = Config {
            strict,
            ..config(3)
        };
        let (_, effects) = rolled(Peer::new(strictly, Random::new(1, 2)), true);
        let records = sent(&effects);
        assert_eq!(
            records.iter().map(|(port, _)| *port).collect::<Vec<_>>(),
            [Port(0), Port(1)]
        );
        for (_, message) in records {
            let Message::Record {
                slot: 1,
                step: 4,
                candidate,
                ..
            } = message
            else {
                panic!("{message:?}")
            };
            assert_eq!(candidate.rank == Rank::TOP, !strict);
        }
    }
}

#[test]
fn a_neighbour_waits_patience_times_distance_and_then_proposes_himself() {
    let (mut peer, effects) = rolled(peer(3), false);
    assert!(sent(&effects).is_empty());
    let at = peer.turn.as_ref().unwrap().at;
    let patience = peer.config.patience;
    assert!((10 + 2 * patience..10 + 3 * patience).contains(&at), "{at}");
    let effects = step(&mut peer, at, Event::Timer);
    let own = peer.claim().unwrap().name;
    let is_own = |message: &Message| match message {
        Message::Record { candidate, .. } => {
            candidate.value == Value::Say { by: own } && candidate.rank < Rank::TOP
        }
        _ => false,
    };
    assert!(
        sent(&effects)
            .iter()
            .filter(|(_, message)| is_own(message))
            .count()
            == 2
    );
}

#[test]
fn ones_own_vote_counts_no_sooner_than_it_is_durable() {
    let mut peer = Peer::new(Config::new(1, "a").unwrap(), Random::new(1, 0));
    step(&mut peer, 0, Event::Start);
    let at = peer.turn.as_ref().map_or(0, |turn| turn.at);
    let mut effects = peer.step(at, Event::Timer);
    let mut batches = 0;
    while !peer.is_finished() {
        let Some(Effect::Persist { batch, .. }) = effects.pop() else {
            panic!("nothing to wait for")
        };
        peer.step(at, Event::Persisted { batch: batch - 1 });
        assert_eq!(peer.next_slot(), if batches < 3 { 0 } else { 1 });
        effects = peer.step(at, Event::Persisted { batch });
        batches += 1;
    }
    assert_eq!(
        batches, 4,
        "three steps for the roll, one round trip for the letter"
    );
}

#[test]
fn an_answer_waits_for_its_register_also_when_the_register_does_not_change() {
    let (mut peer, _) = rolled(peer(3), false);
    for has_records in [true, false] {
        let effects = peer.step(
            20,
            Event::Received {
                port: Port(1),
                message: record(1, 4),
            },
        );
        let Some(Effect::Persist { records, then, .. }) = effects.last() else {
            panic!("{effects:?}")
        };
        assert_eq!(!records.is_empty(), has_records);
        assert!(matches!(
            then[..],
            [Effect::Send {
                port: Port(1),
                message: Message::Recorded { asked: 4, .. }
            }]
        ));
        assert!(sent(&effects).is_empty());
    }
}

#[test]
fn a_question_about_a_decided_slot_is_answered_with_the_decision() {
    let (mut peer, _) = rolled(peer(3), false);
    let decided = Message::Decided {
        slot: 1,
        value: Value::Say { by: Name(2) },
    };
    hear(&mut peer, 20, 0, decided.clone());
    let effects = hear(&mut peer, 30, 1, record(1, 9));
    assert_eq!(sent(&effects), [(Port(1), &decided)]);
}

#[test]
fn a_claim_after_the_roll_is_answered_with_the_roll_and_goes_to_the_bench() {
    let (mut peer, _) = rolled(peer(3), false);
    let effects = hear(&mut peer, 30, 1, Message::Claim(other(77)));
    assert!(matches!(
        sent(&effects)[..],
        [(Port(1), Message::Decided { slot: 0, .. })]
    ));
    assert_eq!(peer.bench(), [Name(77)]);
}

#[test]
fn whoever_told_of_a_later_slot_is_asked_for_the_earlier_ones() {
    let (mut peer, _) = rolled(peer(3), false);
    hear(
        &mut peer,
        20,
        1,
        Message::Decided {
            slot: 3,
            value: Value::Say { by: Name(1) },
        },
    );
    let mut fetches = Vec::new();
    while fetches.is_empty() {
        let now = peer.deadline().unwrap();
        assert!(now <= 20 + ROUND_TRIP);
        fetches = step(&mut peer, now, Event::Timer);
        fetches.retain(|effect| matches!(effect, Effect::Send { .. }));
    }
    assert_eq!(sent(&fetches), [(Port(1), &Message::Fetch { slot: 1 })]);
}

#[test]
fn a_fetch_is_answered_with_a_bounded_number_of_decisions() {
    let config = Config::new(3, &"x".repeat(100)).unwrap();
    let (mut peer, _) = rolled(Peer::new(config, Random::new(1, 2)), false);
    for slot in 1..=50 {
        hear(
            &mut peer,
            20,
            0,
            Message::Decided {
                slot,
                value: Value::Say { by: Name(1) },
            },
        );
    }
    let effects = hear(&mut peer, 30, 1, Message::Fetch { slot: 5 });
    let slots: Vec<Slot> = sent(&effects)
        .iter()
        .map(|(_, message)| match message {
            Message::Decided { slot, .. } => *slot,
            _ => panic!("{message:?}"),
        })
        .collect();
    assert_eq!(slots, (5..21).collect::<Vec<Slot>>());
}

#[test]
fn letters_are_spoken_in_order_whatever_order_the_decisions_come_in() {
    let (mut peer, _) = rolled(peer(3), false);
    let say = |slot| Message::Decided {
        slot,
        value: Value::Say { by: Name(1) },
    };
    assert!(
        !hear(&mut peer, 20, 0, say(2))
            .iter()
            .any(|effect| matches!(effect, Effect::Spoken(_)))
    );
    let effects = hear(&mut peer, 30, 0, say(1));
    let spoken = effects.iter().filter_map(|effect| match effect {
        Effect::Spoken(utterance) => Some(utterance.letter),
        _ => None,
    });
    assert!(spoken.eq("wo".chars()));
}

#[test]
fn an_answer_to_another_attempt_does_not_count() {
    let (mut peer, effects) = rolled(peer(3), true);
    let [
        (
            _,
            Message::Record {
                slot,
                attempt,
                step: asked,
                candidate,
            },
        ),
        _,
    ] = sent(&effects)[..]
    else {
        panic!()
    };
    let answer = Answer {
        step: 4,
        first: candidate.clone(),
        prev: None,
    };
    let late = Message::Recorded {
        slot: *slot,
        attempt: attempt ^ 1,
        asked: *asked,
        answer: answer.clone(),
    };
    hear(&mut peer, 20, 0, late);
    assert_eq!(peer.next_slot(), 1);
    hear(
        &mut peer,
        20,
        0,
        Message::Recorded {
            slot: *slot,
            attempt: *attempt,
            asked: *asked,
            answer,
        },
    );
    assert_eq!(
        peer.next_slot(),
        2,
        "with its own vote that makes two of three"
    );
}

#[test]
fn a_resend_goes_to_those_who_did_not_answer_and_later_to_all() {
    let config = Config::new(5, "word").unwrap();
    let mut peer = Peer::new(config, Random::new(1, 4));
    step(&mut peer, 0, Event::Start);
    let own = Claim {
        ticket: Ticket(0),
        ..peer.claim().unwrap()
    };
    let value = Value::Roll(choir::roll([own, other(1), other(2)].iter()));
    let effects = hear(&mut peer, 10, 0, Message::Decided { slot: 0, value });
    let (
        _,
        Message::Record {
            slot,
            attempt,
            step: asked,
            candidate,
        },
    ) = sent(&effects)[0]
    else {
        panic!()
    };
    let answer = Answer {
        step: 4,
        first: candidate.clone(),
        prev: None,
    };
    hear(
        &mut peer,
        20,
        2,
        Message::Recorded {
            slot: *slot,
            attempt: *attempt,
            asked: *asked,
            answer,
        },
    );
    let mut resends = Vec::new();
    while resends.len() < 3 {
        let now = peer.deadline().unwrap();
        let effects = step(&mut peer, now, Event::Timer);
        let records = sent(&effects)
            .into_iter()
            .filter(|(_, message)| matches!(message, Message::Record { .. }));
        let ports: Vec<usize> = records.map(|(port, _)| port.0).collect();
        if !ports.is_empty() {
            resends.push(ports);
        }
    }
    assert_eq!(resends, [vec![0, 1, 3], vec![0, 1, 3], vec![0, 1, 2, 3]]);
}

#[test]
fn what_no_peer_would_send_is_ignored() {
    let (mut peer, _) = rolled(peer(3), false);
    let nonsense = [
        (2, record(1, 4)),
        (usize::MAX, Message::Fetch { slot: 0 }),
        (0, record(0, 4)),
        (0, record(1, 3)),
        (0, record(5, 4)),
        (
            0,
            Message::Decided {
                slot: 5,
                value: Value::Say { by: Name(1) },
            },
        ),
        (
            0,
            Message::Decided {
                slot: 1,
                value: Value::Roll(Arc::new([other(1)])),
            },
        ),
        (0, Message::Fetch { slot: Slot::MAX }),
    ];
    for (port, message) in nonsense {
        let effects = peer.step(
            20,
            Event::Received {
                port: Port(port),
                message,
            },
        );
        assert_eq!(effects, [], "it has nothing to say to this");
    }
}

#[test]
fn a_restarted_peer_has_the_name_the_registers_and_the_transcript_of_its_log() {
    let own = other(9);
    let first = Candidate {
        rank: Rank(3),
        value: Value::Say { by: Name(1) },
    };
    let records = [
        LogRecord::Claimed(other(8)),
        LogRecord::Claimed(own),
        LogRecord::Decided {
            slot: 0,
            value: Value::Roll(choir::roll([own, other(1)].iter())),
        },
        LogRecord::Decided {
            slot: 1,
            value: Value::Say { by: own.name },
        },
        LogRecord::Registered {
            slot: 2,
            register: Register::new(6, first.clone()),
        },
        LogRecord::Registered {
            slot: 2,
            register: Register::new(9, first.clone()),
        },
    ];
    let mut peer = Peer::restart(config(3), Random::new(2, 2), records);
    assert_eq!(peer.claim(), Some(own));
    assert_eq!(peer.roster(), [Name(1), own.name]);
    assert_eq!(
        (
            peer.next_slot(),
            peer.transcript().len(),
            peer.transcript()[0].own
        ),
        (2, 1, true)
    );
    let effects = step(&mut peer, 0, Event::Start);
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Spoken(_) | Effect::Rolled { .. }))
    );
    let effects = hear(&mut peer, 1, 0, record(2, 4));
    let answers = sent(&effects);
    let [(_, Message::Recorded { answer, .. })] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(
        *answer,
        Answer {
            step: 9,
            first,
            prev: None
        }
    );
}

#[test]
fn a_restart_ignores_what_the_log_says_of_slots_that_do_not_exist() {
    let say = |slot| LogRecord::Decided {
        slot,
        value: Value::Say { by: Name(1) },
    };
    let value = Value::Roll(choir::roll([other(1), other(2)].iter()));
    let roll = LogRecord::Decided { slot: 0, value };
    let records = [say(0), roll].into_iter().chain((1..9).map(say));
    let peer = Peer::restart(config(3), Random::new(2, 2), records);
    assert!(peer.is_finished());
    assert_eq!(peer.transcript().len(), "word".len());
}

#[test]
fn a_mute_peer_learns_and_asks_but_neither_claims_nor_answers() {
    let (mut peer, effects) = {
        let mut peer = Peer::mute(config(3), Random::new(1, 2));
        let effects = step(&mut peer, 0, Event::Start);
        (peer, effects)
    };
    assert!(matches!(effects[..], [Effect::Timer { .. }]), "{effects:?}");
    assert_eq!(peer.waiting(0), Waiting::Mute);
    let value = Value::Roll(Arc::new([other(1), other(2)]));
    hear(&mut peer, 1, 0, Message::Decided { slot: 0, value });
    let spoken = hear(
        &mut peer,
        2,
        0,
        Message::Decided {
            slot: 1,
            value: Value::Say { by: Name(1) },
        },
    );
    assert!(
        spoken
            .iter()
            .any(|effect| matches!(effect, Effect::Spoken(utterance) if !utterance.own))
    );
    for message in [
        record(1, 4),
        record(2, 4),
        Message::Fetch { slot: 0 },
        Message::Claim(other(3)),
    ] {
        assert!(sent(&hear(&mut peer, 3, 1, message)).is_empty());
    }
    for _ in 0..20 {
        let now = peer.deadline().unwrap();
        let effects = step(&mut peer, now, Event::Timer);
        assert!(
            sent(&effects)
                .iter()
                .all(|(_, message)| matches!(message, Message::Fetch { slot: 2 }))
        );
    }
}

#[test]
fn a_peer_says_why_it_waits() {
    let mut peer = peer(3);
    step(&mut peer, 0, Event::Start);
    assert_eq!(
        peer.waiting(0).to_string(),
        "1 of 3 hear each other, 2 needed"
    );
    hear(&mut peer, 1, 0, Message::Claim(other(1)));
    assert_eq!(peer.waiting(1).to_string(), "2 of 3 have told their names");
    hear(&mut peer, 1, 1, Message::Claim(other(2)));
    assert_eq!(peer.waiting(1).to_string(), "the roll is being settled");
    let value = Value::Roll(Arc::new([other(1), other(2)]));
    hear(&mut peer, 2, 0, Message::Decided { slot: 0, value });
    assert_eq!(
        peer.waiting(2).to_string(),
        "letter 1 of 00000000 is left to its owner"
    );
    assert_eq!(
        peer.waiting(3 + peer.config.silence).to_string(),
        "1 of 3 hear each other, 2 needed"
    );
    for slot in 1..=4 {
        hear(
            &mut peer,
            4,
            0,
            Message::Decided {
                slot,
                value: Value::Say { by: Name(1) },
            },
        );
    }
    assert_eq!(peer.waiting(4).to_string(), "all is said");
    assert_eq!(peer.deadline(), None, "and there is nothing to wait for");
}
