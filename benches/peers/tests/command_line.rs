//! The program as it is called.

use std::fs;
use std::process::{Command, Output};

fn run(line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_krug-peers"));
    command.args(line.split(' ')).output().unwrap()
}

fn told(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{complaints}");
    text
}

#[test]
fn the_peers_that_are_named_stand_beside_krug_and_are_kept() {
    let json = std::env::temp_dir().join(format!("krug-peers-{}.json", std::process::id()));
    let line = format!(
        "echo --quick --in-flight 1 --connections 3 --peer tokio --peer smol --json {}",
        json.display()
    );
    let told = told(&run(&line));
    let kept = fs::read_to_string(&json).unwrap();
    fs::remove_file(&json).unwrap();
    for word in ["krug-uring / tokio: ", "krug-uring / smol: "] {
        assert!(told.contains(word), "no {word:?} in {told}");
    }
    assert!(!told.contains("/ floor"), "{told}");
    for (kind, peer) in [
        ("runs", "krug-uring"),
        ("runs", "tokio"),
        ("comparison", "krug-uring"),
    ] {
        let words = [
            format!("\"kind\":\"{kind}\""),
            format!("\"peer\":\"{peer}\""),
        ];
        assert!(
            kept.lines()
                .any(|line| words.iter().all(|word| line.contains(word))),
            "no {words:?} in {kept}"
        );
    }
}

#[test]
fn who_looks_on_takes_part_beside_the_same_runtime_that_does_not() {
    let told = told(&run("echo --quick --in-flight 1 --connections 1 \
         --peer glommio --peer glommio-spin --peer kimojio --peer kimojio-busy"));
    for name in ["glommio", "glommio-spin", "kimojio", "kimojio-busy"] {
        let named = told.contains(&format!("krug-uring / {name}: "));
        assert!(
            named || told.contains(&format!("skipped: {name},")),
            "{told}"
        );
    }
}

#[test]
fn files_are_read_by_one_by_some_and_by_many_at_once() {
    let told = told(&run("files --quick --peer tokio --peer kimojio"));
    for depth in [1, 32, 128] {
        assert!(told.contains(&format!("cache, {depth} at once")), "{told}");
    }
    assert_eq!(told.matches("krug-uring / tokio: ").count(), 3, "{told}");
}

#[test]
fn who_offers_nothing_is_named_with_the_reason() {
    let told = told(&run(
        "pipes --quick --peer tokio --peer glommio --peer floor",
    ));
    assert!(told.contains("floor         offers nothing: "), "{told}");
    let named = told
        .lines()
        .any(|line| line.contains("glommio") && line.contains("offers nothing: "));
    // Where the limit of locked memory is low, it does not start at all.
    assert!(named || told.contains("skipped: glommio"), "{told}");
}

#[test]
fn an_idle_connection_costs_something_in_every_server_and_least_in_the_bare_loop() {
    let told = told(&run(
        "idle --quick --connections 300 --peer floor --peer tokio",
    ));
    let bytes = |name: &str| {
        let line = told.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("nothing of {name} in {told}"));
        let word = line.split_whitespace().nth(1).unwrap();
        word.parse::<f64>().expect(line)
    };
    for name in ["krug-uring", "krug-recv", "tokio"] {
        assert!(bytes(name) > bytes("floor"), "{told}");
    }
}

#[test]
fn a_peer_that_there_is_not_is_refused_in_one_line() {
    let output = run("echo --peer rayon");
    assert_eq!(output.status.code(), Some(2));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.contains("`rayon`"), "{complaint}");
    assert!(output.stdout.is_empty());
}
