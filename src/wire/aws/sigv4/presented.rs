//! What a request says of its signature.
//!
//! Job: read the `Authorization` header, or the parameters of a presigned URL, into a [`Presented`]. Boundary:
//! nothing is believed here; [`Presented::verify`] does that. Failure mode: a [`SignatureFault`] for everything
//! that is not written in the one way in which SDKs write it.

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, HOST, HeaderName};
use http::request::Parts;
use jiff::{SignedDuration, Timestamp, civil};
use secrecy::SecretString;

use super::fault::SignatureFault;
use super::query::Query;
use super::scope::{self, Scope};

/// Where a signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// In the `Authorization` header.
    Header,
    /// In the query: a presigned URL.
    Query,
}

/// What a signature says of the body (`x-amz-content-sha256`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Nothing: the body's SHA-256 is what is signed. Services other than S3.
    Absent,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`: each chunk is signed.
    Chunks,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`: each chunk is signed, and the trailer is.
    ChunksWithTrailer,
    /// Its SHA-256.
    Hash([u8; 32]),
    /// `UNSIGNED-PAYLOAD`: anything.
    Unsigned,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: chunks without signatures, then checksums.
    UnsignedTrailer,
}

impl Payload {
    /// Whether the body is sent in chunks of S3's own (`aws-chunked`).
    #[must_use]
    pub fn is_chunked(self) -> bool {
        matches!(self, Self::Chunks | Self::ChunksWithTrailer | Self::UnsignedTrailer)
    }

    /// Whether the signature covers the bytes of the body.
    #[must_use]
    pub fn is_signed(self) -> bool {
        !matches!(self, Self::Unsigned | Self::UnsignedTrailer)
    }

    /// The word for `x-amz-content-sha256`; `None` for [`Payload::Absent`].
    pub(super) fn word(self) -> Option<String> {
        Some(match self {
            Self::Absent => return None,
            Self::Chunks => CHUNKS.into(),
            Self::ChunksWithTrailer => CHUNKS_WITH_TRAILER.into(),
            Self::Hash(hash) => hex(&hash),
            Self::Unsigned => UNSIGNED.into(),
            Self::UnsignedTrailer => UNSIGNED_TRAILER.into(),
        })
    }

    fn parse(word: &str) -> Result<Self, SignatureFault> {
        match word {
            CHUNKS => Ok(Self::Chunks),
            CHUNKS_WITH_TRAILER => Ok(Self::ChunksWithTrailer),
            UNSIGNED => Ok(Self::Unsigned),
            UNSIGNED_TRAILER => Ok(Self::UnsignedTrailer),
            _ if word.starts_with("STREAMING-AWS4-ECDSA-P256-SHA256-") => Err(SignatureFault::Asymmetric),
            _ => unhex(word).map(Self::Hash).ok_or(SignatureFault::PayloadClaim),
        }
    }
}

/// A signature as a request presents it, read and not yet believed.
#[derive(Debug)]
pub struct Presented {
    pub(super) access_key: String,
    pub(super) scope: Scope,
    /// As it is written: it is part of what is signed.
    pub(super) time_text: String,
    pub(super) time: Timestamp,
    /// Of a presigned URL.
    pub(super) lifetime: Option<SignedDuration>,
    /// In order, in lower case, without duplicates.
    pub(super) signed: Vec<String>,
    pub(super) signature: [u8; 32],
    pub(super) placement: Placement,
    pub(super) payload: Payload,
    pub(super) token: Option<SecretString>,
    pub(super) query: Query,
}

impl Presented {
    /// Reads the signature of a request.
    ///
    /// # Errors
    /// [`SignatureFault`]: not signed, signed twice, signed with another version; anything that is malformed, too
    /// long, or stands twice; and headers that must be signed and are not.
    pub fn read(parts: &Parts) -> Result<Self, SignatureFault> {
        let query = Query::parse(parts.uri.query())?;
        check_parameters(&query)?;
        let in_header = parts.headers.contains_key(AUTHORIZATION);
        let in_query = query.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("x-amz-"));
        let presented = match (in_header, in_query) {
            (true, true) => return Err(SignatureFault::TwoMechanisms),
            (true, false) => Self::of_header(&parts.headers, query)?,
            (false, true) => Self::of_query(&parts.headers, &query)?,
            (false, false) => return Err(SignatureFault::Missing),
        };
        presented.check_headers(&parts.headers)?;
        Ok(presented)
    }

    /// The access key id.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The day, the region and the service it is for.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// When it was made, by the client's clock.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// How long a presigned URL is good for.
    #[must_use]
    pub fn lifetime(&self) -> Option<SignedDuration> {
        self.lifetime
    }

    /// The names of the headers it covers: sorted, in lower case.
    #[must_use]
    pub fn signed_headers(&self) -> &[String] {
        &self.signed
    }

    /// Where it stands.
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// What it says of the body.
    #[must_use]
    pub fn payload(&self) -> Payload {
        self.payload
    }

    fn of_header(headers: &HeaderMap, query: Query) -> Result<Self, SignatureFault> {
        let malformed = |what| SignatureFault::Malformed { placement: Placement::Header, what };
        let text = single(headers, &AUTHORIZATION, "Authorization")?.unwrap_or_default();
        if text.len() > MAX_AUTHORIZATION {
            return Err(malformed("the Authorization header is too long"));
        }
        let (algorithm, rest) =
            text.split_once(' ').ok_or_else(|| malformed("no algorithm and parameters"))?;
        check_algorithm(algorithm, Placement::Header)?;
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (name, value) =
                part.trim_matches(' ').split_once('=').ok_or_else(|| malformed("a parameter without `=`"))?;
            let (slot, name) = match name {
                "Credential" => (&mut credential, "Credential"),
                "SignedHeaders" => (&mut signed, "SignedHeaders"),
                "Signature" => (&mut signature, "Signature"),
                _ => return Err(malformed("a parameter that is not Credential, SignedHeaders or Signature")),
            };
            if slot.replace(value).is_some() {
                return Err(SignatureFault::Duplicate(name));
            }
        }
        let time = single(headers, &X_AMZ_DATE, "x-amz-date")?.ok_or(SignatureFault::Date)?;
        let service = credential.and_then(|text| text.rsplit('/').nth(1)).unwrap_or_default();
        let payload = match single(headers, &X_AMZ_CONTENT_SHA256, "x-amz-content-sha256")? {
            Some(word) => Payload::parse(word)?,
            None if scope::is_s3(service) => return Err(SignatureFault::PayloadAbsent),
            None => Payload::Absent,
        };
        let token = single(headers, &X_AMZ_SECURITY_TOKEN, "x-amz-security-token")?;
        let fields = Fields { credential, signed, signature, time, token };
        fields.read(Placement::Header, None, payload, query)
    }

    fn of_query(headers: &HeaderMap, query: &Query) -> Result<Self, SignatureFault> {
        let malformed = |what| SignatureFault::Malformed { placement: Placement::Query, what };
        for (name, text) in [(&X_AMZ_DATE, "x-amz-date"), (&X_AMZ_SECURITY_TOKEN, "x-amz-security-token")] {
            if headers.contains_key(name) {
                return Err(SignatureFault::Duplicate(text));
            }
        }
        let find = |wanted: &str| {
            let found = query.iter().find(|(name, _)| *name == wanted);
            found.and_then(|(_, value)| value)
        };
        check_algorithm(find("X-Amz-Algorithm").ok_or(SignatureFault::Missing)?, Placement::Query)?;
        let lifetime = find("X-Amz-Expires").ok_or(SignatureFault::Expires)?;
        let is_number = (1..=6).contains(&lifetime.len()) && lifetime.bytes().all(|b| b.is_ascii_digit());
        let lifetime =
            lifetime.parse().ok().filter(|seconds| is_number && (1..=MAX_LIFETIME).contains(seconds));
        let lifetime = SignedDuration::from_secs(lifetime.ok_or(SignatureFault::Expires)?);
        let credential = find("X-Amz-Credential");
        let service = credential.and_then(|text| text.rsplit('/').nth(1)).unwrap_or_default();
        let header = single(headers, &X_AMZ_CONTENT_SHA256, "x-amz-content-sha256")?;
        let payload = match (header, find("X-Amz-Content-Sha256")) {
            (Some(_), Some(_)) => return Err(SignatureFault::Duplicate("x-amz-content-sha256")),
            (Some(word), None) | (None, Some(word)) => Payload::parse(word)?,
            (None, None) if scope::is_s3(service) => Payload::Unsigned,
            (None, None) => Payload::Absent,
        };
        if payload.is_chunked() {
            return Err(malformed("a presigned request with a body in chunks"));
        }
        let fields = Fields {
            credential,
            signed: find("X-Amz-SignedHeaders"),
            signature: find("X-Amz-Signature"),
            time: find("X-Amz-Date").ok_or(SignatureFault::Date)?,
            token: find("X-Amz-Security-Token"),
        };
        fields.read(Placement::Query, Some(lifetime), payload, query.clone())
    }

    /// What must be signed is, what is signed is there, and nothing decisive stands twice.
    fn check_headers(&self, headers: &HeaderMap) -> Result<(), SignatureFault> {
        // INVARIANT: a header that means something to AWS is covered by the signature. AWS wants `host` and every
        // `x-amz-` header; `content-type` is left unsigned by the PHP SDK, and `x-amz-user-agent` too.
        for name in headers.keys() {
            let name = name.as_str();
            if self.signed.binary_search_by(|signed| signed.as_str().cmp(name)).is_ok() {
                continue;
            }
            let may_be_unsigned = match self.placement {
                Placement::Header => name == "x-amz-user-agent",
                Placement::Query => {
                    matches!(name, "x-amz-user-agent" | "x-amz-checksum-mode" | "content-md5")
                }
            };
            let must_be_signed = name.starts_with("x-amz-") || matches!(name, "content-md5" | "host");
            if must_be_signed && !may_be_unsigned {
                return Err(SignatureFault::Unsigned(name.into()));
            }
        }
        for name in headers.keys() {
            let may_repeat = !name.as_str().starts_with("x-amz-")
                || name.as_str().starts_with("x-amz-meta-")
                || name.as_str().ends_with("-object-attributes");
            if !may_repeat && headers.get_all(name).iter().nth(1).is_some() {
                return Err(SignatureFault::Duplicate("an x-amz- header"));
            }
        }
        single(headers, &HOST, "Host")?.ok_or_else(|| SignatureFault::Header("host".into()))?;
        let encodings = headers.get_all(CONTENT_ENCODING).iter();
        let is_chunked = encodings
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"aws-chunked"));
        if is_chunked && !self.payload.is_chunked() {
            return Err(SignatureFault::Chunked);
        }
        Ok(())
    }
}

/// The parts of a signature as they are written.
struct Fields<'a> {
    credential: Option<&'a str>,
    signed: Option<&'a str>,
    signature: Option<&'a str>,
    time: &'a str,
    token: Option<&'a str>,
}

impl Fields<'_> {
    fn read(
        &self,
        placement: Placement,
        lifetime: Option<SignedDuration>,
        payload: Payload,
        query: Query,
    ) -> Result<Presented, SignatureFault> {
        let malformed = |what| SignatureFault::Malformed { placement, what };
        let credential = self.credential.ok_or_else(|| malformed("no Credential"))?;
        let (access_key, scope) =
            credential.split_once('/').ok_or_else(|| malformed("a Credential without a scope"))?;
        let fits = (1..=MAX_ACCESS_KEY).contains(&access_key.len())
            && access_key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !fits {
            return Err(malformed("an access key id that is none"));
        }
        let scope = Scope::parse(scope)
            .ok_or_else(|| malformed("a scope that is not DATE/REGION/SERVICE/aws4_request"))?;
        let signed =
            signed_headers(self.signed.ok_or_else(|| malformed("no SignedHeaders"))?).map_err(malformed)?;
        let signature = unhex(self.signature.ok_or_else(|| malformed("no Signature"))?)
            .ok_or_else(|| malformed("a Signature that is not 64 digits of lower-case hexadecimal"))?;
        if self.token.is_some_and(|token| token.len() > MAX_TOKEN) {
            return Err(malformed("a session token that is too long"));
        }
        Ok(Presented {
            access_key: access_key.into(),
            scope,
            time_text: self.time.into(),
            time: time(self.time).ok_or(SignatureFault::Date)?,
            lifetime,
            signed,
            signature,
            placement,
            payload,
            token: self.token.map(SecretString::from),
            query,
        })
    }
}

/// The list of signed headers: sorted, in lower case, each once, none empty.
fn signed_headers(text: &str) -> Result<Vec<String>, &'static str> {
    let names: Vec<String> = text.split(';').map(str::to_owned).collect();
    if names.len() > MAX_SIGNED || names.iter().any(|name| name.len() > MAX_NAME) {
        return Err("SignedHeaders that are too long");
    }
    // `HeaderName` would take capitals and make them small
    let is_name = |name: &String| {
        !name.bytes().any(|b| b.is_ascii_uppercase()) && HeaderName::from_bytes(name.as_bytes()).is_ok()
    };
    if !names.iter().all(is_name) {
        return Err("SignedHeaders with a name that is none, or not in lower case");
    }
    if !names.is_sorted_by(|a, b| a < b) {
        return Err("SignedHeaders that are not sorted, or with a name twice");
    }
    Ok(names)
}

/// Parameters of signatures: none twice, none in another spelling, none of version 2.
fn check_parameters(query: &Query) -> Result<(), SignatureFault> {
    let mut seen: Vec<String> = Vec::new();
    for (name, _) in query.iter() {
        let lower = name.to_ascii_lowercase();
        if matches!(lower.as_str(), "awsaccesskeyid" | "signature") {
            return Err(SignatureFault::VersionTwo);
        }
        if !lower.starts_with("x-amz-") {
            continue;
        }
        if seen.contains(&lower) {
            return Err(SignatureFault::Duplicate("an X-Amz- parameter"));
        }
        let known = PARAMETERS.iter().find(|known| known.eq_ignore_ascii_case(name));
        if known.is_some_and(|known| *known != name) {
            return Err(SignatureFault::Malformed {
                placement: Placement::Query,
                what: "an X-Amz- parameter in another spelling",
            });
        }
        seen.push(lower);
    }
    Ok(())
}

fn check_algorithm(algorithm: &str, placement: Placement) -> Result<(), SignatureFault> {
    match algorithm {
        ALGORITHM => Ok(()),
        "AWS" => Err(SignatureFault::VersionTwo),
        _ if algorithm.starts_with("AWS4-ECDSA-P256-SHA256") => Err(SignatureFault::Asymmetric),
        _ => Err(SignatureFault::Malformed { placement, what: "an algorithm other than AWS4-HMAC-SHA256" }),
    }
}

/// The value of a header that may stand once.
fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    text: &'static str,
) -> Result<Option<&'a str>, SignatureFault> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(SignatureFault::Duplicate(text));
    }
    plain(value).map(Some).ok_or_else(|| SignatureFault::Header(name.as_str().into()))
}

/// The text of a header's value, when it is plain: printable ASCII and spaces.
pub(super) fn plain(value: &http::HeaderValue) -> Option<&str> {
    value.to_str().ok().filter(|text| text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()))
}

/// Reads `20260131T235959Z`, and no other spelling.
fn time(text: &str) -> Option<Timestamp> {
    let shape = text.bytes().enumerate().all(|(at, byte)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    });
    if text.len() != 16 || !shape {
        return None;
    }
    let part = |range| text.get(range).and_then(|digits: &str| digits.parse::<i8>().ok());
    let year = text.get(..4)?.parse().ok()?;
    let time =
        civil::DateTime::new(year, part(4..6)?, part(6..8)?, part(9..11)?, part(11..13)?, part(13..15)?, 0)
            .ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Lower-case hexadecimal.
pub(in crate::wire::aws) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads 64 digits of lower-case hexadecimal.
pub(in crate::wire::aws) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != out.len() || !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = digit(*high)? * 16 + digit(*low)?;
    }
    Some(out)
}

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
pub(super) const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
pub(super) const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
pub(super) const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// The parameters of a presigned URL's signature.
pub(super) const PARAMETERS: [&str; 8] = [
    "X-Amz-Algorithm",
    "X-Amz-Content-Sha256",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];
const CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const CHUNKS_WITH_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
/// A week, as AWS has it ("Authenticating Requests: Using Query Parameters").
const MAX_LIFETIME: i64 = 7 * 24 * 60 * 60;
const MAX_AUTHORIZATION: usize = 4096;
const MAX_ACCESS_KEY: usize = 128;
const MAX_TOKEN: usize = 4096;
const MAX_SIGNED: usize = 64;
const MAX_NAME: usize = 128;
