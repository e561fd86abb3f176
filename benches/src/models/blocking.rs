//! One connection after the other's manner: whoever serves it waits for it. Shared by the models that have somebody for each.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::RECEIVED_MAX;
use super::conversation::{After, Conversation, Step};
use super::files::Files;

/// So long a user may keep somebody waiting whom others wait for, too.
const PATIENCE: Duration = Duration::from_secs(2);

/// Serves a connection to its end. An error says that the user has gone, or is too slow.
pub(super) fn serve(mut stream: TcpStream, after: After, files: &Files) -> io::Result<()> {
    if after == After::Close {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
    }
    let mut conversation = Conversation::new(after);
    let mut buffer = [0; RECEIVED_MAX];
    loop {
        match conversation.step() {
            Step::Receive => match stream.read(&mut buffer) {
                Ok(0) => conversation.ended(),
                Ok(count) => conversation.received(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            },
            Step::Send => match stream.write(conversation.unsent()) {
                Ok(count) => conversation.sent(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            },
            Step::Load(name) => conversation.loaded(files.load(&name).as_deref()),
            Step::Close => return Ok(()),
        }
    }
}
