//! What cannot be seen from outside: kernels that lack something.

use std::rc::Rc;
use std::time::Duration;

use crate::buf::ReceiveSettings;
use crate::driver::Config;
use crate::net::{TcpListener, TcpStream};
use crate::task::{spawn, yield_now};
use crate::worker::{Settings, Worker};

#[test]
fn without_multishot_connections_are_taken_one_by_one_and_only_when_wanted() {
    let driver = Config {
        restrict: |capabilities| capabilities.accept_multishot = false,
        ..Config::default()
    };
    let settings = Settings {
        driver,
        seed: 1,
        linger: Duration::from_secs(5),
        receive: ReceiveSettings::default(),
        registered_memory: 0,
        start_paused: false,
    };
    let worker = Worker::new(&settings).unwrap();
    worker.block_on(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let connect = |_| std::net::TcpStream::connect(address).unwrap();
        let _clients: Vec<_> = (0..3).map(connect).collect();
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
