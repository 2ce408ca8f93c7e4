//! Which of the server's own functions a statement on a masked target may call.
//!
//! Job: a function's name and volatility → may it be called, and does calling it change anything.
//! Boundary: functions of users are never allowed here; the operator's `trusted_functions` are.
//! Failure mode: volatile functions that are not listed are refused, so that a new release's are.

use crate::domain::planted::{Leak, is_planted};

/// Whether a built-in function is known not to run SQL given as text, not to read files, large objects,
/// statistics or other sessions, and not to touch the server.
pub(crate) fn is_harmless(name: &str, volatile: bool) -> bool {
    if volatile { READS.contains(&name) || CHANGES.contains(&name) } else { !is_denied(name) }
}

/// Whether calling a harmless function leaves the database as it was.
pub(crate) fn is_read_only(name: &str, volatile: bool) -> bool {
    if volatile { READS.contains(&name) } else { !is_denied(name) }
}

/// Functions whose one argument is a relation, and whose answer is its size.
pub(crate) fn is_relation_size(name: &str) -> bool {
    matches!(name, "pg_relation_size" | "pg_table_size" | "pg_total_relation_size" | "pg_indexes_size")
}

/// Functions whose answer is the size of many relations at once.
pub(crate) fn is_total_size(name: &str) -> bool {
    matches!(name, "pg_database_size" | "pg_tablespace_size")
}

/// The catalogs and views of `pg_catalog` that hold nothing of tables' contents, of other sessions, of
/// secrets or of files. Those of `information_schema` are all of that kind.
pub(crate) fn is_readable_catalog(name: &str) -> bool {
    CATALOGS.contains(&name)
        || FIGURES.contains(&name)
        || (is_planted(Leak::Statistics) && name == "pg_stats")
}

/// Whether a catalog has columns that say something about tables' contents.
pub(crate) fn hides_columns(catalog: &str) -> bool {
    matches!(catalog, "pg_class" | "pg_attribute") || FIGURES.contains(&catalog)
}

/// Whether a column of such a catalog is one of them; it reads as NULL.
pub(crate) fn is_hidden_column(catalog: &str, column: &str) -> bool {
    match catalog {
        "pg_class" => ["relpages", "reltuples", "relallvisible", "relallfrozen"].contains(&column),
        "pg_attribute" => column == "attmissingval",
        _ => !["relid", "indexrelid", "schemaname", "relname", "indexrelname"].contains(&column),
    }
}

/// Statistics of tables and indexes, which clients join to lists of these: all but names is hidden.
const FIGURES: &[&str] = &[
    "pg_stat_all_indexes",
    "pg_stat_all_tables",
    "pg_stat_sys_indexes",
    "pg_stat_sys_tables",
    "pg_stat_user_indexes",
    "pg_stat_user_tables",
];

fn is_denied(name: &str) -> bool {
    const PARTS: &[&str] = &["_to_xml", "xmlschema", "large_object"];
    const BEGINNINGS: &[&str] = &[
        "pg_stat_",
        "pg_read_",
        "pg_ls_",
        "pg_get_backend_",
        "pg_get_shmem",
        "pg_get_replication",
        "pg_show_replication",
        "pg_replication_",
        "pg_get_wal_",
        "pg_last_",
        "pg_wal_",
        "pg_walfile_",
        "pg_get_aios",
        "pg_get_process_",
        "pg_logical_",
        "pg_control_",
        "pg_create_",
        "pg_restore_",
        "pg_clear_",
        "binary_upgrade_",
        "pg_get_sequence_data",
        "pg_event_trigger_",
    ];
    const NAMES: &[&str] = &[
        "pg_hba_file_rules",
        "pg_ident_file_mappings",
        "pg_show_all_file_settings",
        "pg_lock_status",
        "pg_prepared_xact",
        "pg_mcv_list_items",
        "pg_input_is_valid",
        "pg_input_error_info",
        "domain_in",
        "domain_recv",
        "record_in",
        "record_recv",
        "array_in",
        "array_recv",
        "range_in",
        "range_recv",
        "multirange_in",
        "multirange_recv",
        "anyarray_in",
        "ts_stat",
        "pg_current_logfile",
        "pg_stats_ext_mcvlist_items",
        "pg_blocking_pids",
        "pg_tablespace_databases",
        "current_query",
    ];
    // every large object function is called lo…, and so are a few that work on text and ranges
    let large_object =
        name.starts_with("lo") && !matches!(name, "log" | "log10" | "lower" | "lower_inc" | "lower_inf");
    PARTS.iter().any(|part| name.contains(part))
        || BEGINNINGS.iter().any(|part| name.starts_with(part))
        || large_object
        || NAMES.contains(&name)
}

/// Volatile functions that change nothing.
const READS: &[&str] = &[
    "clock_timestamp",
    "currval",
    "gen_random_uuid",
    "lastval",
    "pg_is_in_recovery",
    "pg_partition_ancestors",
    "pg_partition_tree",
    "pg_jit_available",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_timezone_names",
    "random",
    "random_normal",
    "timeofday",
    // volatile on old servers
    "timezone",
    "uuidv4",
    "uuidv7",
    "pg_relation_size",
    "pg_table_size",
    "pg_total_relation_size",
    "pg_indexes_size",
    "pg_database_size",
    "pg_tablespace_size",
    "bernoulli",
    "system",
    "pg_timezone_abbrevs",
    "pg_get_keywords",
    "pg_notification_queue_usage",
];

/// Volatile functions that change sequences, locks, or the connection, and disclose nothing.
const CHANGES: &[&str] = &[
    "nextval",
    "setval",
    "setseed",
    "pg_notify",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_advisory_unlock",
    "pg_advisory_unlock_all",
    "pg_advisory_unlock_shared",
    "pg_advisory_xact_lock",
    "pg_advisory_xact_lock_shared",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "pg_try_advisory_xact_lock",
    "pg_try_advisory_xact_lock_shared",
];

const CATALOGS: &[&str] = &[
    "pg_aggregate",
    "pg_am",
    "pg_amop",
    "pg_amproc",
    "pg_attrdef",
    "pg_attribute",
    "pg_auth_members",
    "pg_available_extension_versions",
    "pg_available_extensions",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_conversion",
    "pg_cursors",
    "pg_database",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_depend",
    "pg_description",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_group",
    "pg_index",
    "pg_indexes",
    "pg_inherits",
    "pg_init_privs",
    "pg_language",
    "pg_matviews",
    "pg_namespace",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_parameter_acl",
    "pg_partitioned_table",
    "pg_policies",
    "pg_policy",
    "pg_prepared_statements",
    "pg_proc",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_publication_tables",
    "pg_range",
    "pg_rewrite",
    "pg_roles",
    "pg_rules",
    "pg_seclabel",
    "pg_seclabels",
    "pg_sequence",
    "pg_sequences",
    "pg_settings",
    "pg_shdepend",
    "pg_shdescription",
    "pg_shseclabel",
    "pg_statistic_ext",
    "pg_subscription_rel",
    "pg_tables",
    "pg_tablespace",
    "pg_timezone_abbrevs",
    "pg_timezone_names",
    "pg_transform",
    "pg_trigger",
    "pg_ts_config",
    "pg_ts_config_map",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_type",
    "pg_user",
    "pg_views",
];
