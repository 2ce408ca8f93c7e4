//! What a signature is for: a day, a region, a service.
//!
//! Job: the credential scope and its rules. Boundary: text. Failure mode: [`Scope::parse`] answers `None`.

use std::fmt;

/// The credential scope of a signature (AWS, "Create a signed AWS API request", step 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    date: String,
    region: String,
    service: String,
}

impl Scope {
    /// Reads `20260131/eu-central-1/s3/aws4_request`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (date, region, service) = (parts.next()?, parts.next()?, parts.next()?);
        let is_word = |text: &str, longest: usize| {
            (1..=longest).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        let fits = parts.next()? == "aws4_request"
            && parts.next().is_none()
            && date.len() == 8
            && date.bytes().all(|b| b.is_ascii_digit())
            && is_word(region, 64)
            && is_word(service, 64);
        fits.then(|| Self { date: date.into(), region: region.into(), service: service.into() })
    }

    /// The day, `20260131`.
    #[must_use]
    pub fn date(&self) -> &str {
        &self.date
    }

    /// The region, `eu-central-1`.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The service's signing name, `s3`.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Whether the path is signed as it is sent (S3 and its kin), and not normalised and escaped once more.
    pub(super) fn has_plain_path(&self) -> bool {
        is_s3(&self.service)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

/// Whether a service of this signing name signs like S3.
pub(super) fn is_s3(service: &str) -> bool {
    matches!(service, "s3" | "s3express" | "s3-object-lambda" | "s3-outposts")
}
