//! The `[[provider]]` and `[[workload]]` tables.

use std::collections::BTreeSet;
use std::time::Duration;

use url::Url;

use super::reader::Section;
use super::targets::is_loopback;
use super::{ProviderConfig, WorkloadConfig, WorkloadRule};
use crate::domain::name::{GroupName, ProviderName};
use crate::domain::principal::{PrincipalId, Subject};

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
) -> Vec<WorkloadConfig> {
    let mut all: Vec<WorkloadConfig> = Vec::new();
    for section in root.sections("workload") {
        let name = section.required_parsed("name", |text| ProviderName::new(text));
        let issuer = section.required_parsed("issuer", secure_url);
        let audience = section.required("audience");
        let rules: Vec<WorkloadRule> = section
            .sections("rule")
            .into_iter()
            .map(|rule| workload_rule(rule, name.as_ref(), providers, session_max))
            .collect();
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
        section.finish();
        if let (Some(name), Some(issuer), Some(audience)) = (name, issuer, audience) {
            all.push(WorkloadConfig { name, issuer, audience, rules });
        }
    }
    all
}

fn workload_rule(
    section: Section<'_, '_>,
    name: Option<&ProviderName>,
    providers: &[ProviderConfig],
    session_max: Duration,
) -> WorkloadRule {
    let claims: std::collections::BTreeMap<String, String> = section.pairs("claims").into_iter().collect();
    if claims.is_empty() {
        section
            .fault("claims", "must name at least one claim: the audience alone says nothing about the job");
    }
    let groups = groups(&section, name);
    let session_max = section.duration("session_max").unwrap_or(session_max).min(session_max);
    let owner = section.parsed("owner", |text| person(text, providers));
    section.finish();
    WorkloadRule { claims, groups, session_max, owner }
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
