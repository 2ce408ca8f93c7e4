//! A grant lasts as long as was signed, and not longer.

use super::*;

fn grant() -> GrantId {
    GrantId::from_random([1; 16])
}

fn wish(request: u8, seconds: u64, extends: Option<GrantId>) -> SubjectText {
    subject(request, Matter::Session(SessionSubject { seconds, starts: None, once: false, extends }))
}

fn extended(second: i64, request: u8, ends: i64) -> Event {
    by("bob", second, What::GrantExtended { grant: grant(), request: id(request), ends: time(ends) })
}

const END: i64 = 21 + 3600;
const ASKED: usize = 6;
const REVIEW: usize = 7;
const EXTENDED: usize = 8;
const USED: usize = 9;

/// A grant of an hour that was made a quarter of an hour longer, and was used in it.
pub(crate) fn longer() -> Vec<Event> {
    let (first, more) = (wish(2, 3600, None), wish(3, 900, Some(grant())));
    let mut issued = issued(21, 2);
    let What::GrantIssued { once, .. } = &mut issued.what else { panic!("a grant") };
    *once = false;
    vec![
        enrolled("alice"),
        enrolled("bob"),
        filed(10, 2, &first, "corp/dba:1"),
        approved(20, "bob", &["corp/dba"], 2, &first),
        issued,
        used(30, 1),
        filed(40, 3, &more, "corp/dba:1"),
        approved(50, "bob", &["corp/dba"], 3, &more),
        extended(51, 3, END + 900),
        used(END + 800, 2),
    ]
}

#[track_caller]
fn found(at: usize, what: &str, change: impl FnOnce(&mut Vec<Event>)) {
    let mut events = longer();
    change(&mut events);
    let (index, reason) = broken(&events);
    assert_eq!((index, reason.contains(what)), (at as u64, true), "{index}: {reason}");
}

#[test]
fn an_honest_extension_holds_also_when_it_was_entered_twice_around_a_restart() {
    verify(&longer()).expect("it holds");
    let mut again = longer();
    again.insert(USED, extended(60, 3, END + 900));
    verify(&again).expect("it holds");
}

#[test]
fn a_use_beyond_the_end_that_was_told_is_found() {
    // an extension that took effect and was never entered
    found(EXTENDED, "was used outside its time", |events| drop(events.remove(EXTENDED)));
    found(USED, "was used outside its time", |events| events[USED] = used(END + 906, 2));
}

#[test]
fn an_extension_that_gives_more_than_was_signed_is_found() {
    found(EXTENDED, "another time", |events| events[EXTENDED] = extended(51, 3, END + 901));
    found(EXTENDED - 1, "without the reviews", |events| drop(events.remove(REVIEW)));
    found(EXTENDED, "another grant", |events| {
        let other = wish(3, 900, Some(GrantId::from_random([2; 16])));
        events[ASKED] = filed(40, 3, &other, "corp/dba:1");
        events[REVIEW] = approved(50, "bob", &["corp/dba"], 3, &other);
    });
    // the approval of a new grant is none of a longer one
    found(EXTENDED, "another grant", |events| {
        let other = wish(3, 900, None);
        events[ASKED] = filed(40, 3, &other, "corp/dba:1");
        events[REVIEW] = approved(50, "bob", &["corp/dba"], 3, &other);
    });
    found(USED, "let through twice", |events| events.insert(USED, extended(52, 3, END + 1800)));
    // nor can the approval of the grant itself be used once more
    found(USED, "let through twice", |events| events.insert(USED, extended(52, 2, END + 4500)));
}

#[test]
fn an_extension_of_what_is_over_is_found() {
    found(EXTENDED, "was made longer after its end", |events| {
        events[EXTENDED] = extended(END + 6, 3, END + 900);
    });
    found(EXTENDED + 1, "was made longer after it was revoked", |events| {
        let revoked = What::GrantRevoked { grant: grant(), reason: "revoked by hand".into() };
        events.insert(EXTENDED, by("bob", 45, revoked));
    });
}
