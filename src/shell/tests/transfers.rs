//! What clients of `scp`, `rsync`, `git` and `sftp` send, and what only looks like it.

use super::{has, judged};
use crate::domain::facts::Effect;
use crate::shell::Transfer;

#[test]
fn the_commands_of_clients_are_transfers() {
    let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let known: Vec<(&str, Transfer)> = vec![
        ("scp -t /srv/in", Transfer::ScpTo(paths(&["/srv/in"]))),
        ("scp -r -p -t -- /srv/in", Transfer::ScpTo(paths(&["/srv/in"]))),
        ("scp -v -d -t '/srv/a b'", Transfer::ScpTo(paths(&["/srv/a b"]))),
        ("scp -f /srv/../etc/x", Transfer::ScpFrom(paths(&["/etc/x"]))),
        ("scp -rf *.log", Transfer::ScpFrom(paths(&["*.log"]))),
        ("scp -f /a /b", Transfer::ScpFrom(paths(&["/a", "/b"]))),
        (
            "rsync --server -logDtpre.iLsfxCIvu . /srv/in/",
            Transfer::RsyncTo { paths: Some(paths(&["/srv/in"])), deletes: false },
        ),
        (
            "rsync --server -vlogDtprze.iLsfxCIvu --delete --partial . /srv/in",
            Transfer::RsyncTo { paths: Some(paths(&["/srv/in"])), deletes: true },
        ),
        (
            "rsync --server --sender -vlogDtpre.iLsfxCIvu . /srv/a /srv/b",
            Transfer::RsyncFrom(Some(paths(&["/srv/a", "/srv/b"]))),
        ),
        (
            "rsync --server -blogDtpre.iLsfxCIvu --backup-dir /b --temp-dir /t --log-format=X . /srv/a",
            Transfer::RsyncTo { paths: Some(paths(&["/srv/a", "/b", "/t"])), deletes: false },
        ),
        (
            "rsync --server --sender -logDtpr --timeout=5 -B700 . /srv/a",
            Transfer::RsyncFrom(Some(paths(&["/srv/a"]))),
        ),
        ("git-upload-pack 'team/app.git'", Transfer::GitFetch("team/app.git".into())),
        ("git-upload-pack '/srv/it'\\''s.git'", Transfer::GitFetch("/srv/it's.git".into())),
        ("git receive-pack '/srv/app.git'", Transfer::GitPush("/srv/app.git".into())),
        ("git-receive-pack '~/app.git'", Transfer::GitPush("~/app.git".into())),
        ("git-upload-archive '/srv/app.git'", Transfer::GitArchive("/srv/app.git".into())),
        ("/usr/lib/openssh/sftp-server", Transfer::Sftp),
    ];
    for (command, transfer) in known {
        let judged = judged(command);
        let writes = matches!(
            transfer,
            Transfer::GitPush(_) | Transfer::RsyncTo { .. } | Transfer::ScpTo(_) | Transfer::Sftp
        );
        assert_eq!(judged.facts.read_only, !writes, "{command}");
        assert_eq!(has(&judged, Effect::Write), writes, "{command}");
        assert_eq!(judged.transfer, Some(transfer), "{command}");
    }
}

#[test]
fn what_does_more_is_no_transfer() {
    for command in [
        "scp -t /srv/in; rm -rf /",
        "scp -t /srv/in > x",
        "scp -t $(rm -rf /)",
        "scp -t $x",
        "scp -t -S /tmp/evil x",
        "scp -f -t x",
        "scp -t",
        "/tmp/scp -t x",
        "PATH=/tmp scp -t x",
        "rsync --server --daemon . /",
        "rsync --server --sender -e.L --rsh='rm -rf /' . /",
        "rsync --server --log-file=/etc/x -e.L . /",
        "rsync --server --sender --remove-source-files -e.L . /",
        "rsync --server -e.L / /",
        "rsync --sender --server . /",
        "git-upload-pack --exec=x 'a'",
        "git-upload-pack a b",
        "git -c x=y upload-pack a",
        "git-upload-pack 'a' | sh",
        "/tmp/sftp-server",
        "sftp-server -d /",
    ] {
        let judged = judged(command);
        assert_eq!(judged.transfer, None, "{command}");
        assert!(!judged.facts.read_only, "{command}");
    }
}

#[test]
fn what_a_deleting_transfer_does_is_seen() {
    let deleting = judged("rsync --server -logDtpre.iLsfxCIvu --delete-after . /srv");
    assert!(has(&deleting, Effect::DeleteTree));
    let later = judged("rsync --server --sender -se.LsfxCIvu");
    assert_eq!(later.transfer, Some(Transfer::RsyncFrom(None)));
    assert!(has(&later, Effect::Unjudged), "what it reads is not known");
    let later = judged("rsync --server -slogDtpre.iLsfxCIvu");
    assert_eq!(later.transfer, Some(Transfer::RsyncTo { paths: None, deletes: false }));
    assert!(has(&later, Effect::Unjudged), "where it writes is not known");
    assert!(has(&judged("sftp-server"), Effect::Unjudged), "what it does is in the bytes that follow");
}
