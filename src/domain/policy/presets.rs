//! The bundled policies, which a configuration names in one line each.

use super::PolicySource;

/// A bundled policy, or `None` when there is none of this name.
#[must_use]
pub fn preset(name: &str) -> Option<PolicySource> {
    let (name, text) = PRESETS.iter().find(|(known, _)| *known == name)?;
    Some(PolicySource { name: format!("preset:{name}"), text: (*text).to_owned() })
}

/// The names of all bundled policies.
pub fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

const PRESETS: [(&str, &str); 10] = [
    ("allow-statements", include_str!("../../../policies/allow-statements.cedar")),
    ("aws-bulk", include_str!("../../../policies/aws-bulk.cedar")),
    ("aws-read-only", include_str!("../../../policies/aws-read-only.cedar")),
    ("bulk-export", include_str!("../../../policies/bulk-export.cedar")),
    ("bulk-read", include_str!("../../../policies/bulk-read.cedar")),
    ("dangerous-shell", include_str!("../../../policies/dangerous-shell.cedar")),
    ("destructive-sql", include_str!("../../../policies/destructive-sql.cedar")),
    ("high-risk-fields", include_str!("../../../policies/high-risk-fields.cedar")),
    ("read-only", include_str!("../../../policies/read-only.cedar")),
    ("single-trace", include_str!("../../../policies/single-trace.cedar")),
];
