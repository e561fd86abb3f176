//! How a simulation fails although nobody has panicked, and how little it takes.

use std::mem;
use std::process::{Command, Output};
use std::time::Duration;

use krug::fs::File;
use krug::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use krug::sim::{Sim, address_of};
use krug::sync::oneshot;
use krug::task::yield_now;
use krug::time::{sleep, timeout};

krug::interpose!();

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const PORT: u16 = 7000;
/// Set in the processes that tests start.
const LOOKED_AT: &str = "KRUG_TESTS_LOOKED_AT";

/// What a simulation of one client fails with.
fn failure(client: impl Future<Output = ()> + 'static) -> String {
    let mut sim = Sim::new(1);
    sim.client("client", client);
    sim.run().unwrap_err().to_string()
}

async fn server() {
    let listener = TcpListener::bind("0.0.0.0:7000").await.unwrap();
    let stream = listener.accept().await.unwrap();
    sleep(MS).await;
    // It waits for a request, and its client for an answer.
    let _ = stream.read(vec![0; 10]).await;
}

#[test]
fn two_that_wait_for_each_other_are_reported_with_what_they_wait_for() {
    let mut sim = Sim::new(1);
    sim.host("server", server);
    sim.client("client", async {
        sleep(MS * 5).await;
        let stream = TcpStream::connect((address_of("server"), PORT)).await;
        let (read, _) = stream.unwrap().read(vec![0; 10]).await;
        read.unwrap();
    });
    let failure = sim.run().unwrap_err().to_string();
    for part in [
        "seed 1, at ",
        "nothing can happen any more, and a client has not finished",
        "`server`: 2 operations in flight",
        "`client`, a client that has not finished: 1 operations in flight",
        "Receive on the TCP stream from 10.0.0.1:7000 to 10.0.0.2:",
        "Receive on the TCP stream from 10.0.0.2:",
        "since ",
    ] {
        assert!(failure.contains(part), "{part}: {failure}");
    }
}

#[test]
fn a_client_that_waits_for_a_task_which_never_ends_is_reported() {
    let failure = failure(async {
        let (sender, receiver) = oneshot::channel::<()>();
        let task = krug::spawn(async move {
            std::future::pending::<()>().await;
            drop(sender);
        });
        let _ = receiver.await;
        task.await.unwrap();
    });
    assert!(failure.contains("nothing can happen any more"), "{failure}");
    assert!(failure.contains("1 tasks"), "{failure}");
}

#[test]
fn an_operation_whose_result_nobody_takes_is_reported() {
    let failure = failure(async {
        let (one, other) = UnixStream::pair().unwrap();
        let mut reading = Box::pin(other.read(vec![0; 10]));
        let begun = timeout(Duration::ZERO, reading.as_mut()).await;
        assert!(begun.is_err());
        one.write_all("bytes").await.0.unwrap();
        // It has its result, and nobody polls it.
        std::future::pending::<()>().await;
        drop(reading);
    });
    let expected = "1 results of operations that nobody has looked at";
    assert!(failure.contains(expected), "{failure}");
}

#[test]
fn a_client_that_takes_too_long_is_reported() {
    let mut sim = Sim::new(1);
    sim.limit(SECOND * 10);
    sim.client("patient", async {
        loop {
            sleep(SECOND).await;
        }
    });
    sim.client("quick", sleep(SECOND));
    let failure = sim.run().unwrap_err();
    assert!(failure.moment() < SECOND * 12);
    let text = failure.to_string();
    assert!(
        text.contains("a client has not finished within 10s"),
        "{text}"
    );
    assert!(text.contains("`patient`, a client"), "{text}");
    assert!(!text.contains("quick"), "{text}");
}

#[test]
fn a_client_in_time_is_not_reported() {
    let mut sim = Sim::new(1);
    sim.limit(SECOND * 10);
    sim.client("client", sleep(SECOND * 9));
    sim.run().unwrap();
}

#[test]
fn tasks_that_only_wake_each_other_are_reported() {
    let mut sim = Sim::new(1);
    sim.host("busy", || async {
        loop {
            yield_now().await;
        }
    });
    sim.client("client", sleep(HOUR));
    let failure = sim.run().unwrap_err().to_string();
    assert!(
        failure.contains("the host `busy` has taken 1000000 turns"),
        "{failure}"
    );
}

#[test]
fn what_a_program_leaves_behind_is_reported() {
    let buffer = failure(async {
        let (one, other) = UnixStream::pair().unwrap();
        one.write_all("bytes").await.0.unwrap();
        mem::forget(other.recv().await.unwrap());
    });
    assert!(buffer.contains("1 buffers of received bytes"), "{buffer}");

    let operation = failure(async {
        let (_one, other) = UnixStream::pair().unwrap();
        let mut reading = Box::pin(async move { other.read(vec![0; 10]).await });
        let begun = timeout(Duration::ZERO, reading.as_mut()).await;
        assert!(begun.is_err());
        mem::forget(reading);
    });
    assert!(operation.contains("results of operations"), "{operation}");
}

#[test]
fn what_is_open_is_closed_with_its_program_even_if_it_was_forgotten() {
    let mut sim = Sim::new(1);
    sim.client("client", async {
        mem::forget(File::create("/tmp/file").await.unwrap());
        mem::forget(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        mem::forget(UnixStream::pair().unwrap());
        mem::forget(TcpListener::bind("127.0.0.1:0").await.unwrap());
    });
    sim.run().unwrap();
}

#[test]
fn a_program_that_cleans_up_leaves_nothing_behind() {
    let mut sim = Sim::new(1);
    sim.client("client", async {
        let (one, other) = UnixStream::pair().unwrap();
        let file = File::create("/tmp/file").await.unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        one.write_all("bytes").await.0.unwrap();
        let chunk = other.recv().await.unwrap();
        // Whatever is under way when a program ends, ends with it.
        krug::spawn(async move {
            let _ = socket.recv_from(vec![0; 10]).await;
            drop((chunk, file));
        });
        drop(one.write_all(vec![0; 1_000_000]));
        drop(other.read(vec![0; 10]));
        yield_now().await;
    });
    sim.run().unwrap();
}

#[test]
fn a_program_may_leave_something_behind_if_it_is_allowed() {
    let mut sim = Sim::new(1);
    sim.allow_leaks();
    sim.client("client", async {
        let (one, other) = UnixStream::pair().unwrap();
        one.write_all("bytes").await.0.unwrap();
        mem::forget(other.recv().await.unwrap());
    });
    sim.run().unwrap();
}

/// Runs one of the tests below in a process of its own, in this environment.
fn run(test: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    command.env(LOOKED_AT, "1");
    for name in ["SEED", "SEEDS", "CHECK", "TRACE", "FAULTS", "SHRINK"] {
        command.env_remove(format!("KRUG_SIM_{name}"));
    }
    command.env_remove("RUST_BACKTRACE");
    command.envs(environment.iter().copied());
    command.output().unwrap()
}

fn complaint(test: &str, environment: &[(&str, &str)]) -> String {
    let output = run(test, environment);
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What stands behind `name` in a line of `text`, up to a space.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let found = text
        .split_once(name)
        .unwrap_or_else(|| panic!("{name}: {text}"));
    found.1.split_whitespace().next().unwrap()
}

fn is_looked_at() -> bool {
    std::env::var_os(LOOKED_AT).is_some()
}

/// Datagrams with numbers from one host to another, over a network that loses many. The tenth and the twentieth may not both be lost.
#[krug::sim_test(seeds = 100)]
fn loses_two_of_its_datagrams(sim: &mut Sim) {
    if !is_looked_at() {
        return;
    }
    sim.net(|links| _ = links.loss(0.3));
    sim.client("receiver", async {
        let socket = UdpSocket::bind("0.0.0.0:7000").await.unwrap();
        let mut missing = vec![10, 20];
        while let Ok((Ok((1, _)), number)) = timeout(SECOND, socket.recv_from(vec![0])).await {
            missing.retain(|wanted| *wanted != number[0]);
        }
        assert!(missing.len() < 2, "both of {missing:?} are missing");
    });
    sim.client("sender", async {
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        for number in 0..50 {
            sleep(MS * 10).await;
            let target = (address_of("receiver"), PORT);
            socket.send_to(vec![number], target).await.0.unwrap();
        }
    });
    sim.at(MS * 5, |sim| sim.crash("bystander"));
    sim.host("bystander", || sleep(HOUR));
    sim.run().unwrap();
}

#[test]
fn of_all_that_goes_wrong_a_failing_test_names_what_is_needed_and_that_can_be_replayed() {
    let test = "loses_two_of_its_datagrams";
    let told = complaint(test, &[]);
    assert!(told.contains("both of [10, 20] are missing"), "{told}");
    assert!(told.contains("faults 2 are enough for it"), "{told}");
    assert_eq!(
        told.matches(": a packet is lost (net:").count(),
        2,
        "{told}"
    );
    let (seed, faults) = (
        value(&told, "KRUG_SIM_SEED="),
        value(&told, "KRUG_SIM_FAULTS="),
    );
    assert!(
        faults.contains("!plan:0"),
        "the crash is not needed: {told}"
    );
    assert_eq!(faults.matches("net:").count(), 2, "{told}");

    let environment = [("KRUG_SIM_SEED", seed), ("KRUG_SIM_FAULTS", faults)];
    let again = complaint(test, &environment);
    assert!(again.contains("both of [10, 20] are missing"), "{again}");
    assert!(!again.contains("enough for it"), "{again}");
    let one = faults.split(',').next().unwrap();
    let environment = [("KRUG_SIM_SEED", seed), ("KRUG_SIM_FAULTS", one)];
    assert!(run(test, &environment).status.success());
    let environment = [("KRUG_SIM_SEED", seed), ("KRUG_SIM_SHRINK", "0")];
    assert!(!complaint(test, &environment).contains("enough for it"));
    let wrong = complaint(test, &[("KRUG_SIM_FAULTS", "sea:1")]);
    assert!(
        wrong.contains("KRUG_SIM_FAULTS=sea:1: it should be"),
        "{wrong}"
    );
}

/// A sync that takes longer than a second is a mistake; it takes up to an hour.
#[krug::sim_test(seeds = 100)]
fn waits_too_long_for_its_disk(sim: &mut Sim) {
    if !is_looked_at() {
        return;
    }
    sim.client("host", async {
        let file = File::create("/tmp/file").await.unwrap();
        for _ in 0..20 {
            let began = krug::time::now();
            file.sync_all().await.unwrap();
            assert!(krug::time::now() - began < SECOND, "it takes too long");
        }
    });
    sim.disk(|disks| _ = disks.stalls(0.1, HOUR..HOUR * 2));
    sim.run().unwrap();
}

#[test]
fn what_lasts_is_made_shorter_as_long_as_it_is_long_enough() {
    let told = complaint("waits_too_long_for_its_disk", &[]);
    assert!(told.contains("faults one is enough for it"), "{told}");
    assert!(
        told.contains("a disk stalls, for a shorter time (disk:"),
        "{told}"
    );
    // Of an hour or two 2^-10 are still a few seconds.
    let faults = value(&told, "KRUG_SIM_FAULTS=");
    assert!(faults.ends_with("/10"), "{told}");
}

/// It always fails.
#[krug::sim_test(seeds = 1)]
fn fails_whatever_happens(sim: &mut Sim) {
    if !is_looked_at() {
        return;
    }
    sim.host("server", server);
    sim.net(|links| _ = links.loss(0.3));
    sim.client("client", async {
        let (one, other) = UnixStream::pair().unwrap();
        for _ in 0..100 {
            one.write_all(vec![0; 100]).await.0.unwrap();
            other.read_exact(vec![0; 100]).await.0.unwrap();
        }
        panic!("in vain");
    });
    sim.run().unwrap();
}

#[test]
fn a_failure_that_needs_nothing_to_go_wrong_says_so() {
    let told = complaint("fails_whatever_happens", &[]);
    assert!(told.contains("faults is needed for it"), "{told}");
    assert_eq!(value(&told, "KRUG_SIM_FAULTS="), "none");
}
