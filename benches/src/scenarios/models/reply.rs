//! A reply, checked as it comes.

/// Longer heads are none that a model sends.
const HEAD_MAX: usize = 1024;

/// How far a reply has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Come {
    InPart,
    Whole {
        /// No other will follow on this connection.
        closes: bool,
    },
}

/// One reply `200 OK`, with a content that is known.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// As far as it has come, its end excluded.
    head: Vec<u8>,
    body: Option<usize>,
    closes: bool,
}

impl Reply {
    /// Bytes that have come. What is wrong with them, if it is not this reply and nothing else.
    pub(super) fn received(&mut self, bytes: &[u8], content: &[u8]) -> Result<Come, String> {
        let mut body = bytes;
        if self.body.is_none() {
            let before = self.head.len();
            self.head.extend_from_slice(bytes);
            // Its end may have begun with what came before.
            let from = before.saturating_sub(3);
            let end = self.head[from..]
                .windows(4)
                .position(|end| end == b"\r\n\r\n");
            let Some(end) = end.map(|place| from + place + 4) else {
                return match self.head.len() > HEAD_MAX {
                    true => Err("a head without an end".to_owned()),
                    false => Ok(Come::InPart),
                };
            };
            body = &bytes[end - before..];
            self.head.truncate(end - 4);
            self.check_head(content.len())?;
        }
        let begin = self.body.unwrap_or(0);
        let end = begin + body.len();
        if content.get(begin..end) != Some(body) {
            return Err("another content".to_owned());
        }
        self.body = Some(end);
        Ok(match end == content.len() {
            true => Come::Whole {
                closes: self.closes,
            },
            false => Come::InPart,
        })
    }

    fn check_head(&mut self, length: usize) -> Result<(), String> {
        let head = str::from_utf8(&self.head).map_err(|_| "a head that is no text")?;
        let mut lines = head.split("\r\n");
        if lines.next() != Some("HTTP/1.1 200 OK") {
            return Err(format!("another reply: {head:?}"));
        }
        let mut told = None;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            match name {
                "Content-Length" => told = value.trim().parse().ok(),
                "Connection" => self.closes = value.trim() == "close",
                _ => {}
            }
        }
        match told == Some(length) {
            true => Ok(()),
            false => Err(format!("another length: {head:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n\r\n\r\nab";
    const CONTENT: &[u8] = b"\r\n\r\nab";

    fn checked(pieces: &[&[u8]]) -> Result<Come, String> {
        let mut reply = Reply::default();
        let mut come = Come::InPart;
        for piece in pieces {
            assert_eq!(come, Come::InPart);
            come = reply.received(piece, CONTENT)?;
        }
        Ok(come)
    }

    #[test]
    fn a_reply_is_whole_however_it_was_split_and_not_before() {
        let whole = Ok(Come::Whole { closes: true });
        assert_eq!(checked(&[REPLY]), whole);
        assert_eq!(checked(&REPLY.chunks(1).collect::<Vec<_>>()), whole);
        for place in 1..REPLY.len() {
            let (head, rest) = REPLY.split_at(place);
            assert_eq!(checked(&[head]), Ok(Come::InPart), "{place}");
            assert_eq!(checked(&[head, rest]), whole, "{place}");
        }
    }

    #[test]
    fn a_wrong_reply_is_not_taken_for_one() {
        let with = |from: &str, to: &str| str::from_utf8(REPLY).unwrap().replacen(from, to, 1);
        for wrong in [
            with("200 OK", "404 Not Found"),
            with(": 6", ": 7"),
            with("Content-Length: 6\r\n", ""),
            with("ab", "ac"),
            with("ab", "abc"),
            "x".repeat(2000),
        ] {
            assert!(checked(&[wrong.as_bytes()]).is_err(), "{wrong:?}");
        }
        let kept = with("Connection: close", "Connection: keep-alive");
        let whole = Ok(Come::Whole { closes: false });
        assert_eq!(checked(&[kept.as_bytes()]), whole);
    }
}
