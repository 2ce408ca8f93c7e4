//! Policy texts into rules.
//!
//! Job: parse, validate strictly against the bundled schema, read the annotations. Boundary: nothing
//! is evaluated. Failure mode: every problem of every text, each with its line; no rule is used when
//! there is one problem.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, PolicyId, PolicySet, PrincipalConstraint, ResourceConstraint,
    Schema, ValidationError, ValidationMode, Validator,
};
use miette::Diagnostic;

use super::entities::{Role, Words};
use super::{PolicyFault, PolicySource, Reference};
use crate::domain::action::Action;
use crate::domain::approval::Threshold;
use crate::domain::caps::{Cap, CapKind, Caps};
use crate::domain::name::RuleName;

/// One policy of a text.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its `@id`.
    pub(super) name: RuleName,
    /// Its `@reason`, or one of ours.
    pub(super) reason: String,
    /// Its `@hint`.
    pub(super) hint: Option<String>,
    /// Its `@review`: what it takes to lift a forbid, or to make a permit count.
    pub(super) review: Option<Review>,
    /// Its `@max_rows`, `@max_bytes` and `@statement_timeout`.
    pub(super) caps: Caps,
    /// Whether it speaks, or may speak, of the planner's estimate.
    pub(super) estimates: bool,
    /// Whether it goes by the full names of columns, whether or not there are any.
    pub(super) columns: bool,
    /// Cedar's form. Its id is the rule's place in source order, in decimal.
    pub(super) policy: cedar_policy::Policy,
}

/// The annotations `@review`, `@standing` and `@review_by`.
#[derive(Debug, Clone)]
pub(super) struct Review {
    pub(super) threshold: Threshold,
    /// The longest standing decision, in seconds; 0 when none may be made.
    pub(super) standing: u64,
    /// Whether only people may answer.
    pub(super) people_only: bool,
}

impl Rule {
    pub(super) fn forbids(&self) -> bool {
        self.policy.effect() == Effect::Forbid
    }

    /// Whether its scope says for which actions it is, rather than for all.
    pub(super) fn names_its_action(&self) -> bool {
        !matches!(self.policy.action_constraint(), ActionConstraint::Any)
    }

    /// Whom and what it can bind.
    pub(super) fn scope(&self) -> (PrincipalConstraint, ResourceConstraint) {
        (self.policy.principal_constraint(), self.policy.resource_constraint())
    }
}

/// Compiles all texts.
pub(super) fn compile(
    words: &Words,
    sources: &[PolicySource],
) -> Result<(Vec<Rule>, Vec<Reference>), Vec<PolicyFault>> {
    let mut compiler = Compiler::default();
    for source in sources {
        compiler.source(source);
    }
    compiler.validate();
    if compiler.faults.is_empty() {
        let references = compiler.references(words);
        Ok((compiler.rules.into_iter().map(|placed| placed.rule).collect(), references))
    } else {
        compiler.faults.sort_by_cached_key(|fault| {
            let place = sources.iter().position(|source| source.name == fault.source_name);
            (place, fault.line, fault.message.clone())
        });
        let mut seen = BTreeSet::new();
        compiler.faults.retain(|fault| seen.insert(fault.to_string()));
        Err(compiler.faults)
    }
}

#[derive(Default)]
struct Compiler<'a> {
    rules: Vec<Placed<'a>>,
    names: BTreeMap<RuleName, String>,
    faults: Vec<PolicyFault>,
}

/// A rule, and where it stands.
struct Placed<'a> {
    rule: Rule,
    source: &'a PolicySource,
    line: usize,
}

impl<'a> Compiler<'a> {
    fn source(&mut self, source: &'a PolicySource) {
        let parsed = match PolicySet::from_str(&source.text) {
            Ok(parsed) => parsed,
            Err(errors) => {
                for error in errors.iter() {
                    self.fault(source, line_of(source, error).unwrap_or(1), &described(error));
                }
                return;
            }
        };
        for template in parsed.templates() {
            let line = line_at(source, AsRef::as_ref(template).loc().map_or(0, |place| place.start()));
            self.fault(source, line, "templates (`?principal`, `?resource`) are not supported");
        }
        let mut policies: Vec<_> = parsed
            .policies()
            .map(|policy| (AsRef::as_ref(policy).loc().map_or(0, |place| place.start()), policy))
            .collect();
        policies.sort_by_key(|(offset, _)| *offset);
        for (offset, policy) in policies {
            let line = line_at(source, offset);
            let name = self.annotations(source, line, policy);
            let reason = policy
                .annotation("reason")
                .map_or_else(|| format!("the rule {name} forbids it"), str::to_owned);
            let hint = policy.annotation("hint").map(str::to_owned);
            let review = self.review(source, line, policy);
            let caps = self.caps(source, line, policy, &name);
            let policy = policy.new_id(PolicyId::new(self.rules.len().to_string()));
            // not the source, in which the word may be escaped
            let text = policy.to_json().map(|json| json.to_string()).ok();
            let speaks_of = |word| text.as_ref().is_none_or(|text| text.contains(word));
            let estimates = speaks_of("estimate");
            let columns = (speaks_of("columns_read") || speaks_of("columns_written"))
                && !speaks_of("columns_resolved")
                && !speaks_of("?.?.");
            let rule = Rule { name, reason, hint, review, caps, estimates, columns, policy };
            self.rules.push(Placed { rule, source, line });
        }
    }

    /// Checks the annotations and returns the rule's name, or a stand-in after a fault.
    fn annotations(&mut self, source: &PolicySource, line: usize, policy: &cedar_policy::Policy) -> RuleName {
        for (key, value) in policy.annotations() {
            match key {
                "id" => {}
                "hint" | "reason" if is_sentence(value) => {}
                "hint" | "reason" => self.fault(
                    source,
                    line,
                    &format!("@{key} must be 1 to {SENTENCE_MAX} characters without control characters"),
                ),
                "review" | "review_by" | "standing" => {}
                _ if CAPS.iter().any(|(known, _)| *known == key) => {}
                // a misspelt @review must not turn into a plain permit
                _ => self.fault(
                    source,
                    line,
                    &format!(
                        "unknown annotation @{key}: id, reason, hint, review, review_by, standing, max_rows, \
                         max_bytes and statement_timeout are known"
                    ),
                ),
            }
        }
        match policy.annotation("id").map(RuleName::new) {
            Some(Ok(name)) if name == RuleName::default_deny() => {
                self.fault(source, line, "the name `default` is what a denial without a rule is called");
                name
            }
            Some(Ok(name)) => {
                let place = format!("{}:{line}", source.name);
                if let Some(first) = self.names.get(&name) {
                    let message = format!("the name `{name}` is already taken at {first}");
                    self.fault(source, line, &message);
                } else {
                    self.names.insert(name.clone(), place);
                }
                name
            }
            Some(Err(error)) => {
                self.fault(source, line, &error.to_string());
                RuleName::default_deny()
            }
            None => {
                self.fault(source, line, "every policy needs a name: write @id(\"some-name\") above it");
                RuleName::default_deny()
            }
        }
    }

    fn review(
        &mut self,
        source: &PolicySource,
        line: usize,
        policy: &cedar_policy::Policy,
    ) -> Option<Review> {
        let standing = policy.annotation("standing").map(|text| (text, seconds(text)));
        if let Some((text, None)) = standing {
            let message = format!("@standing(\"{text}\") is not a time: write 30m, 2h or 1d, at most 30d");
            self.fault(source, line, &message);
        }
        let by = policy.annotation("review_by");
        if by.is_some_and(|by| by != "people") {
            self.fault(source, line, "@review_by can only be \"people\": no rule may answer then");
        }
        let Some(text) = policy.annotation("review") else {
            if standing.is_some() || by.is_some() {
                self.fault(source, line, "@standing and @review_by mean nothing without @review");
            }
            return None;
        };
        if names(&policy.action_constraint(), "approve") == Some(true) {
            self.fault(
                source,
                line,
                "@review means nothing on a rule about `approve`: who would review the review?",
            );
        }
        match text.parse::<Threshold>() {
            Ok(threshold) => Some(Review {
                threshold,
                standing: standing.and_then(|(_, seconds)| seconds).unwrap_or_default(),
                people_only: by.is_some(),
            }),
            Err(error) => {
                self.fault(source, line, &format!("@review: {error}"));
                None
            }
        }
    }

    fn caps(
        &mut self,
        source: &PolicySource,
        line: usize,
        policy: &cedar_policy::Policy,
        rule: &RuleName,
    ) -> Caps {
        let mut caps = Caps::default();
        for (key, kind) in CAPS.iter().copied() {
            let Some(text) = policy.annotation(key) else { continue };
            if policy.effect() == Effect::Forbid {
                let message = format!(
                    "@{key} means nothing on a forbid: it caps what a permit of statements lets through"
                );
                self.fault(source, line, &message);
            } else if !names(&policy.action_constraint(), "statement").unwrap_or(true) {
                self.fault(
                    source,
                    line,
                    &format!("@{key} means nothing on a rule that is not about statements"),
                );
            }
            let Some(most) = kind.read(text) else {
                self.fault(source, line, &format!("@{key}(\"{text}\"): write {}", kind.example()));
                continue;
            };
            let hint = policy.annotation("hint").map(str::to_owned);
            let cap = Some(Cap { most, rule: rule.clone(), hint });
            match kind {
                CapKind::Bytes => caps.bytes = cap,
                CapKind::Rows => caps.rows = cap,
                CapKind::Time => caps.time = cap,
            }
        }
        caps
    }

    fn validate(&mut self) {
        let schema = match Schema::from_cedarschema_str(SCHEMA) {
            Ok((schema, _)) => schema,
            Err(error) => {
                self.faults.push(PolicyFault {
                    source_name: "hoop.cedarschema".into(),
                    line: 1,
                    message: error.to_string(),
                });
                return;
            }
        };
        let mut set = PolicySet::new();
        let mut unusable = Vec::new();
        for placed in &self.rules {
            if let Err(error) = set.add(placed.rule.policy.clone()) {
                unusable.push((placed.rule.policy.id().clone(), error.to_string(), None));
            }
        }
        let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
        // "nothing here can apply" follows from a misspelt name, which is told already
        let is_consequence = |error: &ValidationError| match error {
            ValidationError::InvalidActionApplication(_) => result.validation_errors().any(|other| {
                other.policy_id() == error.policy_id()
                    && !matches!(other, ValidationError::InvalidActionApplication(_))
            }),
            _ => false,
        };
        let errors = result.validation_errors().filter(|error| !is_consequence(error)).map(|error| {
            // Cedar's own guess at the action differs from run to run
            let message = match error {
                ValidationError::UnrecognizedActionId(_) => {
                    format!("{error} ({} are known)", Action::NAMES.join(", "))
                }
                _ => described(error),
            };
            (error.policy_id(), message, offset(error))
        });
        // a policy that can never apply, or whose text misleads the eye, is not what its author meant
        let warnings = result
            .validation_warnings()
            .filter(|warning| {
                result.validation_errors().all(|error| error.policy_id() != warning.policy_id())
            })
            .map(|warning| (warning.policy_id(), described(warning), offset(warning)));
        let found: Vec<_> = errors
            .chain(warnings)
            .map(|(id, message, offset)| (id.clone(), message, offset))
            .chain(unusable)
            .collect();
        for (id, message, offset) in found {
            let place: Option<usize> = AsRef::<str>::as_ref(&id).parse().ok();
            let Some(placed) = place.and_then(|place| self.rules.get(place)) else { continue };
            let source = placed.source;
            let line = offset.map_or(placed.line, |offset| line_at(source, offset));
            let message = message.strip_prefix(&format!("for policy `{id}`, ")).unwrap_or(&message);
            let message = format!("rule `{}`: {message}", placed.rule.name);
            self.fault(source, line, &message);
        }
    }

    fn references(&self, words: &Words) -> Vec<Reference> {
        let mut all = Vec::new();
        for placed in &self.rules {
            let mut named: Vec<(Role, String)> = placed
                .rule
                .policy
                .entity_literals()
                .iter()
                .filter_map(|uid| Some((words.role(uid)?, AsRef::<str>::as_ref(uid.id()).to_owned())))
                .collect();
            named.sort_by(|a, b| a.1.cmp(&b.1));
            named.dedup();
            all.extend(named.into_iter().map(|(role, id)| Reference {
                role,
                id,
                source_name: placed.source.name.clone(),
                line: placed.line,
            }));
        }
        all
    }

    fn fault(&mut self, source: &PolicySource, line: usize, message: &str) {
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        self.faults.push(PolicyFault { source_name: source.name.clone(), line, message });
    }
}

/// Whether a scope names an action; `None` where it names none.
fn names(constraint: &ActionConstraint, name: &str) -> Option<bool> {
    let is_it = |action: &EntityUid| AsRef::<str>::as_ref(action.id()) == name;
    match constraint {
        ActionConstraint::Any => None,
        ActionConstraint::In(all) => Some(all.iter().any(is_it)),
        ActionConstraint::Eq(one) => Some(is_it(one)),
    }
}

/// `30m`, `2h`, `1d`: in seconds, at most thirty days.
fn seconds(text: &str) -> Option<u64> {
    let unit = text.chars().next_back()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    number.checked_mul(factor).filter(|seconds| (1..=30 * 86_400).contains(seconds))
}

/// What a diagnostic says, and its help.
fn described(diagnostic: &dyn Diagnostic) -> String {
    match diagnostic.help() {
        Some(help) => format!("{diagnostic} ({help})"),
        None => diagnostic.to_string(),
    }
}

fn offset(diagnostic: &dyn Diagnostic) -> Option<usize> {
    diagnostic.labels()?.next().map(|label| label.offset())
}

fn line_of(source: &PolicySource, diagnostic: &dyn Diagnostic) -> Option<usize> {
    offset(diagnostic).map(|offset| line_at(source, offset))
}

fn line_at(source: &PolicySource, offset: usize) -> usize {
    1 + source.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// Reasons and hints travel in the frames of other protocols.
fn is_sentence(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= SENTENCE_MAX && !text.chars().any(char::is_control)
}

const SENTENCE_MAX: usize = 300;

/// The annotations of caps.
const CAPS: &[(&str, CapKind)] =
    &[("max_bytes", CapKind::Bytes), ("max_rows", CapKind::Rows), ("statement_timeout", CapKind::Time)];

const SCHEMA: &str = include_str!("../../../policies/hoop.cedarschema");
