//! The protocol of Redis, version 2: commands in, replies out.
//! See <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

/// The most words of one command.
const WORDS_MAX: i64 = 1024;
/// The longest word, in bytes.
const WORD_LENGTH_MAX: i64 = 1 << 20;
/// The longest command in the form for people, in bytes.
const LINE_MAX: usize = 64 << 10;
/// The longest number with its kind and line end, in bytes.
const NUMBER_LINE_MAX: usize = 32;

/// The words of a command and its length; `None` if more has to come. The error is the reason, as Redis words it.
pub(crate) type Parsed<'a> = Result<Option<(Vec<&'a [u8]>, usize)>, String>;

/// The first command of `bytes`. One without words is none.
pub(crate) fn parse(bytes: &[u8]) -> Parsed<'_> {
    match bytes.first() {
        None => Ok(None),
        Some(b'*') => parse_array(bytes),
        Some(_) => parse_line(bytes),
    }
}

/// As people type it: words between spaces.
fn parse_line(bytes: &[u8]) -> Parsed<'_> {
    let end = bytes.iter().take(LINE_MAX).position(|byte| *byte == b'\n');
    let Some(end) = end else {
        return match bytes.len() < LINE_MAX {
            true => Ok(None),
            false => Err("too big inline request".into()),
        };
    };
    let words = bytes[..end].split(|byte| byte.is_ascii_whitespace());
    let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
    Ok(Some((words, end + 1)))
}

/// As programs send it: `*2\r\n$3\r\nGET\r\n$4\r\nhero\r\n`.
fn parse_array(bytes: &[u8]) -> Parsed<'_> {
    let Some((count, mut used)) = number_line(bytes, "multibulk")? else {
        return Ok(None);
    };
    if count > WORDS_MAX {
        return Err("invalid multibulk length".into());
    }
    let mut words = Vec::new();
    for _ in 0..count {
        match bytes.get(used) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(other) => return Err(format!("expected '$', got '{}'", other.escape_ascii())),
        }
        let Some((length, begin)) = number_line(&bytes[used..], "bulk")? else {
            return Ok(None);
        };
        if !(0..=WORD_LENGTH_MAX).contains(&length) {
            return Err("invalid bulk length".into());
        }
        let begin = used + begin;
        let end = begin + length as usize;
        let Some(line_end) = bytes.get(end..end + 2) else {
            return Ok(None);
        };
        if line_end != b"\r\n" {
            return Err("invalid bulk length".into());
        }
        words.push(&bytes[begin..end]);
        used = end + 2;
    }
    Ok(Some((words, used)))
}

/// The number behind the first byte, and the length of its line.
fn number_line(bytes: &[u8], kind: &str) -> Result<Option<(i64, usize)>, String> {
    let line = &bytes[..bytes.len().min(NUMBER_LINE_MAX)];
    let Some(end) = line.windows(2).position(|two| two == b"\r\n") else {
        return match line.len() < NUMBER_LINE_MAX {
            true => Ok(None),
            false => Err(format!("too big {kind} count string")),
        };
    };
    match number(&line[1..end]) {
        Some(number) => Ok(Some((number, end + 2))),
        None => Err(format!("invalid {kind} length")),
    }
}

/// A number in its one usual form: no plus sign, no zeros in front.
pub(crate) fn number(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == text).then_some(number)
}

/// A reply of one word, such as `OK`.
pub(crate) fn simple(replies: &mut Vec<u8>, word: &str) {
    line(replies, b'+', word);
}

/// A reply that says what is wrong, in one line.
pub(crate) fn error(replies: &mut Vec<u8>, reason: &str) {
    line(replies, b'-', &reason.replace(['\r', '\n'], " "));
}

/// A reply that is a number.
pub(crate) fn integer(replies: &mut Vec<u8>, number: i64) {
    line(replies, b':', &number.to_string());
}

/// The beginning of a reply of `count` parts.
pub(crate) fn array(replies: &mut Vec<u8>, count: usize) {
    line(replies, b'*', &count.to_string());
}

/// A reply, or a part of one, that is any bytes, or nothing.
pub(crate) fn bulk(replies: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else {
        return line(replies, b'$', "-1");
    };
    line(replies, b'$', &bytes.len().to_string());
    replies.extend_from_slice(bytes);
    replies.extend_from_slice(b"\r\n");
}

fn line(replies: &mut Vec<u8>, kind: u8, text: &str) {
    replies.push(kind);
    replies.extend_from_slice(text.as_bytes());
    replies.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (words, len) = parse(bytes).expect("a command").expect("a whole one");
        assert_eq!(len, bytes.len());
        words.into_iter().map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn a_command_is_taken_when_it_is_whole_and_not_before() {
        let bytes = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\n\r\n\0z\r\n";
        for len in 0..bytes.len() {
            assert_eq!(parse(&bytes[..len]), Ok(None), "{len}");
        }
        assert_eq!(
            whole(bytes),
            [b"SET".to_vec(), b"a".to_vec(), b"\r\n\0z".to_vec()]
        );
        let two = [&bytes[..], b"PING\r\n"].concat();
        assert_eq!(parse(&two).unwrap().unwrap().1, bytes.len());
    }

    #[test]
    fn a_line_for_people_is_a_command_too() {
        assert_eq!(whole(b"  GET  a \r\n"), [b"GET".to_vec(), b"a".to_vec()]);
        assert_eq!(whole(b"PING\n"), [b"PING".to_vec()]);
        for nothing in [&b"\r\n"[..], b"*0\r\n", b"*-1\r\n"] {
            assert!(whole(nothing).is_empty(), "{nothing:?}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused_as_redis_does_it() {
        let long_line = vec![b'a'; LINE_MAX];
        for (bytes, reason) in [
            (&b"*x\r\n"[..], "invalid multibulk length"),
            (b"*+1\r\n", "invalid multibulk length"),
            (b"*1025\r\n", "invalid multibulk length"),
            (b"*99999999999999999999\r\n", "invalid multibulk length"),
            (b"*1\r\nGET", "expected '$', got 'G'"),
            (b"*1\r\n\r\n", "expected '$', got '\\r'"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$1048577\r\n", "invalid bulk length"),
            (b"*1\r\n$1\r\nab\r\n", "invalid bulk length"),
            (
                b"*1\r\n$00000000000000000000000000000000",
                "too big bulk count string",
            ),
            (&long_line, "too big inline request"),
        ] {
            assert_eq!(
                parse(bytes),
                Err(reason.to_owned()),
                "{:?}",
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn replies_have_the_form_of_their_kind() {
        let mut replies = Vec::new();
        simple(&mut replies, "OK");
        error(&mut replies, "ERR a\r\nb");
        integer(&mut replies, -7);
        array(&mut replies, 2);
        bulk(&mut replies, Some(b"a\r\n"));
        bulk(&mut replies, None);
        assert_eq!(
            replies,
            b"+OK\r\n-ERR a  b\r\n:-7\r\n*2\r\n$3\r\na\r\n\r\n$-1\r\n"
        );
    }

    /// Whatever comes, there is an answer; what is taken is not more than what came; and a command that was
    /// taken is the same when more comes behind it.
    #[test]
    fn random_bytes_and_damaged_commands_are_answered_without_a_panic() {
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
        let parts: [&[u8]; 9] = [
            b"*2\r\n",
            b"$3\r\nGET\r\n",
            b"$1\r\na\r\n",
            b"\r\n",
            b"*",
            b"$",
            b"-1",
            b"99999",
            b"PING ",
        ];
        let mut taken = 0;
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..number(12) {
                match number(8) {
                    0 => bytes.push(number(256) as u8),
                    _ => bytes.extend(parts[number(parts.len())]),
                }
            }
            let Ok(Some((words, len))) = parse(&bytes) else {
                continue;
            };
            taken += 1;
            assert!((1..=bytes.len()).contains(&len), "{len} of {bytes:?}");
            let longer = [&bytes[..], b"\0*"].concat();
            assert_eq!(parse(&longer), Ok(Some((words, len))));
        }
        assert!(taken > 1000, "only {taken} were commands");
    }
}
