//! A chat by lines over TCP: everybody says a name first, then each line goes to everybody else. Who reads
//! too slowly is told how many messages were missed, and holds nobody up.
//!
//! ```text
//! cargo run --example chat -- 127.0.0.1:7002
//! socat readline tcp:127.0.0.1:7002      # several times; or: nc 127.0.0.1 7002
//! ```

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;

use krug::io::{BufReader, Split};
use krug::net::{TcpListener, TcpStream};
use krug::sync::broadcast;

/// The longest line, in bytes with its end.
const LINE_MAX: usize = 1024;
/// The longest name, in letters.
const NAME_MAX: usize = 24;
/// So many messages are kept for who reads slowly.
const BACKLOG: usize = 64;

struct Message {
    from: String,
    text: String,
}

struct Room {
    names: RefCell<BTreeSet<String>>,
    messages: broadcast::Sender<Rc<Message>>,
}

/// Somebody in the room, until it is dropped.
struct Guest {
    room: Rc<Room>,
    name: String,
}

#[krug::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:7002")).await?;
    println!("listening on {}", listener.local_addr()?);
    let room = Rc::new(Room {
        names: RefCell::default(),
        messages: broadcast::channel(BACKLOG).0,
    });
    loop {
        let stream = listener.accept().await?;
        let room = room.clone();
        krug::spawn(async move {
            match chat(&stream, room).await {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let _ = stream.write_all("* that line is too long\n").await;
                }
                Err(error) => eprintln!("a connection failed: {error}"),
                Ok(()) => {}
            }
        });
    }
}

async fn chat(stream: &TcpStream, room: Rc<Room>) -> io::Result<()> {
    let mut lines = BufReader::new(stream).split(b'\n').max_length(LINE_MAX);
    let guest = loop {
        stream.write_all("* your name?\n").await.0?;
        let Some(name) = next_line(&mut lines).await? else {
            return Ok(());
        };
        match Guest::enter(&room, name) {
            Ok(guest) => break guest,
            Err(reason) => stream.write_all(format!("* {reason}\n")).await.0?,
        };
    };
    // Two loops beside each other, so that neither gives up a read or a write half-way for the sake of the other.
    let messages = room.messages.subscribe();
    stream
        .write_all(format!("* welcome, {}\n", guest.name))
        .await
        .0?;
    guest.say(format!("* {} is here", guest.name));
    krug::select! {
        ended = listen(&mut lines, &guest) => ended,
        ended = tell(stream, messages, &guest) => ended,
    }
}

/// What the guest says, to the room.
async fn listen(lines: &mut Split<&TcpStream>, guest: &Guest) -> io::Result<()> {
    while let Some(line) = next_line(lines).await? {
        if !line.is_empty() {
            guest.say(format!("{}: {line}", guest.name));
        }
    }
    Ok(())
}

/// What the room says, to the guest.
async fn tell(
    stream: &TcpStream,
    mut messages: broadcast::Receiver<Rc<Message>>,
    guest: &Guest,
) -> io::Result<()> {
    loop {
        let line = match messages.recv().await {
            Ok(message) if message.from == guest.name => continue,
            Ok(message) => format!("{}\n", message.text),
            Err(broadcast::RecvError::Lagged(count)) => format!("* you missed {count} messages\n"),
            Err(broadcast::RecvError::Closed) => return Ok(()),
        };
        stream.write_all(line).await.0?;
    }
}

impl Guest {
    /// The reason, if that cannot be the name.
    fn enter(room: &Rc<Room>, name: String) -> Result<Guest, &'static str> {
        // No stars and spaces: nobody shall look like the server.
        let is_name = name.chars().all(char::is_alphanumeric);
        if !is_name || !(1..=NAME_MAX).contains(&name.chars().count()) {
            return Err("a name has 1 to 24 letters or digits");
        }
        if !room.names.borrow_mut().insert(name.clone()) {
            return Err("that name is taken");
        }
        let room = room.clone();
        Ok(Guest { room, name })
    }

    fn say(&self, text: String) {
        let from = self.name.clone();
        // An error says that nobody listens, which is nobody's fault.
        let _ = self.room.messages.send(Rc::new(Message { from, text }));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.room.names.borrow_mut().remove(&self.name);
        self.say(format!("* {} has left", self.name));
    }
}

/// The next line, without control characters, which could play tricks with the terminals of others. `None` at the end.
async fn next_line(lines: &mut Split<&TcpStream>) -> io::Result<Option<String>> {
    let Some(line) = lines.next_part().await? else {
        return Ok(None);
    };
    let mut line = String::from_utf8_lossy(&line).into_owned();
    line.retain(|letter| !letter.is_control());
    Ok(Some(line.trim().to_owned()))
}
