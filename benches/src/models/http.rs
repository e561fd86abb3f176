//! Requests of HTTP/1.1, taken apart as their bytes come, and the heads of replies. No I/O: who calls this has the bytes.
//!
//! A request is taken apart line by line. What comes of it depends on its bytes alone, not on how they were split.

use std::fmt::Write as _;
use std::mem;

use super::names::{self, Name};

/// So many bytes a head has at most, its request line and empty lines before that included.
pub(crate) const HEAD_MAX: usize = 8192;

/// What a reply says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    BadRequest,
    NotFound,
    /// Known, but this is a server of files.
    MethodNotAllowed,
    HeadTooLarge,
    NotImplemented,
    VersionNotSupported,
}

impl Status {
    pub(crate) fn line(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::BadRequest => "400 Bad Request",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::HeadTooLarge => "431 Request Header Fields Too Large",
            Status::NotImplemented => "501 Not Implemented",
            Status::VersionNotSupported => "505 HTTP Version Not Supported",
        }
    }
}

/// What is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The file, by its name under the folder that is served, or why there is none.
    pub(crate) file: Result<String, Status>,
    /// A `HEAD`: the reply has no body.
    pub(crate) wants_head_only: bool,
    /// Others may follow on the same connection.
    pub(crate) keeps: bool,
}

/// The requests of one connection.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// From the begin of a head on.
    input: Vec<u8>,
    /// Where the line begins that is not taken apart yet.
    line: usize,
    /// Before this there is no end of that line.
    searched: usize,
    head: Option<Head>,
    /// Nothing more is understood.
    is_over: bool,
}

/// What the lines so far have said.
#[derive(Debug)]
struct Head {
    method: Method,
    name: Name,
    is_old: bool,
    hosts: usize,
    closes: bool,
    keeps: bool,
    length: Option<u64>,
    is_chunked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Head,
    /// One that the standard knows and that files have no use for.
    Known,
    Unknown,
}

impl Parser {
    pub(crate) fn received(&mut self, bytes: &[u8]) {
        if !self.is_over {
            self.input.extend_from_slice(bytes);
        }
    }

    /// The next request whose head has come whole, or the first line of which is wrong.
    pub(crate) fn next(&mut self) -> Option<Request> {
        while !self.is_over {
            let Some(end) = self.line_end() else {
                let is_too_long = self.input.len() > HEAD_MAX;
                return is_too_long.then(|| self.refuse(Status::HeadTooLarge));
            };
            if end > HEAD_MAX {
                return Some(self.refuse(Status::HeadTooLarge));
            }
            let line = &self.input[self.line..end];
            let understood = match self.head.as_mut() {
                // Empty lines before a request are of an older time, and harmless.
                None if line == b"\r\n" => Ok(()),
                None => Head::begin(line).map(|head| self.head = Some(head)),
                Some(head) if line == b"\r\n" => match head.finish() {
                    Ok(request) => {
                        self.next_head(end, request.keeps);
                        return Some(request);
                    }
                    Err(status) => Err(status),
                },
                Some(head) => head.field(line),
            };
            if let Err(status) = understood {
                return Some(self.refuse(status));
            }
            (self.line, self.searched) = (end, end);
        }
        None
    }

    /// Behind the line feed.
    fn line_end(&mut self) -> Option<usize> {
        let found = self.input[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        let end = found.map(|place| self.searched + place + 1);
        self.searched = end.unwrap_or(self.input.len());
        end
    }

    fn next_head(&mut self, begin: usize, keeps: bool) {
        self.input.drain(..begin);
        (self.line, self.searched, self.head) = (0, 0, None);
        self.is_over = !keeps;
    }

    /// Where the next request would begin is not known any more.
    fn refuse(&mut self, status: Status) -> Request {
        self.is_over = true;
        self.input = Vec::new();
        Request {
            file: Err(status),
            wants_head_only: false,
            keeps: false,
        }
    }
}

impl Head {
    /// Of a request line.
    fn begin(line: &[u8]) -> Result<Head, Status> {
        let mut words = text(line)?.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Status::BadRequest);
        };
        if !is_token(method) {
            return Err(Status::BadRequest);
        }
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH" => Method::Known,
            _ => Method::Unknown,
        };
        let is_old = match version.strip_prefix("HTTP/").map(str::as_bytes) {
            Some([b'1', b'.', minor @ b'0'..=b'9']) => *minor == b'0',
            Some([b'0'..=b'9', b'.', b'0'..=b'9']) => return Err(Status::VersionNotSupported),
            _ => return Err(Status::BadRequest),
        };
        let serves = matches!(method, Method::Get | Method::Head);
        Ok(Head {
            // Other methods have other kinds of targets, and are refused whatever it is.
            name: match serves {
                true => names::of_target(target).ok_or(Status::BadRequest)?,
                false => Name::Outside,
            },
            method,
            is_old,
            hosts: 0,
            closes: false,
            keeps: false,
            length: None,
            is_chunked: false,
        })
    }

    /// Of a line `name: value`.
    fn field(&mut self, line: &[u8]) -> Result<(), Status> {
        let (name, value) = text(line)?.split_once(':').ok_or(Status::BadRequest)?;
        // A space before the colon, or one that goes on with the line before, is none of a token either.
        if !is_token(name) {
            return Err(Status::BadRequest);
        }
        let value = value.trim_matches([' ', '\t']);
        if name.eq_ignore_ascii_case("host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case("connection") {
            for word in value.split(',').map(|word| word.trim_matches([' ', '\t'])) {
                self.closes |= word.eq_ignore_ascii_case("close");
                self.keeps |= word.eq_ignore_ascii_case("keep-alive");
            }
        } else if name.eq_ignore_ascii_case("content-length") {
            let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let length = value.parse().ok().filter(|_| is_number);
            let length = length.ok_or(Status::BadRequest)?;
            if self.length.is_some_and(|before| before != length) {
                return Err(Status::BadRequest);
            }
            self.length = Some(length);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            self.is_chunked = true;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Request, Status> {
        let hosts_are_right = self.hosts == 1 || self.is_old && self.hosts == 0;
        if !hosts_are_right || self.is_chunked && self.length.is_some() {
            return Err(Status::BadRequest);
        }
        // A body is not read, so what comes behind it is not found either.
        let has_body = self.is_chunked || self.length.is_some_and(|length| length > 0);
        let wishes_to_keep = if self.is_old { self.keeps } else { true };
        let file = match self.method {
            Method::Get | Method::Head => match mem::replace(&mut self.name, Name::Outside) {
                Name::Inside(name) => Ok(name),
                Name::Outside => Err(Status::NotFound),
            },
            Method::Known => Err(Status::MethodNotAllowed),
            Method::Unknown => Err(Status::NotImplemented),
        };
        Ok(Request {
            file,
            wants_head_only: self.method == Method::Head,
            keeps: wishes_to_keep && !self.closes && !has_body,
        })
    }
}

/// The line without its end. Nothing in it moves a cursor or ends it earlier for somebody else.
fn text(line: &[u8]) -> Result<&str, Status> {
    let line = line.strip_suffix(b"\r\n").ok_or(Status::BadRequest)?;
    let is_text = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    if !line.iter().all(is_text) {
        return Err(Status::BadRequest);
    }
    // Fields may be of any bytes, but those that matter here are of ASCII.
    str::from_utf8(line).map_err(|_| Status::BadRequest)
}

fn is_token(word: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !word.is_empty() && word.bytes().all(is_part)
}

/// Appends the head of a reply with a body of this length, `HEAD` or not.
pub(crate) fn write_head(
    output: &mut Vec<u8>,
    status: Status,
    kind: &str,
    length: usize,
    keeps: bool,
) {
    let mut head = String::with_capacity(160);
    let connection = if keeps { "keep-alive" } else { "close" };
    let allow = match status {
        Status::MethodNotAllowed => "Allow: GET, HEAD\r\n",
        _ => "",
    };
    let written = write!(
        head,
        "HTTP/1.1 {}\r\nContent-Length: {length}\r\nContent-Type: {kind}\r\n{allow}Connection: {connection}\r\n\r\n",
        status.line()
    );
    written.expect("a string takes every text");
    output.extend_from_slice(head.as_bytes());
}

#[cfg(test)]
mod tests;
