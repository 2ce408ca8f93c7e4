//! Held statements.

use jiff::Timestamp;

use super::*;
use crate::broker::devices::Reach;

#[tokio::test]
async fn a_held_statement_is_released_once() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, bob) = pair(&bench).await;
    let statement = Statement::by(&alice, "alice").await;
    let (id, filed) = statement.held().await;
    assert_eq!(filed.needs, "1 of corp/dba");
    assert_eq!(bench.core.release(&id).await, Err(HoldError::NotApproved));
    bob.review("bob", id.as_str(), Decision::Approve).await;
    let Outcome::Approved(reviews) = filed.outcome.await else { panic!("it was approved") };
    assert_eq!(reviews.len(), 1);
    bench.core.release(&id).await.unwrap();
    assert_eq!(bench.core.release(&id).await, Err(HoldError::NotApproved));
    let released =
        bench.journal.whats().iter().filter(|what| matches!(what, What::RequestReleased { .. })).count();
    assert_eq!(released, 1);
}

#[tokio::test]
async fn an_approval_is_void_after_its_time_its_session_its_device_and_a_restart() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, bob) = pair(&bench).await;
    let statement = Statement::by(&alice, "alice").await;
    let approved = async || {
        let (id, filed) = statement.held().await;
        bob.review("bob", id.as_str(), Decision::Approve).await;
        assert!(matches!(filed.outcome.await, Outcome::Approved(_)));
        id
    };
    let refused = Err(HoldError::NotApproved);

    let late = approved().await;
    bench.hand.advance(600);
    assert_eq!(bench.core.release(&late).await, refused);
    bench.hand.advance(-600);

    let after_restart = approved().await;
    bench.core.approvals.recover().await.unwrap();
    assert_eq!(bench.core.release(&after_restart).await, refused);

    let after_reload = approved().await;
    let config = crate::broker::testing::config(bench.directory.path(), &format!("{PERMIT_ALL}\n"));
    bench.core.adopt(config).await.unwrap();
    assert_eq!(bench.core.release(&after_reload).await, refused);

    let (pending, filed) = statement.held().await;
    bench.core.approvals.void_device(&bob.key.thumbprint()).await.unwrap();
    // bob had said nothing about it
    assert!(!bench.core.approvals.find(&pending).unwrap().unwrap().life.state.is_final());
    drop(filed);
    bench.core.approvals.tick().await;
    let withdrawn = What::RequestEnded { request: pending, outcome: "withdrawn".into() };
    assert!(bench.journal.whats().contains(&withdrawn), "a dropped outcome withdraws");

    let of_lost_device = approved().await;
    bench.core.approvals.void_device(&bob.key.thumbprint()).await.unwrap();
    assert_eq!(bench.core.release(&of_lost_device).await, refused);

    let of_session = approved().await;
    bench.core.sessions.close(&statement.context.id, CloseReason::Killed);
    assert_eq!(bench.core.release(&of_session).await, refused);
}

#[tokio::test]
async fn what_cannot_be_entered_does_not_happen() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, bob) = pair(&bench).await;
    let statement = Statement::by(&alice, "alice").await;
    let (id, filed) = statement.held().await;
    let break_journal = |broken| bench.journal.broken.store(broken, Ordering::SeqCst);
    break_journal(true);
    assert!(matches!(
        statement.held_as(statement.subject(None), Statement::hold()).await,
        Err(HoldError::Journal(_))
    ));
    let claims = bob.claims(id.as_str(), Decision::Approve, corp("bob")).await;
    assert_eq!(bob.give(id.as_str(), &claims).await.problem().code, ProblemCode::Unavailable);
    break_journal(false);
    assert_eq!(bob.give(id.as_str(), &claims).await.status, StatusCode::OK);
    assert!(matches!(filed.outcome.await, Outcome::Approved(_)));
    break_journal(true);
    assert!(matches!(bench.core.release(&id).await, Err(HoldError::Journal(_))));
    break_journal(false);
    // used up, and lost: never let through twice
    assert_eq!(bench.core.release(&id).await, Err(HoldError::NotApproved));
}

/// The end of what a device said is several writes: between them nothing is let through.
#[tokio::test]
async fn an_approval_by_a_device_that_was_revoked_lets_nothing_through() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, bob) = pair(&bench).await;
    let statement = Statement::by(&alice, "alice").await;
    let (id, filed) = statement.held().await;
    bob.review("bob", id.as_str(), Decision::Approve).await;
    assert!(matches!(filed.outcome.await, Outcome::Approved(_)));
    let (device, now) = (bob.key.thumbprint(), bench.hand.now());
    bench.core.devices.revoke(&device, &corp("bob"), Reach::Only, now).unwrap();
    assert_eq!(bench.core.release(&id).await, Err(HoldError::NotApproved));
}

/// Until all that a revoked device said is void, its revocation is unfinished, and is gone on with.
#[tokio::test]
async fn a_revocation_that_could_not_void_a_review_is_not_told_and_goes_on_later() {
    let bench = Bench::new(PERMIT_ALL);
    let (alice, bob) = pair(&bench).await;
    let statement = Statement::by(&alice, "alice").await;
    let (id, _filed) = statement.held().await;
    bob.review("bob", id.as_str(), Decision::Approve).await;
    let device = bob.key.thumbprint();
    let alter = |sql: &str| bench.store.write(|on| on.execute_batch(sql)).unwrap();
    let told = || {
        let is = |what: &&What| matches!(what, What::DeviceRevoked { .. });
        (
            bench.journal.whats().iter().filter(is).count(),
            bench.core.devices.untold(None, Timestamp::MAX).unwrap().len(),
        )
    };
    alter("CREATE TRIGGER full BEFORE UPDATE ON requests BEGIN SELECT RAISE(ABORT, 'full'); END");
    let second = bench.login("bob", 3).await;
    let path = format!("/v1/devices/{device}");
    assert_eq!(second.call("DELETE", &path, None).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(told(), (0, 1));
    alter("DROP TRIGGER full");
    // whoever is about it is left alone for a while
    bench.core.shut_out_again().await;
    assert_eq!(told(), (0, 1));
    bench.hand.advance(10);
    bench.core.shut_out_again().await;
    assert_eq!(told(), (1, 0));
    assert!(bench.core.approvals.find(&id).unwrap().unwrap().request.reviews.is_empty());
}
