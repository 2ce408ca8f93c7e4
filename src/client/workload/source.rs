//! What `--workload` says.
//!
//! Job: reads and writes it. Boundary: text only. Failure mode: none for what is not a source.

use std::fmt;
use std::path::PathBuf;

/// Where a workload's token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `client-credentials[:NAME]`: an id and a secret, at the issuer that the broker names so.
    ClientCredentials {
        /// What the broker calls the issuer.
        issuer: Option<String>,
    },
    /// `env:NAME`: a variable.
    Env(String),
    /// `token-file:PATH`: a file that something keeps fresh.
    File(PathBuf),
    /// `github[:AUDIENCE]`: a job of GitHub Actions asks its runner.
    Github {
        /// Whom the token is for, when the broker leaves it open.
        audience: Option<String>,
    },
    /// `gitlab[:NAME]`: a job of GitLab has it in the variable that its `id_tokens:` names.
    Gitlab(String),
    /// `kubernetes[:PATH]`: a pod has it in a file that kubelet keeps fresh.
    Kubernetes(Option<PathBuf>),
}

impl Source {
    /// Reads one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = match text.split_once(':') {
            Some((_, "")) => return None,
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        match (kind, rest) {
            ("client-credentials", issuer) => {
                Some(Self::ClientCredentials { issuer: issuer.map(str::to_owned) })
            }
            ("env", Some(name)) => Some(Self::Env(name.into())),
            ("github", audience) => Some(Self::Github { audience: audience.map(str::to_owned) }),
            ("gitlab", name) => Some(Self::Gitlab(name.unwrap_or(GITLAB_VARIABLE).into())),
            ("kubernetes", path) => Some(Self::Kubernetes(path.map(PathBuf::from))),
            ("token-file", Some(path)) => Some(Self::File(path.into())),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientCredentials { issuer: Some(issuer) } => write!(f, "client-credentials:{issuer}"),
            Self::ClientCredentials { issuer: None } => f.write_str("client-credentials"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "token-file:{}", path.display()),
            Self::Github { audience: Some(audience) } => write!(f, "github:{audience}"),
            Self::Github { audience: None } => f.write_str("github"),
            Self::Gitlab(name) => write!(f, "gitlab:{name}"),
            Self::Kubernetes(Some(path)) => write!(f, "kubernetes:{}", path.display()),
            Self::Kubernetes(None) => f.write_str("kubernetes"),
        }
    }
}

/// What `id_tokens:` should call it.
const GITLAB_VARIABLE: &str = "HOOPCTL_ID_TOKEN";
