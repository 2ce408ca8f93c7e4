//! Bodies of S3 calls that say what the call does.
//!
//! Job: DeleteObjects → keys; RestoreObject → whether it restores in place. Boundary: at most [`LONGEST`] bytes. Failure mode:
//! what is not exactly the documented form is [`Unjudged`].

use super::key_name;
use crate::wire::aws::call::Unjudged;
use crate::wire::aws::xml::{Event, Reader, XmlError};

/// An object that is deleted.
#[derive(Debug, Default)]
pub(super) struct Deleted {
    pub(super) key: String,
    pub(super) version: bool,
    /// Only if it has this digest.
    pub(super) compares: bool,
}

pub(super) fn deleted(body: &[u8]) -> Result<Vec<Deleted>, Unjudged> {
    let mut objects: Vec<Deleted> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    let mut text = String::new();
    let mut fault = None;
    events(body, &mut |event| match event {
        Event::Around => {}
        Event::Open(name) => {
            path.push(name);
            text.clear();
            match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["Delete"] => {}
                ["Delete", "Quiet"] => {}
                ["Delete", "Object"] => {
                    seen.clear();
                    objects.push(Deleted::default());
                }
                ["Delete", "Object", name @ ("Key" | "VersionId" | "ETag" | "LastModifiedTime" | "Size")] => {
                    if seen.iter().any(|other| other == name) {
                        fault.get_or_insert("an object of DeleteObjects has an element twice");
                    }
                    seen.push((*name).into());
                }
                _ => {
                    fault.get_or_insert("DeleteObjects has an element that is not known");
                }
            }
        }
        Event::Text(piece) => {
            let leaf = matches!(path.len(), 3) || matches!(path.last().map(String::as_str), Some("Quiet"));
            if leaf {
                text.push_str(&piece);
            } else if !piece.trim().is_empty() {
                fault.get_or_insert("DeleteObjects has text between its elements");
            }
        }
        Event::Close(name) => {
            path.pop();
            if let (Some(object), true) = (objects.last_mut(), path.len() == 2) {
                match name.as_str() {
                    "Key" => object.key = std::mem::take(&mut text),
                    "VersionId" => object.version = !text.is_empty(),
                    "ETag" => object.compares = text != "*",
                    _ => {}
                }
            }
            if path.len() == 1
                && name == "Object"
                && objects.last().is_some_and(|object| object.key.is_empty())
            {
                fault.get_or_insert("an object of DeleteObjects has no key");
            }
        }
    })?;
    if let Some(fault) = fault {
        return Err(Unjudged::new(fault));
    }
    if objects.is_empty() || objects.len() > MOST_OBJECTS {
        return Err(Unjudged::new("DeleteObjects names 1 to 1,000 objects"));
    }
    for object in &mut objects {
        object.key = key_name(std::mem::take(&mut object.key))?;
    }
    Ok(objects)
}

/// A restore that selects writes what it found elsewhere.
pub(super) fn restores_in_place(body: &[u8]) -> Result<(), Unjudged> {
    let mut place = true;
    if body.is_empty() {
        return Ok(());
    }
    let known = ["RestoreRequest", "Days", "GlacierJobParameters", "Tier", "Description"];
    events(body, &mut |event| {
        if let Event::Open(name) = event {
            place &= known.contains(&name.as_str());
        }
    })?;
    if place { Ok(()) } else { Err(Unjudged::new("a restore with a query or another place is not judged")) }
}

fn events(body: &[u8], each: &mut dyn FnMut(Event)) -> Result<(), Unjudged> {
    let told = |error: XmlError| Unjudged::of(error.to_string());
    if body.len() > LONGEST {
        return Err(Unjudged::new("the body is too long"));
    }
    let mut reader = Reader::default();
    reader.feed(body, &mut |_, event, _| each(event)).map_err(told)?;
    reader.finish().map_err(told)
}

/// 1,000 keys of 1,024 bytes, with names around them and room for entities (Amazon S3 API Reference, DeleteObjects).
pub(super) const LONGEST: usize = 2 * 1024 * 1024;
const MOST_OBJECTS: usize = 1000;
