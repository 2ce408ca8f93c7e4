//! Standing decisions.

use super::*;

#[tokio::test]
async fn a_standing_decision_answers_for_its_shape_until_it_is_revoked() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, bob) = pair(&bench).await;
    let statement = Statement::by(&alice, "alice").await;
    let shape = |literal: u8| Shape {
        tree: Digest::from_bytes(&[1; 32]),
        literals: vec![
            Literal { shown: literal.to_string(), digest: Digest::from_bytes(&[literal; 32]) },
            Literal { shown: "'x'".into(), digest: Digest::from_bytes(&[99; 32]) },
        ],
    };
    let held = async |shape: Shape, hold: Hold| {
        statement.held_as(statement.subject(Some(shape)), hold).await.unwrap()
    };
    let (first, filed) = held(shape(1), Statement::hold()).await;
    let standing = Standing { free: BTreeSet::from([0]), seconds: 3600 };
    bob.review_with("bob", first.as_str(), Decision::Approve, Some(standing)).await;
    assert!(matches!(filed.outcome.await, Outcome::Approved(_)));

    let (second, filed) = held(shape(2), Statement::hold()).await;
    assert!(matches!(filed.outcome.await, Outcome::Standing { .. }));
    bench.core.release(&second).await.unwrap();
    let answered = What::RequestAnswered { request: second, rule: None, standing: Some(first.clone()) };
    assert!(bench.journal.whats().contains(&answered));

    let waits = async |shape: Shape, hold: Hold| {
        let (_, filed) = held(shape, hold).await;
        let mut outcome = filed.outcome;
        assert!(futures_util::poll!(&mut outcome).is_pending());
    };
    // a literal that is not free, rules that no longer allow it, other rules
    let mut other = shape(3);
    other.literals.get_mut(1).unwrap().digest = Digest::from_bytes(&[98; 32]);
    waits(other, Statement::hold()).await;
    waits(shape(3), Hold { standing: 0, ..Statement::hold() }).await;
    bench.hand.advance(120);
    waits(shape(3), Hold { standing: 60, ..Statement::hold() }).await;
    bench.hand.advance(-120);

    let listed: Listing<StandingView> = bob.call("GET", "/v1/standing", None).await.json();
    assert_eq!(listed.items.first().map(|view| (view.uses, view.revoked)), Some((1, false)));
    let path = format!("/v1/standing/{first}");
    assert_eq!(bob.call("DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    waits(shape(4), Statement::hold()).await;
}

#[tokio::test]
async fn a_lost_device_takes_its_standing_decisions_with_it() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, bob) = pair(&bench).await;
    let statement = Statement::by(&alice, "alice").await;
    let shape = Shape { tree: Digest::from_bytes(&[1; 32]), literals: Vec::new() };
    let subject = || statement.subject(Some(shape.clone()));
    let (first, _filed) = statement.held_as(subject(), Statement::hold()).await.unwrap();
    let standing = Standing { free: BTreeSet::new(), seconds: 3600 };
    bob.review_with("bob", first.as_str(), Decision::Approve, Some(standing)).await;
    bench.core.approvals.void_device(&bob.key.thumbprint()).await.unwrap();
    let (_, filed) = statement.held_as(subject(), Statement::hold()).await.unwrap();
    let mut outcome = filed.outcome;
    assert!(futures_util::poll!(&mut outcome).is_pending());
    assert!(bench.journal.whats().iter().any(|what| matches!(what, What::StandingRevoked { .. })));
}

#[tokio::test]
async fn who_revokes_a_standing_decision_without_seeing_its_request_does_not_read_the_statement() {
    // nobody audits here
    let bench = masked(&BY_DBA.replace("corp/dba:1", "corp/vip:1"));
    let alice = bench.login_with("alice", 1, json!({"groups": ["dba", "vip"]})).await;
    let bob = bench.login("bob", 2).await;
    let carol = bench.login_with("carol", 3, json!({"groups": ["dba", "vip"]})).await;
    let door = asked(&alice).await.request.id.to_string();
    assert_eq!(carol.review("carol", &door, Decision::Approve).await.status, StatusCode::OK);
    let statement = Statement::by(&alice, "alice").await;
    let shape = Shape { tree: Digest::from_bytes(&[1; 32]), literals: Vec::new() };
    let (id, _filed) = statement.held_as(statement.subject(Some(shape)), Statement::hold()).await.unwrap();
    let standing = Standing { free: BTreeSet::new(), seconds: 3600 };
    let given = carol.review_with("carol", id.as_str(), Decision::Approve, Some(standing)).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text());
    let text = async |user: &User<'_>| {
        let listed: Listing<StandingView> = user.call("GET", "/v1/standing", None).await.json();
        listed.items.first().unwrap().text.clone()
    };
    assert_eq!(text(&carol).await, "drop table t");
    assert_eq!(text(&bob).await, "");
}

#[tokio::test]
async fn a_standing_decision_answers_in_its_own_database_and_by_as_many_people_as_today_demands() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, bob) = pair(&bench).await;
    let statement = Statement::by(&alice, "alice").await;
    let shape = Shape { tree: Digest::from_bytes(&[1; 32]), literals: Vec::new() };
    let changed = |change: &dyn Fn(&mut DeedSubject)| {
        let mut subject = statement.subject(Some(shape.clone())).subject().clone();
        if let Matter::Deed(deed) = &mut subject.what {
            change(deed);
        }
        SubjectText::write(subject).unwrap()
    };
    let set = |deed: &mut DeedSubject, name: &str| drop(deed.settings.insert(name.into(), "x".into()));
    let (first, _filed) = statement.held_as(changed(&|_| ()), Statement::hold()).await.unwrap();
    let standing = Standing { free: BTreeSet::new(), seconds: 3600 };
    bob.review_with("bob", first.as_str(), Decision::Approve, Some(standing)).await;
    let stands = async |subject: SubjectText, hold: Hold| {
        let (_, filed) = statement.held_as(subject, hold).await.unwrap();
        let mut outcome = filed.outcome;
        futures_util::poll!(&mut outcome).is_ready()
    };
    // each session has a role of its own
    let own = |deed: &mut DeedSubject| {
        deed.settings.insert("session_authorization".into(), deed.login.clone());
    };
    assert!(stands(changed(&own), Statement::hold()).await);
    assert!(!stands(changed(&|deed| set(deed, "session_authorization")), Statement::hold()).await);
    assert!(!stands(changed(&|deed| set(deed, "search_path")), Statement::hold()).await);
    assert!(!stands(changed(&|deed| deed.database = "other".into()), Statement::hold()).await);
    let two = Hold { threshold: "corp/dba:2".parse().unwrap(), ..Statement::hold() };
    assert!(!stands(changed(&|_| ()), two).await);
}
