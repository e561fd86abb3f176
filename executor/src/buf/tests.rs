//! The rules of the module's table, one test for each row or more, with a stand-in for
//! the kernel that lowers a buffer just as an operation does.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::*;

/// A read as an operation does it: lower, let the kernel write, note the count.
fn read<B: IoBufMut>(mut buf: B, stream: &[u8]) -> BufResult<usize, B> {
    let (address, room) = to_fill(&mut buf, 0);
    let n = stream.len().min(room as usize);
    // SAFETY: `to_fill` answers memory that may be written for this length.
    unsafe { std::ptr::copy_nonoverlapping(stream.as_ptr(), address, n) };
    if room > 0 {
        // SAFETY: `n <= room`, and these bytes were just written.
        unsafe { buf.set_initialized(n) };
    }
    (Ok(n), buf)
}

/// A write as an operation does it; the kernel accepts at most `accepted` bytes.
fn write<B: IoBuf>(buf: B, sent: &mut Vec<u8>, accepted: usize) -> BufResult<usize, B> {
    let (address, len) = to_send(&buf, 0);
    let n = accepted.min(len as usize);
    // SAFETY: `to_send` answers initialised memory of this length.
    sent.extend_from_slice(unsafe { std::slice::from_raw_parts(address, n) });
    (Ok(n), buf)
}

fn read_vectored<B: IoVectoredBufMut>(mut buf: B, stream: &[u8]) -> BufResult<usize, B> {
    let mut vectors = Vec::new();
    to_fill_vectored(&mut buf, 0, &mut vectors);
    let mut left = stream;
    for vector in &vectors {
        let (now, later) = left.split_at(left.len().min(vector.iov_len));
        // SAFETY: the vectors name memory that may be written for their lengths.
        unsafe { std::ptr::copy_nonoverlapping(now.as_ptr(), vector.iov_base.cast(), now.len()) };
        left = later;
    }
    let n = stream.len() - left.len();
    // SAFETY: the vectors cover the capacities in order, and `n` bytes were written through them.
    unsafe { buf.set_initialized(n) };
    (Ok(n), buf)
}

fn sent_by<B: IoVectoredBuf>(buf: &B, done: usize) -> Vec<u8> {
    let mut vectors = Vec::new();
    to_send_vectored(buf, done, &mut vectors);
    vectors
        .iter()
        .flat_map(|vector| {
            // SAFETY: the vectors name initialised memory.
            unsafe { std::slice::from_raw_parts(vector.iov_base.cast::<u8>(), vector.iov_len) }
        })
        .copied()
        .collect()
}

fn with_room(content: &[u8], capacity: usize) -> Vec<u8> {
    let mut buf = Vec::with_capacity(capacity);
    buf.extend_from_slice(content);
    assert!(buf.capacity() >= capacity);
    buf
}

#[test]
fn a_write_sends_the_initialised_bytes_from_the_first_one_on() {
    let mut sent = Vec::new();
    let (n, buf) = write(with_room(b"abc", 100), &mut sent, 1000)
        .into_result()
        .unwrap();
    assert_eq!((n, &sent[..], &buf[..]), (3, &b"abc"[..], &b"abc"[..]));

    let (n, _) = write(with_room(b"abc", 100).slice(1..50), &mut sent, 1000);
    assert_eq!((n.unwrap(), &sent[..]), (2, &b"abcbc"[..]));
}

#[test]
fn a_read_into_a_plain_buffer_starts_at_zero_and_has_the_whole_capacity_as_room() {
    let buf = with_room(b"old content", 20);
    let capacity = buf.capacity();
    let stream = vec![7; 100];
    let (n, buf) = read(buf, &stream);
    assert_eq!(n.unwrap(), capacity);
    assert_eq!(buf, vec![7; capacity]);
}

#[test]
fn a_vec_holds_exactly_what_was_read() {
    let (n, buf) = read(b"longer than that".to_vec(), b"new");
    assert_eq!((n.unwrap(), &buf[..]), (3, &b"new"[..]));
}

#[test]
fn a_boxed_slice_keeps_its_length() {
    let (n, buf) = read(b"longer".to_vec().into_boxed_slice(), b"new");
    assert_eq!((n.unwrap(), &buf[..]), (3, &b"newger"[..]));
}

#[test]
fn a_read_into_a_slice_stays_in_its_range_and_keeps_every_other_byte() {
    let (n, slice) = read(b"0123456789".to_vec().slice(2..5), b"abcdefgh");
    assert_eq!((n.unwrap(), &slice[..]), (3, &b"abc"[..]));
    assert_eq!(slice.into_inner(), b"01abc56789");

    let (n, slice) = read(b"0123456789".to_vec().slice(2..5), b"a");
    assert_eq!((n.unwrap(), &slice[..]), (1, &b"a34"[..]));
    assert_eq!(
        slice.into_inner(),
        b"01a3456789",
        "a slice never shortens its buffer"
    );

    let (n, slice) = read(with_room(b"0123", 64).slice(2..6), b"abcdefgh");
    assert_eq!((n.unwrap(), &slice[..]), (4, &b"abcd"[..]));
    assert_eq!(
        slice.into_inner(),
        b"01abcd",
        "it grows to cover what was read"
    );
}

#[test]
fn appending_is_a_read_into_the_slice_after_the_length() {
    let buf = with_room(b"head ", 16);
    let (capacity, len) = (buf.capacity(), buf.len());
    let (n, slice) = read(buf.slice(len..), b"tail");
    assert_eq!((n.unwrap(), &slice[..]), (4, &b"tail"[..]));
    let buf = slice.into_inner();
    assert_eq!(buf, b"head tail");

    let len = buf.len();
    let (n, slice) = read(buf.slice(len..), &[b'x'; 100]);
    assert_eq!(n.unwrap(), capacity - len, "up to the capacity");
    assert_eq!(
        slice.into_inner().capacity(),
        capacity,
        "which does not grow"
    );
}

#[test]
fn no_room_reads_nothing_and_leaves_the_buffer_as_it_was() {
    let mut full = b"full".to_vec();
    full.shrink_to_fit();
    let len = full.len();
    let (n, slice) = read(full.slice(len..len), b"more");
    assert_eq!((n.unwrap(), slice.into_inner()), (0, b"full".to_vec()));

    let (n, buf) = read(Vec::new(), b"more");
    assert_eq!((n.unwrap(), buf), (0, vec![]));
}

#[test]
fn the_end_of_the_stream_leaves_a_plain_vec_empty() {
    let (n, buf) = read(b"old".to_vec(), b"");
    assert_eq!((n.unwrap(), buf), (0, vec![]));
    let (n, slice) = read(b"old".to_vec().slice(..), b"");
    assert_eq!((n.unwrap(), slice.into_inner()), (0, b"old".to_vec()));
}

#[test]
fn an_error_leaves_the_buffer_as_it_was_given() {
    // What an operation does with a failed read: nothing to the buffer but hand it back.
    let mut buf = with_room(b"old", 32);
    let (address, room) = to_fill(&mut buf, 3);
    assert!(room >= 29);
    // SAFETY: the room after the first three bytes is at least one byte.
    unsafe { address.write(b'?') };
    let failed: BufResult<usize, Vec<u8>> = (Err(io::ErrorKind::ConnectionReset.into()), buf);
    assert_eq!(failed.1, b"old");
    assert_eq!(
        failed.into_result().unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
}

/// Claims a length that no machine has memory for; nothing looks at the bytes.
struct Huge(usize);

// SAFETY: breaks the contract; these tests only compare lengths and never look at a byte.
unsafe impl IoBuf for Huge {
    fn as_ptr(&self) -> *const u8 {
        std::ptr::without_provenance(0x1000)
    }
    fn initialized_len(&self) -> usize {
        self.0
    }
}

// SAFETY: as above.
unsafe impl IoBufMut for Huge {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        std::ptr::without_provenance_mut(0x1000)
    }
    unsafe fn set_initialized(&mut self, _len: usize) {}
}

#[test]
fn more_than_two_gigabytes_are_capped_for_one_operation() {
    const GIB: usize = 1 << 30;
    for len in [
        2 * GIB,
        4 * GIB - 1,
        4 * GIB,
        4 * GIB + 1,
        5 * GIB,
        usize::MAX,
    ] {
        assert_eq!(
            to_send(&Huge(len), 0).1 as usize,
            OPERATION_LENGTH_MAX,
            "{len}"
        );
        assert_eq!(
            to_fill(&mut Huge(len), 0).1 as usize,
            OPERATION_LENGTH_MAX,
            "{len}"
        );
    }
    for len in [0, 1, OPERATION_LENGTH_MAX - 1, OPERATION_LENGTH_MAX] {
        assert_eq!(to_send(&Huge(len), 0).1 as usize, len);
        assert_eq!(to_fill(&mut Huge(len), 0).1 as usize, len);
    }
    let rest = 4 * GIB - OPERATION_LENGTH_MAX;
    assert_eq!(
        to_send(&Huge(4 * GIB), rest).1 as usize,
        OPERATION_LENGTH_MAX
    );
    assert_eq!(to_send(&Huge(4 * GIB), 4 * GIB - 5).1, 5);

    let mut vectors = Vec::new();
    let bufs = vec![Huge(GIB), Huge(GIB), Huge(GIB), Huge(usize::MAX)];
    to_send_vectored(&bufs, 0, &mut vectors);
    let lengths: Vec<usize> = vectors.iter().map(|vector| vector.iov_len).collect();
    assert_eq!(lengths, [GIB, OPERATION_LENGTH_MAX - GIB]);
    assert_eq!(bufs.total_len(), usize::MAX, "a sum too large saturates");
}

#[test]
fn a_short_write_is_continued_by_a_slice() {
    let (mut sent, mut done) = (Vec::new(), 0);
    let mut buf = b"twelve bytes".to_vec();
    while done < buf.len() {
        let (n, slice) = write(buf.slice(done..), &mut sent, 5)
            .into_result()
            .unwrap();
        assert!(n > 0 && n <= 5);
        done += n;
        buf = slice.into_inner();
    }
    assert_eq!(sent, b"twelve bytes");
}

#[test]
fn several_buffers_are_sent_as_if_joined_and_empty_ones_count_for_nothing() {
    let bufs = vec![
        b"one".to_vec(),
        vec![],
        b"two".to_vec(),
        vec![],
        b"three".to_vec(),
    ];
    assert_eq!(bufs.total_len(), 11);
    for done in 0..=11 {
        assert_eq!(
            sent_by(&bufs, done),
            &b"onetwothree"[done..],
            "after {done}"
        );
    }
    let mut vectors = Vec::new();
    to_send_vectored(&bufs, 0, &mut vectors);
    assert_eq!(vectors.len(), 3);

    assert_eq!(sent_by(&[&b"head"[..], &b"body"[..]], 2), b"adbody");
    assert_eq!(
        sent_by(&(String::from("head"), vec![1, 2]), 0),
        b"head\x01\x02"
    );
    assert_eq!(sent_by(&(with_room(b"abc", 9).slice(1..), "!"), 1), b"c!");
    assert_eq!(sent_by(&Vec::<Vec<u8>>::new(), 0), b"");
}

#[test]
fn several_buffers_are_filled_in_order_each_by_its_own_rule() {
    let bufs = || [b"aaaa".to_vec(), b"bbb".to_vec(), b"cc".to_vec()];
    let capacity: Vec<usize> = bufs().iter().map(Vec::capacity).collect();
    assert_eq!(capacity, [4, 3, 2]);
    for n in 0..=9_usize {
        let stream: Vec<u8> = (0..n as u8).collect();
        let (read_count, bufs) = read_vectored(bufs(), &stream);
        assert_eq!(read_count.unwrap(), n);
        let shares: Vec<usize> = bufs.iter().map(Vec::len).collect();
        assert_eq!(
            shares,
            [n.min(4), n.saturating_sub(4).min(3), n.saturating_sub(7)]
        );
        assert_eq!(bufs.concat(), stream);
    }
}

#[test]
fn a_pair_is_filled_like_an_array() {
    let pair = || {
        (
            b"head".to_vec().into_boxed_slice(),
            with_room(b"old", 8).slice(3..8),
        )
    };
    assert_eq!(pair().total_capacity(), 9);
    let (_, (head, body)) = read_vectored(pair(), b"HEADER");
    assert_eq!(&head[..], b"HEAD");
    assert_eq!(body.into_inner(), b"oldER");
    let (_, (head, body)) = read_vectored(pair(), b"H");
    assert_eq!(&head[..], b"Head");
    assert_eq!(body.into_inner(), b"old");
}

#[test]
fn one_operation_carries_a_bounded_number_of_buffers() {
    let mut bufs: Vec<Vec<u8>> = (0..3000).map(|i| vec![i as u8]).collect();
    bufs.insert(5, Vec::new());
    let mut vectors = Vec::new();
    to_send_vectored(&bufs, 0, &mut vectors);
    assert_eq!(vectors.len(), OPERATION_BUFFERS_MAX);
    let joined = bufs.concat();
    assert_eq!(sent_by(&bufs, 0), &joined[..OPERATION_BUFFERS_MAX]);
    assert_eq!(sent_by(&bufs, 2000), &joined[2000..]);
}

#[test]
fn addresses_stay_while_buffers_move() {
    fn stays<B: IoBuf>(buf: B) {
        let before = (buf.as_ptr(), buf.initialized_len(), buf.capacity());
        let moved = Box::new(buf);
        assert_eq!(
            before,
            (
                moved.as_ptr(),
                moved.initialized_len(),
                IoBuf::capacity(&*moved)
            )
        );
        let moved_again = *moved;
        assert_eq!(before.0, moved_again.as_ptr());
        assert!(!before.0.is_null());
    }
    stays(b"vec".to_vec());
    stays(Vec::<u8>::new());
    stays(b"box".to_vec().into_boxed_slice());
    stays(Box::<[u8]>::default());
    stays(&b"static"[..]);
    stays("text");
    stays(String::from("string"));
    stays(Arc::<[u8]>::from(&b"arc"[..]));
    stays(Rc::<[u8]>::from(&b"rc"[..]));
    stays(b"slice".to_vec().slice(2..));
    stays(b"slice of a slice".to_vec().slice(2..9).slice(1..));
}

#[test]
fn a_slice_of_a_slice_counts_from_the_outer_one() {
    let slice = b"0123456789".to_vec().slice(2..8).slice(1..=3);
    assert_eq!(&slice[..], b"345");
    assert_eq!((slice.begin(), slice.end()), (1, 4));
    let (n, slice) = read(slice, b"abcdef");
    assert_eq!(n.unwrap(), 3);
    assert_eq!(slice.into_inner().into_inner(), b"012abc6789");
}

#[test]
fn an_initialised_slice_can_be_changed_in_place() {
    let mut slice = with_room(b"0123", 32).slice(1..9);
    assert_eq!(slice.len(), 3);
    slice.copy_from_slice(b"abc");
    assert_eq!(slice.into_inner(), b"0abc");
}

fn panic_text(f: impl FnOnce() + std::panic::UnwindSafe) -> String {
    *std::panic::catch_unwind(f)
        .unwrap_err()
        .downcast::<String>()
        .unwrap()
}

#[test]
fn a_slice_that_does_not_fit_panics_and_says_why() {
    let text = panic_text(|| drop(with_room(b"abc", 8).slice(4..)));
    assert!(
        text.contains("begins at 4, beyond the 3 initialised"),
        "{text}"
    );
    let text = panic_text(|| drop(Box::<[u8]>::from(&b"abc"[..]).slice(..4)));
    assert!(
        text.contains("ends at 4, beyond the buffer's capacity of 3"),
        "{text}"
    );
    #[expect(clippy::reversed_empty_ranges)]
    let text = panic_text(|| drop(b"abc".to_vec().slice(2..1)));
    assert!(text.contains("begins at 2 but ends at 1"), "{text}");
    let text = panic_text(|| drop(String::from("abc").slice(..=3)));
    assert!(text.contains("ends at 4"), "{text}");
    std::panic::catch_unwind(|| "abc".slice(..=usize::MAX).into_inner()).unwrap_err();
}
