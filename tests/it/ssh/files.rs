//! Files: `scp` in both protocols, `sftp`, `rsync` and `git`.

use std::fs;
use std::process::Stdio;

use hoopctl::gateway::journal::ItemKind;

use super::stage::{OPEN, Said, Stage, noise, same, talk};

impl Stage {
    async fn scp(&self, arguments: &[&str]) -> Said {
        let mut command = self.client("scp");
        command.args(arguments);
        talk(command, b"").await
    }

    /// In the test's own folder, on both sides.
    async fn sftp(&self, more: &[&str], batch: &str) -> Said {
        let mut command = self.client("sftp");
        command.args(more).args(["-b", "-", "bastion"]).current_dir(self.folder.path());
        let batch = format!("cd {}\n{batch}", self.folder.path().display());
        talk(command, batch.as_bytes()).await
    }

    /// The operations on files that were judged: verb and verdict, and the path.
    fn files(&self) -> Vec<(String, String)> {
        let statements = self.hall.book.statements();
        let files = statements.into_iter().filter(|(verb, ..)| verb.starts_with("file "));
        files.map(|(_, verdict, text)| (verdict, text)).collect()
    }
}

/// field.md, warpgate 4: scp of 100 MB over SFTP never completed.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_pass_through_scp() {
    let stage = Stage::open().await;
    let (here, there, back) = (stage.path("here"), stage.path("there"), stage.path("back"));
    fs::write(&here, noise(3, 100 << 20)).expect("a file");
    let said = stage.scp(&[&here, &format!("bastion:{there}")]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(same(&here, &there));
    let said = stage.scp(&[&format!("bastion:{there}"), &back]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(same(&here, &back));
    let files = stage.files();
    assert!(files.contains(&("Allow".into(), format!("write {there}"))), "{files:?}");
    assert!(files.contains(&("Allow".into(), format!("read {there}"))), "{files:?}");
    let size = 100 << 20;
    stage
        .until("both outcomes are recorded", |stage| {
            stage.outcomes().iter().filter(|outcome| outcome.rows == size).count() == 2
        })
        .await;
    assert!(stage.items(ItemKind::Screen).is_empty(), "contents are not recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn scp_in_its_old_protocol_is_judged_file_by_file() {
    let rules = format!(
        "{OPEN} @id(\"no-keys\") @reason(\"keys stay\") forbid(principal, action == Hoop::Action::\"file\", resource)
         when {{ context.path like \"*/secret\" }};
         @id(\"no-exec\") forbid(principal, action == Hoop::Action::\"exec\", resource);"
    );
    let stage = Stage::ruled(&rules).await;
    let tree = stage.path("tree");
    fs::create_dir_all(format!("{tree}/deep er")).expect("a folder");
    for name in ["a", "deep er/b'c", "secret"] {
        fs::write(format!("{tree}/{name}"), noise(4, 300_000)).expect("a file");
    }
    let there = stage.path("there");
    let said = stage.scp(&["-O", "-r", &tree, &format!("bastion:{there}")]).await;
    assert!(said.err.contains("keys stay"), "{}", said.err);
    assert_ne!(said.code, 0);
    for name in ["a", "deep er/b'c"] {
        assert!(same(format!("{tree}/{name}"), format!("{there}/{name}")), "{name}");
    }
    assert!(!fs::exists(format!("{there}/secret")).expect("a look"));
    let back = stage.path("back");
    let said = stage.scp(&["-O", "-r", &format!("bastion:{tree}"), &back]).await;
    assert!(said.err.contains("keys stay"), "{}", said.err);
    assert!(same(format!("{tree}/deep er/b'c"), format!("{back}/deep er/b'c")));
    assert!(!fs::exists(format!("{back}/secret")).expect("a look"));
    // of what goes there, only the host knows which of two paths each has
    let whole = |tag: &str| {
        let outcomes = stage.outcomes();
        outcomes.iter().filter(|it| it.rows == 300_000 && it.tag.as_deref() == Some(tag)).count()
    };
    assert_eq!(
        (whole("read 0, written 300000"), whole("read 300000, written 0")),
        (4, 2),
        "{:?}",
        stage.outcomes()
    );
    let refused = stage.scp(&["-O", &format!("bastion:{tree}/*"), &back]).await;
    assert!(refused.err.contains("name them, or leave -O out"), "{}", refused.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relative_path_is_judged_as_the_host_will_have_it() {
    let rules = "@id(\"files\") permit(principal, action == Hoop::Action::\"file\", resource) when { context.read_only };";
    let stage = Stage::ruled(rules).await;
    let here = stage.path("here");
    fs::write(&here, "x").expect("a file");
    let home = std::env::var("HOME").expect("a home");
    for old in [&["-O"][..], &[]] {
        let said = stage.scp(&[old, &[&here, "bastion:./x/../hoopctl-never"]].concat()).await;
        assert_ne!(said.code, 0);
        let files = stage.files();
        let wanted = format!("write {home}/hoopctl-never");
        // it could be a folder: the old protocol asks about the file in it as well
        let all = files.iter().filter(|(_, text)| text.starts_with("write ")).collect::<Vec<_>>();
        assert!(
            !all.is_empty() && all.iter().all(|(_, text)| text.starts_with(&wanted)),
            "{files:?} {said:?}"
        );
        assert!(all.iter().all(|(verdict, _)| verdict == "Deny"), "{files:?}");
        assert!(!fs::exists(format!("{home}/hoopctl-never")).expect("a look"));
        stage.hall.book.events.lock().expect("not poisoned").clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sftp_may_not_do_does_not_happen_and_is_told() {
    let rules = r#"
        @id("look") permit(principal, action == Hoop::Action::"file", resource) when { context.read_only };
        @id("drop") permit(principal, action == Hoop::Action::"file", resource) when { context.path like "*/inbox/*" };
        @id("keep") @reason("files stay") forbid(principal, action == Hoop::Action::"file", resource)
        when { context.operation == "remove" };
    "#;
    let stage = Stage::ruled(rules).await;
    let at = stage.folder.path().display().to_string();
    fs::create_dir(stage.path("inbox")).expect("a folder");
    fs::write(stage.path("kept"), "kept").expect("a file");
    let batch = "put kept inbox/new\n-rm kept\n-rename kept gone\n-put kept inbox/../other\nls inbox\n";
    let said = stage.sftp(&[], batch).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.text().contains("inbox/new"), "{said:?}");
    assert!(same(stage.path("kept"), stage.path("inbox/new")));
    assert!(
        !fs::exists(stage.path("gone")).expect("a look") && !fs::exists(stage.path("other")).expect("a look")
    );
    assert!(said.err.contains("hoopctl: denied by rule `keep`: files stay"), "{}", said.err);
    let files = stage.files();
    for denied in
        [format!("remove {at}/kept"), format!("rename {at}/kept -> {at}/gone"), format!("write {at}/other")]
    {
        assert!(files.contains(&("Deny".into(), denied.clone())), "{denied}: {files:?}");
    }
}

/// The subsystem's rules would be worth nothing if its program could be started by name.
#[tokio::test(flavor = "multi_thread")]
async fn sftp_started_as_a_command_is_judged_alike() {
    let rules = format!(
        "{OPEN} @id(\"keep\") @reason(\"files stay\") forbid(principal, action == Hoop::Action::\"file\", resource)
         when {{ context.operation == \"remove\" }};"
    );
    let stage = Stage::ruled(&rules).await;
    let kept = stage.path("kept");
    fs::write(&kept, "kept").expect("a file");
    let said = stage.sftp(&["-s", "/usr/lib/openssh/sftp-server"], &format!("ls {kept}\nrm {kept}\n")).await;
    assert!(said.text().contains(&kept), "{said:?}");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(fs::exists(&kept).expect("a look"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_held_waits_for_its_review() {
    let rules = format!(
        "{OPEN} @id(\"held\") @reason(\"somebody looks\") @review(\"corp/dba:1\")
         forbid(principal, action == Hoop::Action::\"file\", resource) when {{ context.operation == \"write\" }};"
    );
    let stage = Stage::ruled(&rules).await;
    let (here, there) = (stage.path("here"), stage.path("there"));
    fs::write(&here, "content").expect("a file");
    for old in [&["-O"][..], &[]] {
        let to = format!("bastion:{there}");
        let arguments = [old, &[here.as_str(), to.as_str()]].concat();
        let (said, ()) = tokio::join!(stage.scp(&arguments), async {
            loop {
                let request = stage.hall.desk.next().await;
                assert!(!fs::exists(&there).expect("a look"), "nothing is written yet");
                // where only the host knows whether the target is a folder, both paths are asked about
                let last = request.text() == format!("write {there}");
                stage.hall.desk.approve(request);
                if last {
                    break;
                }
            }
        });
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.err.contains("held for review: somebody looks (rule held)"), "{}", said.err);
        assert!(same(&here, &there));
        fs::remove_file(&there).expect("it goes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rsync_carries_a_tree_and_may_be_denied() {
    let rules = format!(
        "{OPEN} @id(\"no-delete\") @reason(\"nothing is removed\") forbid(principal, action == Hoop::Action::\"exec\", resource)
         when {{ context.effects.contains(\"delete\") }};"
    );
    let stage = Stage::ruled(&rules).await;
    let tree = stage.path("tree");
    for number in 0..200 {
        let folder = format!("{tree}/{}", number % 10);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(format!("{folder}/{number}"), noise(number, 2_000)).expect("a file");
    }
    let rsync = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new("rsync");
        command.args(["-a", "-e", &format!("ssh -F {}", stage.config())]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        talk(command, b"").await
    };
    let there = format!("bastion:{}", stage.path("there"));
    let said = rsync(&[&format!("{tree}/"), &there]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(same(format!("{tree}/7/197"), stage.path("there/7/197")));
    let said = rsync(&[&format!("{there}/"), &stage.path("back")]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(same(format!("{tree}/3/103"), stage.path("back/3/103")));
    let said = rsync(&["--delete", &format!("{tree}/1/"), &there]).await;
    assert!(said.err.contains("nothing is removed"), "{said:?}");
    assert!(fs::exists(stage.path("there/7/197")).expect("a look"));
}

#[tokio::test(flavor = "multi_thread")]
async fn git_pushes_and_fetches() {
    let rules = format!(
        "{OPEN} @id(\"no-push\") @reason(\"the archive stays\") forbid(principal, action == Hoop::Action::\"exec\", resource)
         when {{ context.programs.contains(\"git-receive-pack\") && context.paths.contains(\"ARCHIVE\") }};"
    );
    let archive = tempfile::tempdir().expect("a folder");
    let shut = archive.path().join("shut.git").display().to_string();
    let stage = Stage::ruled(&rules.replace("ARCHIVE", &shut)).await;
    let git = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new("git");
        command.args(["-c", "user.name=alice", "-c", "user.email=alice@example.com"]).args(arguments);
        command
            .env("GIT_SSH_COMMAND", format!("ssh -F {}", stage.config()))
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.current_dir(stage.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        talk(command, b"").await
    };
    let (work, bare) = (stage.path("work"), stage.path("bare.git"));
    for arguments in [
        &["init", "-q", "-b", "main", work.as_str()][..],
        &["init", "-q", "--bare", "-b", "main", bare.as_str()],
        &["init", "-q", "--bare", "-b", "main", shut.as_str()],
        &["-C", work.as_str(), "commit", "-q", "--allow-empty", "-m", "first"],
    ] {
        let said = git(arguments).await;
        assert_eq!(said.code, 0, "{said:?}");
    }
    let said = git(&["-C", &work, "push", &format!("bastion:{bare}"), "main"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let said = git(&["clone", "-q", &format!("bastion:{bare}"), &stage.path("clone")]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let said = git(&["-C", &work, "push", &format!("bastion:{shut}"), "main"]).await;
    assert_ne!(said.code, 0);
    assert!(said.err.contains("the archive stays"), "{said:?}");
}
