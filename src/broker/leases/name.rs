//! Names of roles, and the quoting of everything that goes into a statement as text.

use rand::Rng as _;
use sha2::{Digest as _, Sha256};

use crate::domain::filter::BoundFilter;
use crate::domain::mask::{JsonPath, Mask, MaskRule};
use crate::domain::name::TargetName;
use crate::domain::principal::Principal;
use crate::domain::target::PostgresTarget;
pub(super) use crate::sql::quoted as identifier;

/// What sessions leave behind belongs to this role; it cannot log in and has no privileges.
pub(super) const KEEPER: &str = "hoop_keeper";

/// The broker's schema and what is in it belong to this role; it cannot log in, and may read what views need.
pub(super) const OWNER: &str = "hoop_objects";

/// A name for the role of one session: `hoop_alice_k3v7qzpa`.
///
/// The middle is for people who read `pg_stat_activity`; only the end makes the name unique.
pub(super) fn session_role(principal: &Principal) -> String {
    let mut slug = slug(&principal.display, SLUG);
    if slug.is_empty() {
        slug = self::slug(principal.id.subject.as_str(), SLUG);
    }
    if slug.is_empty() {
        slug.push_str("user");
    }
    let mut bytes = [0; 5];
    rand::rng().fill_bytes(&mut bytes);
    format!("hoop_{slug}_{}", base32(bytes))
}

/// Whether the name has the shape of [`session_role`]'s.
pub(super) fn is_session_role(name: &str) -> bool {
    let Some((slug, end)) = name.strip_prefix("hoop_").and_then(|rest| rest.rsplit_once('_')) else {
        return false;
    };
    !slug.is_empty()
        && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && end.len() == 8
        && end.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
}

/// The name of the group role that carries the privileges of everybody whom the same masks and filters bind:
/// `hoopg_db_0123456789ab`.
pub(super) fn group_role(
    target: &TargetName,
    postgres: &PostgresTarget,
    binding: &[&MaskRule],
    filters: &[BoundFilter],
) -> String {
    let mut hash = Sha256::new();
    let mut field = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    field(target.as_str());
    field(&postgres.database);
    for other in &postgres.also_databases {
        field(other);
    }
    for template in &postgres.grants {
        field("grant");
        field(&template.on);
        for privilege in &template.privileges {
            field(privilege.keyword());
        }
    }
    for rule in binding {
        field(reads(rule, postgres.objects));
        field(&rule.column.to_string());
        if postgres.objects {
            // what the views show is a privilege, too
            field(&format!("{:?}", rule.mask));
            field(rule.path.as_ref().map_or("", JsonPath::as_str));
        }
    }
    for filter in filters.iter().filter(|_| postgres.objects) {
        field(if filter.is_slice { "slice" } else { "fence" });
        field(&filter.table.to_string());
        match &filter.predicate {
            Some(predicate) => field(predicate),
            None => field(""),
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("hoopg_{}_{hex}", group_slug(target))
}

/// Whether the name is that of a group role of this target.
pub(super) fn is_group_role(name: &str, target: &TargetName) -> bool {
    let parts = name.strip_prefix("hoopg_").and_then(|rest| rest.rsplit_once('_'));
    parts.is_some_and(|(slug, digest)| {
        slug == group_slug(target) && digest.len() == 12 && digest.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// The part of a group role's name that is its target's.
pub(super) fn group_slug(target: &TargetName) -> String {
    target.as_str().chars().take(40).collect()
}

/// What the mask reads of the base column (design §3.3): `text` and `json` only of such a column,
/// `nothing` where the mask is a constant, or reads the value through a view of the broker's.
pub(super) fn reads(rule: &MaskRule, objects: bool) -> &'static str {
    match (rule.mask, &rule.path) {
        _ if objects => "nothing",
        (_, Some(_)) => "json",
        (Mask::Partial { .. }, None) => "text",
        // a token needs objects; without them the column is masked whole
        (Mask::Full | Mask::Null | Mask::Token, None) => "nothing",
    }
}

/// Quotes a literal in the form that means the same under either `standard_conforming_strings`.
pub(super) fn literal(text: &str) -> String {
    format!(" E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A glob with `*` as a pattern for LIKE.
pub(super) fn like(glob: &str) -> String {
    let mut pattern = String::with_capacity(glob.len());
    for c in glob.chars() {
        match c {
            '*' => pattern.push('%'),
            '%' | '_' | '\\' => {
                pattern.push('\\');
                pattern.push(c);
            }
            _ => pattern.push(c),
        }
    }
    pattern
}

/// A password that nobody has to type: 32 random bytes.
pub(super) fn password() -> secrecy::SecretString {
    use base64::Engine as _;
    let mut bytes = secrecy::zeroize::Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(bytes.as_mut_slice());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes.as_slice()).into()
}

fn slug(text: &str, length: usize) -> String {
    let mut slug = String::new();
    for c in text.chars().take(4 * length) {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('_') {
            slug.push('_');
        }
        if slug.len() == length {
            break;
        }
    }
    slug.trim_end_matches('_').to_owned()
}

fn base32(bytes: [u8; 5]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let number = bytes.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    (0..8)
        .rev()
        .filter_map(|place| usize::try_from((number >> (place * 5)) & 31).ok())
        .filter_map(|digit| ALPHABET.get(digit))
        .map(|byte| char::from(*byte))
        .collect()
}

/// Leaves room for prefix and random end within PostgreSQL's 63 bytes.
const SLUG: usize = 40;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::domain::name::ProviderName;
    use crate::domain::principal::{Kin, PrincipalId, PrincipalKind, Subject};

    fn principal(display: &str) -> Principal {
        Principal {
            id: PrincipalId {
                provider: ProviderName::new("corp").unwrap(),
                subject: Subject::new("s-1").unwrap(),
            },
            kind: PrincipalKind::Human,
            display: display.to_owned(),
            groups: BTreeSet::new(),
            kin: Kin::default(),
            attributes: BTreeMap::new(),
        }
    }

    proptest! {
        #[test]
        fn a_role_name_is_always_plain(display in "\\PC{0,255}") {
            let role = session_role(&principal(&display));
            prop_assert!(role.len() <= 63);
            prop_assert!(is_session_role(&role));
            prop_assert!(role.starts_with("hoop_"));
            prop_assert!(role.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
        }
    }

    #[test]
    fn a_role_is_named_after_its_principal() {
        assert!(
            session_role(&principal("Alice O'Hara <alice@corp>"))
                .starts_with("hoop_alice_o_hara_alice_corp_")
        );
        assert!(session_role(&principal("李雷")).starts_with("hoop_s_1_"));
        assert_ne!(session_role(&principal("alice")), session_role(&principal("alice")));
    }

    #[test]
    fn quoting_leaves_no_way_out() {
        assert_eq!(identifier(r#"a"; DROP"#), r#""a""; DROP""#);
        assert_eq!(literal(r"a'b\"), r" E'a''b\\'");
        assert_eq!(like(r"api*_%\"), r"api%\_\%\\");
    }
}
