//! `x-amz-copy-source`: the object that a copy is made of.
//!
//! Job: `/bucket/key?versionId=…`, percent-encoded → bucket, key, version, as strictly as a path. Boundary: access points by
//! ARN are not judged. Failure mode: [`Unjudged`].

use super::{Source, bucket_name, key_name};
use crate::wire::aws::call::Unjudged;
use crate::wire::aws::uri::decode;

pub(super) fn read(text: &str) -> Result<Source, Unjudged> {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let version = match query.map(|query| query.strip_prefix("versionId=")) {
        None => None,
        Some(Some(version)) if !version.is_empty() && !version.contains(['&', '=', '?']) => {
            Some(decode(version)?)
        }
        Some(_) => return Err(Unjudged::new("x-amz-copy-source has another query than ?versionId=")),
    };
    // older SDKs encode the slash after the bucket as well
    let path = decode(path)?;
    let path = path.strip_prefix('/').unwrap_or(&path);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    if key.is_empty() {
        return Err(Unjudged::new("x-amz-copy-source is /bucket/key"));
    }
    Ok(Source { bucket: bucket_name(bucket)?, key: key_name(key.to_owned())?, version })
}
