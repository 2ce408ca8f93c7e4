//! A client with a secret, for everything that has no token of a platform.
//!
//! Job: finds the secret, chooses the issuer, asks it for an access token (RFC 6749 §4.4, RFC 9068).
//! Boundary: the secret goes to the token endpoint of that issuer, nowhere else, and is not kept. Failure
//! mode: [`WorkloadError`].

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use url::Url;

use super::token::list;
use super::{Variables, WorkloadError};
use crate::client::provider::Provider;
use crate::wire::control::{ClientCredentials, ProviderInfo, WorkloadInfo};

/// The issuer of that name, else the one that the broker marks for clients with a secret.
pub(super) fn choose<'k>(
    known: &'k [WorkloadInfo],
    name: Option<&str>,
    expected: &str,
) -> Result<&'k WorkloadInfo, WorkloadError> {
    let fits = |workload: &&WorkloadInfo| match name {
        Some(name) => workload.name.as_str() == name,
        None => workload.client_credentials.is_some(),
    };
    let mut fitting = known.iter().filter(fits);
    let (Some(chosen), None) = (fitting.next(), fitting.next()) else {
        let known = list(known.iter().map(|workload| workload.name.as_str()));
        let what = "it cannot be told which issuer client credentials are for";
        return Err(WorkloadError::Unclear { what, known });
    };
    // INVARIANT: the broker does not choose who gets the secret, which works from anywhere until it is changed
    if Url::parse(expected).ok().as_ref() != Some(&chosen.issuer) {
        let named = chosen.issuer.to_string();
        return Err(WorkloadError::Issuer { named, expected: expected.to_owned() });
    }
    Ok(chosen)
}

/// The secret, from the environment or from the file that it names.
pub(super) fn secret(variables: &Variables) -> Result<SecretString, WorkloadError> {
    match (variables.get(SECRET), variables.get(SECRET_FILE)) {
        (Some(secret), None) => Ok(secret.into()),
        (None, Some(path)) => read(Path::new(&path)),
        (Some(_), Some(_)) => Err(WorkloadError::Unclear {
            what: "it cannot be told which client secret is meant",
            known: list([SECRET, SECRET_FILE].into_iter()),
        }),
        (None, None) => {
            Err(WorkloadError::Missing { missing: SECRET, why: "client credentials are an id and a secret" })
        }
    }
}

pub(super) async fn ask(
    chosen: &WorkloadInfo,
    id: String,
    secret: &SecretString,
) -> Result<SecretString, WorkloadError> {
    let wanted = chosen.client_credentials.clone().unwrap_or_default();
    let ClientCredentials { scopes, resource, audience } = wanted;
    let info = ProviderInfo {
        name: chosen.name.clone(),
        issuer: chosen.issuer.clone(),
        client_id: id,
        scopes,
        groups_claim: None,
    };
    let more = [("resource", resource), ("audience", audience)];
    let more: Vec<(&str, String)> =
        more.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    Ok(Provider::discover(&info).await?.client_credentials(secret, &more).await?)
}

fn read(path: &Path) -> Result<SecretString, WorkloadError> {
    let failed =
        |cause| WorkloadError::Unreadable { what: "client secret", path: PathBuf::from(path), cause };
    let file = File::open(path).map_err(failed)?;
    // the file that was opened, not one that took its place
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(WorkloadError::Exposed(path.into()));
    }
    let mut text = String::new();
    file.take(MAX_SECRET).read_to_string(&mut text).map_err(failed)?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(WorkloadError::Missing { missing: SECRET_FILE, why: "the file that it names is empty" }),
        secret => Ok(secret.to_owned().into()),
    }
}

const SECRET: &str = "HOOPCTL_CLIENT_SECRET";
const SECRET_FILE: &str = "HOOPCTL_CLIENT_SECRET_FILE";
const MAX_SECRET: u64 = 16 * 1024;
