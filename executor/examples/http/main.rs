//! A server of static files: HTTP/1.1 with keep-alive, pipelining, entity tags and ranges. Files are sent in chunks,
//! one buffer per connection. Nothing outside the folder is served, nor what begins with a dot.
//!
//! ```text
//! cargo run --example http -- 127.0.0.1:8080 .
//! curl -i http://127.0.0.1:8080/README.md
//! ```

use std::io;
use std::net::Shutdown;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use krug::buf::IoBuf;
use krug::fs;
use krug::net::{TcpListener, TcpStream};
use krug::time::timeout;

mod request;
mod response;

use request::{Request, Status};
use response::{Body, Response, find};

/// How long a request's head may take to come, and a chunk to be taken.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection that was ended may still send.
const FAREWELL: Duration = Duration::from_secs(2);
/// How much of a file is in memory at a time.
const CHUNK: usize = 64 << 10;

#[krug::main]
async fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:8080".into());
    let root: Rc<Path> = fs::canonicalize(arguments.next().unwrap_or(".".into()))
        .await?
        .into();
    let listener = TcpListener::bind(&address[..]).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let stream = listener.accept().await?;
        let root = root.clone();
        krug::spawn(async move {
            if let Err(error) = serve(&stream, &root).await {
                eprintln!("a connection ended: {error}");
            }
        });
    }
}

/// Answers request after request. An error is the connection's, and nobody else's.
async fn serve(stream: &TcpStream, root: &Path) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(request::HEAD_MAX);
    let mut buffer = Vec::with_capacity(CHUNK);
    loop {
        let request = match patiently(read_request(stream, &mut received)).await?? {
            Some(request) => request,
            None => return Ok(()),
        };
        let keep_alive = request.as_ref().is_ok_and(|request| request.keep_alive);
        let is_head = request.as_ref().is_ok_and(|request| request.is_head);
        let response = match request {
            Ok(request) => find(root, &request)
                .await
                .unwrap_or_else(Response::of_status),
            Err(status) => Response::of_status(status),
        };
        buffer = send(stream, response, is_head, keep_alive, buffer).await?;
        if !keep_alive {
            return hang_up(stream, buffer).await;
        }
    }
}

/// The next request, or why it is none; `None` if the client has finished. What came behind it stays in `received`.
async fn read_request(
    stream: &TcpStream,
    received: &mut Vec<u8>,
) -> io::Result<Option<Result<Request, Status>>> {
    loop {
        match request::parse(received) {
            Ok(Some((request, len))) => {
                received.drain(..len);
                return Ok(Some(Ok(request)));
            }
            Ok(None) => {}
            Err(status) => return Ok(Some(Err(status))),
        }
        let begin = received.len();
        let part = std::mem::take(received).slice(begin..);
        let (result, part) = stream.read(part).await;
        *received = part.into_inner();
        if result? == 0 {
            return Ok(None);
        }
    }
}

/// Sends head and body, through `buffer`, which comes back.
async fn send(
    stream: &TcpStream,
    response: Response,
    is_head: bool,
    keep_alive: bool,
    mut buffer: Vec<u8>,
) -> io::Result<Vec<u8>> {
    buffer.clear();
    buffer.extend_from_slice(response.head(keep_alive).as_bytes());
    let (file, mut range) = match response.body {
        Body::File(file, range) if !is_head => (Some(file), range),
        Body::Text(text) if !is_head => {
            buffer.extend_from_slice(text.as_bytes());
            (None, 0..0)
        }
        _ => (None, 0..0),
    };
    loop {
        if let Some(file) = file.as_ref().filter(|_| !range.is_empty()) {
            // Behind the head, so that a small file travels with it in one piece.
            let begin = buffer.len();
            let room = (range.end - range.start).min((CHUNK - begin) as u64) as usize;
            let part = buffer.slice(begin..begin + room);
            let (result, part) = file.read_at(part, range.start).await;
            buffer = part.into_inner();
            let count = result?;
            if count == 0 {
                // The length is announced already: only the end of the connection can take it back.
                let message = "a file became shorter while it was sent";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
            range.start += count as u64;
        }
        let (result, sent) = patiently(stream.write_all(buffer)).await?;
        result?;
        buffer = sent;
        if range.is_empty() {
            return Ok(buffer);
        }
        buffer.clear();
    }
}

/// Ends the connection so that the last response arrives: closing a socket with bytes unread would reset it, and the
/// client might lose what it has not read yet.
async fn hang_up(stream: &TcpStream, mut buffer: Vec<u8>) -> io::Result<()> {
    stream.shutdown(Shutdown::Write).await?;
    let drain = async {
        loop {
            let (result, read) = stream.read(buffer).await;
            match result {
                Ok(1..) => buffer = read,
                _ => return,
            }
        }
    };
    let _ = timeout(FAREWELL, drain).await;
    Ok(())
}

async fn patiently<F: Future>(future: F) -> io::Result<F::Output> {
    let finished = timeout(PATIENCE, future).await;
    finished.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the client is silent"))
}
