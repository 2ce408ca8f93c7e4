//! The `[[provider]]` and `[[workload]]` tables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use url::Url;

use super::reader::Section;
use super::targets::is_loopback;
use super::{ClaimRule, JwksSource, ProviderConfig, WorkloadConfig, WorkloadRule};
use crate::domain::filter::BUILT_IN;
use crate::domain::name::{GroupName, ProviderName};
use crate::domain::principal::{PrincipalId, Subject};
use crate::wire::control::ClientCredentials;

/// Reads all providers.
pub(super) fn providers(root: &Section<'_, '_>) -> Vec<ProviderConfig> {
    let mut all: Vec<ProviderConfig> = Vec::new();
    for section in root.sections("provider") {
        let name = section.required_parsed("name", |text| ProviderName::new(text));
        let issuer = section.required_parsed("issuer", secure_url);
        let client_id = section.required("client_id");
        let scopes: Vec<String> = section.texts("scopes").into_iter().map(|at| at.value).collect();
        let groups_claim = section.text("groups_claim").unwrap_or_else(|| "groups".into());
        let groups = groups(&section, name.as_ref());
        let groups_required = section.flag("groups_required").unwrap_or(false);
        if groups_required && groups.is_empty() {
            section.fault("groups_required", "needs `groups`: without them nothing is read");
        }
        let attributes = attributes(&section);
        if let Some(name) = name.as_ref().filter(|name| all.iter().any(|other| other.name == **name)) {
            section.fault("name", format!("`{name}` is used for two providers"));
        }
        section.finish();
        if let (Some(name), Some(issuer), Some(client_id)) = (name, issuer, client_id) {
            all.push(ProviderConfig {
                name,
                issuer,
                client_id,
                scopes: with_openid(scopes),
                groups_claim,
                groups,
                groups_required,
                attributes,
            });
        }
    }
    all
}

/// Reads all trusted issuers of workload tokens.
pub(super) fn workloads(
    root: &Section<'_, '_>,
    providers: &[ProviderConfig],
    session_max: Duration,
    base: &Path,
) -> Vec<WorkloadConfig> {
    let mut all: Vec<WorkloadConfig> = Vec::new();
    for section in root.sections("workload") {
        let name = section.required_parsed("name", |text| ProviderName::new(text));
        let issuer = section.required_parsed("issuer", secure_url);
        let audience = section.required("audience");
        let other_audiences = section.texts("other_audiences").into_iter().map(|at| at.value).collect();
        let jwks = section.parsed("jwks", |text| jwks(text, base));
        let client_credentials = section.section("client_credentials").map(client_credentials);
        let attributes = attributes(&section);
        let of = Of { name: name.as_ref(), issuer: issuer.as_ref(), providers, session_max };
        let rules: Vec<WorkloadRule> =
            section.sections("rule").into_iter().map(|rule| workload_rule(rule, &of)).collect();
        if rules.is_empty() {
            section.fault("rule", "is missing: without a rule no token of this issuer is good for anything");
        }
        if let Some(name) = &name {
            let taken = providers.iter().any(|other| other.name == *name)
                || all.iter().any(|other| other.name == *name);
            if taken {
                section.fault("name", format!("`{name}` is used already"));
            }
        }
        if let Some(issuer) = &issuer
            && let Some(other) = all.iter().find(|other| other.issuer == *issuer)
        {
            let message = format!("is trusted already, as `{}`: its rules belong there", other.name);
            section.fault("issuer", message);
        }
        section.finish();
        if let (Some(name), Some(issuer), Some(audience)) = (name, issuer, audience) {
            all.push(WorkloadConfig {
                name,
                issuer,
                audience,
                other_audiences,
                jwks,
                client_credentials,
                attributes,
                rules,
            });
        }
    }
    all
}

/// What the rules of one issuer have in common.
struct Of<'a> {
    name: Option<&'a ProviderName>,
    issuer: Option<&'a Url>,
    providers: &'a [ProviderConfig],
    session_max: Duration,
}

fn workload_rule(section: Section<'_, '_>, of: &Of<'_>) -> WorkloadRule {
    let claims = claims(&section, of.issuer);
    let groups = groups(&section, of.name);
    let session_max = section.duration("session_max").unwrap_or(of.session_max).min(of.session_max);
    let owner = section.parsed("owner", |text| person(text, of.providers));
    section.finish();
    WorkloadRule { claims, groups, session_max, owner }
}

fn claims(section: &Section<'_, '_>, issuer: Option<&Url>) -> BTreeMap<String, ClaimRule> {
    let mut claims = BTreeMap::new();
    let Some(choices) = section.choices("claims") else { return claims };
    if choices.is_empty() {
        section
            .fault("claims", "must name at least one claim: the audience alone says nothing about the job");
        return claims;
    }
    for (claim, texts) in choices {
        match ClaimRule::new(texts.value.iter().map(String::as_str)) {
            Ok(rule) => drop(claims.insert(claim, rule)),
            Err(why) => section.fault_at(texts.start, &format!("claims.{claim}"), why),
        }
    }
    if let Some(public) = issuer.and_then(Public::of)
        && !claims.iter().any(|(claim, rule)| public.is_pinned_by(claim, rule))
    {
        section.fault("claims", public.advice());
    }
    claims
}

/// An issuer that signs tokens for everybody who has an account there, with any audience that they choose. A rule must say
/// whose jobs it means, or it means everybody's. Those that have an issuer for each customer (`CircleCI`, Bitbucket) are none.
#[derive(Debug)]
struct Public {
    who: &'static str,
    host: &'static str,
    /// Claims that name an owner when they are written out.
    whole: &'static [&'static str],
    /// Claims of which the part before the first `/` does.
    first: &'static [&'static str],
    /// How a subject begins that goes on with an owner; where several are listed, the customer chooses which comes first.
    subjects: &'static [&'static str],
}

impl Public {
    fn of(issuer: &Url) -> Option<&'static Self> {
        // what has a path of its own there (an enterprise of GitHub, a team of Vercel) is one customer's
        PUBLIC.iter().find(|public| issuer.host_str() == Some(public.host) && issuer.path() == "/")
    }

    /// Whether a claim names an owner, whatever its `*` stand for. What others can bring about
    /// (`ref`, `workflow`, `actor`, a reusable workflow's `job_workflow_ref`) names none.
    fn is_pinned_by(&self, claim: &str, rule: &ClaimRule) -> bool {
        let subject = |before: &str, exact: bool| {
            let rest =
                self.subjects.iter().find_map(|prefix| before.strip_prefix(prefix)).unwrap_or_default();
            let owner = rest.split_once(['/', ':']).map_or(if exact { rest } else { "" }, |(owner, _)| owner);
            !owner.is_empty()
        };
        if self.whole.contains(&claim) {
            rule.is_pinned(|_, exact| exact)
        } else if self.first.contains(&claim) {
            // the first part is written out up to its end
            rule.is_pinned(|before, exact| exact || before.contains('/'))
        } else {
            claim == "sub" && rule.is_pinned(subject)
        }
    }

    fn advice(&self) -> String {
        let subject = (!self.subjects.is_empty()).then_some("sub");
        let claims = self.whole.iter().chain(self.first).copied().chain(subject);
        let claims: Vec<String> = claims.map(|claim| format!("`{claim}`")).collect();
        format!(
            "must say whose jobs are meant, by one of {} without `*` in the owner; everybody on {} gets tokens of this issuer",
            claims.join(", "),
            self.who
        )
    }
}

/// By the platforms' own pages on their tokens.
const PUBLIC: &[Public] = &[
    Public {
        who: "Buildkite",
        host: "agent.buildkite.com",
        whole: &["organization_id", "organization_slug", "pipeline_id"],
        first: &[],
        subjects: &["organization:"],
    },
    Public {
        who: "Codefresh",
        host: "oidc.codefresh.io",
        whole: &["account_id", "pipeline_id"],
        first: &[],
        subjects: &["account:"],
    },
    Public {
        who: "GitHub",
        host: "token.actions.githubusercontent.com",
        whole: &["repository_id", "repository_owner_id", "repository_owner", "enterprise_id"],
        first: &["repository"],
        subjects: &["repo:", "repository:", "repository_id:", "repository_owner:", "repository_owner_id:"],
    },
    Public {
        who: "gitlab.com",
        host: "gitlab.com",
        whole: &["namespace_id", "project_id"],
        first: &["namespace_path", "project_path"],
        subjects: &["project_path:"],
    },
    Public {
        who: "Google",
        host: "accounts.google.com",
        // the number of a service account, or its address
        whole: &["sub", "email"],
        first: &[],
        subjects: &[],
    },
    Public {
        who: "HCP Terraform",
        host: "app.terraform.io",
        whole: &[
            "terraform_organization_id",
            "terraform_organization_name",
            "terraform_project_id",
            "terraform_workspace_id",
        ],
        first: &[],
        subjects: &["organization:"],
    },
    Public {
        who: "Vercel",
        host: "oidc.vercel.com",
        whole: &["owner", "owner_id", "project_id"],
        first: &[],
        subjects: &["owner:"],
    },
];

/// An address or a file.
fn jwks(text: &str, base: &Path) -> Result<JwksSource, String> {
    match text {
        "" => Err("is empty".into()),
        url if url.contains("://") => secure_url(url).map(JwksSource::Url),
        path => Ok(JwksSource::File(base.join(path))),
    }
}

fn client_credentials(section: Section<'_, '_>) -> ClientCredentials {
    let scopes = section.texts("scopes").into_iter().map(|at| at.value).collect();
    let (resource, audience) = (section.text("resource"), section.text("audience"));
    section.finish();
    ClientCredentials { scopes, resource, audience }
}

/// `PROVIDER:SUBJECT`, of a provider for people.
fn person(text: &str, providers: &[ProviderConfig]) -> Result<PrincipalId, String> {
    let shape = || "is a person, written PROVIDER:SUBJECT".to_owned();
    let (provider, subject) = text.split_once(':').ok_or_else(shape)?;
    let provider = ProviderName::new(provider).map_err(|error| error.to_string())?;
    if !providers.iter().any(|known| known.name == provider) {
        return Err(format!("nobody signs in with `{provider}`"));
    }
    Ok(PrincipalId { provider, subject: Subject::new(subject).map_err(|_| shape())? })
}

fn groups(section: &Section<'_, '_>, provider: Option<&ProviderName>) -> BTreeSet<GroupName> {
    let group = |text: &str| match provider {
        Some(provider) => GroupName::new(format!("{provider}/{text}")).map(Some),
        // the provider's own name is the problem, and was noted
        None => Ok(None),
    };
    section.parsed_list("groups", group).into_iter().flatten().collect()
}

/// Names that row filters may use, and the claims that they are read from.
fn attributes(section: &Section<'_, '_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, claim) in section.pairs("attributes") {
        let mut characters = name.chars();
        // as an identifier of SQL that means the same without quotes
        let begins = characters.next().is_some_and(|c| c.is_ascii_lowercase());
        let goes_on = characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !begins || !goes_on || name.len() > LONGEST_NAME {
            let shape = "a letter, then letters, digits and `_`, all in lower case, at most 63";
            section.fault("attributes", format!("`{name}` is not a name for a filter: {shape}"));
        } else if BUILT_IN.contains(&name.as_str()) {
            section.fault(
                "attributes",
                format!("`{name}` is carried by every login, or by none; take another name"),
            );
        } else if claim.is_empty() {
            section.fault("attributes", format!("`{name}` names no claim"));
        } else {
            all.insert(name, claim);
        }
    }
    all
}

/// Every name that `attributes` of a provider or a workload declares.
pub(super) fn attributes_of(providers: &[ProviderConfig], workloads: &[WorkloadConfig]) -> BTreeSet<String> {
    let people = providers.iter().flat_map(|provider| provider.attributes.keys());
    let machines = workloads.iter().flat_map(|workload| workload.attributes.keys());
    people.chain(machines).cloned().collect()
}

/// What PostgreSQL keeps of an identifier.
const LONGEST_NAME: usize = 63;

fn with_openid(mut scopes: Vec<String>) -> Vec<String> {
    if scopes.is_empty() {
        scopes = ["openid", "profile", "email", "groups", "offline_access"].map(str::to_owned).to_vec();
    }
    if !scopes.iter().any(|scope| scope == "openid") {
        scopes.insert(0, "openid".into());
    }
    scopes
}

/// An https URL, or an http one that cannot leave the machine.
pub(super) fn secure_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&host) => Ok(url),
        "http" => Err("must be https; plain http is for loopback hosts only".into()),
        other => Err(format!("must be https, not {other}")),
    }
}

#[cfg(test)]
mod tests;
