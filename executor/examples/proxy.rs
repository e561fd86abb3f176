//! A TCP proxy: each connection is passed on to another server, both ways, and so is the end of each way. Says how
//! many bytes went each way.
//!
//! ```text
//! cargo run --example proxy -- 127.0.0.1:7001 127.0.0.1:7000
//! cargo run --example echo -- 127.0.0.1:7000      # what it leads to; then: socat - tcp:127.0.0.1:7001
//! ```

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use krug::io::copy_bidirectional;
use krug::net::{TcpListener, TcpStream};
use krug::time::timeout;

/// How long the server behind may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

#[krug::main]
async fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:7001".into());
    let target = arguments.next().unwrap_or("127.0.0.1:7000".into());
    let target: SocketAddr = target.parse().map_err(|_| {
        let message = format!("'{target}' is not an address: write it as 127.0.0.1:7000");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })?;

    let listener = TcpListener::bind(&address[..]).await?;
    println!("listening on {}", listener.local_addr()?);
    for number in 1_u64.. {
        let client = listener.accept().await?;
        krug::spawn(async move {
            match pass_on(client, target).await {
                Ok((there, back)) => {
                    println!("connection {number}: {there} bytes there, {back} bytes back")
                }
                Err(error) => eprintln!("connection {number} failed: {error}"),
            }
        });
    }
    Ok(())
}

/// Both ways until both have ended. Whatever fails, dropping the streams closes both connections.
async fn pass_on(client: TcpStream, target: SocketAddr) -> io::Result<(u64, u64)> {
    let server = timeout(CONNECT_MAX, TcpStream::connect(target))
        .await
        .map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, format!("{target} does not answer"))
        })??;
    // What comes in pieces goes out in the same pieces: waiting for more would only delay it.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional(&client, &server).await
}
