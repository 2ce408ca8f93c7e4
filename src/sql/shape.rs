//! The shape of a statement: what a standing decision goes by.
//!
//! Job: the tree of resolved SQL with every literal a blank of its kind, as a digest, and a digest of each
//! literal. Boundary: the digests are keyed by the caller, because the digest of a short literal says what
//! it is. Failure mode: no shape, and so no standing decision.

use super::tree;
use crate::domain::approval::{Literal, Shape};
use crate::domain::name::Digest;

/// The shape of resolved statements: every name in them says which thing it means, wherever it is read.
/// `digest` is a keyed digest; a literal is shown only where `shown`.
#[must_use]
pub fn shape(resolved: &str, shown: Literals, digest: &dyn Fn(&[&[u8]]) -> Digest) -> Option<Shape> {
    let parsed = pg_query::parse(resolved, 0).ok()?;
    let (tree, blanks) = tree::blanked(&parsed.protobuf.stmts)?;
    if blanks.len() > LITERALS {
        return None;
    }
    let literals = blanks.iter().map(|blank| Literal {
        shown: match shown {
            Literals::Hidden => "\u{2026}".into(),
            Literals::Shown => blank.value.clone(),
        },
        digest: digest(&[b"literal", blank.kind.as_bytes(), blank.value.as_bytes()]),
    });
    Some(Shape { tree: digest(&[b"tree", &tree]), literals: literals.collect() })
}

/// Whether reviewers may see literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Literals {
    /// They may stand for protected values.
    Hidden,
    /// They are as the client wrote them.
    Shown,
}

/// More of them are nobody's to look through.
const LITERALS: usize = 1000;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::collections::BTreeSet;

    use sha2::{Digest as _, Sha256};

    use super::*;

    fn of(text: &str) -> Shape {
        let digest = |parts: &[&[u8]]| {
            let mut hash = Sha256::new();
            for part in parts {
                hash.update(part.len().to_be_bytes());
                hash.update(part);
            }
            Digest::from_bytes(&hash.finalize().into())
        };
        shape(text, Literals::Shown, &digest).unwrap()
    }

    fn fingerprint(text: &str) -> String {
        pg_query::fingerprint(text, 0, pg_query::FingerprintOptions::default()).unwrap().hex
    }

    /// What made libpg_query's fingerprint unfit: it is the same for both of each pair.
    #[test]
    fn what_the_parsers_fingerprint_mixes_up_is_told_apart() {
        let (users, salaries) = ("SELECT * FROM public.users u", "SELECT * FROM secret.salaries u");
        assert_eq!(fingerprint(users), fingerprint(salaries));
        assert!(!of(users).covers(&BTreeSet::new(), &of(salaries)));

        let (one, other) = ("SELECT pg_catalog.pg_read_file('/a')", "SELECT pg_catalog.pg_read_file('/b')");
        assert_eq!(fingerprint(one), fingerprint(other));
        assert!(!of(one).covers(&BTreeSet::new(), &of(other)));
        assert!(of(one).covers(&BTreeSet::from([0]), &of(other)));
    }

    #[test]
    fn only_the_literals_that_are_free_may_differ() {
        let reviewed = of("UPDATE s.t SET a = 'x' WHERE id = 7 AND b = 1.5");
        let shown: Vec<&str> = reviewed.literals.iter().map(|literal| literal.shown.as_str()).collect();
        assert_eq!(shown, ["x", "7", "1.5"]);
        let free = BTreeSet::from([1]);
        for (text, covered) in [
            ("UPDATE s.t SET a = 'x' WHERE id = 7 AND b = 1.5", true),
            ("update s.t set a='x' where id=99999999999 and b=1.5 -- later", true),
            ("UPDATE s.t SET a = 'y' WHERE id = 7 AND b = 1.5", false),
            ("UPDATE s.t SET a = 'x' WHERE id = NULL AND b = 1.5", false),
            ("UPDATE s.t SET a = 'x' WHERE id = '7' AND b = 1.5", false),
            ("UPDATE s.t SET a = 'x' WHERE id = 7 OR b = 1.5", false),
            ("UPDATE s.t SET a = 'x' WHERE id > 7 AND b = 1.5", false),
            ("UPDATE s.u SET a = 'x' WHERE id = 7 AND b = 1.5", false),
            ("UPDATE s.t SET a = 'x' WHERE id = 7 AND b = 1.5 RETURNING a", false),
            ("UPDATE s.t SET a = 'x' WHERE id = 7 AND b = 1.5; SELECT 1", false),
        ] {
            assert_eq!(reviewed.covers(&free, &of(text)), covered, "{text}");
        }
    }
}
