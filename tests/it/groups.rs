//! Groups from where a provider has them, and words where it has none.

use serde_json::Value;

use crate::support::broker::Broker;
use crate::support::env::{Env, Ran};
use crate::support::provider::{self, CLIENT_ID, Provider};

/// A broker in front of a provider; there is nothing to reach.
fn broker(provider: &Provider, groups_claim: &str) -> Broker {
    Broker::start(&format!(
        "[[provider]]\nname = \"corp\"\nissuer = \"{}\"\nclient_id = \"{CLIENT_ID}\"\n\
         groups_claim = \"{groups_claim}\"\ngroups = [\"dba\", \"dev\"]\n\n\
         [policy]\npresets = [\"allow-statements\"]\n",
        provider.issuer
    ))
}

async fn login(broker: &Broker, person: &str) -> (Env, Ran) {
    let env = Env::new(&broker.url);
    let pin = broker.pin();
    let ran = env.login(&["--broker-pin", &pin], async |page| provider::approve(&page, person).await).await;
    (env, ran.ends(0))
}

async fn groups(env: &Env) -> Value {
    let who = env.run(&["whoami", "--output", "json"]).await.ends(0);
    serde_json::from_str::<Value>(&who.stdout).expect("JSON")["groups"].clone()
}

/// Its ID tokens have neither groups nor the time of the sign-in.
#[tokio::test(flavor = "multi_thread")]
async fn groups_come_from_userinfo_at_login_and_at_each_refresh() {
    let mut provider = Provider::start_lean();
    let broker = broker(&provider, "groups");
    let (alice, ran) = login(&broker, "alice").await;
    assert!(!ran.stderr.contains("no group"), "{}", ran.stderr);
    assert_eq!(groups(&alice).await, serde_json::json!(["corp/dba"]));

    provider.set_groups("alice", &["dev"]);
    alice.forget_access();
    assert_eq!(groups(&alice).await, serde_json::json!(["corp/dev"]));
    provider.set_groups("alice", &[]);
    alice.forget_access();
    let who = alice.run(&["whoami"]).await.ends(0);
    assert!(who.stdout.contains("groups: none"), "{}", who.stdout);
    assert!(who.stderr.contains("names none of the groups that are configured for `corp`"), "{}", who.stderr);

    login(&broker, "bob").await;
    // the operator hears once of what is the same at each sign-in
    let log = broker.log();
    assert_eq!(log.matches("have no auth_time").count(), 1, "{log}");
    assert_eq!(log.matches("none of the configured groups").count(), 1, "{log}");
    assert!(!log.contains("names no groups"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_whom_nothing_puts_into_a_group_is_told_so() {
    let provider = Provider::start_lean();
    let broker = broker(&provider, "roles");
    for person in ["alice", "bob"] {
        let (env, ran) = login(&broker, person).await;
        let who = env.run(&["whoami"]).await.ends(0);
        for said in [&ran.stderr, &who.stderr] {
            let why = "the ID token has no claim `roles`, and userinfo has none either";
            assert!(said.contains("warning: you are in no group here") && said.contains(why), "{said}");
            assert!(said.contains("hint: the operator says in `groups`"), "{said}");
        }
    }
    assert_eq!(broker.log().matches("names no groups").count(), 1, "{}", broker.log());
}

/// This provider's access tokens are for the broker's audience, and its userinfo endpoint refuses them.
#[tokio::test(flavor = "multi_thread")]
async fn a_userinfo_endpoint_that_refuses_gives_no_groups_and_that_is_said() {
    let provider = Provider::start();
    let broker = broker(&provider, "roles");
    let (alice, ran) = login(&broker, "alice").await;
    assert!(ran.stderr.contains("userinfo cannot be asked: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("answered 401"), "{}", ran.stderr);
    assert_eq!(groups(&alice).await, serde_json::json!([]));
    assert!(broker.log().contains("userinfo cannot be asked"), "{}", broker.log());
    assert!(!broker.log().contains("have no auth_time"), "{}", broker.log());
}
