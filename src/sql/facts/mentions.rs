//! Every relation and function that a statement names, wherever it names it.

use std::collections::BTreeSet;

use pg_query::NodeEnum;

use crate::sql::tree::{Visitor, visit};

/// What a statement names; schemas are empty where none is written.
#[derive(Debug, Default)]
pub(crate) struct Mentions {
    /// Names of WITH queries among them.
    pub(crate) read: BTreeSet<(String, String)>,
    pub(crate) written: BTreeSet<(String, String)>,
    pub(crate) functions: BTreeSet<(String, String)>,
    /// Every identifier that a definition statement holds: what it drops, comments on or renames.
    pub(crate) words: BTreeSet<String>,
    /// Whether it holds INSERT, UPDATE, DELETE or MERGE.
    pub(crate) modifies: bool,
    /// Whether it makes a table of its result.
    pub(crate) defines: bool,
    /// Whether it locks rows.
    pub(crate) locks: bool,
    relation: (String, String),
    call: Vec<Vec<String>>,
    dropped: Vec<String>,
}

impl Mentions {
    pub(crate) fn of(node: &NodeEnum) -> Self {
        let mut mentions = Self::default();
        visit(node, &mut mentions);
        if let NodeEnum::DropStmt(_) = node {
            let dropped = std::mem::take(&mut mentions.dropped);
            let schema =
                if let [.., schema, _] = dropped.as_slice() { schema.clone() } else { String::new() };
            mentions.written.extend(dropped.last().map(|name| (schema, name.clone())));
        }
        mentions
    }
}

type Above<'a> = &'a [(&'static str, &'static str)];

impl Visitor for Mentions {
    fn enter(&mut self, name: &'static str, _: Above<'_>) {
        match name {
            "RangeVar" => self.relation = Default::default(),
            "FuncCall" => self.call.push(Vec::new()),
            "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => self.modifies = true,
            "IntoClause" => self.defines = true,
            "LockingClause" => self.locks = true,
            _ => {}
        }
    }

    fn text(&mut self, text: &str, above: Above<'_>) {
        if text.is_empty() {
            return;
        }
        match above {
            [.., ("RangeVar", "schemaname")] => {
                self.relation.0 = text.into();
                self.words.insert(text.into());
            }
            [.., ("RangeVar", "relname")] => {
                self.relation.1 = text.into();
                self.words.insert(text.into());
            }
            [.., ("FuncCall", "funcname"), ("String", _)] => {
                if let Some(call) = self.call.last_mut() {
                    call.push(text.into());
                }
            }
            [("DropStmt", "objects"), rest @ ..]
                if rest.iter().all(|(name, _)| matches!(*name, "List" | "String")) =>
            {
                self.dropped.push(text.into());
                self.words.insert(text.into());
            }
            [.., (_, field)]
                if matches!(
                    *field,
                    "sval" | "relname" | "schemaname" | "subname" | "rolename" | "schema"
                ) =>
            {
                self.words.insert(text.into());
            }
            _ => {}
        }
    }

    fn leave(&mut self, name: &'static str, above: Above<'_>) {
        match name {
            "RangeVar" => {
                let relation = std::mem::take(&mut self.relation);
                if relation.1.is_empty() {
                    return;
                }
                if is_read(above) {
                    self.read.insert(relation);
                } else {
                    self.written.insert(relation);
                }
            }
            "FuncCall" => {
                let mut parts = self.call.pop().unwrap_or_default();
                if let Some(function) = parts.pop() {
                    self.functions.insert((parts.pop().unwrap_or_default(), function));
                }
            }
            _ => {}
        }
    }
}

/// Whether a relation that stands there is read rather than written or defined.
fn is_read(above: Above<'_>) -> bool {
    match above.last() {
        Some(("InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt", "relation") | ("IntoClause", _)) => {
            false
        }
        // names of aliases, not of relations
        Some(("LockingClause", _)) => true,
        Some((name, _))
            if matches!(
                *name,
                "SelectStmt" | "JoinExpr" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "RangeTableSample"
            ) =>
        {
            true
        }
        // the caller knows which way it goes
        Some(("CopyStmt", _)) => true,
        _ => false,
    }
}

/// Built-in functions that read nothing but their arguments, the clock and the catalog.
pub(crate) const WELL_KNOWN: &[&str] = &[
    "abs",
    "acos",
    "age",
    "array_agg",
    "array_append",
    "array_cat",
    "array_length",
    "array_position",
    "array_prepend",
    "array_remove",
    "array_to_json",
    "array_to_string",
    "array_upper",
    "array_lower",
    "ascii",
    "asin",
    "atan",
    "atan2",
    "avg",
    "bit_and",
    "bit_length",
    "bit_or",
    "bool_and",
    "bool_or",
    "btrim",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "chr",
    "clock_timestamp",
    "col_description",
    "concat",
    "concat_ws",
    "corr",
    "cos",
    "count",
    "cume_dist",
    "current_database",
    "current_schema",
    "current_schemas",
    "current_setting",
    "date_bin",
    "date_part",
    "date_trunc",
    "decode",
    "degrees",
    "dense_rank",
    "div",
    "encode",
    "every",
    "exp",
    "extract",
    "first_value",
    "floor",
    "format",
    "format_type",
    "gen_random_uuid",
    "generate_series",
    "generate_subscripts",
    "greatest",
    "has_any_column_privilege",
    "has_column_privilege",
    "has_database_privilege",
    "has_function_privilege",
    "has_schema_privilege",
    "has_sequence_privilege",
    "has_table_privilege",
    "hashtext",
    "initcap",
    "isfinite",
    "json_agg",
    "json_array_elements",
    "json_array_elements_text",
    "json_array_length",
    "json_build_array",
    "json_build_object",
    "json_each",
    "json_each_text",
    "json_extract_path",
    "json_extract_path_text",
    "json_object",
    "json_object_agg",
    "json_object_keys",
    "json_typeof",
    "jsonb_agg",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_extract_path",
    "jsonb_extract_path_text",
    "jsonb_object",
    "jsonb_object_agg",
    "jsonb_object_keys",
    "jsonb_path_exists",
    "jsonb_path_query",
    "jsonb_path_query_array",
    "jsonb_pretty",
    "jsonb_set",
    "jsonb_strip_nulls",
    "jsonb_typeof",
    "justify_days",
    "justify_hours",
    "justify_interval",
    "lag",
    "last_value",
    "lead",
    "least",
    "left",
    "length",
    "like_escape",
    "ln",
    "log",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "make_time",
    "make_timestamp",
    "make_timestamptz",
    "max",
    "md5",
    "min",
    "mod",
    "mode",
    "now",
    "nth_value",
    "ntile",
    "nullif",
    "num_nonnulls",
    "num_nulls",
    "obj_description",
    "octet_length",
    "overlaps",
    "overlay",
    "parse_ident",
    "percent_rank",
    "percentile_cont",
    "percentile_disc",
    "pg_backend_pid",
    "pg_column_size",
    "pg_database_size",
    "pg_encoding_to_char",
    "pg_function_is_visible",
    "pg_has_role",
    "pg_indexes_size",
    "pg_is_in_recovery",
    "pg_relation_size",
    "pg_size_pretty",
    "pg_sleep",
    "pg_table_is_visible",
    "pg_table_size",
    "pg_total_relation_size",
    "pg_type_is_visible",
    "pg_typeof",
    "pi",
    "position",
    "power",
    "quote_ident",
    "quote_literal",
    "quote_nullable",
    "radians",
    "random",
    "rank",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_match",
    "regexp_matches",
    "regexp_replace",
    "regexp_split_to_array",
    "regexp_split_to_table",
    "regexp_substr",
    "regr_slope",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "row_number",
    "row_to_json",
    "rpad",
    "rtrim",
    "session_user",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "shobj_description",
    "sign",
    "similar_to_escape",
    "sin",
    "split_part",
    "sqrt",
    "starts_with",
    "statement_timestamp",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "string_to_array",
    "string_to_table",
    "strpos",
    "substr",
    "substring",
    "sum",
    "tan",
    "timeofday",
    "timezone",
    "to_char",
    "to_date",
    "to_hex",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_regclass",
    "to_timestamp",
    "to_tsquery",
    "to_tsvector",
    "transaction_timestamp",
    "translate",
    "trim",
    "trunc",
    "ts_headline",
    "ts_rank",
    "unnest",
    "upper",
    "var_pop",
    "var_samp",
    "variance",
    "version",
    "websearch_to_tsquery",
    "width_bucket",
    "xmlagg",
];
