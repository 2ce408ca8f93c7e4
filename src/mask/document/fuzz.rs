//! Bodies for fuzzing: each takes any bytes and must return.
//!
//! Job: reach every reader here from one function, and check what must hold of each: how the bytes are cut
//! changes nothing. Boundary: not part of the library's interface. Failure mode: a panic is a bug.

use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use secrecy::SecretSlice;

use super::{
    BodyMasker, Detector, Detectors, DocumentPath, DocumentPlan, DocumentRule, ItemMasker, KeyCase, TokenKey,
    Unmaskable,
};
use crate::domain::mask::Mask;
use crate::domain::name::RuleName;

/// Every masker with the same bytes, at once and cut; the first byte says where.
///
/// # Panics
/// When the cut changes what comes out.
pub fn all(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        drop(DocumentPath::new(text));
    }
    let Some((cut, body)) = data.split_first() else { return };
    for (media, plan) in MEDIA.iter().flat_map(|media| PLANS.iter().map(move |plan| (media, plan))) {
        let whole = mask(media, plan, &[body]);
        let size = usize::from(*cut).max(1);
        let pieces: Vec<&[u8]> = body.chunks(size).collect();
        let cut = mask(media, plan, &pieces);
        assert!(whole == cut || (whole.is_err() && cut.is_err()), "{media} in pieces of {size} differs");
    }
    for plan in PLANS.iter() {
        if let Ok(masked) = items(plan, body) {
            assert!(items(plan, &masked).is_ok(), "what stands for values is no value");
        }
    }
}

/// Masks an answer of DynamoDB's.
fn items(plan: &Arc<DocumentPlan>, body: &[u8]) -> Result<Vec<u8>, Unmaskable> {
    let mut masker = ItemMasker::new(Arc::clone(plan));
    masker.feed(body)?;
    let mut out = BytesMut::new();
    masker.finish(&mut out)?;
    Ok(out.to_vec())
}

/// Masks a body that comes in pieces.
///
/// # Errors
/// As the masker's.
pub fn mask(media: &str, plan: &Arc<DocumentPlan>, pieces: &[&[u8]]) -> Result<Vec<u8>, Unmaskable> {
    let mut masker = BodyMasker::new(Some(media), plan)?;
    let mut out = BytesMut::new();
    for piece in pieces {
        masker.feed(piece, &mut out)?;
    }
    masker.finish(&mut out)?;
    Ok(out.to_vec())
}

/// A plan with paths of every kind, and one with every detector.
fn plans() -> Vec<Arc<DocumentPlan>> {
    let rules = [
        ("$..api_key", Mask::Full),
        ("$.a[1:].b", Mask::Null),
        ("$..p", Mask::Partial { keep_last: 2 }),
        ("$[*]['t']", Mask::Token),
        ("$.x.*", Mask::Full),
    ];
    let rules: Vec<DocumentRule> = rules
        .into_iter()
        .filter_map(|(path, mask)| {
            Some(DocumentRule {
                name: RuleName::new("rule").ok()?,
                path: DocumentPath::new(path).ok()?,
                mask,
            })
        })
        .collect();
    let paths = DocumentPlan::new(&rules, KeyCase::Exact)
        .ok()
        .and_then(|plan| Some(plan.with_tokens(TokenKey::new(&SecretSlice::from(b"a key".to_vec()))?)));
    let text = DocumentPlan::new(&[], KeyCase::Exact).ok().zip(Detectors::new(&Detector::ALL, &[]).ok());
    let text = text.map(|(plan, detectors)| plan.with_detectors(Arc::new(detectors)));
    [paths, text].into_iter().flatten().map(Arc::new).collect()
}

static PLANS: LazyLock<Vec<Arc<DocumentPlan>>> = LazyLock::new(plans);
const MEDIA: &[&str] = &[
    "application/json",
    "application/x-ndjson",
    "application/json-seq",
    "application/x-www-form-urlencoded",
    "text/csv",
    "text/event-stream",
    "text/plain",
];
