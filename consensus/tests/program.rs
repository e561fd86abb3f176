//! What a stranger meets: arguments, exit status, the card, JSON, replay.

mod common;

use common::{command, finish, run};
use serde_json::Value;

krug_tests::on_every_kernel_driver!();

const ALPHABET: &str = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ";

/// Arguments, and what the line must say about them.
const BAD_INPUT: &[(&[&str], &str)] = &[
    (&["--peers", "0"], "give 1 or more"),
    (&["--peers", "-1"], "give 1..1000"),
    (&["--peers", "2.5"], "give 1..1000"),
    (&["--word", ""], "give at least one"),
    (&["--word", "a\nb"], "take it out"),
    (&["--fault", "kill 34"], "name one of 1..33"),
    (&["--fault", "kill 0"], "the first is hero 1"),
    (&["--fault", "kill 30..40"], "name one of 1..33"),
    (&["--fault", "kill 1 @ letter 34"], "name one of 1..33"),
    (&["--fault", "explode"], "unknown fault `explode`; write"),
    (&["--fault", "stall-disk 3"], "later version"),
    (&["--fault", "split 16|16"], "are not 33 heroes together"),
    (&["--fault", "restart 7"], "does not say when"),
    (&["--fault", "stall 7 @ 1s"], "does not say how long"),
    (&["--fault", "loss 200%"], "`loss 0%` to `loss 100%`"),
    (
        &["--transport", "pigeon"],
        "choose memory, unix, tcp, udp or pipe",
    ),
    (
        &["--transport", "udp", "--peers", "801"],
        "carries at most 800 heroes",
    ),
    (&["--driver", "kqueue"], "choose auto, uring, epoll or sim"),
    (
        &["--driver", "sim", "--transport", "memory"],
        "leave out --driver sim",
    ),
    (
        &["--durable", "sync", "--transport", "memory"],
        "leave out --durable",
    ),
    (&["storm", "--seeds", "9..1"], "give `1..9`"),
    (&["storm", "--seeds", "some"], "give `17` or `1..1000`"),
    (&["storm", "--seeds"], "see --help"),
    (&["storm", "--faults"], "--faults"),
    (&["--view", "ring"], "later version"),
    (&["--protocol", "raft"], "choose consensus or lottery"),
    (
        &["--protocol", "lottery", "--transport", "unix"],
        "leave out --transport",
    ),
    (&["--seed", "tomorrow"], "give a whole number"),
    (&["--limit", "long"], "give one like"),
    (&["--sead", "1"], "--seed"),
    (&["--cores", "0"], "nobody could run there; give 1..256"),
    (
        &["--cores", "-1"],
        "that is no number of cores; give 1..256",
    ),
    (&["--cores", "many"], "that is no number of cores"),
    (&["--cores", "10000"], "256 of them are the most"),
    (&["--cores", "34"], "dealt out over 34 cores; give 1..33"),
    (
        &["--cores", "2", "--driver", "sim"],
        "a host with one core, and all of it happens on one thread; leave out --cores",
    ),
    (
        &["--cores", "2", "--transport", "memory"],
        "one thread with a clock of its own; leave out --cores",
    ),
    (&["replay"], "see --help"),
    (&["--peers"], "see --help"),
];

#[test]
fn bad_input_ends_with_2_and_one_line_that_says_what_and_how() {
    for (arguments, expected) in BAD_INPUT {
        let run = run(arguments);
        assert_eq!(run.status, 2, "{run}");
        assert_eq!(run.stdout, "", "{run}");
        assert_eq!(run.stderr.lines().count(), 1, "{run}");
        assert!(run.stderr.starts_with("consensus: "), "{run}");
        assert!(run.stderr.contains(expected), "{expected} in {run}");
    }
}

#[test]
fn the_driver_in_the_environment_drives() {
    for driver in ["uring", "epoll"] {
        let arguments = ["--json", "--limit", "30s"];
        let run = finish(command(&arguments).env("KRUG_DRIVER", driver), &arguments);
        assert_eq!(run.expect_spoken(ALPHABET)["driver"], driver);
        assert_eq!(run.stderr, "", "{run}");
    }
}

#[test]
fn a_driver_in_the_environment_that_does_not_exist_is_one_line_and_ends_with_2() {
    let run = finish(command(&[]).env("KRUG_DRIVER", "kqueue"), &[]);
    assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run}");
    assert_eq!(run.stderr.lines().count(), 1, "{run}");
    assert!(
        run.stderr.contains("say auto, uring, epoll or sim"),
        "{run}"
    );
}

/// Whose turn each letter was, whoever has spoken it.
fn owners(json: &Value) -> Vec<Value> {
    let owner = |line: &Value| match &line["stood_in"] {
        Value::Null => line["speaker"].clone(),
        owner => owner.clone(),
    };
    json["spoken"]
        .as_array()
        .unwrap()
        .iter()
        .map(owner)
        .collect()
}

#[test]
fn heroes_on_several_cores_say_the_same_over_every_transport() {
    for (transport, driver) in ["unix", "tcp", "udp", "pipe"]
        .into_iter()
        .flat_map(|transport| [(transport, "uring"), (transport, "epoll")])
    {
        let on = |cores: &str| {
            let run = run(&[
                "--transport",
                transport,
                "--driver",
                driver,
                "--cores",
                cores,
                "--peers",
                "9",
                "--seed",
                "4",
                "--json",
                "--limit",
                "30s",
            ]);
            let json = run.expect_spoken(ALPHABET);
            assert_eq!(json["driver"], driver, "{run}");
            assert_eq!(json["cores"].to_string(), cores, "{run}");
            assert_eq!(json["roster"], 9, "{run}");
            owners(&json)
        };
        let alone = on("1");
        assert_eq!(on("2"), alone, "{transport} on {driver}");
        assert_eq!(on("3"), alone, "{transport} on {driver}");
    }
}

#[test]
fn on_several_cores_heroes_die_and_lose_messages_as_on_one() {
    let fault = "kill 1..4; kill 7 @ letter 5; loss 5%";
    let arguments = ["--cores", "2", "--json", "--limit", "30s", "--fault", fault];
    let json = run(&arguments).expect_spoken(ALPHABET);
    assert_eq!(json["roster"], 29);
    let minority = [
        "--cores",
        "2",
        "--fault",
        "kill 1..17 @ letter 5",
        "--limit",
        "1s",
    ];
    let run = run(&minority);
    assert_eq!(run.status, 3, "{run}");
    assert_eq!(
        run.stderr, "consensus: stuck: 16 of 33 hear each other, 17 needed\n",
        "{run}"
    );
}

#[test]
fn the_report_names_the_cores_and_the_command_that_repeats_it() {
    let driver = std::env::var("KRUG_DRIVER").unwrap_or("uring".to_owned());
    let run_on_two = run(&[
        "--cores",
        "2",
        "--peers",
        "5",
        "--durable",
        "sync",
        "--limit",
        "60s",
    ]);
    assert_eq!(run_on_two.status, 0, "{run_on_two}");
    let over = format!("10 unix sockets on {driver}, 2 cores");
    for part in [over.as_str(), "--cores 2 --limit"] {
        assert!(run_on_two.stdout.contains(part), "{part} in {run_on_two}");
    }
    // What has no second core has one.
    for world in [["--driver", "sim"], ["--transport", "memory"]] {
        let arguments = [&world[..], &["--cores", "all", "--json"]].concat();
        assert_eq!(run(&arguments).expect_spoken(ALPHABET)["cores"], 1);
    }
    let all = run(&["--cores", "all", "--peers", "5", "--json", "--limit", "30s"]);
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(all.expect_spoken(ALPHABET)["cores"], processors.min(5));
}

#[test]
fn the_environment_may_not_ask_for_a_world_without_cores() {
    let arguments = ["--cores", "2"];
    let run = finish(command(&arguments).env("KRUG_DRIVER", "sim"), &arguments);
    assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run}");
    assert_eq!(run.stderr.lines().count(), 1, "{run}");
}

#[test]
fn help_names_every_flag_and_ends_with_0() {
    let run = run(&["--help"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run}");
    for flag in [
        "--peers",
        "--word",
        "--seed",
        "--transport",
        "--protocol",
        "--strict",
        "--fault",
        "--view",
        "--json",
        "--durable",
        "--driver",
        "--cores",
        "--limit",
        "kill 7 @ letter 5",
        "restart 7 @ 1s",
        "split 16|17 @ 20ms",
        "heal @ letter 9",
        "stall 7 @ 5ms for 1s",
        "storm",
        "Exit status",
    ] {
        assert!(run.stdout.contains(flag), "{flag} in {run}");
    }
}

#[test]
fn the_json_object_has_exactly_its_fields() {
    let run = run(&[
        "--transport",
        "memory",
        "--seed",
        "3",
        "--json",
        "--fault",
        "kill 5 @ letter 2",
    ]);
    let json = run.expect_spoken(ALPHABET);
    let mut fields: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "cores",
            "decrees",
            "driver",
            "elapsed_ms",
            "messages",
            "peers",
            "replay",
            "roster",
            "rounds",
            "seed",
            "spoken",
            "trace_hash",
            "transcript",
            "transport",
            "word",
        ]
    );
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        keys(&json["messages"]),
        ["claim", "decided", "fetch", "record", "recorded"]
    );
    assert_eq!(keys(&json["decrees"]), ["fast", "slow"]);
    assert_eq!(
        keys(&json["spoken"][0]),
        ["letter", "position", "speaker", "stood_in"]
    );
    assert_eq!(
        (&json["peers"], &json["roster"], &json["seed"]),
        (&33.into(), &33.into(), &3.into())
    );
    assert_eq!(
        (&json["transport"], &json["driver"]),
        (&"memory".into(), &"none".into())
    );
    // A roll and 33 letters, each decided by somebody.
    let decrees = &json["decrees"];
    assert_eq!(
        decrees["fast"].as_u64().unwrap() + decrees["slow"].as_u64().unwrap(),
        34
    );
    assert!(json["rounds"].as_u64().unwrap() >= 34);
    assert!(json["elapsed_ms"].as_f64().unwrap() > 0.0);
    assert!(json["messages"]["claim"].as_u64().unwrap() >= 32 * 33);
}

#[test]
fn in_memory_the_seed_fixes_every_byte_of_the_output() {
    for fault in ["", "kill 7 @ letter 5; loss 10%", "kill 2 @ 9ms; loss 30%"] {
        for seed in ["1", "2", "3"] {
            let arguments = [
                "--transport",
                "memory",
                "--seed",
                seed,
                "--fault",
                fault,
                "--json",
            ];
            let (first, second) = (run(&arguments), run(&arguments));
            first.expect_spoken(ALPHABET);
            assert_eq!(first.stdout, second.stdout);
        }
    }
}

/// The trace of a run in a simulated world.
fn simulated(arguments: &[&str]) -> (Value, String) {
    let arguments = [&["--driver", "sim", "--json"], arguments].concat();
    let json = run(&arguments).expect_spoken(ALPHABET);
    let trace = json["trace_hash"].as_str().unwrap().to_owned();
    (json, trace)
}

#[test]
fn in_a_simulated_world_the_seed_fixes_every_byte_of_the_output() {
    for transport in ["tcp", "udp", "unix", "pipe"] {
        let world = |seed: &str| simulated(&["--transport", transport, "--seed", seed]);
        let first = world("7");
        assert_eq!(first.0["driver"], "sim");
        assert_eq!(world("7"), first, "{transport}");
        assert_ne!(world("8").1, first.1, "{transport}");
    }
    let faults = [
        "--seed",
        "9",
        "--fault",
        "kill 7 @ letter 5; kill 1..3; loss 10%",
    ];
    let first = simulated(&faults);
    assert_eq!(first.0["roster"], 30);
    assert_eq!(simulated(&faults), first);
}

/// The traces of seed 7, without logs and with them: the same however the program is built and wherever it runs. They change, as they
/// may, with whatever the executor, the simulation or the heroes do differently: one more operation, draw or turn. Then say
/// here what the new program says, built with `--release` and without.
const TRACE: &str = "938155d5cb482ed5";
const TRACE_WITH_LOGS: &str = "4edc0aaba48c7774";

#[test]
fn in_a_simulated_world_seed_7_leaves_the_trace_that_it_always_has() {
    assert_eq!(simulated(&["--seed", "7"]).1, TRACE);
    let durable = simulated(&["--seed", "7", "--durable", "sync"]);
    assert_eq!(durable.1, TRACE_WITH_LOGS);
}

#[test]
fn the_environment_may_ask_for_the_simulated_world() {
    let arguments = ["--json", "--seed", "7"];
    let run = finish(command(&arguments).env("KRUG_DRIVER", "sim"), &arguments);
    let json = run.expect_spoken(ALPHABET);
    assert_eq!(json["trace_hash"], simulated(&["--seed", "7"]).1);
    assert!(
        json["replay"].as_str().unwrap().contains("--driver sim"),
        "{run}"
    );
    // Memory is a world of its own.
    let arguments = ["--json", "--seed", "7", "--transport", "memory"];
    let run = finish(command(&arguments).env("KRUG_DRIVER", "sim"), &arguments);
    assert_eq!(run.expect_spoken(ALPHABET)["driver"], "none");
}

#[test]
fn the_card_of_a_simulated_world_shows_its_trace() {
    let run = run(&["--driver", "sim", "--seed", "7"]);
    assert_eq!(run.status, 0, "{run}");
    for part in [
        "TCP between 33 simulated hosts",
        "7 (fixes the whole run)",
        TRACE,
        "--driver sim --seed 7",
    ] {
        assert!(run.stdout.contains(part), "{part} in {run}");
    }
}

#[test]
fn in_a_simulated_world_a_minority_ends_with_3_and_the_reason() {
    let run = run(&["--driver", "sim", "--fault", "kill 1..17 @ letter 5"]);
    assert_eq!(run.status, 3, "{run}");
    assert_eq!(
        run.stderr, "consensus: stuck: 16 of 33 hear each other, 17 needed\n",
        "{run}"
    );
}

#[test]
fn a_storm_says_what_it_saw() {
    for arguments in [
        &["storm", "--seeds", "3..5"][..],
        &["storm", "--calm", "--seeds", "3..5"],
    ] {
        let run = run(arguments);
        assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run}");
        for part in ["3 worlds, and nothing was seen", "ms in the median"] {
            assert!(run.stdout.contains(part), "{part} in {run}");
        }
    }
    let help = run(&["storm", "--help"]);
    assert!(
        help.status == 0 && help.stdout.contains("--seeds"),
        "{help}"
    );
}

#[test]
fn heroes_with_logs_speak_and_leave_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let arguments = [
        "--durable",
        "sync",
        "--json",
        "--peers",
        "5",
        "--limit",
        "60s",
    ];
    let run = finish(command(&arguments).env("TMPDIR", place.path()), &arguments);
    run.expect_spoken(ALPHABET);
    assert_eq!(run.stderr, "", "{run}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn in_memory_every_seed_has_a_trace_of_its_own() {
    let hash = |seed: &str| {
        let run = run(&["--transport", "memory", "--seed", seed, "--json"]);
        run.json()["trace_hash"].as_str().unwrap().to_owned()
    };
    assert_ne!(hash("1"), hash("2"));
    assert_ne!(hash("2"), hash("3"));
}

#[test]
fn the_replay_command_repeats_the_run() {
    let first = run(&[
        "--transport",
        "memory",
        "--word",
        "круг",
        "--peers",
        "5",
        "--fault",
        "loss 20%",
        "--json",
    ]);
    let first = first.expect_spoken("круг");
    let replay = format!("{} --json", first["replay"].as_str().unwrap());
    let output = std::process::Command::new("sh")
        .args(["-c", &replay])
        .env_remove("CARGO")
        .output()
        .unwrap();
    let second: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{replay}: {error}"));
    assert_eq!(first, second);
}

#[test]
fn the_card_says_who_spoke_who_stood_in_and_how_to_repeat_it() {
    let run = run(&[
        "--transport",
        "memory",
        "--seed",
        "1",
        "--fault",
        "kill 7 @ letter 15",
    ]);
    assert_eq!(run.status, 0, "{run}");
    // Hero 7 has the fifteenth letter with this seed.
    for part in [
        "33 heroes sit in a circle",
        "hero 7 is gone",
        "stands in for hero 7",
        "33 letters by a roster of 33 heroes",
        "claim",
        "fast",
        "rounds",
        "seed       1",
        "--transport memory --fault 'kill 7 @ letter 15' --seed 1",
        ALPHABET,
    ] {
        assert!(run.stdout.contains(part), "{part} in {run}");
    }
    assert!(!run.stdout.contains('\x1b'), "no colors for a pipe: {run}");
}

#[test]
fn the_quiet_view_says_the_word_alone() {
    let run = run(&["--transport", "memory", "--view", "quiet"]);
    assert_eq!(
        (run.status, run.stdout.trim_end(), run.stderr.as_str()),
        (0, ALPHABET, ""),
        "{run}"
    );
}

#[test]
fn strict_heroes_never_take_the_fast_path() {
    let run = run(&["--transport", "memory", "--strict", "--json"]);
    let json = run.expect_spoken(ALPHABET);
    assert_eq!(
        json["decrees"],
        serde_json::json!({ "fast": 0, "slow": 34 }),
        "{run}"
    );
}

#[test]
fn a_minority_ends_with_3_and_the_reason() {
    for fault in ["kill 1..17", "kill 1..17 @ letter 5", "kill 17..33 @ 5ms"] {
        let run = run(&["--transport", "memory", "--fault", fault]);
        assert_eq!(run.status, 3, "{run}");
        assert_eq!(
            run.stderr, "consensus: stuck: 16 of 33 hear each other, 17 needed\n",
            "{run}"
        );
    }
    let run = run(&["--transport", "memory", "--fault", "loss 100%"]);
    assert_eq!(run.status, 3, "{run}");
    assert_eq!(
        run.stderr, "consensus: stuck: 1 of 33 hear each other, 17 needed\n",
        "{run}"
    );
}

#[test]
fn a_bare_majority_speaks() {
    for fault in [
        "kill 1..16",
        "kill 1..16 @ letter 5",
        "kill 18..33 @ letter 33",
    ] {
        run(&["--transport", "memory", "--json", "--fault", fault]).expect_spoken(ALPHABET);
    }
}

#[test]
fn whoever_owns_a_letter_may_die_at_it_and_somebody_else_says_it() {
    let seed = "12";
    let mut stood_in = 0;
    for (index, owner) in common::roster(seed, "33").into_iter().enumerate() {
        let fault = format!("kill {owner} @ letter {}", index + 1);
        let run = run(&[
            "--transport",
            "memory",
            "--seed",
            seed,
            "--json",
            "--fault",
            &fault,
        ]);
        let json = run.expect_spoken(ALPHABET);
        let line = &json["spoken"][index];
        assert!(
            line["stood_in"] == owner || line["speaker"] == owner,
            "{run}"
        );
        stood_in += usize::from(line["stood_in"] == owner);
    }
    // His own last words may still be on their way, but only if he was the first to hear the letter before.
    assert!(stood_in >= 30, "{stood_in} of 33");
}

#[test]
fn circles_of_every_size_speak() {
    for peers in ["1", "2", "3", "4", "5", "10", "34"] {
        let run = run(&[
            "--transport",
            "memory",
            "--peers",
            peers,
            "--word",
            "Ёж 🦔",
            "--json",
        ]);
        let json = run.expect_spoken("Ёж 🦔");
        assert_eq!(json["roster"], peers.parse::<u64>().unwrap(), "{run}");
    }
}

#[test]
fn a_reader_who_goes_away_changes_nothing() {
    let mut command = command(&["--transport", "memory"]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.stderr, b"");
}

#[test]
fn called_by_cargo_it_repeats_itself_through_cargo() {
    let arguments = ["--transport", "memory", "--json"];
    let run = finish(command(&arguments).env("CARGO", "cargo"), &arguments);
    let json = run.expect_spoken(ALPHABET);
    assert!(
        json["replay"].as_str().unwrap().starts_with("cargo run "),
        "{run}"
    );
}
