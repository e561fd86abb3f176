//! What `--fault` asks for happens: in a simulated world, where an oracle looks on, and on the kernel.

mod common;

use common::{Run, run};
use serde_json::Value;

krug_tests::on_every_kernel_driver!();

const ALPHABET: &str = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ";

const RESTART: &str = "kill 7 @ letter 5; restart 7 @ letter 9; restart 1..3 @ letter 20";
const RETURN: &str = "kill 7 @ letter 5; restart 7 @ 800ms";
const SPLIT: &str = "split 16|17 @ letter 8; heal @ 800ms";
const NO_MAJORITY: &str = "split 11|11|11 @ letter 8; heal @ 800ms";
const STALL: &str = "stall 1..3 @ letter 4 for 300ms; stall 9 for 100ms";

/// A run in a simulated world, and its trace. The oracle has looked on: it ends the run with a panic.
fn simulated(fault: &str, more: &[&str]) -> (Value, String) {
    let arguments = [
        &["--driver", "sim", "--seed", "7", "--json", "--fault", fault],
        more,
    ]
    .concat();
    let json = run(&arguments).expect_spoken(ALPHABET);
    let trace = json["trace_hash"].as_str().unwrap().to_owned();
    (json, trace)
}

fn elapsed(json: &Value) -> f64 {
    json["elapsed_ms"].as_f64().unwrap()
}

const DURABLE: [&str; 2] = ["--durable", "sync"];

#[test]
fn in_a_simulated_world_each_fault_happens_and_the_seed_fixes_how() {
    for (fault, more, at_least) in [
        (RESTART, &DURABLE[..], 0.0),
        (RETURN, &DURABLE, 800.0),
        (SPLIT, &[], 800.0),
        (NO_MAJORITY, &[], 800.0),
        (STALL, &[], 300.0),
    ] {
        for transport in ["tcp", "udp"] {
            let more = [more, &["--transport", transport]].concat();
            let first = simulated(fault, &more);
            assert!(elapsed(&first.0) >= at_least, "{fault}: {}", first.0);
            assert_eq!(simulated(fault, &more), first, "{fault} over {transport}");
        }
    }
}

/// They change, as the traces of `tests/program.rs` do, with whatever the executor, the simulation or the heroes do differently: then say
/// here what the new program says.
#[test]
fn in_a_simulated_world_seed_7_leaves_the_traces_that_it_always_has() {
    for (fault, more, trace) in [
        (RESTART, &DURABLE[..], "6454b4da1d1dda95"),
        (SPLIT, &[], "5b4b44b10871fc05"),
        (STALL, &[], "b226360bfe391faf"),
    ] {
        assert_eq!(simulated(fault, more).1, trace, "{fault}");
    }
}

#[test]
fn on_one_simulated_host_they_happen_too() {
    let unix = ["--transport", "unix"];
    simulated(RESTART, &[&unix[..], &DURABLE].concat());
    for transport in ["unix", "pipe"] {
        for (fault, at_least) in [(SPLIT, 800.0), (STALL, 300.0)] {
            let (json, _) = simulated(fault, &["--transport", transport]);
            assert!(elapsed(&json) >= at_least, "{fault}: {json}");
        }
    }
}

#[test]
fn in_memory_the_circle_is_split_and_heroes_stall() {
    for (fault, at_least) in [(SPLIT, 800.0), (NO_MAJORITY, 800.0), (STALL, 100.0)] {
        let arguments = [
            "--transport",
            "memory",
            "--seed",
            "7",
            "--json",
            "--fault",
            fault,
        ];
        let first = run(&arguments);
        let json = first.expect_spoken(ALPHABET);
        assert!(elapsed(&json) >= at_least, "{fault}: {first}");
        assert_eq!(run(&arguments).stdout, first.stdout);
    }
}

fn on_kernel(fault: &str, more: &[&str]) -> Run {
    let arguments = [
        &["--peers", "9", "--limit", "30s", "--json", "--fault", fault],
        more,
    ]
    .concat();
    run(&arguments)
}

#[test]
fn on_the_kernel_who_ends_comes_back_with_his_log_over_every_transport_that_lets_him() {
    for transport in ["unix", "tcp", "udp"] {
        for cores in ["1", "2"] {
            let more = [
                "--transport",
                transport,
                "--cores",
                cores,
                "--durable",
                "sync",
            ];
            for fault in [
                "kill 7 @ letter 5; restart 7 @ letter 9; restart 1..3 @ letter 20",
                "kill 7 @ letter 5; restart 7 @ 500ms",
            ] {
                on_kernel(fault, &more).expect_spoken(ALPHABET);
            }
        }
    }
}

#[test]
fn on_the_kernel_the_circle_is_split_and_heals_over_every_transport() {
    for transport in ["unix", "tcp", "udp", "pipe"] {
        for cores in ["1", "2"] {
            let more = ["--transport", transport, "--cores", cores];
            let run = on_kernel("split 3|3|3 @ letter 8; heal @ 1s", &more);
            let json = run.expect_spoken(ALPHABET);
            assert!(elapsed(&json) >= 1_000.0, "{run}");
            let run = on_kernel("stall 1..5 @ letter 8 for 500ms", &more);
            let json = run.expect_spoken(ALPHABET);
            assert!(elapsed(&json) >= 500.0, "{run}");
        }
    }
}

#[test]
fn a_split_that_nobody_heals_leaves_a_minority_that_says_why_it_waits() {
    for world in [["--driver", "sim"], ["--transport", "memory"]] {
        let fault = ["--fault", "split 16|17 @ letter 8"];
        let run = run(&[&world[..], &fault].concat());
        assert_eq!(run.status, 3, "{run}");
        assert_eq!(
            run.stderr, "consensus: stuck: 16 of 33 hear each other, 17 needed\n",
            "{run}"
        );
    }
}

#[test]
fn the_lines_say_what_happens() {
    let fault = "stall 9 @ letter 2 for 50ms; kill 7 @ letter 5; split 16|17 @ letter 6; heal @ 400ms; restart 7 @ 500ms";
    let arguments = [
        "--driver",
        "sim",
        "--seed",
        "7",
        "--durable",
        "sync",
        "--fault",
        fault,
    ];
    let run = run(&arguments);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run}");
    for part in [
        "hero 9 does nothing for 50ms",
        "hero 9 goes on",
        "hero 7 is gone",
        "the circle is split: 16|17 do not hear each other",
        "all hear each other again",
        "hero 7 begins another life",
        "hero 7 is back, and knows",
        fault,
    ] {
        assert!(run.stdout.contains(part), "{part} in {run}");
    }
}

#[test]
fn what_cannot_be_had_is_refused_with_the_reason() {
    let restart = ["--fault", "restart 7 @ 1s"];
    let table: [(&[&str], &str); 5] = [
        (&[], "has forgotten what he promised; add --durable sync"),
        (&["--driver", "sim"], "add --durable sync"),
        (&["--transport", "memory"], "nobody has a disk in memory"),
        (
            &["--transport", "pipe", "--durable", "sync"],
            "takes his pipes along",
        ),
        (&["--protocol", "lottery"], "knows `kill` and `loss` only"),
    ];
    for (more, expected) in table {
        let run = run(&[&restart[..], more].concat());
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run}");
        assert_eq!(run.stderr.lines().count(), 1, "{run}");
        assert!(run.stderr.contains(expected), "{expected} in {run}");
    }
}
