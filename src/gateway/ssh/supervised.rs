//! An interactive shell whose lines are judged one by one.
//!
//! Job: between a client's keyboard and the host's shell stands a line discipline of ours; each line is an
//! action `exec`, and the host gets it once it may. Boundary: judges lines as text. What runs on the host may
//! not be the shell that they are judged for (an editor, an interpreter, an alias): `docs/ssh.md` says what
//! this cannot see. Failure mode: a line that is refused goes nowhere, and the user is told.

use bytes::BytesMut;
use russh::ChannelReadHalf;

use super::channel::{Broken, Host, LINGER, OUT, noticed};
use super::client::Client;
use super::display::Display;
use super::docket::Docket;
use super::mail::{Ask, Mail};
use super::shared::{Shared, case};
use crate::domain::action::Deed;
use crate::gateway::journal::ItemKind;
use crate::gateway::judge::{Case, Judged, Refused};
use crate::recording::item::Resize;
use crate::shell;
use crate::wire::ssh::refusal::Refusal;
use crate::wire::ssh::terminal::{Answer, Line, LineId, Supervisor};

/// Moves lines up and bytes down until the host closes; whether it did, so that its connection can be used
/// again.
pub(super) async fn run(
    shared: &Shared,
    (client, mail): (&Client, &mut Mail),
    (read, host): (&mut ChannelReadHalf, &Host),
    display: &mut Display,
) -> Result<bool, Broken> {
    let (docket, mut told) = Docket::new(shared.turnstile.clone());
    let mut desk = Desk { shared, docket };
    let mut supervisor = Supervisor::new();
    let mut input = BytesMut::new();
    loop {
        supervisor.handle_client(&mut input);
        while let Some(line) = supervisor.poll_question() {
            if let Some(answer) = desk.ask(&line) {
                supervisor.handle_answer(line.id, &answer);
            }
        }
        let echo = supervisor.client_output().split().freeze();
        if !echo.is_empty() {
            shared.turnstile.reel().piece(ItemKind::Screen, display.number, OUT, &echo).await?;
            if client.data(echo).await.is_err() {
                return Ok(false);
            }
        }
        let lines = supervisor.upstream_output().split().freeze();
        if !lines.is_empty() && host.data_bytes(lines).await.is_err() {
            // the host has closed; what it still had to say is on its way
            return display.rest(shared, read, client).await;
        }
        let takes = supervisor.wants_input() && input.len() < INPUT;
        tokio::select! {
            Some((id, judged)) = desk.docket.next(), if !desk.docket.is_empty() => {
                supervisor.handle_answer(id, &answered(judged?));
            }
            Some(notice) = told.recv() => {
                let _sent = client.error(noticed(&notice)).await;
            }
            heard = display.listen(read) => {
                if let Some(clean) = display.show(shared, client, heard).await? {
                    return Ok(clean);
                }
                supervisor.conceal(display.asks_for_secret());
            }
            ask = mail.next(), if takes => match ask {
                Some(Ask::Data(bytes)) => {
                    if bytes.contains(&CTRL_C) {
                        desk.docket.give_up();
                    }
                    input.extend_from_slice(&bytes);
                }
                Some(Ask::Window([columns, rows, width, height])) => {
                    let resize = Resize { number: display.number, columns, rows };
                    shared.turnstile.reel().json(ItemKind::Resize, &resize).await?;
                    let _sent = host.window_change(columns, rows, width, height).await;
                }
                Some(Ask::Signal(signal)) => drop(host.signal(signal).await),
                Some(Ask::Eof) => drop(host.eof().await),
                Some(Ask::Close) | None => {
                    desk.docket.give_up();
                    let _sent = host.close().await;
                    let rest = display.rest(shared, read, client);
                    return tokio::time::timeout(LINGER, rest).await.unwrap_or(Ok(false));
                }
                // a channel runs one thing
                Some(_) => {}
            },
        }
    }
}

/// Where lines are judged.
struct Desk<'a> {
    shared: &'a Shared,
    docket: Docket<LineId>,
}

impl Desk<'_> {
    /// Asks about a line; the answer, where there is nothing to ask.
    fn ask(&mut self, line: &Line) -> Option<Answer> {
        if line.concealed {
            return Some(refused(
                "what is typed where a password is asked for does not pass a supervised shell",
            ));
        }
        if line.text.is_empty() {
            return Some(Answer::Forward);
        }
        let facts = match shell::judge_line(line.text.as_bytes()) {
            shell::Line::Complete(judged) => judged.facts,
            shell::Line::Incomplete => {
                return Some(refused("this is not a whole command; give all of it in one line"));
            }
        };
        let exact = line.text.clone().into_bytes();
        let text = self.shared.redacted(line.text.clone());
        self.docket.put(line.id, Case { exact, ..case(Deed::Exec(facts), text) });
        None
    }
}

fn answered(judged: Judged) -> Answer {
    match judged {
        Ok(_) => Answer::Forward,
        Err(Refused { denial, .. }) => Answer::Refuse(Refusal {
            rule: denial.rule.to_string(),
            reason: denial.reason,
            hint: denial.hint,
        }),
    }
}

fn refused(reason: &str) -> Answer {
    Answer::Refuse(Refusal { rule: "supervised".into(), reason: reason.into(), hint: None })
}

/// More input than this waits where it comes from.
const INPUT: usize = 64 * 1024;
/// End of text: what Ctrl-C types.
const CTRL_C: u8 = 3;
