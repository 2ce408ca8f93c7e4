//! Principals, targets and facts as Cedar knows them.
//!
//! Job: the words of the schema as Cedar values. Boundary: no policy is looked at here. Failure mode:
//! `None`, which the caller turns into a denial.
//!
//! INVARIANT: ids are built as values and never as text, so that no name of a group, a subject or a
//! relation can be read as policy.

use std::collections::{BTreeSet, HashMap, HashSet};

use cedar_policy::{
    ActionConstraint, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, PrincipalConstraint,
    Request, ResourceConstraint, RestrictedExpression,
};

use crate::domain::action::{Action, Petition};
use crate::domain::facts::{
    AwsFacts, CallFacts, CopyDirection, ExecFacts, Facts, FileFacts, ForwardFacts, IssueFacts,
};
use crate::domain::principal::{Principal, PrincipalKind};
use crate::domain::target::Target;

/// The names of the schema's types and actions, parsed once.
#[derive(Debug)]
pub(super) struct Words {
    human: EntityTypeName,
    machine: EntityTypeName,
    group: EntityTypeName,
    target: EntityTypeName,
    action: EntityTypeName,
}

impl Words {
    /// `None` only when the names in this file are no names.
    pub(super) fn new() -> Option<Self> {
        let name = |text: &str| text.parse::<EntityTypeName>().ok();
        Some(Self {
            human: name("Hoop::Human")?,
            machine: name("Hoop::Machine")?,
            group: name("Hoop::Group")?,
            target: name("Hoop::Target")?,
            action: name("Hoop::Action")?,
        })
    }

    /// An action of the schema.
    pub(super) fn action(&self, name: &str) -> EntityUid {
        uid(&self.action, name)
    }

    /// What an entity that a policy names is to the configuration; `None` for actions.
    pub(super) fn role(&self, of: &EntityUid) -> Option<Role> {
        let kind = of.type_name();
        if *kind == self.group {
            Some(Role::Group)
        } else if *kind == self.target {
            Some(Role::Target)
        } else if *kind == self.human || *kind == self.machine {
            Some(Role::Principal)
        } else {
            None
        }
    }
}

/// What an entity that a policy names is to the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A group, `PROVIDER/GROUP`.
    Group,
    /// A human or a machine, `PROVIDER:SUBJECT`.
    Principal,
    /// A target.
    Target,
}

/// One principal and one target, ready to be asked about.
#[derive(Debug)]
pub(super) struct Pair {
    principal: EntityUid,
    groups: HashSet<EntityUid>,
    resource: EntityUid,
    entities: Entities,
}

impl Pair {
    pub(super) fn new(words: &Words, who: &Principal, target: &Target) -> Option<Self> {
        let kind = match who.kind {
            PrincipalKind::Human => &words.human,
            PrincipalKind::Machine => &words.machine,
        };
        let principal = uid(kind, &who.id.to_string());
        let groups: HashSet<EntityUid> =
            who.groups.iter().map(|group| uid(&words.group, group.as_str())).collect();
        let resource = uid(&words.target, target.name.as_str());
        let labels = target.labels.iter().map(|(key, value)| text(format!("{key}={value}")));
        let attributes = HashMap::from([
            ("name".to_owned(), text(target.name.as_str())),
            ("protocol".to_owned(), text(target.kind.protocol())),
            ("labels".to_owned(), RestrictedExpression::new_set(labels)),
        ]);
        // groups are flat: being named as a parent is all that `in` asks for
        let person = Entity::new_no_attrs(principal.clone(), groups.clone());
        let thing = Entity::new(resource.clone(), attributes, HashSet::new()).ok()?;
        let entities = Entities::from_entities([person, thing], None).ok()?;
        Some(Self { principal, groups, resource, entities })
    }

    pub(super) fn entities(&self) -> &Entities {
        &self.entities
    }

    /// The question whether this principal may do `action` on this target.
    pub(super) fn request(&self, action: EntityUid, context: Context) -> Option<Request> {
        Request::new(self.principal.clone(), action, self.resource.clone(), context, None).ok()
    }

    /// Whether a policy with this scope can bind the pair at all.
    pub(super) fn is_in_scope(&self, principal: &PrincipalConstraint, resource: &ResourceConstraint) -> bool {
        let is = |kind: &EntityTypeName| self.principal.type_name() == kind;
        let within = |of: &EntityUid| self.principal == *of || self.groups.contains(of);
        let principal = match principal {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::In(of) => within(of),
            PrincipalConstraint::Eq(of) => self.principal == *of,
            PrincipalConstraint::Is(kind) => is(kind),
            PrincipalConstraint::IsIn(kind, of) => is(kind) && within(of),
        };
        let is = |kind: &EntityTypeName| self.resource.type_name() == kind;
        let resource = match resource {
            ResourceConstraint::Any => true,
            ResourceConstraint::In(of) | ResourceConstraint::Eq(of) => self.resource == *of,
            ResourceConstraint::Is(kind) => is(kind),
            ResourceConstraint::IsIn(kind, of) => is(kind) && self.resource == *of,
        };
        principal && resource
    }
}

/// Whether a policy with this scope can bind on a target at all, whoever asks.
pub(super) fn reaches(words: &Words, constraint: &ResourceConstraint, target: &Target) -> bool {
    let own = uid(&words.target, target.name.as_str());
    match constraint {
        ResourceConstraint::Any => true,
        ResourceConstraint::In(of) | ResourceConstraint::Eq(of) => own == *of,
        ResourceConstraint::Is(kind) => own.type_name() == kind,
        ResourceConstraint::IsIn(kind, of) => own.type_name() == kind && own == *of,
    }
}

/// Whether a policy with this scope can bind the action at all.
pub(super) fn covers(constraint: &ActionConstraint, action: &EntityUid) -> bool {
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::In(all) => all.contains(action),
        ActionConstraint::Eq(one) => one == action,
    }
}

/// What Cedar is told beyond principal, action and target.
pub(super) fn context(action: &Action<'_>) -> Option<Context> {
    match action {
        Action::Approve(petition) => Context::from_pairs(of_petition(petition)?).ok(),
        _ => Context::from_pairs(attributes(action)).ok(),
    }
}

/// What an action on the data path does.
fn attributes(action: &Action<'_>) -> Attributes {
    match action {
        Action::Approve(_) | Action::Audit | Action::Connect | Action::Kill => Vec::new(),
        Action::Call(facts) => of_call(facts),
        Action::Env(name) | Action::Subsystem(name) => vec![("name".to_owned(), text(*name))],
        Action::Exec(facts) => of_exec(facts),
        Action::File(facts) => of_file(facts),
        Action::Forward(facts) => of_forward(facts),
        Action::Issue(facts) => of_issue(facts),
        Action::Shell(shell) => vec![
            ("terminal".to_owned(), RestrictedExpression::new_bool(shell.terminal)),
            ("supervised".to_owned(), RestrictedExpression::new_bool(shell.supervised)),
        ],
        Action::Statement(facts) => of_facts(facts),
    }
}

type Attributes = Vec<(String, RestrictedExpression)>;

fn of_petition(petition: &Petition<'_>) -> Option<Attributes> {
    let rules = petition.rules.iter().map(|rule| text(rule.as_str()));
    let mut pairs = vec![
        ("rules".to_owned(), RestrictedExpression::new_set(rules)),
        ("kind".to_owned(), text(petition.kind())),
    ];
    if let Some(seconds) = petition.seconds {
        // a time that Cedar cannot hold must not look as if there were none
        pairs.push(("seconds".to_owned(), RestrictedExpression::new_long(seconds.try_into().ok()?)));
    }
    if let Some(action) = petition.action {
        let what = RestrictedExpression::new_record(attributes(&action)).ok()?;
        pairs.push((action.name().to_owned(), what));
    }
    Some(pairs)
}

fn of_call(facts: &CallFacts) -> Attributes {
    let mut pairs = vec![
        ("method", text(facts.method.as_str())),
        ("path", text(facts.path.as_str())),
        ("query", set(&facts.query)),
        ("fields", set(&facts.fields)),
        ("headers", RestrictedExpression::new_set(headers(facts).map(text))),
        ("listing", RestrictedExpression::new_bool(facts.listing)),
        ("read_only", RestrictedExpression::new_bool(facts.is_read_only())),
        ("touches_masked", RestrictedExpression::new_bool(facts.touches_masked)),
    ];
    pairs.extend(facts.operation.as_deref().map(|operation| ("operation", text(operation))));
    pairs.extend(facts.graphql.as_deref().map(|kind| ("graphql", text(kind))));
    pairs.extend(facts.graphql_name.as_deref().map(|name| ("graphql_name", text(name))));
    pairs.extend(facts.content_type.as_deref().map(|kind| ("content_type", text(kind))));
    pairs.extend(facts.page_size.map(|items| ("page_size", RestrictedExpression::new_long(items))));
    pairs.extend(facts.upgrade.as_deref().map(|to| ("upgrade", text(to))));
    // the names are ours, and each is there once
    let aws = facts.aws.as_deref().and_then(|aws| RestrictedExpression::new_record(of_aws(aws)).ok());
    pairs.extend(aws.map(|aws| ("aws", aws)));
    named(pairs)
}

fn of_aws(facts: &AwsFacts) -> Attributes {
    let mut pairs = vec![
        ("service", text(facts.service.as_str())),
        ("operation", text(facts.operation.as_str())),
        ("actions", set(&facts.actions)),
        ("access", text(facts.access.as_str())),
        ("resources", set(&facts.resources)),
        ("buckets", set(&facts.buckets)),
        ("keys", set(&facts.keys)),
        ("tables", set(&facts.tables)),
        ("attributes", set(&facts.attributes)),
        ("presigned", RestrictedExpression::new_bool(facts.presigned)),
    ];
    pairs.extend(facts.prefix.as_deref().map(|prefix| ("prefix", text(prefix))));
    pairs.extend(facts.limit.map(|items| ("limit", RestrictedExpression::new_long(items))));
    named(pairs)
}

fn of_issue(facts: &IssueFacts) -> Attributes {
    // longer than Cedar can count is longer than anything
    let seconds = i64::try_from(facts.seconds).unwrap_or(i64::MAX);
    named(vec![
        ("role", text(facts.role.as_str())),
        ("seconds", RestrictedExpression::new_long(seconds)),
        ("actions", set(&facts.actions)),
        ("resources", set(&facts.resources)),
    ])
}

/// Names, and names with values: Cedar has no maps whose keys are not known.
fn headers(facts: &CallFacts) -> impl Iterator<Item = String> {
    facts.headers.iter().flat_map(|(name, value)| {
        let whole = (!value.is_empty()).then(|| format!("{name}: {value}"));
        [name.clone()].into_iter().chain(whole)
    })
}

fn of_exec(facts: &ExecFacts) -> Attributes {
    let effects = facts.effects.iter().map(|effect| text(effect.as_str()));
    named(vec![
        ("programs", set(&facts.programs)),
        ("effects", RestrictedExpression::new_set(effects)),
        ("paths", set(&facts.paths)),
        ("read_only", RestrictedExpression::new_bool(facts.read_only)),
        ("terminal", RestrictedExpression::new_bool(facts.terminal)),
    ])
}

fn of_file(facts: &FileFacts) -> Attributes {
    let mut pairs = vec![
        ("operation", text(facts.operation.as_str())),
        ("path", text(facts.path.as_str())),
        ("read_only", RestrictedExpression::new_bool(facts.operation.is_read_only())),
    ];
    pairs.extend(facts.to.as_deref().map(|to| ("to", text(to))));
    named(pairs)
}

fn of_forward(facts: &ForwardFacts) -> Attributes {
    named(vec![
        ("kind", text(facts.kind.as_str())),
        ("host", text(facts.host.as_str())),
        ("port", RestrictedExpression::new_long(i64::from(facts.port))),
    ])
}

fn of_facts(facts: &Facts) -> Attributes {
    let mut pairs = vec![
        ("verb", text(facts.verb.as_str())),
        ("kind", text(facts.kind.as_str())),
        ("read_only", RestrictedExpression::new_bool(facts.read_only)),
        ("relations_read", set(&facts.relations_read)),
        ("relations_written", set(&facts.relations_written)),
        ("columns_read", set(&facts.columns_read)),
        ("columns_written", set(&facts.columns_written)),
        ("columns_resolved", RestrictedExpression::new_bool(facts.columns_resolved)),
        ("changes", set(&facts.changes)),
        ("without_where", set(&facts.without_where)),
        ("joins", RestrictedExpression::new_long(facts.joins.into())),
        ("has_cross_join", RestrictedExpression::new_bool(facts.has_cross_join)),
        ("functions", set(&facts.functions)),
        ("has_where", RestrictedExpression::new_bool(facts.has_where)),
        ("summary", RestrictedExpression::new_bool(facts.summary)),
        ("touches_masked", RestrictedExpression::new_bool(facts.touches_masked)),
        ("reads_user_rows", RestrictedExpression::new_bool(facts.reads_user_rows())),
        ("at_most_one_row", RestrictedExpression::new_bool(facts.at_most_one_row)),
        ("labels", set(&facts.labels)),
    ];
    pairs.extend(facts.limit.map(|limit| ("limit", RestrictedExpression::new_long(limit))));
    let direction = facts.copy.map(|way| match way {
        CopyDirection::In => "in",
        CopyDirection::Out => "out",
    });
    pairs.extend(direction.map(|way| ("copy", text(way))));
    let words = [
        ("copy_target", &facts.copy_target),
        ("ddl", &facts.ddl),
        ("object", &facts.object),
        ("setting", &facts.setting),
        ("set_value", &facts.set_value),
    ];
    pairs.extend(words.into_iter().filter_map(|(name, word)| Some((name, text(word.as_deref()?)))));
    // an estimate that Cedar cannot hold is a very great one
    let estimate = facts.estimate.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX));
    pairs.extend(estimate.map(|rows| ("estimate", RestrictedExpression::new_long(rows))));
    named(pairs)
}

fn named(pairs: Vec<(&str, RestrictedExpression)>) -> Attributes {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(value: impl Into<String>) -> RestrictedExpression {
    RestrictedExpression::new_string(value.into())
}

fn set(values: &BTreeSet<String>) -> RestrictedExpression {
    RestrictedExpression::new_set(values.iter().map(|value| text(value.as_str())))
}
