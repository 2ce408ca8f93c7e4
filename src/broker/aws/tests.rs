#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod bench;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use self::bench::{Bench, START, permission, shown};
use super::*;
use crate::broker::aws::document::{Mark, denying};
use crate::domain::name::ProviderName;
use crate::domain::principal::{PrincipalId, Subject};
use crate::domain::target::AwsRevocation;

#[tokio::test]
async fn a_role_is_assumed_in_the_principals_name_and_cut_down_to_what_is_theirs() {
    let bench = Bench::new().await;
    let mut target = bench.target();
    target.permissions = vec![permission("s3:GetObject", &[]), permission("s3:PutObject", &["corp/writers"])];
    let (context, target) = bench.session(target);
    let lease = bench.accounts.issue(&context, &target).await.unwrap();
    assert_eq!(lease.user, "arn:aws:sts::1:assumed-role/reader/corp=alice@example.com");
    assert_eq!(shown(&lease), "key 1 secret token");
    let asked = bench.aws.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let form = &asked[0];
    assert_eq!(form["Action"], "AssumeRole");
    assert_eq!(form["RoleArn"], "arn:aws:iam::1:role/reader");
    assert_eq!(form["RoleSessionName"], "corp=alice@example.com");
    assert_eq!(form["SourceIdentity"], "corp=alice@example.com");
    assert_eq!(form["DurationSeconds"], "3600");
    assert_eq!(form["ExternalId"], "ours");
    assert_eq!(
        (form["Tags.member.1.Key"].as_str(), &form["Tags.member.1.Value"]),
        ("hoop-session", &context.id.to_string())
    );
    assert_eq!(form["Tags.member.2.Value"], "corp:alice@example.com");
    let policy: Value = serde_json::from_str(&form["Policy"]).unwrap();
    let expected = serde_json::json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::traces/*"],
        "Condition": { "DateLessThan": { "aws:CurrentTime": "2026-11-21T08:00:00Z" } },
    }, {
        "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": { "DateGreaterThanEquals": { "aws:CurrentTime": "2026-11-21T08:00:00Z" } },
    }] });
    assert_eq!(policy, expected);
    // the same one until a third of its life is left, then another
    bench.later(2300);
    assert_eq!(shown(&bench.accounts.issue(&context, &target).await.unwrap()), "key 1 secret token");
    bench.later(200);
    assert_eq!(shown(&bench.accounts.issue(&context, &target).await.unwrap()), "key 2 secret token");
    bench.accounts.revoke(&context.id).await;
    let entered = format!("{:?}", bench.journal.whats());
    assert_eq!(entered.matches("LeaseIssued").count(), 2, "{entered}");
    assert!(entered.contains("cannot be taken back"), "{entered}");
    assert!(!entered.contains("secret token"), "{entered}");
}

#[tokio::test]
async fn credentials_last_no_longer_than_their_session() {
    let bench = Bench::new().await;
    let (mut context, target) = bench.session(bench.target());
    context.expires = later(bench.now(), 1200);
    let lease = bench.accounts.issue(&context, &target).await.unwrap();
    assert_eq!(bench.aws.asked()[0]["DurationSeconds"], "1200");
    assert_eq!(lease.expires, context.expires);
    let (mut short, target) = bench.session(bench.target());
    short.id = SessionId::from_random([8; 16]);
    short.expires = later(bench.now(), 60);
    let lease = bench.accounts.issue(&short, &target).await.unwrap();
    // STS gives a quarter of an hour at least; the policy's condition ends them before
    assert_eq!(bench.aws.asked()[1]["DurationSeconds"], "900");
    assert!(bench.aws.asked()[1]["Policy"].contains("2026-11-21T00:01:00Z"));
    assert_eq!(lease.expires, short.expires);
}

#[tokio::test]
async fn whom_no_permission_is_for_gets_nothing_and_side_by_side_there_is_one_call() {
    let bench = Bench::new().await;
    let mut target = bench.target();
    target.permissions = vec![permission("s3:*", &["corp/writers"])];
    let (context, target) = bench.session(target);
    let error = bench.accounts.issue(&context, &target).await.unwrap_err().to_string();
    assert!(error.contains("no permission of this target is for your groups"), "{error}");
    assert!(bench.aws.asked().is_empty());
    let (context, target) = bench.session(bench.target());
    let issue = || bench.accounts.issue(&context, &target);
    let (one, two) = tokio::join!(issue(), issue());
    assert_eq!((shown(&one.unwrap()), bench.aws.asked().len()), (shown(&two.unwrap()), 1));
}

#[tokio::test]
async fn a_web_identity_is_signed_for_its_principal_and_nobody_signs_the_call() {
    let bench = Bench::new().await;
    let mut target = bench.target();
    target.issuer = AwsIssuer::WebIdentity { audience: "sts.amazonaws.com".into() };
    let (context, target) = bench.session(target);
    bench.accounts.issue(&context, &target).await.unwrap();
    let form = &bench.aws.asked()[0];
    assert_eq!((form["Action"].as_str(), form["(signed)"].as_str()), ("AssumeRoleWithWebIdentity", "no"));
    // without tags the session's id is in its name
    assert_eq!(form["RoleSessionName"], format!("corp=alice@example.com.{}", context.id));
    let key = &bench.signer.set()["keys"][0];
    let text = |name: &str| key[name].as_str().unwrap();
    let key = DecodingKey::from_ec_components(text("x"), text("y")).unwrap();
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_audience(&["sts.amazonaws.com"]);
    rules.validate_exp = false;
    let read = jsonwebtoken::decode::<Value>(&form["WebIdentityToken"], &key, &rules).unwrap();
    assert_eq!(read.claims["sub"], "corp:alice@example.com");
    assert_eq!(read.claims["iss"], "https://broker.example");
    assert_eq!(read.claims["exp"].as_i64().unwrap() - read.claims["iat"].as_i64().unwrap(), 120);
}

#[tokio::test]
async fn what_sts_says_no_with_becomes_advice_without_a_secret() {
    let denied = "User: arn:aws:sts::1:assumed-role/b/i is not authorized to perform: ";
    for (code, message, advice) in [
        ("AccessDenied", format!("{denied}sts:SetSourceIdentity"), "add the action sts:SetSourceIdentity"),
        ("AccessDenied", format!("{denied}sts:TagSession on resource: x"), "add the action sts:TagSession"),
        ("AccessDenied", format!("{denied}sts:AssumeRole on resource: x"), "look at the role's trust policy"),
        ("PackedPolicyTooLarge", "Packed".into(), "merge permissions"),
        ("ExpiredToken", "secret-of-aws".into(), "not accepted (ExpiredToken)"),
        (
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour".into(),
            "set `valid = \"1h\"`",
        ),
        ("Strange", "odd".into(), "AWS says Strange: odd"),
    ] {
        let bench = Bench::new().await;
        bench.aws.refuse(code, &message);
        let (context, target) = bench.session(bench.target());
        let error = bench.accounts.issue(&context, &target).await.unwrap_err().to_string();
        assert!(error.contains(advice), "{code}: {error}");
        assert!(!error.contains("s&cret"), "{error}");
        assert!(bench.journal.whats().is_empty());
    }
    assert_eq!(fault::advice("Strange\u{1b}[2J", "odd\u{7}"), "AWS says Strange[2J: odd");
}

#[tokio::test]
async fn a_broker_that_is_nobody_and_an_sts_that_is_not_there_are_told() {
    let bench = Bench::new().await;
    let mut target = bench.target();
    target.sts = Some("http://127.0.0.1:1/".parse().unwrap());
    let (context, target) = bench.session(target);
    let error = bench.accounts.issue(&context, &target).await.unwrap_err();
    assert!(
        matches!(error, LeaseError::Unreachable(_)) && error.to_string().contains("STS cannot be asked"),
        "{error}"
    );
}

#[tokio::test]
async fn without_its_entry_there_is_no_lease() {
    let bench = Bench::new().await;
    bench.journal.broken.store(true, Ordering::Relaxed);
    let (context, target) = bench.session(bench.target());
    assert!(matches!(bench.accounts.issue(&context, &target).await, Err(LeaseError::Journal(_))));
}

/// Tokens of the session are denied when it ends, those of others are not, and the policy goes when they have expired.
#[tokio::test]
async fn ended_sessions_are_denied_until_their_tokens_have_expired() {
    let bench = Bench::new().await;
    let mut target = bench.target();
    target.revoke = AwsRevocation::InlineDeny;
    let (one, target) = bench.session(target);
    let (mut two, _) = bench.session(target.clone());
    two.id = SessionId::from_random([8; 16]);
    bench.accounts.issue(&one, &target).await.unwrap();
    bench.accounts.issue(&two, &target).await.unwrap();
    bench.accounts.revoke(&one.id).await;
    let put = bench.aws.asked().pop().unwrap();
    assert_eq!((put["Action"].as_str(), put["RoleName"].as_str()), ("PutRolePolicy", "reader"));
    assert_eq!((put["(signed)"].as_str(), put["PolicyName"].starts_with("hoopctl-ended-")), ("yes", true));
    let document = &put["PolicyDocument"];
    assert!(document.contains(one.id.as_str()) && !document.contains(two.id.as_str()), "{document}");
    let document: Value = serde_json::from_str(document).unwrap();
    assert_eq!(document["Statement"][0]["Effect"], "Deny");
    assert_eq!(
        document["Statement"][0]["Condition"]["StringEquals"]["aws:PrincipalTag/hoop-session"][0],
        one.id.as_str()
    );
    // nothing new, nothing asked
    let count = bench.aws.asked().len();
    assert_eq!(bench.accounts.reap().await, 0);
    assert_eq!(bench.aws.asked().len(), count);
    bench.accounts.revoke(&two.id).await;
    assert!(bench.aws.asked().pop().unwrap()["PolicyDocument"].contains(two.id.as_str()));
    bench.later(4000);
    assert_eq!(bench.accounts.reap().await, 0);
    assert_eq!(bench.aws.asked().pop().unwrap()["Action"], "DeleteRolePolicy");
    assert!(bench.store.denials().unwrap().is_empty());
}

#[tokio::test]
async fn what_a_killed_broker_left_is_denied_by_the_next_and_tried_until_it_is() {
    let bench = Bench::new().await;
    let mut target = bench.target();
    target.revoke = AwsRevocation::InlineDeny;
    let (context, target) = bench.session(target);
    bench.accounts.issue(&context, &target).await.unwrap();
    let next = bench.restarted();
    bench.aws.refuse("AccessDenied", "not authorized to perform: iam:PutRolePolicy");
    assert_eq!(next.accounts.reap().await, 1);
    let entered = format!("{:?}", next.journal.whats());
    assert!(entered.contains("clean: false") && entered.contains("allow it iam:PutRolePolicy"), "{entered}");
    bench.aws.relent();
    assert_eq!(next.accounts.reap().await, 0);
    assert!(bench.aws.asked().pop().unwrap()["PolicyDocument"].contains(context.id.as_str()));
}

/// Whoever opens many short sessions pushes nobody's denial out: when all that is alive has ended, all of it is denied.
#[tokio::test]
async fn a_role_whose_policy_is_full_gives_out_no_more_tokens() {
    let bench = Bench::new().await;
    let mut target = bench.target();
    target.revoke = AwsRevocation::InlineDeny;
    let (killed, target) = bench.session(target);
    bench.accounts.issue(&killed, &target).await.unwrap();
    bench.accounts.revoke(&killed.id).await;
    let issued = bench.aws.asked().len();
    let session = |number: u8, subject: &str| {
        let (mut context, _) = bench.session(target.clone());
        context.id = SessionId::from_random([number; 16]);
        context.principal.id.subject = Subject::new(subject).unwrap();
        context
    };
    // as many as there is room for, the most by others who wait until the end
    let pattern = bench.store.denials().unwrap().remove(0);
    let fill = |numbers: std::ops::Range<u8>, subject: &str| {
        for number in numbers {
            let mut row = pattern.clone();
            row.session = SessionId::from_random([number, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
            row.mark = format!("tag {}", row.session);
            row.place = row.place.replace("alice@example.com", subject);
            row.until = row.until.checked_add(SignedDuration::from_hours(1)).unwrap();
            bench.store.begin_denial(&row).unwrap();
        }
    };
    fill(0..98, "bob");
    fill(98..196, "carol");
    let mut given = 0;
    let refused = loop {
        assert!(given < 50, "there is always room");
        match bench.accounts.issue(&session(200 + given, "dave"), &target).await {
            Ok(_) => given += 1,
            Err(error) => break error.to_string(),
        }
    };
    assert!(refused.contains("has no room for more: too many sessions with it"), "{refused}");
    assert_eq!(bench.aws.asked().len(), issued + usize::from(given));
    // who has tokens may have newer ones
    bench.later(2500);
    bench.accounts.issue(&session(200, "dave"), &target).await.unwrap();
    bench.later(-2500);
    let next = bench.restarted();
    assert_eq!(next.accounts.reap().await, 0);
    let document = &bench.aws.asked().pop().unwrap()["PolicyDocument"];
    assert!(document.contains(killed.id.as_str()), "{document}");
    assert_eq!(document.matches("ses_").count(), 197 + usize::from(given), "{document}");
    // and then there is room
    bench.later(3 * 3600);
    bench.accounts.issue(&session(250, "dave"), &target).await.unwrap();
}

/// A session that STS refused has nothing to be taken back, and keeps nobody out.
#[tokio::test]
async fn who_got_no_tokens_takes_no_room() {
    let bench = Bench::new().await;
    let mut target = bench.target();
    target.revoke = AwsRevocation::InlineDeny;
    let (context, target) = bench.session(target);
    bench.aws.refuse("AccessDenied", "not authorized to perform: sts:AssumeRole");
    assert!(matches!(bench.accounts.issue(&context, &target).await, Err(LeaseError::Issuer(_))));
    assert!(bench.store.denials().unwrap().is_empty());
    // it may have given tokens without saying so
    bench.aws.refuse("ServiceUnavailable", "later");
    assert!(matches!(bench.accounts.issue(&context, &target).await, Err(LeaseError::Unreachable(_))));
    assert_eq!(bench.store.denials().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_fills_the_policy_of_a_role_alone() {
    let bench = Bench::new().await;
    let mut target = bench.target();
    target.revoke = AwsRevocation::InlineDeny;
    let (first, target) = bench.session(target);
    bench.accounts.issue(&first, &target).await.unwrap();
    let pattern = bench.store.denials().unwrap().remove(0);
    for number in 0..120 {
        let mut row = pattern.clone();
        row.session = SessionId::from_random([number; 16]);
        row.mark = format!("tag {}", row.session);
        bench.store.begin_denial(&row).unwrap();
    }
    let (mut second, _) = bench.session(target.clone());
    second.id = SessionId::from_random([200; 16]);
    let refused = bench.accounts.issue(&second, &target).await.unwrap_err().to_string();
    assert!(refused.contains("too many of your own sessions"), "{refused}");
    second.principal.id.subject = Subject::new("bob").unwrap();
    bench.accounts.issue(&second, &target).await.unwrap();
}

#[test]
fn no_two_principals_share_a_name() {
    let who = |provider: &str, subject: &str| PrincipalId {
        provider: ProviderName::new(provider).unwrap(),
        subject: Subject::new(subject).unwrap(),
    };
    let long = "x".repeat(80);
    let names: Vec<String> = [
        ("corp", "alice"),
        ("corp", "a:b"),
        ("corp", "a/b"),
        ("corp", "a-b"),
        ("corp", "a=b"),
        ("corp", "älice"),
        ("corp", &long),
        ("corp", &format!("{long}y")),
        ("ci", "repo:org/app:ref:refs/heads/main"),
    ]
    .iter()
    .map(|(provider, subject)| session_name(&who(provider, subject), None))
    .collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    assert!(names.iter().all(|name| (2..=64).contains(&name.len()) && name.chars().all(fits)), "{names:?}");
    assert_eq!(names[0], "corp=alice");
    let of_session = session_name(&who("corp", &long), Some(&SessionId::from_random([7; 16])));
    assert!(
        of_session.len() <= 64 && of_session.ends_with(SessionId::from_random([7; 16]).as_str()),
        "{of_session}"
    );
}

#[test]
fn a_policy_that_denies_is_short_and_names_nobody_else() {
    assert_eq!(denying(&[]), None);
    let marks = [Mark::Name("corp=a.ses_1".into()), Mark::Tag("ses_2".into())];
    let document = denying(&marks).unwrap();
    assert!(document.contains(r#""aws:userid":["*:corp=a.ses_1"]"#), "{document}");
    for mark in marks {
        assert_eq!(Mark::read(&mark.write()), Some(mark));
    }
    let many: Vec<Mark> = (0..200).map(|n| Mark::Tag(format!("ses_{n:026}"))).collect();
    assert!(denying(&many).unwrap().len() < 8192);
    assert_eq!(START, 1_795_219_200);
}
