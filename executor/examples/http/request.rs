//! What a client of HTTP/1.1 sends, up to the body that none of these requests has (RFC 9110, RFC 9112).

use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The longest head, in bytes.
pub(crate) const HEAD_MAX: usize = 8 << 10;
const TARGET_MAX: usize = 4 << 10;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Status(pub(crate) u16, pub(crate) &'static str);

impl Status {
    pub(crate) const OK: Status = Status(200, "OK");
    pub(crate) const PARTIAL: Status = Status(206, "Partial Content");
    pub(crate) const MOVED: Status = Status(301, "Moved Permanently");
    pub(crate) const NOT_MODIFIED: Status = Status(304, "Not Modified");
    pub(crate) const BAD_REQUEST: Status = Status(400, "Bad Request");
    pub(crate) const FORBIDDEN: Status = Status(403, "Forbidden");
    pub(crate) const NOT_FOUND: Status = Status(404, "Not Found");
    pub(crate) const METHOD_NOT_ALLOWED: Status = Status(405, "Method Not Allowed");
    pub(crate) const CONTENT_TOO_LARGE: Status = Status(413, "Content Too Large");
    pub(crate) const TARGET_TOO_LONG: Status = Status(414, "URI Too Long");
    pub(crate) const RANGE_NOT_SATISFIABLE: Status = Status(416, "Range Not Satisfiable");
    pub(crate) const HEAD_TOO_LARGE: Status = Status(431, "Request Header Fields Too Large");
    pub(crate) const INTERNAL: Status = Status(500, "Internal Server Error");
    pub(crate) const VERSION: Status = Status(505, "HTTP Version Not Supported");

    /// For an error of the file system.
    pub(crate) fn of_error(error: io::Error) -> Status {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::NotFound | Kind::NotADirectory | Kind::InvalidFilename => Status::NOT_FOUND,
            Kind::PermissionDenied => Status::FORBIDDEN,
            _ => {
                eprintln!("a file could not be read: {error}");
                Status::INTERNAL
            }
        }
    }
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Request {
    pub(crate) is_head: bool,
    /// The path as it was sent, without the query.
    pub(crate) target: String,
    pub(crate) keep_alive: bool,
    range: Option<String>,
    if_range: Option<String>,
    if_none_match: Option<String>,
}

impl Request {
    /// True if the client has the version of the file with this tag.
    pub(crate) fn has_seen(&self, tag: &str) -> bool {
        let Some(tags) = &self.if_none_match else {
            return false;
        };
        tags.split(',')
            .map(str::trim)
            .any(|seen| seen == "*" || seen.trim_start_matches("W/") == tag)
    }

    /// The part of `len` bytes that is wanted, empty if they have no such part. `None`: all, also for what this
    /// server does not do (several parts) or understand, as RFC 9110 wants it.
    pub(crate) fn range_of(&self, len: u64, tag: &str) -> Option<Range<u64>> {
        if self.if_range.as_ref().is_some_and(|wanted| wanted != tag) {
            return None;
        }
        let (first, last) = self
            .range
            .as_ref()?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        match (number(first), number(last)) {
            (Some(first), None) if last.is_empty() => Some(first.min(len)..len),
            (Some(first), Some(last)) if first <= last => {
                Some(first.min(len)..last.saturating_add(1).min(len))
            }
            (None, Some(count)) if first.is_empty() => Some(len - count.min(len)..len),
            _ => None,
        }
    }
}

/// The first request of `bytes` and its length; `None` if more has to come.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Status> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return match bytes.len() < HEAD_MAX {
            true => Ok(None),
            false if bytes.contains(&b'\n') => Err(Status::HEAD_TOO_LARGE),
            false => Err(Status::TARGET_TOO_LONG),
        };
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| Status::BAD_REQUEST)?;
    let mut lines = head.trim_start_matches("\r\n").split("\r\n");
    // Also a lone CR, LF or NUL, which others may take for the end of something.
    if lines
        .clone()
        .any(|line| line.contains(|letter: char| letter.is_control() && letter != '\t'))
    {
        return Err(Status::BAD_REQUEST);
    }
    let (mut request, is_new) = parse_first_line(lines.next().unwrap_or_default())?;
    parse_fields(lines, &mut request, is_new)?;
    Ok(Some((request, end + 4)))
}

/// The request so far, and whether it is of version 1.1.
fn parse_first_line(line: &str) -> Result<(Request, bool), Status> {
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Status::BAD_REQUEST);
    };
    let is_new = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ if version.starts_with("HTTP/") => return Err(Status::VERSION),
        _ => return Err(Status::BAD_REQUEST),
    };
    if method != "GET" && method != "HEAD" {
        return Err(Status::METHOD_NOT_ALLOWED);
    }
    if target.len() > TARGET_MAX {
        return Err(Status::TARGET_TOO_LONG);
    }
    // As it is sent to a proxy, which a server must understand, too.
    let path = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(Status::BAD_REQUEST);
    }
    let (is_head, target) = (method == "HEAD", path.to_owned());
    let request = Request {
        is_head,
        target,
        keep_alive: is_new,
        ..Request::default()
    };
    Ok((request, is_new))
}

fn parse_fields<'a>(
    lines: impl Iterator<Item = &'a str>,
    request: &mut Request,
    is_new: bool,
) -> Result<(), Status> {
    let mut hosts = 0;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Status::BAD_REQUEST)?;
        if name.is_empty() || name.contains([' ', '\t']) {
            return Err(Status::BAD_REQUEST);
        }
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "connection" if value.to_ascii_lowercase().contains("close") => {
                request.keep_alive = false;
            }
            "content-length" if number(value).ok_or(Status::BAD_REQUEST)? == 0 => {}
            // A body that nobody reads would be taken for the next request.
            "content-length" | "transfer-encoding" => return Err(Status::CONTENT_TOO_LARGE),
            "range" => request.range = Some(value.to_owned()),
            "if-range" => request.if_range = Some(value.to_owned()),
            "if-none-match" => request.if_none_match = Some(value.to_owned()),
            _ => {}
        }
    }
    match is_new && hosts != 1 {
        true => Err(Status::BAD_REQUEST),
        false => Ok(()),
    }
}

/// Digits only: no sign, no space.
fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// The path below the root that a target means. Nothing of it begins with a dot: neither `..` nor hidden files.
pub(crate) fn local_path(target: &str) -> Result<PathBuf, Status> {
    let mut path = Vec::with_capacity(target.len());
    let mut bytes = target.bytes();
    while let Some(byte) = bytes.next() {
        path.push(match byte {
            b'%' => {
                let mut digit = || (bytes.next()? as char).to_digit(16);
                let (high, low) = digit().zip(digit()).ok_or(Status::BAD_REQUEST)?;
                (high << 4 | low) as u8
            }
            _ => byte,
        });
    }
    if path.contains(&0) {
        return Err(Status::BAD_REQUEST);
    }
    let mut local = PathBuf::new();
    for part in path
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
    {
        if part[0] == b'.' {
            return Err(Status::FORBIDDEN);
        }
        local.push(OsString::from_vec(part.to_vec()));
    }
    Ok(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"1-2\"";

    fn one(text: &str) -> Result<Request, Status> {
        let parsed = parse(text.as_bytes())?;
        let (request, len) = parsed.expect("a whole head");
        assert_eq!(len, text.len());
        Ok(request)
    }

    fn get(target: &str, fields: &str) -> Result<Request, Status> {
        one(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
    }

    #[test]
    fn a_request_is_taken_when_its_head_is_whole_and_not_before() {
        let text = "GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n";
        for len in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..len]), Ok(None), "{len}");
        }
        let pipelined = format!("{text}HEAD / HT");
        let (request, len) = parse(pipelined.as_bytes()).unwrap().unwrap();
        assert_eq!(len, text.len());
        assert_eq!(
            (&request.target[..], request.is_head, request.keep_alive),
            ("/a", false, true)
        );
    }

    #[test]
    fn the_connection_ends_when_the_client_says_so_or_is_old() {
        assert!(!get("/", "Connection: Close\r\n").unwrap().keep_alive);
        assert!(!one("HEAD / HTTP/1.0\r\n\r\n").unwrap().keep_alive);
        assert!(get("/", "Connection: keep-alive\r\n").unwrap().keep_alive);
    }

    #[test]
    fn what_is_no_request_is_refused_with_the_reason() {
        for (text, status) in [
            ("GET /\r\n\r\n", Status::BAD_REQUEST),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Status::BAD_REQUEST),
            ("GET / HTTP/1.1\r\n\r\n", Status::BAD_REQUEST),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                Status::BAD_REQUEST,
            ),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Status::BAD_REQUEST),
            (
                "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
                Status::BAD_REQUEST,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
                Status::BAD_REQUEST,
            ),
            ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", Status::BAD_REQUEST),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Status::VERSION),
            (
                "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
                Status::METHOD_NOT_ALLOWED,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
                Status::CONTENT_TOO_LARGE,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n",
                Status::BAD_REQUEST,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
                Status::CONTENT_TOO_LARGE,
            ),
        ] {
            assert_eq!(one(text), Err(status), "{text:?}");
        }
        assert_eq!(parse(&[b'a'; HEAD_MAX]), Err(Status::TARGET_TOO_LONG));
        let long = format!("GET / HTTP/1.1\r\n{}", "a".repeat(HEAD_MAX));
        assert_eq!(parse(long.as_bytes()), Err(Status::HEAD_TOO_LARGE));
        assert_eq!(
            get(&format!("/{}", "a".repeat(TARGET_MAX)), ""),
            Err(Status::TARGET_TOO_LONG)
        );
    }

    #[test]
    fn a_target_never_leads_out_of_the_root() {
        let path = |target: &str| local_path(target).map(|path| path.display().to_string());
        assert_eq!(path("/a%20b//c.txt").unwrap(), "a b/c.txt");
        assert_eq!(path("/").unwrap(), "");
        for target in [
            "/..",
            "/a/../b",
            "/%2e%2e/b",
            "/..%2fb",
            "/a/%2E./b",
            "/.git/config",
            "/.",
        ] {
            assert_eq!(path(target), Err(Status::FORBIDDEN), "{target}");
        }
        for target in ["/%", "/%2", "/%+1", "/%zz", "/a%00b"] {
            assert_eq!(path(target), Err(Status::BAD_REQUEST), "{target}");
        }
    }

    #[test]
    fn ranges_are_those_of_the_standard() {
        let range = |value: &str| {
            let fields = format!("Range: {value}\r\n");
            get("/", &fields).unwrap().range_of(10, TAG)
        };
        assert_eq!(range("bytes=0-0"), Some(0..1));
        assert_eq!(range("bytes=4-"), Some(4..10));
        assert_eq!(range("bytes=4-99"), Some(4..10));
        assert_eq!(range("bytes=-3"), Some(7..10));
        assert_eq!(range("bytes=-99"), Some(0..10));
        assert_eq!(range("bytes=10-"), Some(10..10));
        assert_eq!(range("bytes=-0"), Some(10..10));
        for ignored in [
            "bytes=5-4",
            "bytes=-",
            "bytes=0-1,4-5",
            "lines=1-2",
            "bytes=a-b",
            "bytes=+1-2",
        ] {
            assert_eq!(range(ignored), None, "{ignored}");
        }
        let request = get("/", "Range: bytes=0-1\r\nIf-Range: \"other\"\r\n").unwrap();
        assert_eq!(request.range_of(10, TAG), None);
    }

    #[test]
    fn a_tag_that_the_client_has_is_recognised() {
        for (value, is_seen) in [
            (TAG, true),
            ("\"x\", W/\"1-2\"", true),
            ("*", true),
            ("\"1\"", false),
        ] {
            let request = get("/", &format!("If-None-Match: {value}\r\n")).unwrap();
            assert_eq!(request.has_seen(TAG), is_seen, "{value}");
        }
    }

    /// Whatever comes, there is an answer, and what is taken is not more than what came.
    #[test]
    fn random_bytes_and_damaged_requests_are_answered_without_a_panic() {
        let given = std::env::var("KRUG_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let mut state = given.unwrap_or_else(|| u64::from(std::process::id()));
        println!("KRUG_SEED={state}");
        let mut number = |bound: usize| {
            // Knuth's MMIX generator; its high bits are the good ones.
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize % bound
        };
        let words = [
            "GET ",
            "/",
            "%2",
            "..",
            " HTTP/1.1",
            "\r\n",
            "Host:",
            "Range: bytes=",
            "-",
            "9",
            ",",
            "\0",
            "é",
        ];
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..number(30) {
                match number(8) {
                    0 => bytes.push(number(256) as u8),
                    1 => bytes.extend(b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes="),
                    _ => bytes.extend(words[number(words.len())].as_bytes()),
                }
            }
            bytes.extend(b"\r\n\r\n");
            let Ok(Some((request, len))) = parse(&bytes) else {
                continue;
            };
            assert!(len <= bytes.len());
            let size = number(20) as u64;
            let range = request.range_of(size, TAG).unwrap_or(0..size);
            assert!(
                range.start <= range.end && range.end <= size,
                "{range:?} of {size}"
            );
            if let Ok(path) = local_path(&request.target) {
                assert!(
                    path.is_relative() && path.iter().all(|part| part != ".."),
                    "{path:?}"
                );
            }
        }
    }
}
