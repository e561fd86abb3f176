//! What cannot be seen from outside: kernels that lack something.

use std::rc::Rc;
use std::time::Duration;

use crate::buf::pool::BUFFERS_FIRST;
use crate::buf::{Inlet, ReceiveSettings, Receiver, pool};
use crate::context;
use crate::driver::tests::is_without;
use crate::driver::{Capabilities, Completion, Config};
use crate::inflight::Op;
use crate::net::{TcpListener, TcpStream};
use crate::op::receive_ahead::{ReceiveAhead, Way};
use crate::op::{Endpoint, StreamKind};
use crate::task::{spawn, yield_now};
use crate::worker::{Settings, Worker};

fn worker_on(restrict: fn(&mut Capabilities)) -> Worker {
    let driver = Config {
        restrict,
        ..Config::default()
    };
    let settings = Settings {
        driver,
        linger: Duration::from_secs(5),
        receive: ReceiveSettings::default(),
        registered_memory: 0,
        spawn_backlog: 16,
        class_shares: [1; 3],
        start_paused: false,
        panics: crate::task::PanicResponse::Isolate,
        spin: Duration::ZERO,
        board: None,
    };
    Worker::new(&settings).unwrap()
}

fn capabilities_of(worker: &Worker) -> Capabilities {
    worker.core().driver.borrow().capabilities().clone()
}

#[test]
fn without_multishot_connections_are_taken_one_by_one_and_only_when_wanted() {
    let worker = worker_on(|capabilities| capabilities.accept_multishot = false);
    worker.block_on(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let _first = listener.accept().await.unwrap();
        let operations = || worker.core().counters.operations.get();
        let before = operations();
        for _ in 0..5 {
            yield_now().await;
        }
        assert_eq!(operations(), before, "nobody waits for the others");
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let listener = listener.clone();
                spawn(async move { listener.accept().await })
            })
            .collect();
        let _late = TcpStream::connect(address).await.unwrap();
        let mut servers = Vec::new();
        for task in tasks {
            servers.push(task.await.unwrap().unwrap());
        }
        let of_the_client = 2;
        assert_eq!(operations(), before + of_the_client + 3);
    });
    worker.shutdown(Duration::from_secs(5));
}

#[test]
fn a_kernel_that_lacks_something_receives_the_same_bytes() {
    let kernels: [fn(&mut Capabilities); 4] = [
        |_| {},
        |capabilities| capabilities.receive_bundle = false,
        |capabilities| capabilities.receive_multishot = false,
        |capabilities| capabilities.provided_buffers = false,
    ];
    for (number, restrict) in kernels.into_iter().enumerate() {
        let worker = worker_on(restrict);
        worker.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap());
            let client = client.await.unwrap();
            let server = listener.accept().await.unwrap();
            let sent: Vec<u8> = (0..100_000_u32).map(|count| (count / 7) as u8).collect();
            let expected = sent.clone();
            let sending = spawn(async move { server.write_all(sent).await.0 });
            let mut got = Vec::new();
            loop {
                let chunk = client.recv().await.unwrap();
                if chunk.is_empty() {
                    break;
                }
                got.extend_from_slice(&chunk);
            }
            assert!(got == expected, "kernel {number}");
            sending.await.unwrap().unwrap();
        });
        assert_eq!(worker.pool().leased(), 0);
        let provided = capabilities_of(&worker).provided_buffers;
        assert_eq!(worker.pool().total() > 0, provided);
        assert!(!provided || number < 3);
        worker.shutdown(Duration::from_secs(5));
    }
}

#[test]
fn a_multishot_that_the_kernel_does_not_know_after_all_is_not_tried_again() {
    let worker = worker_on(|_| {});
    if is_without(
        "receive that goes on",
        capabilities_of(&worker).receive_multishot,
    ) {
        return;
    }
    worker.block_on(async {
        let offer = pool::with(|pool| pool.offer()).flatten().unwrap();
        assert!(offer.multishot);
        pool::with(|pool| pool.lacks_multishot());
        let offer = pool::with(|pool| pool.offer()).flatten().unwrap();
        assert!(!offer.multishot);
    });
    worker.shutdown(Duration::from_secs(5));
}

/// An inlet without a stream around it.
#[derive(Default)]
struct Alone(Inlet);

impl Receiver for Alone {
    fn inlet(&self) -> &Inlet {
        &self.0
    }
}

#[test]
fn bug_008_a_buffer_that_comes_with_an_error_is_recycled() {
    let worker = worker_on(|_| {});
    if is_without("ring of buffers", capabilities_of(&worker).provided_buffers) {
        return;
    }
    worker.block_on(async {
        let group = pool::with(|pool| pool.offer()).flatten().unwrap().group;
        let alone = Rc::new(Alone::default());
        let way = Way::Provided { group };
        let endpoint = Endpoint {
            fd: -1,
            kind: StreamKind::Tcp,
        };
        let mut receive = ReceiveAhead::new(endpoint, way, 4096, alone.clone());
        // The places after those of the first buffers are empty until one is provided anew.
        let provided = |place: u16, id| {
            context::with(|core| core.driver.borrow().provided_length(group, place, id))
                .flatten()
                .filter(|length| *length > 0)
        };
        for (id, result) in [(0, -libc::ECONNRESET), (1, 0)] {
            let place = BUFFERS_FIRST as u16 + id;
            assert_eq!(provided(place, id), None);
            let buffer = Some(id);
            let more = false;
            receive.take_buffers(Completion {
                result,
                more,
                buffer,
            });
            assert_eq!((worker.pool().leased(), alone.0.held()), (0, 0));
            assert!(alone.0.is_empty());
            assert_eq!(provided(place, id), Some(4096));
        }
        // With data it is kept, until the data is read.
        let completion = Completion::last(5);
        receive.take_buffers(Completion {
            buffer: Some(2),
            ..completion
        });
        assert_eq!((worker.pool().leased(), alone.0.held()), (1, 1));
        drop(alone.0.pop());
        assert_eq!((worker.pool().leased(), alone.0.held()), (0, 0));
    });
    worker.shutdown(Duration::from_secs(5));
}
