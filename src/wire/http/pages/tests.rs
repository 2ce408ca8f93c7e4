#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::wire::http::target::PathPolicy;

/// With `limit`, `per_page` and `page[size]` as parameters, and 50 as the default.
fn asked(query: &str) -> Option<i64> {
    let resource = Resource::parse(&format!("/traces{query}"), PathPolicy::default()).unwrap();
    size(&resource, ["limit", "per_page", "page[size]"].into_iter(), Some(50))
}

#[test]
fn the_largest_page_that_is_asked_for_counts() {
    assert_eq!(asked("?limit=5"), Some(5));
    assert_eq!(asked("?limit=1&per_page=1000"), Some(1000));
    assert_eq!(asked("?page%5Bsize%5D=7"), Some(7));
    assert_eq!(asked("?page=7"), Some(50));
    assert_eq!(asked(""), Some(50));
}

/// A server may read any of these as a page of a thousand: none of them is the default.
#[test]
fn what_resembles_a_page_size_is_never_the_default() {
    for query in ["?Limit=1000", "?limit[]=1000", "?LIMIT=1000", "?perPage=1000", "?x=1;limit=1000"] {
        assert_ne!(asked(query), Some(50), "{query}");
        assert!(asked(query).is_none_or(|size| size == 1000), "{query}");
    }
    for query in
        ["?limit=-1", "?limit=0", "?limit=", "?limit", "?per_page=1e3", "?limit=all", "?limit=5&limit=x"]
    {
        assert_eq!(asked(query), None, "{query}");
    }
}

#[test]
fn collections_are_plurals_in_any_case() {
    for (path, expected) in
        [("/v1/traces", true), ("/v1/TRACES/", true), ("/traces/7", false), ("/status7s", false)]
    {
        assert_eq!(is_plural(&Resource::parse(path, PathPolicy::default()).unwrap()), expected, "{path}");
    }
}
