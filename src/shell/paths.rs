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
            // nobody knows here what is above a home
            ".." if parts
                .last()
                .is_some_and(|last| *last != ".." && !(parts.len() == 1 && is_home(last, absolute))) =>
            {
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

fn is_home(part: &str, absolute: bool) -> bool {
    !absolute && part.starts_with('~')
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

/// A path with the folder that it is relative to; `None` where that leads above a home, or to one that is not known.
pub(super) fn resolve(folder: &str, path: &str) -> Option<String> {
    let whole =
        if path.starts_with(['/', '~']) { normalise(path) } else { normalise(&format!("{folder}/{path}")) };
    (whole.starts_with(['/', '~']) && !whole.starts_with("~+") && !whole.starts_with("~-"))
        .then_some(whole)
        .filter(|whole| !whole.split('/').any(|part| part == ".."))
}

/// Whether a pattern reaches into folders that it does not name, finds what is hidden, or is several words.
pub(super) fn is_open_pattern(path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return path.contains(META) };
    folder.contains(META)
        || name.contains('{')
        || name.contains(META) && (folder.is_empty() || name.starts_with('.'))
}

/// What a policy calls the place of a file of the system's, or one that a login runs.
pub(super) fn mark(path: &str) -> Option<String> {
    let below =
        |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if let Some(folder) = FOLDERS.iter().find(|folder| below(folder)) {
        // what belongs to everybody
        let shared = ["/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/pts"].iter().any(|folder| below(folder));
        return (!shared).then(|| format!("{folder}/"));
    }
    // wherever they are: a link may lead to a home
    path.split('/').skip(1).find_map(|part| {
        let folder = HOME_FOLDERS.contains(&part).then(|| format!("~/{part}/"));
        folder.or_else(|| LOGIN.contains(&part).then(|| format!("~/{part}"))).or_else(|| {
            let whole = part == ".git" && (path.contains("/.git/config") || path.contains("/.git/hooks"));
            whole.then(|| ".git/".to_owned())
        })
    })
}

/// Everything that [`mark`] gives.
#[cfg(test)]
pub(super) fn marks() -> Vec<String> {
    let folders = FOLDERS.iter().map(|folder| format!("{folder}/"));
    let homes = HOME_FOLDERS.iter().map(|folder| format!("~/{folder}/"));
    let files = LOGIN.iter().map(|file| format!("~/{file}"));
    folders.chain(homes).chain(files).chain([".git/".to_owned()]).collect()
}

/// Folders of a home with what a login or an everyday program takes for its orders.
const HOME_FOLDERS: &[&str] = &[".aws", ".config", ".docker", ".gnupg", ".kube", ".local", ".ssh"];

/// Folders of the system's own files.
const FOLDERS: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/proc",
    "/sbin",
    "/sys",
    "/usr",
    "/var/spool/cron",
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/var/lib/sudo",
    "/var/lib/systemd",
    "/run/systemd",
];

/// Files of a home from which a login, or an everyday program, takes what it runs.
const LOGIN: &[&str] = &[
    ".bash_aliases",
    ".bash_login",
    ".bash_logout",
    ".bash_profile",
    ".bashrc",
    ".cshrc",
    ".curlrc",
    ".emacs",
    ".exrc",
    ".forward",
    ".gdbinit",
    ".gitconfig",
    ".hgrc",
    ".inputrc",
    ".kshrc",
    ".lessfilter",
    ".lesskey",
    ".login",
    ".mailcap",
    ".mkshrc",
    ".my.cnf",
    ".netrc",
    ".npmrc",
    ".pam_environment",
    ".profile",
    ".psqlrc",
    ".rhosts",
    ".screenrc",
    ".shosts",
    ".tcshrc",
    ".tmux.conf",
    ".vimrc",
    ".wgetrc",
    ".xinitrc",
    ".xprofile",
    ".xsession",
    ".zlogin",
    ".zlogout",
    ".zprofile",
    ".zshenv",
    ".zshrc",
];
