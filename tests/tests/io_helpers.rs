//! What `krug::io` promises: nothing is lost between a reader and a writer, half a line survives
//! a timeout, accepted bytes are sent.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::pin::pin;
use std::rc::Rc;

use krug::Runtime;
use krug::buf::{BufResult, IoBufMut};
use krug::io::{self, AsyncReadOwned, AsyncWriteOwned, BufReader, BufWriter};
use krug::net::{TcpListener, TcpStream, UnixStream};
use krug::pipe::pipe;
use krug::runtime::Faults;
use krug::time::{sleep, timeout};
use krug_tests::{Random, iterations, poll_once, run, run_with, times_out, turns, with_settings};

krug_tests::on_every_driver!();

/// More than any socket or pipe takes while nobody reads.
const MORE_THAN_FITS: usize = 16 << 20;

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

/// The first `len` bytes of what `seed` says.
fn data(seed: u64, len: usize) -> Vec<u8> {
    Random::of(seed).bytes(len)
}

async fn send(stream: &UnixStream, bytes: impl Into<Vec<u8>>) {
    stream.write_all(bytes.into()).await.0.unwrap();
}

#[test]
fn a_copy_copies_everything_up_to_the_end_and_counts_it() {
    on_each_kind!(|_runtime, writer, reader| {
        let (near, far) = UnixStream::pair().unwrap();
        let sent = data(1, 300_000);
        let sending = krug::spawn(async move {
            writer.write_all(data(1, 300_000)).await.0.unwrap();
            writer.close().await.unwrap();
        });
        let copying = krug::spawn(async move { io::copy(&reader, near).await });
        let (result, arrived) = io::read_to_end(&far, Vec::new()).await;
        assert_eq!(result.unwrap(), sent.len());
        assert!(arrived == sent);
        assert_eq!(copying.await.unwrap().unwrap(), sent.len() as u64);
        sending.await.unwrap();
    });
}

#[test]
fn a_copy_leaves_the_writer_open() {
    run(|runtime| {
        runtime.block_on(async {
            let (from, reader) = UnixStream::pair().unwrap();
            let (writer, to) = UnixStream::pair().unwrap();
            send(&from, "one").await;
            from.close().await.unwrap();
            assert_eq!(io::copy(&reader, &writer).await.unwrap(), 3);
            send(&writer, " two").await;
            let (result, buf) = to.read_exact(vec![0; 7]).await;
            result.unwrap();
            assert_eq!(buf, b"one two");
        });
    });
}

/// Copies with futures that are dropped at random moments and begun again, while others write and read.
macro_rules! copied_in_pieces {
    ($writer:ident, $reader:ident, $near:ident, $far:ident, $total:expr) => {{
        let total = $total;
        let random = Rc::new(Random::new());
        let dice = random.clone();
        let sent = Rc::new(random.bytes(total));
        let source = sent.clone();
        let sending = krug::spawn(async move {
            let mut done = 0;
            while done < total {
                let len = (1 + dice.below(20_000)).min(total - done);
                $writer
                    .write_all(source[done..done + len].to_vec())
                    .await
                    .0
                    .unwrap();
                done += len;
                if dice.below(3) == 0 {
                    sleep(dice.micros(100)).await;
                }
            }
            $writer.close().await.unwrap();
        });
        let dice = random.clone();
        let copying = krug::spawn(async move {
            let mut dropped = 0;
            loop {
                let mut copy = Box::pin(io::copy(&$reader, &$near));
                let ended = match dice.below(2) {
                    0 => {
                        let mut ended = false;
                        for _ in 0..dice.below(8) {
                            ended = ended || poll_once(copy.as_mut()).await.is_ready();
                            if dice.below(2) == 0 {
                                turns(1).await;
                            }
                            if ended {
                                break;
                            }
                        }
                        ended
                    }
                    _ => timeout(dice.micros(150), copy.as_mut()).await.is_ok(),
                };
                if ended {
                    break;
                }
                dropped += 1;
            }
            $near.close().await.unwrap();
            dropped
        });
        let (result, arrived) = io::read_to_end(&$far, Vec::new()).await;
        result.unwrap();
        assert_eq!(arrived.len(), sent.len());
        assert!(arrived == *sent);
        sending.await.unwrap();
        let dropped = copying.await.unwrap();
        println!("{dropped} copies were dropped");
        assert!(dropped > 0, "no copy was dropped");
    }};
}

#[test]
fn copies_that_are_dropped_at_any_moment_lose_nothing_on_tcp() {
    run_with(
        |builder| builder.entries(2),
        |runtime| {
            runtime.block_on(async {
                let (writer, reader) = tcp_pair().await;
                let (near, far) = tcp_pair().await;
                copied_in_pieces!(writer, reader, near, far, iterations(2 << 20));
            });
        },
    );
}

#[test]
fn copies_that_are_dropped_at_any_moment_lose_nothing_on_unix_sockets_and_pipes() {
    run_with(
        |builder| builder.entries(2),
        |runtime| {
            runtime.block_on(async {
                let (writer, reader) = pipe().await.unwrap();
                let (near, far) = UnixStream::pair().unwrap();
                copied_in_pieces!(writer, reader, near, far, iterations(2 << 20));
                let (writer, reader) = UnixStream::pair().unwrap();
                let (near, far) = pipe().await.unwrap();
                copied_in_pieces!(writer, reader, near, far, iterations(2 << 20));
            });
        },
    );
}

#[test]
fn a_copy_that_is_begun_again_waits_until_what_was_left_behind_is_sent() {
    run(|runtime| {
        runtime.block_on(async {
            let (from, reader) = UnixStream::pair().unwrap();
            let (writer, to) = UnixStream::pair().unwrap();
            let sending = krug::spawn(async move {
                send(&from, data(2, MORE_THAN_FITS)).await;
                from.close().await.unwrap();
            });
            for _ in 0..1000 {
                assert!(times_out(io::copy(&reader, &writer)).await);
            }
            assert!(
                !sending.is_finished(),
                "dropped copies have read {MORE_THAN_FITS} bytes that nobody takes"
            );
            let copying = krug::spawn(async move {
                io::copy(&reader, &writer).await.unwrap();
            });
            let (result, arrived) = io::read_to_end(&to, Vec::new()).await;
            result.unwrap();
            assert!(arrived == data(2, MORE_THAN_FITS));
            copying.await.unwrap();
            sending.await.unwrap();
        });
    });
}

#[test]
fn what_is_committed_is_sent_whether_its_future_is_polled_or_not() {
    on_each_kind!(|_runtime, writer, reader| {
        drop((&writer).commit(b"never polled, ".to_vec()));
        {
            let mut writer = &writer;
            let mut polled = pin!(writer.commit(b"dropped in the same turn".to_vec()));
            assert!(poll_once(polled.as_mut()).await.is_pending());
        }
        let expected = "never polled, dropped in the same turn";
        let (result, buf) = reader.read_exact(vec![0; expected.len()]).await;
        result.unwrap();
        assert_eq!(buf, expected.as_bytes());
    });
}

#[test]
fn a_commit_with_a_free_lane_is_not_taken_back_when_it_is_dropped() {
    on_each_kind!(|_runtime, writer, reader| {
        {
            let mut writer = &writer;
            let mut polled = pin!(writer.commit(b"staged".to_vec()));
            assert!(poll_once(polled.as_mut()).await.is_pending());
        }
        let (result, buf) = reader.read_exact(vec![0; 6]).await;
        result.unwrap();
        assert_eq!(buf, b"staged");
    });
}

#[test]
fn what_is_committed_behind_a_long_write_comes_after_it_and_before_what_follows() {
    on_each_kind!(|_runtime, writer, reader| {
        {
            let mut long = pin!(writer.write_all(data(3, MORE_THAN_FITS)));
            assert!(poll_once(long.as_mut()).await.is_pending());
            turns(2).await;
        }
        drop((&writer).commit(b"first".to_vec()));
        drop((&writer).commit(b"second".to_vec()));
        let last = krug::spawn(async move {
            writer.write_all("third").await.0.unwrap();
            writer.close().await.unwrap();
        });
        let (result, arrived) = io::read_to_end(&reader, Vec::new()).await;
        result.unwrap();
        let mut expected = data(3, MORE_THAN_FITS);
        expected.extend_from_slice(b"firstsecondthird");
        assert!(arrived == expected);
        last.await.unwrap();
    });
}

#[test]
fn bug_016_close_sends_what_was_committed_before() {
    on_each_kind!(|_runtime, writer, reader| {
        {
            let mut long = pin!(writer.write_all(data(4, MORE_THAN_FITS)));
            assert!(poll_once(long.as_mut()).await.is_pending());
            turns(2).await;
        }
        drop((&writer).commit(b"the".to_vec()));
        drop((&writer).commit(b" end".to_vec()));
        let closing = krug::spawn(writer.close());
        let (result, arrived) = io::read_to_end(&reader, Vec::new()).await;
        result.unwrap();
        assert_eq!(arrived.len(), MORE_THAN_FITS + 7);
        assert!(arrived.ends_with(b"the end"));
        closing.await.unwrap().unwrap();
    });
}

#[test]
fn a_shutdown_of_the_runtime_sends_what_was_committed_before() {
    krug_tests::needs_a_kernel!("its peer reads while the runtime is shut down");
    with_settings(|builder| {
        let (kept, given) = std::os::unix::net::UnixStream::pair().unwrap();
        let runtime = builder.build().unwrap();
        runtime.block_on(async {
            let writer = UnixStream::from_std(given).unwrap();
            krug::spawn(async move {
                {
                    let mut long = pin!(writer.write_all(data(5, MORE_THAN_FITS)));
                    assert!(poll_once(long.as_mut()).await.is_pending());
                    krug::task::yield_now().await;
                }
                drop((&writer).commit(b"the end".to_vec()));
                std::future::pending::<()>().await;
            });
            turns(4).await;
        });
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            std::io::Read::read_to_end(&mut &kept, &mut all).unwrap();
            all
        });
        let report = runtime.shutdown(std::time::Duration::from_secs(10));
        assert!(report.is_clean(), "{report:?}");
        let all = reading.join().unwrap();
        assert_eq!(all.len(), MORE_THAN_FITS + 7);
        assert!(all.ends_with(b"the end"));
    });
}

#[test]
fn what_cannot_be_sent_any_more_is_an_error_of_every_later_write_and_of_close() {
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = UnixStream::pair().unwrap();
            reader.close().await.unwrap();
            drop((&writer).commit(b"lost".to_vec()));
            drop((&writer).commit(b"lost, too".to_vec()));
            let error = writer.flush().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            let (result, _) = writer.write_all("more").await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::BrokenPipe);
            let error = writer.close().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        });
    });
}

#[test]
fn the_linger_time_bounds_what_was_committed() {
    run(|runtime| {
        runtime.block_on(async {
            let (writer, _reader) = UnixStream::pair().unwrap();
            writer
                .set_linger_time(std::time::Duration::from_millis(1))
                .unwrap();
            drop((&writer).commit(data(6, MORE_THAN_FITS)));
            drop((&writer).commit(data(7, MORE_THAN_FITS)));
            let error = writer.close().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
        });
    });
}

#[test]
fn a_proxy_passes_each_end_on_and_counts_both_ways() {
    run(|runtime| {
        runtime.block_on(async {
            let (client, near) = tcp_pair().await;
            let (far, server) = UnixStream::pair().unwrap();
            let proxy =
                krug::spawn(async move { io::copy_bidirectional(&near, &far).await.unwrap() });
            client.write_all("question").await.0.unwrap();
            client.shutdown(Shutdown::Write).await.unwrap();
            assert_eq!(io::read_to_string(&server).await.unwrap(), "question");
            assert!(!proxy.is_finished(), "the way back is open");
            send(&server, "answer").await;
            server.close().await.unwrap();
            assert_eq!(io::read_to_string(&client).await.unwrap(), "answer");
            assert_eq!(proxy.await.unwrap(), (8, 6));
        });
    });
}

#[test]
fn a_proxy_that_is_dropped_at_any_moment_loses_nothing() {
    run_with(
        |builder| builder.entries(2),
        |runtime| {
            runtime.block_on(async {
                let random = Rc::new(Random::new());
                let total = iterations(1 << 20);
                let (client, near) = tcp_pair().await;
                let (far, server) = tcp_pair().await;
                let (there, back) = (random.bytes(total), random.bytes(total));
                let dice = random.clone();
                let proxy = krug::spawn(async move {
                    let both = || io::copy_bidirectional(&near, &far);
                    while timeout(dice.micros(300), both()).await.is_err() {}
                });
                let speak = |stream: TcpStream, words: Vec<u8>| async move {
                    let (mut reader, writer) = stream.into_split();
                    let speaking = krug::spawn(async move {
                        writer.write_all(words).await.0.unwrap();
                        writer.shutdown(Shutdown::Write).await.unwrap();
                    });
                    let (result, heard) = io::read_to_end(&mut reader, Vec::new()).await;
                    result.unwrap();
                    speaking.await.unwrap();
                    heard
                };
                let speaking = krug::spawn(speak(client, there.clone()));
                let answer = speak(server, back.clone()).await;
                assert!(answer == there);
                assert!(speaking.await.unwrap() == back);
                proxy.await.unwrap();
            });
        },
    );
}

#[test]
fn read_to_end_appends_and_gives_back_what_came_before_an_error() {
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = UnixStream::pair().unwrap();
            send(&writer, " and the rest").await;
            writer.close().await.unwrap();
            let (result, buf) = io::read_to_end(&reader, b"the beginning".to_vec()).await;
            assert_eq!(result.unwrap(), 13);
            assert_eq!(buf, b"the beginning and the rest");

            let (client, server) = tcp_pair().await;
            client.write_all("before the reset").await.0.unwrap();
            // What lies unread when a socket is closed makes the kernel send a reset.
            server.write_all("never read").await.0.unwrap();
            let (result, _) = client.peek(vec![0; 10]).await;
            result.unwrap();
            let (result, _) = server.peek(vec![0; 16]).await;
            result.unwrap();
            let first = server.read(vec![0; 6]).await.1;
            assert_eq!(first, b"before");
            client.close().await.unwrap();
            let (result, buf) = io::read_to_end(&server, first).await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
            assert!(b"before the reset".starts_with(&buf[..]) && buf.len() >= 6);
        });
    });
}

#[test]
fn text_that_is_none_is_in_the_error() {
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = UnixStream::pair().unwrap();
            send(&writer, [b'a', 0xff]).await;
            writer.close().await.unwrap();
            let error = io::read_to_string(&reader).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            let inner = error.into_inner().unwrap();
            let inner = inner.downcast::<std::string::FromUtf8Error>().unwrap();
            assert_eq!(inner.into_bytes(), [b'a', 0xff]);
        });
    });
}

/// What a program of the standard library makes of the same bytes.
fn lines_of_std(bytes: &[u8]) -> Vec<String> {
    std::io::BufRead::lines(bytes)
        .map(|line| line.unwrap())
        .collect()
}

#[test]
fn lines_are_those_of_the_standard_library_however_they_arrive() {
    let texts = [
        "",
        "\n",
        "one",
        "one\n",
        "one\r\ntwo\r\n",
        "\r\n\n\r\r\n",
        "a\n\nb\n\n",
        "no end\r",
    ];
    run(|runtime| {
        runtime.block_on(async {
            for text in texts {
                for step in 1..=text.len().max(1) {
                    let (writer, reader) = UnixStream::pair().unwrap();
                    let sending = krug::spawn(async move {
                        for piece in text.as_bytes().chunks(step) {
                            send(&writer, piece).await;
                            turns(2).await;
                        }
                    });
                    let mut lines = BufReader::new(&reader).lines();
                    let mut seen = Vec::new();
                    while let Some(line) = lines.next_line().await.unwrap() {
                        seen.push(line);
                    }
                    assert_eq!(seen, lines_of_std(text.as_bytes()), "{text:?} by {step}");
                    assert_eq!(lines.next_line().await.unwrap(), None);
                    sending.await.unwrap();
                }
            }
        });
    });
}

#[test]
fn parts_are_those_of_the_standard_library() {
    run(|runtime| {
        runtime.block_on(async {
            for text in ["", ",", "a,b", "a,b,", ",,a"] {
                let (writer, reader) = UnixStream::pair().unwrap();
                send(&writer, text).await;
                writer.close().await.unwrap();
                let mut parts = BufReader::with_capacity(1, reader).split(b',');
                let mut seen = Vec::new();
                while let Some(part) = parts.next_part().await.unwrap() {
                    seen.push(part);
                }
                let expected: Vec<Vec<u8>> = std::io::BufRead::split(text.as_bytes(), b',')
                    .map(|part| part.unwrap())
                    .collect();
                assert_eq!(seen, expected, "{text:?}");
            }
        });
    });
}

#[test]
fn bug_015_a_reader_is_of_use_after_a_dropped_read() {
    on_each_kind!(|_runtime, writer, reader| {
        let mut reader = BufReader::new(&reader);
        assert!(times_out(reader.fill_buf()).await);
        assert!(times_out(reader.read_line(&mut String::new())).await);
        writer.write_all("half a").await.0.unwrap();
        let mut line = "before: ".to_owned();
        assert!(times_out(reader.read_line(&mut line)).await);
        assert_eq!(line, "before: ", "a dropped future has appended");
        writer.write_all(" line\nrest").await.0.unwrap();
        assert_eq!(reader.read_line(&mut line).await.unwrap(), 12);
        assert_eq!(line, "before: half a line\n");
        assert!(times_out(reader.read_exact(vec![0; 5])).await);
        assert_eq!(reader.fill_buf().await.unwrap(), b"rest");
    });
}

#[test]
fn a_line_that_is_too_long_is_an_error_that_names_the_limit_and_loses_nothing() {
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = UnixStream::pair().unwrap();
            send(&writer, "123456\n1234567\nend").await;
            let mut reader = BufReader::with_capacity(4, reader).max_length(7);
            let mut line = String::new();
            assert_eq!(reader.read_line(&mut line).await.unwrap(), 7);
            for _ in 0..2 {
                let error = reader.read_line(&mut line).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidData);
                assert!(error.to_string().contains("7 bytes"), "{error}");
            }
            assert_eq!(line, "123456\n");
            let (result, buf) = reader.read_exact(vec![0; 8]).await;
            result.unwrap();
            assert_eq!(buf, b"1234567\n");
            let mut lines = reader.lines().max_length(2);
            let error = lines.next_line().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            writer.close().await.unwrap();
            let mut reader = lines.into_inner();
            let error = reader.read_to_end(&mut Vec::new()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            let mut reader = reader.max_length(3);
            let mut rest = Vec::new();
            assert_eq!(reader.read_to_end(&mut rest).await.unwrap(), 3);
            assert_eq!(rest, b"end");
        });
    });
}

#[test]
fn a_peer_that_never_ends_its_line_does_not_fill_the_memory() {
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = UnixStream::pair().unwrap();
            let sending = krug::spawn(async move {
                let endless = writer.write_all(vec![b'x'; MORE_THAN_FITS]).await.0;
                assert!(endless.is_err(), "all of it was read");
            });
            let mut lines = BufReader::new(reader).lines().max_length(100_000);
            assert!(lines.next_line().await.is_err());
            let (reader, unread) = lines.into_inner().into_parts();
            assert!(unread.len() < 200_000, "{} bytes", unread.len());
            drop(reader);
            sending.await.unwrap();
        });
    });
}

#[test]
fn a_line_that_is_no_text_stays_until_it_is_read_as_bytes() {
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = UnixStream::pair().unwrap();
            send(&writer, [0xff, b'\n', b'a', b'\n']).await;
            let mut lines = BufReader::new(reader).lines();
            for _ in 0..2 {
                let error = lines.next_line().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidData);
            }
            let mut reader = lines.into_inner();
            let mut bytes = Vec::new();
            assert_eq!(reader.read_until(b'\n', &mut bytes).await.unwrap(), 2);
            assert_eq!(bytes, [0xff, b'\n']);
            let mut line = String::new();
            reader.read_line(&mut line).await.unwrap();
            assert_eq!(line, "a\n");
        });
    });
}

/// Hands out at most one byte at a time, and yields before each: a reader somebody else wrote.
struct Dripping<R>(R);

impl<R: AsyncReadOwned> AsyncReadOwned for Dripping<R> {
    async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
        krug::task::yield_now().await;
        let end = buf.capacity().min(1);
        let (result, slice) = self.0.read(krug::buf::IoBuf::slice(buf, ..end)).await;
        (result, slice.into_inner())
    }
}

#[test]
fn a_reader_that_drips_gives_the_same() {
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = UnixStream::pair().unwrap();
            send(&writer, "one\ntwo\nthree").await;
            writer.close().await.unwrap();
            let mut reader = BufReader::new(Dripping(reader));
            let mut line = String::new();
            reader.read_line(&mut line).await.unwrap();
            reader.read_line(&mut line).await.unwrap();
            assert_eq!(line, "one\ntwo\n");
            let (near, far) = UnixStream::pair().unwrap();
            assert_eq!(io::copy(&mut reader, &near).await.unwrap(), 5);
            let (result, buf) = far.read_exact(vec![0; 5]).await;
            result.unwrap();
            assert_eq!(buf, b"three");
        });
    });
}

/// Reads at most `len` bytes in a way that chance chooses. `None` if that was dropped, or has shown nothing.
async fn read_somehow(
    reader: &mut BufReader<&TcpStream>,
    random: &Random,
    len: usize,
) -> Option<Vec<u8>> {
    let patience = random.micros(60);
    let mut got = Vec::new();
    let result = match random.below(5) {
        0 => timeout(patience, reader.read_until(b'\n', &mut got)).await,
        1 => {
            let mut text = String::new();
            let result = timeout(patience, reader.read_line(&mut text)).await;
            got = text.into_bytes();
            result
        }
        2 => timeout(patience, reader.read_exact(vec![0; len]))
            .await
            .map(|(result, buf)| {
                got = buf;
                result.map(|()| len)
            }),
        3 => timeout(patience, reader.read(Vec::with_capacity(len)))
            .await
            .map(|(result, buf)| {
                got = buf;
                result
            }),
        _ => {
            let shown = timeout(patience, reader.fill_buf()).await;
            let shown = shown.map(|shown| shown.map(<[u8]>::len));
            let used = random.below(1 + *shown.as_ref().map_or(&0, |len| len.as_ref().unwrap()));
            got = reader.buffer()[..used].to_vec();
            reader.consume(used);
            shown.map(|_| Ok(used))
        }
    };
    let Ok(count) = result else {
        assert!(got.is_empty(), "a dropped future has appended");
        return None;
    };
    assert_eq!(count.unwrap(), got.len());
    Some(got)
}

#[test]
fn a_buffered_reader_is_byte_exact_whatever_is_dropped() {
    run_with(
        |builder| builder.entries(2),
        |runtime| {
            runtime.block_on(async {
                let random = Rc::new(Random::new());
                let total = iterations(1 << 20);
                // One byte in sixteen ends a line.
                let letter = |byte: &u8| b"\nabcdefghijklmno"[usize::from(*byte & 15)];
                let all: Vec<u8> = random.bytes(total).iter().map(letter).collect();
                let (writer, reader) = tcp_pair().await;
                let (dice, source) = (random.clone(), all.clone());
                let sending = krug::spawn(async move {
                    let mut rest = &source[..];
                    while !rest.is_empty() {
                        let (now, later) = rest.split_at((1 + dice.below(3000)).min(rest.len()));
                        writer.write_all(now.to_vec()).await.0.unwrap();
                        rest = later;
                        if dice.below(2) == 0 {
                            sleep(dice.micros(100)).await;
                        }
                    }
                });
                let mut reader = BufReader::with_capacity(1 + random.below(2000), &reader);
                let (mut seen, mut dropped) = (0, 0);
                while seen < total {
                    let len = (1 + random.below(5000)).min(total - seen);
                    match read_somehow(&mut reader, &random, len).await {
                        Some(got) => {
                            assert!(all[seen..].starts_with(&got), "other bytes at {seen}");
                            seen += got.len();
                        }
                        None => dropped += 1,
                    }
                }
                sending.await.unwrap();
                assert_eq!(reader.read_to_end(&mut Vec::new()).await.unwrap(), 0);
                println!("{dropped} reads were dropped");
                assert!(dropped > 0, "no read was dropped");
            });
        },
    );
}

#[test]
fn small_writes_become_one_operation() {
    run(|runtime| {
        runtime.block_on(async {
            let (sender, receiver) = UnixStream::pair().unwrap();
            let mut writer = BufWriter::new(&sender);
            let before = runtime.metrics().operations;
            for _ in 0..100 {
                writer.write_all(b"0123456789").await.unwrap();
            }
            assert_eq!(writer.buffer().len(), 1000);
            assert_eq!(runtime.metrics().operations, before);
            writer.flush().await.unwrap();
            assert_eq!(runtime.metrics().operations, before + 1);
            let (result, buf) = receiver.read_exact(vec![0; 1000]).await;
            result.unwrap();
            assert_eq!(buf, b"0123456789".repeat(100));
        });
    });
}

#[test]
fn a_buffered_writer_that_is_dropped_sends_what_it_has_accepted() {
    on_each_kind!(|_runtime, stream, reader| {
        let mut writer = BufWriter::new(&stream);
        writer.write_all(b"first ").await.unwrap();
        drop(writer);
        let mut writer = BufWriter::new(&stream);
        writer.write_all(b"second ").await.unwrap();
        let direct = writer.into_inner();
        direct.write_all("third ").await.0.unwrap();
        let mut writer = BufWriter::new(stream);
        writer.write_all(b"fourth").await.unwrap();
        drop(writer);
        let text = io::read_to_string(&reader).await.unwrap();
        assert_eq!(text, "first second third fourth");
    });
}

#[test]
fn a_dropped_write_has_accepted_nothing_and_what_was_accepted_before_is_sent() {
    on_each_kind!(|_runtime, stream, reader| {
        let mut writer = BufWriter::with_capacity(4, &stream);
        let big = data(8, MORE_THAN_FITS);
        writer.write_all(&big).await.unwrap();
        assert!(times_out(writer.write_all(b"not accepted")).await);
        assert!(times_out(writer.flush()).await);
        drop(writer);
        let ending = krug::spawn(async move {
            BufWriter::new(&stream).write_all(b"end").await.unwrap();
            stream.close().await.unwrap();
        });
        let (result, arrived) = io::read_to_end(&reader, Vec::new()).await;
        result.unwrap();
        ending.await.unwrap();
        assert_eq!(arrived.len(), big.len() + 3);
        assert!(arrived.starts_with(&big) && arrived.ends_with(b"end"));
    });
}

#[test]
fn a_buffered_writer_ends_the_stream_after_all_that_was_accepted() {
    on_each_kind!(|_runtime, stream, reader| {
        let mut writer = BufWriter::with_capacity(4, &stream);
        assert_eq!(writer.write(b"123456").await.unwrap(), 4);
        writer.write_all(b"56789").await.unwrap();
        writer.write_all(b"").await.unwrap();
        assert_eq!(writer.write(b"").await.unwrap(), 0);
        writer.shutdown().await.unwrap();
        assert_eq!(io::read_to_string(&reader).await.unwrap(), "123456789");
        writer.write_all(b"too late").await.unwrap();
        assert!(writer.flush().await.is_err());
    });
}

#[test]
fn an_error_of_accepted_bytes_shows_at_the_next_flush() {
    run(|runtime| {
        runtime.block_on(async {
            let (stream, reader) = UnixStream::pair().unwrap();
            reader.close().await.unwrap();
            let mut writer = BufWriter::new(&stream);
            writer.write_all(b"accepted").await.unwrap();
            drop(writer);
            let mut writer = BufWriter::new(&stream);
            let error = writer.flush().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        });
    });
}

#[test]
fn outside_its_runtime_everything_errs_and_nothing_panics() {
    let runtime = Runtime::new().unwrap();
    let (stream, _peer) = runtime.block_on(async { UnixStream::pair().unwrap() });
    let other = Runtime::new().unwrap();
    other.block_on(async {
        assert!(io::copy(&stream, &stream).await.is_err());
        let mut writer = BufWriter::new(&stream);
        writer.write_all(b"accepted").await.unwrap();
        assert!(writer.flush().await.is_err());
        writer.write_all(b"accepted").await.unwrap();
        drop(writer);
        let mut reader = BufReader::new(&stream);
        assert!(reader.read_line(&mut String::new()).await.is_err());
    });
    drop(runtime);
    drop((&stream).commit(b"too late".to_vec()));
}

/// Lines there, lines back, through everything in this module.
async fn conversation() -> String {
    let (client, near) = UnixStream::pair().unwrap();
    let (far, server) = UnixStream::pair().unwrap();
    let proxy = krug::spawn(async move { io::copy_bidirectional(&near, &far).await.unwrap() });
    let serving = krug::spawn(async move {
        let mut lines = BufReader::with_capacity(5, &server).lines();
        let mut writer = BufWriter::with_capacity(8, &server);
        while let Some(line) = lines.next_line().await.unwrap() {
            let answer = format!("[{line}]\n");
            writer.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    client.write_all("one\ntwo\nthree").await.0.unwrap();
    client.shutdown(Shutdown::Write).await.unwrap();
    let heard = io::read_to_string(&client).await.unwrap();
    serving.await.unwrap();
    format!("{heard}{:?}", proxy.await.unwrap())
}

#[test]
fn no_fault_of_the_kernel_at_any_call_is_noticed() {
    with_settings(|builder| {
        let calm = Faults::new();
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
        assert_eq!(attempt(&calm), "[one]\n[two]\n[three]\n(13, 20)");
        for nth in 1..=calm.operations() {
            for errno in [libc::EINTR, libc::EAGAIN, libc::ENOBUFS] {
                let faults = Faults::new().operation(nth, errno);
                assert_eq!(
                    attempt(&faults),
                    "[one]\n[two]\n[three]\n(13, 20)",
                    "operation {nth} answers {errno}"
                );
            }
        }
    });
}
