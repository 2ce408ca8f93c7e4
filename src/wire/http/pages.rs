//! How many things a query asks for.
//!
//! Job: the largest number that a page-size parameter names, whatever a server makes of its spelling. Boundary: which
//! parameters those are is the target's configuration and its OpenAPI document. Failure mode: a number that is not certain
//! is unknown, which rules can see; never a default that the server does not use.

use super::target::{Resource, fields};

#[cfg(test)]
mod tests;

/// How many things a query asks for: the most that a parameter of these names says, or a default where there is nothing
/// that any server could take for one of them; `None` where that is not known, as for `-1`, `0`, `1e3`, `all`.
#[must_use]
pub fn size<'a>(
    resource: &Resource,
    names: impl Iterator<Item = &'a str>,
    default: Option<i64>,
) -> Option<i64> {
    let names: Vec<String> = names.map(plain).collect();
    let mut sizes = said(resource, &names).peekable();
    if sizes.peek().is_none() {
        return default;
    }
    // `-1` and `0` are everything to some
    sizes
        .map(|value| value.parse().ok().filter(|size| *size > 0))
        .collect::<Option<Vec<i64>>>()?
        .into_iter()
        .max()
}

/// Whether a query has something that some server takes for one of these parameters.
#[must_use]
pub fn is_asked<'a>(resource: &Resource, names: impl Iterator<Item = &'a str>) -> bool {
    let names: Vec<String> = names.map(plain).collect();
    said(resource, &names).next().is_some()
}

/// Whether a path ends in a plural.
#[must_use]
pub fn is_plural(resource: &Resource) -> bool {
    let last = resource.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    last.len() > 2
        && last.ends_with(['s', 'S'])
        && last.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'))
}

/// What the parameters of these names say, whether fields are separated with `&` only or with `;` as well.
fn said<'a>(resource: &Resource, names: &'a [String]) -> impl Iterator<Item = String> + 'a {
    let query = resource.query().unwrap_or_default();
    let both = query.replace(';', "&");
    let all: Vec<_> = fields(query).chain(fields(&both)).collect();
    all.into_iter().filter(|(name, _)| names.contains(&plain(name))).map(|(_, value)| value)
}

/// A name without what frameworks differ in: case, `_`, `-`, `[]`, `.`, `$`.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
