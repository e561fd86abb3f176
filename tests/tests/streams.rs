//! What streams promise, on TCP, Unix sockets and pipes: nothing is lost, nothing comes twice,
//! everything in order, whatever is dropped meanwhile.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use krug::buf::IoBuf;
use krug::io::AsyncWriteOwned;
use krug::net::{TcpListener, TcpStream, UnixStream};
use krug::pipe::pipe;
use krug::runtime::Faults;
use krug::time::{sleep, timeout};
use krug_tests::{
    Random, iterations, passes_in_a_process_of_its_own, poll_once, run, run_alone, run_with,
    times_out, turns, until, with_settings,
};

krug_tests::on_every_driver!();
krug_tests::in_hardship_too!(Refused(All, libc::EPERM), Descriptors(64));

/// More than any socket or pipe takes while nobody reads.
const MORE_THAN_FITS: usize = 16 << 20;
const SHORT: Duration = Duration::from_millis(2);
/// Far more than anything takes that need not wait.
const PATIENCE: Duration = Duration::from_secs(10);

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let server = listener.accept().await.unwrap();
    listener.close().await.unwrap();
    (client, server)
}

/// Runs the block once for each kind of stream, with one end to write to and one to read from.
macro_rules! on_each_kind {
    (|$runtime:ident, $writer:ident, $reader:ident| $body:block) => {
        run(|$runtime| {
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

/// A place in an endless sequence of bytes that does not repeat itself.
struct Sequence {
    position: u64,
}

impl Sequence {
    fn new() -> Sequence {
        Sequence { position: 0 }
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let bytes = (self.position..self.position + len as u64).map(|position| {
            let word = (position >> 3)
                .wrapping_add(1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (word >> (8 * (position & 7))) as u8
        });
        let bytes = bytes.collect();
        self.position += len as u64;
        bytes
    }

    fn check(&mut self, bytes: &[u8]) {
        let position = self.position;
        assert!(
            self.take(bytes.len()) == bytes,
            "other bytes between {position} and {}",
            self.position
        );
    }
}

/// Sends `total` bytes one way, while reads of all kinds are dropped at random moments.
macro_rules! byte_exact {
    ($writer:ident, $reader:ident, $total:ident) => {{
        let random = Rc::new(Random::new());
        let dice = random.clone();
        let writer = krug::spawn(async move {
            let mut sequence = Sequence::new();
            while sequence.position < $total {
                let longest = if dice.below(2) == 0 { 1 << 10 } else { 1 << 17 };
                let len = (1 + dice.below(longest)).min(($total - sequence.position) as usize);
                $writer.write_all(sequence.take(len)).await.0.unwrap();
                if dice.below(2) == 0 {
                    sleep(dice.micros(300)).await;
                }
            }
        });
        let mut sequence = Sequence::new();
        let mut dropped = 0_u64;
        while sequence.position < $total {
            let left = ($total - sequence.position) as usize;
            let len = (1 + random.below(1 << 16)).min(left);
            let patience = random.micros(200);
            match random.below(4) {
                0 => match timeout(patience, $reader.read_exact(vec![0; len])).await {
                    Ok((result, buf)) => {
                        result.unwrap();
                        sequence.check(&buf);
                    }
                    Err(_) => dropped += 1,
                },
                1 => {
                    let bufs = [vec![0; len / 2], vec![0; len - len / 2]];
                    match timeout(patience, $reader.read_vectored(bufs)).await {
                        Ok((result, bufs)) => {
                            let all = bufs.concat();
                            assert_eq!(result.unwrap(), all.len());
                            sequence.check(&all);
                        }
                        Err(_) => dropped += 1,
                    }
                }
                _ => match timeout(patience, $reader.read(Vec::with_capacity(len))).await {
                    Ok((result, buf)) => {
                        assert_eq!(result.unwrap(), buf.len());
                        sequence.check(&buf);
                    }
                    Err(_) => dropped += 1,
                },
            }
        }
        writer.await.unwrap();
        let (result, buf) = $reader.read(vec![0; 1]).await;
        assert_eq!((result.unwrap(), buf.len()), (0, 0), "more than was sent");
        println!("{dropped} reads were dropped");
        assert!(dropped > 0, "no read was dropped");
    }};
}

#[test]
fn tcp_is_byte_exact_while_reads_time_out_at_random() {
    let total = iterations(32 << 20) as u64;
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = tcp_pair().await;
            byte_exact!(writer, reader, total);
        });
    });
}

#[test]
fn a_unix_stream_is_byte_exact_while_reads_time_out_at_random() {
    let total = iterations(32 << 20) as u64;
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = UnixStream::pair().unwrap();
            byte_exact!(writer, reader, total);
        });
    });
}

#[test]
fn a_pipe_is_byte_exact_while_reads_time_out_at_random() {
    let total = iterations(32 << 20) as u64;
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = pipe().await.unwrap();
            byte_exact!(writer, reader, total);
        });
    });
}

#[test]
fn a_dropped_read_of_64_kib_is_adopted_by_reads_of_one_byte() {
    on_each_kind!(|runtime, writer, reader| {
        assert!(times_out(reader.read(vec![0; 1 << 16])).await);
        writer
            .write_all(Sequence::new().take(1000))
            .await
            .0
            .unwrap();
        let mut sequence = Sequence::new();
        for _ in 0..1000 {
            let (result, buf) = reader.read(vec![0; 1]).await;
            assert_eq!(result.unwrap(), 1);
            sequence.check(&buf);
        }
        let before = runtime.metrics().submitted;
        assert!(times_out(reader.read(vec![0; 1])).await);
        assert!(
            runtime.metrics().submitted > before,
            "that one had to ask the kernel"
        );
    });
}

#[test]
fn a_dropped_read_is_adopted_by_a_read_exact_that_wants_more() {
    on_each_kind!(|_runtime, writer, reader| {
        assert!(times_out(reader.read(vec![0; 100])).await);
        writer.write_all(Sequence::new().take(300)).await.0.unwrap();
        let (result, buf) = reader.read_exact(vec![0; 300]).await;
        result.unwrap();
        Sequence::new().check(&buf);
    });
}

#[test]
fn a_dropped_read_is_adopted_by_a_vectored_read_and_the_other_way_round() {
    on_each_kind!(|_runtime, writer, reader| {
        let mut sequence = Sequence::new();
        assert!(times_out(reader.read(vec![0; 100])).await);
        writer.write_all(Sequence::new().take(100)).await.0.unwrap();
        let (result, bufs) = reader
            .read_vectored([vec![0; 30], vec![0; 0], vec![0; 90]])
            .await;
        assert_eq!(
            (result.unwrap(), bufs[0].len(), bufs[1].len(), bufs[2].len()),
            (100, 30, 0, 70)
        );
        sequence.check(&bufs.concat());

        let bufs = [vec![0; 7], vec![0; 93]];
        assert!(times_out(reader.read_vectored(bufs)).await);
        let mut more = Sequence {
            position: sequence.position,
        };
        writer.write_all(more.take(50)).await.0.unwrap();
        let (result, buf) = reader.read(vec![0; 100]).await;
        assert_eq!(result.unwrap(), 50);
        sequence.check(&buf);
    });
}

#[test]
fn a_dropped_read_is_seen_by_peek_which_leaves_it_there() {
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = tcp_pair().await;
            assert!(times_out(reader.read(vec![0; 1 << 16])).await);
            writer.write_all("look").await.0.unwrap();
            for _ in 0..3 {
                let (result, buf) = reader.peek(vec![0; 3]).await;
                assert_eq!((result.unwrap(), &buf[..]), (3, &b"loo"[..]));
            }
            let (result, buf) = reader.read_exact(vec![0; 4]).await;
            result.unwrap();
            assert_eq!(buf, b"look");
            writer.write_all("again").await.0.unwrap();
            for _ in 0..3 {
                let (result, buf) = reader.peek(vec![0; 10]).await;
                assert_eq!((result.unwrap(), &buf[..]), (5, &b"again"[..]));
            }
            writer.shutdown(Shutdown::Write).await.unwrap();
            let (result, buf) = reader.read(vec![0; 10]).await;
            assert_eq!(&buf[..result.unwrap()], b"again");
            assert_eq!(reader.peek(vec![0; 10]).await.0.unwrap(), 0);
        });
    });
}

#[test]
fn a_read_or_peek_without_room_waits_for_nobody_and_takes_nothing() {
    on_each_kind!(|_runtime, writer, reader| {
        assert!(times_out(reader.read(vec![0; 9])).await);
        // That read goes on, and has its turn.
        let mut waits = Box::pin(reader.read(Vec::with_capacity(9)));
        assert!(poll_once(waits.as_mut()).await.is_pending());
        for whole in [false, true] {
            let empty = match whole {
                true => timeout(PATIENCE, reader.read_exact(Vec::new()))
                    .await
                    .map(|it| it.0),
                false => timeout(PATIENCE, reader.read(Vec::new()))
                    .await
                    .map(|it| it.0.map(drop)),
            };
            empty.expect("it waits").unwrap();
        }
        let none = [Vec::new(), Vec::new()];
        let empty = timeout(PATIENCE, reader.read_vectored(none)).await;
        assert_eq!(empty.expect("it waits").0.unwrap(), 0);
        writer.write_all("all of it").await.0.unwrap();
        let (result, buf) = waits.await;
        assert_eq!((result.unwrap(), &buf[..]), (9, &b"all of it"[..]));
    });
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = tcp_pair().await;
            assert!(times_out(one.read(vec![0; 9])).await);
            let empty = timeout(PATIENCE, one.peek(Vec::new())).await;
            assert_eq!(empty.expect("it waits").0.unwrap(), 0);
            other.write_all("there").await.0.unwrap();
            let (result, buf) = one.peek(Vec::with_capacity(9)).await;
            assert_eq!((result.unwrap(), &buf[..]), (5, &b"there"[..]));
        });
    });
}

#[test]
fn a_read_exact_that_is_dropped_half_way_pushes_back_what_it_had() {
    on_each_kind!(|_runtime, writer, reader| {
        let (mut sent, mut sequence) = (Sequence::new(), Sequence::new());
        for round in 0..5 {
            let mut read = Box::pin(reader.read_exact(vec![0; 100]));
            assert!(poll_once(read.as_mut()).await.is_pending());
            writer.write_all(sent.take(40)).await.0.unwrap();
            turns(5).await;
            assert!(poll_once(read.as_mut()).await.is_pending());
            drop(read);
            if round % 2 == 0 {
                writer.write_all(sent.take(20)).await.0.unwrap();
            }
            // The rest is for the next round, so that a read also begins with adopted bytes.
            let most = (sent.position - sequence.position) as usize - 7;
            let (result, buf) = reader.read_exact(vec![0; most]).await;
            result.unwrap();
            sequence.check(&buf);
        }
        let left = (sent.position - sequence.position) as usize;
        let (result, buf) = reader.read_exact(vec![0; left]).await;
        result.unwrap();
        sequence.check(&buf);
    });
}

#[test]
fn a_read_exact_that_meets_the_end_says_so_and_shows_what_came() {
    on_each_kind!(|_runtime, writer, reader| {
        writer.write_all("short").await.0.unwrap();
        writer.close().await.unwrap();
        // Once from the kernel, and once from what a dropped read has left.
        let (result, buf) = reader.read_exact(vec![0; 2]).await;
        result.unwrap();
        assert_eq!(buf, b"sh");
        let (result, buf) = reader.read_exact(vec![0; 64]).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(buf, b"ort");
        let (result, buf) = reader.read_exact(vec![0; 64]).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(buf, b"", "nothing came");
        reader.read_exact(Vec::new()).await.0.unwrap();
    });
}

#[test]
fn writes_that_time_out_at_random_arrive_whole_and_in_order_or_not_at_all() {
    on_each_kind!(|_runtime, writer, reader| {
        let random = Rc::new(Random::new());
        let (rounds, pauses) = (iterations(300), random.clone());
        let receiver = krug::spawn(async move {
            let (mut seen, mut all) = (Vec::new(), Vec::new());
            loop {
                let (result, buf) = reader.read(Vec::with_capacity(1 << 16)).await;
                if result.unwrap() == 0 {
                    break;
                }
                all.extend_from_slice(&buf);
                sleep(pauses.micros(100)).await;
            }
            let mut rest = &all[..];
            while !rest.is_empty() {
                let number = u32::from_le_bytes(rest[..4].try_into().unwrap());
                let len = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
                assert!(
                    rest[8..8 + len].iter().all(|byte| *byte == number as u8),
                    "torn"
                );
                seen.push(number);
                rest = &rest[8 + len..];
            }
            seen
        });
        let mut answered = Vec::new();
        for number in 0..rounds as u32 {
            let len = random.below(1 << 17);
            let mut message = number.to_le_bytes().to_vec();
            message.extend((len as u32).to_le_bytes());
            message.resize(8 + len, number as u8);
            let written = match random.below(3) {
                0 => {
                    let middle = random.below(message.len());
                    let tail = message.split_off(middle);
                    let whole = writer.write_all_vectored([message, Vec::new(), tail]);
                    timeout(random.micros(100), whole)
                        .await
                        .map(|(result, _)| result)
                }
                _ => timeout(random.micros(100), writer.write_all(message))
                    .await
                    .map(|(result, _)| result),
            };
            if let Ok(result) = written {
                result.unwrap();
                answered.push(number);
            }
        }
        writer.flush().await.unwrap();
        writer.close().await.unwrap();
        let seen = receiver.await.unwrap();
        assert!(
            seen.is_sorted_by(|before, after| before < after),
            "out of order, or twice"
        );
        assert!(
            answered
                .iter()
                .all(|number| seen.binary_search(number).is_ok()),
            "one is missing"
        );
        println!(
            "{} of {rounds} were answered, {} arrived",
            answered.len(),
            seen.len()
        );
    });
}

#[test]
fn bug_016_close_delivers_what_was_written() {
    on_each_kind!(|_runtime, writer, reader| {
        let sent = Sequence::new().take(MORE_THAN_FITS);
        let mut write = Box::pin(writer.write_all(sent));
        assert!(poll_once(write.as_mut()).await.is_pending());
        turns(3).await;
        drop(write);
        let receiver = krug::spawn(async move {
            sleep(SHORT).await;
            let (result, buf) = reader.read_exact(vec![0; MORE_THAN_FITS]).await;
            result.unwrap();
            Sequence::new().check(&buf);
            assert_eq!(reader.read(buf).await.0.unwrap(), 0);
        });
        writer.close().await.unwrap();
        receiver.await.unwrap();
    });
}

#[test]
fn a_dropped_stream_sends_what_was_written_in_the_background() {
    on_each_kind!(|_runtime, writer, reader| {
        let mut write = Box::pin(writer.write_all(Sequence::new().take(MORE_THAN_FITS)));
        assert!(poll_once(write.as_mut()).await.is_pending());
        turns(3).await;
        drop(write);
        drop(writer);
        let (result, buf) = reader.read_exact(vec![0; MORE_THAN_FITS]).await;
        result.unwrap();
        Sequence::new().check(&buf);
        assert_eq!(reader.read(buf).await.0.unwrap(), 0);
    });
}

#[test]
fn a_stalled_peer_sees_a_reset_after_the_linger_time() {
    let linger = |builder: krug::Builder| builder.linger(Duration::from_millis(20));
    run_with(linger, |runtime| {
        runtime.block_on(async {
            for is_awaited in [true, false] {
                let (writer, reader) = tcp_pair().await;
                assert!(times_out(writer.write_all(vec![7; MORE_THAN_FITS])).await);
                let before = runtime.metrics();
                if is_awaited {
                    let error = writer.close().await.unwrap_err();
                    assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
                } else {
                    drop(writer);
                }
                until("the linger time is over", || {
                    runtime.metrics().lingered_out == before.lingered_out + 1
                })
                .await;
                let mut received = 0;
                let error = loop {
                    let (result, _) = reader.read(vec![0; 1 << 20]).await;
                    match result {
                        Ok(0) => panic!("a stream that was cut off looks complete"),
                        Ok(count) => received += count,
                        Err(error) => break error,
                    }
                };
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                assert!(received < MORE_THAN_FITS);
            }
        });
    });
}

#[test]
fn the_end_of_a_stream_stays() {
    on_each_kind!(|runtime, writer, reader| {
        writer.write_all("last").await.0.unwrap();
        writer.close().await.unwrap();
        let (result, buf) = reader.read(vec![0; 64]).await;
        assert_eq!(&buf[..result.unwrap()], b"last");
        assert_eq!(reader.read(vec![0; 64]).await.0.unwrap(), 0);
        let before = runtime.metrics().operations;
        for _ in 0..3 {
            let (result, buf) = reader.read(vec![1; 64]).await;
            assert_eq!((result.unwrap(), buf.len()), (0, 0));
            assert_eq!(
                reader
                    .read_vectored([vec![0; 1], vec![0; 1]])
                    .await
                    .0
                    .unwrap(),
                0
            );
        }
        assert_eq!(
            runtime.metrics().operations,
            before,
            "the kernel was asked again"
        );
    });
}

#[test]
fn the_end_that_a_dropped_read_has_met_stays() {
    on_each_kind!(|_runtime, writer, reader| {
        assert!(times_out(reader.read(vec![0; 64])).await);
        writer.close().await.unwrap();
        turns(5).await;
        for _ in 0..3 {
            assert_eq!(reader.read(vec![0; 64]).await.0.unwrap(), 0);
        }
    });
}

#[test]
fn an_error_of_a_stream_stays_and_comes_after_the_bytes_before_it() {
    run(|runtime| {
        runtime.block_on(async {
            let (writer, reader) = tcp_pair().await;
            assert!(times_out(reader.read(vec![0; 4])).await);
            writer.write_all("data").await.0.unwrap();
            turns(5).await;
            // Closing with unread bytes resets the connection.
            reader.write_all("never read").await.0.unwrap();
            turns(2).await;
            writer.close().await.unwrap();
            assert_eq!(reader.peek(vec![0; 1]).await.0.unwrap(), 1);
            let (result, buf) = reader.read_exact(vec![0; 64]).await;
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
            assert_eq!(&buf[..4], b"data", "an error shows what came before it");
            for _ in 0..3 {
                let (result, _) = reader.read(vec![0; 64]).await;
                assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
                let (result, _) = reader.peek(vec![0; 64]).await;
                assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
            }
        });
    });
}

#[test]
fn halves_work_side_by_side_and_come_together_again() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = tcp_pair().await;
            let (one_read, one_write) = one.into_split();
            let (other_read, other_write) = other.into_split();
            let sent = Sequence::new().take(2 << 20);
            let back = sent.clone();
            let send = krug::spawn(async move {
                one_write.write_all(sent).await.0.unwrap();
                one_write
            });
            let send_back = krug::spawn(async move {
                other_write.write_all(back).await.0.unwrap();
                other_write
            });
            let read = krug::spawn(async move {
                let (result, buf) = other_read.read_exact(vec![0; 2 << 20]).await;
                result.unwrap();
                Sequence::new().check(&buf);
                other_read
            });
            let (result, buf) = one_read.read_exact(vec![0; 2 << 20]).await;
            result.unwrap();
            Sequence::new().check(&buf);
            let (one_write, other_write) = (send.await.unwrap(), send_back.await.unwrap());
            let other_read = read.await.unwrap();

            let error = one_read.reunite(other_write).unwrap_err();
            assert_eq!(
                error.to_string(),
                "these halves do not belong to the same stream"
            );
            let krug::net::ReuniteError(one_read, other_write) = error;
            let one = one_read.reunite(one_write).unwrap();
            let other = other_read.reunite(other_write).unwrap();
            one.write_all("together").await.0.unwrap();
            let (result, buf) = other.read(vec![0; 64]).await;
            assert_eq!(&buf[..result.unwrap()], b"together");
        });
    });
}

#[test]
fn bug_071_a_reunited_stream_is_not_half_closed() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let (read, write) = one.into_split();
            let one = read.reunite(write).unwrap();
            turns(5).await;
            one.write_all("still open").await.0.unwrap();
            let (result, buf) = other.read(vec![0; 64]).await;
            assert_eq!(&buf[..result.unwrap()], b"still open");
        });
    });
}

#[test]
fn bug_071_handles_dropped_outside_the_runtime_close_their_sockets() {
    run_alone(|runtime| {
        let (one, other) = runtime.block_on(async { UnixStream::pair().unwrap() });
        let (read, write) = one.into_split();
        drop(write);
        runtime.block_on(async {
            assert_eq!(other.read(vec![0; 1]).await.0.unwrap(), 0);
        });
        std::thread::spawn(move || drop((read, other)))
            .join()
            .unwrap();
        runtime.block_on(until("both are closed", || runtime.metrics().sources == 0));
    });
}

#[test]
fn a_dropped_writing_half_sends_the_end_after_what_was_written() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = tcp_pair().await;
            let (read, write) = one.into_split();
            let mut pending = Box::pin(write.write_all(Sequence::new().take(MORE_THAN_FITS)));
            assert!(poll_once(pending.as_mut()).await.is_pending());
            turns(3).await;
            drop(pending);
            drop(write);
            let (result, buf) = other.read_exact(vec![0; MORE_THAN_FITS]).await;
            result.unwrap();
            Sequence::new().check(&buf);
            assert_eq!(other.read(buf).await.0.unwrap(), 0);
            other.write_all("the other way is open").await.0.unwrap();
            let (result, buf) = read.read(vec![0; 64]).await;
            assert_eq!(&buf[..result.unwrap()], b"the other way is open");
        });
    });
}

#[test]
fn a_dropped_reading_half_leaves_the_other_half_to_write() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let (read, write) = one.into_split();
            drop(read);
            write.write_all("still writing").await.0.unwrap();
            write.shutdown(Shutdown::Write).await.unwrap();
            drop(write);
            let (result, buf) = other.read_exact(vec![0; 13]).await;
            result.unwrap();
            assert_eq!(buf, b"still writing");
            assert_eq!(other.read(buf).await.0.unwrap(), 0);
        });
    });
}

#[test]
fn several_readers_are_served_in_the_order_in_which_they_came() {
    on_each_kind!(|_runtime, writer, reader| {
        let reader = Rc::new(reader);
        let mut readers = Vec::new();
        for _ in 0..5 {
            let reader = reader.clone();
            readers.push(krug::spawn(async move {
                let (result, buf) = reader.read_exact(vec![0; 4]).await;
                result.unwrap();
                buf
            }));
            turns(2).await;
        }
        for part in ["1111222", "2", "33334444", "5555"] {
            writer.write_all(part).await.0.unwrap();
            turns(3).await;
        }
        for (digit, reader) in (b'1'..).zip(readers) {
            assert_eq!(reader.await.unwrap(), [digit; 4]);
        }
    });
}

#[test]
fn a_reader_that_leaves_the_queue_passes_its_turn_on() {
    on_each_kind!(|_runtime, writer, reader| {
        // Dropped while it waits behind another one.
        let mut first = Box::pin(reader.read(vec![0; 64]));
        assert!(poll_once(first.as_mut()).await.is_pending());
        let mut second = Box::pin(reader.read(vec![0; 64]));
        assert!(poll_once(second.as_mut()).await.is_pending());
        let mut third = Box::pin(reader.read(vec![0; 64]));
        assert!(poll_once(third.as_mut()).await.is_pending());
        drop(second);
        turns(2).await;
        writer.write_all("one").await.0.unwrap();
        assert_eq!(first.await.0.unwrap(), 3);
        writer.write_all("three").await.0.unwrap();
        assert_eq!(third.await.0.unwrap(), 5);

        // Dropped when it is its turn, before it was polled again.
        let mut first = Box::pin(reader.read(vec![0; 64]));
        assert!(poll_once(first.as_mut()).await.is_pending());
        let mut second = Box::pin(reader.read(vec![0; 64]));
        assert!(poll_once(second.as_mut()).await.is_pending());
        let third = reader.read(vec![0; 64]);
        let (third, ()) = krug::join!(third, async {
            turns(2).await;
            writer.write_all("one").await.0.unwrap();
            assert_eq!(first.await.0.unwrap(), 3);
            drop(second);
            writer.write_all("three").await.0.unwrap();
        });
        assert_eq!(third.0.unwrap(), 5);
    });
}

#[test]
fn shutdown_comes_after_what_was_written_and_ends_writing() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = tcp_pair().await;
            let receiver = krug::spawn(async move {
                let (result, buf) = other.read_exact(vec![0; MORE_THAN_FITS]).await;
                result.unwrap();
                Sequence::new().check(&buf);
                assert_eq!(other.read(buf).await.0.unwrap(), 0);
                other
            });
            let write = one.write_all(Sequence::new().take(MORE_THAN_FITS));
            let (written, ended) = krug::join!(write, async {
                turns(1).await;
                one.shutdown(Shutdown::Write).await
            });
            written.0.unwrap();
            ended.unwrap();
            let (result, _) = one.write("too late").await;
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            let other = receiver.await.unwrap();
            other.write_all("the other way is open").await.0.unwrap();
            let (result, buf) = one.read(vec![0; 64]).await;
            assert_eq!(&buf[..result.unwrap()], b"the other way is open");
            assert!(times_out(one.read(vec![0; 64])).await);
            one.shutdown(Shutdown::Read).await.unwrap();
            assert_eq!(
                one.read(vec![0; 64]).await.0.unwrap(),
                0,
                "nothing is read after that"
            );
        });
    });
}

/// Its error says that there is nobody to tell, not that something written is missing.
#[test]
fn a_dropped_shutdown_that_fails_leaves_no_error_behind() {
    run(|runtime| {
        runtime.block_on(async {
            let (stream, peer) = tcp_pair().await;
            stream.write_all("all").await.0.unwrap();
            stream.shutdown(Shutdown::Write).await.unwrap();
            let (result, buf) = peer.read_exact(vec![0; 3]).await;
            result.unwrap();
            assert_eq!(buf, b"all");
            peer.close().await.unwrap();
            assert_eq!(stream.read(vec![0; 1]).await.0.unwrap(), 0);
            // The kernel knows of the end a moment before it is through with the connection.
            let gone = loop {
                match stream.shutdown(Shutdown::Write).await {
                    Ok(()) => turns(1).await,
                    Err(error) => break error,
                }
            };
            assert_eq!(gone.kind(), io::ErrorKind::NotConnected);
            for count in 0..3 {
                let mut shutdown = Box::pin(stream.shutdown(Shutdown::Write));
                assert!(poll_once(shutdown.as_mut()).await.is_pending());
                turns(count).await;
                drop(shutdown);
                let mut writer = &stream;
                AsyncWriteOwned::flush(&mut writer).await.unwrap();
            }
            let again = stream.shutdown(Shutdown::Write).await.unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::NotConnected);
        });
    });
}

#[test]
fn writing_to_a_pipe_without_a_reader_is_an_error() {
    run(|runtime| {
        runtime.block_on(async {
            let (sender, receiver) = pipe().await.unwrap();
            let write = sender.write_all(vec![0; MORE_THAN_FITS]);
            let (written, ()) = krug::join!(write, async {
                turns(3).await;
                receiver.close().await.unwrap();
            });
            assert_eq!(written.0.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(
                sender.write("x").await.0.unwrap_err().kind(),
                io::ErrorKind::BrokenPipe
            );
        });
    });
}

#[test]
fn buffers_without_room_or_content_resolve_at_once() {
    on_each_kind!(|runtime, writer, reader| {
        let before = runtime.metrics().operations;
        assert_eq!(reader.read(Vec::new()).await.0.unwrap(), 0);
        let (result, buf) = reader.read(vec![1; 3].slice(3..)).await;
        assert_eq!((result.unwrap(), buf.into_inner()), (0, vec![1; 3]));
        assert_eq!(
            reader
                .read_vectored([Vec::new(), Vec::new()])
                .await
                .0
                .unwrap(),
            0
        );
        assert_eq!(writer.write("").await.0.unwrap(), 0);
        writer.write_all("").await.0.unwrap();
        writer.write_all_vectored(["", ""]).await.0.unwrap();
        assert_eq!(runtime.metrics().operations, before);
        writer.write_all("x").await.0.unwrap();
        assert_eq!(
            reader.read(vec![0; 9]).await.0.unwrap(),
            1,
            "that was not the end"
        );
    });
}

fn is_nonblocking(fd: RawFd) -> bool {
    // SAFETY: asks for flags; a number that is no descriptor would be an error.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    assert!(flags >= 0);
    flags & libc::O_NONBLOCK != 0
}

#[test]
fn bug_072_sockets_of_std_work_whether_they_block_or_not_and_keep_their_flags() {
    krug_tests::needs_a_kernel!("it trades descriptors with the standard library");
    run(|runtime| {
        for is_nonblocking_wanted in [false, true] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
            listener.set_nonblocking(is_nonblocking_wanted).unwrap();
            client.set_nonblocking(is_nonblocking_wanted).unwrap();
            server.set_nonblocking(is_nonblocking_wanted).unwrap();
            one.set_nonblocking(is_nonblocking_wanted).unwrap();
            other.set_nonblocking(is_nonblocking_wanted).unwrap();
            let fds = [
                listener.as_raw_fd(),
                client.as_raw_fd(),
                one.as_raw_fd(),
                other.as_raw_fd(),
            ];
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let address = listener.local_addr().unwrap();
                let (accepted, connected) = krug::join!(listener.accept(), async {
                    sleep(SHORT).await;
                    TcpStream::connect(address).await
                });
                accepted.unwrap();
                connected.unwrap();

                let client = TcpStream::from_std(client).unwrap();
                let server = TcpStream::from_std(server).unwrap();
                let one = UnixStream::from_std(one).unwrap();
                let other = UnixStream::from_std(other).unwrap();
                let (mut echo, mut again) = (Sequence::new(), Sequence::new());
                // The reads wait, and do not hold up the core; the writes are more than fits.
                let ((), ()) = krug::join!(
                    async {
                        server.read_exact(vec![0; 5]).await.0.unwrap();
                        let (result, buf) = server.read_exact(vec![0; 3 << 20]).await;
                        result.unwrap();
                        echo.check(&buf);
                        let (result, buf) = other.read_exact(vec![0; 3 << 20]).await;
                        result.unwrap();
                        again.check(&buf);
                    },
                    async {
                        sleep(SHORT).await;
                        client.write_all("begin").await.0.unwrap();
                        sleep(SHORT).await;
                        client
                            .write_all(Sequence::new().take(3 << 20))
                            .await
                            .0
                            .unwrap();
                        one.write_all(Sequence::new().take(3 << 20))
                            .await
                            .0
                            .unwrap();
                    }
                );
                assert!(
                    fds.iter()
                        .all(|fd| is_nonblocking(*fd) == is_nonblocking_wanted)
                );
            });
        }
    });
}

#[test]
fn a_call_that_would_block_waits_until_it_can_go_on() {
    // Each operation is answered with EAGAIN or ENOBUFS once, as on a descriptor that is shared.
    for nth in 1..=4 {
        for errno in [libc::EAGAIN, libc::ENOBUFS] {
            let faults = Faults::new().operation(nth, errno);
            run_with(
                |builder| builder.faults(faults.clone()),
                |runtime| {
                    runtime.block_on(async {
                        let (one, other) = UnixStream::pair().unwrap();
                        let (read, ()) = krug::join!(one.read(vec![0; 64]), async {
                            turns(3).await;
                            other.write_all("through").await.0.unwrap();
                        });
                        assert_eq!(&read.1[..read.0.unwrap()], b"through");
                        let (read, ()) = krug::join!(one.read_vectored([vec![0; 64]]), async {
                            turns(3).await;
                            other.write_all_vectored(["thr", "ough"]).await.0.unwrap();
                        });
                        assert_eq!(&read.1[0][..read.0.unwrap()], b"through");
                    });
                    assert_eq!(faults.pending(), 0, "it did not happen");
                },
            );
        }
    }
}

#[test]
fn an_operation_that_is_cancelled_while_it_waits_for_readiness_says_so() {
    krug_tests::needs_a_kernel!("its peers act while the core stands still");
    with_settings(|builder| {
        // The answer of the poll is no count of bytes.
        let faults = Faults::new().operation(1, libc::EAGAIN);
        let runtime = builder.faults(faults.clone()).build().unwrap();
        let (mut peer, one) = std::os::unix::net::UnixStream::pair().unwrap();
        let one = runtime.block_on(async { UnixStream::from_std(one).unwrap() });
        let mut peek = Box::pin(one.peek(Vec::with_capacity(64)));
        runtime.block_on(async {
            assert!(poll_once(peek.as_mut()).await.is_pending());
            turns(3).await;
        });
        assert_eq!(faults.pending(), 0, "it did not happen");
        // It is ready, and the core has not looked yet, at the moment when it is cancelled.
        runtime.block_on(async { peer.write_all(b"ready").unwrap() });
        assert!(runtime.shutdown(Duration::from_secs(20)).is_clean());
        let (result, buf) = krug::Runtime::new().unwrap().block_on(peek);
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(buf, b"");
    });
}

#[test]
fn bug_011_a_cancel_never_hits_a_later_use_of_the_slot() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let (third, fourth) = UnixStream::pair().unwrap();
            for _ in 0..iterations(300) {
                let mut peek = Box::pin(one.peek(vec![0; 1]));
                assert!(poll_once(peek.as_mut()).await.is_pending());
                turns(1).await;
                // It ends while its cancel is on the way, and its slot is used for the read.
                other.write_all("x").await.0.unwrap();
                drop(peek);
                let (read, ()) = krug::join!(third.read(vec![0; 1]), async {
                    turns(2).await;
                    fourth.write_all("y").await.0.unwrap();
                });
                assert_eq!(read.0.unwrap(), 1);
                assert_eq!(one.read(vec![0; 1]).await.0.unwrap(), 1);
            }
        });
    });
}

#[test]
fn bug_014_a_timeout_cancels_nothing_of_its_siblings() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let (third, fourth) = UnixStream::pair().unwrap();
            let (timed_out, read) = krug::join!(timeout(SHORT, one.peek(vec![0; 1])), async {
                let read = third.read(vec![0; 64]);
                let (read, ()) = krug::join!(read, async {
                    sleep(2 * SHORT).await;
                    fourth.write_all("untouched").await.0.unwrap();
                });
                read
            });
            assert!(timed_out.is_err());
            assert_eq!(read.0.unwrap(), 9);
            drop(other);
        });
    });
}

#[test]
fn bug_017_nothing_is_written_after_an_error_nobody_saw() {
    let faults = Faults::new().operation(1, libc::ECANCELED);
    run_with(
        |builder| builder.faults(faults.clone()),
        |runtime| {
            runtime.block_on(async {
                let (one, other) = UnixStream::pair().unwrap();
                let mut first = Box::pin(one.write_all("first"));
                assert!(poll_once(first.as_mut()).await.is_pending());
                let mut second = Box::pin(one.write_all("second"));
                assert!(poll_once(second.as_mut()).await.is_pending());
                turns(1).await;
                drop(first);
                let error = second.await.0.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
                assert!(one.close().await.is_err());
                assert_eq!(
                    other.read(vec![0; 64]).await.0.unwrap(),
                    0,
                    "written after a gap"
                );
            });
        },
    );
}

#[test]
fn bug_073_a_peer_that_is_gone_is_an_error_and_no_signal() {
    if passes_in_a_process_of_its_own("bug_073_a_peer_that_is_gone_is_an_error_and_no_signal") {
        return;
    }
    // SAFETY: in a process of its own, to which a signal may happen.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            other.close().await.unwrap();
            assert_eq!(
                one.write("x").await.0.unwrap_err().kind(),
                io::ErrorKind::BrokenPipe
            );
            let (result, _) = one.write_vectored(["x", "y"]).await;
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        });
    });
}

static SIGNALLED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_signal(_: libc::c_int) {
    SIGNALLED.store(true, Ordering::SeqCst);
}

#[test]
fn bug_074_signals_end_no_operation() {
    // SAFETY: the handler only stores to an atomic; without SA_RESTART, so that waits are interrupted.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = note_signal as *const () as usize;
        assert_eq!(
            libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()),
            0
        );
    }
    run(|runtime| {
        // SAFETY: the thread's own name; it outlives the thread that sends it signals.
        let this = unsafe { libc::pthread_self() };
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    // SAFETY: the thread runs until this scope ends.
                    unsafe { libc::pthread_kill(this, libc::SIGUSR1) };
                    std::thread::sleep(Duration::from_micros(50));
                }
            });
            runtime.block_on(async {
                let (writer, reader) = tcp_pair().await;
                let total = 4_u64 << 20;
                let sender = krug::spawn(async move {
                    let mut sequence = Sequence::new();
                    while sequence.position < total {
                        sleep(Duration::from_micros(100)).await;
                        writer.write_all(sequence.take(1 << 16)).await.0.unwrap();
                    }
                });
                let (result, buf) = reader.read_exact(vec![0; total as usize]).await;
                result.unwrap();
                Sequence::new().check(&buf);
                sender.await.unwrap();
            });
            is_over.store(true, Ordering::SeqCst);
        });
        assert!(SIGNALLED.load(Ordering::SeqCst));
    });
}
