//! Every decoder of the workspace meets noise, valid input, and valid input that was damaged.
//!
//! A decoder is a row of [`TARGETS`]: it says what its valid input looks like, and what must hold whatever
//! it is given. The damage is drawn from a seed that is printed, so a failure can be repeated with `KRUG_SEED`; what failed is
//! printed, too. `KRUG_FUZZ=10000000` says how many inputs each decoder is given. (A fuzzer that is guided by
//! coverage needs instrumentation that stable compilers do not offer without a tool of its own.)

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use krug_consensus::core::{Answer, Candidate, Claim, Message, Name, Rank, Ticket, Value};
use krug_consensus::program::faults::FaultPlan;
use krug_consensus::program::word::Word;
use krug_consensus::wire;
use krug_tests::Random;

krug_tests::on_every_driver!();

struct Target {
    name: &'static str,
    valid: fn(&Random) -> Vec<u8>,
    /// Damaged input gets its checksums mended by this, half of the time, so that what lies behind them is reached.
    mend: fn(&mut [u8]),
    /// Panics if the decoder does what it must not. True if the input was taken.
    check: fn(&[u8], &Random) -> bool,
}

const TARGETS: &[Target] = &[
    Target {
        name: "the messages between heroes",
        valid: messages,
        mend: seal_frames,
        check: check_messages,
    },
    Target {
        name: "a plan of faults",
        valid: fault_plan,
        mend: |_| {},
        check: |input, _| {
            std::str::from_utf8(input).is_ok_and(|text| text.parse::<FaultPlan>().is_ok())
        },
    },
    Target {
        name: "the word to be spoken",
        valid: |random| {
            "слово"
                .chars()
                .take(random.below(6))
                .collect::<String>()
                .into_bytes()
        },
        mend: |_| {},
        check: |input, _| std::str::from_utf8(input).is_ok_and(|text| text.parse::<Word>().is_ok()),
    },
];

fn wide(random: &Random) -> u128 {
    u128::from(random.number()) << 64 | u128::from(random.number())
}

fn claim(random: &Random) -> Claim {
    Claim {
        ticket: Ticket(wide(random)),
        name: Name(wide(random)),
        redraws: random.number() as u32,
    }
}

fn value(random: &Random) -> Value {
    if random.below(2) == 0 {
        return Value::Say {
            by: Name(wide(random)),
        };
    }
    let claims: Arc<[Claim]> = (0..random.below(6)).map(|_| claim(random)).collect();
    Value::Roll(claims)
}

fn candidate(random: &Random) -> Candidate<Value> {
    Candidate {
        rank: Rank(random.number()),
        value: value(random),
    }
}

fn message(random: &Random) -> Message {
    let (slot, attempt) = (random.number(), random.number());
    match random.below(5) {
        0 => Message::Claim(claim(random)),
        1 => Message::Decided {
            slot,
            value: value(random),
        },
        2 => Message::Record {
            slot,
            attempt,
            step: random.number() as u32,
            candidate: candidate(random),
        },
        3 => Message::Recorded {
            slot,
            attempt,
            asked: random.number() as u32,
            answer: Answer {
                step: random.number() as u32,
                first: candidate(random),
                prev: (random.below(2) == 0).then(|| candidate(random)),
            },
        },
        _ => Message::Fetch { slot },
    }
}

fn messages(random: &Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + random.below(4) {
        wire::encode(&message(random), &mut bytes);
    }
    bytes
}

/// Walks from frame to frame as far as their lengths lead and makes each checksum right.
fn seal_frames(bytes: &mut [u8]) {
    let mut rest = bytes;
    while let Some((length_field, after)) = rest.split_first_chunk_mut::<4>() {
        let length = u32::from_le_bytes(*length_field) as usize;
        let Some((checksum, after)) = after.split_first_chunk_mut::<4>() else {
            return;
        };
        let Some((covered, next)) = after.split_at_mut_checked(length) else {
            return;
        };
        *checksum = wire::crc32c(&[length_field, covered]).to_le_bytes();
        rest = next;
    }
}

/// Decodes at once and in pieces: the same messages, then the same error; each message is exactly its bytes.
fn check_messages(input: &[u8], random: &Random) -> bool {
    let (mut at_once, mut rest) = (Vec::new(), input);
    let end = loop {
        match wire::decode(rest) {
            Ok(Some((message, size))) => {
                let mut again = Vec::new();
                wire::encode(&message, &mut again);
                assert_eq!(again, rest[..size], "a message has two forms");
                at_once.push(message);
                rest = &rest[size..];
            }
            Ok(None) => break Ok(rest.len()),
            Err(error) => break Err(error),
        }
    };
    let (mut decoder, mut in_pieces) = (wire::Decoder::new(), Vec::new());
    let mut pieces = input;
    let last = loop {
        match decoder.next_message() {
            Ok(Some(message)) => in_pieces.push(message),
            Ok(None) if pieces.is_empty() => break Ok(decoder.pending()),
            Ok(None) => {
                let (piece, after) = pieces.split_at(1 + random.below(pieces.len()));
                decoder.push(piece);
                pieces = after;
            }
            Err(error) => break Err(error),
        }
    };
    assert_eq!(at_once, in_pieces, "the pieces make a difference");
    assert_eq!(end, last, "the pieces make a difference to the end");
    end == Ok(0)
}

fn fault_plan(random: &Random) -> Vec<u8> {
    const NUMBERS: &[&str] = &["1", "7", "33", "0", "-1", "18446744073709551616", ""];
    const MOMENTS: &[&str] = &[
        "",
        " @ letter 5",
        " @ 20ms",
        " @ 3s",
        " @ 99999999999999999999s",
        " @ 1e400",
        " @",
    ];
    let clauses = (0..1 + random.below(3)).map(|_| {
        let number = || NUMBERS[random.below(NUMBERS.len())];
        let moment = MOMENTS[random.below(MOMENTS.len())];
        match random.below(3) {
            0 => format!("kill {}{moment}", number()),
            1 => format!("kill {}..{}{moment}", number(), number()),
            _ => format!("loss {}%", number()),
        }
    });
    clauses.collect::<Vec<_>>().join("; ").into_bytes()
}

/// Numbers at which lengths and counts go wrong.
const EDGES: &[u32] = &[
    0,
    1,
    2,
    7,
    8,
    0x7f,
    0xff,
    0xffff,
    1 << 20,
    (1 << 20) + 1,
    i32::MAX as u32,
    u32::MAX,
];

fn damage(bytes: &mut Vec<u8>, random: &Random) {
    if bytes.is_empty() {
        return bytes.push(random.number() as u8);
    }
    let place = random.below(bytes.len());
    match random.below(8) {
        0 => bytes[place] ^= 1 << random.below(8),
        1 => bytes[place] = random.number() as u8,
        2 => bytes.truncate(place),
        3 => drop(bytes.drain(place..(place + 1 + random.below(8)).min(bytes.len()))),
        4 => {
            let inserted = random.bytes(1 + random.below(8));
            drop(bytes.splice(place..place, inserted));
        }
        5 => bytes.extend_from_within(place..),
        6 => bytes.rotate_left(place),
        _ => {
            let edge = EDGES[random.below(EDGES.len())].to_le_bytes();
            for (byte, edge) in bytes[place..].iter_mut().zip(edge) {
                *byte = edge;
            }
        }
    }
}

fn input(target: &Target, random: &Random) -> Vec<u8> {
    if random.below(16) == 0 {
        return random.bytes(random.below(200));
    }
    let mut bytes = (target.valid)(random);
    if random.below(16) == 0 {
        return bytes;
    }
    for _ in 0..1 + random.below(4) {
        damage(&mut bytes, random);
    }
    if random.below(2) == 0 {
        (target.mend)(&mut bytes);
    }
    bytes
}

#[test]
fn no_decoder_fails_whatever_it_is_given() {
    let wanted = std::env::var("KRUG_FUZZ")
        .ok()
        .and_then(|wanted| wanted.parse().ok());
    let random = Random::new();
    for target in TARGETS {
        let mut taken = 0;
        for _ in 0..wanted.unwrap_or(20_000_u64) {
            let input = input(target, &random);
            match catch_unwind(AssertUnwindSafe(|| (target.check)(&input, &random))) {
                Ok(was_taken) => taken += u64::from(was_taken),
                Err(_) => panic!("{} failed at {input:?}", target.name),
            }
        }
        println!("{}: {taken} inputs were taken", target.name);
        assert!(taken > 0, "{}: what is valid was refused", target.name);
    }
}

#[test]
fn damage_that_was_sealed_is_seen_by_what_lies_behind_the_checksum() {
    let random = Random::of(1);
    let (mut checksums, mut others) = (0, 0);
    for _ in 0..2000 {
        match wire::decode(&input(&TARGETS[0], &random)) {
            Err(wire::WireError::Checksum { .. }) => checksums += 1,
            Err(_) => others += 1,
            Ok(_) => {}
        }
    }
    assert!(checksums > 100 && others > 100, "{checksums} and {others}");
}
