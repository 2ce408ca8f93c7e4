//! Single steps: who counts, and for what.

use super::*;

#[test]
fn each_person_counts_towards_one_need() {
    let life = request("corp/dba:1, corp/security:1", Purpose::Deed);
    let both = voice("alice", &["dba", "security"], Decision::Approve);
    let life = life.step(&Step::Review(both.clone()), at(0)).unwrap();
    assert_eq!(life.state, RequestState::Pending);
    // alice was put where dba was needed; who is only in dba moves her to security
    let dba = voice("dave", &["dba"], Decision::Approve);
    assert_eq!(life.clone().step(&Step::Review(dba), at(0)).unwrap().state, RequestState::Approved);
    let again = life.clone().step(&Step::Review(both), at(0));
    assert_eq!(again, Err(Misstep::Twice));
    // the same person under a second account
    let mut twin = voice("alice2", &["dba", "security"], Decision::Approve);
    twin.person.kin.owner = Some(person("alice").id);
    assert_eq!(life.clone().step(&Step::Review(twin), at(0)), Err(Misstep::Twice));
    let no = voice("bob", &["security"], Decision::Deny);
    assert_eq!(life.step(&Step::Review(no), at(0)).unwrap().state, RequestState::Denied);
}

#[test]
fn nobody_reviews_their_own_request_under_any_account() {
    let mut life = request("corp/dba:1", Purpose::Deed);
    life.requester.kin.email = Some("requester@corp.example".into());
    let review = |change: &dyn Fn(&mut Person)| {
        let mut voice = voice("other", &["dba"], Decision::Approve);
        change(&mut voice.person);
        life.clone().step(&Step::Review(voice), at(0)).map(|life| life.state)
    };
    assert_eq!(review(&|_| {}), Ok(RequestState::Approved));
    assert_eq!(review(&|who| *who = person("requester")), Err(Misstep::Own));
    assert_eq!(review(&|who| who.kin.email = Some("requester@corp.example".into())), Err(Misstep::Own));
    // a workload that the requester owns
    assert_eq!(review(&|who| who.kin.owner = Some(person("requester").id)), Err(Misstep::Own));
    // and the other way round: the person who owns the workload that asks
    life.requester.kin.owner = Some(person("other").id);
    let owner = voice("other", &["dba"], Decision::Approve);
    assert_eq!(life.step(&Step::Review(owner), at(0)), Err(Misstep::Own));
}

#[test]
fn where_people_are_demanded_neither_a_machine_nor_a_rule_answers() {
    let mut life = request("corp/dba:1", Purpose::Deed);
    let mut machine = voice("robot", &["dba"], Decision::Approve);
    machine.kind = PrincipalKind::Machine;
    let by_machine = life.clone().step(&Step::Review(machine.clone()), at(0)).unwrap();
    assert_eq!(by_machine.state, RequestState::Approved);
    life.people_only = true;
    assert_eq!(life.clone().step(&Step::Review(machine), at(0)), Err(Misstep::NotReviewer));
    assert_eq!(life.step(&Step::Answer(rule()), at(0)), Err(Misstep::PeopleOnly));
}
