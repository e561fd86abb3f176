//! The demo over real sockets and pipes: the word is spoken whatever happens to a minority.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Run, command, finish, roster, run};

krug_tests::on_every_kernel_driver!();

const ALPHABET: &str = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ";
const TRANSPORTS: [&str; 4] = ["unix", "tcp", "udp", "pipe"];

/// Other programs may keep the machine busy: what is slow there is not stuck.
const PATIENT: [&str; 3] = ["--json", "--limit", "30s"];

fn patiently(arguments: &[&str]) -> Run {
    run(&[arguments, &PATIENT].concat())
}

#[test]
fn without_arguments_33_heroes_say_the_alphabet_over_unix_sockets() {
    let run = run(&[]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run}");
    assert!(
        run.stdout.contains(&format!("word       {ALPHABET}\n")),
        "{run}"
    );
    let driver = std::env::var("KRUG_DRIVER").unwrap_or("uring".to_owned());
    let links = format!("528 unix sockets on {driver}");
    assert!(run.stdout.contains(&links), "{run}");
    assert_eq!(
        run.stdout
            .lines()
            .filter(|line| line.contains("  hero "))
            .count(),
        33,
        "{run}"
    );
}

#[test]
fn every_transport_carries_the_word() {
    for (transport, driver) in TRANSPORTS
        .into_iter()
        .flat_map(|transport| [(transport, "uring"), (transport, "epoll")])
    {
        let run = patiently(&["--transport", transport, "--driver", driver]);
        let json = run.expect_spoken(ALPHABET);
        assert_eq!(json["transport"], transport, "{run}");
        assert_eq!(json["driver"], driver, "{run}");
    }
}

#[test]
fn every_transport_carries_the_word_without_the_fast_path() {
    for transport in TRANSPORTS {
        let run = patiently(&["--transport", transport, "--strict", "--peers", "9"]);
        assert_eq!(run.expect_spoken(ALPHABET)["decrees"]["fast"], 0, "{run}");
    }
}

#[test]
fn whoever_owns_a_letter_may_die_at_it_on_every_transport() {
    let (seed, word) = ("5", "КРУГЛЫЙ");
    for transport in TRANSPORTS {
        let mut stood_in = 0;
        for (index, owner) in roster(seed, "7").into_iter().enumerate() {
            let fault = format!("kill {owner} @ letter {}", index + 1);
            let arguments = [
                "--transport",
                transport,
                "--seed",
                seed,
                "--peers",
                "7",
                "--word",
                word,
            ];
            let run = patiently(&[&arguments[..], &["--fault", &fault]].concat());
            let json = run.expect_spoken(word);
            let line = &json["spoken"][index];
            // The kernel may have carried his last words already.
            stood_in += usize::from(line["speaker"] != owner);
        }
        assert!(stood_in > 0, "nobody died in time on {transport}");
    }
}

#[test]
fn any_of_33_may_die_at_any_letter() {
    for letter in (1..=33).step_by(4) {
        let transport = TRANSPORTS[letter / 4 % 4];
        let fault = format!("kill {} @ letter {letter}", 34 - letter);
        patiently(&["--transport", transport, "--fault", &fault]).expect_spoken(ALPHABET);
    }
}

#[test]
fn lost_messages_are_sent_again_on_every_transport() {
    for transport in TRANSPORTS {
        patiently(&["--transport", transport, "--fault", "loss 10%"]).expect_spoken(ALPHABET);
        let fault = "loss 25%; kill 2 @ letter 3; kill 5 @ letter 6";
        let arguments = [
            "--transport",
            transport,
            "--peers",
            "9",
            "--word",
            "потерялось",
            "--fault",
            fault,
        ];
        patiently(&arguments).expect_spoken("потерялось");
    }
}

#[test]
fn a_bare_majority_speaks_on_every_transport() {
    for transport in TRANSPORTS {
        for fault in ["kill 1..16", "kill 18..33 @ letter 20"] {
            patiently(&["--transport", transport, "--fault", fault]).expect_spoken(ALPHABET);
        }
    }
}

#[test]
fn a_minority_ends_with_3_and_the_reason_on_every_transport() {
    // They only wait, so they may wait side by side.
    std::thread::scope(|scope| {
        for transport in TRANSPORTS {
            scope.spawn(move || {
                let run = expect_stuck(&["--transport", transport, "--fault", "kill 1..17"]);
                let reason = "consensus: stuck: 16 of 33 hear each other, 17 needed\n";
                assert_eq!(run.stderr, reason, "{run}");
                assert_eq!(run.json()["transcript"], "", "{run}");
            });
            scope.spawn(move || {
                let fault = ["--peers", "9", "--fault", "kill 1..5 @ letter 3"];
                let run = expect_stuck(&[&["--transport", transport], &fault[..]].concat());
                let reason = "consensus: stuck: 4 of 9 hear each other, 5 needed\n";
                assert_eq!(run.stderr, reason, "{run}");
                // Who was about to say the next letter may have been heard before he died.
                let spoken = run.json()["spoken"].as_array().unwrap().len();
                assert!((2..=3).contains(&spoken), "{run}");
            });
        }
    });
}

fn expect_stuck(arguments: &[&str]) -> Run {
    let started = Instant::now();
    let run = run(&[arguments, &["--limit", "3s", "--json"]].concat());
    assert_eq!(run.status, 3, "{run}");
    assert!(started.elapsed() < Duration::from_secs(30), "{run}");
    run
}

#[test]
fn the_seed_fixes_names_and_lots_on_sockets_too() {
    let owners = roster("77", "33");
    let run = patiently(&["--seed", "77"]);
    let json = run.expect_spoken(ALPHABET);
    // On a busy machine somebody may be too late for the roll.
    if json["roster"] == 33 {
        let lines = json["spoken"].as_array().unwrap();
        for (line, owner) in lines.iter().zip(owners) {
            assert!(
                line["speaker"] == owner || line["stood_in"] == owner,
                "{run}"
            );
        }
    }
}

#[test]
fn small_circles_need_no_sockets_or_few() {
    for transport in TRANSPORTS {
        for peers in ["1", "2", "3"] {
            patiently(&["--transport", transport, "--peers", peers, "--word", "да"])
                .expect_spoken("да");
        }
    }
}

#[test]
fn tcp_heroes_have_528_connections() {
    // Nobody hears anybody, so all connections stay for as long as the program waits.
    let arguments = [
        "--transport",
        "tcp",
        "--fault",
        "loss 100%",
        "--limit",
        "3s",
    ];
    let mut child = command(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(established(child.id()));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(
        most,
        2 * 528,
        "both ends of every connection belong to the program"
    );
}

/// How many established TCP sockets a process holds.
fn established(process: u32) -> usize {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{process}/fd")) else {
        return 0;
    };
    let inode_of = |target: PathBuf| {
        let inode = target.to_str()?.strip_prefix("socket:[")?;
        Some(inode.strip_suffix(']')?.to_owned())
    };
    let own: BTreeSet<String> = descriptors
        .filter_map(|entry| inode_of(std::fs::read_link(entry.ok()?.path()).ok()?))
        .collect();
    let Ok(table) = std::fs::read_to_string(format!("/proc/{process}/net/tcp")) else {
        return 0;
    };
    let inode_if_established = |line: &str| {
        let mut fields = line.split_whitespace();
        let state = fields.nth(3)?;
        let inode = fields.nth(5)?;
        (state == "01").then(|| inode.to_owned())
    };
    // A set: the table shows a socket twice if others come and go while it is read.
    let established: BTreeSet<String> = table.lines().filter_map(inode_if_established).collect();
    established.intersection(&own).count()
}

#[test]
fn a_hard_limit_of_1024_descriptors_is_refused_with_both_numbers() {
    for (transport, needed) in [("unix", "1153"), ("tcp", "1153"), ("pipe", "2176")] {
        let run = limited("ulimit -n 1024", &["--transport", transport]);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run}");
        assert_eq!(run.stderr.lines().count(), 1, "{run}");
        assert!(
            run.stderr.contains(needed) && run.stderr.contains("1024"),
            "{run}"
        );
    }
    // Memory needs none, and fewer heroes need fewer.
    let memory = ["--transport", "memory", "--json"];
    limited("ulimit -n 1024", &memory).expect_spoken(ALPHABET);
    let fewer = [&["--peers", "20"], &PATIENT[..]].concat();
    limited("ulimit -n 1024", &fewer).expect_spoken(ALPHABET);
}

#[test]
fn a_soft_limit_is_raised_to_the_hard_one() {
    for transport in TRANSPORTS {
        let arguments = [&["--transport", transport], &PATIENT[..]].concat();
        limited("ulimit -S -n 256", &arguments).expect_spoken(ALPHABET);
    }
}

/// Runs the program below a limit that a shell sets.
fn limited(limit: &str, arguments: &[&str]) -> Run {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{limit} && exec \"$0\" \"$@\""))
        .arg(env!("CARGO_BIN_EXE_consensus"));
    shell.args(arguments).env_remove("CARGO");
    finish(&mut shell, arguments)
}

#[test]
fn unix_sockets_leave_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let arguments = [&["--peers", "5"], &PATIENT[..]].concat();
    let run = finish(command(&arguments).env("TMPDIR", place.path()), &arguments);
    run.expect_spoken(ALPHABET);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);

    // Not even if the program is ended while the heroes talk.
    let arguments = [
        "--peers",
        "5",
        "--fault",
        "loss 100%",
        "--limit",
        "30s",
        "--view",
        "lines",
    ];
    let mut command = command(&arguments);
    command
        .env("TMPDIR", place.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let linked = lines
        .map_while(Result::ok)
        .any(|line| line.contains("links between them"));
    assert!(linked, "the heroes met");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_place_where_nobody_can_listen_is_an_error_in_one_line() {
    let arguments = ["--peers", "5"];
    let run = finish(
        command(&arguments).env("TMPDIR", "/nowhere/at/all"),
        &arguments,
    );
    assert_eq!(run.status, 1, "{run}");
    assert_eq!(run.stderr.lines().count(), 1, "{run}");
    assert!(run.stderr.contains("/nowhere/at/all"), "{run}");
}
