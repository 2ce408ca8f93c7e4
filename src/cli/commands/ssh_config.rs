//! `hoopctl ssh-config`.
//!
//! Job: make plain `ssh TARGET` work, by a file of ours with a block per target, which the user's own
//! configuration includes. Boundary: of the user's file, one line is ours. Failure mode: what cannot be written
//! so that ssh reads it as meant is not written.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::opening::own;
use crate::cli::args::SshConfig;
use crate::cli::context::{Context, set};
use crate::cli::failure::{Failure, FailureKind};
use crate::client::api::Api;
use crate::client::home::BrokerHome;
use crate::client::ssh::include::{exclude, include, include_line};
use crate::client::ssh::keys::KeyPlace;
use crate::client::ssh::{Host, shell_word};
use crate::client::userfile::UserFile;
use crate::domain::name::TargetName;

/// Writes the configuration, shows what it would be, or takes it away.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, args: SshConfig) -> Result<u8, Failure> {
    if !context.stays() {
        let message = "what is written now would be gone when this command ends";
        return Err(Failure::new(FailureKind::Configuration, message)
            .hint("set HOOPCTL_HOME to a directory that stays"));
    }
    let user = user_file(args.file)?;
    let place = context.place()?;
    let root = context.client.home.root();
    let line = include_line(&root.join("brokers"), &format!("*/{FOLDER}/{FILE}"))?;
    let ours = place.folder(&[FOLDER])?.join(FILE);
    if args.remove {
        return remove(context, &place, &user, (&line, &ours));
    }
    let api = context.api().await?;
    let targets = targets(&api, &args.targets).await?;
    let mut text = format!("# written by `hoopctl ssh-config` for {}; changes are lost\n\n", place.url());
    for target in &targets {
        text.push_str(&block(context, &api, &place, target).await?);
    }
    let ui = context.ui;
    if args.dry_run {
        if ui.json {
            ui.object(&json!({ "file": ours, "text": text, "include": line, "in": user.path() }));
        } else {
            ui.line(&text);
            ui.talk(&format!(
                "this would go to {}, and to the top of {}:\n{line}",
                ours.display(),
                user.path().display()
            ));
        }
        return Ok(0);
    }
    let _turn = place.lock()?;
    place.write(&format!("{FOLDER}/{FILE}"), text.as_bytes())?;
    let changed = include(&user, &line)?;
    if ui.json {
        ui.object(&json!({ "file": ours, "targets": targets, "changed": changed, "in": user.path() }));
        return Ok(0);
    }
    for target in &targets {
        ui.line(&format!("ssh {target}"));
    }
    match targets.len() {
        0 => ui.talk("there is no SSH target that you may reach"),
        _ => ui.talk(&format!("ready; {} includes {}", user.path().display(), ours.display())),
    }
    Ok(0)
}

fn remove(
    context: &Context,
    place: &BrokerHome,
    user: &UserFile,
    (line, ours): (&str, &Path),
) -> Result<u8, Failure> {
    let _turn = place.lock()?;
    place.remove(&format!("{FOLDER}/{FILE}"))?;
    // another broker's targets may still need the line
    let others = std::fs::read_dir(context.client.home.root().join("brokers"));
    let needed =
        others.into_iter().flatten().flatten().any(|entry| entry.path().join(FOLDER).join(FILE).exists());
    let changed = !needed && exclude(user, line)?;
    if context.ui.json {
        context.ui.object(&json!({ "removed": ours, "changed": changed, "in": user.path() }));
    } else {
        context.ui.line(&format!("removed {}", ours.display()));
        if changed {
            context.ui.line(&format!("took the line out of {}", user.path().display()));
        }
    }
    Ok(0)
}

/// The SSH targets among those that the caller may reach, all or those named.
async fn targets(api: &Api, wanted: &[String]) -> Result<Vec<TargetName>, Failure> {
    let all = api.targets().await?.into_iter().filter(|target| target.protocol == "ssh");
    let all: Vec<TargetName> = all.map(|target| target.name).collect();
    if wanted.is_empty() {
        return Ok(all);
    }
    let named = wanted.iter().map(|name| {
        all.iter().find(|target| target.as_str() == name).cloned().ok_or_else(|| {
            Failure::new(FailureKind::Denied, format!("there is no SSH target `{name}` that you may reach"))
                .hint("`hoopctl list` shows what you may reach")
        })
    });
    named.collect()
}

async fn block(
    context: &Context,
    api: &Api,
    place: &BrokerHome,
    target: &TargetName,
) -> Result<String, Failure> {
    let told = api.explain(target.as_str()).await?;
    let login = told.database.split_once('@').map(|(login, _)| login).filter(|login| is_login(login));
    let login = login.ok_or_else(|| {
        Failure::new(FailureKind::BadData, format!("the broker names no login of `{target}`"))
    })?;
    let keys = KeyPlace::new(place, target.as_str())?;
    let (root, own) = (context.client.home.root(), own()?);
    let mut words = Vec::new();
    // whoever runs ssh later may have another place for state, or none set
    if set("HOOPCTL_HOME").is_some() || set("XDG_STATE_HOME").is_some() {
        let mut variable = OsString::from("HOOPCTL_HOME=");
        variable.push(root);
        words.extend(["env".to_owned(), shell_word(&variable)?]);
    }
    words.extend([shell_word(own.as_os_str())?, "ssh-proxy".into(), target.to_string()]);
    for word in context.again(place) {
        words.push(shell_word(&word)?);
    }
    let (key, known_hosts, command) = (keys.key(), keys.known_hosts(), words.join(" "));
    let host = Host {
        name: target.as_str(),
        user: login,
        key: &key,
        known_hosts: &known_hosts,
        command: &command,
        passes: false,
    };
    Ok(host.block()?)
}

/// What can stand in a configuration of ssh without being taken for anything else.
fn is_login(login: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !login.is_empty() && !login.starts_with('-') && login.chars().all(fits)
}

fn user_file(named: Option<PathBuf>) -> Result<UserFile, Failure> {
    let path = match named {
        Some(path) => path,
        None => PathBuf::from(set("HOME").ok_or_else(|| {
            Failure::new(FailureKind::Configuration, "HOME is not set")
                .hint("name the configuration of ssh with `--file FILE`")
        })?)
        .join(".ssh/config"),
    };
    Ok(UserFile::at(&path)?)
}

/// Below a broker's place.
const FOLDER: &str = "ssh";
const FILE: &str = "config";
