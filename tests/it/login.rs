//! What a login does on the machine that it is typed at.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::env::{Env, page_of};
use crate::support::files_below;
use crate::support::provider;
use crate::support::terminal::Terminal;
use crate::support::world::{Twist, World, psql};

/// A browser that only says which page it was to open.
fn with_a_browser(env: &mut Env) {
    let tools = env.home().join("tools");
    fs::create_dir(&tools).expect("a folder");
    let stub = format!("#!/bin/sh\necho \"$1\" >>{}\n", env.home().join("opened").display());
    fs::write(tools.join("xdg-open"), stub).expect("a script");
    fs::set_permissions(tools.join("xdg-open"), fs::Permissions::from_mode(0o755)).expect("a script");
    let path = std::env::var("PATH").expect("a PATH");
    env.set("PATH", &format!("{}:{path}", tools.display()));
}

fn opened(env: &Env) -> Vec<String> {
    let pages = fs::read_to_string(env.home().join("opened")).unwrap_or_default();
    pages.lines().map(str::to_owned).collect()
}

/// Signs in on a terminal; the page that was shown.
async fn signs_in(world: &World, env: &Env, more: &str) -> String {
    let mut terminal = Terminal::start(env, &format!("login --broker-pin {} {more}", world.pin())).await;
    let shown = terminal.until("waiting for you").await;
    let page = shown.lines().find_map(page_of).expect("a page");
    provider::approve(&page, "alice").await;
    terminal.until("logged in at").await;
    assert_eq!(terminal.ends().await, 0);
    page
}

/// One for each login, where somebody looks at the screen, and never for a connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_opened_once_for_a_login_and_never_for_a_connection() {
    let world = World::start(Twist::default()).await;
    let mut alice = Env::new(&world.broker.url);
    with_a_browser(&mut alice);
    alice.set("DISPLAY", ":7");
    let page = signs_in(&world, &alice, "").await;
    assert_eq!(opened(&alice), [page.as_str()]);
    for _ in 0..2 {
        let mut terminal = Terminal::start(&alice, "connect db -- -XAtc \"select 'row ' || 6 * 7\"").await;
        terminal.until("row 42").await;
        assert_eq!(terminal.ends().await, 0);
    }
    psql(&alice, "select 1").await.ends(0);
    alice.forget_access();
    psql(&alice, "select 1").await.ends(0);
    assert_eq!(opened(&alice), [page.as_str()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_browser_is_opened_where_nobody_would_see_it() {
    let world = World::start(Twist::default()).await;
    let display = ("DISPLAY", ":7");
    let elsewhere: [(&[(&str, &str)], &str); 4] = [
        (&[], ""),
        (&[display, ("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22")], ""),
        (&[display, ("CI", "true")], ""),
        (&[display], "--no-browser"),
    ];
    for (variables, more) in elsewhere {
        let mut alice = Env::new(&world.broker.url);
        with_a_browser(&mut alice);
        for (name, value) in variables {
            alice.set(name, value);
        }
        signs_in(&world, &alice, more).await;
        assert_eq!(opened(&alice), [""; 0], "{variables:?} {more}");
    }
    // nor without a terminal, however many screens there are
    let mut alice = Env::new(&world.broker.url);
    with_a_browser(&mut alice);
    alice.set("DISPLAY", ":7");
    alice.set("WAYLAND_DISPLAY", "wayland-0");
    let pin = world.pin();
    alice.login(&["--broker-pin", &pin], async |page| provider::approve(&page, "alice").await).await.ends(0);
    assert_eq!(opened(&alice), [""; 0]);
}

/// The provider's tokens, the broker's, and the refresh token, in whatever form and however much is logged.
#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_printed_however_much_is_logged() {
    let world = World::start(Twist::default()).await;
    let mut alice = Env::new(&world.broker.url);
    alice.set("HOOPCTL_LOG", "trace");
    let pin = world.pin();
    let arguments = ["--output", "json", "--broker-pin", &pin];
    let login = alice.login(&arguments, async |page| provider::approve(&page, "alice").await).await.ends(0);
    assert!(login.stderr.contains("TRACE"), "nothing is logged: {}", login.stderr);
    let mut said = vec![login.text()];
    let mut tokens = tokens(&alice);
    alice.forget_access();
    for line in [
        ["whoami"].as_slice(),
        &["--output", "json", "whoami"],
        &["list"],
        &["explain", "db"],
        &["connect", "db", "--", "-XAtc", "select 1"],
        &["exec", "db", "--", "env"],
        &["device", "list"],
    ] {
        said.push(alice.run(line).await.ends(0).text());
    }
    // what was renewed meanwhile
    tokens.extend(self::tokens(&alice));
    assert!(tokens.len() >= 3, "{}", tokens.len());
    said.push(alice.run(&["logout"]).await.ends(0).text());
    said.push(world.broker.log());
    for said in said {
        assert!(!said.contains("eyJ"), "a JWT is printed: {said}");
        for token in &tokens {
            assert!(!said.contains(token), "{token} is printed: {said}");
        }
    }
}

/// What is kept of a login and opens something: the access token, and what is in the credential.
fn tokens(env: &Env) -> Vec<String> {
    let mut tokens = Vec::new();
    for file in files_below(&env.state().join("brokers")) {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(&fs::read(&file).expect("ours")) else {
            continue;
        };
        for name in ["token", "refresh_token", "device_key"] {
            tokens.extend(value[name].as_str().filter(|token| token.len() >= 20).map(str::to_owned));
        }
    }
    tokens
}
