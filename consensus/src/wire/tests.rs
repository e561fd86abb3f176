//! Golden bytes, and everything that can happen to them.

use std::sync::Arc;

use super::*;
use crate::core::{Answer, Candidate, Claim, Name, Rank, Ticket, Value};
use crate::program::draws::Draws;

fn framed(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes);
    bytes
}

/// A frame around any body, its checksum right.
fn sealed(version: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let length = ((body.len() + 2) as u32).to_le_bytes();
    let covered = [&[version, kind], body].concat();
    let checksum = crc32c(&[&length, &covered]).to_le_bytes();
    [&length[..], &checksum, &covered].concat()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn claim(number: u128) -> Claim {
    Claim {
        ticket: Ticket(number),
        name: Name(number << 64),
        redraws: number as u32,
    }
}

fn drawn_claim(draws: &mut Draws) -> Claim {
    let wide = |draws: &mut Draws| u128::from(draws.draw()) << 64 | u128::from(draws.draw());
    Claim {
        ticket: Ticket(wide(draws)),
        name: Name(wide(draws)),
        redraws: draws.draw() as u32,
    }
}

fn drawn_value(draws: &mut Draws) -> Value {
    if draws.below(2) == 0 {
        return Value::Say {
            by: drawn_claim(draws).name,
        };
    }
    let claims: Arc<[Claim]> = (0..draws.below(40)).map(|_| drawn_claim(draws)).collect();
    Value::Roll(claims)
}

fn drawn_candidate(draws: &mut Draws) -> Candidate<Value> {
    Candidate {
        rank: Rank(draws.draw()),
        value: drawn_value(draws),
    }
}

fn drawn_message(draws: &mut Draws) -> Message {
    let (slot, attempt, step) = (draws.draw(), draws.draw(), draws.draw() as u32);
    match draws.below(5) {
        0 => Message::Claim(drawn_claim(draws)),
        1 => Message::Decided {
            slot,
            value: drawn_value(draws),
        },
        2 => Message::Record {
            slot,
            attempt,
            step,
            candidate: drawn_candidate(draws),
        },
        3 => {
            let first = drawn_candidate(draws);
            let prev = (draws.below(2) == 0).then(|| drawn_candidate(draws));
            let answer = Answer {
                step: draws.draw() as u32,
                first,
                prev,
            };
            Message::Recorded {
                slot,
                attempt,
                asked: step,
                answer,
            }
        }
        _ => Message::Fetch { slot },
    }
}

#[test]
fn the_bytes_of_every_kind_are_golden() {
    let say = Candidate {
        rank: Rank::TOP,
        value: Value::Say { by: Name(0xab) },
    };
    let roll = Value::Roll(Arc::new([claim(1), claim(2)]));
    let table = [
        (Message::Claim(claim(3)), GOLDEN_CLAIM),
        (
            Message::Decided {
                slot: 0,
                value: roll,
            },
            GOLDEN_DECIDED,
        ),
        (
            Message::Record {
                slot: 7,
                attempt: 0x0102,
                step: 4,
                candidate: say.clone(),
            },
            GOLDEN_RECORD,
        ),
        (
            Message::Recorded {
                slot: 7,
                attempt: 0x0102,
                asked: 5,
                answer: Answer {
                    step: 6,
                    first: say.clone(),
                    prev: Some(say),
                },
            },
            GOLDEN_RECORDED,
        ),
        (
            Message::Fetch {
                slot: 0x0102_0304_0506_0708,
            },
            GOLDEN_FETCH,
        ),
    ];
    for (message, golden) in table {
        let golden: String = golden.split_whitespace().collect();
        assert_eq!(hexadecimal(&framed(&message)), golden, "{message:?}");
    }
}

// Length, checksum, version, kind, and then field by field. Computed by a program of its own.
const GOLDEN_CLAIM: &str = "26000000 d3e18881 01 01 03000000000000000000000000000000 \
    00000000000000000300000000000000 03000000";
const GOLDEN_DECIDED: &str = "57000000 a3969eb5 01 02 0000000000000000 00 02000000 01000000000000000000000000000000 \
    00000000000000000100000000000000 01000000 02000000000000000000000000000000 \
    00000000000000000200000000000000 02000000";
const GOLDEN_RECORD: &str = "2f000000 1711129c 01 03 0700000000000000 0201000000000000 04000000 ffffffffffffffff 01 \
    ab000000000000000000000000000000";
const GOLDEN_RECORDED: &str = "4d000000 48fcb418 01 04 0700000000000000 0201000000000000 05000000 06000000 \
    ffffffffffffffff 01 ab000000000000000000000000000000 01 ffffffffffffffff 01 \
    ab000000000000000000000000000000";
const GOLDEN_FETCH: &str = "0a000000 e705f13e 01 05 0807060504030201";

#[test]
fn every_message_comes_back_as_it_was() {
    let seed = 20_240_601;
    let mut draws = Draws::new(seed);
    for turn in 0..5_000 {
        let message = drawn_message(&mut draws);
        let bytes = framed(&message);
        assert_eq!(
            decode(&bytes),
            Ok(Some((message, bytes.len()))),
            "seed {seed}, turn {turn}"
        );
    }
}

#[test]
fn a_stream_in_any_pieces_gives_the_same_messages() {
    let seed = 7;
    let mut draws = Draws::new(seed);
    for turn in 0..200 {
        let messages: Vec<Message> = (0..20).map(|_| drawn_message(&mut draws)).collect();
        let mut bytes = Vec::new();
        messages
            .iter()
            .for_each(|message| encode(message, &mut bytes));

        let mut decoder = Decoder::new();
        let mut received = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let size = rest.len().min(1 + draws.below(3_000) as usize);
            decoder.push(&rest[..size]);
            rest = &rest[size..];
            while let Some(message) = decoder.next_message().unwrap() {
                received.push(message);
            }
        }
        assert_eq!(received, messages, "seed {seed}, turn {turn}");
        assert_eq!(decoder.pending(), 0);
    }
}

#[test]
fn a_frame_cut_at_any_byte_is_not_whole_and_not_wrong() {
    let mut draws = Draws::new(11);
    for _ in 0..40 {
        let bytes = framed(&drawn_message(&mut draws));
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Ok(None), "{end} of {}", bytes.len());
        }
    }
}

#[test]
fn a_body_cut_at_any_byte_is_too_short_even_with_its_checksum_right() {
    let mut draws = Draws::new(12);
    for _ in 0..40 {
        let message = drawn_message(&mut draws);
        let bytes = framed(&message);
        let (kind, body) = (bytes[9], &bytes[10..]);
        for end in 0..body.len() {
            let cut = sealed(VERSION, kind, &body[..end]);
            assert_eq!(
                decode(&cut),
                Err(WireError::BodyTooShort),
                "{message:?} at {end}"
            );
        }
        let longer = sealed(VERSION, kind, &[body, &[0, 0]].concat());
        assert_eq!(
            decode(&longer),
            Err(WireError::BodyTooLong(2)),
            "{message:?}"
        );
    }
}

#[test]
fn no_flipped_bit_goes_unseen() {
    let mut draws = Draws::new(13);
    for _ in 0..40 {
        let mut bytes = framed(&drawn_message(&mut draws));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let is_length = bit < 32;
            match decode(&bytes) {
                Err(WireError::Checksum { .. }) => {}
                // A greater length waits for bytes that the sender never meant.
                Err(WireError::Length(_)) | Ok(None) if is_length => {}
                other => panic!("bit {bit}: {other:?}"),
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn what_no_message_has_is_an_error_of_its_own() {
    let slot = 1_u64.to_le_bytes();
    let endless_roll = [&slot[..], &[0], &u32::MAX.to_le_bytes()].concat();
    let prev_of_2 = {
        let mut bytes = framed(&Message::Recorded {
            slot: 1,
            attempt: 1,
            asked: 4,
            answer: Answer {
                step: 4,
                first: Candidate {
                    rank: Rank(1),
                    value: Value::Say { by: Name(1) },
                },
                prev: None,
            },
        });
        *bytes.last_mut().unwrap() = 2;
        bytes.split_off(10)
    };
    let table = [
        (sealed(2, 5, &slot), WireError::Version(2)),
        (sealed(0, 5, &slot), WireError::Version(0)),
        (sealed(VERSION, 0, &slot), WireError::Kind(0)),
        (sealed(VERSION, 6, &slot), WireError::Kind(6)),
        (
            sealed(VERSION, 2, &[&slot[..], &[2]].concat()),
            WireError::Field("value"),
        ),
        (sealed(VERSION, 4, &prev_of_2), WireError::Field("prev")),
        (sealed(VERSION, 2, &endless_roll), WireError::BodyTooShort),
        (vec![0, 0, 0, 0], WireError::Length(0)),
        (vec![1, 0, 0, 0], WireError::Length(1)),
        (vec![0xff; 4], WireError::Length(u32::MAX)),
        (
            ((LENGTH_MAX + 1) as u32).to_le_bytes().into(),
            WireError::Length(LENGTH_MAX as u32 + 1),
        ),
    ];
    for (bytes, expected) in table {
        assert_eq!(decode(&bytes), Err(expected), "{}", hexadecimal(&bytes));
        assert!(!expected.to_string().is_empty());
    }
}

#[test]
fn noise_never_panics_and_never_becomes_a_message() {
    let seed = 14;
    let mut draws = Draws::new(seed);
    for turn in 0..20_000 {
        let noise: Vec<u8> = (0..draws.below(80)).map(|_| draws.draw() as u8).collect();
        assert!(
            !matches!(decode(&noise), Ok(Some(_))),
            "seed {seed}, turn {turn}"
        );
        // Behind a right checksum the body itself is noise.
        let kind = 1 + draws.below(5) as u8;
        if let Ok(Some((message, size))) = decode(&sealed(VERSION, kind, &noise)) {
            assert_eq!(framed(&message), sealed(VERSION, kind, &noise)[..size]);
        }
    }
}

#[test]
fn a_broken_stream_stays_broken() {
    let mut decoder = Decoder::new();
    decoder.push(&framed(&Message::Fetch { slot: 1 }));
    decoder.push(&[0xff; 9]);
    assert_eq!(decoder.next_message(), Ok(Some(Message::Fetch { slot: 1 })));
    assert_eq!(decoder.next_message(), Err(WireError::Length(u32::MAX)));
    decoder.push(&framed(&Message::Fetch { slot: 2 }));
    assert_eq!(decoder.next_message(), Err(WireError::Length(u32::MAX)));
    assert_eq!(decoder.pending(), 0);
}
