//! The broker's configuration and policy, as an operator would write them.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::host::Host;
use super::{private, seed};

/// What differs from run to run.
pub(super) struct Parts<'a> {
    pub(super) listen: SocketAddr,
    pub(super) public_url: &'a str,
    pub(super) issuer: &'a str,
    pub(super) database_port: u16,
    pub(super) root_certificate: &'a Path,
    pub(super) admin_password: &'a Path,
    pub(super) api: SocketAddr,
    pub(super) api_key: &'a Path,
    pub(super) host: &'a Host,
}

/// Writes `broker.toml` and `policy.cedar`, and returns the former.
pub(super) fn write(folder: &Path, parts: &Parts<'_>) -> io::Result<PathBuf> {
    private::file(&folder.join("policy.cedar"), POLICY.as_bytes())?;
    let file = folder.join("broker.toml");
    private::file(&file, text(folder, parts).as_bytes())?;
    Ok(file)
}

fn text(folder: &Path, parts: &Parts<'_>) -> String {
    format!(
        r#"[broker]
data_dir = {data_dir}
listen = "{listen}"
public_url = "{public_url}"
# whoever ends the demo wants it to end
drain = "1s"

[[provider]]
name = "demo"
issuer = "{issuer}"
client_id = "{client}"
scopes = ["openid", "profile", "offline_access"]
groups_claim = "groups"
groups = ["dba", "oncall", "dev"]

[policy]
presets = ["destructive-sql", "bulk-export", "allow-statements", "bulk-read", "dangerous-shell"]
files = [{policy}]

[[target]]
name = "db"
description = "what the agents thought and did"
owner = "demo/dev"
protocol = "postgres"
host = "localhost"
port = {port}
database = "{database}"
tls = "verify-full"
root_certificates = {root}
record = "full"

[target.issuer]
kind = "postgres-role"
admin = "{admin}"
admin_password = {{ file = {password} }}

[[target.grant]]
privileges = ["SELECT", "INSERT", "UPDATE", "DELETE"]
on = "public.*"

[[target.mask]]
column = "public.reasoning_traces.api_key"
mask = "full"

[[target.mask]]
column = "public.reasoning_traces.customer_id"
mask = "null"

[[target.mask]]
column = "public.reasoning_traces.steps"
path = "$.**.api_key"
mask = "full"

[[target.mask]]
column = "public.reasoning_traces.steps"
path = "$.**.customer_id"
mask = "full"

[[target]]
name = "traces-api"
description = "the same traces, by HTTP"
protocol = "http"
base = "http://{api}/v1"
owner = "demo/dev"
record = "full"

[target.issuer]
kind = "bearer"
secret = {{ file = {api_key} }}

[[target.page]]
parameter = "limit"
default = 20

[[target.mask]]
path = "$..api_key"
mask = "full"

[[target.mask]]
path = "$..customer_id"
mask = "full"

[[target]]
name = "bastion"
description = "a host with logs of some traces"
protocol = "ssh"
host = "127.0.0.1"
port = {ssh_port}
login = "{login}"
host_keys = ["{host_key}"]
owner = "demo/dev"
record = "full"
supervised = true
detectors = ["email"]

[target.issuer]
kind = "ssh-certificate"
"#,
        data_dir = quoted(&folder.join("broker")),
        listen = parts.listen,
        public_url = parts.public_url,
        issuer = parts.issuer,
        client = crate::broker::embedded::CLIENT_ID,
        policy = quoted(&folder.join("policy.cedar")),
        port = parts.database_port,
        database = seed::DATABASE,
        root = quoted(parts.root_certificate),
        admin = seed::ADMIN,
        password = quoted(parts.admin_password),
        api = parts.api,
        api_key = quoted(parts.api_key),
        ssh_port = parts.host.port,
        login = parts.host.login,
        host_key = parts.host.host_key,
    )
}

fn quoted(path: &Path) -> String {
    toml::Value::String(path.to_string_lossy().into_owned()).to_string()
}

const POLICY: &str = r#"// Who may open a session. What they may do in it is up to the presets that broker.toml names.
@id("demo-people")
permit (principal, action == Hoop::Action::"connect", resource)
when { principal in Hoop::Group::"demo/dba" || principal in Hoop::Group::"demo/dev" };

// Whoever deletes a trace asks one of the developers, whose agents wrote it.
@id("demo-delete")
@reason("deleting traces is looked at by a second person")
@review("demo/dev:1")
@standing("1h")
forbid (principal, action == Hoop::Action::"statement", resource == Hoop::Target::"db")
when { context.verb == "delete" };

// Reading by HTTP is for everybody who may open a session; writing is for nobody.
@id("demo-api-read")
permit (principal, action == Hoop::Action::"call", resource == Hoop::Target::"traces-api")
when { context.read_only };

@id("demo-api-export")
@reason("nobody takes all traces at once")
forbid (principal, action == Hoop::Action::"call", resource == Hoop::Target::"traces-api")
when { context.path like "*/export" };

// On the host everybody who may open a session may work; what destroys is up to the preset `dangerous-shell`.
@id("demo-host")
permit (
    principal,
    action in [Hoop::Action::"env", Hoop::Action::"exec", Hoop::Action::"file", Hoop::Action::"shell"],
    resource == Hoop::Target::"bastion"
);

// What a command shows is masked, a file that is copied is not.
@id("demo-host-traces")
@reason("traces name customers, and a copy of a file is not masked")
@hint("look at them with a command, as `cat traces/7.log`")
forbid (principal, action == Hoop::Action::"file", resource == Hoop::Target::"bastion")
when { context.path like "*/traces/*" && !(["list", "stat"].contains(context.operation)) };

// Who may see the record of everybody.
@id("demo-auditors")
permit (
    principal in Hoop::Group::"demo/oncall",
    action in [Hoop::Action::"audit", Hoop::Action::"kill"],
    resource
);
"#;
