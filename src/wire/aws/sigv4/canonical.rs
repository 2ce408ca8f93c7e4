//! The canonical request: the text that a signature covers.
//!
//! Job: build it from a head, as "Create a signed AWS API request" (AWS, IAM User Guide) says, and the string that
//! is signed. Boundary: text. Failure mode: a [`SignatureFault`] for what cannot be written in one way.

use http::HeaderMap;
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::fault::SignatureFault;
use super::presented::{ALGORITHM, Presented, hex, plain};
use super::query;

/// The strings to sign that say the same as the request does: one, or for S3 one as the path is sent, and one with
/// the path encoded as AWS encodes it. Clients differ; both mean the same path.
pub(super) fn strings_to_sign(
    presented: &Presented,
    parts: &Parts,
    payload: &str,
) -> Result<Vec<String>, SignatureFault> {
    let headers = headers(&presented.signed, &parts.headers)?;
    let query = presented.query.canonical();
    let mut paths = if presented.scope.has_plain_path() {
        vec![parts.uri.path().to_owned(), plain_path(parts.uri.path())?]
    } else {
        vec![query::encode_path(&normal_path(parts.uri.path())?)]
    };
    paths.dedup();
    let strings = paths.iter().map(|path| {
        let request = format!("{}\n{path}\n{query}\n{headers}\n{payload}", parts.method);
        let digest = hex(&Sha256::digest(request));
        format!("{ALGORITHM}\n{}\n{}\n{digest}", presented.time_text, presented.scope)
    });
    Ok(strings.collect())
}

/// The path of S3: each segment encoded in one way, nothing normalised.
pub(super) fn plain_path(path: &str) -> Result<String, SignatureFault> {
    check_path(path)?;
    let segments: Result<Vec<String>, SignatureFault> =
        path.split('/').map(|segment| Ok(query::encode(&query::decode(segment)?))).collect();
    Ok(segments?.join("/"))
}

/// The path of other services: dot segments and empty ones removed (RFC 3986, 5.2.4).
pub(super) fn normal_path(path: &str) -> Result<String, SignatureFault> {
    check_path(path)?;
    drop(query::decode(path)?);
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let ends_open = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    let end = if ends_open && !kept.is_empty() { "/" } else { "" };
    Ok(format!("/{}{end}", kept.join("/")))
}

fn check_path(path: &str) -> Result<(), SignatureFault> {
    match path {
        _ if !path.starts_with('/') => Err(SignatureFault::Target("its path does not begin with `/`")),
        _ if path.contains('+') => Err(SignatureFault::Target("a `+` in its path; write %2B or %20")),
        _ => Ok(()),
    }
}

/// The signed headers, the empty line and the list of their names.
fn headers(signed: &[String], headers: &HeaderMap) -> Result<String, SignatureFault> {
    let mut text = String::new();
    for name in signed {
        let values: Option<Vec<String>> =
            headers.get_all(name).iter().map(|value| plain(value).map(trim)).collect();
        let values = values.filter(|values| !values.is_empty());
        let values = values.ok_or_else(|| SignatureFault::Header(name.clone()))?;
        text.extend([name, ":", &values.join(","), "\n"]);
    }
    text.extend(["\n", &signed.join(";")]);
    Ok(text)
}

/// Without spaces at the ends, and without runs of them.
fn trim(value: &str) -> String {
    value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
