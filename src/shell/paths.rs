//! Paths as policies see them.

/// Stands in [`paths`](crate::domain::facts::ExecFacts::paths) for a path that is not known before it runs.
pub(super) const UNKNOWN: &str = "?";

/// What makes a word a pattern.
pub(super) const META: [char; 4] = ['*', '?', '[', '{'];

/// Without `.`, doubled slashes and, where it starts at the root, `..`; a relative path keeps its leading `..`.
pub(super) fn normalise(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Whether a program of this path is the system's own.
pub(super) fn is_system_program(path: &str) -> bool {
    match path.rsplit_once('/') {
        None => true,
        Some((folder, _)) => SYSTEM.contains(&folder),
    }
}

/// The last component.
pub(super) fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

const SYSTEM: &[&str] = &["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
