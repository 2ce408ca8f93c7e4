//! What the gateway believes of an approval.

use hoopctl::domain::approval::{Decision, Review};
use hoopctl::domain::event;
use hoopctl::domain::name::{Digest, GroupName, RequestId, RuleName};
use hoopctl::gateway::authority::Outcome;

use super::{DELETES, gateway};
use crate::support::gateway::Gateway;
use crate::support::postgres::Cluster;
use crate::support::reviewer::{Request, bob, signed_by, standing};

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_its_reviewers_have_not_signed_releases_nothing() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE held_c (id int); INSERT INTO held_c VALUES (1)").await.unwrap();
    type Spoil = Box<dyn Fn(&Request) -> Vec<Review> + Send>;
    let spoilt: Vec<(&str, Spoil)> = vec![
        ("too few", Box::new(|_| Vec::new())),
        (
            "another request",
            Box::new(|r| {
                vec![bob(&r.subject, |c| {
                    c.request = RequestId::from_random([1; 16]);
                })]
            }),
        ),
        (
            "another subject",
            Box::new(|r| vec![bob(&r.subject, |c| c.subject = Digest::from_bytes(&[0; 32]))]),
        ),
        ("does not approve", Box::new(|r| vec![bob(&r.subject, |c| c.decision = Decision::Deny)])),
        (
            "somebody else",
            Box::new(|r| vec![bob(&r.subject, |c| c.reviewer = r.subject.subject().requester.clone())]),
        ),
        ("requester's own", Box::new(|r| vec![signed_by(7, "alice", &r.subject, |_| {})])),
        (
            "another device",
            Box::new(|r| {
                let mut review = bob(&r.subject, |_| {});
                review.proof = signed_by(8, "bob", &r.subject, |_| {}).proof;
                vec![review]
            }),
        ),
        ("there twice", Box::new(|r| vec![bob(&r.subject, |_| {}), bob(&r.subject, |_| {})])),
        (
            "standing decision",
            Box::new(|r| {
                let mut review = bob(&r.subject, |_| {});
                review.standing = Some(standing(&[0], 60));
                vec![review]
            }),
        ),
        (
            "too few",
            Box::new(|r| {
                let mut review = bob(&r.subject, |_| {});
                review.groups.clear();
                vec![review]
            }),
        ),
        (
            "the review by test:bob",
            Box::new(|r| {
                let mut review = bob(&r.subject, |_| {});
                review.proof.pop();
                vec![review]
            }),
        ),
    ];
    for (fault, spoil) in spoilt {
        let answer = async {
            let request = gateway.desk.next().await;
            let reviews = spoil(&request);
            gateway.desk.answer(request, Outcome::Approved(reviews));
        };
        let (held, ()) = tokio::join!(client.batch_execute("DELETE FROM held_c"), answer);
        let error = held.expect_err(fault);
        assert!(error.as_db_error().unwrap().message().contains("does not hold"), "{fault}: {error}");
        let rejected = rejected(&gateway);
        assert!(rejected.as_ref().is_some_and(|told| told.contains(fault)), "{fault}: {rejected:?}");
    }
    assert_eq!(client.query("SELECT id FROM held_c", &[]).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_in_two_groups_is_one_person() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    gateway.desk.reload(
        r#"@id("both") @review("corp/dba:1, corp/ops:1") forbid (principal, action == Hoop::Action::"statement", resource)
           when { context.verb == "delete" };"#,
    );
    let groups = |names: &[&str]| names.iter().map(|name| GroupName::new(*name).unwrap()).collect();
    let client = gateway.connect().await;
    for (of_carol, goes) in [(vec![], false), (vec!["corp/dba"], true)] {
        let answer = async {
            let request = gateway.desk.next().await;
            let mut reviews =
                vec![bob(&request.subject, |_| {}), signed_by(9, "carol", &request.subject, |_| {})];
            reviews[0].groups = groups(&["corp/dba", "corp/ops"]);
            reviews[1].groups = groups(&of_carol);
            gateway.desk.answer(request, Outcome::Approved(reviews));
        };
        let (held, ()) = tokio::join!(client.batch_execute("DELETE FROM pg_class WHERE false"), answer);
        assert_eq!(held.is_ok(), goes, "{held:?}");
    }
}

/// A rule that answers for people where little is deleted.
const SMALL: &str = r#"
@id("small-deletes") permit (principal, action == Hoop::Action::"approve", resource)
when { context.rules == ["delete-is-reviewed"] && context has statement && context.statement.has_where };
"#;

/// Why the last approval was not believed.
fn rejected(gateway: &Gateway) -> Option<String> {
    let events = gateway.book.events.lock().unwrap();
    events.iter().rev().find_map(|event| match &event.what {
        event::What::ReviewRejected { fault, .. } => Some(fault.clone()),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_may_answer_but_not_where_people_must() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE ruled AS SELECT 1 AS id").await.unwrap();
    let rules = DELETES.to_owned() + SMALL;
    let people = rules.replace("@standing(\"1h\")", "@review_by(\"people\")");
    for (rules, goes) in [(&people, false), (&rules, true)] {
        gateway.desk.reload(rules);
        let answer = async {
            let request = gateway.desk.next().await;
            gateway.desk.answer(request, Outcome::Rule(RuleName::new("small-deletes").unwrap()));
        };
        let (held, ()) = tokio::join!(client.batch_execute("DELETE FROM ruled WHERE id = 1"), answer);
        assert_eq!(held.is_ok(), goes, "{held:?}");
    }
    assert!(client.query("SELECT id FROM ruled", &[]).await.unwrap().is_empty());
}

/// A broker that says a rule has answered is not believed: the gateway asks its own policy.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_does_not_answer_releases_nothing_whoever_says_it_has() {
    let cluster = Cluster::start(18);
    let gateway = gateway(&cluster);
    let client = gateway.connect().await;
    client.batch_execute("CREATE TABLE ruled AS SELECT 1 AS id").await.unwrap();
    let answering = DELETES.to_owned() + SMALL;
    let (small, held_by) = ("small-deletes", "delete-is-reviewed");
    for (rules, statement, rule) in [
        // there is no such rule
        (DELETES, "DELETE FROM ruled WHERE id = 1", small),
        // it answers another statement
        (&answering, "DELETE FROM ruled", small),
        // another rule than the one that does
        (&answering, "DELETE FROM ruled WHERE id = 1", held_by),
        (&answering, "DELETE FROM ruled WHERE id = 1", "test.statement"),
    ] {
        gateway.desk.reload(rules);
        let answer = async {
            let request = gateway.desk.next().await;
            gateway.desk.answer(request, Outcome::Rule(RuleName::new(rule).unwrap()));
        };
        let (held, ()) = tokio::join!(client.batch_execute(statement), answer);
        let error = held.expect_err(rule);
        assert!(
            error.as_db_error().unwrap().message().contains("does not hold"),
            "{statement} {rule}: {error}"
        );
        assert_eq!(rejected(&gateway), Some(format!("the rule {rule} does not answer this")));
    }
    // and one that does not answer any more when it would move
    gateway.desk.reload(&answering);
    let answer = async {
        let request = gateway.desk.next().await;
        gateway.desk.reload(DELETES);
        gateway.desk.answer(request, Outcome::Rule(RuleName::new(small).unwrap()));
    };
    let (held, ()) = tokio::join!(client.batch_execute("DELETE FROM ruled WHERE id = 1"), answer);
    let error = held.expect_err("policy has changed");
    assert!(error.as_db_error().unwrap().message().contains("policy has changed while"), "{error}");
    assert_eq!(client.query("SELECT id FROM ruled", &[]).await.unwrap().len(), 1);
}
