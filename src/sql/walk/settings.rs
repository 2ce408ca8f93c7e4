//! SET, RESET, and `set_config` as a statement of its own.

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, SelectStmt, VariableSetKind, VariableSetStmt, a_const};

use super::{Outcome, Refusal, Walk, refuse, unsupported};
use crate::sql::assess::Effect;
use crate::sql::tree;

impl Walk<'_> {
    pub(super) fn set(&mut self, set: &VariableSetStmt) -> Outcome {
        let name = set.name.to_ascii_lowercase();
        match set.kind() {
            VariableSetKind::VarSetMulti
                if matches!(name.as_str(), "transaction" | "session characteristics") =>
            {
                Ok(())
            }
            VariableSetKind::VarResetAll => {
                self.effect = Effect::ResetAll;
                Ok(())
            }
            VariableSetKind::VarSetValue => {
                let values = set.args.iter().map(value).collect::<Option<Vec<String>>>();
                self.assign(&name, values.as_deref(), set.is_local)
            }
            VariableSetKind::VarSetDefault | VariableSetKind::VarReset => {
                may_set(&name)?;
                if name == "search_path" {
                    self.effect = Effect::SetSearchPath { path: None, local: set.is_local };
                }
                Ok(())
            }
            _ => Err(forbidden(&format!("SET {name}"))),
        }
    }

    fn assign(&mut self, name: &str, values: Option<&[String]>, local: bool) -> Outcome {
        may_set(name)?;
        let fits = match (name, values) {
            ("search_path", Some(path)) => {
                self.effect = Effect::SetSearchPath { path: Some(path.to_vec()), local };
                true
            }
            ("client_encoding" | "standard_conforming_strings" | "client_min_messages", Some([value])) => {
                may_be(name, value)
            }
            (
                "search_path" | "client_encoding" | "standard_conforming_strings" | "client_min_messages",
                _,
            ) => false,
            // SET TIME ZONE takes an interval, which is not a plain constant
            _ => true,
        };
        if fits { Ok(()) } else { Err(forbidden(&format!("this value of {name}"))) }
    }

    /// `SELECT set_config(name, value, local)` with literals, beside nothing but `current_setting(name)`. The
    /// value may be a parameter where any value will do, which is how asyncpg puts `jit` back.
    ///
    /// Returns whether the statement was one.
    pub(super) fn set_config(&mut self, select: &mut SelectStmt) -> Outcome<bool> {
        let targets = std::mem::take(&mut select.target_list);
        // nothing but the target list may be there
        let rest = SelectStmt { limit_option: 0, op: 0, ..select.clone() };
        select.target_list = targets;
        if rest != SelectStmt::default() {
            return Ok(false);
        }
        let mut assigned = None;
        for target in &mut select.target_list {
            let Some(call) = called(target) else { return Ok(false) };
            let Some(name @ ("set_config" | "current_setting")) = own_name(call) else { return Ok(false) };
            if self.scope.catalog.functions(name).any(|function| !function.builtin) {
                return Ok(false);
            }
            if name == "set_config" {
                let [setting, text, local] = call.args.as_slice() else { return Ok(false) };
                let (Some(setting), Some(local)) = (value(setting), value(local)) else { return Ok(false) };
                let text = match (value(text), &text.node) {
                    (None, Some(NodeEnum::ParamRef(_))) => None,
                    (None, _) => return Ok(false),
                    (known, _) => known,
                };
                if assigned.replace((setting.to_ascii_lowercase(), text, local)).is_some() {
                    return Ok(false);
                }
            } else if !call.args.iter().all(|argument| value(argument).is_some()) {
                return Ok(false);
            }
        }
        let Some((setting, text, local)) = assigned else { return Ok(false) };
        for call in select.target_list.iter_mut().filter_map(called) {
            if let Some(name) = own_name(call) {
                call.funcname = vec![tree::string("pg_catalog"), tree::string(name)];
            }
        }
        let values = match text {
            Some(text) if setting == "search_path" => match split(&text) {
                Some(path) => Some(path),
                None => return Err(unsupported("this value of search_path")),
            },
            text => text.map(|text| vec![text]),
        };
        self.assign(&setting, values.as_deref(), matches!(local.as_str(), "true" | "t" | "on" | "1"))?;
        self.facts.set_value = values.and_then(|values| crate::sql::facts::shown(&setting, &values));
        self.facts.setting = Some(setting);
        self.facts.kind = crate::domain::facts::StatementKind::Session;
        self.writes = true;
        Ok(true)
    }
}

/// The function call that a result column is.
fn called(target: &mut pg_query::Node) -> Option<&mut FuncCall> {
    let Some(NodeEnum::ResTarget(target)) = target.node.as_mut() else { return None };
    match target.val.as_deref_mut()?.node.as_mut()? {
        NodeEnum::FuncCall(call) => Some(call),
        _ => None,
    }
}

/// The name of a function that is called as one of PostgreSQL's own.
fn own_name(call: &FuncCall) -> Option<&'static str> {
    let name = tree::strings(&call.funcname)?;
    let ([name] | ["pg_catalog", name]) = name.as_slice() else { return None };
    ["set_config", "current_setting"].into_iter().find(|known| known == name)
}

/// What a connection to a target with masks begins with when a client brings this setting, as text.
///
/// # Errors
/// What SET would be refused for, and what would change how the catalog is told before anything is judged.
pub fn may_begin_with(name: &str, value: &str) -> Result<String, Refusal> {
    if name == "quote_all_identifiers" {
        return Err(forbidden(&format!("the setting {name}")));
    }
    may_set(name)?;
    let fits = match name {
        // spelled so that nobody can read it as another list
        "search_path" => {
            split(value).filter(|path| path.iter().all(|name| name.len() <= LONGEST_NAME)).map(|path| {
                let quoted = path.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
                quoted.collect::<Vec<_>>().join(", ")
            })
        }
        _ => may_be(name, value).then(|| value.to_owned()),
    };
    fits.ok_or_else(|| forbidden(&format!("this value of {name}")))
}

/// PostgreSQL cuts longer ones, in bytes.
const LONGEST_NAME: usize = 63;

/// Whether a setting may have this value.
fn may_be(name: &str, value: &str) -> bool {
    match name {
        "client_encoding" => {
            matches!(value.to_ascii_uppercase().replace(['-', '_'], "").as_str(), "UTF8" | "UNICODE")
        }
        "standard_conforming_strings" => {
            matches!(value.to_ascii_lowercase().as_str(), "on" | "true" | "yes" | "1")
        }
        "client_min_messages" => {
            matches!(value.to_ascii_lowercase().as_str(), "notice" | "warning" | "error" | "info")
        }
        _ => true,
    }
}

fn may_set(name: &str) -> Outcome {
    if HARMLESS.contains(&name) {
        return Ok(());
    }
    if matches!(name, "role" | "session_authorization") {
        return Err(refuse(
            "policy.tamper",
            "taking another role",
            "the session's role is the one it was given",
        ));
    }
    Err(forbidden(&format!("the setting {name}")))
}

fn forbidden(construct: &str) -> Refusal {
    refuse(
        "mask.setting",
        construct,
        "only settings of formats, time-outs, memory and the search path can be changed",
    )
}

/// A constant as text.
fn value(node: &pg_query::Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => Some(match constant.val.as_ref()? {
            a_const::Val::Sval(text) => text.sval.clone(),
            a_const::Val::Ival(number) => number.ival.to_string(),
            a_const::Val::Fval(number) => number.fval.clone(),
            a_const::Val::Boolval(truth) => truth.boolval.to_string(),
            a_const::Val::Bsval(_) => return None,
        }),
        _ => None,
    }
}

/// A list of identifiers as `set_config` takes it: unquoted ones are folded to lower case.
fn split(text: &str) -> Option<Vec<String>> {
    let mut path = Vec::new();
    if text.trim().is_empty() {
        return Some(path);
    }
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            let (inside, after) = quoted.split_once('"')?;
            if after.starts_with('"') {
                return None;
            }
            name = inside.to_owned();
            rest = after.trim_start();
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let (word, after) = rest.split_at_checked(end)?;
            let word = word.trim_end();
            if word.is_empty() || word.contains(|c: char| c.is_whitespace() || c == '"') {
                return None;
            }
            name = word.to_lowercase();
            rest = after;
        }
        path.push(name);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return rest.is_empty().then_some(path),
        }
    }
}

/// Settings that change formats, limits and plans, and nothing about what may be seen.
const HARMLESS: &[&str] = &[
    "application_name",
    "array_nulls",
    "bytea_output",
    "client_encoding",
    "client_min_messages",
    "commit_delay",
    "cursor_tuple_fraction",
    "datestyle",
    "default_text_search_config",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "effective_cache_size",
    "enable_bitmapscan",
    "enable_hashagg",
    "enable_hashjoin",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_memoize",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_partition_pruning",
    "enable_partitionwise_aggregate",
    "enable_partitionwise_join",
    "enable_seqscan",
    "enable_sort",
    "enable_tidscan",
    "extra_float_digits",
    "from_collapse_limit",
    "geqo",
    "gin_fuzzy_search_limit",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "intervalstyle",
    "jit",
    "join_collapse_limit",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "maintenance_work_mem",
    "max_parallel_workers_per_gather",
    "plan_cache_mode",
    "quote_all_identifiers",
    "random_page_cost",
    "search_path",
    "seq_page_cost",
    "standard_conforming_strings",
    "statement_timeout",
    "synchronize_seqscans",
    "synchronous_commit",
    "temp_buffers",
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
    "timezone",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
    "transaction_timeout",
    "vacuum_cost_delay",
    "work_mem",
    "xmlbinary",
    "xmloption",
];
