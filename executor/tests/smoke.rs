use krug::net::{TcpListener, TcpStream, UnixStream};
use std::time::Duration;

#[test]
fn a_stream_carries_bytes_both_ways() {
    let runtime = krug::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = krug::spawn(async move {
            let stream = listener.accept().await.unwrap();
            let mut buf = Vec::with_capacity(64);
            loop {
                let (result, b) = stream.read(buf).await;
                if result.unwrap() == 0 {
                    break;
                }
                let (result, b) = stream.write_all(b).await;
                result.unwrap();
                buf = b;
            }
        });
        let client = TcpStream::connect(address).await.unwrap();
        for _ in 0..1000 {
            client.write_all("hello").await.0.unwrap();
            let (result, buf) = client.read_exact(vec![0; 5]).await;
            result.unwrap();
            assert_eq!(buf, b"hello");
        }
        client.close().await.unwrap();
        server.await.unwrap();
    });
    println!("{:?}", runtime.metrics());
    let report = runtime.shutdown(Duration::from_secs(1));
    assert!(report.is_clean(), "{report:?}");
}
