//! What a client may bring to its start-up.
//!
//! Job: say whether a connection may begin with these parameters, and which of them the database gets. Boundary: pure;
//! `front` moves the bytes. Failure mode: a FATAL error that says what would work; nothing that is refused is left out
//! in silence.

use super::fatal;
use crate::domain::target::PostgresTarget;
use crate::gateway::authority::SessionContext;
use crate::sql::may_begin_with;
use crate::wire::postgres::error::ErrorFields;
use crate::wire::postgres::startup::StartupParameters;

/// Refuses what may not be.
pub(super) fn check(
    target: &PostgresTarget,
    parameters: &StartupParameters,
    context: &SessionContext,
) -> Result<(), ErrorFields> {
    let database = parameters.database().unwrap_or_default();
    // PostgreSQL does not look at the database of a physical replication connection, and tools name none that is one
    let reaches_database = !(target.replication && parameters.wants_physical_replication());
    if reaches_database && database != target.database && !target.also_databases.contains(database) {
        let name = &context.target.name;
        return Err(fatal("3D000", format!("target {name} is one database, and `{database}` is not it"))
            .with_hint(format!("connect to `{}`; another database is another target", target.database)));
    }
    if parameters.wants_replication() && !target.replication {
        return Err(fatal("42501", "replication connections are denied on this target")
            .with_hint("the operator can allow them with `replication = true`"));
    }
    if parameters.wants_replication() && !target.detectors.is_empty() {
        return Err(fatal("42501", "replication would carry what the target's detectors are to hide"));
    }
    let groups = &context.principal.groups;
    let masked = target.masks.iter().any(|mask| mask.binds(groups));
    let filtered = target.filters.iter().any(|filter| filter.binds(groups));
    if (masked || filtered) && parameters.wants_replication() {
        let what = if filtered { "rows that are hidden from you" } else { "masked columns in the clear" };
        return Err(fatal("42501", format!("replication would carry {what}")));
    }
    let special = match (masked, filtered) {
        (true, _) => "masked columns",
        (false, true) => "row filters",
        (false, false) if !target.fields.is_empty() => "labelled columns",
        (false, false) => return Ok(()),
    };
    judged(parameters, special).map(drop)
}

/// Every setting that a client begins with, as it is sent. What SET would be refused for is refused.
fn judged(parameters: &StartupParameters, special: &str) -> Result<Vec<(String, String)>, ErrorFields> {
    let Some(settings) = settings(parameters) else {
        return Err(fatal("42501", format!("these start-up options are denied on a target with {special}"))
            .with_hint("of `options` and PGOPTIONS, `-c name=value` can be judged, and nothing else"));
    };
    let mut all = Vec::with_capacity(settings.len());
    for (name, value) in settings {
        if name == ENCODING && !is_utf8(&value) {
            let message = format!("client encoding `{value}` is denied on a target with {special}");
            return Err(fatal("22023", message).with_hint("use client_encoding=UTF8"));
        }
        if name == ENCODING {
            continue;
        }
        let value = may_begin_with(&name, &value).map_err(|refusal| {
            let message = format!(
                "{} among the start-up options is denied on a target with {special}",
                refusal.construct
            );
            fatal("42501", message).with_hint(refusal.hint)
        })?;
        all.push((name, value));
    }
    Ok(all)
}

/// The start-up parameters for the database; where no name of a statement is looked up (`is_plain`), as they came.
/// INVARIANT: elsewhere what is sent is what was judged, and the settings that decide how a text is read come last, so
/// that they override what the client, the role or the database sets.
pub(super) fn passed_on(
    parameters: &StartupParameters,
    target: &PostgresTarget,
    is_plain: bool,
) -> Vec<(String, String)> {
    let database = parameters.database().unwrap_or(&target.database).to_owned();
    let mut passed = vec![("database".to_owned(), database)];
    if is_plain {
        let brought = parameters.iter().filter(|(name, _)| !is_ours(name));
        passed.extend(brought.map(|(name, value)| (name.to_owned(), value.to_owned())));
        if target.replication && parameters.wants_replication() {
            passed.push(("replication".into(), parameters.value("replication").unwrap_or_default().into()));
        }
        return passed;
    }
    let brought = judged(parameters, "").unwrap_or_default();
    let is_pinned = |name: &str| PINNED.iter().any(|(pin, _)| *pin == name);
    passed.extend(brought.into_iter().filter(|(name, _)| !is_pinned(name)));
    passed.extend(PINNED.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    passed
}

const ENCODING: &str = "client_encoding";
const PINNED: &[(&str, &str)] = &[(ENCODING, "UTF8"), ("standard_conforming_strings", "on")];

/// Every setting that a client begins with, in the server's order: `options` first. `None` where `options` holds more
/// than settings.
fn settings(parameters: &StartupParameters) -> Option<Vec<(String, String)>> {
    let mut all = in_options(parameters.value("options").unwrap_or_default())?;
    let others = parameters.iter().filter(|(name, _)| !is_ours(name) && *name != "options");
    all.extend(others.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())));
    Some(all)
}

/// What is not a setting, or is said otherwise to the database.
fn is_ours(name: &str) -> bool {
    ["user", "database", "replication"].contains(&name.to_ascii_lowercase().as_str())
        || name.starts_with("_pq_.")
}

/// The settings in `options`, which are switches of the program `postgres`: `-c name=value` and `--name=value`.
fn in_options(options: &str) -> Option<Vec<(String, String)>> {
    let mut words = words(options).into_iter();
    let mut all = Vec::new();
    while let Some(word) = words.next() {
        let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(setting), _) => setting.to_owned(),
            (None, Some("")) => words.next()?,
            (None, Some(setting)) => setting.to_owned(),
            (None, None) => return None,
        };
        let (name, value) = setting.split_once('=')?;
        all.push((name.replace('-', "_").to_ascii_lowercase(), value.to_owned()));
    }
    Some(all)
}

/// Words as spaces part them; a backslash takes the character behind it as it is.
fn words(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = options.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(letters.next()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// Whether PostgreSQL takes this name of an encoding for UTF-8: it looks at letters and digits only, so that
/// asyncpg's `'utf-8'`, quotes and all, is one. `auto` is libpq's, for which UTF-8 is pinned likewise.
fn is_utf8(encoding: &str) -> bool {
    let letters: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
    ["utf8", "unicode", "auto"].contains(&letters.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::in_options;

    #[test]
    fn options_are_taken_apart_as_the_server_does() {
        let read = |options: &str| {
            in_options(options).map(|all| {
                all.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
            })
        };
        assert_eq!(read(""), Some(String::new()));
        assert_eq!(read(" \t"), Some(String::new()));
        assert_eq!(
            read("-c statement_timeout=5s  -cJIT=off --lock-timeout=1s"),
            Some("statement_timeout=5s; jit=off; lock_timeout=1s".into())
        );
        assert_eq!(read(r"-c search_path=a,\ b -c x=\\"), Some(r"search_path=a, b; x=\".into()));
        // other switches, and what is no setting
        for other in ["-S 64", "-d5", "-c", "-c jit", "jit=off", "--jit", "-cjit", "-c jit=on x", "--", "-"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
