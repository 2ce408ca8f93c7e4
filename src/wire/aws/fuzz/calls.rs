//! Bodies for fuzzing: each takes any bytes and must return.
//!
//! Job: reach every reader of AWS's calls and answers from one function, and check what must hold: what is sent is what was
//! judged, and how an answer is cut changes nothing. Boundary: not part of the library's interface. Failure mode: a panic is a bug.

use std::num::NonZeroU32;

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::item::{ItemStep, Reach};
use crate::wire::aws::call::{Head, needs_body, read};
use crate::wire::aws::listing::{Listing, ListingError};
use crate::wire::aws::protected::Protection;
use crate::wire::aws::{cap, protected};

/// A call, and an answer to it: `SERVICE METHOD TARGET`, headers, an empty line, a body.
///
/// # Panics
/// When what is sent on is another call than what was judged, or a cut changes what comes out.
pub fn all(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (top, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = top.lines();
    let mut words = lines.next().unwrap_or_default().splitn(3, ' ');
    let (Some(service), Some(method), Some(target)) = (words.next(), words.next(), words.next()) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        {
            headers.append(name, value);
        }
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let head = Head { method, path, query, headers: &headers };
    let needed =
        needs_body(service, &head).map(|most| body.as_bytes().get(..most).unwrap_or(body.as_bytes()));
    let Ok(mut call) = read(service, &head, needed, "eu-west-1") else { return };

    // what a presigned URL carried goes as headers, and its signature not at all
    let mut sent = headers.clone();
    for (name, value) in &call.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        {
            sent.insert(name, value);
        }
    }
    let query = call.query.to_string();
    let again = Head {
        method,
        path: &call.path,
        query: Some(&query).filter(|query| !query.is_empty()).map(String::as_str),
        headers: &sent,
    };
    let again = read(service, &again, needed, "eu-west-1").map(|mut again| {
        again.facts.presigned = call.facts.presigned;
        (again.facts, again.detail)
    });
    assert!(
        again.as_ref() == Ok(&(call.facts.clone(), call.detail.clone())),
        "what is sent is another call: {again:?}"
    );

    let on = [vec!["bkt/a*".to_owned()], Vec::new()];
    for on in &on {
        if protected::meets(&call, on) {
            let reach = |path: &[ItemStep]| if path.len() > 1 { Reach::Within } else { Reach::Above };
            let protection = Protection { reach: &reach, shifts: &|list| list.len() > 1 };
            drop(protected::check(&call, &[on], protection));
        }
    }
    if let Ok(Some(lowered)) = cap::lower(&mut call, NonZeroU32::MIN, needed) {
        let again = read(service, &head, Some(&lowered), "eu-west-1").map(|call| call.facts.limit);
        assert!(again == Ok(Some(1)), "a lowered call asks for {again:?}");
    }
    for blind in [false, true] {
        let listed = |size| Some(list(Listing::new(&call, blind)?, body.as_bytes().chunks(size)));
        let whole = listed(body.len().max(1));
        assert!(listed(1) == whole && listed(5) == whole, "a cut changes a listing");
    }
}

fn list<'a>(
    mut listing: Listing,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<(u64, BytesMut), ListingError> {
    let mut out = BytesMut::new();
    for piece in pieces {
        listing.feed(piece, &mut out)?;
    }
    let entries = listing.entries();
    listing.finish()?;
    Ok((entries, out))
}
