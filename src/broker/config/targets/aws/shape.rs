//! What names of AWS look like, as far as a configuration can get them wrong.

use url::Url;

use crate::broker::config::targets::is_loopback;

/// `eu-central-1`.
pub(super) fn region(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let shaped = (2..=32).contains(&text.len()) && text.chars().all(fits);
    if shaped && !text.starts_with('-') && !text.ends_with('-') {
        Ok(text.to_owned())
    } else {
        Err("must be the name of a region, as eu-central-1")
    }
}

/// `arn:aws:iam::123456789012:role/path/name`.
pub(super) fn role(text: &str) -> Result<String, &'static str> {
    let wrong = Err("must be the ARN of a role, as arn:aws:iam::123456789012:role/traces-reader");
    let mut parts = text.splitn(6, ':');
    let (Some("arn"), Some(partition), Some("iam"), Some(""), Some(account), Some(rest)) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return wrong;
    };
    let name = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-/".contains(c);
    // Ceph's accounts may have no number
    let account = account.chars().all(|c| c.is_ascii_alphanumeric()) && account.len() <= 64;
    let partition =
        partition.starts_with("aws") && partition.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    match rest.strip_prefix("role/") {
        Some(path) if partition && account && path.len() <= 576 && path.chars().all(name) => {
            match path.ends_with('/') || path.is_empty() {
                true => wrong,
                false => Ok(text.to_owned()),
            }
        }
        _ => wrong,
    }
}

/// `s3:GetObject`, `s3:List*`, `*`.
pub(super) fn action(text: &str) -> Result<String, &'static str> {
    let wrong = "must be an action as IAM names it, as s3:GetObject or s3:List*";
    if text == "*" {
        return Ok(text.to_owned());
    }
    let (service, name) = text.split_once(':').ok_or(wrong)?;
    let of_service = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let of_name = |c: char| c.is_ascii_alphanumeric() || "*?".contains(c);
    let fits = !service.is_empty() && service.chars().all(of_service);
    if fits && !name.is_empty() && name.chars().all(of_name) { Ok(text.to_owned()) } else { Err(wrong) }
}

/// `arn:aws:s3:::bucket/*`, `*`.
pub(super) fn arn(text: &str) -> Result<String, &'static str> {
    let parts = text.splitn(6, ':').collect::<Vec<_>>();
    let shaped = matches!(parts.as_slice(), ["arn", _, service, _, _, resource] if !service.is_empty() && !resource.is_empty());
    // policy variables would be filled in by AWS, not by us
    let plain =
        !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '"' || c == '\\' || c == '$');
    if text == "*" || (shaped && plain && text.len() <= 1024) {
        Ok(text.to_owned())
    } else {
        Err("must be an ARN, as arn:aws:s3:::traces/*, without policy variables")
    }
}

/// `s3`: as signatures name it.
pub(super) fn service(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.len() <= 64 && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("must be the name of a service, as s3")
    }
}

/// `https`, or this machine.
pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let plain = url.username().is_empty() && url.password().is_none();
    match url.scheme() {
        _ if host.is_empty() => Err("names no host".into()),
        _ if !plain => Err("holds a credential, which never stands in the configuration".into()),
        _ if url.path() != "/" => Err("has no path: calls have their own".into()),
        _ if url.query().is_some() || url.fragment().is_some() => Err("has no query and no fragment".into()),
        "https" => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        _ => Err("must be an https URL, or http on this machine".into()),
    }
}

/// STS: 2 to 1224 of `[\w+=,.@:\/-]`.
pub(super) fn external_id(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
    if (2..=1224).contains(&text.len()) && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("must be 2 to 1224 letters, digits and _ + = , . @ : / -")
    }
}

/// `AKIA…`; other services that speak like AWS have other shapes.
pub(super) fn key_id(text: &str) -> Result<String, &'static str> {
    let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if fits && (3..=128).contains(&text.len()) { Ok(text.to_owned()) } else { Err("is no access key id") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_aws_have_their_shapes() {
        for good in ["arn:aws:iam::123456789012:role/a", "arn:aws-cn:iam::123456789012:role/p/q/a.b"] {
            assert!(role(good).is_ok(), "{good}");
        }
        for bad in ["role/a", "arn:aws:iam::1:user/a", "arn:aws:iam::1:role/", "arn:aws:iam::1:role/a b"] {
            assert!(role(bad).is_err(), "{bad}");
        }
        for (text, good) in [
            ("s3:GetObject", true),
            ("s3:List*", true),
            ("*", true),
            ("s3", false),
            ("s3:", false),
            ("S3:Get\"", false),
        ] {
            assert_eq!(action(text).is_ok(), good, "{text}");
        }
        for (text, good) in [
            ("arn:aws:s3:::b/*", true),
            ("*", true),
            ("b/*", false),
            ("arn:aws:s3:::${aws:username}/*", false),
        ] {
            assert_eq!(arn(text).is_ok(), good, "{text}");
        }
        for (text, good) in [
            ("https://sts.eu-central-1.amazonaws.com", true),
            ("http://127.0.0.1:5000", true),
            ("http://sts.example.com", false),
            ("https://key:secret@sts.example.com", false),
            // calls would go to another application's paths
            ("https://gw.internal/s3/", false),
            ("https://gw.internal/?x=1", false),
            ("ftp://127.0.0.1", false),
        ] {
            assert_eq!(endpoint(text).is_ok(), good, "{text}");
        }
        assert!(region("eu-central-1").is_ok() && region("Frankfurt!").is_err() && region("-").is_err());
    }
}
