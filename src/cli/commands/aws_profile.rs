//! `hoopctl aws-profile`.
//!
//! Job: make `--profile hoop-TARGET` work in every tool of AWS, by one marked part of the user's own configuration.
//! Boundary: every other byte of that file stays. Failure mode: what cannot be written so that SDKs read it as meant is
//! not written.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::json;

use super::opening::own;
use crate::cli::args::AwsProfile;
use crate::cli::context::{Context, set};
use crate::cli::failure::{Failure, FailureKind};
use crate::client::api::Api;
use crate::client::aws::is_plain;
use crate::client::aws::profiles::{self, Profile, ProfileError};
use crate::client::home::BrokerHome;
use crate::client::userfile::UserFile;
use crate::wire::control::{OpenedAws, TargetSummary};

/// Writes the profiles, shows what they would be, or takes them away.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, args: AwsProfile) -> Result<u8, Failure> {
    let user = user_file(args.file)?;
    if args.remove {
        return write(context, &user, &[]);
    }
    if !context.stays() {
        let message = "what is written now would be gone when this command ends";
        return Err(Failure::new(FailureKind::Configuration, message)
            .hint("set HOOPCTL_HOME to a directory that stays"));
    }
    let place = context.place()?;
    let api = context.api().await?;
    let targets = targets(&api, &args.targets).await?;
    let profiles = targets.iter().map(|(name, aws)| profile(context, &place, name, aws));
    let profiles = profiles.collect::<Result<Vec<_>, _>>()?;
    if args.dry_run {
        let text = profiles::part(&profiles);
        if context.ui.json {
            context.ui.object(&json!({ "file": user.path(), "text": text }));
        } else {
            context.ui.line(&text);
            context.ui.talk(&format!("this would go to {}", user.path().display()));
        }
        return Ok(0);
    }
    write(context, &user, &profiles)
}

fn write(context: &Context, user: &UserFile, profiles: &[Profile]) -> Result<u8, Failure> {
    let changed = user.change(|old| {
        let text = std::str::from_utf8(old);
        let text = text.map_err(|_| Failure::new(FailureKind::BadData, "the file is not UTF-8"))?;
        profiles::with(text, profiles).map(String::into_bytes).map_err(|error| failure(&error))
    })?;
    let names: Vec<String> = profiles.iter().map(Profile::name).collect();
    let ui = context.ui;
    if ui.json {
        ui.object(&json!({ "file": user.path(), "profiles": names, "changed": changed }));
        return Ok(0);
    }
    for name in &names {
        ui.line(&format!("aws --profile {name}"));
    }
    match (names.is_empty(), changed) {
        (false, _) => ui.talk(&format!("ready; {} has them", user.path().display())),
        (true, true) => ui.talk(&format!("{} has no profile of hoopctl's any more", user.path().display())),
        (true, false) => ui.talk("there is no target of AWS that hands out credentials to you"),
    }
    Ok(0)
}

/// The targets that hand out credentials among those that the caller may reach, all or those named.
async fn targets(api: &Api, wanted: &[String]) -> Result<Vec<(String, OpenedAws)>, Failure> {
    let all = api.targets().await?;
    let known = |target: &TargetSummary| target.aws.clone().map(|aws| (target.name.to_string(), aws));
    if wanted.is_empty() {
        return Ok(all.iter().filter_map(known).filter(|(_, aws)| aws.hands_out).collect());
    }
    let named = wanted.iter().map(|name| {
        let found = all.iter().find(|target| target.name.as_str() == name).and_then(known);
        match found {
            Some((name, aws)) if aws.hands_out => Ok((name, aws)),
            Some(_) => Err(Failure::new(
                FailureKind::Usage,
                format!("`{name}` hands out no credentials: its calls go through the gateway"),
            )
            .hint(format!("type `hoopctl exec {name} -- CMD`"))),
            None => Err(Failure::new(
                FailureKind::Denied,
                format!("there is no target of AWS `{name}` that you may reach"),
            )
            .hint("`hoopctl list` shows what you may reach")),
        }
    });
    named.collect()
}

fn profile(context: &Context, place: &BrokerHome, name: &str, aws: &OpenedAws) -> Result<Profile, Failure> {
    if !is_plain(aws) {
        let message =
            format!("the broker names a region or a service of `{name}` that no configuration can hold");
        return Err(Failure::new(FailureKind::BadData, message));
    }
    let mut words = Vec::new();
    // whoever runs it later may have another place for state, or none set
    if set("HOOPCTL_HOME").is_some() || set("XDG_STATE_HOME").is_some() {
        let mut variable = OsString::from("HOOPCTL_HOME=");
        variable.push(context.client.home.root());
        words.extend([OsString::from("env"), variable]);
    }
    words.extend([own()?.into_os_string(), "credentials".into(), name.into()]);
    words.extend(context.again(place));
    let words = words.iter().map(|word| word.to_str().and_then(profiles::word).ok_or(word));
    let words = words.collect::<Result<Vec<_>, _>>().map_err(|word| {
        let message = format!("`{}` cannot be written into a configuration of AWS", word.to_string_lossy());
        Failure::new(FailureKind::Configuration, message)
    })?;
    Ok(Profile {
        target: name.to_owned(),
        region: aws.region.clone(),
        command: words.join(" "),
        endpoints: aws.endpoints.clone(),
    })
}

fn failure(error: &ProfileError) -> Failure {
    Failure::new(FailureKind::Configuration, error.to_string())
}

fn user_file(named: Option<PathBuf>) -> Result<UserFile, Failure> {
    let path = match named.or_else(|| set("AWS_CONFIG_FILE").map(PathBuf::from)) {
        Some(path) => path,
        None => PathBuf::from(set("HOME").ok_or_else(|| {
            Failure::new(FailureKind::Configuration, "HOME is not set")
                .hint("name the configuration of AWS with `--file FILE`")
        })?)
        .join(".aws/config"),
    };
    Ok(UserFile::at(&path)?)
}
