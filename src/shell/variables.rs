//! Which variables decide what runs.
//!
//! A variable that a program gets is known to be harmless, or the command is not judged. One that stays in the
//! shell is judged by what shells, and programs that have it already, are known to make of it.

use super::word::Word;

/// Whether setting it in a shell can change which program runs, or make a program run another.
pub(super) fn decides(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    !is_name(name)
        || EXACT.contains(&upper.as_str())
        || is_number(name)
        || PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
        || PARTS.iter().any(|part| upper.contains(part))
}

/// Whether shells take what it is set to for arithmetic, which runs code.
pub(super) fn is_number(name: &str) -> bool {
    NUMBERS.contains(&name) || name.starts_with("EPOCH")
}

/// Whether no program does more because of it, with this value.
pub(super) fn is_harmless(name: &str, value: &Word) -> bool {
    // names of files are not among them
    let plain = |text: &str| {
        !text.contains("..")
            && !text.starts_with(['/', ':'])
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.@:+-,".contains(c) || c == '/' && name == "TZ")
    };
    match name {
        "COLUMNS" | "LINES" => value.is_number(),
        name if name.starts_with("LC_") && is_name(name) || HARMLESS.contains(&name) => {
            value.as_known().is_some_and(plain)
        }
        _ => false,
    }
}

pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

const HARMLESS: &[&str] = &["CLICOLOR", "DEBIAN_FRONTEND", "LANG", "LANGUAGE", "NO_COLOR", "TERM", "TZ"];

/// Integers of bash, ksh, mksh and zsh.
const NUMBERS: &[&str] = &[
    "ARGC",
    "BAUD",
    "COLUMNS",
    "DIRSTACKSIZE",
    "EGID",
    "ERRNO",
    "EUID",
    "FUNCNEST",
    "GID",
    "HISTCMD",
    "HISTFILESIZE",
    "HISTSIZE",
    "KEYTIMEOUT",
    "LINENO",
    "LINES",
    "LISTMAX",
    "LOGCHECK",
    "MAILCHECK",
    "OPTIND",
    "PGRP",
    "PPID",
    "RANDOM",
    "SAVEHIST",
    "SECONDS",
    "SHLVL",
    "SRANDOM",
    "TMOUT",
    "TTYIDLE",
    "UID",
    "USER_ID",
    "ZSH_SUBSHELL",
];

/// In capitals.
const EXACT: &[&str] = &[
    "ARGV",
    "BROWSER",
    "CC",
    "COMP_LINE",
    "CXX",
    "DIRSTACK",
    "DISPLAY",
    "ENV",
    "FIGNORE",
    "FPATH",
    "GLOBIGNORE",
    "GROUPS",
    "HISTCHARS",
    "HISTFILE",
    "HOME",
    "HOSTALIASES",
    "IFS",
    "INPUTRC",
    "KEYBD_TRAP",
    "LOCALDOMAIN",
    "MAILCAPS",
    "MAKEFILES",
    "MANROFFOPT",
    "MODULE_PATH",
    "NULLCMD",
    "POSIXLY_CORRECT",
    "PROMPT",
    "PROMPT2",
    "PROMPT3",
    "PROMPT4",
    "PS0",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "PSVAR",
    "READNULLCMD",
    "REPORTTIME",
    "RES_OPTIONS",
    "RPROMPT",
    "RPS1",
    "SIGNALS",
    "STATUS",
    "STTY",
    "TERMCAP",
    "TERMINFO",
    "TMPDIR",
    "TMPPREFIX",
    "TZDIR",
    "USERNAME",
    "VIMINIT",
    "EXINIT",
    "FCEDIT",
    "WATCH",
    "WATCHFMT",
    "WGETRC",
    "XAUTHORITY",
    "ZDOTDIR",
];
const PREFIXES: &[&str] = &[
    "APT_", "AWS_", "BASH", "CURL_", "DOCKER_", "DYLD_", "GCONV", "GIT_", "GLIBC_", "JAVA", "_JAVA", "JDK_",
    "KUBE", "LD_", "LESS", "LUA_", "MALLOC_", "NODE_", "OPENSSL_", "PERL", "PHP", "PIP_", "PYTHON", "RSYNC_",
    "RUBY", "RUST", "SSH_", "SSL_", "SUDO_", "SVN_", "SYSTEMD_", "TAR_", "TCL", "XDG_", "ZSH",
];
const PARTS: &[&str] = &[
    "ASKPASS", "COMMAND", "CONFIG", "EDITOR", "FLAGS", "HOOK", "_HOME", "_HOST", "OPTIONS", "OPTS", "PAGER",
    "PATH", "PRELOAD", "_PROG", "PROXY", "RSH", "SHELL", "VISUAL", "_RC", "_SSH", "WRAPPER",
];
