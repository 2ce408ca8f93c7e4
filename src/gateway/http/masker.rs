//! What looks into a body on its way, whatever the body is.
//!
//! Job: one way to feed documents, objects, items and listings. Boundary: what they turn into is `mask`'s and `wire`'s.
//! Failure mode: a sentence; nothing may be passed on after it.

use bytes::BytesMut;

use crate::gateway::aws::ObjectMasker;
use crate::mask::document::{BodyMasker, ItemMasker};
use crate::wire::aws::listing::Listing;

/// What looks into a body.
#[derive(Debug)]
pub(in crate::gateway) enum Masker {
    /// By its media type.
    Document(BodyMasker),
    /// Items of DynamoDB.
    Items(Box<ItemMasker>),
    /// A listing of AWS; `None` once it has ended, beside how many entries it had.
    Listing(Option<Box<Listing>>, u64),
    /// An object of S3.
    Object(Box<ObjectMasker>),
}

impl Masker {
    /// For a listing.
    pub(in crate::gateway) fn listing(listing: Listing) -> Self {
        Self::Listing(Some(Box::new(listing)), 0)
    }

    /// Takes the next piece; what can be given out is appended to `out`.
    pub(in crate::gateway) fn feed(&mut self, input: &[u8], out: &mut BytesMut) -> Result<(), String> {
        match self {
            Self::Document(masker) => masker.feed(input, out).map_err(|error| error.to_string()),
            Self::Items(masker) => masker.feed(input).map_err(|error| error.to_string()),
            Self::Listing(Some(listing), entries) => {
                listing.feed(input, out).map_err(|error| error.to_string())?;
                *entries = listing.entries();
                Ok(())
            }
            Self::Listing(None, _) => Err("the listing goes on after its end".into()),
            Self::Object(masker) => masker.feed(input, out),
        }
    }

    /// Ends the body.
    pub(in crate::gateway) fn finish(&mut self, out: &mut BytesMut) -> Result<(), String> {
        match self {
            Self::Document(masker) => masker.finish(out).map_err(|error| error.to_string()),
            Self::Items(masker) => masker.finish(out).map_err(|error| error.to_string()),
            Self::Listing(listing, _) => match listing.take() {
                Some(listing) => listing.finish().map_err(|error| error.to_string()),
                None => Ok(()),
            },
            Self::Object(masker) => masker.finish(out),
        }
    }

    /// How many items came so far.
    pub(in crate::gateway) fn items(&self) -> u64 {
        match self {
            Self::Document(masker) => masker.items(),
            Self::Items(masker) => masker.items(),
            Self::Listing(_, entries) => *entries,
            Self::Object(masker) => masker.items(),
        }
    }
}
