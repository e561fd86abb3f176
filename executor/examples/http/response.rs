//! What is at a path, and how that is said in HTTP/1.1.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::time::UNIX_EPOCH;

use krug::fs::{self, File, Metadata};

use crate::request::{self, Request, Status};

/// What there is at the path of a request.
pub(crate) async fn find(root: &Path, request: &Request) -> Result<Response, Status> {
    let mut path = root.join(request::local_path(&request.target)?);
    if request.target.ends_with('/') {
        path.push("index.html");
    }
    // A symbolic link may lead anywhere: what counts is where the file is in the end.
    let path = fs::canonicalize(path).await.map_err(Status::of_error)?;
    if !path.starts_with(root) {
        return Err(Status::FORBIDDEN);
    }
    let metadata = fs::metadata(&path).await.map_err(Status::of_error)?;
    if metadata.is_dir() {
        // With the slash at its end, so that links in its index.html lead to its files.
        let name = request.target.rsplit('/').next().unwrap_or_default();
        return Ok(Response::of_status(Status::MOVED).with(format!("Location: ./{name}/")));
    }
    if !metadata.is_file() {
        return Err(Status::FORBIDDEN); // opening a pipe would wait for who writes to it
    }
    let file = File::open(&path).await.map_err(Status::of_error)?;
    let metadata = file.metadata().await.map_err(Status::of_error)?;
    let response = choose(request, file, &metadata);
    Ok(response.with(format!("Content-Type: {}", content_type(&path))))
}

/// All of the file, or the part that is wanted, or nothing if the client has it already.
fn choose(request: &Request, file: File, metadata: &Metadata) -> Response {
    let changed = metadata.modified().unwrap_or(UNIX_EPOCH);
    let nanos = changed
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let (len, tag) = (
        metadata.len(),
        format!("\"{nanos:x}-{:x}\"", metadata.len()),
    );
    let (status, body, range) = if request.has_seen(&tag) {
        (Status::NOT_MODIFIED, Body::None, None)
    } else {
        match request.range_of(len, &tag) {
            None => (Status::OK, Body::File(file, 0..len), None),
            Some(range) if range.is_empty() => {
                let none = Body::Text(String::new());
                (
                    Status::RANGE_NOT_SATISFIABLE,
                    none,
                    Some(format!("*/{len}")),
                )
            }
            Some(range) => {
                let part = format!("{}-{}/{len}", range.start, range.end - 1);
                (Status::PARTIAL, Body::File(file, range), Some(part))
            }
        }
    };
    let headers = String::from("Accept-Ranges: bytes\r\n");
    let response = Response {
        status,
        headers,
        body,
    }
    .with(format!("ETag: {tag}"));
    match range {
        Some(range) => response.with(format!("Content-Range: bytes {range}")),
        None => response,
    }
}

pub(crate) enum Body {
    None,
    Text(String),
    File(File, Range<u64>),
}

pub(crate) struct Response {
    status: Status,
    /// Those that not every response has.
    headers: String,
    pub(crate) body: Body,
}

impl Response {
    pub(crate) fn of_status(status: Status) -> Response {
        let body = Body::Text(format!("{} {}\n", status.0, status.1));
        let headers = String::new();
        let response = Response {
            status,
            headers,
            body,
        }
        .with("Content-Type: text/plain");
        match status {
            Status::METHOD_NOT_ALLOWED => response.with("Allow: GET, HEAD"),
            _ => response,
        }
    }

    fn with(mut self, header: impl AsRef<str>) -> Response {
        self.headers = self.headers + header.as_ref() + "\r\n";
        self
    }

    /// Up to the empty line.
    pub(crate) fn head(&self, keep_alive: bool) -> String {
        let (Status(code, reason), headers) = (self.status, &self.headers);
        let mut head = format!("HTTP/1.1 {code} {reason}\r\nServer: krug\r\n{headers}");
        let len = match &self.body {
            Body::None => None,
            Body::Text(text) => Some(text.len() as u64),
            Body::File(_, range) => Some(range.end - range.start),
        };
        if let Some(len) = len {
            let _ = write!(head, "Content-Length: {len}\r\n");
        }
        if !keep_alive {
            head.push_str("Connection: close\r\n");
        }
        head + "\r\n"
    }
}

fn content_type(path: &Path) -> &'static str {
    let suffix = path.extension().and_then(|suffix| suffix.to_str());
    match suffix.unwrap_or_default().to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "txt" | "md" | "rs" | "toml" => "text/plain; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "mp4" => "video/mp4",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}
