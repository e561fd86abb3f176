//! A small key-value store that speaks the protocol of Redis (RESP 2): GET, SET, INCR, DEL, EXISTS, PING, ECHO, CONFIG GET,
//! COMMAND, QUIT. What is acknowledged is on the disk, and what is read, too: every change goes through a journal first.
//!
//! ```text
//! cargo run --release --example keyvalue -- 127.0.0.1:6380 /tmp/keyvalue       # or --memory for no journal
//! redis-cli -p 6380 set hero 33; redis-cli -p 6380 incr hero
//! ```
//!
//! The journal only grows: a store for many changes would write a snapshot now and then, and call
//! `Journal::remove_before`.

use std::io;

use krug::fs::JournalOptions;

mod resp;
mod server;
mod store;

#[krug::main]
async fn main() -> io::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_kept = !arguments.iter().any(|argument| argument == "--memory");
    arguments.retain(|argument| argument != "--memory");
    let mut arguments = arguments.into_iter();
    let address = arguments.next().unwrap_or("127.0.0.1:6380".into());
    let folder = arguments.next().unwrap_or("keyvalue.journal".into());
    let kept = is_kept.then(|| (&folder[..], JournalOptions::new()));
    server::run(&address, kept).await
}
