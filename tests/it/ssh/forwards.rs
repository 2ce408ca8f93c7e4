//! Ports, agents and displays.

use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::stage::{OPEN, Stage};
use crate::support::postgres::free_port;

fn allowing(kind: &str) -> String {
    format!(
        "{OPEN} @id(\"forward\") permit(principal, action == Hoop::Action::\"forward\", resource)
         when {{ context.kind == \"{kind}\" }};"
    )
}

/// What policy said of forwardings.
fn forwardings(stage: &Stage) -> Vec<(String, String)> {
    let all = stage.hall.book.statements();
    let of = all.into_iter().filter(|(verb, ..)| verb.starts_with("forward "));
    of.map(|(_, verdict, text)| (verdict, text)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_the_host_can_reach_is_reached_where_policy_lets_it() {
    for (rules, good) in [(allowing("local"), true), (allowing("remote"), false)] {
        let stage = Stage::ruled(&rules).await;
        let to = format!("127.0.0.1:{}", stage.sshd.port);
        let mut command = stage.client("ssh");
        command.args(["-W", &to, "bastion"]).stdin(Stdio::piped());
        let mut child = command.spawn().expect("ssh runs");
        let mut hello = vec![0; 4];
        let read = child.stdout.as_mut().expect("a pipe").read_exact(&mut hello).await;
        assert_eq!(read.is_ok() && hello == *b"SSH-", good);
        if !good {
            let output = child.wait_with_output().await.expect("it ends");
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(err.contains("stdio forwarding failed"), "{err}");
        }
        let verdict = if good { "Allow" } else { "Deny" };
        let local = (verdict.to_owned(), format!("forward to {to}"));
        assert_eq!(forwardings(&stage).first(), Some(&local));
        assert!(stage.screen().is_empty(), "what no mask has seen is kept: {:?}", stage.screen());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socks_port_asks_for_each_of_its_connections() {
    let shut = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let denied = shut.local_addr().expect("an address").port();
    let rules = format!(
        "{} @id(\"not-there\") forbid(principal, action == Hoop::Action::\"forward\", resource)
         when {{ context.port == {denied} }};",
        allowing("local")
    );
    let stage = Stage::ruled(&rules).await;
    let port = free_port();
    let mut command = stage.client("ssh");
    command.args(["-D", &format!("127.0.0.1:{port}"), "-N", "bastion"]);
    let _ssh = command.spawn().expect("ssh runs");
    stage.until("it listens", |_| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    for (to, good) in [(stage.sshd.port, true), (denied, false)] {
        let mut socks = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
        socks.write_all(&[5, 1, 0]).await.expect("sent");
        socks.read_exact(&mut [0; 2]).await.expect("a greeting");
        let [high, low] = to.to_be_bytes();
        socks.write_all(&[5, 1, 0, 1, 127, 0, 0, 1, high, low]).await.expect("sent");
        let mut hello = [0; 14];
        let read = socks.read_exact(&mut hello).await;
        assert_eq!(read.is_ok() && hello[10..] == *b"SSH-", good, "port {to}");
    }
    shut.set_nonblocking(true).expect("a socket");
    assert!(shut.accept().is_err(), "nobody came to the port that is denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_the_host_leads_back_where_policy_lets_it() {
    for (rules, good) in [(allowing("remote"), true), (allowing("local"), false)] {
        let stage = Stage::ruled(&rules).await;
        let port = free_port();
        let forward = format!("127.0.0.1:{port}:127.0.0.1:{}", stage.sshd.port);
        let ask = format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; head -c 4 <&3'");
        let options = ["-o", "ExitOnForwardFailure=yes", "-R", &forward, "bastion", &ask];
        let said = stage.run_with(&options, b"").await;
        if good {
            assert_eq!(said.text(), "SSH-", "{said:?}");
            let wanted = ("Allow".to_owned(), format!("remote 127.0.0.1:{port}"));
            assert_eq!(forwardings(&stage), [wanted.clone(), wanted], "to listen, and each that comes back");
            stage
                .until("the outcomes of both that carried something", |stage| stage.outcomes().len() == 2)
                .await;
            assert_eq!(stage.screen(), b"SSH-", "of what ssh itself showed alone");
        } else {
            assert_eq!((said.code, said.text().as_str()), (255, ""), "{said:?}");
            assert!(said.err.contains("remote port forwarding failed"), "{}", said.err);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_and_displays_stay_home_unless_policy_lets_them_go() {
    // the agent that answers is the one of the client
    let commands =
        "test -z \"$SSH_AUTH_SOCK\" || ssh-add -l; echo \"${SSH_AUTH_SOCK:-none} ${DISPLAY:-none}\"";
    for (rules, good) in [(allowing("agent"), true), (OPEN.to_owned(), false)] {
        let stage = Stage::ruled(&rules).await;
        let agent = stage.path("agent");
        let mut running = tokio::process::Command::new("ssh-agent");
        running.args(["-D", "-a", &agent]).stdout(Stdio::null()).kill_on_drop(true);
        let _agent = running.spawn().expect("ssh-agent runs");
        stage.until("the agent listens", |_| std::path::Path::new(&agent).exists()).await;
        let mut command = stage.client("ssh");
        command.args(["-o", &format!("IdentityAgent={agent}"), "-A", "-X", "bastion", commands]);
        command.env("DISPLAY", ":99");
        let said = super::stage::talk(command, b"").await;
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(said.text() == "none none\n", !good, "{said:?}");
        assert_eq!(said.text().contains("The agent has no identities."), good, "{said:?}");
        assert!(said.text().ends_with(" none\n"), "{said:?}");
        let verdicts = forwardings(&stage);
        let wanted = if good { "Allow" } else { "Deny" };
        assert!(verdicts.iter().any(|(verdict, text)| verdict == wanted && text.starts_with("agent")));
        assert!(verdicts.iter().any(|(verdict, text)| verdict == "Deny" && text.starts_with("x11")));
    }
}

/// A rule about a host must not be passed by another way to write it.
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_judged_in_one_spelling() {
    let rules = format!(
        "{} @id(\"not-there\") forbid(principal, action == Hoop::Action::\"forward\", resource)
         when {{ context.host == \"127.0.0.1\" }};",
        allowing("local")
    );
    let stage = Stage::ruled(&rules).await;
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "::ffff:127.0.0.1"] {
        let to = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let said = stage.run_with(&["-W", &format!("{to}:{}", stage.sshd.port), "bastion"], b"").await;
        assert_eq!((said.text().as_str(), said.code), ("", 255), "{host}: {said:?}");
    }
    let all = forwardings(&stage);
    assert!(all.len() == 5 && all.iter().all(|(verdict, _)| verdict == "Deny"), "{all:?}");
}
