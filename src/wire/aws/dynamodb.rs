//! What a DynamoDB call does (Amazon DynamoDB API Reference, JSON 1.0).
//!
//! Job: `X-Amz-Target` and body → operation, tables, and every attribute that the call names, with what for. Boundary: values
//! are not looked at. Failure mode: PartiQL, members that are not known, and members that occur twice are [`Unjudged`]; an
//! expression that is not understood makes the call name everything.

mod administration;
mod expression;
mod parts;

use std::collections::BTreeSet;

use self::parts::Parts;
use super::call::{AwsCall, Detail, Head, Unjudged, facts, header, partition};
use super::json::Json;
use super::uri::{Query, shown};
use crate::domain::facts::AwsAccess;
use crate::domain::item::ItemStep;

/// What masks and caps need to know of a DynamoDB call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DynamoCall {
    /// The attributes that it names.
    pub uses: Vec<Use>,
    /// Whether an expression was not understood, or there were too many names: everything may be used for anything.
    pub unclear: bool,
    /// Whether its answer holds items.
    pub items: bool,
    /// Whether it gives back attributes of what it writes: `ReturnValues` and its like.
    pub returns: bool,
    /// Whether it asks how large items are: `ReturnConsumedCapacity` and `ReturnItemCollectionMetrics`.
    pub sizes: bool,
    /// Whether it is about data, not about tables.
    pub data: bool,
    /// Whether `Limit` bounds it, and what it says.
    pub limits: bool,
}

/// An attribute that a call names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// Where it is.
    pub path: Vec<ItemStep>,
    /// What for.
    pub role: Role,
}

/// What a call names an attribute for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// To find items: `Key`, `KeyConditionExpression`, `ExclusiveStartKey`.
    Key,
    /// To get it: `ProjectionExpression`, `AttributesToGet`.
    Project,
    /// To give it a value: items that are put, targets of updates.
    Put,
    /// To decide or to compute with it: filters, conditions, sources of updates.
    Read,
    /// To take it away, upon which what stands behind it in a list moves up.
    Remove,
}

pub(super) fn read(head: &Head<'_>, body: Option<&[u8]>, region: &str) -> Result<AwsCall, Unjudged> {
    if head.method != "POST"
        || !matches!(head.path, "" | "/")
        || head.query.is_some_and(|query| !query.is_empty())
    {
        return Err(Unjudged::new("a DynamoDB call is POST / without a query"));
    }
    if header(head.headers, "content-encoding")?.is_some_and(|coding| coding != "identity") {
        return Err(Unjudged::new("the body is compressed; turn request compression off"));
    }
    let media = header(head.headers, "content-type")?.unwrap_or_default();
    if media != "application/x-amz-json-1.0" || head.headers.contains_key("smithy-protocol") {
        return Err(Unjudged::new("a DynamoDB call carries application/x-amz-json-1.0"));
    }
    let target = header(head.headers, "x-amz-target")?.unwrap_or_default();
    let operation = target
        .strip_prefix("DynamoDB_20120810.")
        .ok_or_else(|| Unjudged::new("the call names no operation of DynamoDB_20120810"))?;
    let body = body.ok_or_else(|| Unjudged::new("the call's body was not read"))?;
    if body.len() > LONGEST {
        return Err(Unjudged::new("the body is too long"));
    }
    let json = Json::read(body).map_err(|_| Unjudged::new("the body is not JSON, or has a member twice"))?;
    let members = json.object().ok_or_else(|| Unjudged::new("the body is no JSON object"))?;

    let parts = match parts::read(operation, members)? {
        Some(parts) => parts,
        None => administration::read(operation, members)?.ok_or_else(|| {
            Unjudged::of(format!("the DynamoDB operation `{}` is not judged", shown(operation)))
        })?,
    };
    let Parts {
        access, actions, tables, uses, unclear, all, limit, limits, items, returns, sizes, data, ..
    } = parts;
    let mut facts = facts("dynamodb", operation, access);
    facts.actions = actions.into_iter().map(|action| format!("dynamodb:{action}")).collect();
    facts.limit = limit;
    for table in tables {
        facts.resources.insert(table.resource(region));
        // by another name a table is not the one that a rule names, and still the one that a mask names
        facts.tables.extend(table.arn);
        facts.tables.insert(table.name);
    }
    if facts.resources.is_empty() {
        facts.resources.insert(format!("arn:{}:dynamodb:{region}:*:table/*", partition(region)));
    }
    let mut attributes: BTreeSet<String> = uses.iter().flat_map(|one| texts(&one.path)).collect();
    if all || unclear {
        attributes.insert("*".into());
    }
    facts.attributes = attributes;
    let detail =
        DynamoCall { uses: uses.into_iter().collect(), unclear, items, returns, sizes, data, limits };
    Ok(AwsCall {
        facts,
        path: "/".into(),
        query: Query::default(),
        headers: Vec::new(),
        detail: Detail::Dynamo(detail),
    })
}

/// A table, as calls name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Table {
    name: String,
    arn: Option<String>,
    index: Option<String>,
}

impl Table {
    fn new(text: &str, index: Option<&str>) -> Result<Self, Unjudged> {
        let wrong = || Unjudged::of(format!("`{}` is no table", shown(text)));
        let index = match index {
            Some(index) if !is_name(index) => return Err(wrong()),
            index => index.map(Into::into),
        };
        if is_name(text) {
            return Ok(Self { name: text.into(), arn: None, index });
        }
        let parts: Vec<&str> = text.split(':').collect();
        let &["arn", partition, "dynamodb", region, account, resource] = parts.as_slice() else {
            return Err(wrong());
        };
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let name = resource.strip_prefix("table/").ok_or_else(wrong)?;
        if ![partition, region, account].into_iter().all(|part| !part.is_empty() && plain(part))
            || !is_name(name)
        {
            return Err(wrong());
        }
        Ok(Self { name: name.into(), arn: Some(text.into()), index })
    }

    fn resource(&self, region: &str) -> String {
        let table = match &self.arn {
            Some(arn) => arn.clone(),
            None => format!("arn:{}:dynamodb:{region}:*:table/{}", partition(region), self.name),
        };
        match &self.index {
            Some(index) => format!("{table}/index/{index}"),
            None => table,
        }
    }
}

/// The names of tables and indexes (Amazon DynamoDB Developer Guide, Supported data types and naming rules).
fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// The attribute, and the whole path with dots; elements of lists go without their places.
fn texts(path: &[ItemStep]) -> impl Iterator<Item = String> {
    let names: Vec<&str> = path
        .iter()
        .filter_map(|step| match step {
            ItemStep::Name(name) => Some(name.as_str()),
            ItemStep::Index(_) => None,
        })
        .collect();
    let first = names.first().map(|name| (*name).to_owned());
    first.into_iter().chain(std::iter::once(names.join(".")))
}

/// The most that a request may have (BatchWriteItem: 16 MB).
pub(super) const LONGEST: usize = 16 * 1024 * 1024;

/// Only for [`parts`] and [`administration`]: cautious parts.
impl Default for Parts {
    fn default() -> Self {
        Self {
            access: AwsAccess::Unknown,
            actions: BTreeSet::new(),
            tables: BTreeSet::new(),
            uses: BTreeSet::new(),
            unclear: false,
            all: false,
            limit: None,
            limits: false,
            items: false,
            returns: false,
            sizes: false,
            data: false,
            named: 0,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
