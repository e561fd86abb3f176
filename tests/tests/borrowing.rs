//! What `krug::compat::FuturesIo` promises to libraries that lend their memory: one copy, nothing lost, whoever is
//! dropped, and errors of accepted bytes that come out.

use std::cell::Cell;
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt,
};
use futures_util::stream::{FuturesUnordered, StreamExt};
use krug::Runtime;
use krug::compat::FuturesIo;
use krug::io::AsyncWriteOwned;
use krug::net::{TcpListener, TcpStream, UnixStream};
use krug::pipe::pipe;
use krug::runtime::Faults;
use krug::time::{sleep, timeout};
use krug_tests::{Random, iterations, poll_once, run, run_with, times_out, turns, with_settings};

krug_tests::on_every_driver!();

/// Accepted bytes that wait, bytes in flight, and what a pipe takes.
const PIPE_TAKES: usize = 3 * (64 << 10);

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    (client, listener.accept().await.unwrap())
}

/// Runs the block once for each kind of stream, with one end to write to and one to read from.
macro_rules! on_each_kind {
    (|$runtime:ident, $writer:ident, $reader:ident| $body:block) => {
        run_with(|builder| builder.entries(4), |$runtime| {
            $runtime.block_on(async {
                println!("TCP");
                let ($writer, $reader) = tcp_pair().await;
                $body
                println!("Unix");
                let ($writer, $reader) = UnixStream::pair().unwrap();
                $body
                println!("pipe");
                let ($writer, $reader) = pipe().await.unwrap();
                $body
            });
        })
    };
}

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn the_traits_of_the_field_work_on_every_kind_of_stream() {
    on_each_kind!(|_runtime, writer, reader| {
        let (mut writer, mut reader) = (FuturesIo::new(writer), FuturesIo::new(reader));
        writer.write_all(b"four").await.unwrap();
        let parts = [
            IoSlice::new(b"one\n"),
            IoSlice::new(b""),
            IoSlice::new(b"two\n"),
        ];
        assert_eq!(writer.write_vectored(&parts).await.unwrap(), 8);
        writer.write_all(b"a,b,rest").await.unwrap();
        writer.close().await.unwrap();

        let mut four = [0; 4];
        reader.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"four");
        let mut line = String::new();
        assert_eq!(reader.read_line(&mut line).await.unwrap(), 4);
        let (mut first, mut second) = ([0; 1], [0; 3]);
        let mut parts = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        let mut count = 0;
        while count < 4 {
            let mut rest = &mut parts[..];
            IoSliceMut::advance_slices(&mut rest, count);
            count += reader.read_vectored(rest).await.unwrap();
            parts = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        }
        assert_eq!((line.as_str(), &first, &second), ("one\n", b"t", b"wo\n"));
        let mut part = Vec::new();
        assert_eq!(reader.read_until(b',', &mut part).await.unwrap(), 2);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "b,rest");
        assert_eq!(reader.read(&mut four).await.unwrap(), 0, "the end stays");
    });
}

#[test]
fn halves_and_references_are_streams_too() {
    run(|runtime| {
        runtime.block_on(async {
            let (client, server) = tcp_pair().await;
            let (read_half, write_half) = server.into_split();
            let echo = krug::spawn(async move {
                let mut writer = FuturesIo::new(write_half);
                let copied = futures_util::io::copy_buf(FuturesIo::new(read_half), &mut writer);
                let copied = copied.await.unwrap();
                writer.close().await.unwrap();
                copied
            });
            FuturesIo::new(&client).write_all(b"hello").await.unwrap();
            FuturesIo::new(&client).close().await.unwrap();
            let mut heard = String::new();
            let mut reader = FuturesIo::new(&client);
            reader.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "hello");
            assert_eq!(echo.await.unwrap(), 5);
        });
    });
}

#[test]
fn a_split_stream_reads_and_writes_in_two_tasks() {
    run(|runtime| {
        runtime.block_on(async {
            let (near, far) = UnixStream::pair().unwrap();
            let echo = krug::spawn(async move {
                let (reader, mut writer) = FuturesIo::new(far).split();
                let copied = futures_util::io::copy(reader, &mut writer).await.unwrap();
                writer.close().await.unwrap();
                copied
            });
            let (mut reader, mut writer) = FuturesIo::new(near).split();
            let sent = Random::of(1).bytes(1 << 20);
            let expected = sent.clone();
            let writing = krug::spawn(async move {
                writer.write_all(&sent).await.unwrap();
                writer.close().await.unwrap();
            });
            let mut heard = Vec::new();
            reader.read_to_end(&mut heard).await.unwrap();
            assert!(heard == expected);
            writing.await.unwrap();
            assert_eq!(echo.await.unwrap(), 1 << 20);
        });
    });
}

/// Writes and reads of all kinds, each dropped at a random moment. A write that resolves has accepted what it says,
/// one that was dropped nothing.
macro_rules! byte_exact {
    ($writer:ident, $reader:ident, $total:expr) => {{
        let total = $total;
        let random = Rc::new(Random::new());
        let all = Rc::new(random.bytes(total));
        let (dice, source) = (random.clone(), all.clone());
        let writing = krug::spawn(async move {
            let mut stream = $writer;
            let mut done = 0;
            while done < total {
                let mut writer = FuturesIo::new(stream);
                for _ in 0..=dice.below(20) {
                    let len = dice.below(20_000).min(total - done);
                    let bytes = &source[done..done + len];
                    let patience = dice.micros(100);
                    let accepted = match dice.below(4) {
                        0 => poll_once(Pin::new(&mut writer.write(bytes))).await,
                        1 => {
                            let (first, second) = bytes.split_at(len / 3);
                            let parts = [IoSlice::new(first), IoSlice::new(second)];
                            poll_once(Pin::new(&mut writer.write_vectored(&parts))).await
                        }
                        2 => match timeout(patience, writer.flush()).await {
                            Ok(result) => Poll::Ready(result.map(|()| 0)),
                            Err(_) => Poll::Pending,
                        },
                        _ => match timeout(patience, writer.write(bytes)).await {
                            Ok(result) => Poll::Ready(result),
                            Err(_) => Poll::Pending,
                        },
                    };
                    if let Poll::Ready(count) = accepted {
                        done += count.unwrap();
                    }
                }
                stream = writer.into_inner();
            }
            stream.close().await.unwrap();
        });
        let mut stream = $reader;
        let (mut seen, mut dropped) = (0, 0);
        while seen < total {
            let mut reader = FuturesIo::new(stream);
            for _ in 0..=random.below(20) {
                let mut buf = vec![0xee; 1 + random.below(30_000)];
                let patience = random.micros(100);
                let count = match random.below(3) {
                    0 => match poll_once(Pin::new(&mut reader.read(&mut buf))).await {
                        Poll::Ready(result) => result.unwrap(),
                        Poll::Pending => 0,
                    },
                    1 => match timeout(patience, reader.read(&mut buf)).await {
                        Ok(result) => result.unwrap(),
                        Err(_) => 0,
                    },
                    _ => match timeout(patience, reader.fill_buf()).await {
                        Ok(shown) => {
                            let shown = shown.unwrap();
                            let used = random.below(shown.len() + 1).min(buf.len());
                            buf[..used].copy_from_slice(&shown[..used]);
                            reader.consume_unpin(used);
                            used
                        }
                        Err(_) => 0,
                    },
                };
                dropped += usize::from(count == 0);
                assert!(
                    all[seen..].starts_with(&buf[..count]),
                    "other bytes at {seen}"
                );
                assert!(
                    buf[count..].iter().all(|byte| *byte == 0xee),
                    "lent memory was written to beyond the count"
                );
                seen += count;
            }
            stream = reader.into_inner();
            if random.below(3) == 0 {
                let patience = random.micros(50);
                if let Ok((result, buf)) = timeout(patience, stream.read(vec![0; 100])).await {
                    let count = result.unwrap();
                    assert!(
                        all[seen..].starts_with(&buf[..count]),
                        "other bytes at {seen}"
                    );
                    seen += count;
                }
            }
            sleep(random.micros(20)).await;
        }
        writing.await.unwrap();
        let mut rest = Vec::new();
        FuturesIo::new(stream).read_to_end(&mut rest).await.unwrap();
        assert_eq!((seen, rest.len()), (total, 0), "more than was sent");
        println!("{dropped} reads brought nothing");
        assert!(dropped > 0, "no read was dropped");
    }};
}

#[test]
fn tcp_is_byte_exact_whatever_is_dropped() {
    run_with(
        |builder| builder.entries(2),
        |runtime| {
            runtime.block_on(async {
                let (writer, reader) = tcp_pair().await;
                byte_exact!(writer, reader, iterations(2 << 20));
            });
        },
    );
}

#[test]
fn a_unix_stream_is_byte_exact_whatever_is_dropped() {
    run_with(
        |builder| builder.entries(1),
        |runtime| {
            runtime.block_on(async {
                let (writer, reader) = UnixStream::pair().unwrap();
                byte_exact!(writer, reader, iterations(2 << 20));
            });
        },
    );
}

#[test]
fn a_pipe_is_byte_exact_whatever_is_dropped() {
    run_with(
        |builder| builder.entries(2),
        |runtime| {
            runtime.block_on(async {
                let (writer, reader) = pipe().await.unwrap();
                byte_exact!(writer, reader, iterations(2 << 20));
            });
        },
    );
}

#[test]
fn what_was_accepted_is_sent_without_another_poll() {
    on_each_kind!(|_runtime, writer, reader| {
        let mut writer = FuturesIo::new(writer);
        for word in ["one ", "two ", "three"] {
            let write = poll_once(Pin::new(&mut writer.write(word.as_bytes()))).await;
            assert!(matches!(write, Poll::Ready(Ok(count)) if count == word.len()));
        }
        let (result, buf) = reader.read_exact(vec![0; 13]).await;
        result.unwrap();
        assert_eq!(buf, b"one two three");
        drop(writer);
    });
}

#[test]
fn bug_016_what_was_accepted_before_a_drop_arrives() {
    on_each_kind!(|_runtime, writer, reader| {
        let mut writer = FuturesIo::new(writer);
        let all = Random::of(2).bytes(100_000);
        let mut accepted = 0;
        while let Poll::Ready(count) =
            poll_once(Pin::new(&mut writer.write(&all[accepted..]))).await
        {
            accepted += count.unwrap();
            if accepted == all.len() {
                break;
            }
        }
        drop(writer);
        let (result, arrived) = krug::io::read_to_end(&reader, Vec::new()).await;
        result.unwrap();
        assert!(accepted > 0 && arrived == all[..accepted]);
    });
}

#[test]
fn a_writer_whose_peer_does_not_read_waits_and_goes_on_later() {
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = pipe().await.unwrap();
            let mut writer = FuturesIo::new(writer);
            let piece = Random::of(3).bytes(10_000);
            let mut accepted = Vec::new();
            loop {
                turns(2).await;
                match poll_once(Pin::new(&mut writer.write(&piece))).await {
                    Poll::Ready(count) => accepted.extend_from_slice(&piece[..count.unwrap()]),
                    Poll::Pending => break,
                }
                assert!(
                    accepted.len() <= PIPE_TAKES,
                    "{} bytes were accepted while nobody reads",
                    accepted.len()
                );
            }
            assert!(accepted.len() >= 64 << 10);
            assert!(times_out(writer.flush()).await);
            let reading = krug::spawn(async move {
                let (result, all) = krug::io::read_to_end(&reader, Vec::new()).await;
                result.unwrap();
                all
            });
            // In a task of its own: the flush above would wake this one.
            let writing = krug::spawn(async move {
                writer.write_all(b"the end").await.unwrap();
                writer
            });
            let mut writer = writing.await.unwrap();
            accepted.extend_from_slice(b"the end");
            writer.close().await.unwrap();
            assert!(reading.await.unwrap() == accepted);
        });
    });
}

#[test]
fn bug_043_whoever_polled_last_is_woken() {
    on_each_kind!(|_runtime, writer, reader| {
        let (mut writer, mut reader) = (FuturesIo::new(writer), FuturesIo::new(reader));
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        for count in [&first, &second] {
            let waker = Waker::from(count.clone());
            let mut cx = Context::from_waker(&waker);
            assert!(Pin::new(&mut reader).poll_fill_buf(&mut cx).is_pending());
        }
        writer.write_all(b"x").await.unwrap();
        writer.flush().await.unwrap();
        krug_tests::until("the second reader is woken", || second.get() > 0).await;
        assert_eq!(reader.fill_buf().await.unwrap(), b"x");

        // Fill it until both a write and a flush wait.
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (third, fourth) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let mut accepted = 1;
        let mut poll = |count: &Arc<Count>| {
            let waker = Waker::from(count.clone());
            let mut cx = Context::from_waker(&waker);
            Pin::new(&mut writer).poll_write(&mut cx, &[b'x'; 60_000])
        };
        loop {
            turns(2).await;
            match poll(&first) {
                Poll::Ready(count) => accepted += count.unwrap(),
                Poll::Pending => break,
            }
        }
        assert!(poll(&second).is_pending());
        for count in [&third, &fourth] {
            let waker = Waker::from(count.clone());
            let mut cx = Context::from_waker(&waker);
            assert!(Pin::new(&mut writer).poll_flush(&mut cx).is_pending());
        }
        let mut buf = vec![0; 1 << 16];
        let mut seen = 0;
        while seen < accepted {
            seen += reader.read(&mut buf).await.unwrap();
        }
        krug_tests::until("the second writer is woken", || second.get() > 0).await;
        krug_tests::until("the second who flushes is woken", || fourth.get() > 0).await;
        writer.flush().await.unwrap();
    });
}

#[test]
fn bug_043_a_reader_and_a_writer_in_different_tasks_do_not_take_each_others_wake() {
    run(|runtime| {
        runtime.block_on(async {
            let (near, far) = UnixStream::pair().unwrap();
            let mut near = FuturesIo::new(near);
            let (reads, writes) = (Arc::new(Count::default()), Arc::new(Count::default()));
            let waker = Waker::from(reads.clone());
            let mut cx = Context::from_waker(&waker);
            assert!(
                Pin::new(&mut near)
                    .poll_read(&mut cx, &mut [0; 8])
                    .is_pending()
            );
            let waker = Waker::from(writes.clone());
            let mut cx = Context::from_waker(&waker);
            assert!(Pin::new(&mut near).poll_write(&mut cx, b"ping").is_ready());
            let (result, _) = far.read_exact(vec![0; 4]).await;
            result.unwrap();
            far.write_all("pong").await.0.unwrap();
            krug_tests::until("the reader is woken", || reads.get() > 0).await;
            let mut buf = [0; 8];
            assert_eq!(near.read(&mut buf).await.unwrap(), 4);
        });
    });
}

#[test]
fn bug_044_every_future_is_woken_under_futures_unordered() {
    run(|runtime| {
        runtime.block_on(async {
            let finished = Rc::new(Cell::new(0));
            let mut all = FuturesUnordered::new();
            for number in 0..50_u8 {
                let finished = finished.clone();
                all.push(async move {
                    let (near, far) = UnixStream::pair().unwrap();
                    let mut near = FuturesIo::new(near);
                    let answering = krug::spawn(async move {
                        let mut far = FuturesIo::new(far);
                        let mut word = [0; 3];
                        far.read_exact(&mut word).await.unwrap();
                        sleep(std::time::Duration::from_micros(u64::from(number))).await;
                        far.write_all(&word).await.unwrap();
                        far.close().await.unwrap();
                    });
                    near.write_all(&[number; 3]).await.unwrap();
                    near.flush().await.unwrap();
                    let mut heard = Vec::new();
                    near.read_to_end(&mut heard).await.unwrap();
                    near.close().await.unwrap();
                    assert_eq!(heard, [number; 3]);
                    answering.await.unwrap();
                    finished.set(finished.get() + 1);
                });
            }
            while all.next().await.is_some() {}
            assert_eq!(finished.get(), 50);
        });
    });
}

/// Passes one byte at a time in both directions, as the smallest pipe there could be.
struct OneByte<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for OneByte<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        let room = buf.len().min(1);
        Pin::new(&mut self.0).poll_read(cx, &mut buf[..room])
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for OneByte<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &buf[..buf.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

const MESSAGE: &[u8] = b"4:abcd\n0:\n2:xy\n";

/// Speaks a small protocol; says how it ended.
async fn records(mut reader: impl AsyncBufRead + Unpin) -> (usize, Option<ErrorKind>) {
    let mut records = 0;
    loop {
        let mut head = Vec::new();
        match reader.read_until(b':', &mut head).await {
            Ok(0) => return (records, None),
            Ok(_) if head.last() != Some(&b':') => {
                return (records, Some(ErrorKind::UnexpectedEof));
            }
            Ok(_) => {}
            Err(error) => return (records, Some(error.kind())),
        }
        let len = usize::from(head[0] - b'0') + 1;
        if let Err(error) = reader.read_exact(&mut vec![0; len]).await {
            return (records, Some(error.kind()));
        }
        records += 1;
    }
}

#[test]
fn bug_089_the_end_at_every_byte_is_seen_once_and_for_all() {
    on_each_kind!(|_runtime, writer, reader| {
        drop((writer, reader));
        for cut in 0..=MESSAGE.len() {
            let expected = match cut {
                0 => (0, None),
                1..7 => (0, Some(ErrorKind::UnexpectedEof)),
                7 => (1, None),
                8..10 => (1, Some(ErrorKind::UnexpectedEof)),
                10 => (2, None),
                11..15 => (2, Some(ErrorKind::UnexpectedEof)),
                _ => (3, None),
            };
            let (writer, reader) = pipe().await.unwrap();
            let sending = krug::spawn(async move {
                let mut writer = OneByte(FuturesIo::new(writer));
                for byte in &MESSAGE[..cut] {
                    writer.write_all(&[*byte]).await.unwrap();
                    writer.flush().await.unwrap();
                }
                writer.close().await.unwrap();
                writer.close().await.unwrap();
                writer.flush().await.unwrap();
                let late = writer.write(b"late").await.unwrap_err();
                assert_eq!(late.kind(), ErrorKind::BrokenPipe);
            });
            let mut reader = FuturesIo::new(reader);
            let dripping = futures_util::io::BufReader::with_capacity(3, OneByte(&mut reader));
            assert_eq!(records(dripping).await, expected, "cut at {cut}");
            assert_eq!(reader.read(&mut [0; 4]).await.unwrap(), 0);
            assert_eq!(reader.fill_buf().await.unwrap(), b"");
            sending.await.unwrap();
        }
    });
}

#[test]
fn bug_089_flush_and_close_end_when_the_peer_ends() {
    run(|runtime| {
        runtime.block_on(async {
            for pieces in 0..6 {
                let (near, far) = UnixStream::pair().unwrap();
                let mut near = FuturesIo::new(near);
                for _ in 0..pieces {
                    near.write_all(b"some").await.unwrap();
                }
                drop(far);
                // Whether the bytes got out before is a matter of luck; that these end is not.
                let flushed = near.flush().await;
                let closed = near.close().await;
                println!("{pieces}: {flushed:?} {closed:?}");
                assert!(near.close().await.is_ok(), "closed is closed");
            }
        });
    });
}

#[test]
fn the_error_of_accepted_bytes_shows_at_flush_at_close_and_at_every_write() {
    run(|runtime| {
        runtime.block_on(async {
            let (near, far) = UnixStream::pair().unwrap();
            far.close().await.unwrap();
            let mut near = FuturesIo::new(near);
            assert_eq!(near.write(b"accepted").await.unwrap(), 8);
            for _ in 0..2 {
                let error = near.flush().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            }
            let error = near.write(b"more").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            let error = near.close().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);

            let (writer, reader) = pipe().await.unwrap();
            reader.close().await.unwrap();
            let mut writer = FuturesIo::new(writer);
            writer.write_all(b"accepted").await.unwrap();
            let error = writer.close().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        });
    });
}

#[test]
fn those_who_wait_for_room_learn_of_an_error_and_of_a_close() {
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = pipe().await.unwrap();
            let waiting = krug::spawn(async move {
                let mut writer = FuturesIo::new(writer);
                writer.write_all(&[0; 1 << 20]).await.unwrap_err().kind()
            });
            turns(4).await;
            assert!(!waiting.is_finished());
            reader.close().await.unwrap();
            assert_eq!(waiting.await.unwrap(), ErrorKind::BrokenPipe);

            let (writer, reader) = pipe().await.unwrap();
            let writer = Rc::new(writer);
            let stays = writer.clone();
            let waiting = krug::spawn(async move {
                let mut writer = FuturesIo::new(&*stays);
                writer.write_all(&[0; 1 << 20]).await.unwrap_err().kind()
            });
            turns(4).await;
            assert!(!waiting.is_finished());
            let closing = krug::spawn(async move { (&*writer).shutdown().await });
            assert_eq!(waiting.await.unwrap(), ErrorKind::NotConnected);
            let (result, _) = krug::io::read_to_end(&reader, Vec::new()).await;
            assert!(result.unwrap() >= 64 << 10);
            closing.await.unwrap().unwrap();
        });
    });
}

#[test]
fn what_was_received_and_not_handed_out_goes_to_the_next_reader() {
    on_each_kind!(|_runtime, writer, reader| {
        writer.write_all("one two three").await.0.unwrap();
        let mut first = FuturesIo::new(&reader);
        let mut word = [0; 4];
        first.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"one ");
        drop(first);
        let mut second = FuturesIo::new(reader);
        second.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"two ");
        let reader = second.into_inner();
        let (result, buf) = reader.read_exact(vec![0; 5]).await;
        result.unwrap();
        assert_eq!(buf, b"three");
    });
}

#[test]
fn the_buffer_that_is_received_into_stays_at_its_address() {
    run(|runtime| {
        runtime.block_on(async {
            let (near, far) = UnixStream::pair().unwrap();
            let (mut near, mut far) = (FuturesIo::new(near), FuturesIo::new(far));
            let mut buf = [0; 100];
            let mut addresses = std::collections::BTreeSet::new();
            for _ in 0..50 {
                near.write_all(&[7; 100]).await.unwrap();
                near.flush().await.unwrap();
                addresses.insert(far.fill_buf().await.unwrap().as_ptr());
                far.read_exact(&mut buf).await.unwrap();
            }
            assert_eq!(addresses.len(), 1, "the buffer to read into is used again");
        });
    });
}

#[test]
fn used_on_another_core_it_errs_and_names_both() {
    let home = Runtime::new().unwrap();
    let (near, _far) = home.block_on(async { UnixStream::pair().unwrap() });
    let other = Runtime::new().unwrap();
    other.block_on(async {
        let mut near = FuturesIo::new(near);
        let error = near.read(&mut [0; 4]).await.unwrap_err();
        assert!(error.to_string().contains("belongs to"), "{error}");
        assert!(near.write(b"x").await.is_err());
        assert!(near.flush().await.is_err());
        assert!(near.close().await.is_err());
    });
}

/// Lines there and back through the adapter.
async fn conversation() -> String {
    let (near, far) = UnixStream::pair().unwrap();
    let serving = krug::spawn(async move {
        let (reader, mut writer) = FuturesIo::new(far).split();
        let mut lines = futures_util::io::BufReader::with_capacity(5, reader).lines();
        while let Some(line) = lines.next().await {
            let answer = format!("[{}]", line.unwrap());
            writer.write_all(answer.as_bytes()).await.unwrap();
        }
        writer.close().await.unwrap();
    });
    let mut near = FuturesIo::new(near);
    for line in ["one\n", "two\n", "three"] {
        near.write_all(line.as_bytes()).await.unwrap();
    }
    near.close().await.unwrap();
    let mut heard = String::new();
    near.read_to_string(&mut heard).await.unwrap();
    serving.await.unwrap();
    heard
}

#[test]
fn no_fault_of_the_kernel_at_any_call_is_noticed() {
    with_settings(|builder| {
        let attempt = |faults: &Faults| {
            let builder = builder.clone().seed(1).entries(8).faults(faults.clone());
            let runtime = builder.build().unwrap();
            let heard = runtime.block_on(conversation());
            assert!(
                runtime
                    .shutdown(std::time::Duration::from_secs(5))
                    .is_clean()
            );
            heard
        };
        let calm = Faults::new();
        assert_eq!(attempt(&calm), "[one][two][three]");
        for nth in 1..=calm.operations() {
            for errno in [libc::EINTR, libc::EAGAIN, libc::ENOBUFS] {
                let faults = Faults::new().operation(nth, errno);
                assert_eq!(
                    attempt(&faults),
                    "[one][two][three]",
                    "operation {nth} answers {errno}"
                );
            }
        }
    });
}
