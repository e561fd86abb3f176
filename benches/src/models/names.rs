//! The names of files in the targets of requests. They never lead out of the folder that is served.

/// What a target names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// A file, relative to the folder.
    Inside(String),
    /// Nothing that is served.
    Outside,
}

const OF_A_FOLDER: &str = "index.html";

/// Nothing if it is no target of a `GET`.
pub(crate) fn of_target(target: &str) -> Option<Name> {
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let path = if target.starts_with('/') {
        target
    } else {
        // The absolute form, which proxies use.
        let scheme = target.find("://").filter(|place| {
            let scheme = &target[..*place];
            scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
        })?;
        let rest = &target[scheme + "://".len()..];
        rest.find(['/', '?']).map_or("", |place| &rest[place..])
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let bytes = decoded(path)?;
    if bytes.contains(&0) {
        return None;
    }
    let Ok(path) = String::from_utf8(bytes) else {
        return Some(Name::Outside);
    };
    Some(inside(&path))
}

/// With each `%41` the byte that it stands for.
fn decoded(path: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

fn inside(path: &str) -> Name {
    let mut name = String::with_capacity(path.len() + OF_A_FOLDER.len());
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return Name::Outside,
            part => {
                if !name.is_empty() {
                    name.push('/');
                }
                name.push_str(part);
            }
        }
    }
    if name.is_empty() || path.ends_with('/') {
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(OF_A_FOLDER);
    }
    Name::Inside(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_names_a_file_under_the_folder() {
        for (target, name) in [
            ("/", "index.html"),
            ("/a", "a"),
            ("/a/b.txt?x=/../y#z", "a/b.txt"),
            ("//a/./b//", "a/b/index.html"),
            ("/%61%2Fb%20c", "a/b c"),
            ("http://somewhere:80/a", "a"),
            ("HTTPS://somewhere", "index.html"),
            ("http://somewhere?a", "index.html"),
            ("/..a/b..", "..a/b.."),
        ] {
            let expected = Some(Name::Inside(name.to_owned()));
            assert_eq!(of_target(target), expected, "{target}");
        }
    }

    #[test]
    fn no_target_leads_out_of_the_folder() {
        for target in [
            "/..",
            "/../etc/passwd",
            "/a/../../b",
            "/%2e%2e/a",
            "/a%2f..%2f..%2fb",
            "/%2E./",
            "/%ff",
        ] {
            assert_eq!(of_target(target), Some(Name::Outside), "{target}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for target in [
            "",
            "a",
            "*",
            "ftp://a/b",
            "/%",
            "/%4",
            "/%zz",
            "/a%00",
            "/ä",
            "/%+1",
        ] {
            assert_eq!(of_target(target), None, "{target}");
        }
    }
}
