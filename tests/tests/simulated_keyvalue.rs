//! The example of a key-value store, in simulated worlds whose power fails: what was acknowledged is there.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use krug::fs::JournalOptions;
use krug::net::TcpStream;
use krug::rand;
use krug::sim::{Sim, address_of};
use krug::time::{sleep, timeout};

#[path = "../../executor/examples/keyvalue/resp.rs"]
mod resp;
#[path = "../../executor/examples/keyvalue/server.rs"]
mod server;
#[path = "../../executor/examples/keyvalue/store.rs"]
mod store;

krug::interpose!();

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const PORT: u16 = 6380;
/// How many changes each client makes.
const CHANGES: usize = 40;

/// Sends one command and answers with the line or text that comes back.
async fn ask(stream: &TcpStream, command: &str) -> io::Result<String> {
    let words: Vec<&str> = command.split(' ').collect();
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.write_all(request).await.0?;
    let mut reply = Vec::new();
    loop {
        let (read, buffer) = stream.read(Vec::with_capacity(100)).await;
        if read? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reply.extend(buffer);
        let text = String::from_utf8_lossy(&reply);
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        let is_whole = text.ends_with("\r\n")
            && match lines.first() {
                Some(first) if first.starts_with('$') && *first != "$-1" => lines.len() > 1,
                first => first.is_some(),
            };
        if is_whole {
            return Ok(lines.last().copied().unwrap_or_default().to_owned());
        }
    }
}

/// What a key may hold: what was acknowledged last, and what was sent since and has got no answer.
#[derive(Debug)]
struct Known {
    acknowledged: Option<String>,
    in_doubt: Vec<String>,
    /// What was sent over a connection that was given up may arrive behind what was sent over the next one.
    may_be_late: bool,
}

impl Known {
    fn new(may_be_late: bool) -> Known {
        Known {
            acknowledged: None,
            in_doubt: Vec::new(),
            may_be_late,
        }
    }

    fn check(&mut self, found: &str) {
        let found = (found != "$-1").then(|| found.to_owned());
        let is_known = found == self.acknowledged
            || found
                .as_ref()
                .is_some_and(|found| self.in_doubt.contains(found));
        assert!(is_known, "{found:?} is there, instead of {self:?}");
        // Whoever has seen it sees it again, unless something arrives late.
        self.acknowledged = found;
        if !self.may_be_late {
            self.in_doubt.clear();
        }
    }
}

/// Changes keys of its own and looks at them, over as many connections as it takes.
async fn client(name: usize, may_be_late: bool) {
    let known: RefCell<BTreeMap<String, Known>> = RefCell::default();
    let changes = RefCell::new(0);
    while *changes.borrow() < CHANGES {
        let talk = async {
            let stream = TcpStream::connect((address_of("store"), PORT)).await?;
            while *changes.borrow() < CHANGES {
                let key = format!("{name}.{}", rand::below(5));
                if rand::below(3) == 0 {
                    let found = ask(&stream, &format!("GET {key}")).await?;
                    known
                        .borrow_mut()
                        .entry(key)
                        .or_insert_with(|| Known::new(may_be_late))
                        .check(&found);
                    continue;
                }
                let value = rand::u64().to_string();
                let in_doubt = value.clone();
                known
                    .borrow_mut()
                    .entry(key.clone())
                    .or_insert_with(|| Known::new(may_be_late))
                    .in_doubt
                    .push(in_doubt);
                let answer = ask(&stream, &format!("SET {key} {value}")).await?;
                assert_eq!(answer, "+OK");
                known
                    .borrow_mut()
                    .entry(key)
                    .or_insert_with(|| Known::new(may_be_late))
                    .check(&value);
                *changes.borrow_mut() += 1;
            }
            Ok::<_, io::Error>(())
        };
        // A server without power says nothing.
        let _ = timeout(SECOND, talk).await;
        sleep(MS * 20).await;
    }
    for (key, mut known) in known.take() {
        known.check(&look(&key).await);
    }
}

/// What is under a key, over as many connections as it takes.
async fn look(key: &str) -> String {
    loop {
        let talk = async {
            let stream = TcpStream::connect((address_of("store"), PORT)).await?;
            ask(&stream, &format!("GET {key}")).await
        };
        if let Ok(Ok(found)) = timeout(SECOND, talk).await {
            return found;
        }
        sleep(MS * 20).await;
    }
}

async fn serve() {
    // It ends when its disk fails, and is started again with the next power failure.
    let options = JournalOptions::new().segment_size(1 << 16);
    let _ = server::run(&format!("0.0.0.0:{PORT}"), Some(("/data/journal", options))).await;
}

/// Power fails at moments of the seed, as long as the clients work, and for the last time a while before they look.
fn with_failures(sim: &mut Sim, may_be_late: bool) {
    sim.host("store", serve);
    for name in 0..3 {
        sim.client(&format!("client {name}"), client(name, may_be_late));
    }
    let mut moment = 0;
    for _ in 0..10 {
        moment += 20 + (sim.seed() * 7919 + moment * 31) % 200;
        sim.at(Duration::from_millis(moment), |sim| sim.bounce("store"));
    }
    sim.limit(SECOND * 600);
}

#[krug::sim_test(seeds = 30)]
fn what_the_store_has_acknowledged_survives_every_power_failure(sim: &mut Sim) {
    with_failures(sim, false);
    sim.run().unwrap();
}

#[krug::sim_test(seeds = 30)]
fn what_it_has_acknowledged_survives_every_failure_of_power_disk_and_network(sim: &mut Sim) {
    with_failures(sim, true);
    sim.disk_of("store", |disks| _ = disks.sync_errors(0.02));
    sim.net(|links| _ = links.loss(0.05));
    // A server whose disk has failed has ended: it is started again.
    for second in 3..600 {
        sim.at(SECOND * second, |sim| {
            if !sim.is_running("store") {
                sim.bounce("store");
            }
        });
    }
    sim.run().unwrap();
}
