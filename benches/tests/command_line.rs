//! The program as it is called.

use std::fs;
use std::process::{Command, Output};

fn run(line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_krug-benches"));
    command.args(line.split(' ')).output().unwrap()
}

#[test]
fn threads_and_system_calls_stand_beside_the_speed_of_all() {
    let json = std::env::temp_dir().join(format!("krug-benches-{}.json", std::process::id()));
    let line = format!(
        "echo --quick --pairs 1 --in-flight 1 --connections 5 --driver epoll --peer tokio --peer krug-uring --json {}",
        json.display()
    );
    let output = run(&line);
    let (told, complaints) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{told}{complaints}");
    let kept = fs::read_to_string(&json).unwrap();
    fs::remove_file(&json).unwrap();
    for word in ["threads", "calls per msg", "krug-epoll / tokio: "] {
        assert!(told.contains(word), "no {word:?} in {told}");
    }
    for name in ["krug-epoll", "tokio", "krug-uring"] {
        let seen = kept.lines().find(|line| {
            line.contains("\"runs\"") && line.contains(&format!("\"peer\":\"{name}\""))
        });
        let seen = seen.unwrap_or_else(|| panic!("nothing kept of {name}: {kept}"));
        // Beside a ring there may be threads that the kernel has made for it.
        let threads = number(seen, "threads");
        assert!(
            threads == 1.0 || name == "krug-uring" && threads > 1.0,
            "{seen}"
        );
        if seen.contains("calls_unknown") {
            eprintln!("skipped: here no process may trace another: {seen}");
            continue;
        }
        let calls = number(seen, "calls_per_message");
        // Nobody here moves a message by more than a receive, a send, and a wait.
        assert!(calls > 0.0 && calls < 3.5, "{seen}");
    }
}

#[test]
fn server_and_load_may_each_have_as_many_connections_as_a_process_may_have_descriptors_for() {
    let line = "echo --quick --pairs 1 --in-flight 1 --driver epoll --peer tokio --connections";
    let limited = |descriptors: usize, connections: usize| {
        let shell = format!(
            "ulimit -n {descriptors}; exec {} {line} {connections}",
            env!("CARGO_BIN_EXE_krug-benches")
        );
        let output = Command::new("sh").args(["-c", &shell]).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let complaints = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}{complaints}");
        told
    };
    let told = limited(300, 150);
    for words in ["× 150 connections", "/ tokio: "] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
    let told = limited(300, 999);
    for words in ["200 connections instead of 999", "/ tokio: "] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
}

fn number(line: &str, name: &str) -> f64 {
    let (_, rest) = line.split_once(&format!("\"{name}\":")).expect(line);
    let end = rest.find([',', '}']).unwrap();
    rest[..end].parse().expect(line)
}

#[test]
fn a_driver_that_there_is_not_is_refused_in_one_line() {
    let output = run("echo --driver kqueue");
    assert_eq!(output.status.code(), Some(2));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(
        complaint.contains("uring or epoll, not `kqueue`"),
        "{complaint}"
    );
    assert!(output.stdout.is_empty());
}

/// Runs a scenario whose files lie in a folder, and returns what it has told, and the lines of JSON. Nothing is left in the folder.
fn in_a_folder(line: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let json = tempfile::NamedTempFile::new().unwrap();
    let line = format!(
        "{line} --quick --pairs 1 --dir {} --json {}",
        folder.path().display(),
        json.path().display()
    );
    let output = run(&line);
    let told = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}{complaints}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{told}");
    (told, fs::read_to_string(json.path()).unwrap())
}

fn has_lines_of(kept: &str, kind: &str, names: &[&str]) {
    for name in names {
        let is_it = |line: &&str| {
            line.contains(&format!("\"kind\":\"{kind}\"")) && line.contains(&format!("\"{name}\""))
        };
        assert!(
            kept.lines().any(|line| is_it(&line)),
            "no {kind} of {name}: {kept}"
        );
    }
}

#[test]
fn a_file_is_read_in_every_way_and_goes_away_again() {
    let (told, kept) = in_a_folder("files --file-bytes 100000");
    for words in [
        "cached, 1 in flight",
        "cached, 128 in flight",
        "best peer",
        "p99",
    ] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
    let models = ["krug-uring", "krug-epoll", "floor", "blocking"];
    let others = ["thread-pool", "posix-aio", "linux-aio", "tokio"];
    for kind in ["runs", "curve"] {
        has_lines_of(&kept, kind, &[models, others].concat());
    }
    has_lines_of(&kept, "comparison", &others);
    let run = kept.lines().find(|line| line.contains("\"runs\"")).unwrap();
    assert!(
        run.contains("\"p99_us\":[") && run.contains("\"cpu_us\":["),
        "{run}"
    );
    assert_eq!(number(run, "file_bytes"), 100_000.0);
}

#[test]
fn records_are_appended_in_every_way() {
    let (told, kept) = in_a_folder("log");
    assert!(
        told.contains("krug-journal-32 / krug-journal-1: "),
        "{told}"
    );
    let models = [
        "krug-uring",
        "krug-epoll",
        "floor",
        "blocking",
        "rwf-dsync",
        "tokio",
    ];
    has_lines_of(&kept, "runs", &models);
    has_lines_of(&kept, "runs", &["krug-journal-1", "krug-journal-32"]);
}

#[test]
fn many_pipes_are_read_in_every_way() {
    let (told, kept) = in_a_folder("many-pipes");
    assert!(told.contains("through 50 pipes"), "{told}");
    let models = [
        "krug-uring",
        "krug-epoll",
        "epoll",
        "poll",
        "select",
        "busy-loop",
    ];
    for kind in ["runs", "curve"] {
        has_lines_of(&kept, kind, &models);
        has_lines_of(&kept, kind, &["processes"]);
    }
}

#[test]
fn a_folder_that_is_not_there_is_named_in_the_complaint() {
    let output = run("files --quick --dir /nowhere/at/all");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(complaint.contains("/nowhere/at/all"), "{complaint}");
}

#[test]
fn a_simulation_tells_how_much_it_completes_in_a_second() {
    let output = run("sim --quick");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    for place in ["one host, a plain runtime", "two hosts of a world"] {
        let line = told.lines().find(|line| line.starts_with(place));
        let line = line.unwrap_or_else(|| panic!("nothing of {place} in {told}"));
        let words = line[place.len()..].split_whitespace().next();
        let thousands: f64 = words.unwrap().parse().expect(line);
        assert!(thousands > 0.0, "{line}");
    }
}

/// What a run says, and the lines that it keeps.
fn run_and_keep(line: &str) -> (String, Vec<String>) {
    let name = line.split(' ').next().unwrap();
    let file = format!("krug-benches-{name}-{}.json", std::process::id());
    let json = std::env::temp_dir().join(file);
    let output = run(&format!("{line} --json {}", json.display()));
    let told = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}{complaints}");
    let kept = fs::read_to_string(&json).unwrap();
    fs::remove_file(&json).unwrap();
    (told, kept.lines().map(str::to_owned).collect())
}

#[test]
fn a_comparison_is_kept_with_its_runs() {
    let (told, kept) = run_and_keep("tasks --quick --operations 640 --peer floor");
    let what = "spawn and join in batches of 64";
    assert!(told.contains(what), "{told}");
    assert!(told.contains("krug-uring / floor: "), "{told}");
    let of = |kind: &str| {
        let kind = format!("\"kind\":\"{kind}\"");
        let lines = kept.iter().filter(|line| line.contains(&kind));
        lines.filter(|line| line.contains(what)).count()
    };
    assert_eq!((of("runs"), of("comparison")), (2, 1), "{kept:?}");
}

#[test]
fn idle_connections_are_looked_at_in_a_server_of_their_own() {
    let (told, kept) = run_and_keep("idle --quick --peer tokio");
    assert!(told.contains("waiting without a buffer"), "{told}");
    if told.contains("skipped") {
        return eprintln!("skipped: {told}");
    }
    for tier in ["without a buffer", "with a buffer"] {
        for name in ["krug-uring", "tokio"] {
            let peer = format!("\"peer\":\"{name}\"");
            let mut lines = kept.iter().filter(|line| line.contains(&peer));
            let seen = lines.find(|line| line.contains(tier)).expect(name);
            let (_, bytes) = seen.split_once("\"bytes_each\":[").expect(seen);
            let bytes: f64 = bytes[..bytes.find(']').unwrap()].parse().expect(seen);
            // One page is what can be told, of a thousand connections.
            let buffer = if tier.starts_with("with ") {
                4096.0
            } else {
                0.0
            };
            assert!(bytes > buffer && bytes < buffer + 10_000.0, "{seen}");
        }
    }
}

#[test]
fn timeouts_are_measured_against_the_same_server_without() {
    let (told, kept) = run_and_keep("timeouts --quick --pairs 1 --connections 5 --peer tokio");
    for name in ["krug-uring", "tokio"] {
        let comparison = format!("{name}-timeouts / {name}: ");
        assert!(told.contains(&comparison), "{told}");
        let peer = format!("\"peer\":\"{name}-timeouts\",\"bytes\"");
        assert!(kept.iter().any(|line| line.contains(&peer)), "{kept:?}");
    }
}

#[test]
fn who_cannot_take_part_is_left_out_and_the_others_go_on() {
    let output = run("consensus --quick --peer tokio");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("consensus: skipped"), "{told}");
}

#[test]
fn what_is_counted_runs_by_its_name_and_nothing_else_does() {
    if let Err(error) = krug_counted::is_possible() {
        eprintln!("skipped: {error}");
        return;
    }
    assert!(
        run("instructions --work yield --operations 10")
            .status
            .success()
    );
    let output = run("instructions --work laziness --operations 10");
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("`laziness`"), "{complaint}");
}

#[test]
fn programs_that_are_not_installed_are_named_with_what_brings_them() {
    let output = Command::new(env!("CARGO_BIN_EXE_krug-benches"))
        .args(["confirm", "--quick"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    for words in ["apt-get install wrk", "install fio", "install redis-tools"] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
}
