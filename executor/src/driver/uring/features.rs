//! What this kernel has: each capability that was found is shown to work, each that was not is shown to be absent. What
//! the test prints is the table in `tests/kernels/RESULTS.md`.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::AtomicU8;

use super::Rung;
use super::tests::with_entries;
use crate::driver::tests::{Rig, key, owned};
use crate::driver::{Address, Capabilities, Operation};

struct Feature {
    name: &'static str,
    is_found: fn(&Capabilities) -> bool,
    /// Uses it, and says whether the ring did it. What is done all the same without the ring is checked in any case.
    works: fn(&mut Rig, &Path) -> bool,
}

#[rustfmt::skip] // A table.
const FEATURES: &[Feature] = &[
    Feature { name: "deferred completions", is_found: |found| found.rung != Some(Rung::Plain), works: completions_are_deferred },
    Feature { name: "SOCKET", is_found: |found| found.socket, works: makes_a_socket },
    Feature { name: "BIND, LISTEN", is_found: |found| found.bind_listen, works: binds_and_listens },
    Feature { name: "ACCEPT, multishot", is_found: |found| found.accept_multishot, works: accepts_many },
    Feature { name: "SHUTDOWN", is_found: |found| found.shutdown, works: shuts_down },
    Feature { name: "rings of buffers", is_found: |found| found.provided_buffers, works: makes_a_ring_of_buffers },
    Feature { name: "RECV, multishot", is_found: |found| found.receive_multishot, works: receives_many },
    Feature { name: "RECV, bundles", is_found: |found| found.receive_bundle, works: receives_a_bundle },
    Feature { name: "PIPE", is_found: |found| found.pipe, works: makes_a_pipe },
    Feature { name: "FTRUNCATE", is_found: |found| found.truncate, works: truncates },
    Feature { name: "MKDIRAT", is_found: |found| found.make_directory, works: makes_a_directory },
    Feature { name: "LINKAT", is_found: |found| found.hard_link, works: links },
    Feature { name: "SYMLINKAT", is_found: |found| found.symbolic_link, works: links_symbolically },
    Feature { name: "RENAMEAT", is_found: |found| found.rename, works: renames },
    Feature { name: "UNLINKAT", is_found: |found| found.remove, works: removes },
    Feature { name: "SEND_MSG_RING", is_found: |found| found.message_ring, works: hears_a_message },
    Feature { name: "NO_IOWAIT", is_found: |found| found.no_iowait, works: sleeps_without_iowait },
];

#[test]
fn what_the_kernel_has() {
    let rung = with_entries(8).driver.capabilities().rung;
    println!(
        "feature: rung of the set-up: {:?}",
        rung.expect("a ring has one")
    );
    for feature in FEATURES {
        let folder = tempfile::tempdir().unwrap();
        let mut rig = with_entries(8);
        let is_found = (feature.is_found)(rig.driver.capabilities());
        let works = (feature.works)(&mut rig, folder.path());
        println!(
            "feature: {}: {}",
            feature.name,
            if works { "yes" } else { "no" }
        );
        assert_eq!(is_found, works, "{}", feature.name);
    }
}

/// Runs what must succeed, and says whether the ring did it.
fn is_in_ring(rig: &mut Rig, operation: Operation) -> (i32, bool) {
    let before = rig.driver.counters().fallbacks;
    let result = rig.run(operation).result;
    assert!(result >= 0, "{operation:?}: {result}");
    (result, rig.driver.counters().fallbacks == before)
}

/// Runs what must succeed if the ring knows it.
fn is_known(rig: &mut Rig, operation: Operation) -> bool {
    match rig.run(operation).result {
        0 => true,
        result => {
            assert_eq!(result, -libc::EINVAL, "{operation:?}");
            false
        }
    }
}

fn completions_are_deferred(rig: &mut Rig, _: &Path) -> bool {
    let (mut one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut buffer = [0; 1];
    rig.driver.submit(
        key(0, 1),
        crate::driver::tests::receive(&other, &mut buffer),
    );
    rig.flush();
    one.write_all(b"x").unwrap();
    // Without a system call only what is not deferred is there.
    rig.driver.reap(&mut rig.completed);
    let is_there = !rig.completed.is_empty();
    rig.complete(1);
    !is_there
}

fn makes_a_socket(rig: &mut Rig, _: &Path) -> bool {
    let make = Operation::Socket {
        domain: libc::AF_INET,
        kind: libc::SOCK_STREAM | libc::SOCK_CLOEXEC,
        protocol: 0,
    };
    let (fd, is_in_ring) = is_in_ring(rig, make);
    drop(owned(fd));
    is_in_ring
}

fn binds_and_listens(rig: &mut Rig, _: &Path) -> bool {
    let socket = owned(
        crate::sys::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0).unwrap(),
    );
    let fd = socket.as_raw_fd();
    let name = crate::driver::tests::loopback();
    let bind = Operation::Bind {
        fd,
        address: Address::of(&raw const name),
        address_length: size_of_val(&name) as u32,
    };
    let (_, binds) = is_in_ring(rig, bind);
    let (_, listens) = is_in_ring(rig, Operation::Listen { fd, backlog: 1 });
    binds && listens
}

fn accepts_many(rig: &mut Rig, _: &Path) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (fd, flags) = (listener.as_raw_fd(), libc::SOCK_CLOEXEC);
    rig.driver
        .submit(key(0, 1), Operation::AcceptMultishot { fd, flags });
    let _clients = [(); 2].map(|()| TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    rig.complete(1);
    if rig.result(key(0, 1)) == -libc::EINVAL {
        return false;
    }
    rig.complete(2);
    let goes_on = rig.completed.iter().all(|(_, completion)| completion.more);
    for (_, completion) in rig.completed.split_off(0) {
        drop(owned(completion.result));
    }
    rig.driver.cancel(key(0, 1));
    rig.complete(1);
    goes_on
}

fn shuts_down(rig: &mut Rig, _: &Path) -> bool {
    let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let (fd, how) = (one.as_raw_fd(), libc::SHUT_RDWR);
    is_in_ring(rig, Operation::Shutdown { fd, how }).1
}

fn makes_a_ring_of_buffers(rig: &mut Rig, _: &Path) -> bool {
    rig.driver.add_buffer_group(8).is_ok()
}

fn receives_many(rig: &mut Rig, _: &Path) -> bool {
    !receive(rig, 2, false).is_empty()
}

fn receives_a_bundle(rig: &mut Rig, _: &Path) -> bool {
    receive(rig, 1, true).contains(&8)
}

/// Sends eight bytes to a socket that receives on and on into buffers of four, and says what came with each of so many
/// completions; nothing where that is not known.
fn receive(rig: &mut Rig, completions: usize, bundle: bool) -> Vec<i32> {
    let Ok(group) = rig.driver.add_buffer_group(2) else {
        return Vec::new();
    };
    // The kernel may know it for as long as the ring lives.
    static MEMORY: [[AtomicU8; 4]; 2] = [const { [const { AtomicU8::new(0) }; 4] }; 2];
    for (id, buffer) in MEMORY.iter().enumerate() {
        let address = Address::of(buffer.as_ptr());
        rig.driver.provide_buffer(group, id as u16, address, 4);
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.write_all(b"in parts").unwrap();
    let fd = server.as_raw_fd();
    rig.driver
        .submit(key(0, 1), Operation::ReceiveMultishot { fd, group, bundle });
    rig.complete(1);
    if rig.result(key(0, 1)) == -libc::EINVAL {
        return Vec::new();
    }
    rig.complete(completions);
    let results: Vec<i32> = rig
        .completed
        .iter()
        .map(|(_, completion)| completion.result)
        .collect();
    assert_eq!(
        results.iter().filter(|result| **result > 0).sum::<i32>(),
        8,
        "{results:?}"
    );
    if rig.completed.iter().all(|(_, completion)| completion.more) {
        rig.driver.cancel(key(0, 1));
        rig.complete(results.len() + 1);
    }
    results
}

fn makes_a_pipe(rig: &mut Rig, _: &Path) -> bool {
    let mut ends = [-1_i32; 2];
    let descriptors = Address::of_mut(&raw mut ends);
    let (_, is_in_ring) = is_in_ring(
        rig,
        Operation::Pipe {
            descriptors,
            flags: libc::O_CLOEXEC,
        },
    );
    let [reader, writer] = ends;
    drop((owned(reader), owned(writer)));
    is_in_ring
}

fn truncates(rig: &mut Rig, folder: &Path) -> bool {
    let file = File::create(folder.join("file")).unwrap();
    let (fd, length) = (file.as_raw_fd(), 1000);
    let (_, is_in_ring) = is_in_ring(rig, Operation::Truncate { fd, length });
    assert_eq!(file.metadata().unwrap().len(), length);
    is_in_ring
}

fn c_string(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn makes_a_directory(rig: &mut Rig, folder: &Path) -> bool {
    let path = c_string(&folder.join("folder"));
    is_known(
        rig,
        Operation::MakeDirectory {
            path: Address::of(path.as_ptr()),
            mode: 0o755,
        },
    )
}

/// Two paths, of which the first one is a file.
fn names(folder: &Path) -> (CString, CString) {
    File::create(folder.join("one")).unwrap();
    (
        c_string(&folder.join("one")),
        c_string(&folder.join("other")),
    )
}

fn links(rig: &mut Rig, folder: &Path) -> bool {
    let (from, to) = names(folder);
    let (from, to) = (Address::of(from.as_ptr()), Address::of(to.as_ptr()));
    is_known(rig, Operation::HardLink { from, to })
}

fn links_symbolically(rig: &mut Rig, folder: &Path) -> bool {
    let (target, link) = names(folder);
    let (target, link) = (Address::of(target.as_ptr()), Address::of(link.as_ptr()));
    is_known(rig, Operation::SymbolicLink { target, link })
}

fn renames(rig: &mut Rig, folder: &Path) -> bool {
    let (from, to) = names(folder);
    let (from, to) = (Address::of(from.as_ptr()), Address::of(to.as_ptr()));
    is_known(rig, Operation::Rename { from, to })
}

fn removes(rig: &mut Rig, folder: &Path) -> bool {
    let (path, _) = names(folder);
    is_known(
        rig,
        Operation::Remove {
            path: Address::of(path.as_ptr()),
            flags: 0,
        },
    )
}

fn hears_a_message(rig: &mut Rig, _: &Path) -> bool {
    let ring = super::tests::uring(rig).ring.0.as_raw_fd();
    let is_sent = crate::sys::send_ring_message(ring, super::user_data::MESSAGE).is_ok();
    rig.flush();
    is_sent && rig.driver.counters().bells == 1
}

/// The kernel refuses what it does not know.
fn sleeps_without_iowait(rig: &mut Rig, _: &Path) -> bool {
    let flags = io_uring::EnterFlags::GETEVENTS | io_uring::EnterFlags::NO_IOWAIT;
    let submitter = super::tests::uring(rig).ring.0.submitter();
    // SAFETY: nothing is submitted and no argument is passed.
    unsafe { submitter.enter::<()>(0, 0, flags.bits(), None) }.is_ok()
}
