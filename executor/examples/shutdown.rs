//! An echo server that ends in good order: ctrl-c or `SIGTERM` has it accept nobody new and give its clients ten seconds to finish; a
//! second one has it wait no longer.

use std::time::Duration;

use krug::net::{TcpListener, TcpStream};
use krug::shutdown::{Shutdown, ShutdownToken};
use krug::signal::{Signal, SignalKind, unix};

const GRACE: Duration = Duration::from_secs(10);

#[krug::main]
async fn main() -> std::io::Result<()> {
    let mut ends = Ends::listen()?;
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:7000")).await?;
    println!("listening on {}", listener.local_addr()?);
    let shutdown = Shutdown::new();
    loop {
        krug::select! {
            accepted = listener.accept() => {
                let stream = accepted?;
                let name = format!("client {}", stream.peer_addr()?);
                shutdown.spawn_named(name, echo(stream, shutdown.token()));
            }
            told = ends.recv() => break told?,
        }
    }
    // Its port can be bound again, by the one who takes over.
    drop(listener.close().await?);
    println!("no more clients; waiting for {}", shutdown.tracked());
    let report = krug::select! {
        report = shutdown.shutdown(GRACE) => report,
        _ = ends.recv() => shutdown.shutdown(Duration::ZERO).await,
    };
    for straggler in &report.cancelled {
        println!("had to be cancelled: {straggler}");
    }
    println!("good bye");
    Ok(())
}

/// What asks the program to end.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
}

impl Ends {
    fn listen() -> std::io::Result<Ends> {
        Ok(Ends {
            interrupt: unix(SignalKind::interrupt())?,
            terminate: unix(SignalKind::terminate())?,
        })
    }

    async fn recv(&mut self) -> std::io::Result<()> {
        krug::select! {
            told = self.interrupt.recv() => told,
            told = self.terminate.recv() => told,
        }
    }
}

/// Sends back what comes. Told to end, it finishes what it has begun: a client that is silent then has finished.
async fn echo(stream: TcpStream, token: ShutdownToken) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        // What a dropped read would have got stays with the stream; here nobody comes for it.
        let Some((received, data)) = token.run_until_requested(stream.read(buffer)).await else {
            return stream.close().await;
        };
        if received? == 0 {
            return Ok(());
        }
        let (sent, data) = stream.write_all(data).await;
        sent?;
        buffer = data;
    }
}
