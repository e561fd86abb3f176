//! Streams, datagrams and pipes against `socat`, a program that nobody here wrote. Where it is not
//! installed, each test says that it was skipped.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use krug::io::{AsyncReadOwned, AsyncWriteOwned, read_to_end};
use krug::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use krug::pipe;
use krug_tests::{Random, run};

krug_tests::on_every_kernel_driver!();

const LENGTH: usize = 10 << 20;

/// A running `socat`, killed if it is still there at the end.
struct Socat {
    child: Child,
    /// What it prints on standard output.
    heard: Option<thread::JoinHandle<io::Result<Vec<u8>>>>,
}

impl Drop for Socat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Socat {
    /// `None`, and a line that says so, if it is not installed. After the end of one direction it waits for
    /// the other as long as a test may take.
    fn start(arguments: &[&str]) -> Option<Socat> {
        let mut command = Command::new("socat");
        command.args(["-d", "-d", "-t", "60"]).args(arguments);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        match command.spawn() {
            Ok(child) => Some(Socat { child, heard: None }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                println!("skipped: socat is not installed");
                None
            }
            Err(error) => panic!("socat does not start: {error}"),
        }
    }

    /// Waits until it listens, and returns the last word of the line that says so: its address.
    fn address(&mut self) -> String {
        let mut lines = BufReader::new(self.child.stderr.take().expect("its messages"));
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            let count = lines.read_line(&mut line).expect("a message of socat");
            assert!(count > 0, "socat has ended without listening");
        }
        // Nobody reads its later messages, but it must be able to write them.
        thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
        let word = line.split_whitespace().last().expect("an address");
        word.trim_matches('"').to_owned()
    }

    /// Lets it send `bytes`, and then the end; and collects what it receives.
    fn talk(&mut self, bytes: Vec<u8>) {
        let mut input = self.child.stdin.take().expect("its standard input");
        thread::spawn(move || input.write_all(&bytes));
        self.listen();
    }

    fn listen(&mut self) {
        let mut output = self.child.stdout.take().expect("its standard output");
        self.heard = Some(thread::spawn(move || {
            let mut heard = Vec::new();
            output.read_to_end(&mut heard).map(|_| heard)
        }));
    }

    /// All that it has received, when it has ended by itself and is content.
    fn heard(mut self) -> Vec<u8> {
        let heard = self.heard.take().expect("it was asked to listen");
        let heard = heard.join().expect("no panic").expect("its output");
        assert!(self.child.wait().expect("its end").success());
        heard
    }
}

/// Sends `bytes` and the end of the stream, and at the same time receives up to the end.
async fn both_ways<S>(stream: &S, bytes: Vec<u8>) -> io::Result<Vec<u8>>
where
    for<'a> &'a S: AsyncReadOwned + AsyncWriteOwned,
{
    let sending = async {
        let mut stream = stream;
        stream.write_all(bytes).await.0?;
        stream.shutdown().await
    };
    let (received, sent) = krug::join!(read_to_end(stream, Vec::new()), sending);
    sent?;
    received.0?;
    Ok(received.1)
}

/// Receives up to the end, and only then sends the same backwards: the one direction has ended long before the other begins.
async fn answer_backwards<S>(stream: &S) -> io::Result<()>
where
    for<'a> &'a S: AsyncReadOwned + AsyncWriteOwned,
{
    let (result, mut bytes) = read_to_end(stream, Vec::new()).await;
    result?;
    bytes.reverse();
    let mut stream = stream;
    stream.write_all(bytes).await.0?;
    stream.shutdown().await
}

fn backwards(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

/// What `socat` and we exchange, both ways at once and one after the other, over streams made by `connect`. It is
/// given what to tell `socat`, and the answer is the stream.
fn exchange<S>(runtime: &krug::Runtime, mut connect: impl AsyncFnMut() -> Option<(Socat, S)>)
where
    for<'a> &'a S: AsyncReadOwned + AsyncWriteOwned,
{
    let random = Random::new();
    let (theirs, ours) = (random.bytes(LENGTH), random.bytes(LENGTH));
    runtime.block_on(async {
        let Some((mut socat, stream)) = connect().await else {
            return;
        };
        socat.talk(theirs.clone());
        let received = both_ways(&stream, ours.clone()).await.expect("an exchange");
        assert!(received == theirs, "what it sent is not what came");
        assert!(
            socat.heard() == ours,
            "what it received is not what was sent"
        );

        let (mut socat, stream) = connect().await.expect("it is still installed");
        socat.talk(theirs.clone());
        answer_backwards(&stream).await.expect("an answer");
        assert!(
            socat.heard() == backwards(&theirs),
            "the answer after the end is not what was sent"
        );
    });
}

#[test]
fn socat_connects_over_tcp() {
    run(|runtime| {
        exchange(runtime, async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
            let address = listener.local_addr().expect("its address");
            let socat = Socat::start(&["-", &format!("TCP:{address}")])?;
            Some((socat, listener.accept().await.expect("a connection")))
        });
    });
}

#[test]
fn socat_listens_for_tcp() {
    run(|runtime| {
        exchange(runtime, async || {
            let mut socat = Socat::start(&["-", "TCP-LISTEN:0,bind=127.0.0.1"])?;
            let stream = TcpStream::connect(&socat.address()[..]).await;
            Some((socat, stream.expect("a connection")))
        });
    });
}

#[test]
fn socat_connects_to_a_unix_socket() {
    run(|runtime| {
        exchange(runtime, async || {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("socket");
            let listener = UnixListener::bind(&path).await.expect("a listener");
            let socat = Socat::start(&["-", &format!("UNIX-CONNECT:{}", path.display())])?;
            Some((socat, listener.accept().await.expect("a connection")))
        });
    });
}

#[test]
fn socat_listens_at_a_unix_socket() {
    run(|runtime| {
        exchange(runtime, async || {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("socket");
            let mut socat = Socat::start(&["-", &format!("UNIX-LISTEN:{}", path.display())])?;
            assert_eq!(Path::new(&socat.address()), path);
            let stream = UnixStream::connect(&path).await;
            Some((socat, stream.expect("a connection")))
        });
    });
}

fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo, of the core utilities").success());
}

#[test]
fn socat_writes_to_a_fifo() {
    run(|runtime| {
        let bytes = Random::new().bytes(LENGTH);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fifo");
        make_fifo(&path);
        let target = format!("OPEN:{},wronly", path.display());
        let Some(mut socat) = Socat::start(&["-u", "-", &target]) else {
            return;
        };
        socat.talk(bytes.clone());
        // Waits for the other end to be opened.
        let fd = OwnedFd::from(File::open(&path).expect("the end to read from"));
        let received = runtime.block_on(async {
            let receiver = pipe::Receiver::from_owned_fd(fd).expect("a receiver");
            let (result, received) = read_to_end(&receiver, Vec::new()).await;
            result.map(|_| received)
        });
        assert!(
            received.expect("all of it") == bytes,
            "what it wrote is not what came"
        );
        assert!(socat.heard().is_empty());
    });
}

#[test]
fn socat_reads_from_a_fifo() {
    run(|runtime| {
        let bytes = Random::new().bytes(LENGTH);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fifo");
        make_fifo(&path);
        let source = format!("OPEN:{},rdonly", path.display());
        let Some(mut socat) = Socat::start(&["-u", &source, "-"]) else {
            return;
        };
        socat.listen();
        let file = OpenOptions::new().write(true).open(&path);
        let fd = OwnedFd::from(file.expect("the end to write to"));
        runtime.block_on(async {
            let sender = pipe::Sender::from_owned_fd(fd).expect("a sender");
            sender
                .write_all(bytes.clone())
                .await
                .0
                .expect("all is taken");
        });
        assert!(socat.heard() == bytes, "what it read is not what was sent");
    });
}

/// Each piece that it reads is one datagram of its, each datagram of ours one piece that it writes. Short enough for the
/// pipe to it to pass them on whole.
#[test]
fn socat_sends_and_receives_datagrams() {
    const LENGTH_MAX: usize = 4096;
    run(|runtime| {
        let random = Random::new();
        runtime.block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
            let target = format!("UDP4:{}", socket.local_addr().expect("its address"));
            let Some(mut socat) = Socat::start(&["-", &target]) else {
                return;
            };
            let mut input = socat.child.stdin.take().expect("its standard input");
            let mut output = socat.child.stdout.take().expect("its standard output");
            for _ in 0..200 {
                let bytes = random.bytes(1 + random.below(LENGTH_MAX));
                input.write_all(&bytes).expect("it takes them");
                let (result, received) = socket.recv_from(Vec::with_capacity(2 * LENGTH_MAX)).await;
                let (count, peer) = result.expect("a datagram");
                assert_eq!(count, bytes.len());
                assert!(received == bytes, "what it sent is not what came");

                let ours = random.bytes(1 + random.below(LENGTH_MAX));
                let (sent, ours) = socket.send_to(ours, peer).await;
                assert_eq!(sent.expect("it is sent"), ours.len());
                let mut heard = vec![0; ours.len()];
                output.read_exact(&mut heard).expect("what it heard");
                assert!(heard == ours, "what it received is not what was sent");
            }
        });
    });
}
