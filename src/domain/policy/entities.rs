//! Principals, targets and facts as Cedar knows them.
//!
//! Ids are built as values, never as text, so no name of a group or a subject can be read as policy.

use std::collections::{BTreeSet, HashMap, HashSet};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};

use crate::domain::action::Action;
use crate::domain::facts::{CopyDirection, Facts};
use crate::domain::principal::{Principal, PrincipalKind};
use crate::domain::target::Target;

/// A request and the entities it speaks of; `None` when Cedar cannot hold them.
pub(super) fn ask(who: &Principal, target: &Target, action: &Action<'_>) -> Option<(Request, Entities)> {
    let kind = match who.kind {
        PrincipalKind::Human => "Hoop::Human",
        PrincipalKind::Machine => "Hoop::Machine",
    };
    let principal = uid(kind, &who.id.to_string())?;
    let groups: HashSet<EntityUid> =
        who.groups.iter().filter_map(|group| uid("Hoop::Group", group.as_str())).collect();
    let mut all: Vec<Entity> =
        groups.iter().map(|group| Entity::new_no_attrs(group.clone(), HashSet::new())).collect();
    all.push(Entity::new_no_attrs(principal.clone(), groups));
    let resource = uid("Hoop::Target", target.name.as_str())?;
    let labels = target.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let attributes = HashMap::from([
        ("name".to_owned(), text(target.name.as_str())),
        ("protocol".to_owned(), text(target.kind.protocol())),
        ("labels".to_owned(), set(&labels)),
    ]);
    all.push(Entity::new(resource.clone(), attributes, HashSet::new()).ok()?);
    let context = match action {
        Action::Statement(facts) => context(facts)?,
        Action::Audit | Action::Connect | Action::Kill => Context::empty(),
    };
    let request =
        Request::new(principal, uid("Hoop::Action", action.name())?, resource, context, None).ok()?;
    Some((request, Entities::from_entities(all, None).ok()?))
}

fn context(facts: &Facts) -> Option<Context> {
    let mut pairs = vec![
        ("verb", text(&facts.verb)),
        ("kind", text(facts.kind.as_str())),
        ("read_only", RestrictedExpression::new_bool(facts.read_only)),
        ("relations_read", set(&facts.relations_read)),
        ("relations_written", set(&facts.relations_written)),
        ("columns_read", set(&facts.columns_read)),
        ("functions", set(&facts.functions)),
        ("has_where", RestrictedExpression::new_bool(facts.has_where)),
        ("reads_user_rows", RestrictedExpression::new_bool(facts.reads_user_rows())),
        ("touches_masked", RestrictedExpression::new_bool(facts.touches_masked)),
    ];
    pairs.extend(facts.limit.map(|limit| ("limit", RestrictedExpression::new_long(limit))));
    let way = facts.copy.map(|way| match way {
        CopyDirection::In => "in",
        CopyDirection::Out => "out",
    });
    pairs.extend(way.map(|way| ("copy", text(way))));
    pairs.extend(facts.object.as_deref().map(|object| ("object", text(object))));
    pairs.extend(facts.setting.as_deref().map(|setting| ("setting", text(setting))));
    Context::from_pairs(pairs.into_iter().map(|(name, value)| (name.to_owned(), value))).ok()
}

fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    let kind: EntityTypeName = kind.parse().ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn set(values: &BTreeSet<String>) -> RestrictedExpression {
    RestrictedExpression::new_set(values.iter().map(|value| text(value)))
}
