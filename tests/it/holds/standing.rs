//! Standing decisions, and the digests that they go by.

use std::collections::{BTreeMap, BTreeSet};

use hoopctl::domain::approval::What;
use hoopctl::gateway::authority::Outcome;

use super::DELETES;
use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::Cluster;
use crate::support::reviewer::{bob, standing};

/// A table whose names are resolved: labels make it so, and only what is resolved has a shape.
async fn notes(cluster: &Cluster) -> BTreeMap<String, BTreeSet<String>> {
    let tables = "CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes SELECT n, 'x' FROM generate_series(1, 9) n";
    cluster.admin().await.batch_execute(tables).await.unwrap();
    let label = BTreeSet::from(["text".to_owned()]);
    BTreeMap::from([("public.notes.body".to_owned(), label)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standing_decision_covers_its_shape_for_a_while_and_nothing_else() {
    let cluster = Cluster::start(18);
    let fields = notes(&cluster).await;
    let setup = Setup { policy: DELETES, fields, ..Setup::open(&cluster) };
    let gateway = Gateway::start(&cluster, setup);
    let client = gateway.connect().await;

    let answer = async {
        let request = gateway.desk.next().await;
        let subject = request.subject.clone();
        gateway.desk.approve(request);
        subject
    };
    let (held, earlier) =
        tokio::join!(client.batch_execute("DELETE FROM notes WHERE id = 1 AND body = 'x'"), answer);
    held.unwrap();
    let What::Deed(deed) = &earlier.subject().what else { panic!("a session") };
    let shown: Vec<&str> =
        deed.shape.as_ref().unwrap().literals.iter().map(|literal| literal.shown.as_str()).collect();
    assert_eq!(shown, ["1", "x"]);

    let hour_ago = hoopctl::gateway::clock::Clock::system().now().as_second() - 4000;
    for (statement, seconds, iat, goes) in [
        ("DELETE FROM notes WHERE id = 2 AND body = 'x'", 3600, None, true),
        ("DELETE FROM notes WHERE id = 3 AND body = 'y'", 3600, None, false),
        ("DELETE FROM notes WHERE id = 3 OR body = 'x'", 3600, None, false),
        // over, by what the rule allows
        ("DELETE FROM notes WHERE id = 4 AND body = 'x'", 7200, Some(hour_ago), false),
        // over, by what the reviewer has signed
        ("DELETE FROM notes WHERE id = 5 AND body = 'x'", 3600, Some(hour_ago), false),
    ] {
        let subject = Box::new(earlier.clone());
        let review = bob(&earlier, |claims| {
            claims.standing = Some(standing(&[0], seconds));
            claims.iat = iat.unwrap_or(claims.iat);
        });
        let answer = async {
            let request = gateway.desk.next().await;
            gateway.desk.answer(request, Outcome::Standing { subject, reviews: vec![review] });
            if !goes {
                // people are asked instead, of whom nobody can make a standing decision of it
                let request = gateway.desk.next().await;
                let What::Deed(deed) = &request.subject.subject().what else { panic!("a session") };
                assert!(deed.shape.is_none());
                gateway.desk.answer(request, Outcome::Expired);
            }
        };
        let (held, ()) = tokio::join!(client.batch_execute(statement), answer);
        assert_eq!(held.is_ok(), goes, "{statement}: {held:?}");
    }
    let left = client.query("SELECT id FROM notes", &[]).await.unwrap();
    assert_eq!(left.len(), 7);
}

/// Whoever may see a redacted request may also hold statements, and with them try what was in it.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_test_guesses_about_what_another_requester_has_sent() {
    let cluster = Cluster::start(18);
    let fields = notes(&cluster).await;
    let mut seen = Vec::new();
    for (who, session) in [("alice", 7), ("alice", 8), ("mallory", 9)] {
        let fields = fields.clone();
        let setup = Setup { policy: DELETES, fields, who, session, ..Setup::open(&cluster) };
        let gateway = Gateway::start(&cluster, setup);
        let client = gateway.connect().await;
        for _ in 0..2 {
            let answer = async {
                let request = gateway.desk.next().await;
                let What::Deed(deed) = &request.subject.subject().what else { panic!("a session") };
                let literals: Vec<_> =
                    deed.shape.as_ref().unwrap().literals.iter().map(|l| l.digest.clone()).collect();
                let found = (literals, deed.exact.clone());
                gateway.desk.answer(request, Outcome::Expired);
                found
            };
            let (held, found) =
                tokio::join!(client.batch_execute("DELETE FROM notes WHERE body = 'x'"), answer);
            assert!(held.is_err());
            seen.push(found);
        }
    }
    let [first, again, later, _, other, _] = seen.as_slice() else { panic!("{seen:?}") };
    // in one session all of it is the same; in the requester's next one, what standing decisions go by
    assert_eq!(first, again);
    assert_eq!(first.0, later.0);
    assert_ne!(first.1, later.1);
    // for anybody else nothing is
    assert_ne!(first.0, other.0);
    assert_ne!(first.1, other.1);
}
