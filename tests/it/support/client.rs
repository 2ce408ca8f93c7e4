//! The client's library in this process, as the program uses it.

use std::sync::Arc;

use hoopctl::client::api::Api;
use hoopctl::client::home::{Home, broker_url};
use hoopctl::client::keychain::StoreChoice;
use hoopctl::client::link::Link;
use hoopctl::client::login::{Identity, Person};
use hoopctl::client::{ClientContext, Sights, Strangers};
use hoopctl::gateway::clock::Clock;

use super::env::Env;

/// The machine of somebody, by a clock that the test may hold.
pub(crate) fn context(env: &Env, clock: Clock) -> ClientContext {
    ClientContext {
        home: Arc::new(Home::open(env.state()).expect("the home")),
        host_name: "test".into(),
        store: StoreChoice::File,
        temporary: env.home().to_owned(),
        clock,
        strangers: Strangers::new(|_| {}),
        sights: Sights::new(|_| {}),
    }
}

/// Somebody who logged in on that machine, ready to call.
pub(crate) fn api(env: &Env, broker: &str, clock: Clock) -> Arc<Api> {
    let context = context(env, clock.clone());
    let url = broker_url(broker).expect("a URL");
    let place = context.home.broker(&url).expect("a place");
    let (person, pinned) = Person::find(&context, &place).expect("a login");
    Api::new(context, Link::new(&url, pinned, clock).expect("a link"), Identity::Person(person))
}
