//! The calls that are about tables.
//!
//! Job: operation → access, and the tables that the request names. Boundary: what the request asks for besides is not told
//! apart. Failure mode: what copies items out of a table unseen (exports, restores, bulk operations), and PartiQL, is not here.

use std::collections::BTreeMap;

use super::Table;
use super::parts::{Parts, number, text};
use crate::domain::facts::AwsAccess;
use crate::wire::aws::call::Unjudged;
use crate::wire::aws::json::Json;

/// `None` when it is not one of these operations.
pub(super) fn read(operation: &str, members: &BTreeMap<String, Json>) -> Result<Option<Parts>, Unjudged> {
    let Some((_, access)) = OPERATIONS.iter().find(|(name, _)| *name == operation) else { return Ok(None) };
    let mut parts = Parts { access: *access, ..Parts::default() };
    parts.actions.insert(operation.into());
    if operation == "CreateTable" && text(members, "ResourcePolicy")?.is_some() {
        // it may be anybody's from its first item on
        parts.access = AwsAccess::Permissions;
        parts.actions.insert("PutResourcePolicy".into());
    }
    for name in ["TableName", "GlobalTableName", "ResourceArn", "BackupArn"] {
        let Some(text) = text(members, name)? else { continue };
        // arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/backup/ID
        let table: Vec<&str> = text.splitn(3, '/').take(2).collect();
        parts.tables.insert(Table::new(&table.join("/"), None)?);
    }
    if access == &AwsAccess::List {
        parts.limits = operation == "ListTables";
        parts.limit = number(members, "Limit")?;
    }
    Ok(Some(parts))
}

/// Service Authorization Reference, Actions for Amazon DynamoDB.
const OPERATIONS: &[(&str, AwsAccess)] = &[
    ("CreateBackup", AwsAccess::Write),
    ("CreateGlobalTable", AwsAccess::Write),
    ("CreateTable", AwsAccess::Write),
    ("DeleteBackup", AwsAccess::Delete),
    ("DeleteResourcePolicy", AwsAccess::Permissions),
    ("DeleteTable", AwsAccess::Delete),
    ("DescribeBackup", AwsAccess::Read),
    ("DescribeContinuousBackups", AwsAccess::Read),
    ("DescribeContributorInsights", AwsAccess::Read),
    ("DescribeEndpoints", AwsAccess::Read),
    ("DescribeGlobalTable", AwsAccess::Read),
    ("DescribeGlobalTableSettings", AwsAccess::Read),
    ("DescribeKinesisStreamingDestination", AwsAccess::Read),
    ("DescribeLimits", AwsAccess::Read),
    ("DescribeTable", AwsAccess::Read),
    ("DescribeTableReplicaAutoScaling", AwsAccess::Read),
    ("DescribeTimeToLive", AwsAccess::Read),
    ("DisableKinesisStreamingDestination", AwsAccess::Write),
    // IAM calls it a write, but from then on every item leaves the table
    ("EnableKinesisStreamingDestination", AwsAccess::Permissions),
    ("GetResourcePolicy", AwsAccess::Read),
    ("ListBackups", AwsAccess::List),
    ("ListContributorInsights", AwsAccess::List),
    ("ListGlobalTables", AwsAccess::List),
    ("ListTables", AwsAccess::List),
    ("ListTagsOfResource", AwsAccess::Read),
    ("PutResourcePolicy", AwsAccess::Permissions),
    ("TagResource", AwsAccess::Write),
    ("UntagResource", AwsAccess::Write),
    ("UpdateContinuousBackups", AwsAccess::Write),
    ("UpdateContributorInsights", AwsAccess::Write),
    ("UpdateGlobalTable", AwsAccess::Write),
    ("UpdateGlobalTableSettings", AwsAccess::Write),
    ("UpdateKinesisStreamingDestination", AwsAccess::Write),
    ("UpdateTable", AwsAccess::Write),
    ("UpdateTableReplicaAutoScaling", AwsAccess::Write),
    ("UpdateTimeToLive", AwsAccess::Write),
];
