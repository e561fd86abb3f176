//! What the environment asks of simulated tests: seeds, runs that are compared, and traces.

use std::io;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime};

use krug::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use krug::sim::{Failure, Sim, address_of};
use krug::time::sleep;
use krug::{rand, spawn};

mod packets;

krug::interpose!();

const MS: Duration = Duration::from_millis(1);
/// Set in the processes that tests start.
const LOOKED_AT: &str = "KRUG_TESTS_LOOKED_AT";

/// Runs one of the tests below in a process of its own, in this environment.
fn run(test: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    command.env(LOOKED_AT, "1");
    for name in ["SEED", "SEEDS", "CHECK", "TRACE"] {
        command.env_remove(format!("KRUG_SIM_{name}"));
    }
    command.env_remove("RUST_BACKTRACE");
    command.envs(environment.iter().copied());
    command.output().unwrap()
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server that sends everything back, and a client that asks three times and ends its side.
fn echo(sim: &mut Sim) {
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:7").await.unwrap();
        loop {
            let stream = listener.accept().await.unwrap();
            spawn(async move {
                loop {
                    let (read, buffer) = stream.read(Vec::with_capacity(100)).await;
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                    stream.write_all(buffer).await.0.unwrap();
                }
            });
        }
    });
    sim.client("client", async {
        let stream = TcpStream::connect((address_of("server"), 7)).await.unwrap();
        for _ in 0..3 {
            let said = vec![7_u8; 10 + rand::below(50) as usize];
            let length = said.len();
            stream.write_all(said).await.0.unwrap();
            let (read, _) = stream.read_exact(vec![0; length]).await;
            read.unwrap();
        }
        drop(stream);
        sleep(MS * 10).await;
    });
}

/// Sleeps in turns with tasks of its own.
fn sleepy(sim: &mut Sim, pause: impl Fn() -> Duration + Clone + 'static) {
    sim.client("sleepy", async move {
        for _ in 0..5 {
            sleep(MS).await;
        }
        sleep(pause()).await;
    });
}

#[krug::sim_test(seeds = 5)]
fn a_function_becomes_a_test_under_many_seeds(sim: &mut Sim) {
    echo(sim);
    sim.run().unwrap();
}

#[krug::sim_test]
fn a_simulated_test_may_return_a_result(sim: &mut Sim) -> Result<(), Failure> {
    sleepy(sim, || MS);
    sim.run()
}

#[krug::sim_test(seeds = 10)]
#[should_panic(expected = "the test has returned an error")]
fn an_error_that_is_returned_is_a_failure(sim: &mut Sim) -> io::Result<()> {
    match sim.seed() {
        7 => Err(io::Error::other("seven")),
        _ => Ok(()),
    }
}

// What other tests run in processes of their own, and look at. By themselves they do nothing.

fn is_looked_at() -> bool {
    std::env::var_os(LOOKED_AT).is_some()
}

#[krug::sim_test(seeds = 20)]
fn fails_under_twelve(sim: &mut Sim) {
    if !is_looked_at() {
        return;
    }
    echo(sim);
    sim.run().unwrap();
    println!("seed {} has run", sim.seed());
    assert!(sim.seed() < 12, "twelve and more");
}

#[krug::sim_test(seeds = 2)]
fn echoes(sim: &mut Sim) {
    if !is_looked_at() {
        return;
    }
    echo(sim);
    sim.run().unwrap();
}

#[krug::sim_test(seeds = 1)]
fn sleeps_as_long_as_an_address_says(sim: &mut Sim) {
    if !is_looked_at() {
        return;
    }
    // Kept, so that the next run gets another one.
    let object = Box::leak(Box::new(0_u64));
    let address = std::ptr::from_ref(object).addr() as u64;
    sleepy(sim, move || Duration::from_nanos(address % 1_000_000_007));
    sim.run().unwrap();
}

#[krug::sim_test(seeds = 1)]
fn sends_as_much_as_a_global_variable_says(sim: &mut Sim) {
    if !is_looked_at() {
        return;
    }
    static RUNS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(10);
    sim.client("sender", async {
        let (one, _other) = UnixStream::pair().unwrap();
        let length = RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        one.write_all(vec![0; length]).await.0.unwrap();
    });
    sim.run().unwrap();
}

#[test]
fn the_environment_chooses_the_seeds() {
    let all = complaint(&run("fails_under_twelve", &[]));
    assert!(
        all.contains("to see it again: KRUG_SIM_SEED=12 cargo test fails_under_twelve"),
        "{all}"
    );
    let one = run("fails_under_twelve", &[("KRUG_SIM_SEED", "3")]);
    assert!(one.status.success(), "{one:?}");
    let told = String::from_utf8_lossy(&one.stdout).into_owned();
    assert_eq!(told.matches("has run").count(), 1);
    assert!(told.contains("seed 3 has run"), "{told}");
    let few = run("fails_under_twelve", &[("KRUG_SIM_SEEDS", "12")]);
    assert!(few.status.success(), "{few:?}");
    let wrong = complaint(&run("fails_under_twelve", &[("KRUG_SIM_SEED", "x")]));
    assert!(
        wrong.contains("KRUG_SIM_SEED=x: it should be a whole number"),
        "{wrong}"
    );
}

#[test]
fn two_runs_of_the_same_are_the_same() {
    for test in ["echoes", "a_function_becomes_a_test_under_many_seeds"] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test]).env(LOOKED_AT, "1");
        command.env("KRUG_SIM_CHECK", "1");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn the_first_event_is_told_in_which_two_runs_differ() {
    let told = complaint(&run(
        "sleeps_as_long_as_an_address_says",
        &[("KRUG_SIM_CHECK", "1")],
    ));
    for words in [
        "seed 0 does not lead to the same run twice",
        "they part at event",
        "first:  at ",
        "second: at ",
        "sleepy: takes a turn",
    ] {
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
    // Without being asked, nobody notices.
    assert!(
        run("sleeps_as_long_as_an_address_says", &[])
            .status
            .success()
    );
}

#[test]
fn operations_that_differ_are_told_before_their_completions_do() {
    let told = complaint(&run(
        "sends_as_much_as_a_global_variable_says",
        &[("KRUG_SIM_CHECK", "1")],
    ));
    let first = told
        .lines()
        .find(|line| line.contains("first:  "))
        .expect(&told);
    let second = told
        .lines()
        .find(|line| line.contains("second: "))
        .expect(&told);
    assert!(first.contains("sender: begins Send"), "{told}");
    assert_ne!(
        first.split("begins").nth(1),
        second.split("begins").nth(1),
        "{told}"
    );
}

/// The trace of a test, written to a file of this ending.
fn trace(test: &str, ending: &str, environment: &[(&str, &str)]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("run.{ending}"));
    let mut all = vec![("KRUG_SIM_TRACE", path.to_str().unwrap())];
    all.extend(environment);
    run(test, &all);
    std::fs::read(path).unwrap()
}

#[test]
fn a_trace_tells_in_words_what_happens() {
    let text = String::from_utf8(trace("echoes", "txt", &[])).unwrap();
    assert!(
        text.starts_with("# a simulation of krug, seed 1\n"),
        "{text}"
    );
    let mut rest = &*text;
    for words in [
        "server     starts",
        "client     begins Connect #1 10.0.0.1:7\n",
        "client     sends server TCP SYN (",
        "server     begins AcceptMultishot #0\n",
        "server     gets from client TCP SYN (",
        "client     gets from server TCP SYN ACK (",
        "client     Connect #",
        " → 0\n",
        "client     begins Send #1 length=",
        "server     gets from client TCP ",
        "client     sends server TCP FIN",
        "# the end of seed 1 at ",
    ] {
        let Some((_, after)) = rest.split_once(words) else {
            panic!("{words:?} does not follow in {text}");
        };
        rest = after;
    }
    assert!(
        !text.contains("0x"),
        "addresses of memory differ from run to run"
    );
    assert_eq!(
        text,
        String::from_utf8(trace("echoes", "txt", &[])).unwrap()
    );
}

#[test]
fn the_trace_that_remains_is_that_of_the_seed_that_fails() {
    let text = String::from_utf8(trace("fails_under_twelve", "txt", &[])).unwrap();
    assert!(
        text.starts_with("# a simulation of krug, seed 12\n"),
        "{text}"
    );
}

#[test]
fn a_trace_that_cannot_be_written_is_no_failure() {
    let output = run("echoes", &[("KRUG_SIM_TRACE", "/nowhere/run.txt")]);
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("KRUG_SIM_TRACE=/nowhere/run.txt: it cannot be written"),
        "{told}"
    );
}

#[test]
fn a_capture_holds_the_packets_with_headers_that_fit() {
    let bytes = trace("echoes", "pcapng", &[]);
    let packets = packets::read(&bytes);
    let connection = packets::follow(&packets, 7);
    assert_eq!(connection.asked.len(), connection.answered.len());
    assert!(
        connection
            .asked
            .iter()
            .chain(&connection.answered)
            .all(|byte| *byte == 7)
    );
    assert!(connection.asked.len() >= 30);
    let times: Vec<u64> = packets.iter().map(|packet| packet.time).collect();
    assert!(times.is_sorted());
    // The first of January 2026.
    assert!((1_767_225_600_000_000_000..1_767_225_601_000_000_000).contains(&times[0]));
}

/// What tshark says of a capture, if it is there.
fn tshark(capture: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("tshark");
    command
        .arg("-r")
        .arg(capture)
        .args(["-o", "ip.check_checksum:TRUE"]);
    command.args([
        "-o",
        "tcp.check_checksum:TRUE",
        "-o",
        "udp.check_checksum:TRUE",
    ]);
    match command.args(arguments).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            eprintln!("skipped: tshark is not installed");
            None
        }
        output => {
            let output = output.unwrap();
            assert!(output.status.success(), "{output:?}");
            Some(String::from_utf8(output.stdout).unwrap())
        }
    }
}

#[test]
fn tshark_finds_nothing_wrong_with_a_capture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.pcapng");
    for test in ["echoes", "everything_that_packets_can_be"] {
        let output = run(test, &[("KRUG_SIM_TRACE", path.to_str().unwrap())]);
        assert!(output.status.success(), "{output:?}");
        let Some(wrong) = tshark(
            &path,
            &[
                "-Y",
                "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 \
                 || tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment || tcp.analysis.out_of_order",
            ],
        ) else {
            return;
        };
        assert_eq!(wrong, "", "{test}");
        let all = tshark(&path, &[]).unwrap();
        assert!(all.contains("[SYN, ACK]"), "{all}");
        assert!(all.contains("[FIN, ACK]"), "{all}");
    }
    let all = tshark(&path, &[]).unwrap();
    for word in ["UDP", "[RST, ACK]", "fd00::", "Retransmission"] {
        assert!(all.contains(word), "there is no {word} in {all}");
    }
}

#[krug::sim_test(seeds = 1)]
fn everything_that_packets_can_be(sim: &mut Sim) {
    if !is_looked_at() {
        return;
    }
    echo(sim);
    sim.net(|net| {
        net.loss(0.1);
    });
    sim.host("datagrams", || async {
        let socket = UdpSocket::bind("[::]:9").await.unwrap();
        loop {
            let (received, _) = socket.recv_from(vec![0; 100]).await;
            received.unwrap();
        }
    });
    sim.client("sender", async {
        // Of version 6, which hosts have as well; and more than fits into one packet.
        let socket = UdpSocket::bind("[::]:0").await.unwrap();
        let target: std::net::IpAddr = "fd00::2".parse().unwrap();
        for length in [0, 1, 999, 60_000] {
            socket
                .send_to(vec![1; length], (target, 9))
                .await
                .0
                .unwrap();
        }
        let refused = TcpStream::connect((address_of("server"), 8)).await;
        assert_eq!(
            refused.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        let stream = TcpStream::connect((address_of("server"), 7)).await.unwrap();
        stream.write_all(vec![2; 100_000]).await.0.unwrap();
        stream.read_exact(vec![0; 100_000]).await.0.unwrap();
        sleep(MS * 50).await;
        stream.write_all(vec![3; 10]).await.0.unwrap();
        stream.read_exact(vec![0; 10]).await.0.unwrap();
    });
    let rule = sim.rule({
        let mut dropped = 0;
        move |packet| match packet.payload().first() {
            Some(3) if dropped < 3 => {
                dropped += 1;
                krug::sim::Verdict::Drop
            }
            _ => krug::sim::Verdict::Pass,
        }
    });
    sim.run().unwrap();
    drop(rule);
}

#[test]
fn a_plain_program_is_traced_too() {
    let text = String::from_utf8(trace("runs_by_itself", "txt", &[])).unwrap();
    assert!(text.contains("localhost  begins Open"), "{text}");
    assert!(text.contains("\"/tmp/file\""), "{text}");
    assert!(text.contains(" → ENOENT"), "{text}");
    assert!(text.contains("# the end of seed 5 at "), "{text}");
}

#[test]
fn the_environment_chooses_the_seed_of_a_plain_program_that_leaves_it_open() {
    let end = |seed| {
        let environment = [("KRUG_SIM_SEED", seed), ("KRUG_DRIVER", "sim")];
        let text = String::from_utf8(trace("runs_by_itself_under_any_seed", "txt", &environment));
        let text = text.unwrap();
        text.lines().last().expect(&text).to_owned()
    };
    assert!(end("17").starts_with("# the end of seed 17 at "));
    assert_eq!(end("17"), end("17"));
    assert_ne!(end("17"), end("18"));
    let wrong = [("KRUG_SIM_SEED", "x"), ("KRUG_DRIVER", "sim")];
    let told = complaint(&run("runs_by_itself_under_any_seed", &wrong));
    assert!(
        told.contains("KRUG_SIM_SEED=x: it should be a whole number"),
        "{told}"
    );
}

#[krug::test]
async fn runs_by_itself_under_any_seed() {
    sleep(MS * rand::below(100) as u32).await;
}

#[test]
fn runs_by_itself() {
    if !is_looked_at() {
        return;
    }
    let builder = krug::Runtime::builder().seed(5);
    let runtime = builder.driver(krug::runtime::Driver::Sim).build().unwrap();
    runtime.block_on(async {
        let (began, date) = (Instant::now(), SystemTime::now());
        krug::fs::read("/tmp/file").await.unwrap_err();
        sleep(MS).await;
        // Without a world of several hosts, clocks of the standard library are the system's.
        assert!(began.elapsed() < MS * 60_000 && date.elapsed().is_ok());
    });
}
