//! The chapter on replaying a failure shows this code, and what it prints.
//!
//! `KRUG_GOLDEN=write cargo test -p krug-tests --test simulation_chapter` writes what is printed into the chapter anew.

use std::process::Command;

krug::interpose!();

/// Set in the processes that tests start.
const LOOKED_AT: &str = "KRUG_TESTS_LOOKED_AT";
const CHAPTER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../executor/src/sim/chapter.md"
);
const OWN: &str = include_str!("simulation_chapter.rs");

mod server {
    // shown
    use krug::net::{TcpListener, TcpStream};

    /// Keeps an account: whoever sends an amount, eight bytes, gets the new balance.
    async fn serve(listener: TcpListener) {
        let mut balance = 0;
        while let Ok(stream) = listener.accept().await {
            while let Some(amount) = receive(&stream).await {
                balance += amount;
                let (sent, _) = stream.write_all(balance.to_be_bytes().to_vec()).await;
                sent.expect("the client waits for its balance");
            }
        }
    }

    async fn receive(stream: &TcpStream) -> Option<u64> {
        let (read, bytes) = stream.read(vec![0; 8]).await;
        match read {
            Ok(1..) => Some(u64::from_be_bytes(bytes.try_into().ok()?)),
            _ => None,
        }
    }

    async fn deposit(stream: &TcpStream, amount: u64) -> u64 {
        let (sent, _) = stream.write_all(amount.to_be_bytes().to_vec()).await;
        sent.expect("the server listens");
        let (read, bytes) = stream.read_exact(vec![0; 8]).await;
        read.expect("the server answers");
        u64::from_be_bytes(bytes.try_into().unwrap())
    }
    // end

    // shown
    #[krug::test]
    async fn what_is_deposited_adds_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        krug::spawn(serve(listener));
        let stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(deposit(&stream, 300).await, 300);
        assert_eq!(deposit(&stream, 20).await, 320);
    }
    // end

    // shown
    #[krug::sim_test(seeds = 100)]
    fn what_is_deposited_adds_up_everywhere(sim: &mut krug::sim::Sim) {
        // not shown
        if std::env::var_os(super::LOOKED_AT).is_none() {
            return;
        }
        // shown again
        sim.host("bank", || async {
            let listener = TcpListener::bind("0.0.0.0:7000").await.unwrap();
            serve(listener).await;
        });
        sim.client("anna", async {
            let bank = krug::sim::address_of("bank");
            let stream = TcpStream::connect((bank, 7000)).await.unwrap();
            assert_eq!(deposit(&stream, 300).await, 300);
            assert_eq!(deposit(&stream, 20).await, 320);
        });
        sim.run().unwrap();
    }
    // end
}

mod mended {
    use krug::net::{TcpListener, TcpStream};

    async fn serve(listener: TcpListener) {
        let mut balance = 0;
        while let Ok(stream) = listener.accept().await {
            while let Some(amount) = receive(&stream).await {
                balance += amount;
                let (sent, _) = stream.write_all(balance.to_be_bytes().to_vec()).await;
                sent.expect("the client waits for its balance");
            }
        }
    }

    // shown
    async fn receive(stream: &TcpStream) -> Option<u64> {
        let (read, bytes) = stream.read_exact(vec![0; 8]).await;
        read.ok()?;
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    }
    // end

    #[krug::sim_test(seeds = 100)]
    fn what_is_deposited_adds_up_everywhere(sim: &mut krug::sim::Sim) {
        sim.host("bank", || async {
            let listener = TcpListener::bind("0.0.0.0:7000").await.unwrap();
            serve(listener).await;
        });
        sim.client("anna", async {
            let bank = krug::sim::address_of("bank");
            let stream = TcpStream::connect((bank, 7000)).await.unwrap();
            for (amount, balance) in [(300_u64, 300), (20, 320)] {
                let (sent, _) = stream.write_all(amount.to_be_bytes().to_vec()).await;
                sent.unwrap();
                let (read, bytes) = stream.read_exact(vec![0; 8]).await;
                read.unwrap();
                assert_eq!(u64::from_be_bytes(bytes.try_into().unwrap()), balance);
            }
        });
        sim.run().unwrap();
    }
}

/// The pieces of this file that the chapter shows, without what is not shown, and moved to the left.
fn shown() -> Vec<String> {
    let mut pieces = Vec::new();
    let mut is_shown = false;
    let mut piece = String::new();
    for line in OWN.lines() {
        match line.trim() {
            "// shown" | "// shown again" => is_shown = true,
            "// not shown" => is_shown = false,
            "// end" => {
                is_shown = false;
                pieces.push(std::mem::take(&mut piece));
            }
            _ if is_shown => {
                piece.push_str(line.strip_prefix("    ").unwrap_or(line));
                piece.push('\n');
            }
            _ => {}
        }
    }
    pieces
}

#[test]
fn the_chapter_shows_the_code_that_is_tested() {
    let chapter = std::fs::read_to_string(CHAPTER).unwrap();
    let pieces = shown();
    assert_eq!(pieces.len(), 4);
    for piece in pieces {
        assert!(
            chapter.contains(&piece),
            "the chapter does not show\n{piece}"
        );
    }
}

#[test]
fn the_chapter_shows_what_is_printed() {
    let chapter = std::fs::read_to_string(CHAPTER).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("run.txt");
    let run = |environment: &[(&str, &str)], test: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", test, "--nocapture"])
            .env(LOOKED_AT, "1");
        for name in ["SEED", "SEEDS", "CHECK", "TRACE", "FAULTS", "SHRINK"] {
            command.env_remove(format!("KRUG_SIM_{name}"));
        }
        command
            .env("RUST_BACKTRACE", "0")
            .envs(environment.iter().copied());
        command.output().unwrap()
    };
    let test = "server::what_is_deposited_adds_up_everywhere";
    let failed = run(&[("KRUG_SIM_TRACE", trace.to_str().unwrap())], test);
    assert!(!failed.status.success());
    let failed = String::from_utf8(failed.stderr).unwrap();
    let again = failed
        .lines()
        .find_map(|line| line.strip_prefix("to see it again: "));
    let again = again.expect(&failed);
    let seed = again
        .strip_prefix("KRUG_SIM_SEED=")
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    // The one line does what it says.
    let replayed = run(&[("KRUG_SIM_SEED", seed)], test);
    assert_eq!(
        panics(&failed),
        panics(&String::from_utf8(replayed.stderr).unwrap())
    );
    let mended = "mended::what_is_deposited_adds_up_everywhere";
    assert!(run(&[("KRUG_SIM_CHECK", "1")], mended).status.success());

    let again = again.replace("server::", "");
    let failure = format!(
        "$ cargo test adds_up\n{}to see it again: {again}\n{}",
        panics(&failed),
        least(&failed)
    );
    let replay = format!("$ KRUG_SIM_TRACE=run.txt {again}\n$ less run.txt\n");
    let text = std::fs::read_to_string(trace).unwrap();
    let mut wanted = with(&chapter, "failure", &failure);
    wanted = with(&wanted, "trace", &format!("{replay}{}", excerpt(&text)));
    if std::env::var_os("KRUG_GOLDEN").is_some_and(|what| what == "write") {
        std::fs::write(CHAPTER, wanted).unwrap();
        return;
    }
    let lines = chapter.lines().zip(wanted.lines());
    for (shown, printed) in lines {
        assert_eq!(
            shown, printed,
            "write it anew: KRUG_GOLDEN=write, see the head of this program"
        );
    }
    assert_eq!(chapter.lines().count(), wanted.lines().count());
}

/// What the panics say, without numbers of threads, of lines, and without hints.
fn panics(printed: &str) -> String {
    let mut told = String::new();
    let mut is_told = false;
    for line in printed.lines() {
        if let Some((thread, rest)) = line.split_once("' (") {
            let (_, place) = rest.split_once(" panicked at ").unwrap_or_default();
            let file = place.rsplit('/').next().unwrap_or_default();
            let file = file.split(':').next().unwrap_or_default();
            is_told = thread.contains("'seed ");
            if is_told {
                let file = file.replace("simulation_chapter.rs", "bank.rs");
                told.push_str(&format!("{thread}' panicked at {file}:\n"));
            }
            continue;
        }
        is_told &= !line.is_empty() && !line.starts_with("note: ") && !line.starts_with("to see");
        if is_told {
            told.push_str(&format!("{line}\n"));
        }
    }
    told
}

/// How little has to go wrong, as it is printed behind the line that repeats the failure.
fn least(printed: &str) -> String {
    let lines = printed
        .lines()
        .skip_while(|line| !line.starts_with("to see it again"));
    let told = lines.skip(1).take_while(|line| !line.is_empty());
    told.map(|line| format!("{}\n", line.replace("server::", "")))
        .collect()
}

/// What happens from the first deposit on, as the chapter shows it.
fn excerpt(trace: &str) -> String {
    let lines: Vec<&str> = trace.lines().collect();
    let first = lines
        .iter()
        .position(|line| line.contains("anna       begins Send"));
    let mut told = String::new();
    for line in &lines[first.unwrap_or(0)..] {
        // Whatever moves bytes; who acknowledges what does not matter here.
        if !line.contains("TCP ACK") {
            told.push_str(&format!("{line}\n"));
        }
    }
    told
}

/// The chapter with this text in the block behind the mark of this name.
fn with(chapter: &str, name: &str, text: &str) -> String {
    let mark = format!("<!-- printed: {name} -->\n```text\n");
    let (before, rest) = chapter.split_once(&mark).expect("the mark is there");
    let (_, after) = rest.split_once("```\n").expect("the block ends");
    format!("{before}{mark}{text}```\n{after}")
}
