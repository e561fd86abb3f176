//! An echo server on every core: each has a listener of its own, and the kernel deals connections out among them.

use std::net::SocketAddr;

use krug::net::{TcpSocket, TcpStream};

#[krug::main(cores = "all")]
async fn main() {
    let text = std::env::args().nth(1);
    let text = text.as_deref().unwrap_or("127.0.0.1:7000");
    let address: SocketAddr = text.parse().expect("an address such as 127.0.0.1:7000");
    krug::run_on_every(move |core| async move {
        let served = serve(core, address).await;
        served.unwrap_or_else(|error| panic!("core {core} cannot serve {address}: {error}"));
    })
    .await;
}

async fn serve(core: usize, address: SocketAddr) -> std::io::Result<()> {
    let socket = TcpSocket::new().reuse_port(true).bind(address)?;
    let listener = socket.listen(1024).await?;
    println!("core {core}: listening on {}", listener.local_addr()?);
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
