//! A job of GitHub Actions.
//!
//! Job: asks the runner's token service for a token for one audience ("OpenID Connect reference", GitHub
//! Docs: the two variables that it sets for jobs with `id-token: write`). Boundary: the request token goes to
//! the address that came with it, over TLS, and nowhere else. Failure mode: [`WorkloadError`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::token::{is_of_others, list, printable};
use super::{Variables, WorkloadError};
use crate::client::provider::{ProviderHttp, is_private};
use crate::wire::control::WorkloadInfo;

/// What a runner tells a job.
pub(super) struct Runner {
    url: Url,
    token: SecretString,
}

impl Runner {
    pub(super) fn find(variables: &Variables) -> Result<Self, WorkloadError> {
        let read = |missing: &'static str| {
            variables.get(missing).ok_or_else(|| match variables.get("GITHUB_ACTIONS") {
                Some(_) => WorkloadError::Missing { missing, why: "GitHub lets this job ask for no token" },
                None => WorkloadError::Missing { missing, why: "this is no job of GitHub Actions" },
            })
        };
        let url = read("ACTIONS_ID_TOKEN_REQUEST_URL")?;
        let token = read("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?.into();
        let url = Url::parse(&url).ok().filter(is_private);
        let url = url.ok_or_else(|| refused("ACTIONS_ID_TOKEN_REQUEST_URL is not an https URL"))?;
        Ok(Self { url, token })
    }

    /// Stays the same for a job, and tells nobody the token.
    pub(super) fn identity(&self) -> String {
        let digest = Sha256::digest(self.token.expose_secret());
        format!("{} {}", self.url, URL_SAFE_NO_PAD.encode(digest))
    }

    pub(super) async fn ask(&self, audience: &str) -> Result<SecretString, WorkloadError> {
        #[derive(Deserialize)]
        struct Answer {
            value: String,
        }
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("audience", audience);
        let mut bearer = http::HeaderValue::from_str(&format!("Bearer {}", self.token.expose_secret()))
            .map_err(|_| refused("ACTIONS_ID_TOKEN_REQUEST_TOKEN is no token"))?;
        bearer.set_sensitive(true);
        let request = http::Request::get(url.as_str())
            .header("authorization", bearer)
            .header("accept", "application/json")
            .body(Vec::new())
            .map_err(|error| refused(&error.to_string()))?;
        let service = ProviderHttp::new(&self.url)?;
        let answer = service.patiently(request).await.map_err(|fault| refused(&fault.to_string()))?;
        if !answer.status().is_success() {
            return Err(refused(&format!("its token service answers {}", answer.status())));
        }
        let answer: Answer = serde_json::from_slice(answer.body())
            .map_err(|_| refused("its token service answers with something else than a token"))?;
        Ok(answer.value.into())
    }
}

/// Whom to ask a token for: who was named, else the one whom the broker wants tokens for, of GitHub's
/// issuer if there are several.
pub(super) fn audience(known: &[WorkloadInfo], named: Option<String>) -> Result<String, WorkloadError> {
    let known = known.iter().filter(|workload| !is_of_others(&workload.audience));
    let known: Vec<&WorkloadInfo> = known.collect();
    let all = || known.iter().map(|workload| workload.audience.as_str());
    if let Some(named) = named {
        return if all().any(|audience| audience == named) {
            Ok(named)
        } else {
            let (place, found) = ("github".into(), list(std::iter::once(named.as_str())));
            Err(WorkloadError::Audience { place, found, wanted: list(all()) })
        };
    }
    let of_github = known.iter().filter(|workload| is_github(&workload.issuer));
    let of_github: Vec<&str> = of_github.map(|workload| workload.audience.as_str()).collect();
    let candidates = if of_github.is_empty() { all().collect() } else { of_github };
    match candidates.split_first() {
        Some((first, rest)) if rest.iter().all(|other| other == first) => Ok((*first).to_owned()),
        _ => Err(WorkloadError::Unclear {
            what: "it cannot be told whom GitHub's token should be for",
            known: list(all()),
        }),
    }
}

/// github.com, an enterprise there, or a server of one's own.
fn is_github(issuer: &Url) -> bool {
    issuer.host_str() == Some("token.actions.githubusercontent.com") || issuer.path() == "/_services/token"
}

fn refused(cause: &str) -> WorkloadError {
    WorkloadError::Refused { platform: "GitHub", cause: printable(cause) }
}
