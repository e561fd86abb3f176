//! What a simulated network does to connections and datagrams.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use krug::net::{
    TcpListener, TcpSocket, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream,
};
use krug::sim::{Sim, address_of};
use krug::time::{now, sleep, timeout};
use krug::{rand, spawn};

krug::interpose!();

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const PORT: u16 = 7000;

async fn listen() -> TcpListener {
    TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, PORT))
        .await
        .unwrap()
}

async fn connect() -> io::Result<TcpStream> {
    TcpStream::connect((address_of("server"), PORT)).await
}

/// Sends back whatever comes, on every connection.
async fn echo_server() {
    let listener = listen().await;
    loop {
        let stream = listener.accept().await.unwrap();
        spawn(async move {
            let mut buffer = Vec::with_capacity(1000);
            loop {
                let (received, data) = stream.read(buffer).await;
                if !matches!(received, Ok(1..)) {
                    return;
                }
                let (sent, data) = stream.write_all(data).await;
                if sent.is_err() {
                    return;
                }
                buffer = data;
            }
        });
    }
}

/// Sends so many bytes to the server and demands that they come back.
async fn exchange(count: usize) -> io::Result<()> {
    let stream = Rc::new(connect().await?);
    let bytes: Vec<u8> = (0..count).map(|index| index as u8).collect();
    let (sender, expected) = (stream.clone(), bytes.clone());
    let sending = spawn(async move { sender.write_all(bytes).await.0 });
    let (received, bytes) = stream.read_exact(Vec::with_capacity(count)).await;
    received?;
    assert!(bytes == expected, "the bytes are others");
    sending.await.unwrap()?;
    Ok(())
}

#[test]
fn bytes_come_back_over_every_kind_of_network() {
    for seed in 0..30 {
        let mut sim = Sim::new(seed);
        sim.net(|links| {
            links.latency(MS..MS * 100);
            match seed % 3 {
                0 => _ = links.loss(0.1),
                1 => _ = links.bandwidth(1_000_000),
                _ => {}
            }
        });
        sim.host("server", echo_server);
        for client in 0..3 {
            sim.client(&format!("client {client}"), async {
                exchange(300_000).await.unwrap();
            });
        }
        sim.run().unwrap();
    }
}

#[test]
fn the_same_seed_has_the_same_network() {
    let run = |seed| {
        let mut sim = Sim::new(seed);
        sim.net(|links| _ = links.loss(0.2));
        sim.host("server", echo_server);
        sim.client("client", async { exchange(50_000).await.unwrap() });
        sim.run().unwrap();
        (sim.trace_hash(), sim.events(), sim.elapsed())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn where_nobody_listens_a_connection_is_refused_and_where_nobody_is_it_times_out() {
    let mut sim = Sim::new(1);
    sim.host("server", || sleep(HOUR));
    sim.client("client", async {
        let refused = connect().await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        sleep(SECOND).await;
        let begin = now();
        let silent = connect().await.unwrap_err();
        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
        assert_eq!((now() - begin).as_secs(), 127);
        let nowhere = TcpStream::connect("8.8.8.8:53").await.unwrap_err();
        assert_eq!(nowhere.kind(), io::ErrorKind::NetworkUnreachable);
    });
    sim.at(SECOND / 2, |sim| sim.crash("server"));
    sim.run().unwrap();
}

#[test]
fn a_partition_is_silence_and_what_was_lost_comes_after_its_end() {
    let mut sim = Sim::new(1);
    sim.host("server", echo_server);
    sim.client("client", async {
        let stream = connect().await.unwrap();
        sleep(SECOND * 2).await;
        stream.write_all("hello").await.0.unwrap();
        let reading = stream.read(Vec::with_capacity(5));
        assert!(timeout(SECOND * 5, reading).await.is_err());
        let (received, bytes) = stream.read_exact(Vec::with_capacity(5)).await;
        received.unwrap();
        assert_eq!(bytes, b"hello");
    });
    sim.at(SECOND, |sim| sim.partition("server", "client"));
    sim.at(SECOND * 10, |sim| sim.repair("client", "server"));
    sim.run().unwrap();
    assert!(sim.elapsed() > SECOND * 10);
}

#[test]
fn a_partition_that_lasts_breaks_connections() {
    let mut sim = Sim::new(1);
    sim.host("server", echo_server);
    sim.client("client", async {
        let stream = connect().await.unwrap();
        sleep(SECOND * 2).await;
        stream.write_all("hello").await.0.unwrap();
        let (received, _) = stream.read(Vec::with_capacity(5)).await;
        assert_eq!(received.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(sim_minutes() >= 15);
    });
    sim.at(SECOND, |sim| sim.partition_one_way("client", "server"));
    sim.run().unwrap();
}

/// Minutes since the world began, by its date.
fn sim_minutes() -> u64 {
    let date = std::time::SystemTime::now();
    let since = date.duration_since(std::time::UNIX_EPOCH).unwrap();
    (since.as_secs() - 1_767_225_600) / 60
}

#[test]
fn what_is_held_arrives_in_order_when_it_is_released() {
    let log: Rc<RefCell<Vec<(u8, u64)>>> = Rc::default();
    let mut sim = Sim::new(4);
    let seen = log.clone();
    sim.client("server", async move {
        let socket = UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, PORT))
            .await
            .unwrap();
        for _ in 0..10 {
            let (received, bytes) = socket.recv_from(Vec::with_capacity(1)).await;
            received.unwrap();
            seen.borrow_mut().push((bytes[0], sim_seconds()));
        }
    });
    sim.client("client", async {
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        for number in 0..10_u8 {
            sleep(MS * 10).await;
            let server: SocketAddr = (address_of("server"), PORT).into();
            socket.send_to([number].to_vec(), server).await.0.unwrap();
        }
    });
    sim.hold("client", "server");
    sim.at(SECOND * 3, |sim| sim.release("server", "client"));
    sim.run().unwrap();
    let expected: Vec<_> = (0..10).map(|number| (number, 3)).collect();
    assert_eq!(*log.borrow(), expected);
}

fn sim_seconds() -> u64 {
    let date = std::time::SystemTime::now();
    date.duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        - 1_767_225_600
}

#[test]
fn datagrams_are_lost_doubled_and_overtaken_and_connections_are_not() {
    let (mut lost, mut doubled, mut overtaken) = (0, 0, 0);
    for seed in 0..20 {
        let numbers: Rc<RefCell<Vec<u8>>> = Rc::default();
        let seen = numbers.clone();
        let mut sim = Sim::new(seed);
        sim.net(|links| _ = links.loss(0.2).duplication(0.2).latency(MS..MS * 50));
        sim.client("server", async move {
            let socket = UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, PORT))
                .await
                .unwrap();
            loop {
                let receiving = socket.recv_from(Vec::with_capacity(1));
                let Ok((received, bytes)) = timeout(SECOND, receiving).await else {
                    return;
                };
                received.unwrap();
                seen.borrow_mut().push(bytes[0]);
            }
        });
        sim.client("client", async {
            let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
            let server: SocketAddr = (address_of("server"), PORT).into();
            for number in 0..50_u8 {
                sleep(MS * 5).await;
                socket.send_to([number].to_vec(), server).await.0.unwrap();
            }
        });
        sim.run().unwrap();
        let numbers = numbers.borrow();
        let mut unique = numbers.clone();
        unique.sort_unstable();
        unique.dedup();
        lost += 50 - unique.len();
        doubled += numbers.len() - unique.len();
        overtaken += numbers.windows(2).filter(|pair| pair[0] > pair[1]).count();
    }
    assert!((100..400).contains(&lost), "{lost}");
    assert!((50..300).contains(&doubled), "{doubled}");
    assert!(overtaken > 50, "{overtaken}");
}

#[test]
fn a_connected_datagram_socket_learns_that_nobody_is_there() {
    let mut sim = Sim::new(4);
    sim.host("server", || sleep(HOUR));
    sim.client("client", async {
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        socket.connect((address_of("server"), PORT)).await.unwrap();
        socket.send(b"x".to_vec()).await.0.unwrap();
        let (received, _) = socket.recv(Vec::with_capacity(1)).await;
        assert_eq!(
            received.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    });
    sim.run().unwrap();
}

#[test]
fn half_of_a_connection_can_end() {
    let mut sim = Sim::new(4);
    sim.host("server", || async {
        let stream = listen().await.accept().await.unwrap();
        let (received, bytes) = krug::io::read_to_end(&stream, Vec::new()).await;
        received.unwrap();
        sleep(SECOND).await;
        stream
            .write_all(format!("{} bytes", bytes.len()))
            .await
            .0
            .unwrap();
        sleep(HOUR).await;
    });
    sim.client("client", async {
        let stream = connect().await.unwrap();
        stream.write_all(vec![7; 300]).await.0.unwrap();
        stream.shutdown(std::net::Shutdown::Write).await.unwrap();
        let (received, bytes) = stream.read_exact(Vec::with_capacity(9)).await;
        received.unwrap();
        assert_eq!(bytes, b"300 bytes");
    });
    sim.run().unwrap();
}

#[test]
fn a_connection_that_is_closed_with_bytes_unread_is_reset() {
    let mut sim = Sim::new(4);
    sim.host("server", || async {
        let stream = listen().await.accept().await.unwrap();
        sleep(SECOND).await;
        stream.close().await.unwrap();
        sleep(HOUR).await;
    });
    sim.client("client", async {
        let stream = connect().await.unwrap();
        stream.write_all("never read").await.0.unwrap();
        let (received, _) = stream.read(Vec::with_capacity(9)).await;
        assert_eq!(received.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    });
    sim.run().unwrap();
}

#[test]
fn a_writer_waits_until_its_peer_reads() {
    let written = Rc::new(Cell::new(0_usize));
    let seen = written.clone();
    let mut sim = Sim::new(4);
    sim.host("server", || async {
        let stream = listen().await.accept().await.unwrap();
        sleep(SECOND * 10).await;
        let mut buffer = Vec::with_capacity(10_000);
        loop {
            let (received, data) = stream.read(buffer).await;
            if received.unwrap() == 0 {
                sleep(HOUR).await;
            }
            buffer = data;
        }
    });
    sim.client("client", async move {
        let stream = connect().await.unwrap();
        for _ in 0..100 {
            stream.write_all(vec![1; 10_000]).await.0.unwrap();
            seen.set(seen.get() + 10_000);
        }
        stream.close().await.unwrap();
    });
    sim.run_for(SECOND * 5).unwrap();
    assert!(
        (20_000..300_000).contains(&written.get()),
        "{}",
        written.get()
    );
    sim.run().unwrap();
    assert_eq!(written.get(), 1_000_000);
}

#[test]
fn clients_of_a_listener_whose_queue_is_full_ask_again() {
    let mut sim = Sim::new(4);
    sim.host("server", || async {
        let socket = TcpSocket::new().bind((address_of("server"), PORT)).unwrap();
        let listener = socket.listen(1).await.unwrap();
        // Nobody is accepted before.
        sleep(SECOND * 10).await;
        let mut streams = Vec::new();
        loop {
            streams.push(listener.accept().await.unwrap());
        }
    });
    let late = Rc::new(Cell::new(0));
    for client in 0..10 {
        let late = late.clone();
        sim.client(&format!("client {client}"), async move {
            sleep(SECOND).await;
            let _stream = connect().await.unwrap();
            late.set(late.get() + u32::from(sim_seconds() >= 9));
        });
    }
    sim.run().unwrap();
    assert_eq!(late.get(), 8, "two have found room at once");
}

#[test]
fn a_host_that_starts_anew_resets_the_connections_of_its_earlier_life() {
    let mut sim = Sim::new(4);
    sim.host("server", echo_server);
    sim.client("client", async {
        let stream = connect().await.unwrap();
        sleep(SECOND * 2).await;
        // The first is lost on the way to a host that is not there any more, or answered by one that knows nothing of it.
        let _ = stream.write_all("hello").await;
        let (received, _) = stream.read(Vec::with_capacity(5)).await;
        assert_eq!(received.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        exchange(100).await.unwrap();
    });
    sim.at(SECOND, |sim| sim.bounce("server"));
    sim.run().unwrap();
}

#[test]
fn unix_sockets_and_pipes_stay_within_their_host() {
    let mut sim = Sim::new(4);
    sim.client("one", async {
        let listener = UnixListener::bind("/tmp/socket").await.unwrap();
        let client = spawn(async {
            let stream = UnixStream::connect("/tmp/socket").await.unwrap();
            stream.write_all("over a path").await.0.unwrap();
            let (one, other) = UnixDatagram::pair().unwrap();
            one.send(b"two".to_vec()).await.0.unwrap();
            assert_eq!(other.recv(Vec::with_capacity(9)).await.1, b"two");
            let (sender, receiver) = krug::pipe::pipe().await.unwrap();
            sender.write_all("three").await.0.unwrap();
            drop(sender);
            let (read, bytes) = receiver.read_exact(Vec::with_capacity(5)).await;
            read.unwrap();
            assert_eq!(bytes, b"three");
            assert_eq!(receiver.read(bytes).await.0.unwrap(), 0);
        });
        let stream = listener.accept().await.unwrap();
        let (read, bytes) = stream.read_exact(Vec::with_capacity(11)).await;
        read.unwrap();
        assert_eq!(bytes, b"over a path");
        client.await.unwrap();
    });
    sim.client("other", async {
        sleep(MS * 5).await;
        let missing = UnixStream::connect("/tmp/socket").await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let _ = rand::u64();
    });
    sim.run().unwrap();
}
