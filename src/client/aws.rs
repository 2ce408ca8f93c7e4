//! An account of AWS at the loopback.
//!
//! Job: the variables and files by which SDKs find their credentials, or the loopback as the endpoint of every service,
//! and nothing else of what is set on this machine. Boundary: no secret of AWS is in a variable or a file; where
//! credentials are handed out, SDKs fetch them (`teller`). Failure mode: an error before the program is started.
//!
//! What an SDK looks at before the container's credentials, all of which must be silent: botocore the keys in variables,
//! a profile's role, a web identity, SSO, both files, `credential_process` and boto's own files; Go, JavaScript, Rust and
//! Java a subset of these in other orders. So every `AWS_*` variable is hidden but those that are known to be harmless,
//! and both files are ours.

pub mod given;
pub mod profiles;
pub mod teller;

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::Path;

use secrecy::ExposeSecret as _;

use super::home::write_private;
use super::launch::Endpoint;
use super::protocol::{Desk, Form, FormError};
use crate::wire::aws::sigv4::session_keys;
use crate::wire::control::OpenedAws;

/// Fills in the form.
///
/// # Errors
/// [`FormError`].
pub fn fill(desk: &Desk<'_>) -> Result<Form, FormError> {
    let Endpoint::Tcp(address) = desk.endpoint else { return Err(FormError::Missing("a port")) };
    let aws = desk.session.aws.as_ref().ok_or(FormError::Missing("the region"))?;
    if !is_plain(aws) {
        return Err(FormError::Missing("a region and services by names that a configuration can hold"));
    }
    let folder = desk.place.path();
    let config = folder.join("aws-config");
    let credentials = folder.join("aws-credentials");
    write_private(&config, configuration(aws).as_bytes())?;
    write_private(&credentials, b"")?;
    let mut variables = shared(aws, &config, &credentials);
    match aws.hands_out {
        true => variables.extend(handed_out(desk, aws, address)),
        false => variables.extend(signed(desk, address)),
    }
    Ok(Form {
        client: "aws".into(),
        arguments: Vec::new(),
        named: NAMED.iter().filter_map(|name| found(&variables, name).map(|value| (*name, value))).collect(),
        files: Vec::new(),
        variables: variables.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        hides: mixes,
        door: None,
    })
}

/// Whether nothing in it could be taken for another line of a configuration: the broker decides what may be reached, not what
/// runs on this machine.
#[must_use]
pub fn is_plain(aws: &OpenedAws) -> bool {
    let plain = |text: &str| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        !text.is_empty() && text.len() <= 64 && text.chars().all(fits)
    };
    plain(&aws.region) && aws.endpoints.keys().all(|name| plain(name))
}

fn found(variables: &[(String, OsString)], wanted: &str) -> Option<OsString> {
    let mut values = variables.iter().filter(|(name, _)| name == wanted);
    values.next().map(|(_, value)| value.clone())
}

/// What every SDK is told.
fn shared(aws: &OpenedAws, config: &Path, credentials: &Path) -> Vec<(String, OsString)> {
    let region = || OsString::from(&aws.region);
    [
        ("AWS_REGION", region()),
        ("AWS_DEFAULT_REGION", region()),
        ("AWS_CONFIG_FILE", config.into()),
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.into()),
        // boto's own files come before the container's credentials
        ("BOTO_CONFIG", credentials.into()),
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ("RCLONE_S3_ENV_AUTH", "true".into()),
        ("RCLONE_S3_REGION", region()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Where credentials are fetched, and with what.
fn handed_out(desk: &Desk<'_>, aws: &OpenedAws, address: SocketAddr) -> Vec<(String, OsString)> {
    let mut variables = vec![
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(), format!("http://{address}/credentials").into()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN".to_owned(), desk.secret.expose_secret().into()),
    ];
    let service = |name: &str| name.to_ascii_uppercase().replace('-', "_");
    variables.extend(
        aws.endpoints.iter().map(|(name, url)| (format!("AWS_ENDPOINT_URL_{}", service(name)), spelled(url))),
    );
    match aws.endpoints.get("s3") {
        None => variables.push(("RCLONE_S3_PROVIDER".to_owned(), "AWS".into())),
        Some(url) => variables.extend([
            ("RCLONE_S3_PROVIDER".to_owned(), "Other".into()),
            ("RCLONE_S3_ENDPOINT".to_owned(), spelled(url)),
            ("RCLONE_S3_FORCE_PATH_STYLE".to_owned(), "true".into()),
        ]),
    }
    variables
}

/// The loopback as the endpoint of all services, and keys that are good there only.
fn signed(desk: &Desk<'_>, address: SocketAddr) -> Vec<(String, OsString)> {
    let keys = session_keys(desk.session.id.as_str(), &given::digest(desk.secret));
    let url = OsString::from(format!("http://{address}"));
    [
        ("AWS_ACCESS_KEY_ID", keys.access_key.as_str().into()),
        ("AWS_SECRET_ACCESS_KEY", keys.secret.expose_secret().into()),
        ("AWS_ENDPOINT_URL", url.clone()),
        ("RCLONE_S3_PROVIDER", "Other".into()),
        ("RCLONE_S3_ENDPOINT", url),
        ("RCLONE_S3_FORCE_PATH_STYLE", "true".into()),
        // it would leave bodies out of its signatures, which only some targets take
        ("RCLONE_S3_USE_UNSIGNED_PAYLOAD", "false".into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// A URL as tools join paths to it.
fn spelled(url: &url::Url) -> OsString {
    url.as_str().trim_end_matches('/').into()
}

/// The file that SDKs read instead of the user's.
fn configuration(aws: &OpenedAws) -> String {
    // a bucket in the host's name would be no name of this machine
    let path_style = !aws.hands_out || aws.endpoints.contains_key("s3");
    // at an endpoint that is not AWS's own, botocore would make URLs with signatures of version 2
    let style = if path_style { "s3 =\n  addressing_style = path\n  signature_version = s3v4\n" } else { "" };
    format!("[default]\nregion = {}\n{style}", aws.region)
}

/// Credentials, profiles, endpoints and roles of the user's own must not mix with the session's; what only says how
/// tools behave stays.
#[must_use]
pub fn mixes(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes().to_ascii_uppercase();
    let harmless = HARMLESS.iter().any(|harmless| harmless.as_bytes() == name);
    let of_aws = name.starts_with(b"AWS_") && !harmless;
    of_aws || name.starts_with(b"RCLONE_S3_") || name == b"BOTO_CONFIG"
}

/// What is there below the target's name as well, for a program that uses several accounts.
const NAMED: [&str; 7] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
];
/// What only says how tools behave.
const HARMLESS: [&str; 9] = [
    "AWS_CLI_AUTO_PROMPT",
    "AWS_DEFAULT_OUTPUT",
    "AWS_EXECUTION_ENV",
    "AWS_MAX_ATTEMPTS",
    "AWS_PAGER",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AWS_RESPONSE_CHECKSUM_VALIDATION",
    "AWS_RETRY_MODE",
    "AWS_SDK_UA_APP_ID",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_cannot_be_a_line_of_a_configuration() {
        let aws = |region: &str| OpenedAws {
            region: region.into(),
            hands_out: false,
            endpoints: std::collections::BTreeMap::new(),
            silence: None,
        };
        assert!(is_plain(&aws("eu-central-1")));
        for region in ["", "x\n[default]\ncredential_process = touch /tmp/here", "a b", "a=b", "a]"] {
            assert!(!is_plain(&aws(region)), "{region}");
        }
    }

    #[test]
    fn nothing_of_the_users_own_mixes_with_a_session() {
        for name in [
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_ROLE_ARN",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_S3",
            "AWS_CREDENTIAL_FILE",
            "AWS_BEARER_TOKEN_BEDROCK",
            "AWS_SOMETHING_OF_TOMORROW",
            "aws_session_token",
            "BOTO_CONFIG",
            "RCLONE_S3_ACCESS_KEY_ID",
        ] {
            assert!(mixes(OsStr::new(name)), "{name}");
        }
        for name in ["AWS_PAGER", "AWS_DEFAULT_OUTPUT", "PATH", "AWSOME"] {
            assert!(!mixes(OsStr::new(name)), "{name}");
        }
    }
}
