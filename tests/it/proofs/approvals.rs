//! What of requests, reviews and grants is part of one session's story.

use hoopctl::domain::approval::{Standing, SubjectText, What as Matter};
use hoopctl::domain::event::{Event, What};
use hoopctl::domain::name::SessionId;
use hoopctl::wire::review::Claims;

use super::story::{closed, lines, opened, place, proof, sealed, verify};
use crate::reviews::extensions::longer;
use crate::reviews::{approved, by, claims, deed, enrolled, filed, given, id, session, sessions};

/// The same statement as a request of this session.
fn asked(second: i64, request: u8, of: &SessionId) -> (SubjectText, Event) {
    let mut subject = deed(request, 7).subject().clone();
    let Matter::Deed(deed) = &mut subject.what else { panic!("a statement") };
    deed.session = of.clone();
    let subject = SubjectText::write(subject).expect("short enough");
    let mut event = filed(second, request, &subject, "corp/dba:1");
    let What::RequestFiled { session, .. } = &mut event.what else { panic!("a request") };
    *session = Some(of.clone());
    (subject, event)
}

fn released(second: i64, request: u8, session: &SessionId) -> Event {
    by("alice", second, What::RequestReleased { request: id(request), session: session.clone() })
}

/// The statement of the other session is in the proof, since it is what was approved; nothing else of it is.
#[test]
fn a_standing_decision_brings_the_request_that_it_was_made_for() {
    let (first, second, strange) = (session(9), session(1), session(5));
    let ((subject, filed_first), (_, filed_second)) = (asked(11, 1, &first), asked(101, 3, &second));
    let (other, filed_other) = asked(12, 4, &strange);
    let stands =
        Claims { standing: Some(Standing { free: [0].into(), seconds: 3600 }), ..claims("bob", 1, &subject) };
    let answered = What::RequestAnswered { request: id(3), rule: None, standing: Some(id(1)) };
    let events = vec![
        enrolled("alice"),
        enrolled("bob"),
        enrolled("carol"),
        by("alice", 10, opened(&first)),
        filed_first,
        filed_other,
        approved(13, "carol", &["corp/dba"], 4, &other),
        given(20, "bob", &["corp/dba"], &stands),
        released(21, 1, &first),
        by("alice", 22, closed(&first, 0, 0)),
        by("alice", 100, opened(&second)),
        filed_second,
        by("alice", 101, answered),
        released(102, 3, &second),
        by("alice", 103, closed(&second, 0, 0)),
        by("bob", 104, What::StandingRevoked { request: id(1), reason: "enough".into() }),
    ];
    let file = lines(&proof(&events, &second));
    let shown = verify(&sealed(&file)).expect("it is good");
    // the header, bob, two of the first request, and five of the session
    assert_eq!((file.len(), shown.story.reviews, shown.story.standing), (9, 1, 1));
    let text = file.concat();
    for of_others in [strange.as_str(), id(4).as_str(), "carol", "standing-revoked"] {
        assert!(!text.contains(of_others), "{of_others}: {text}");
    }
    for kind in ["review-given", "request-filed"] {
        let mut left = file.clone();
        left.remove(place(&left, kind));
        verify(&sealed(&left)).expect_err("nothing stands");
    }
}

/// A grant that was made longer: the request and the review of that as well, as far as it came before the end.
#[test]
fn a_grant_comes_with_what_made_it_longer() {
    let mut events = longer();
    let used = events.pop().expect("the second use");
    let at = used.at;
    let mine = session(2);
    let mut opened = by("alice", 0, opened(&mine));
    let mut closed = by("alice", 0, closed(&mine, 0, 0));
    (opened.at, closed.at) = (at, at);
    let revoked = What::GrantRevoked { grant: grant_of(&used), reason: "later".into() };
    let mut revoked = by("bob", 0, revoked);
    revoked.at = at;
    let wish = sessions(7);
    let unrelated = [filed(60, 7, &wish, "corp/dba:1"), approved(61, "bob", &["corp/dba"], 7, &wish)];
    events.extend(unrelated);
    events.extend([opened, used, closed, revoked]);
    let file = lines(&proof(&events, &mine));
    let shown = verify(&sealed(&file)).expect("it is good");
    // the header, bob, three of each request, and three of the session; not the use by session 1
    assert_eq!((file.len(), shown.story.reviews), (11, 2));
    let text = file.concat();
    assert!(!text.contains(session(1).as_str()) && !text.contains(id(7).as_str()), "{text}");
    let mut left = file;
    left.remove(place(&left, "grant-extended"));
    let said = verify(&sealed(&left)).expect_err("it was over").to_string();
    assert!(said.contains("was used outside its time"), "{said}");
}

fn grant_of(used: &Event) -> hoopctl::domain::name::GrantId {
    let What::GrantUsed { grant, .. } = &used.what else { panic!("a use") };
    grant.clone()
}
