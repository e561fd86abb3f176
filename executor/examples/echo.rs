//! An echo server: every connection is a task, every read and write one submission.

use krug::net::{TcpListener, TcpStream};

#[krug::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:7000")).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        krug::spawn(echo(listener.accept().await?));
    }
}

async fn echo(stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let (received, data) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let (sent, data) = stream.write_all(data).await;
        sent?;
        buffer = data;
    }
}
