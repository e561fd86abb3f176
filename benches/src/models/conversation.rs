//! One connection without its I/O: what came in, what is to be sent, and what is to be done next. All models share it, so that
//! they differ in how they wait and in nothing else.

use std::mem;

use super::http::{Parser, Request, Status, write_head};

/// What a conversation needs to go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bytes from the other side, for [`Conversation::received`], or their end, for [`Conversation::ended`].
    Receive,
    /// [`Conversation::unsent`] is to be sent.
    Send,
    /// The file of this name, for [`Conversation::loaded`].
    Load(String),
    Close,
}

/// What is said on one connection.
#[derive(Debug)]
pub(crate) struct Conversation {
    parser: Parser,
    /// Answered when its file is there.
    request: Option<Request>,
    output: Vec<u8>,
    sent: usize,
    keeps: bool,
    is_last: bool,
    has_ended: bool,
}

/// Whether a connection is kept for the next request of the same user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Close,
}

impl Conversation {
    pub(crate) fn new(after: After) -> Conversation {
        Conversation {
            parser: Parser::default(),
            request: None,
            output: Vec::new(),
            sent: 0,
            keeps: after == After::Keep,
            is_last: false,
            has_ended: false,
        }
    }

    /// One request is answered, and its answer sent, before the next is looked at: what waits here is bounded by one file.
    pub(crate) fn step(&mut self) -> Step {
        loop {
            if self.sent < self.output.len() {
                return Step::Send;
            }
            self.output.clear();
            self.sent = 0;
            if self.is_last {
                return Step::Close;
            }
            if self.request.is_none() {
                self.request = self.parser.next();
            }
            match &self.request {
                None if self.has_ended => return Step::Close,
                None => return Step::Receive,
                Some(request) => match &request.file {
                    Ok(name) => return Step::Load(name.clone()),
                    Err(status) => self.answer(*status, None),
                },
            }
        }
    }

    pub(crate) fn received(&mut self, bytes: &[u8]) {
        self.parser.received(bytes);
    }

    /// The other side sends nothing more; it may still be waiting for answers.
    pub(crate) fn ended(&mut self) {
        self.has_ended = true;
    }

    pub(crate) fn unsent(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    pub(crate) fn sent(&mut self, count: usize) {
        self.sent += count;
    }

    /// All that is to be sent, for whoever sends it whole and gives the memory back.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        self.sent = 0;
        mem::take(&mut self.output)
    }

    pub(crate) fn give_back(&mut self, mut output: Vec<u8>) {
        output.clear();
        self.output = output;
    }

    /// What [`Step::Load`] asked for; nothing if there is no such file.
    pub(crate) fn loaded(&mut self, file: Option<&[u8]>) {
        match file {
            Some(content) => self.answer(Status::Ok, Some(content)),
            None => self.answer(Status::NotFound, None),
        }
    }

    fn answer(&mut self, status: Status, content: Option<&[u8]>) {
        let request = self.request.take().expect("a request is being answered");
        self.is_last = !(self.keeps && request.keeps);
        let explanation = [status.line().as_bytes(), b"\n"].concat();
        let body = content.unwrap_or(&explanation);
        let kind = match &request.file {
            Ok(name) if content.is_some() => kind_of(name),
            _ => "text/plain",
        };
        write_head(&mut self.output, status, kind, body.len(), !self.is_last);
        if !request.wants_head_only {
            self.output.extend_from_slice(body);
        }
    }
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("txt") => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: &[u8] = b"GET /a.html HTTP/1.1\r\nHost: a\r\n\r\n";

    fn text(conversation: &Conversation) -> &str {
        str::from_utf8(conversation.unsent()).unwrap()
    }

    #[test]
    fn a_request_is_answered_before_the_next_one_is_looked_at() {
        let mut conversation = Conversation::new(After::Keep);
        assert_eq!(conversation.step(), Step::Receive);
        conversation.received(&ASK.repeat(2));
        for _ in 0..2 {
            assert_eq!(conversation.step(), Step::Load("a.html".to_owned()));
            conversation.loaded(Some(b"body"));
            while conversation.step() == Step::Send {
                conversation.sent(1);
            }
        }
        assert_eq!(conversation.step(), Step::Receive);
    }

    #[test]
    fn the_answer_says_how_long_it_is_and_whether_others_may_follow() {
        for (after, word) in [(After::Keep, "keep-alive"), (After::Close, "close")] {
            let mut conversation = Conversation::new(after);
            conversation.received(ASK);
            assert_eq!(conversation.step(), Step::Load("a.html".to_owned()));
            conversation.loaded(Some(b"body"));
            let expected = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: text/html\r\nConnection: {word}\r\n\r\nbody"
            );
            assert_eq!(text(&conversation), expected);
            let output = conversation.take_output();
            conversation.give_back(output);
            let next = match after {
                After::Keep => Step::Receive,
                After::Close => Step::Close,
            };
            assert_eq!(conversation.step(), next);
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_no_reason_to_close_and_a_wrong_request_is() {
        let mut conversation = Conversation::new(After::Keep);
        conversation.received(ASK);
        conversation.step();
        conversation.loaded(None);
        assert!(text(&conversation).starts_with("HTTP/1.1 404 Not Found\r\n"));
        conversation.sent(conversation.unsent().len());
        assert_eq!(conversation.step(), Step::Receive);
        conversation.received(b"nonsense\r\n");
        assert_eq!(conversation.step(), Step::Send);
        assert!(text(&conversation).starts_with("HTTP/1.1 400 Bad Request\r\n"));
        assert!(text(&conversation).ends_with("\r\n\r\n400 Bad Request\n"));
        conversation.sent(conversation.unsent().len());
        assert_eq!(conversation.step(), Step::Close);
    }

    #[test]
    fn the_answer_to_a_head_has_no_body_but_its_length() {
        let mut conversation = Conversation::new(After::Keep);
        conversation.received(b"HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
        conversation.step();
        conversation.loaded(Some(b"body"));
        assert!(text(&conversation).contains("Content-Length: 4\r\n"));
        assert!(text(&conversation).ends_with("\r\n\r\n"));
    }

    #[test]
    fn who_sends_nothing_more_still_gets_the_answers() {
        let mut conversation = Conversation::new(After::Keep);
        conversation.received(&[ASK, b"GET"].concat());
        conversation.ended();
        assert_eq!(conversation.step(), Step::Load("a.html".to_owned()));
        conversation.loaded(Some(b"body"));
        assert_eq!(conversation.step(), Step::Send);
        conversation.sent(conversation.unsent().len());
        assert_eq!(conversation.step(), Step::Close);
    }
}
