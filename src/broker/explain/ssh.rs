//! What `explain` says of a host with an SSH server.

use super::Told;
use crate::domain::target::{RecordLevel, SshIssuer, SshTarget, Target};
use crate::wire::control::ExplainedMask;

pub(super) fn told(target: &Target, ssh: &SshTarget) -> Told {
    Told {
        place: format!("{}@{}:{}", ssh.login, ssh.host, ssh.port),
        masked: ssh.detectors.iter().map(|name| detector(name)).collect(),
        filtered: Vec::new(),
        credential: credential(ssh),
        broker_reach: reach(ssh),
        objects: Vec::new(),
        not_covered: not_covered(target, ssh),
    }
}

fn detector(name: &str) -> ExplainedMask {
    ExplainedMask {
        rule: format!("detector {name}"),
        column: "what commands and terminals show".into(),
        path: None,
        mask: "stars, one for each letter and digit".into(),
        // what the login may read, a program of the host may send elsewhere
        locks: "one lock".into(),
    }
}

fn credential(ssh: &SshTarget) -> String {
    match &ssh.issuer {
        SshIssuer::Certificate { seconds, .. } => format!(
            "a key made for this session alone, with a certificate for `{}` that opens connections for {} minutes; \
             you never see either",
            ssh.login,
            seconds.div_ceil(60)
        ),
        SshIssuer::Static { .. } => {
            format!("a standing key for `{}`, shared by all sessions; it never leaves the broker", ssh.login)
        }
    }
}

fn reach(ssh: &SshTarget) -> String {
    match &ssh.issuer {
        SshIssuer::Certificate { .. } => {
            "every host that trusts the broker's user authority, as any login that it signs".into()
        }
        SshIssuer::Static { .. } => format!("everything that `{}` may do on this host", ssh.login),
    }
}

fn not_covered(target: &Target, ssh: &SshTarget) -> Vec<String> {
    let mut gaps = vec![
        "what a program that may run does by itself: a script, a make target, a binary that somebody uploaded".to_owned(),
        "where links on the host lead: paths are judged as they are written".to_owned(),
        if ssh.supervised {
            "what a line of an interactive shell means to whatever reads it there: each is judged as a shell's own; allow \
             commands one by one where that matters"
        } else {
            "what is typed into an interactive shell: it is not judged, and what is shown of it is recorded; allow \
             commands one by one where that matters"
        }
        .to_owned(),
    ];
    let mut gap = |text: &str| gaps.push(text.to_owned());
    if ssh.detectors.is_empty() {
        gap("nothing is masked in what commands and terminals show");
    } else {
        gap(
            "files over sftp, scp, rsync and git, subsystems, and forwarded ports: nothing in them is masked",
        );
        gap("secrets that a program shows encoded, or letter by letter with pauses");
    }
    if matches!(ssh.issuer, SshIssuer::Static { .. }) {
        gap("the host sees all sessions as one key; who did what is in this ledger only");
    }
    if target.record != RecordLevel::Full {
        gap("what you are shown is not recorded, so it cannot be replayed");
    }
    gap("connections that reach the host by another way than this gateway");
    gaps
}
