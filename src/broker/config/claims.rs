//! What a claim of a workload must be.
//!
//! Job: the values of `claims` in `[[workload.rule]]`, with `*` in them. Boundary: pure text; which claims
//! there are is a matter of the issuer. Failure mode: what is not written as a value should be is a fault of
//! the configuration; what does not match is no match.
//!
//! A `*` stands for one or more of the letters and digits of ASCII, `.`, `_` and `-`, and for nothing else.
//! Whatever joins the parts of a claim (`/` `:` `@` `%` `=` `,` `|`, a space) is thus always written out, and
//! no value reaches into a part that the rule does not speak of: `repo:acme/*:ref:refs/heads/main` is one
//! repository of one owner, and `refs/heads/release-*` is no branch `release-1/evil`. Case counts. What is
//! written without `*` must be the whole value.

use serde_json::{Number, Value};

/// What a claim must be: any one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRule {
    any: Vec<ClaimPattern>,
}

/// One value, or all of one form.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ClaimPattern {
    /// What stands before, between and behind the stars: one more than there are stars.
    literals: Vec<String>,
}

impl ClaimRule {
    /// Reads the alternatives of one claim.
    ///
    /// # Errors
    /// A sentence without its subject.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let any: Vec<ClaimPattern> = texts.into_iter().map(ClaimPattern::new).collect::<Result<_, _>>()?;
        if any.is_empty() { Err("names no value".into()) } else { Ok(Self { any }) }
    }

    /// Whether a claim is so. Lists and tables never are, nor is what is not there: a list that has the value
    /// among others says something else.
    #[must_use]
    pub fn admits(&self, claim: Option<&Value>) -> bool {
        let any = |holds: &dyn Fn(&ClaimPattern) -> bool| self.any.iter().any(holds);
        match claim {
            Some(Value::String(text)) => any(&|pattern| pattern.matches(text)),
            Some(Value::Bool(truth)) => any(&|pattern| pattern.exact().map(str::parse) == Some(Ok(*truth))),
            Some(Value::Number(number)) => any(&|pattern| {
                let wanted = pattern.exact().and_then(|text| serde_json::from_str::<Number>(text).ok());
                wanted.as_ref() == Some(number)
            }),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => false,
        }
    }

    /// Whether every alternative begins so that whoever it names is written out: it is one value, or its text
    /// before the first `*` holds for `pins`.
    pub(super) fn is_pinned(&self, pins: impl Fn(&str, bool) -> bool) -> bool {
        self.any.iter().all(|pattern| {
            let before = pattern.literals.first().map(String::as_str).unwrap_or_default();
            pins(before, pattern.exact().is_some())
        })
    }
}

impl ClaimPattern {
    fn new(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("is empty".into()),
            "*" => Err("must not be `*` alone: it would say nothing".into()),
            text if text.contains("**") => Err(format!("`{text}` has two `*` side by side")),
            text if text.len() > MAX_PATTERN => Err(format!("is longer than {MAX_PATTERN} bytes")),
            text => Ok(Self { literals: text.split('*').map(str::to_owned).collect() }),
        }
    }

    /// The one value, if it is one.
    fn exact(&self) -> Option<&str> {
        match self.literals.as_slice() {
            [whole] => Some(whole),
            _ => None,
        }
    }

    fn matches(&self, text: &str) -> bool {
        if let Some(whole) = self.exact() {
            return whole == text;
        }
        if text.len() > MAX_VALUE {
            return false;
        }
        let text = text.as_bytes();
        // where the part that was looked at so far can end
        let mut ends = vec![false; text.len() + 1];
        for (n, literal) in self.literals.iter().enumerate() {
            if n == 0 {
                ends = vec![true];
                ends.resize(text.len() + 1, false);
            } else {
                ends = after_star(&ends, text);
            }
            ends = after_literal(&ends, text, literal.as_bytes());
        }
        ends.last().copied().unwrap_or(false)
    }
}

/// Where one or more of the characters that `*` stands for can end.
fn after_star(ends: &[bool], text: &[u8]) -> Vec<bool> {
    let mut within = false;
    let steps = ends.iter().zip(text).map(|(end, byte)| {
        within = (within || *end) && is_starred(*byte);
        within
    });
    std::iter::once(false).chain(steps).collect()
}

/// Where a literal can end.
fn after_literal(ends: &[bool], text: &[u8], literal: &[u8]) -> Vec<bool> {
    let mut after = vec![false; literal.len().min(text.len())];
    let begins = ends.iter().enumerate();
    after
        .extend(begins.map(|(at, end)| *end && text.get(at..).is_some_and(|rest| rest.starts_with(literal))));
    after.truncate(text.len() + 1);
    after
}

fn is_starred(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

const MAX_PATTERN: usize = 512;
const MAX_VALUE: usize = 2048;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;

    fn admits(pattern: &str, value: &str) -> bool {
        ClaimRule::new([pattern]).unwrap().admits(Some(&json!(value)))
    }

    #[test]
    fn a_star_stays_within_its_part() {
        let owner = "repo:acme/*:ref:refs/heads/main";
        assert!(admits(owner, "repo:acme/app:ref:refs/heads/main"));
        assert!(admits(owner, "repo:acme/app.js-2_x:ref:refs/heads/main"));
        for evil in [
            "repo:acme/app:environment:x:ref:refs/heads/main",
            "repo:acme/a/b:ref:refs/heads/main",
            "repo:acme/:ref:refs/heads/main",
            "repo:acme-evil/app:ref:refs/heads/main",
            "repo:acme/app:ref:refs/heads/main2",
            "repo:acme/app:ref:refs/heads/main/x",
            "repo:acme/app:pull_request",
            "REPO:acme/app:ref:refs/heads/main",
            "repo:Acme/app:ref:refs/heads/main",
            "xrepo:acme/app:ref:refs/heads/main",
            "repo:acme/app@7:ref:refs/heads/main",
            "repo:acme/app%3Aref:ref:refs/heads/main",
            "repo:acme/app :ref:refs/heads/main",
            "repo:acme/\u{430}pp:ref:refs/heads/main",
            "repo:acme/app\n:ref:refs/heads/main",
        ] {
            assert!(!admits(owner, evil), "{evil}");
        }
        assert!(admits("refs/heads/release-*", "refs/heads/release-1.2"));
        for evil in
            ["refs/heads/release-", "refs/heads/release-1/evil", "refs/tags/release-1", "refs/heads/release"]
        {
            assert!(!admits("refs/heads/release-*", evil), "{evil}");
        }
    }

    #[test]
    fn several_stars_find_their_places() {
        assert!(admits("repo:acme@*/app@*:*", "repo:acme@12/app@34:pull_request"));
        assert!(!admits("repo:acme@*/app@*:*", "repo:acme@12/app@34:ref:refs/heads/main"));
        assert!(admits("*-a-*", "x-a-a-y"));
        assert!(!admits("*-a-*", "-a-a"));
        assert!(admits("a*a", "aba") && !admits("a*a", "aa") && !admits("a*a", "a"));
    }

    /// Whoever can choose a claim's value cannot choose what it is compared with.
    #[test]
    fn stars_in_a_claim_are_letters_that_match_nothing() {
        assert!(!admits("acme/app", "*") && !admits("acme/app", "acme/*"));
        assert!(!admits("acme/*", "acme/*") && !admits("acme/*", "acme/**"));
    }

    #[test]
    fn only_plain_values_match() {
        let rule = |text: &str| ClaimRule::new([text]).unwrap();
        let main = rule("main");
        for other in [json!(["main"]), json!({"main": true}), json!(null), json!(" main"), json!("main ")] {
            assert!(!main.admits(Some(&other)), "{other}");
        }
        assert!(!main.admits(None) && !rule("null").admits(Some(&json!(null))));
        assert!(rule("7").admits(Some(&json!(7))) && rule("7").admits(Some(&json!("7"))));
        assert!(rule("true").admits(Some(&json!(true))) && !rule("true").admits(Some(&json!(1))));
        for pattern in ["7*", "*7", "t*"] {
            assert!(!rule(pattern).admits(Some(&json!(77))) && !rule(pattern).admits(Some(&json!(true))));
        }
    }

    #[test]
    fn any_alternative_will_do() {
        let rule = ClaimRule::new(["refs/heads/main", "refs/heads/release-*"]).unwrap();
        for good in ["refs/heads/main", "refs/heads/release-3"] {
            assert!(rule.admits(Some(&json!(good))));
        }
        assert!(!rule.admits(Some(&json!("refs/heads/main refs/heads/release-3"))));
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for wrong in ["", "*", "a**b"] {
            assert!(ClaimRule::new([wrong]).is_err(), "{wrong}");
        }
        assert!(ClaimRule::new([]).is_err());
    }

    #[test]
    fn a_long_value_costs_little() {
        let value = "a".repeat(2048);
        assert!(!admits(&"*a".repeat(256), &format!("{value}/")));
        assert!(admits(&"*a".repeat(256), &value));
    }
}
