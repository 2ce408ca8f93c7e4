//! The policies that a configuration names in one line.

use super::PolicySource;

/// The names of the bundled presets.
pub const PRESETS: &[&str] = &["allow-statements", "bulk-export", "destructive-sql", "read-only"];

/// A bundled preset by its name.
#[must_use]
pub fn preset(name: &str) -> Option<PolicySource> {
    let text = match name {
        "allow-statements" => include_str!("../../../policies/allow-statements.cedar"),
        "bulk-export" => include_str!("../../../policies/bulk-export.cedar"),
        "destructive-sql" => include_str!("../../../policies/destructive-sql.cedar"),
        "read-only" => include_str!("../../../policies/read-only.cedar"),
        _ => return None,
    };
    Some(PolicySource { name: format!("preset:{name}"), text: text.to_owned() })
}
