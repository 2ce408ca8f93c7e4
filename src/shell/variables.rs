//! Which variables decide what runs.

/// Whether setting it can change which program runs, or make a program run another.
pub(super) fn decides(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    !is_name(name)
        || EXACT.contains(&upper.as_str())
        || PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
        || PARTS.iter().any(|part| upper.contains(part))
}

/// Whether no program of the read-only list does more because of it.
pub(super) fn is_harmless(name: &str) -> bool {
    name.starts_with("LC_") || HARMLESS.contains(&name)
}

pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// In capitals.
const EXACT: &[&str] = &[
    "BROWSER",
    "CC",
    "CXX",
    "DISPLAY",
    "ENV",
    "FPATH",
    "HISTFILE",
    "HOME",
    "HOSTALIASES",
    "IFS",
    "LESS",
    "LESSCLOSE",
    "LESSOPEN",
    "LESSEDIT",
    "LOCALDOMAIN",
    "MAKEFILES",
    "MANROFFOPT",
    "NULLCMD",
    "PROMPT",
    "PROMPT4",
    "PS0",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "READNULLCMD",
    "RES_OPTIONS",
    "TERMINFO",
    "TMPDIR",
    "TMPPREFIX",
    "TZDIR",
    "VIMINIT",
    "EXINIT",
    "XAUTHORITY",
    "ZDOTDIR",
];
const PREFIXES: &[&str] = &[
    "BASH", "DYLD_", "GCONV", "GIT_", "GLIBC_", "JAVA", "_JAVA", "JDK_", "LD_", "LUA_", "MALLOC_", "NODE_",
    "OPENSSL_", "PERL", "PHP", "PIP_", "PYTHON", "RUBY", "RUST", "SSH_", "SUDO_", "SYSTEMD_", "TAR_", "TCL",
    "ZSH",
];
const PARTS: &[&str] = &[
    "ASKPASS", "COMMAND", "EDITOR", "FLAGS", "HOOK", "OPTIONS", "OPTS", "PAGER", "PATH", "PRELOAD", "PROXY",
    "RSH", "SHELL", "VISUAL", "_RC", "WRAPPER",
];
const HARMLESS: &[&str] =
    &["CLICOLOR", "COLUMNS", "DEBIAN_FRONTEND", "LANG", "LANGUAGE", "LINES", "NO_COLOR", "TERM", "TZ"];
