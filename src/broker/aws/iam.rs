//! Inline policies of roles.
//!
//! Job: put one and take it away (IAM's Query API, version 2010-05-08). Boundary: says nothing of what is in it. Failure
//! mode: slow, large or refusing answers are errors, which quote what IAM says of rights.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use jiff::Timestamp;
use url::Url;

use super::base::Ground;
use super::fault::advice;

/// The IAM of an account.
pub(super) struct Iam {
    endpoint: Url,
    region: &'static str,
    http: reqwest::Client,
    base: SdkConfig,
}

/// Why an inline policy is not as it should be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct IamError(pub(super) String);

impl Iam {
    /// IAM of a role's partition, or at an endpoint.
    pub(super) fn new(
        role: &str,
        endpoint: Option<&Url>,
        ground: &Ground,
        base: SdkConfig,
    ) -> Result<Self, IamError> {
        let (host, region) = match role.split(':').nth(1) {
            Some("aws-cn") => ("https://iam.cn-north-1.amazonaws.com.cn/", "cn-north-1"),
            Some("aws-us-gov") => ("https://iam.us-gov.amazonaws.com/", "us-gov-west-1"),
            _ => ("https://iam.amazonaws.com/", "us-east-1"),
        };
        let endpoint = match endpoint {
            Some(url) => url.clone(),
            None => Url::parse(host).map_err(|error| IamError(error.to_string()))?,
        };
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .user_agent(concat!("hoopctl/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &ground.root_certificates {
            let unread = |error: &dyn std::fmt::Display| IamError(format!("`{}`: {error}", path.display()));
            let pem = std::fs::read(path).map_err(|error| unread(&error))?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unread(&error))?;
            builder = builder.tls_certs_only(roots);
        }
        let http = builder.build().map_err(|error| IamError(told(&error)))?;
        Ok(Self { endpoint, region, http, base })
    }

    /// Puts an inline policy into a role.
    pub(super) async fn put(
        &self,
        role: &str,
        policy: &str,
        document: &str,
        now: Timestamp,
    ) -> Result<(), IamError> {
        let fields = [
            ("Action", "PutRolePolicy"),
            ("Version", VERSION),
            ("RoleName", role),
            ("PolicyName", policy),
            ("PolicyDocument", document),
        ];
        self.call(&fields, now).await
    }

    /// Takes an inline policy away, if it is there.
    pub(super) async fn delete(&self, role: &str, policy: &str, now: Timestamp) -> Result<(), IamError> {
        let fields = [
            ("Action", "DeleteRolePolicy"),
            ("Version", VERSION),
            ("RoleName", role),
            ("PolicyName", policy),
        ];
        match self.call(&fields, now).await {
            Err(IamError(why)) if why.starts_with(GONE) => Ok(()),
            other => other,
        }
    }

    async fn call(&self, fields: &[(&str, &str)], now: Timestamp) -> Result<(), IamError> {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let provider = self.base.credentials_provider();
        let provider = provider.ok_or_else(|| IamError("the broker is nobody to AWS".into()))?;
        let keys = provider.provide_credentials().await;
        let keys =
            keys.map_err(|error| IamError(format!("the broker has no credentials of its own: {error}")))?;
        let identity = keys.into();
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name("iam")
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| IamError(error.to_string()))?
            .into();
        let headers = [("content-type", FORM), ("host", &self.host())];
        let signable = SignableRequest::new(
            "POST",
            self.endpoint.as_str(),
            headers.iter().map(|(name, value)| (*name, *value)),
            SignableBody::Bytes(body.as_bytes()),
        )
        .map_err(|error| IamError(error.to_string()))?;
        let (instructions, _) =
            sign(signable, &parameters).map_err(|error| IamError(error.to_string()))?.into_parts();
        let mut request = self.http.post(self.endpoint.clone()).header("content-type", FORM);
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        let mut answer = request.body(body).send().await.map_err(|error| IamError(told(&error)))?;
        let status = answer.status();
        let mut text = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| IamError(told(&error)))? {
            if text.len() + piece.len() > LONGEST {
                return Err(IamError(format!("IAM answered with more than {LONGEST} bytes")));
            }
            text.extend_from_slice(&piece);
        }
        if status.is_success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&text);
        let (code, message) = (between(&text, "Code"), between(&text, "Message"));
        match code {
            "NoSuchEntity" | "NoSuchEntityException" => Err(IamError(format!("{GONE}: {message}"))),
            "AccessDenied" | "AccessDeniedException" => Err(IamError(format!(
                "the broker may not write policies of the role; allow it iam:PutRolePolicy and iam:DeleteRolePolicy: {}",
                advice("", message)
            ))),
            code => Err(IamError(advice(code, message))),
        }
    }

    /// As the header says it.
    fn host(&self) -> String {
        let host = self.endpoint.host_str().unwrap_or_default();
        self.endpoint.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// The text of the first element of this name.
fn between<'a>(xml: &'a str, name: &str) -> &'a str {
    let Some((_, rest)) = xml.split_once(&format!("<{name}>")) else { return "" };
    rest.split_once('<').map_or("", |(text, _)| text)
}

fn told(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    error
        .source()
        .map_or_else(|| "IAM cannot be asked".into(), |cause| format!("IAM cannot be asked: {cause}"))
}

const VERSION: &str = "2010-05-08";
const FORM: &str = "application/x-www-form-urlencoded";
const GONE: &str = "there is no such role or policy";
const LONGEST: usize = 64 << 10;
