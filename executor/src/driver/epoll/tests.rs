//! What the contract does not show: how often calls are tried, how they are kept from waiting, what becomes of numbers that
//! are used again.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::attempt::single;
use super::waiting::Position;
use super::*;
use crate::driver::tests::{Rig, key, owned, receive, send};
use crate::driver::{CURSOR, Choice, Completion, Driver};

fn rig() -> Rig {
    Rig::new(Config {
        choice: Choice::Epoll,
        ..Config::default()
    })
}

/// The driver itself, for what only it knows.
fn epoll(rig: &mut Rig) -> &mut Epoll {
    match &mut rig.driver {
        Driver::Epoll(epoll) => epoll,
        _ => panic!("asked for"),
    }
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

fn receive_from(fd: &impl AsRawFd, buffer: &mut [u8]) -> Operation {
    Operation::Receive {
        fd: fd.as_raw_fd(),
        address: Address::of_mut(buffer.as_mut_ptr()),
        length: buffer.len() as u32,
        flags: 0,
        from_afar: false,
    }
}

fn read(fd: &impl AsRawFd, buffer: &mut [u8]) -> Operation {
    Operation::Read {
        fd: fd.as_raw_fd(),
        address: Address::of_mut(buffer.as_mut_ptr()),
        length: buffer.len() as u32,
        offset: CURSOR,
    }
}

fn write(fd: &impl AsRawFd, bytes: &[u8]) -> Operation {
    Operation::Write {
        fd: fd.as_raw_fd(),
        address: Address::of(bytes.as_ptr()),
        length: bytes.len() as u32,
        offset: CURSOR,
    }
}

fn is_nonblocking(fd: &impl AsRawFd) -> bool {
    sys::status_flags(fd.as_raw_fd()).unwrap() & libc::O_NONBLOCK != 0
}

#[test]
fn a_socket_is_watched_once_however_often_it_waits() {
    let mut rig = rig();
    let (mut one, other) = tcp_pair();
    let mut buffer = [0; 16];
    for round in 0..100 {
        rig.driver
            .submit(key(0, round), receive_from(&other, &mut buffer));
        rig.flush();
        one.write_all(b"message").unwrap();
        rig.complete(1 + round as usize);
        assert_eq!(rig.result(key(0, round)), 7);
    }
    let counters = rig.driver.counters();
    assert_eq!(counters.watches, 1);
    // The first receive was tried before it was known to be too early. After that a short one says that there is no more.
    assert_eq!(counters.attempts, 101);
}

#[test]
fn what_may_be_there_after_a_short_receive_is_looked_for() {
    // A Unix socket may be short in the middle of its queue: where it carries descriptors, or has other credentials.
    let mut rig = rig();
    let (one, other) = UnixStream::pair().unwrap();
    let mut buffer = [0; 16];
    for round in 0..10 {
        rig.driver
            .submit(key(0, round), receive(&other, &mut buffer));
        rig.flush();
        (&one).write_all(b"message").unwrap();
        rig.complete(1 + round as usize);
    }
    assert_eq!(rig.driver.counters().watches, 1);
    assert_eq!(rig.driver.counters().attempts, 20);
}

#[test]
fn bytes_behind_urgent_ones_are_not_forgotten() {
    let mut rig = rig();
    let (one, other) = tcp_pair();
    let mut buffer = [0; 16];
    rig.driver
        .submit(key(0, 0), receive_from(&other, &mut buffer));
    rig.flush();
    // SAFETY: three bytes that live on.
    let sent = unsafe { libc::send(one.as_raw_fd(), b"ab!".as_ptr().cast(), 3, libc::MSG_OOB) };
    assert_eq!(sent, 3);
    (&one).write_all(b"cd").unwrap();
    std::thread::sleep(Duration::from_millis(1));
    let mut received = 0;
    for round in 1..5 {
        rig.complete(round);
        received += rig.result(key(0, round as u32 - 1));
        if received == 4 {
            return;
        }
        rig.driver
            .submit(key(0, round as u32), receive_from(&other, &mut buffer));
    }
    panic!("{received} of 4 bytes");
}

#[test]
fn flags_of_descriptors_from_outside_are_never_changed() {
    for nonblocking in [false, true] {
        let mut rig = rig();
        let (one, other) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (reader, writer) = io::pipe().unwrap();
        one.set_nonblocking(nonblocking).unwrap();
        other.set_nonblocking(nonblocking).unwrap();
        listener.set_nonblocking(nonblocking).unwrap();
        for end in [reader.as_raw_fd(), writer.as_raw_fd()] {
            sys::set_nonblocking(end, nonblocking).unwrap();
        }
        let mut buffers = [[0; 8]; 2];
        let [first, second] = &mut buffers;
        let (fd, flags) = (listener.as_raw_fd(), libc::SOCK_CLOEXEC);
        rig.driver.submit(key(0, 1), receive(&other, first));
        rig.driver.submit(key(1, 1), read(&reader, second));
        rig.driver
            .submit(key(2, 1), Operation::AcceptMultishot { fd, flags });
        rig.flush();
        rig.flush();
        assert!(rig.completed.is_empty(), "nothing waits for another");
        rig.driver.submit(key(3, 1), send(&one, b"socket"));
        rig.driver.submit(key(4, 1), write(&writer, b"pipe"));
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        rig.complete(5);
        let results = [0, 1, 3, 4].map(|index| rig.result(key(index, 1)));
        assert_eq!(results, [6, 4, 6, 4]);
        let accepted = owned(rig.result(key(2, 1)));
        assert!(!is_nonblocking(&accepted));
        let all = [one.as_raw_fd(), other.as_raw_fd(), listener.as_raw_fd()];
        for fd in all.iter().chain(&[reader.as_raw_fd(), writer.as_raw_fd()]) {
            assert_eq!(is_nonblocking(fd), nonblocking);
        }
        rig.driver.cancel(key(2, 1));
        rig.complete(6);
        drop(client);
    }
}

#[test]
fn a_blocking_listener_accepts_in_a_thread_and_only_when_somebody_has_come() {
    let mut rig = rig();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (fd, flags) = (listener.as_raw_fd(), libc::SOCK_CLOEXEC);
    rig.driver
        .submit(key(0, 1), Operation::AcceptMultishot { fd, flags });
    rig.flush();
    assert_eq!(rig.driver.counters().errands, 0);
    let clients: Vec<_> = (0..3)
        .map(|_| TcpStream::connect(listener.local_addr().unwrap()).unwrap())
        .collect();
    rig.complete(clients.len());
    assert_eq!(rig.driver.counters().errands, 3);
    rig.driver.cancel(key(0, 1));
    rig.complete(clients.len() + 1);
    for (_, completion) in &rig.completed[..3] {
        drop(owned(completion.result));
    }
    let (_, last) = rig.completed[3];
    assert_eq!(last, Completion::last(-libc::ECANCELED));
}

#[test]
fn who_has_come_is_accepted_before_the_accept_is_cancelled() {
    let mut rig = rig();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let (fd, flags) = (listener.as_raw_fd(), libc::SOCK_CLOEXEC);
    rig.driver
        .submit(key(0, 1), Operation::AcceptMultishot { fd, flags });
    rig.flush();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    rig.driver.cancel(key(0, 1));
    rig.complete(2);
    let (_, first) = rig.completed[0];
    assert!(first.more);
    drop(owned(first.result));
    assert_eq!(rig.result(key(0, 1)), -libc::ECANCELED);
}

#[test]
fn where_turns_take_long_each_looks_what_is_ready() {
    let mut rig = rig();
    let (mut one, other) = tcp_pair();
    let mut buffer = [0; 16];
    rig.driver
        .submit(key(0, 1), receive_from(&other, &mut buffer));
    rig.flush();
    one.write_all(b"message").unwrap();
    let epoll = epoll(&mut rig);
    epoll.has_slept = false;
    epoll.looked_at -= Duration::from_millis(10);
    // Something has ended, so that there is no other reason to look.
    rig.driver.submit(key(1, 1), Operation::Nop);
    rig.flush();
    assert_eq!(rig.result(key(0, 1)), 7);
}

#[test]
fn what_a_thread_accepts_after_a_cancel_is_the_last() {
    let mut rig = rig();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (fd, flags) = (listener.as_raw_fd(), libc::SOCK_CLOEXEC);
    let accept = Operation::AcceptMultishot { fd, flags };
    let epoll = epoll(&mut rig);
    // As if a thread were at it.
    epoll.submit(key(0, 1), accept);
    assert!(epoll.staging.next().is_some());
    epoll.waiting.put(key(0, 1), accept, Position::InPool);
    epoll.in_pool += 1;
    let errand = Errand::new(Some(key(0, 1)), single(accept), &epoll.returns);
    rig.driver.cancel(key(0, 1));
    rig.flush();
    assert!(rig.completed.is_empty());
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    errand.run();
    rig.complete(1);
    let (_, accepted) = rig.completed[0];
    assert!(!accepted.more);
    drop(owned(accepted.result));
}

#[test]
fn a_cancel_that_comes_while_a_thread_accepts_ends_the_shot_all_the_same() {
    let mut rig = rig();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (fd, flags) = (listener.as_raw_fd(), libc::SOCK_CLOEXEC);
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    rig.driver
        .submit(key(0, 1), Operation::AcceptMultishot { fd, flags });
    rig.flush();
    rig.driver.cancel(key(0, 1));
    rig.settle();
    // The thread may have come back before, or be at it still.
    while rig.completed.last().is_none_or(|(_, it)| it.more) {
        rig.complete(rig.completed.len() + 1);
    }
    let accepted = rig.completed.iter().filter(|(_, it)| it.result >= 0);
    let accepted: Vec<_> = accepted.map(|(_, it)| owned(it.result)).collect();
    assert!(accepted.len() <= 1);
}

/// One that waits, open for both, whose name is gone already.
fn fifo() -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: `name` is a C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    File::options().read(true).write(true).open(&path).unwrap()
}

#[test]
fn a_fifo_that_calls_cannot_be_told_about_is_read_and_written_by_threads() {
    let mut rig = rig();
    let fifo = fifo();
    let mut buffer = [0; 8];
    rig.driver.submit(key(0, 1), read(&fifo, &mut buffer));
    rig.flush();
    assert_eq!(rig.driver.counters().errands, 0, "nobody has written yet");
    rig.driver.submit(key(1, 1), write(&fifo, b"fifo"));
    rig.complete(2);
    assert_eq!(rig.driver.counters().errands, 2);
    let results = [0, 1].map(|index| rig.result(key(index, 1)));
    assert_eq!((results, &buffer[..4]), ([4, 4], &b"fifo"[..]));
    assert!(!is_nonblocking(&fifo));
}

#[test]
fn a_buffer_that_a_thread_has_filled_is_named() {
    let mut rig = rig();
    let fifo = fifo();
    let group = rig.driver.add_buffer_group(2).unwrap();
    let mut buffers = [[0; 8]; 2];
    for (id, buffer) in buffers.iter_mut().enumerate() {
        let address = Address::of_mut(buffer.as_mut_ptr());
        rig.driver.provide_buffer(group, id as u16, address, 8);
    }
    let read = Operation::ReadProvided {
        fd: fifo.as_raw_fd(),
        group,
        length: 8,
        offset: CURSOR,
    };
    for (id, text) in [b"one!", b"two!"].into_iter().enumerate() {
        (&fifo).write_all(text).unwrap();
        let key = key(id as u32, 1);
        rig.driver.submit(key, read);
        rig.complete(1 + id);
        let filled = Completion {
            buffer: Some(id as u16),
            ..Completion::last(4)
        };
        assert_eq!(rig.completed[id], (key, filled));
        assert_eq!(&buffers[id][..4], text);
    }
    assert_eq!(rig.driver.counters().errands, 2);
}

#[test]
fn want_of_a_provided_buffer_is_told_and_not_waited_for() {
    let mut rig = rig();
    let (mut one, other) = tcp_pair();
    let group = rig.driver.add_buffer_group(1).unwrap();
    one.write_all(b"message").unwrap();
    let fd = other.as_raw_fd();
    let receive = Operation::ReceiveProvided {
        fd,
        group,
        length: 8,
    };
    rig.driver.submit(key(0, 1), receive);
    rig.complete(1);
    assert_eq!(rig.result(key(0, 1)), -libc::ENOBUFS);
    let mut buffer = [0; 8];
    let address = Address::of_mut(buffer.as_mut_ptr());
    rig.driver.provide_buffer(group, 0, address, 8);
    rig.driver.submit(key(0, 2), receive);
    rig.complete(2);
    assert_eq!((rig.result(key(0, 2)), &buffer[..7]), (7, &b"message"[..]));
}

#[test]
fn a_number_that_is_used_again_is_watched_anew() {
    // Closed behind the driver's back, as sockets are that nobody wants any more.
    let mut rig = rig();
    let mut buffer = [0; 8];
    for round in 0..4 {
        let (one, other) = UnixStream::pair().unwrap();
        if round > 0 {
            let fd = other.as_raw_fd();
            rig.driver.control(Control::Forget { fd }).unwrap();
        }
        rig.driver
            .submit(key(0, round), receive(&other, &mut buffer));
        rig.flush();
        (&one).write_all(b"x").unwrap();
        rig.complete(1 + round as usize);
        assert_eq!(rig.result(key(0, round)), 1);
    }
}

#[test]
fn what_is_forgotten_wakes_nobody_although_a_duplicate_is_open() {
    let mut rig = rig();
    let (one, other) = UnixStream::pair().unwrap();
    let mut buffer = [0; 8];
    rig.driver.submit(key(0, 1), receive(&other, &mut buffer));
    rig.flush();
    (&one).write_all(b"x").unwrap();
    rig.complete(1);
    let duplicate = other.try_clone().unwrap();
    let close = Operation::Close {
        fd: other.into_raw_fd(),
    };
    assert_eq!(rig.run(close).result, 0);
    (&one).write_all(b"for the duplicate").unwrap();
    let soon = Instant::now() + Duration::from_millis(5);
    let before = rig.driver.counters().enters;
    rig.driver
        .enter(Wait::Until(Some(soon)), &mut rig.completed)
        .unwrap();
    assert!(Instant::now() >= soon, "it was woken");
    assert_eq!(rig.driver.counters().enters, before + 1);
    drop(duplicate);
}

#[test]
fn a_file_in_the_cache_needs_no_thread_and_its_changes_do() {
    let mut rig = rig();
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, [7; 5000]).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let mut buffer = [0; 4096];
    let mut read_at = |rig: &mut Rig, offset| {
        let read = Operation::Read {
            fd: file.as_raw_fd(),
            address: Address::of_mut(buffer.as_mut_ptr()),
            length: 4096,
            offset,
        };
        rig.run(read).result
    };
    assert_eq!(read_at(&mut rig, 0), 4096);
    assert_eq!(read_at(&mut rig, 4096), 904, "to the end of the file");
    assert_eq!(read_at(&mut rig, 5000), 0);
    let asked = rig.driver.counters().errands;
    // Not every file system can be told not to wait; then threads read.
    let epoll = epoll(&mut rig);
    let can_be_told =
        epoll.descriptors.state(file.as_raw_fd()).cache != descriptors::Cache::Bypassed;
    assert_eq!(asked, if can_be_told { 0 } else { 3 });
    let sync = Operation::Sync {
        fd: file.as_raw_fd(),
        data_only: true,
    };
    assert_eq!(rig.run(sync).result, 0);
    assert_eq!(rig.driver.counters().errands, asked + 1);
}

#[test]
fn a_read_whose_end_is_not_in_the_cache_is_whole_all_the_same() {
    const LENGTH: usize = 1 << 16;
    let mut rig = rig();
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, [7; LENGTH]).unwrap();
    let file = File::open(&path).unwrap();
    let mut buffer = vec![0_u8; LENGTH];
    for kept in [0, 1 << 12, 1 << 13] {
        file.sync_all().unwrap();
        let (fd, rest) = (file.as_raw_fd(), (LENGTH - kept) as i64);
        // SAFETY: takes no memory.
        let advised =
            unsafe { libc::posix_fadvise(fd, kept as i64, rest, libc::POSIX_FADV_DONTNEED) };
        assert_eq!(advised, 0);
        let read = Operation::Read {
            fd,
            address: Address::of_mut(buffer.as_mut_ptr()),
            length: LENGTH as u32,
            offset: 0,
        };
        assert_eq!(
            rig.run(read).result,
            LENGTH as i32,
            "{kept} bytes in the cache"
        );
    }
    assert_eq!(buffer, [7; LENGTH]);
}

#[test]
fn work_on_files_takes_no_more_threads_than_it_may_and_is_all_done() {
    let mut rig = Rig::new(Config {
        choice: Choice::Epoll,
        file_threads_max: Some(2),
        ..Config::default()
    });
    let file = tempfile::tempfile().unwrap();
    let bytes = [1; 512];
    for index in 0..100 {
        let write = Operation::Write {
            fd: file.as_raw_fd(),
            address: Address::of(bytes.as_ptr()),
            length: 512,
            offset: u64::from(index) * 512,
        };
        rig.driver.submit(key(index, 1), write);
    }
    rig.flush();
    assert!(epoll(&mut rig).in_pool <= 2);
    // One that nobody has begun with can be cancelled; the others go on.
    rig.driver.cancel(key(99, 1));
    rig.complete(100);
    assert_eq!(rig.result(key(99, 1)), -libc::ECANCELED);
    assert!((0..99).all(|index| rig.result(key(index, 1)) == 512));
    let epoll = epoll(&mut rig);
    assert_eq!((epoll.in_pool, epoll.file_errands), (0, 0));
    assert!(epoll.pool.threads() <= 2);
}

#[test]
fn closes_of_files_that_nobody_waits_for_are_done_before_the_end() {
    let rig = {
        let mut rig = rig();
        let file = tempfile::tempfile().unwrap();
        let write = Operation::Write {
            fd: file.as_raw_fd(),
            address: Address::of(b"x".as_ptr()),
            length: 1,
            offset: 0,
        };
        assert_eq!(rig.run(write).result, 1);
        let (reader, writer) = io::pipe().unwrap();
        // The pipe tells when its last writer is closed: the file's number is given to it.
        let number = file.into_raw_fd();
        // SAFETY: both are open, and the number is ours.
        assert_eq!(unsafe { libc::dup2(writer.as_raw_fd(), number) }, number);
        drop(writer);
        rig.driver.close(number);
        rig.settle();
        assert_eq!((&reader).read(&mut [0; 1]).unwrap(), 0);
        rig
    };
    drop(rig);
}

#[test]
fn a_close_that_no_thread_has_come_to_is_done_where_it_is_dropped() {
    let mut rig = rig();
    let (reader, writer) = io::pipe().unwrap();
    let fd = writer.into_raw_fd();
    let returns = &epoll(&mut rig).returns;
    drop(Errand::new(None, Operation::Close { fd }, returns));
    let ready = sys::ready_now(reader.as_raw_fd(), libc::POLLIN).unwrap();
    assert_eq!(ready, libc::POLLHUP);
}

#[test]
fn a_connect_is_made_without_waiting_and_leaves_the_socket_as_it_was() {
    let mut rig = rig();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = Operation::Socket {
        domain: libc::AF_INET,
        kind: libc::SOCK_STREAM | libc::SOCK_CLOEXEC,
        protocol: 0,
    };
    let made = owned(rig.run(socket).result);
    let ask = Control::SocketName {
        fd: listener.as_raw_fd(),
    };
    let Answer::Name(name) = rig.driver.control(ask).unwrap() else {
        panic!("a name was asked for")
    };
    let connect = |fd: &OwnedFd| Operation::Connect {
        fd: fd.as_raw_fd(),
        address: Address::of(name.as_bytes().as_ptr()),
        address_length: name.as_bytes().len() as u32,
    };
    assert_eq!(rig.run(connect(&made)).result, 0);
    assert!(!is_nonblocking(&made));
    drop(listener);
    // A refused one can be tried again on the same socket, and says the same.
    let refused = owned(rig.run(socket).result);
    for _ in 0..2 {
        let result = rig.run(connect(&refused)).result;
        assert_eq!(result, -libc::ECONNREFUSED);
        assert!(!is_nonblocking(&refused));
    }
}

#[test]
fn busy_and_interrupted_attempts_are_repeated() {
    for errno in [libc::EAGAIN, libc::EBUSY, libc::ENOMEM, libc::EINTR] {
        let mut rig = rig();
        (0..5).for_each(|_| rig.driver.fail_enter(errno));
        let (one, other) = UnixStream::pair().unwrap();
        let mut buffer = [0; 1];
        rig.driver.submit(key(0, 1), receive(&other, &mut buffer));
        rig.flush();
        (&one).write_all(b"x").unwrap();
        rig.complete(1);
        assert_eq!(rig.result(key(0, 1)), 1);
    }
    let mut rig = rig();
    rig.driver.fail_enter(libc::EBADF);
    let error = rig.driver.enter(Wait::No, &mut rig.completed).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

#[test]
fn a_shot_that_always_finds_more_lets_others_have_their_turn() {
    let mut rig = rig();
    let group = rig.driver.add_buffer_group(256).unwrap();
    let mut memory = [[0_u8; 1]; 200];
    for (id, buffer) in memory.iter_mut().enumerate() {
        let address = Address::of_mut(buffer.as_mut_ptr());
        rig.driver.provide_buffer(group, id as u16, address, 1);
    }
    let (one, other) = UnixStream::pair().unwrap();
    let (quick, slow) = UnixStream::pair().unwrap();
    let mut buffer = [0; 1];
    (&one).write_all(&[9; 150]).unwrap();
    (&quick).write_all(b"!").unwrap();
    let (fd, bundle) = (other.as_raw_fd(), false);
    let shot = Operation::ReceiveMultishot { fd, group, bundle };
    rig.driver.submit(key(0, 1), shot);
    rig.driver.submit(key(1, 1), receive(&slow, &mut buffer));
    rig.flush();
    let of_the_shot = |rig: &Rig| {
        rig.completed
            .iter()
            .filter(|(key, _)| key.index == 0)
            .count()
    };
    assert_eq!(rig.result(key(1, 1)), 1);
    assert!(of_the_shot(&rig) < 150, "{}", of_the_shot(&rig));
    rig.complete(151);
    assert_eq!(of_the_shot(&rig), 150);
    assert!(memory[..150].iter().all(|byte| *byte == [9]));
    rig.driver.cancel(key(0, 1));
    rig.complete(152);
}

#[test]
fn a_send_is_done_at_once_where_there_was_always_room_and_a_full_socket_ends_that() {
    let mut rig = rig();
    let (one, other) = UnixStream::pair().unwrap();
    let mut staged = 0;
    while rig.driver.try_at_once(&send(&one, b"x")).is_none() {
        rig.driver.submit(key(0, staged), send(&one, b"x"));
        rig.flush();
        staged += 1;
        assert!(staged < 100, "never at once");
    }
    assert!(staged > 1, "whether there is room was not known yet");
    let filling = vec![0; 1 << 16];
    while rig.driver.try_at_once(&send(&one, &filling)).is_some() {}
    let mut drained = vec![0; 1 << 20];
    assert!((&other).read(&mut drained).unwrap() > 0);
    assert_eq!(rig.driver.try_at_once(&send(&one, b"x")), None);
}

#[test]
fn nothing_is_done_at_once_before_what_waits_there_already() {
    let mut rig = rig();
    let (one, other) = UnixStream::pair().unwrap();
    let (mut first, mut second) = ([0; 1], [0; 1]);
    rig.driver.submit(key(0, 1), receive(&other, &mut first));
    rig.flush();
    (&one).write_all(b"ab").unwrap();
    for _ in 0..100 {
        let tried = rig.driver.try_at_once(&receive(&other, &mut second));
        assert_eq!(tried, None);
    }
    rig.complete(1);
    assert_eq!((rig.result(key(0, 1)), first), (1, *b"a"));
}
