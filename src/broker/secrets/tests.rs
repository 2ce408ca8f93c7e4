#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use secrecy::ExposeSecret as _;

use super::*;

fn secrets() -> Secrets {
    Secrets::new(|name| (name == "PGPASS").then(|| "from-env\n".to_owned()))
}

fn command(script: &str) -> SecretSource {
    SecretSource::Command(["/bin/sh", "-c", script].map(String::from).to_vec())
}

#[tokio::test]
async fn each_source_gives_its_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "from-file\r\nsecond line\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let sources = [
        (command("echo from-command; echo more"), "from-command"),
        (SecretSource::Env("PGPASS".into()), "from-env"),
        (SecretSource::File(path), "from-file"),
    ];
    for (source, expected) in sources {
        assert_eq!(secrets().fetch(&source).await.unwrap().expose_secret(), expected);
    }
}

#[tokio::test]
async fn a_file_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "hunter2").unwrap();
    for mode in [0o644, 0o640, 0o604, 0o660, 0o602] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = secrets().fetch(&SecretSource::File(path.clone())).await.unwrap_err();
        assert!(matches!(&error, SecretError::File { why, .. } if why.contains("chmod 600")), "{error}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn a_slow_command_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let script = format!("sleep 60 & echo $! > {}; wait", pid_file.display());
    let started = Instant::now();
    let error =
        secrets().with_patience(Duration::from_millis(300)).fetch(&command(&script)).await.unwrap_err();
    assert!(matches!(error, SecretError::TooSlow { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
    let pid: i32 = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    let child = rustix::process::Pid::from_raw(pid).unwrap();
    let state =
        || std::fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero())).unwrap_or_default();
    while !state().is_empty() && !state().contains(") Z ") {
        assert!(started.elapsed() < Duration::from_secs(10), "the child of the command lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_command_that_never_stops_talking_is_cut() {
    let error = secrets().fetch(&command("yes secret")).await.unwrap_err();
    assert!(matches!(error, SecretError::TooLong(_)), "{error}");
}

#[tokio::test]
async fn a_failing_command_does_not_show_its_output() {
    let error = secrets().fetch(&command("echo hunter2; echo hunter2 >&2; exit 3")).await.unwrap_err();
    assert!(matches!(error, SecretError::Failed { .. }), "{error}");
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}

#[tokio::test]
async fn no_shell_looks_at_the_words() {
    let source = SecretSource::Command(["/bin/echo", "$HOME `id` ; true"].map(String::from).to_vec());
    assert_eq!(secrets().fetch(&source).await.unwrap().expose_secret(), "$HOME `id` ; true");
}

#[tokio::test]
async fn nothing_is_never_a_secret() {
    for source in [command("true"), SecretSource::Env("UNSET".into()), SecretSource::Command(Vec::new())] {
        assert!(secrets().fetch(&source).await.is_err());
    }
}
