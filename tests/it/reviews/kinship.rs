//! One person counts once, and never for their own request, under whatever name.

use super::*;

use hoopctl::domain::approval::Marks;
use hoopctl::domain::principal::{Kin, Person};

/// The entry of a request or a review, as a broker writes it of somebody with these kin.
fn known(mut event: Event, kin: Kin) -> Event {
    let person = Person { id: event.actor.as_ref().expect("somebody").principal.clone(), kin };
    match &mut event.what {
        What::RequestFiled { request, kin, .. } | What::ReviewGiven { request, kin, .. } => {
            *kin = Marks::beside(request, &person);
        }
        other => panic!("{other:?}"),
    }
    event
}

fn mail(address: &str) -> Kin {
    Kin { email: Some(address.into()), ..Kin::default() }
}

fn owned_by(subject: &str) -> Kin {
    Kin { owner: Some(who(subject)), ..Kin::default() }
}

/// A statement of alice's that takes two people, approved by bob and by somebody else.
fn two_approve(of_alice: Kin, of_bob: Kin, other: &str, of_other: Kin) -> Vec<Event> {
    let statement = deed(1, 7);
    vec![
        enrolled("alice"),
        enrolled("bob"),
        enrolled(other),
        known(filed(10, 1, &statement, "corp/dba:2"), of_alice),
        known(approved(20, "bob", &["corp/dba"], 1, &statement), of_bob),
        known(approved(30, other, &["corp/dba"], 1, &statement), of_other),
        released(31, 1),
    ]
}

#[track_caller]
fn found_in(events: &[Event], at: u64, what: &str) {
    let (index, reason) = broken(events);
    assert_eq!((index, reason.contains(what)), (at, true), "{index}: {reason}");
}

#[test]
fn two_people_are_two() {
    let events = two_approve(mail("a@x.example"), mail("b@x.example"), "carol", mail("c@x.example"));
    assert_eq!(verify(&events).expect("it holds").reviews, 2);
}

#[test]
fn a_second_identity_of_a_reviewer_counts_once() {
    let few = "without the reviews that it takes: corp/dba:2";
    found_in(&two_approve(Kin::default(), mail("b@x.example"), "bob-admin", mail("b@x.example")), 6, few);
    found_in(&two_approve(Kin::default(), Kin::default(), "robot", owned_by("bob")), 6, few);
    let by_owners_address = Kin { owner_email: Some("b@x.example".into()), ..owned_by("dave") };
    found_in(&two_approve(Kin::default(), mail("b@x.example"), "robot", by_owners_address), 6, few);
}

#[test]
fn one_person_under_two_names_fills_either_place_and_not_both() {
    let statement = deed(1, 7);
    let events = |threshold: &str| {
        vec![
            enrolled("bob"),
            enrolled("bob-admin"),
            filed(10, 1, &statement, threshold),
            known(approved(20, "bob", &["corp/dba"], 1, &statement), mail("b@x.example")),
            known(approved(20, "bob-admin", &["corp/oncall"], 1, &statement), mail("b@x.example")),
            released(31, 1),
        ]
    };
    verify(&events("corp/dba:1")).expect("it holds");
    verify(&events("corp/oncall:1")).expect("it holds");
    found_in(&events("corp/dba:1, corp/oncall:1"), 5, "without the reviews");
}

#[test]
fn a_review_by_another_identity_of_the_requester_is_found() {
    let own = "by the one who asked";
    found_in(&two_approve(mail("a@x.example"), mail("b@x.example"), "twin", mail("a@x.example")), 5, own);
    found_in(&two_approve(Kin::default(), Kin::default(), "robot", owned_by("alice")), 5, own);
    // and the other way round: whoever owns the machine that asks
    found_in(&two_approve(owned_by("bob"), Kin::default(), "carol", Kin::default()), 4, own);
}

/// Entries of older brokers say nothing beside.
#[test]
fn who_is_told_by_name_alone_is_still_one() {
    found_in(&two_approve(Kin::default(), Kin::default(), "bob", Kin::default()), 6, "without the reviews");
}

#[test]
fn whoever_lost_a_device_may_approve_again_from_another() {
    let statement = deed(1, 7);
    let again = by(
        "bob",
        60,
        What::ReviewGiven {
            request: id(1),
            decision: "approve".into(),
            groups: vec!["corp/dba".into()],
            kin: Vec::new(),
            proof: sign(&key("bobs-other"), &claims("bob", 1, &statement)).expect("signed"),
        },
    );
    let events = [
        enrolled("bob"),
        by("bob", 0, What::DeviceEnrolled { device: key("bobs-other").thumbprint() }),
        enrolled("carol"),
        filed(10, 1, &statement, "corp/dba:2"),
        approved(20, "bob", &["corp/dba"], 1, &statement),
        by("bob", 30, What::DeviceRevoked { device: key("bob").thumbprint() }),
        again,
        approved(70, "carol", &["corp/dba"], 1, &statement),
        released(71, 1),
    ];
    verify(&events).expect("it holds");
    let mut without = events.to_vec();
    without.remove(6);
    found_in(&without, 7, "without the reviews");
}
