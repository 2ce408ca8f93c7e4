//! What SET gives a parameter.

use pg_query::protobuf::{VariableSetKind, VariableSetStmt, a_const};
use pg_query::{Node, NodeEnum};

/// The value, its elements joined by `, `. `None` where there is none, where it is long, and where the name sounds like a
/// secret's: facts are kept in the ledger.
pub(super) fn value(set: &VariableSetStmt) -> Option<String> {
    if set.kind() != VariableSetKind::VarSetValue {
        return None;
    }
    shown(&set.name, &set.args.iter().map(element).collect::<Option<Vec<String>>>()?)
}

/// A parameter's value as policy and the ledger may see it.
pub(crate) fn shown(name: &str, elements: &[String]) -> Option<String> {
    let name = name.to_lowercase();
    let is_secret = SECRETS.iter().any(|word| name.contains(word));
    Some(elements.join(", ")).filter(|value| !is_secret && value.len() <= LONGEST)
}

fn element(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Ival(number) => Some(number.ival.to_string()),
            a_const::Val::Fval(number) => Some(number.fval.clone()),
            a_const::Val::Boolval(flag) => Some(if flag.boolval { "on" } else { "off" }.into()),
            a_const::Val::Sval(text) => Some(text.sval.clone()),
            a_const::Val::Bsval(_) => None,
        },
        // INTERVAL '…' of a time zone
        NodeEnum::TypeCast(cast) => element(cast.arg.as_deref()?),
        _ => None,
    }
}

const SECRETS: &[&str] =
    &["auth", "claim", "cred", "jwt", "key", "passphrase", "passwd", "password", "pwd", "secret", "token"];

/// In bytes.
const LONGEST: usize = 200;
