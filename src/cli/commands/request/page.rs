//! A request on a page: all that a reviewer must know.
//!
//! Job: text out of a [`Dossier`], pure. Boundary: what stands behind `asked by` down to `literals` is
//! read from the text that is signed; state, reviews and what is missing are the broker's word. Every
//! text from elsewhere goes through `harmless`.

use jiff::Timestamp;

use super::words::{lasting, state, when};
use crate::cli::facts;
use crate::cli::ui::harmless::{block, line, wrapped};
use crate::client::approvals::{Dossier, Signature};
use crate::domain::action::Deed;
use crate::domain::approval::{Decision, DeedSubject, Review, SessionSubject, What};

/// The page.
#[must_use]
pub fn page(dossier: &Dossier, now: Timestamp) -> String {
    let (view, subject) = (dossier.view(), dossier.subject());
    let request = &view.request;
    let mut page = Page::default();
    page.field("request", request.id.as_str());
    page.field("state", &state(view, now));
    page.field("asked by", &format!("{} ({})", request.display, subject.requester));
    page.field("filed", &when(request.filed, now));
    page.field("target", subject.target.as_str());
    match &subject.reason {
        Some(reason) => page.field("reason", &format!("“{reason}”")),
        None => page.field("reason", "none given"),
    }
    let rules: Vec<&str> = subject.rules.iter().map(crate::domain::name::RuleName::as_str).collect();
    page.field("rule", &rules.join(", "));
    match &subject.what {
        What::Session(session) => page.session(session, now),
        What::Deed(deed) => page.deed(deed, dossier.literals(), request.standing_max),
    }
    page.reviews(dossier, now);
    page.field("policy", subject.policy.as_str());
    page.field("digest", dossier.digest().as_str());
    page.0.join("\n")
}

#[derive(Default)]
struct Page(Vec<String>);

impl Page {
    /// A name, and text that is made harmless here.
    fn field(&mut self, name: &str, value: &str) {
        self.0.push(format!("{name:<LABEL$} {}", wrapped(&line(value), WIDTH, LABEL + 1)));
    }

    fn title(&mut self, title: &str) {
        self.0.push(format!("\n{title}"));
    }

    fn item(&mut self, text: &str) {
        self.0.push(format!("  {}", wrapped(&line(text), WIDTH, 4)));
    }

    fn block(&mut self, title: &str, text: &str) {
        self.title(title);
        self.0.extend(block(text, WIDTH));
    }

    fn session(&mut self, session: &SessionSubject, now: Timestamp) {
        let many = if session.once { "one session" } else { "any number of sessions" };
        self.field("wants", &format!("{many}, for {}", lasting(session.seconds)));
        match session.starts {
            Some(starts) => self.field("from", &when(starts, now)),
            None => self.field("from", "the approval on"),
        }
        if let Some(grant) = &session.extends {
            self.field("extends", &format!("{grant}, which would last longer"));
        }
        self.0.push(String::new());
    }

    fn deed(&mut self, deed: &DeedSubject, free: Option<usize>, standing_max: u64) {
        self.field("session", &format!("{}, connection {}", deed.session, deed.connection));
        let (place, what) = match &deed.facts {
            Deed::Statement(_) => ("database", "Statement"),
            Deed::Call(_) => ("host", "Call"),
            Deed::Exec(_) => ("host", "Command line"),
            _ => ("host", "Action"),
        };
        self.field(place, &format!("{} ({}), as {}", deed.database, deed.protocol, deed.login));
        self.block(what, &deed.text);
        if !deed.values.is_empty() {
            self.title("Bind values");
            for (number, value) in (1_usize..).zip(&deed.values) {
                self.item(&format!("${number} = {value}"));
            }
        }
        match &deed.sent {
            Some(sent) => self.block(&format!("What is sent to the {place}"), sent),
            None => {
                self.title(&format!("What is sent to the {place}"));
                self.item("the same, as it stands above");
            }
        }
        self.title("What it does");
        for fact in facts::sentences(&deed.facts, deed.estimate) {
            self.item(&fact);
        }
        if !deed.settings.is_empty() {
            self.title("Settings of the connection");
            for (name, value) in &deed.settings {
                self.item(&format!("{name} = {value}"));
            }
        }
        if let (Some(shape), Some(_)) = (&deed.shape, free) {
            self.title(&format!("Literals, for --standing (at most {}) with --free", lasting(standing_max)));
            if shape.literals.is_empty() {
                self.item("none: a standing decision would be for exactly this statement");
            }
            for (number, literal) in (1_usize..).zip(&shape.literals) {
                self.item(&format!("{number:>2}  {}", literal.shown));
            }
        }
    }

    fn reviews(&mut self, dossier: &Dossier, now: Timestamp) {
        let view = dossier.view();
        let before = self.0.len();
        self.title("Reviews");
        for given in &view.request.reviews {
            self.review(given, dossier.check(given), now);
        }
        if view.request.reviews.is_empty() {
            self.item("none yet");
        }
        if !view.missing.is_empty() && !view.request.state.is_final() {
            self.item(&format!("missing: {}", view.missing));
        }
        self.0.push(String::new());
        // a session's part ends with an empty line already
        if before > 0 && self.0.get(before - 1).is_some_and(String::is_empty) {
            self.0.remove(before - 1);
        }
    }

    fn review(&mut self, given: &Review, signature: Signature, now: Timestamp) {
        let said = match given.decision {
            Decision::Approve => "approved by",
            Decision::Deny => "denied by",
        };
        self.item(&format!("{said} {} ({}), {}", given.display, given.reviewer, when(given.at, now)));
        if let Some(reason) = &given.reason {
            self.item(&format!("  “{reason}”"));
        }
        if let Some(standing) = &given.standing {
            let free: Vec<String> =
                standing.free.iter().map(|place| (u32::from(*place) + 1).to_string()).collect();
            let free = if free.is_empty() {
                "no literal free".to_owned()
            } else {
                format!("free: {}", free.join(", "))
            };
            self.item(&format!("  stands for {}, {free}", lasting(standing.seconds)));
        }
        let groups: Vec<&str> = given.groups.iter().map(crate::domain::name::GroupName::as_str).collect();
        let signed = match signature {
            Signature::Holds => format!("signed by the device {}", given.device),
            Signature::Broken => "THE SIGNATURE DOES NOT HOLD; tell whoever answers for the broker".into(),
        };
        self.item(&format!("  as a member of {}", groups.join(", ")));
        self.item(&format!("  {signed}"));
    }
}

const WIDTH: usize = 80;
const LABEL: usize = 9;
