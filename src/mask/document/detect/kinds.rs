//! The detectors that there are, and the patterns that candidates for each have.

/// A kind of secret or personal datum that text is searched for. None is on unless asked for. The order is the one
/// in which they are tried at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detector {
    /// Keys with a prefix that says whose they are: `sk-…`, `ghp_…`, `glpat-…`, `xoxb-…`, `AIza…`, `hf_…`.
    ApiKey,
    /// Access key ids of AWS, and secrets next to their name.
    AwsKey,
    /// Payment card numbers, 13 to 19 digits, whose first digits are an issuer's and whose check digit is right.
    Card,
    /// E-mail addresses.
    Email,
    /// International bank account numbers whose checksum is right.
    Iban,
    /// Addresses of IPv4 and IPv6.
    Ip,
    /// JSON Web Tokens, signed or encrypted.
    Jwt,
    /// Phone numbers: with `+` or `00` and a country, and national ones whose separators give them away.
    Phone,
    /// Private keys in PEM, to their last line.
    PrivateKey,
    /// Social security numbers of the United States, next to a word that says so.
    Ssn,
}

impl Detector {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::ApiKey,
        Self::AwsKey,
        Self::Card,
        Self::Email,
        Self::Iban,
        Self::Ip,
        Self::Jwt,
        Self::Phone,
        Self::PrivateKey,
        Self::Ssn,
    ];

    /// The name in configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api-key",
            Self::AwsKey => "aws-key",
            Self::Card => "card",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Ip => "ip",
            Self::Jwt => "jwt",
            Self::Phone => "phone",
            Self::PrivateKey => "private-key",
            Self::Ssn => "ssn",
        }
    }

    /// The detector of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|detector| detector.as_str() == name)
    }

    /// What a candidate looks like. No pattern that can match blanks matches more than 96 bytes.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            Self::ApiKey => {
                r"\b(?:(?:sk|rk|pk)[-_][A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{35}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,})"
            }
            Self::AwsKey => {
                r"\b(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{16}\b|(?i:aws_?secret_?(?:access_?)?key)[^A-Za-z0-9/+]{1,6}[A-Za-z0-9/+]{40}"
            }
            Self::Card => r"\b[0-9](?:[ -]?[0-9]){12,18}\b",
            // what stands before the `@`, `emails` knows
            Self::Email => r"@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z][A-Za-z0-9-]+",
            // read by `cards`, of which this is the form
            Self::Iban => r"\b[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}\b",
            Self::Ip => {
                // of IPv6; those of IPv4 are read by `checks`
                r"(?:\b[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{0,4}:|::)(?:[0-9A-Fa-f]{0,4}:){0,6}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b|[0-9A-Fa-f]{1,4}\b)?"
            }
            Self::Jwt => r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}",
            Self::Phone => {
                r"\B\+[1-9](?:[ ()./-]{0,2}[0-9]){7,14}\b|\b00[1-9][0-9]{0,2}[ ()./-]{1,2}[0-9](?:[ ()./-]{0,2}[0-9]){6,12}\b|\b0[1-9](?:[ .-][0-9]{2}){4}\b|(?:\b0[1-9][0-9]{1,4}[ /-]|\B\(0[1-9][0-9]{0,4}\)[ -]?)[0-9]{3,4}(?:[ -]?[0-9]{2,4}){1,2}\b|(?:\b0[1-9][0-9]{1,4}[ /-]|\B\(0[1-9][0-9]{0,4}\)[ -]?)[0-9]{6,8}\b|(?:\B\([2-9][0-9]{2}\)[ -]?|\b(?:1[ .-])?[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}\b|\B\([1-9][0-9]\) ?9?[0-9]{4}-[0-9]{4}\b|\b[6-9][0-9]{4}[ -][0-9]{5}\b|\b(?:0[1-9][0-9]{7,9}|[2-9][0-9]{9})\b"
            }
            Self::PrivateKey => r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
            Self::Ssn => r"\b[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}\b(?:[ (,:-]{1,4}(?i:ssn\b|social[ _-]?sec))?",
        }
    }
}
