//! Every server model, in a process of its own, under users of all kinds.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_krug-benches");

/// Names and drivers.
const SERVERS: &[(&str, &str)] = &[
    ("iterative", "uring"),
    ("forking", "uring"),
    ("preforked", "uring"),
    ("threaded", "uring"),
    ("prethreaded", "uring"),
    ("select", "uring"),
    ("poll", "uring"),
    ("epoll", "uring"),
    ("krug-one-core", "uring"),
    ("krug-one-core", "epoll"),
    ("krug-all-cores", "uring"),
    ("krug-all-cores", "epoll"),
];

/// They answer one request on a connection, and close it.
const CLOSERS: &[&str] = &["iterative", "preforked", "prethreaded"];

/// Nothing here takes so long unless it hangs.
const BOUND: Duration = Duration::from_secs(30);

const SMALL: &[u8] = b"<p>small</p>\n";
/// More than the kernel takes in at once for one connection.
const LARGE_BYTES: usize = 8 << 20;

struct Server {
    name: &'static str,
    listener: TcpListener,
    address: SocketAddr,
    process: Child,
    folder: PathBuf,
}

impl Server {
    fn start(name: &'static str, driver: &str) -> Server {
        Server::start_by(name, Command::new(PROGRAM), driver)
    }

    fn start_by(name: &'static str, mut command: Command, driver: &str) -> Server {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("krug-models-test-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(folder.join("inside")).unwrap();
        fs::write(folder.join("index.html"), SMALL).unwrap();
        fs::write(folder.join("inside/large.bin"), large()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        command.args(["models", "--served", name, "--driver", driver]);
        command.current_dir(&folder).process_group(0);
        command.stdin(OwnedFd::from(listener.try_clone().unwrap()));
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        let output = process.stdout.as_mut().unwrap();
        output.read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"ready\n", "{name}");
        Server {
            name,
            listener,
            address,
            process,
            folder,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.set_write_timeout(Some(BOUND)).unwrap();
        stream
    }

    fn closes(&self) -> bool {
        CLOSERS.contains(&self.name)
    }

    fn is_served(&self) {
        let mut stream = self.connect();
        stream.write_all(&get("/")).unwrap();
        let reply = Reply::read(&mut stream, 1000);
        assert_eq!(reply.status, "200 OK", "{}", self.name);
        assert_eq!(reply.body, SMALL, "{}", self.name);
    }

    fn tell_to_end(&self) {
        // A listener is shut down by the same call as a stream.
        let listener = OwnedFd::from(self.listener.try_clone().unwrap());
        let _ = TcpStream::from(listener).shutdown(Shutdown::Both);
    }

    /// Tells it to end, and returns what else it has said. All its processes have ended then.
    fn end(mut self) -> String {
        let name = self.name;
        self.tell_to_end();
        let status = ended(&mut self.process);
        assert!(status.success(), "{name}: {status}");
        until(|| group(self.process.id()).is_empty(), name);
        let mut said = String::new();
        let output = self.process.stdout.as_mut().unwrap();
        output.read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tell_to_end();
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn ended(process: &mut Child) -> ExitStatus {
    let mut status = None;
    until(
        || {
            status = process.try_wait().unwrap();
            status.is_some()
        },
        "the end of a process",
    );
    status.unwrap()
}

fn until(mut condition: impl FnMut() -> bool, what: &str) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < BOUND, "{what} does not come");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Processes for which `chosen` says yes to their number and those of their parent and their group; those that wait to be reaped do not count.
fn processes(chosen: impl Fn(u32, u32, u32) -> bool) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_chosen = |process: &u32| {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let Some((_, rest)) = text.rsplit_once(')') else {
            return false;
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let number = |place: usize| words[place].parse().unwrap_or(0);
        words[0] != "Z" && words[0] != "X" && chosen(*process, number(1), number(2))
    };
    numbers.filter(is_chosen).collect()
}

fn group(leader: u32) -> Vec<u32> {
    processes(|_, _, group| group == leader)
}

fn large() -> Vec<u8> {
    (0..LARGE_BYTES).map(|place| (place % 251) as u8).collect()
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").into_bytes()
}

#[derive(Debug)]
struct Reply {
    status: String,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    /// Reads its head byte by byte, and its body in pieces of this size.
    fn read(stream: &mut TcpStream, size: usize) -> Reply {
        let mut reply = Reply::read_head(stream);
        let length = reply.field("Content-Length").parse().unwrap();
        reply.body = vec![0; length];
        for piece in reply.body.chunks_mut(size) {
            stream.read_exact(piece).unwrap();
        }
        reply
    }

    fn read_head(stream: &mut TcpStream) -> Reply {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.lines().next().unwrap().strip_prefix("HTTP/1.1 ");
        Reply {
            status: status.expect(&head).to_owned(),
            head,
            body: Vec::new(),
        }
    }

    fn field(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(field, _)| *field == name);
        values.next().expect(&self.head).1
    }
}

fn is_over(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

fn on_every_model(test: impl Fn(&Server)) {
    for (name, driver) in SERVERS {
        eprintln!("{name}, {driver}");
        let server = Server::start(name, driver);
        test(&server);
        server.is_served();
        assert_eq!(server.end(), "", "{name} has refused somebody");
    }
}

#[test]
fn who_sends_byte_by_byte_and_reads_byte_by_byte_is_served() {
    on_every_model(|server| {
        let mut stream = server.connect();
        for round in 0..3 {
            for byte in get("/index.html?round") {
                stream.write_all(&[byte]).unwrap();
            }
            let reply = Reply::read(&mut stream, 1);
            assert_eq!((reply.status.as_str(), &*reply.body), ("200 OK", SMALL));
            assert_eq!(reply.field("Connection") == "close", server.closes());
            if server.closes() {
                assert!(is_over(&mut stream), "round {round}");
                stream = server.connect();
            }
        }
    });
}

#[test]
fn a_file_larger_than_what_the_kernel_takes_at_once_comes_whole() {
    let expected = large();
    on_every_model(|server| {
        let mut stream = server.connect();
        stream.write_all(&get("/inside/large.bin")).unwrap();
        let mut begin = [0; 100];
        // It is stuck for a while, and others are served, but by who serves one at a time.
        stream.read_exact(&mut begin).unwrap();
        if server.name != "iterative" {
            server.is_served();
        }
        let mut all = begin.to_vec();
        let mut piece = vec![0; 70_001];
        while all.len() < LARGE_BYTES {
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "{}: it ended after {}", server.name, all.len());
            all.extend_from_slice(&piece[..count]);
        }
        let end = all.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        while all.len() < end + LARGE_BYTES {
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "{}: it ended after {}", server.name, all.len());
            all.extend_from_slice(&piece[..count]);
        }
        assert!(all[end..] == expected, "{}: another content", server.name);
    });
}

#[test]
fn users_who_go_away_in_the_middle_harm_nobody() {
    on_every_model(|server| {
        // In the middle of a request, of several, and of a reply that does not fit into the kernel.
        for part in [&b"GET / HT"[..], b"", &[get("/"), b"GET".to_vec()].concat()] {
            let mut stream = server.connect();
            stream.write_all(part).unwrap();
            drop(stream);
            server.is_served();
        }
        let mut stream = server.connect();
        stream.write_all(&get("/inside/large.bin")).unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
        drop(stream);
        server.is_served();
    });
}

#[test]
fn who_sends_no_more_still_gets_the_answer() {
    on_every_model(|server| {
        let mut stream = server.connect();
        stream.write_all(&get("/")).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let reply = Reply::read(&mut stream, 5);
        assert_eq!(reply.body, SMALL);
        assert!(is_over(&mut stream));
    });
}

#[test]
fn fifty_users_at_once_are_all_served() {
    on_every_model(|server| {
        thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    let mut stream = server.connect();
                    for _ in 0..5 {
                        stream.write_all(&get("/")).unwrap();
                        let reply = Reply::read(&mut stream, 1000);
                        assert_eq!((reply.status.as_str(), &*reply.body), ("200 OK", SMALL));
                        if server.closes() {
                            stream = server.connect();
                        }
                    }
                });
            }
        });
    });
}

#[test]
fn what_cannot_be_answered_is_said() {
    let cases = [
        (get("/nothing"), "404 Not Found"),
        (get("/inside"), "404 Not Found"),
        (get("/inside/"), "404 Not Found"),
        (get("/../index.html"), "404 Not Found"),
        (get("/inside/%2e%2e/%2e%2e/index.html"), "404 Not Found"),
        (b"nonsense\r\n".to_vec(), "400 Bad Request"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "400 Bad Request"),
        (vec![b'x'; 10_000], "431 Request Header Fields Too Large"),
        (
            b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            "405 Method Not Allowed",
        ),
        (
            b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            "501 Not Implemented",
        ),
        (
            b"GET / HTTP/3.0\r\n".to_vec(),
            "505 HTTP Version Not Supported",
        ),
    ];
    on_every_model(|server| {
        for (request, status) in &cases {
            let mut stream = server.connect();
            stream.write_all(request).unwrap();
            let reply = Reply::read(&mut stream, 1000);
            assert_eq!(reply.status, *status, "{}", server.name);
            assert_eq!(reply.body, format!("{status}\n").as_bytes());
            if reply.field("Connection") == "close" {
                assert!(is_over(&mut stream), "{}: {status}", server.name);
            } else {
                stream.write_all(&get("/")).unwrap();
                assert_eq!(Reply::read(&mut stream, 1000).body, SMALL);
            }
        }
        let mut stream = server.connect();
        stream
            .write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        let reply = Reply::read_head(&mut stream);
        assert_eq!(reply.field("Content-Length"), SMALL.len().to_string());
        assert!(is_over(&mut stream), "{}: a body", server.name);
    });
}

#[test]
fn requests_that_come_at_once_are_answered_in_order() {
    on_every_model(|server| {
        let mut stream = server.connect();
        let targets = ["/", "/nothing", "/inside/large.bin", "/", "/inside/"];
        let requests: Vec<u8> = targets.iter().flat_map(|target| get(target)).collect();
        // The last one comes in two pieces, the second when the others are being answered.
        let (first, second) = requests.split_at(requests.len() - 3);
        stream.write_all(first).unwrap();
        if server.closes() {
            assert_eq!(Reply::read(&mut stream, 1000).body, SMALL);
            assert!(is_over(&mut stream), "{}", server.name);
            return;
        }
        assert_eq!(Reply::read(&mut stream, 1000).body, SMALL);
        stream.write_all(second).unwrap();
        assert_eq!(Reply::read(&mut stream, 1000).status, "404 Not Found");
        assert!(Reply::read(&mut stream, 100_000).body == large());
        assert_eq!(Reply::read(&mut stream, 1000).body, SMALL);
        assert_eq!(Reply::read(&mut stream, 1000).status, "404 Not Found");
    });
}

#[test]
fn a_server_ends_when_it_is_told_to_also_with_users_who_stay() {
    for (name, driver) in SERVERS {
        let server = Server::start(name, driver);
        let mut served = server.connect();
        served.write_all(&get("/")).unwrap();
        Reply::read(&mut served, 1000);
        let silent = server.connect();
        server.end();
        assert!(is_over(&mut served), "{name}");
        drop(silent);
    }
}

#[test]
fn the_processes_of_a_server_that_is_killed_end_with_it() {
    for name in ["forking", "preforked"] {
        let mut server = Server::start(name, "uring");
        let mut users: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
        for user in &mut users {
            user.write_all(&get("/")).unwrap();
            Reply::read(user, 1000);
        }
        let leader = server.process.id();
        // One that is there already may have answered all, before the others have begun.
        until(|| group(leader).len() > 3, name);
        server.process.kill().unwrap();
        server.process.wait().unwrap();
        until(|| group(leader).is_empty(), name);
    }
}

#[test]
fn servers_end_with_the_program_that_has_started_them() {
    let mut program = Command::new(PROGRAM);
    program.args(["models", "--quick", "--seconds", "0.1"]);
    let mut program = program.stdout(Stdio::null()).spawn().unwrap();
    let id = program.id();
    let mut servers = Vec::new();
    until(
        || {
            servers = processes(|process, parent, group| parent == id && group == process);
            !servers.is_empty()
        },
        "a server",
    );
    program.kill().unwrap();
    program.wait().unwrap();
    until(
        || servers.iter().all(|server| group(*server).is_empty()),
        "their end",
    );
    let folder = format!("krug-benches-models-{id}");
    fs::remove_dir_all(std::env::temp_dir().join(folder)).unwrap();
}

#[test]
fn where_descriptors_run_out_users_are_told_and_others_are_served() {
    for name in ["threaded", "select", "poll", "epoll"] {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\"", PROGRAM]);
        let server = Server::start_by(name, shell, "uring");
        let mut first = server.connect();
        first.write_all(&get("/")).unwrap();
        assert_eq!(Reply::read(&mut first, 1000).body, SMALL);
        let mut others: Vec<TcpStream> = (0..60).map(|_| server.connect()).collect();
        assert!(is_over(&mut others[59]), "{name}: the last one is refused");
        first.write_all(&get("/")).unwrap();
        assert_eq!(Reply::read(&mut first, 1000).body, SMALL, "{name}");
        drop(others);
        // Places become free when it has noticed that they have gone.
        until(
            || {
                let mut stream = server.connect();
                let sent = stream.write_all(&get("/"));
                sent.is_ok() && stream.read(&mut [0]).is_ok_and(|count| count == 1)
            },
            name,
        );
        let said = server.end();
        assert_eq!(said, "refuses: too many open files\n", "{name}");
    }
}

#[test]
fn select_serves_as_many_as_it_has_places_for_and_says_so() {
    let server = Server::start("select", "uring");
    let mut users = Vec::new();
    for _ in 0..1030 {
        match TcpStream::connect(server.address) {
            Ok(stream) => users.push(stream),
            Err(error) => {
                eprintln!("skipped: this process may not have 1030 connections: {error}");
                return;
            }
        }
    }
    assert!(
        is_over(users.last_mut().unwrap()),
        "the last one has no place"
    );
    for user in users.iter_mut().take(1000) {
        user.write_all(&get("/")).unwrap();
        assert_eq!(Reply::read(user, 1000).body, SMALL);
    }
    let said = server.end();
    assert_eq!(
        said,
        "refuses: select has no place for descriptors from 1024 on\n"
    );
}

#[test]
fn the_scenario_tells_of_every_model() {
    let json = std::env::temp_dir().join(format!("krug-models-{}.json", std::process::id()));
    let mut program = Command::new(PROGRAM);
    program.args(["models", "--quick", "--seconds", "0.05", "--json"]);
    let output = program.arg(&json).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}{complaints}");
    let kept = fs::read_to_string(&json).unwrap();
    fs::remove_file(&json).unwrap();
    for (name, _) in SERVERS {
        let lines = told.lines().filter(|line| line.starts_with(name));
        assert!(lines.count() >= 3, "{name} in {told}");
        let series = format!("\"series\":\"{name}");
        let points = kept.lines().filter(|line| line.contains(&series));
        assert_eq!(
            points.count(),
            4 * 3,
            "{name}: four pictures of three points"
        );
    }
    let compared = |line: &&str| line.contains("\"what\":\"100 users, in pairs\"");
    // Both with their rates, and how they stand to each other.
    assert_eq!(kept.lines().filter(compared).count(), 3, "{kept}");
    for line in kept.lines().filter(|line| !compared(line)) {
        assert!(
            line.contains("\"y\":") != line.contains("\"cannot\":"),
            "{line}"
        );
    }
}
