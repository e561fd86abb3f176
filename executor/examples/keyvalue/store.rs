//! The keys and values, the commands on them, and the changes as a journal keeps them.

use std::collections::HashMap;

use super::resp;

const NOT_A_NUMBER: &str = "ERR value is not an integer or out of range";
const OVERFLOW: &str = "ERR increment or decrement would overflow";

/// What the connection does after a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Then {
    GoOn,
    Read,
    Close,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Store {
    values: HashMap<Vec<u8>, Vec<u8>>,
}

impl Store {
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Executes one command: its reply is appended to `replies`, what it has changed to `changes`.
    pub(crate) fn execute(
        &mut self,
        command: &[&[u8]],
        replies: &mut Vec<u8>,
        changes: &mut Vec<u8>,
    ) -> Then {
        let Some((name, arguments)) = command.split_first() else {
            return Then::GoOn;
        };
        match (&name.to_ascii_uppercase()[..], arguments) {
            (b"GET", [key]) => resp::bulk(replies, self.values.get(*key).map(|value| &value[..])),
            (b"SET", [key, value]) => {
                self.set(key, value.to_vec(), changes);
                resp::simple(replies, "OK");
            }
            (b"SET", [_, _, _, ..]) => resp::error(replies, "ERR syntax error"),
            (b"INCR", [key]) => match self.increment(key, changes) {
                Ok(number) => resp::integer(replies, number),
                Err(reason) => resp::error(replies, reason),
            },
            (b"DEL", [_, ..]) => {
                let removed = arguments.iter().filter(|key| self.remove(key, changes));
                resp::integer(replies, removed.count() as i64);
            }
            (b"EXISTS", [_, ..]) => {
                let found = arguments
                    .iter()
                    .filter(|key| self.values.contains_key(**key));
                resp::integer(replies, found.count() as i64);
            }
            (b"PING", []) => resp::simple(replies, "PONG"),
            (b"PING" | b"ECHO", [text]) => resp::bulk(replies, Some(text)),
            // There are no settings, and no descriptions of commands: programs ask, and can do without.
            (b"CONFIG", [word, setting]) if word.eq_ignore_ascii_case(b"GET") => {
                resp::array(replies, 2);
                resp::bulk(replies, Some(setting));
                resp::bulk(replies, Some(b""));
            }
            (b"COMMAND", _) => resp::array(replies, 0),
            (b"QUIT", _) => {
                resp::simple(replies, "OK");
                return Then::Close;
            }
            (b"GET" | b"SET" | b"INCR" | b"DEL" | b"EXISTS" | b"PING" | b"ECHO" | b"CONFIG", _) => {
                let name = name.to_ascii_lowercase().escape_ascii().to_string();
                resp::error(
                    replies,
                    &format!("ERR wrong number of arguments for '{name}' command"),
                );
            }
            _ => {
                let name: String = name.escape_ascii().to_string().chars().take(128).collect();
                resp::error(replies, &format!("ERR unknown command '{name}'"));
            }
        }
        Then::GoOn
    }

    fn set(&mut self, key: &[u8], value: Vec<u8>, changes: &mut Vec<u8>) {
        push_change(changes, key, Some(&value));
        self.values.insert(key.to_vec(), value);
    }

    fn remove(&mut self, key: &[u8], changes: &mut Vec<u8>) -> bool {
        let is_there = self.values.remove(key).is_some();
        if is_there {
            push_change(changes, key, None);
        }
        is_there
    }

    fn increment(&mut self, key: &[u8], changes: &mut Vec<u8>) -> Result<i64, &'static str> {
        let number = match self.values.get(key) {
            Some(value) => resp::number(value).ok_or(NOT_A_NUMBER)?,
            None => 0,
        };
        let number = number.checked_add(1).ok_or(OVERFLOW)?;
        self.set(key, number.to_string().into_bytes(), changes);
        Ok(number)
    }

    /// Repeats changes. `None` if they are not what [`execute`](Store::execute) has written.
    pub(crate) fn replay(&mut self, mut changes: &[u8]) -> Option<()> {
        while !changes.is_empty() {
            let kind = take(&mut changes, 1)?[0];
            let key = take_bytes(&mut changes)?.to_vec();
            match kind {
                b'=' => drop(self.values.insert(key, take_bytes(&mut changes)?.to_vec())),
                b'-' => drop(self.values.remove(&key)),
                _ => return None,
            }
        }
        Some(())
    }
}

/// One change: `=`, the key and its value, or `-` and the key; in front of each its length in four bytes.
fn push_change(changes: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    changes.push(if value.is_some() { b'=' } else { b'-' });
    for bytes in [Some(key), value].into_iter().flatten() {
        // The protocol's bound for a word is far below.
        changes.extend((bytes.len() as u32).to_le_bytes());
        changes.extend(bytes);
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take(bytes, 4)?.try_into().ok()?;
    take(bytes, u32::from_le_bytes(length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reply to each line, and a store made of the changes alone.
    fn replies(lines: &[&str]) -> (Vec<String>, Store) {
        let (mut store, mut again) = (Store::default(), Store::default());
        let mut all = Vec::new();
        for line in lines {
            let command: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let (mut replies, mut changes) = (Vec::new(), Vec::new());
            store.execute(&command, &mut replies, &mut changes);
            again.replay(&changes).expect("changes of ours");
            all.push(String::from_utf8(replies).unwrap().trim_end().to_owned());
        }
        assert_eq!(store, again);
        (all, again)
    }

    #[test]
    fn each_command_answers_as_redis_does_and_its_changes_can_be_repeated() {
        let (answers, store) = replies(&[
            "GET a",
            "set a 1",
            "Get a",
            "INCR a",
            "INCR b",
            "EXISTS a b a c",
            "DEL a c",
            "GET a",
            "PING",
            "PING x",
            "ECHO y",
            "CONFIG GET save",
            "COMMAND DOCS",
            "QUIT",
        ]);
        let wanted = [
            "$-1",
            "+OK",
            "$1\r\n1",
            ":2",
            ":1",
            ":3",
            ":1",
            "$-1",
            "+PONG",
            "$1\r\nx",
            "$1\r\ny",
            "*2\r\n$4\r\nsave\r\n$0",
            "*0",
            "+OK",
        ];
        assert_eq!(answers, wanted);
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn what_cannot_be_done_is_said_in_the_words_of_redis_and_changes_nothing() {
        let (answers, store) = replies(&[
            "SET a x",
            "INCR a",
            "SET a 9223372036854775807",
            "INCR a",
            "SET a 01",
            "INCR a",
            "GET",
            "SET a 1 EX 5",
            "FLY a",
        ]);
        let wanted = [
            "+OK",
            "-ERR value is not an integer or out of range",
            "+OK",
            "-ERR increment or decrement would overflow",
            "+OK",
            "-ERR value is not an integer or out of range",
            "-ERR wrong number of arguments for 'get' command",
            "-ERR syntax error",
            "-ERR unknown command 'FLY'",
        ];
        assert_eq!(answers, wanted);
        assert_eq!(store.values[&b"a"[..]], b"01");
    }

    #[test]
    fn changes_that_are_cut_or_damaged_are_refused_or_harmless() {
        let mut changes = Vec::new();
        push_change(&mut changes, b"key", Some(b"value"));
        for len in 1..changes.len() {
            assert_eq!(Store::default().replay(&changes[..len]), None, "{len}");
        }
        for place in 0..changes.len() {
            let mut damaged = changes.clone();
            damaged[place] ^= 0x80;
            // No panic, and no memory for a length that cannot be.
            let _ = Store::default().replay(&damaged);
        }
    }
}
