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
