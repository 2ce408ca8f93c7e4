//! The calls that read and write items.
//!
//! Job: members of a request → tables, attributes, what for. Boundary: one table of what each operation may have. Failure
//! mode: a member that is not known is [`Unjudged`].

use std::collections::{BTreeMap, BTreeSet};

use super::expression::{self, Names};
use super::{Role, Table, Use};
use crate::domain::facts::AwsAccess;
use crate::domain::item::ItemStep;
use crate::wire::aws::call::Unjudged;
use crate::wire::aws::json::Json;
use crate::wire::aws::uri::shown;

/// What was found out.
#[derive(Debug)]
pub(in crate::wire::aws) struct Parts {
    pub(super) access: AwsAccess,
    pub(super) actions: BTreeSet<String>,
    pub(super) tables: BTreeSet<Table>,
    pub(super) uses: BTreeSet<Use>,
    /// How many bytes all paths that were named have together.
    pub(super) named: usize,
    pub(super) unclear: bool,
    /// Whole items are read.
    pub(super) all: bool,
    pub(super) limit: Option<i64>,
    pub(super) limits: bool,
    pub(super) items: bool,
    pub(super) returns: bool,
    pub(super) sizes: bool,
    pub(super) data: bool,
}

type Members = BTreeMap<String, Json>;

/// `None` when it is not one of these operations.
pub(super) fn read(operation: &str, members: &Members) -> Result<Option<Parts>, Unjudged> {
    let (access, allowed): (AwsAccess, &[&[&str]]) = match operation {
        "GetItem" => (AwsAccess::Read, &[GET, &["AttributesToGet", "ConsistentRead"]]),
        "Query" | "Scan" => (AwsAccess::Read, &[if operation == "Query" { QUERY } else { SCAN }, SEARCH]),
        "PutItem" => (AwsAccess::Write, &[WRITE, &["Item"]]),
        "UpdateItem" => (AwsAccess::Write, &[WRITE, &["Key", "UpdateExpression", "AttributeUpdates"]]),
        "DeleteItem" => (AwsAccess::Delete, &[WRITE, &["Key"]]),
        "BatchGetItem" => (AwsAccess::Read, &[&["RequestItems"]]),
        "BatchWriteItem" => (AwsAccess::Write, &[&["RequestItems", "ReturnItemCollectionMetrics"]]),
        "TransactGetItems" => (AwsAccess::Read, &[&["TransactItems"]]),
        "TransactWriteItems" => {
            (AwsAccess::Write, &[&["TransactItems", "ReturnItemCollectionMetrics", "ClientRequestToken"]])
        }
        _ => return Ok(None),
    };
    let mut parts = Parts { access, items: true, data: true, ..Parts::default() };
    only(members, &[allowed, &[&["ReturnConsumedCapacity"]]].concat())?;
    for name in ["ReturnConsumedCapacity", "ReturnItemCollectionMetrics"] {
        parts.sizes |= text(members, name)?.is_some_and(|wanted| wanted != "NONE");
    }
    match operation {
        "BatchGetItem" => parts.batch_get(members)?,
        "BatchWriteItem" => parts.batch_write(members)?,
        "TransactGetItems" | "TransactWriteItems" => parts.transaction(operation, members)?,
        _ => {
            parts.actions.insert(operation.into());
            parts.table(members)?;
            parts.one(members, access == AwsAccess::Read)?;
            parts.limits = matches!(operation, "Query" | "Scan");
            parts.limit = if operation == "GetItem" { Some(1) } else { number(members, "Limit")? };
        }
    }
    Ok(Some(parts))
}

impl Parts {
    /// RequestItems: table → keys.
    fn batch_get(&mut self, members: &Members) -> Result<(), Unjudged> {
        self.actions.insert("BatchGetItem".into());
        let mut limit = 0_i64;
        for (table, request) in object(members, "RequestItems")? {
            self.tables.insert(Table::new(table, None)?);
            let request = request.object().ok_or_else(|| malformed("RequestItems"))?;
            only(request, &[&["Keys"], GET, &["AttributesToGet", "ConsistentRead"]])?;
            for key in array(request, "Keys")? {
                self.names(Role::Key, key)?;
                limit = limit.saturating_add(1);
            }
            self.one(request, true)?;
        }
        self.limit = Some(limit);
        Ok(())
    }

    /// RequestItems: table → puts and deletes.
    fn batch_write(&mut self, members: &Members) -> Result<(), Unjudged> {
        self.actions.insert("BatchWriteItem".into());
        for (table, requests) in object(members, "RequestItems")? {
            self.tables.insert(Table::new(table, None)?);
            for request in requests.array().ok_or_else(|| malformed("RequestItems"))? {
                let (kind, inner) = single(request, "RequestItems")?;
                match kind {
                    "PutRequest" => only(inner, &[&["Item"]])?,
                    "DeleteRequest" => {
                        only(inner, &[&["Key"]])?;
                        self.access = self.access.max(AwsAccess::Delete);
                    }
                    _ => return Err(malformed("RequestItems")),
                }
                self.one(inner, false)?;
            }
        }
        Ok(())
    }

    fn transaction(&mut self, operation: &str, members: &Members) -> Result<(), Unjudged> {
        let items = array(members, "TransactItems")?;
        for item in items {
            let (kind, inner) = single(item, "TransactItems")?;
            let failure: &[&str] = &["ReturnValuesOnConditionCheckFailure"];
            let (action, allowed): (&str, &[&[&str]]) = match (operation, kind) {
                ("TransactGetItems", "Get") => ("GetItem", &[GET]),
                ("TransactWriteItems", "ConditionCheck") => ("ConditionCheckItem", &[CHECK, failure]),
                ("TransactWriteItems", "Delete") => ("DeleteItem", &[CHECK, failure]),
                ("TransactWriteItems", "Put") => ("PutItem", &[PUT, failure]),
                ("TransactWriteItems", "Update") => ("UpdateItem", &[CHECK, failure, &["UpdateExpression"]]),
                _ => return Err(malformed("TransactItems")),
            };
            only(inner, allowed)?;
            if kind == "Delete" {
                self.access = self.access.max(AwsAccess::Delete);
            }
            self.actions.insert(action.into());
            self.table(inner)?;
            self.one(inner, kind == "Get")?;
        }
        if operation == "TransactGetItems" {
            self.limit = i64::try_from(items.len()).ok();
        }
        Ok(())
    }

    /// The table that `TableName` names.
    fn table(&mut self, members: &Members) -> Result<(), Unjudged> {
        let name = text(members, "TableName")?.ok_or_else(|| Unjudged::new("the call names no table"))?;
        self.tables.insert(Table::new(name, text(members, "IndexName")?)?);
        Ok(())
    }

    /// What one request names, whatever its kind: each member means the same everywhere.
    fn one(&mut self, members: &Members, reads: bool) -> Result<(), Unjudged> {
        for (name, role) in [("Key", Role::Key), ("ExclusiveStartKey", Role::Key), ("Item", Role::Put)] {
            if let Some(value) = members.get(name) {
                self.names(role, value)?;
            }
        }
        for (name, role) in LEGACY {
            if let Some(value) = members.get(*name) {
                self.legacy(*role, value, name)?;
            }
        }
        let names = Names::read(members.get("ExpressionAttributeNames"))?;
        for (name, role) in EXPRESSIONS {
            let Some(text) = text(members, name)? else { continue };
            let found = match role {
                Some(Role::Project) => expression::projection(text, &names),
                Some(role) => expression::condition(text, &names, *role),
                None => expression::update(text, &names),
            };
            match found {
                Some(found) => found.into_iter().for_each(|one| self.insert(one)),
                None => self.unclear = true,
            }
        }
        let select = text(members, "Select")?;
        let projects =
            members.contains_key("ProjectionExpression") || members.contains_key("AttributesToGet");
        match select {
            None | Some("SPECIFIC_ATTRIBUTES") => self.all |= reads && !projects,
            Some("COUNT") => {}
            Some("ALL_ATTRIBUTES" | "ALL_PROJECTED_ATTRIBUTES") => self.all = true,
            Some(_) => return Err(malformed("Select")),
        }
        for name in ["ReturnValues", "ReturnValuesOnConditionCheckFailure"] {
            match text(members, name)? {
                None | Some("NONE") => {}
                Some("UPDATED_OLD" | "UPDATED_NEW") => self.returns = true,
                Some("ALL_OLD" | "ALL_NEW") => (self.returns, self.all) = (true, true),
                Some(_) => return Err(malformed(name)),
            }
        }
        Ok(())
    }

    /// The attributes of an item or a key; of maps, also what is in them.
    fn names(&mut self, role: Role, item: &Json) -> Result<(), Unjudged> {
        let mut open: Vec<(Vec<ItemStep>, &Json)> = vec![(Vec::new(), item)];
        while let Some((path, item)) = open.pop() {
            for (name, value) in item.object().ok_or_else(|| malformed("an item"))? {
                if name.len() > expression::LONGEST_NAME {
                    return Err(malformed("an attribute's name"));
                }
                let mut path = path.clone();
                path.push(ItemStep::Name(name.clone()));
                // a value has one type
                let mut types = value.object().ok_or_else(|| malformed("an item"))?.iter();
                let (Some((kind, inner)), None) = (types.next(), types.next()) else {
                    return Err(malformed("an item"));
                };
                self.inside(&mut open, kind, inner, &path)?;
                self.insert(Use { path, role });
                if self.unclear {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn inside<'a>(
        &mut self,
        open: &mut Vec<(Vec<ItemStep>, &'a Json)>,
        kind: &str,
        value: &'a Json,
        path: &[ItemStep],
    ) -> Result<(), Unjudged> {
        match kind {
            "M" => open.push((path.to_vec(), value)),
            "L" => {
                let elements = value.array().ok_or_else(|| malformed("a list"))?;
                for (place, element) in (0..).zip(elements) {
                    let mut types = element.object().ok_or_else(|| malformed("a list"))?.iter();
                    let (Some((kind, inner)), None) = (types.next(), types.next()) else {
                        return Err(malformed("a list"));
                    };
                    if matches!(kind.as_str(), "L" | "M") {
                        let mut path = path.to_vec();
                        path.push(ItemStep::Index(place));
                        self.inside(open, kind, inner, &path)?;
                    }
                }
            }
            "B" | "BOOL" | "BS" | "N" | "NS" | "NULL" | "S" | "SS" => {}
            _ => return Err(malformed("an item")),
        }
        Ok(())
    }

    /// The parameters of before there were expressions.
    fn legacy(&mut self, role: Role, value: &Json, what: &str) -> Result<(), Unjudged> {
        let top = |name: &str| Use { path: vec![ItemStep::Name(name.to_owned())], role };
        match value {
            Json::Array(names) => {
                for name in names {
                    self.insert(top(name.text().ok_or_else(|| malformed(what))?));
                }
            }
            Json::Object(members) => members.keys().for_each(|name| self.insert(top(name))),
            _ => return Err(malformed(what)),
        }
        Ok(())
    }

    fn insert(&mut self, one: Use) {
        let length: usize = one.path.iter().map(length).sum();
        self.named = self.named.saturating_add(length);
        if self.uses.len() < MOST_USES && self.named <= MOST_NAMED {
            self.uses.insert(one);
        } else {
            self.unclear = true;
        }
    }
}

fn length(step: &ItemStep) -> usize {
    match step {
        ItemStep::Name(name) => name.len() + 1,
        ItemStep::Index(_) => 8,
    }
}

fn only(members: &Members, allowed: &[&[&str]]) -> Result<(), Unjudged> {
    match members.keys().find(|name| !allowed.iter().any(|list| list.contains(&name.as_str()))) {
        Some(name) => Err(Unjudged::of(format!("the member `{}` is not known", shown(name)))),
        None => Ok(()),
    }
}

pub(super) fn text<'a>(members: &'a Members, name: &str) -> Result<Option<&'a str>, Unjudged> {
    match members.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(malformed(name)),
    }
}

pub(super) fn number(members: &Members, name: &str) -> Result<Option<i64>, Unjudged> {
    match members.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Number(Some(number))) => Ok(i64::try_from(*number).ok()),
        Some(_) => Err(malformed(name)),
    }
}

fn object<'a>(members: &'a Members, name: &str) -> Result<&'a Members, Unjudged> {
    members.get(name).and_then(Json::object).ok_or_else(|| malformed(name))
}

fn array<'a>(members: &'a Members, name: &str) -> Result<&'a [Json], Unjudged> {
    members.get(name).and_then(Json::array).ok_or_else(|| malformed(name))
}

/// The one member that an element has.
fn single<'a>(element: &'a Json, what: &str) -> Result<(&'a str, &'a Members), Unjudged> {
    let members = element.object().filter(|members| members.len() == 1);
    let (kind, inner) = members.and_then(|members| members.iter().next()).ok_or_else(|| malformed(what))?;
    Ok((kind, inner.object().ok_or_else(|| malformed(what))?))
}

pub(super) fn malformed(what: &str) -> Unjudged {
    Unjudged::of(format!("{} has not the form that DynamoDB gives it", shown(what)))
}

const GET: &[&str] = &["TableName", "Key", "ProjectionExpression", "ExpressionAttributeNames"];
const SEARCH: &[&str] = &[
    "TableName",
    "IndexName",
    "Select",
    "AttributesToGet",
    "Limit",
    "ConsistentRead",
    "ConditionalOperator",
    "ExclusiveStartKey",
    "ProjectionExpression",
    "FilterExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
];
const QUERY: &[&str] = &["KeyConditions", "QueryFilter", "ScanIndexForward", "KeyConditionExpression"];
const SCAN: &[&str] = &["ScanFilter", "TotalSegments", "Segment"];
const WRITE: &[&str] = &[
    "TableName",
    "Expected",
    "ConditionalOperator",
    "ReturnValues",
    "ReturnItemCollectionMetrics",
    "ReturnValuesOnConditionCheckFailure",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
];
const CHECK: &[&str] =
    &["TableName", "Key", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"];
const PUT: &[&str] =
    &["TableName", "Item", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"];
/// What expressions name attributes for; updates do several things.
const EXPRESSIONS: &[(&str, Option<Role>)] = &[
    ("ProjectionExpression", Some(Role::Project)),
    ("FilterExpression", Some(Role::Read)),
    ("KeyConditionExpression", Some(Role::Key)),
    ("ConditionExpression", Some(Role::Read)),
    ("UpdateExpression", None),
];
const LEGACY: &[(&str, Role)] = &[
    ("AttributesToGet", Role::Project),
    ("KeyConditions", Role::Key),
    ("QueryFilter", Role::Read),
    ("ScanFilter", Role::Read),
    ("Expected", Role::Read),
    ("AttributeUpdates", Role::Put),
];
/// More names than these are not told apart.
const MOST_USES: usize = 4096;
/// A small body could name a long path very often.
const MOST_NAMED: usize = 1024 * 1024;
