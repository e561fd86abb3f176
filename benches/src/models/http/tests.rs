use super::*;

/// What the parser makes of these pieces.
fn parsed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Request> {
    let mut parser = Parser::default();
    let mut requests = Vec::new();
    for piece in pieces {
        parser.received(piece);
        requests.extend(std::iter::from_fn(|| parser.next()));
    }
    requests
}

fn whole(text: &str) -> Vec<Request> {
    parsed([text.as_bytes()])
}

fn only(text: &str) -> Request {
    let requests = whole(text);
    assert_eq!(requests.len(), 1, "{text:?}: {requests:?}");
    requests[0].clone()
}

fn file(name: &str, keeps: bool) -> Request {
    Request {
        file: Ok(name.to_owned()),
        wants_head_only: false,
        keeps,
    }
}

fn refused(status: Status) -> Request {
    Request {
        file: Err(status),
        wants_head_only: false,
        keeps: false,
    }
}

const CONVERSATIONS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\nGET /a%20b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\n\r\n",
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.1\r\nHost:a\r\n\r\nDELETE /3 HTTP/1.1\r\nHost: a\r\n\r\nBREW /4 HTTP/1.1\r\nHost: a\r\n\r\nGET /5 HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "GET /../a HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/2.0\r\n\r\n",
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    "\0\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
];

#[test]
fn however_a_conversation_is_split_the_requests_are_the_same() {
    for text in CONVERSATIONS {
        let bytes = text.as_bytes();
        let expected = whole(text);
        assert!(!expected.is_empty(), "{text:?}");
        assert_eq!(parsed(bytes.chunks(1)), expected, "{text:?} byte by byte");
        for first in 0..=bytes.len() {
            let (head, rest) = bytes.split_at(first);
            assert_eq!(parsed([head, rest]), expected, "{text:?} split at {first}");
            for second in first..=bytes.len() {
                let (middle, tail) = bytes[first..].split_at(second - first);
                assert_eq!(parsed([head, middle, tail]), expected);
            }
        }
    }
}

#[test]
fn a_head_may_have_so_many_bytes_and_not_one_more_however_it_is_split() {
    let padded = |length: usize| {
        let (begin, end) = ("GET / HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n");
        let padding = "x".repeat(length - begin.len() - end.len());
        [begin, &padding, end].concat()
    };
    let (just, above) = (padded(HEAD_MAX), padded(HEAD_MAX + 1));
    let endless = "G".repeat(HEAD_MAX + 1);
    let lines = "\r\n".repeat(HEAD_MAX / 2 + 1);
    for size in [1, 7, 100, 20_000] {
        assert_eq!(
            parsed(just.as_bytes().chunks(size)),
            [file("index.html", true)]
        );
        for text in [&above, &endless, &lines] {
            let requests = parsed(text.as_bytes().chunks(size));
            assert_eq!(requests, [refused(Status::HeadTooLarge)]);
        }
    }
    assert!(whole(&endless[1..]).is_empty(), "the rest may still come");
}

#[test]
fn what_is_no_request_is_refused_at_the_first_wrong_line() {
    for text in [
        "hello\r\n",
        "GET  / HTTP/1.1\r\n",
        "GET / HTTP/1.1 \r\n",
        " GET / HTTP/1.1\r\n",
        "GET /\r\n",
        "G(T / HTTP/1.1\r\n",
        "GET a HTTP/1.1\r\n",
        "GET /%4 HTTP/1.1\r\n",
        "GET / http/1.1\r\n",
        "GET / HTTP/1.1x\r\n",
        "GET / HTTP/1\r\n",
        "GET / HTTP/1.1\n",
        "GET /\0 HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n",
        "GET / HTTP/1.1\r\nHost\r\n",
        "GET / HTTP/1.1\r\n: a\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n",
        "GET / HTTP/1.1\r\nContent-Length: +1\r\n",
        "GET / HTTP/1.1\r\nContent-Length:\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert_eq!(only(text), refused(Status::BadRequest), "{text:?}");
        let more = format!("{text}GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(whole(&more).len(), 1, "{text:?}: what follows is not read");
    }
    let newer = only("GET / HTTP/2.0\r\n");
    assert_eq!(newer, refused(Status::VersionNotSupported));
}

#[test]
fn methods_that_files_have_no_use_for_are_told_from_those_that_nobody_knows() {
    let status = |method: &str| only(&format!("{method} * HTTP/1.1\r\nHost: a\r\n\r\n")).file;
    for method in [
        "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ] {
        assert_eq!(status(method), Err(Status::MethodNotAllowed), "{method}");
    }
    for method in ["get", "BREW", "PRI"] {
        assert_eq!(status(method), Err(Status::NotImplemented), "{method}");
    }
    let head = only("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head.wants_head_only);
    assert_eq!(head.file, Ok("a".to_owned()));
}

#[test]
fn a_connection_is_kept_if_both_sides_can_go_on() {
    for (head, keeps) in [
        ("HTTP/1.1\r\nHost: a", true),
        ("HTTP/1.9\r\nHost: a", true),
        ("HTTP/1.1\r\nHost: a\r\nConnection: close", false),
        ("HTTP/1.1\r\nHost: a\r\nconnection: x,\tCLOSE", false),
        (
            "HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close",
            false,
        ),
        ("HTTP/1.0", false),
        ("HTTP/1.0\r\nConnection: Keep-Alive", true),
        ("HTTP/1.1\r\nHost: a\r\nContent-Length: 0", true),
        (
            "HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5",
            false,
        ),
        ("HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked", false),
    ] {
        let text = format!("GET /a {head}\r\n\r\n");
        assert_eq!(only(&text), file("a", keeps), "{head:?}");
    }
}

/// xorshift, so that a failure is told by its seed.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn random_bytes_never_panic_and_mean_the_same_however_they_are_split() {
    const WORDS: &[&[u8]] = &[
        b"GET ",
        b"/",
        b" HTTP/1.1",
        b"\r\n",
        b"\r",
        b"\n",
        b"Host:",
        b" a",
        b"Content-Length: ",
        b"7",
        b"%",
        b"..",
        b"HEAD ",
        b"Connection: close",
        b"\r\n\r\n",
        b"\0",
        b"\xff\xfe",
        b":",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for seed in 1..3000_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut bytes = Vec::new();
        for _ in 0..random(&mut state) % 40 {
            if random(&mut state).is_multiple_of(8) {
                bytes.push(random(&mut state) as u8);
            } else {
                let word = random(&mut state) as usize % WORDS.len();
                bytes.extend_from_slice(WORDS[word]);
            }
        }
        let expected = parsed([bytes.as_slice()]);
        let size = random(&mut state) as usize % 5 + 1;
        assert_eq!(
            parsed(bytes.chunks(size)),
            expected,
            "seed {seed}: {bytes:?}"
        );
    }
}

#[test]
fn a_reply_says_what_it_is() {
    let mut output = b"before ".to_vec();
    write_head(
        &mut output,
        Status::MethodNotAllowed,
        "text/plain",
        7,
        false,
    );
    let expected = "before HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 7\r\nContent-Type: text/plain\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n";
    assert_eq!(String::from_utf8(output).unwrap(), expected);
}
