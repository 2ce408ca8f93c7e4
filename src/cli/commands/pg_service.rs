//! `hoopctl pg-service`.
//!
//! Job: make `psql service=TARGET` work while something sticky runs, by a section per target in the user's
//! `pg_service.conf`. Boundary: only the block between our two comments is ours. Failure mode: a section that the user
//! has by the same name is not shadowed, but named.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::args::PgService;
use crate::cli::context::{Context, set};
use crate::cli::failure::{Failure, FailureKind};
use crate::client::api::Api;
use crate::client::home::BrokerHome;
use crate::client::loopback::place::sticky_path;
use crate::client::postgres::{PASSWORD_FILE, SOCKET_PORT, own_name};
use crate::client::userfile::{Block, UserFile, sections};
use crate::domain::name::TargetName;

/// Writes the sections, shows what they would be, or takes them away.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, args: PgService) -> Result<u8, Failure> {
    if !context.stays() {
        let message = "what is written now would be gone when this command ends";
        return Err(Failure::new(FailureKind::Configuration, message)
            .hint("set HOOPCTL_HOME to a directory that stays"));
    }
    let file = service_file(args.file)?;
    let (ui, place) = (context.ui, context.place()?);
    let block = Block::of("hoopctl pg-service", place.url().as_str());
    if args.remove {
        let changed = file.change(|text| Ok::<_, Failure>(block.without(text)))?;
        if ui.json {
            ui.object(&json!({ "removed": changed, "in": file.path() }));
        } else if changed {
            ui.line(&format!("took the sections out of {}", file.path().display()));
        } else {
            ui.talk(&format!("there was nothing in {}", file.path().display()));
        }
        return Ok(0);
    }
    let api = context.api().await?;
    let targets = targets(&api, &args.targets).await?;
    let user = loopback_user(&api.whoami().await?.display);
    let mut text = String::new();
    for target in &targets {
        text.push_str(&section(context, &api, &place, target, &user).await?);
    }
    if args.dry_run {
        clash(&file, &block.without(&file.read()?), &targets)?;
        if ui.json {
            ui.object(&json!({ "file": file.path(), "text": text }));
        } else {
            ui.line(text.trim_end());
            ui.talk(&format!("this would go to the top of {}", file.path().display()));
        }
        return Ok(0);
    }
    let changed = file.change(|old| {
        clash(&file, &block.without(old), &targets)?;
        Ok::<_, Failure>(if targets.is_empty() { block.without(old) } else { block.within(old, &text) })
    })?;
    if ui.json {
        ui.object(&json!({ "file": file.path(), "targets": targets, "changed": changed }));
        return Ok(0);
    }
    for target in &targets {
        ui.line(&format!("psql service={target}"));
    }
    match targets.as_slice() {
        [] => ui.talk("there is no database that you may reach"),
        [target, ..] => ui.talk(&format!(
            "ready; they work while `hoopctl connect {target} --sticky --listen 127.0.0.1:0` or `hoopctl exec --sticky` runs"
        )),
    }
    Ok(0)
}

/// The first section of a name counts, and a user's own must not be hidden by ours.
fn clash(file: &UserFile, text: &[u8], targets: &[TargetName]) -> Result<(), Failure> {
    let own = sections(text);
    match targets.iter().find(|target| own.iter().any(|name| name == target.as_str())) {
        None => Ok(()),
        Some(target) => {
            let message = format!("`{}` has a section `{target}` of your own", file.path().display());
            Err(Failure::new(FailureKind::Configuration, message)
                .hint("rename it, name the other targets, or use another file with `--file FILE`"))
        }
    }
}

/// The databases among those that the caller may reach, all or those named.
async fn targets(api: &Api, wanted: &[String]) -> Result<Vec<TargetName>, Failure> {
    let all = api.targets().await?.into_iter().filter(|target| target.protocol == "postgres");
    let all: Vec<TargetName> = all.map(|target| target.name).collect();
    if wanted.is_empty() {
        return Ok(all);
    }
    let named = wanted.iter().map(|name| {
        all.iter().find(|target| target.as_str() == name).cloned().ok_or_else(|| {
            Failure::new(FailureKind::Denied, format!("there is no database `{name}` that you may reach"))
                .hint("`hoopctl list` shows what you may reach")
        })
    });
    named.collect()
}

async fn section(
    context: &Context,
    api: &Api,
    broker: &BrokerHome,
    target: &TargetName,
    user: &str,
) -> Result<String, Failure> {
    let database = api.explain(target.as_str()).await?.database;
    let host = sticky_path(&context.client, broker, target.as_str())?;
    let password = host.join(PASSWORD_FILE);
    let mut text = format!("[{target}]\n");
    let mut say = |name: &str, value: &str| -> Result<(), Failure> {
        // libpq takes a line as it is, and has no quotes
        if value.contains(char::is_control) || value.ends_with(' ') || value.starts_with(' ') {
            let message = format!("`{}` cannot stand in a file of services", value.escape_debug());
            return Err(Failure::new(FailureKind::Configuration, message));
        }
        let _always = writeln!(text, "{name}={value}");
        Ok(())
    };
    say("host", plain(&host)?)?;
    say("port", SOCKET_PORT)?;
    say("dbname", &database)?;
    say("user", user)?;
    say("passfile", plain(&password)?)?;
    // a socket that another user has put in its place gets nothing
    if let Some(name) = own_name() {
        say("requirepeer", &name.to_string_lossy())?;
    }
    say("sslmode", "disable")?;
    say("gssencmode", "disable")?;
    Ok(text + "\n")
}

/// The name at the loopback, where the secret alone decides: letters that stand in any file.
fn loopback_user(display: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
    let name: String = display.chars().map(|c| plain(c.to_ascii_lowercase())).take(63).collect();
    if name.is_empty() { "hoopctl".into() } else { name }
}

fn plain(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| {
        Failure::new(FailureKind::Configuration, format!("`{}` is not text", path.display()))
            .hint("set HOOPCTL_HOME to a directory with a plainer name")
    })
}

fn service_file(named: Option<PathBuf>) -> Result<UserFile, Failure> {
    let known = named.or_else(|| set("PGSERVICEFILE").map(PathBuf::from));
    let path = match known {
        Some(path) => path,
        None => PathBuf::from(set("HOME").ok_or_else(|| {
            Failure::new(FailureKind::Configuration, "HOME is not set")
                .hint("name the file of services with `--file FILE`")
        })?)
        .join(".pg_service.conf"),
    };
    Ok(UserFile::at(&path)?)
}
