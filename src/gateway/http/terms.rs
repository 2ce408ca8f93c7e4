//! What applies to the bodies of a call and of its answer.
//!
//! Job: the masks that bind whoever calls, and how much may come. Boundary: says nothing of what a call does. Failure
//! mode: a mask that has no plan is an error, upon which nothing is called.

use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;
use url::Url;

use super::answer::Problem;
use super::masker::Masker;
use crate::domain::target::BodyMask;
use crate::gateway::authority::SessionContext;
use crate::gateway::aws::ObjectMasker;
use crate::mask::document::{
    BodyMasker, DocumentPath, DocumentPlan, DocumentRule, ItemMasker, KeyCase, TokenKey,
};
use crate::wire::aws::call::AwsCall;
use crate::wire::aws::listing::Listing;

/// What applies to the bodies of a call and of its answer.
#[derive(Debug)]
pub(in crate::gateway) struct Terms {
    /// What is masked for this principal; `None` when nothing is.
    pub(in crate::gateway) masks: Option<Arc<DocumentPlan>>,
    /// What counts items where nothing is masked.
    pub(in crate::gateway) counting: Option<Arc<DocumentPlan>>,
    /// The longest answer in bytes.
    pub(in crate::gateway) max_response: Option<u64>,
    /// The most items of an answer.
    pub(in crate::gateway) max_items: Option<u64>,
    /// Where answers come from.
    pub(in crate::gateway) base: Url,
    /// What their bodies are.
    pub(in crate::gateway) form: BodyForm,
}

/// What the body of an answer is.
#[derive(Debug)]
pub(in crate::gateway) enum BodyForm {
    /// What its media type says.
    Document,
    /// Items of DynamoDB.
    Items,
    /// What this call of AWS lists.
    Listing(Box<AwsCall>),
    /// The object of S3 with this key.
    Object(String),
}

impl Terms {
    /// What masks a body.
    ///
    /// INVARIANT: what cannot be masked is not passed.
    pub(super) fn masker(&self, headers: &HeaderMap, plan: &Arc<DocumentPlan>) -> Result<Masker, Problem> {
        let content_type = content_type(headers)?;
        Ok(match &self.form {
            BodyForm::Document => {
                Masker::Document(BodyMasker::new(content_type, plan).map_err(Problem::unmaskable)?)
            }
            BodyForm::Items => Masker::Items(Box::new(ItemMasker::new(Arc::clone(plan)))),
            BodyForm::Listing(call) => {
                let listing = Listing::new(call, true);
                Masker::listing(listing.ok_or_else(|| Problem::unmaskable("it is no listing"))?)
            }
            BodyForm::Object(key) => {
                let masker = ObjectMasker::new(content_type, key, plan).map_err(Problem::unmaskable)?;
                Masker::Object(Box::new(masker))
            }
        })
    }

    /// What counts the items of a body where no masker does; `None` where its type has none.
    pub(super) fn counter(&self, headers: &HeaderMap) -> Option<Masker> {
        match &self.form {
            BodyForm::Listing(call) => Listing::new(call, false).map(Masker::listing),
            _ => {
                let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
                BodyMasker::new(content_type, self.counting.as_ref()?).ok().map(Masker::Document)
            }
        }
    }
}

fn content_type(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (first, second) = (types.next(), types.next());
    if second.is_some() {
        return Err(Problem::unmaskable("it has more than one `Content-Type`"));
    }
    Ok(first.and_then(|value| value.to_str().ok()))
}

/// The plan of these masks.
pub(in crate::gateway) fn plan<'a>(
    masks: impl Iterator<Item = &'a BodyMask>,
) -> Result<(DocumentPlan, usize), String> {
    let rules = masks.map(|mask| {
        let path = DocumentPath::new(&mask.path).map_err(|error| error.to_string())?;
        Ok(DocumentRule { name: mask.name.clone(), path, mask: mask.mask })
    });
    let rules = rules.collect::<Result<Vec<_>, String>>()?;
    let plan = DocumentPlan::new(&rules, KeyCase::Exact).map_err(|error| error.to_string())?;
    Ok((plan, rules.len()))
}

/// Tokens are the same in all sessions on the target, and in no other target.
pub(in crate::gateway) fn token_key(context: &SessionContext) -> Option<TokenKey> {
    let mut mac = Hmac::<Sha256>::new_from_slice(context.digest_key.expose_secret().as_bytes()).ok()?;
    mac.update(b"tokens of documents");
    let key: Vec<u8> = mac.finalize().into_bytes().to_vec();
    TokenKey::new(&SecretSlice::from(key))
}
