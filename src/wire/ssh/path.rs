//! Paths on a host, as far as they can be told without asking it.
//!
//! Job: make a path absolute and free of `.`, `..` and doubled slashes, so that what is judged and
//! what is forwarded are the same words. Boundary: lexical. Where a component is a symbolic link, the
//! host goes where the link points, and nothing here can know that. Failure mode: [`PathError`].

use std::fmt::Write as _;

use bytes::Bytes;
use thiserror::Error;

/// An absolute path without `.`, `..`, doubled slashes, trailing slashes and NUL. It need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RemotePath(Bytes);

impl RemotePath {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self(Bytes::from_static(b"/"))
    }

    /// Reads an absolute path.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn absolute(path: &[u8]) -> Result<Self, PathError> {
        if path.first() != Some(&b'/') {
            return Err(PathError::Relative);
        }
        Self::root().resolve(path)
    }

    /// What a path means when this is the current directory. An empty path means this directory.
    ///
    /// # Errors
    /// [`PathError::Nul`], [`PathError::TooLong`].
    pub fn resolve(&self, path: &[u8]) -> Result<Self, PathError> {
        check(path)?;
        let base: &[u8] = if path.first() == Some(&b'/') { b"" } else { &self.0 };
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in base.split(|byte| *byte == b'/').chain(path.split(|byte| *byte == b'/')) {
            match part {
                b"" | b"." => {}
                // above the root is the root, as the kernel has it
                b".." => drop(parts.pop()),
                _ => parts.push(part),
            }
        }
        let mut whole = Vec::with_capacity(base.len() + path.len() + 1);
        for part in parts {
            whole.push(b'/');
            whole.extend_from_slice(part);
        }
        if whole.is_empty() {
            return Ok(Self::root());
        }
        check(&whole)?;
        Ok(Self(whole.into()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The last component; the root has none.
    #[must_use]
    pub fn name(&self) -> Option<&[u8]> {
        self.0.rsplit(|byte| *byte == b'/').next().filter(|name| !name.is_empty())
    }

    /// The directory that holds it; the root's is the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        let end = self.0.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
        if end == 0 { Self::root() } else { Self(self.0.slice(..end)) }
    }

    /// Whether the other lies below this.
    #[must_use]
    pub fn is_above(&self, other: &Self) -> bool {
        let own: &[u8] = if self.0.len() == 1 { b"" } else { &self.0 };
        other.0.len() > 1 && other.0.strip_prefix(own).is_some_and(|rest| rest.first() == Some(&b'/'))
    }

    /// The path for policies, records and people: see [`shown`].
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.0)
    }
}

/// Text of bytes that need not be UTF-8, without control characters, and so that different bytes are
/// different texts: a backslash is doubled, what is not a printable character is `\xHH`.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                text.push_str("\\\\");
            } else if c.is_control() {
                let mut encoded = [0; 4];
                escape(&mut text, c.encode_utf8(&mut encoded).as_bytes());
            } else {
                text.push(c);
            }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}

fn escape(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // writing to a string does not fail
        let _ = write!(text, "\\x{byte:02x}");
    }
}

/// What a symbolic link is to hold, so that it leads where it was judged to lead: a relative target
/// stays relative, and `..` is left only at its front.
///
/// # Errors
/// [`PathError`]; an empty target is [`PathError::Relative`].
pub fn link_target(target: &[u8]) -> Result<Bytes, PathError> {
    if target.first() == Some(&b'/') {
        return RemotePath::absolute(target).map(|path| path.0);
    }
    check(target)?;
    if target.is_empty() {
        return Err(PathError::Relative);
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    Ok(if parts.is_empty() { Bytes::from_static(b".") } else { parts.join(&b'/').into() })
}

fn check(path: &[u8]) -> Result<(), PathError> {
    if path.contains(&0) {
        Err(PathError::Nul)
    } else if path.len() > LONGEST {
        Err(PathError::TooLong)
    } else {
        Ok(())
    }
}

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathError {
    /// It holds a NUL.
    #[error("the path holds a NUL")]
    Nul,
    /// It is relative, and what to is not known.
    #[error("the path is relative, and the directory to start from is not known")]
    Relative,
    /// It is longer than any kernel takes.
    #[error("the path is longer than {LONGEST} bytes")]
    TooLong,
}

/// Linux's `PATH_MAX`.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dot_dot_never_climbs_out_of_what_was_judged() {
        let home = RemotePath::absolute(b"/home/deploy").unwrap();
        for (path, expected) in [
            ("", "/home/deploy"),
            (".", "/home/deploy"),
            ("a//b/./c/", "/home/deploy/a/b/c"),
            ("../../../../etc/shadow", "/etc/shadow"),
            ("/srv/../etc/./shadow", "/etc/shadow"),
            ("//etc", "/etc"),
            ("/..", "/"),
            ("..a/...", "/home/deploy/..a/..."),
        ] {
            assert_eq!(home.resolve(path.as_bytes()).unwrap().shown(), expected, "{path}");
        }
        assert_eq!(home.resolve(b"a\0b"), Err(PathError::Nul));
        assert_eq!(home.resolve(&[b'a'; 5000]), Err(PathError::TooLong));
        assert_eq!(RemotePath::absolute(b"a"), Err(PathError::Relative));
    }

    #[test]
    fn what_is_not_text_is_shown_without_loss() {
        assert_eq!(shown(b"/a\xffb"), "/a\\xffb");
        assert_eq!(shown(b"/a\\xffb"), "/a\\\\xffb");
        assert_eq!(shown("/é\n\u{9b}".as_bytes()), "/é\\x0a\\xc2\\x9b");
    }

    #[test]
    fn a_links_target_leads_where_it_was_judged_to_lead() {
        assert_eq!(link_target(b"a/../../b").unwrap(), &b"../b"[..]);
        assert_eq!(link_target(b"../../b//c/.").unwrap(), &b"../../b/c"[..]);
        assert_eq!(link_target(b"a/..").unwrap(), &b"."[..]);
        assert_eq!(link_target(b"/a/../b").unwrap(), &b"/b"[..]);
        assert_eq!(link_target(b""), Err(PathError::Relative));
    }

    #[test]
    fn above_and_below() {
        let path = |text: &str| RemotePath::absolute(text.as_bytes()).unwrap();
        assert!(path("/").is_above(&path("/a")));
        assert!(path("/a").is_above(&path("/a/b")));
        assert!(!path("/a").is_above(&path("/ab")));
        assert!(!path("/a").is_above(&path("/a")));
        assert!(!path("/").is_above(&path("/")));
        assert_eq!(path("/a/b").parent(), path("/a"));
        assert_eq!(path("/a").parent(), path("/"));
        assert_eq!(path("/a/b").name(), Some(&b"b"[..]));
        assert_eq!(path("/").name(), None);
    }

    proptest! {
        #[test]
        fn what_is_normal_stays(base in "(/[a.]{1,3}){0,3}/", path in "[a./]{0,12}") {
            let base = RemotePath::absolute(base.as_bytes()).unwrap();
            let once = base.resolve(path.as_bytes()).unwrap();
            prop_assert_eq!(&RemotePath::absolute(once.as_bytes()).unwrap(), &once);
            let text = once.shown();
            prop_assert!(text.starts_with('/'));
            prop_assert!(!text.split('/').any(|part| part == "." || part == ".."));
        }

        #[test]
        fn a_link_leads_to_the_same_place_as_its_normal_form(target in "[a./]{1,12}") {
            let folder = RemotePath::absolute(b"/x/y/z").unwrap();
            let normal = link_target(target.as_bytes()).unwrap();
            prop_assert_eq!(folder.resolve(&normal).unwrap(), folder.resolve(target.as_bytes()).unwrap());
        }
    }
}
