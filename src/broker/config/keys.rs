//! Every key of the configuration: what it is, what stands for it when it is absent, what it means.
//!
//! Job: the one table that the reader consults before it reads a key, and that the reference is made from. Boundary:
//! text only; what a value must be is said where it is read. Failure mode: a key that is read and not here is a
//! problem of every configuration, so that no key goes undocumented; one that is here and not read fails a test.

#[cfg(test)]
mod tests;

/// What a value is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A table of strings, or of lists of strings.
    Choices,
    /// `90s`, `10m`, `8h`, `1h 30m`.
    Duration,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number,
    /// A table of strings.
    Pairs,
    /// Where a secret is: a table with one of `file`, `env` and `command`.
    Secret,
    /// A table of its own.
    Table,
    /// A list of tables.
    Tables,
    /// A string.
    Text,
    /// A list of strings.
    Texts,
}

/// What counts when a key is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// Nothing: what it would bring is not there.
    Absent,
    /// This value, in TOML.
    Is(&'static str),
    /// The configuration is refused.
    Needed,
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Its name in its table.
    pub name: &'static str,
    /// What its value is written as.
    pub form: Form,
    /// What counts without it.
    pub otherwise: Otherwise,
    /// A value that could stand there, in TOML with single quotes; empty for tables.
    pub example: &'static str,
    /// What it means, in a sentence or two, as Markdown.
    pub text: &'static str,
}

/// A table of the configuration, or the part of one that belongs to a protocol.
#[derive(Debug)]
pub struct Table {
    /// Its path, as `target.issuer`; empty for the file itself.
    pub path: &'static str,
    /// For which protocol, and which kind of issuer of it: `postgres`, `postgres/static`; empty for all.
    pub of: &'static str,
    /// What the table is about.
    pub about: &'static str,
    /// Its keys, in the order in which people should meet them.
    pub keys: &'static [Key],
}

/// Whether a key may be read here and in this form.
pub(super) fn knows(path: &str, name: &str, form: Form) -> bool {
    let path = if is_secret(path) { SECRET } else { path };
    let tables = TABLES.iter().filter(|table| table.path == path);
    tables.flat_map(|table| table.keys).any(|key| key.name == name && key.form == form)
}

/// Whether the configuration is refused without this key, by what the table says.
pub(super) fn needs(path: &str, name: &str) -> bool {
    let tables = TABLES.iter().filter(|table| table.path == path);
    let mut keys = tables.flat_map(|table| table.keys).filter(|key| key.name == name);
    keys.any(|key| key.otherwise == Otherwise::Needed)
}

fn is_secret(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(above, name)| {
        let tables = TABLES.iter().filter(|table| table.path == above);
        tables.flat_map(|table| table.keys).any(|key| key.name == name && key.form == Form::Secret)
    })
}

/// The path under which the keys of every secret stand.
pub const SECRET: &str = "…secret";

macro_rules! tables {
    ($($path:literal of $of:literal: $about:literal {
        $($name:ident: $form:ident, $otherwise:tt, $example:literal, $text:literal;)*
    })*) => {
        &[$(Table { path: $path, of: $of, about: $about, keys: &[$(Key {
            name: stringify!($name),
            form: Form::$form,
            otherwise: otherwise!($otherwise),
            example: $example,
            text: $text,
        }),*] }),*]
    };
}

macro_rules! otherwise {
    (needed) => {
        Otherwise::Needed
    };
    (absent) => {
        Otherwise::Absent
    };
    ($value:literal) => {
        Otherwise::Is($value)
    };
}

/// All tables, in the order in which people should meet them. A line here is what makes a key readable.
pub const TABLES: &[Table] = tables! {
    "" of "": "The file. Relative paths start from its folder." {
        broker: Table, needed, "", "the broker itself";
        provider: Tables, absent, "", "where people sign in; without one, or a `[[workload]]`, nobody can";
        workload: Tables, absent, "", "whose workload tokens are trusted";
        policy: Table, needed, "", "the rules";
        reviews: Table, absent, "", "how long approvals and what comes of them last";
        webhook: Tables, absent, "", "who is told what happens to requests";
        ledger: Table, absent, "", "what the ledger takes";
        witness: Tables, absent, "", "who cosigns the ledger's checkpoints";
        target: Tables, absent, "", "what can be reached";
    }
    "broker" of "": "The broker itself. `data_dir`, `listen`, `public_url`, `metrics_listen`, `tls` and `drain` take effect at a restart, all else at a reload (SIGHUP)." {
        data_dir: Text, needed, "'/var/lib/hoopctl'", "the folder of state, keys, ledger and recordings; made when it is not there";
        listen: Text, needed, "'0.0.0.0:7443'", "address and port of the one listener, API and tunnels";
        public_url: Text, needed, "'https://broker.example.com:7443'", "what clients use and what their proofs must name: https, host and port only. Behind a balancer it must be a DNS name";
        tls: Table, absent, "", "certificate and key of the listener; a CA of the broker's own makes them when absent, and clients need its pin";
        metrics_listen: Text, absent, "'127.0.0.1:9464'", "where Prometheus may read metrics, without a login";
        trusted_proxies: Texts, "[]", "['10.0.0.0/8']", "networks whose `X-Forwarded-For` is believed";
        strangers_per_address: Number, "256", "64", "how many connections one address may hold on which nobody is logged in; 1 to 4096";
        session_max: Duration, "'8h'", "'4h'", "how long a session may last";
        login_idle: Duration, "'10m'", "'5m'", "how long a login lasts without an exchange: the longest time until a change of groups is seen";
        drain: Duration, "'30s'", "'5m'", "how long sessions may go on after SIGTERM";
        strict_ledger: Flag, "false", "true", "whether read-only statements, too, wait until their entry is on the disk";
    }
    "broker.tls" of "": "Certificate and key of the listener." {
        certificate: Text, needed, "'broker.pem'", "PEM file of the chain, the broker's own certificate first";
        key: Text, needed, "'broker.key'", "PEM file of its private key";
    }
    "provider" of "": "Where people sign in: an OpenID provider, and a public client of it with the device authorization grant." {
        name: Text, needed, "'corp'", "its name here; people are called `corp:SUBJECT`, groups `corp/GROUP`";
        issuer: Text, needed, "'https://login.example.com'", "its issuer URL, exactly as its discovery document says; http for loopback hosts only";
        client_id: Text, needed, "'hoopctl'", "the public client";
        scopes: Texts, "['openid', 'profile', 'email', 'groups', 'offline_access']", "['openid', 'profile', 'offline_access']", "what to ask for; `openid` is always among them";
        groups_claim: Text, "'groups'", "'roles'", "the claim that holds the groups, in the ID token or else at the userinfo endpoint";
        groups: Texts, "[]", "['dba', 'dev']", "the groups that it may assert; all others are dropped";
        groups_required: Flag, "false", "true", "whether nobody logs in of whom nothing says in which groups they are; needs `groups`";
        attributes: Pairs, "{}", "{ project = 'team_project' }", "what row filters may compare with: a name, and the claim that `principal.NAME` is read from, in the ID token or else at the userinfo endpoint";
    }
    "workload" of "": "An issuer whose workload tokens are trusted." {
        name: Text, needed, "'ci'", "its name here; workloads are called `ci:SUBJECT`";
        issuer: Text, needed, "'https://token.actions.githubusercontent.com'", "its issuer URL, exactly as its tokens say";
        audience: Text, needed, "'https://broker.example.com:7443'", "the audience that tokens must have";
        other_audiences: Texts, "[]", "['account']", "whom tokens may be for besides; a token for anybody else is refused";
        jwks: Text, absent, "'https://ci.example.com/keys'", "an https address or a file with its keys, where no discovery document names it";
        client_credentials: Table, absent, "", "clients with a secret may ask it for tokens, with this";
        attributes: Pairs, "{}", "{ repository = 'repository' }", "what row filters may compare with: a name, and the claim of the token that `principal.NAME` is read from";
        rule: Tables, needed, "", "which of its workloads are which groups; the first that matches decides, and no match is no login";
    }
    "workload.client_credentials" of "": "What clients ask the issuer for (`HOOPCTL_WORKLOAD=client-credentials`)." {
        scopes: Texts, "[]", "['broker']", "the scopes";
        resource: Text, absent, "'https://broker.example.com'", "for whom the token is to be (RFC 8707)";
        audience: Text, absent, "'https://broker.example.com'", "the same, where the issuer wants that parameter";
    }
    "workload.rule" of "": "Workloads of the issuer, told by what their token claims." {
        claims: Choices, needed, "{ repository = 'acme/app', ref = ['refs/heads/main', 'refs/heads/release-*'] }", "claims and the whole value that each must have, or a list of values; `*` is one or more of `a-z A-Z 0-9 . _ -`. See [workloads.md](../workloads.md)";
        groups: Texts, "[]", "['deploy']", "the groups that such a workload is in, called `ci/deploy`";
        session_max: Duration, absent, "'1h'", "how long its sessions may last, at most what `broker.session_max` says";
        owner: Text, absent, "'corp:alice'", "the person who owns such a workload: neither reviews what the other asks for";
    }
    "policy" of "": "The rules. See [policy.md](../policy.md)." {
        presets: Texts, "[]", "['allow-statements', 'destructive-sql']", "rules that come with hoopctl, by name";
        files: Texts, "[]", "['policy.cedar']", "Cedar files of your own";
    }
    "reviews" of "": "How long approvals and what comes of them last." {
        request_expires: Duration, "'24h'", "'4h'", "how long a request for a session waits for its reviews";
        statement_wait: Duration, "'10m'", "'5m'", "how long a held statement waits";
        grant_max: Duration, "'8h'", "'2h'", "the longest grant that may be asked for; a target may say otherwise";
        requests_per_hour: Number, "120", "30", "how many requests one person or machine may file within an hour; 1 to 100000";
        owners: Pairs, "{}", "{ traces = 'corp/dba' }", "the group that owns the targets with the label `project` of this value";
    }
    "webhook" of "": "An address that is told what happens to requests and grants (Standard Webhooks): never statements, values or reasons." {
        name: Text, needed, "'chat'", "its name here: letters, digits and `-`";
        url: Text, needed, "'https://hooks.example.com/services/x'", "where to; http for loopback hosts only";
        secret: Secret, needed, "{ file = 'webhook-secret' }", "what messages are signed with: `whsec_` and base64";
        format: Text, "'standard'", "'slack'", "`standard`, `slack` or `ticket`";
        events: Texts, "['request.filed', 'request.approved', 'request.denied', 'request.ended', 'grant.revoked', 'statement.capped']", "['request.filed']", "what it is told";
    }
    "ledger" of "": "What the ledger takes. Takes effect at a restart. See [keys.md](../keys.md) and [witnesses.md](../witnesses.md)." {
        key: Table, absent, "", "where the key is that signs it; in the file `pki/ledger.key` below `data_dir` when absent";
        previous_key: Table, absent, "", "where the key is that it had before: `hoopctl broker key rotate` goes on from it, and it signs beside the new one for as long as it stands here";
        quorum: Number, absent, "1", "how many witnesses must have cosigned a checkpoint; more than half of them when absent";
        witness_patience: Duration, "'10m'", "'30m'", "how old what they have not cosigned may become before `/readyz` says so";
    }
    "ledger.key" of "": "Where the key is that signs the ledger. Exactly one of `file`, `keyring` and `command`." {
        file: Text, absent, "'ledger-2027.key'", "a file of mode 0600; made with the ledger, or by `hoopctl broker key rotate`";
        keyring: Text, absent, "'ledger-2027'", "the name under which it is in the keyring of the user that the broker runs as; made in the same way";
        command: Texts, absent, "['/usr/local/bin/sign-ledger']", "a program and its arguments, started for each signature: it reads a text and writes the Ed25519 signature over it, in base64, within ten seconds";
        public: Text, absent, "'broker.example.com:7443/hoopctl+52e06b67+AcKGVUrHlZst8al3aLjBRqdtH8Uow0oU5kh4Sk68J+zv'", "the public key that the command's answers are checked with";
    }
    "ledger.previous_key" of "": "Where the key is that the ledger had before. As `ledger.key`." {
        file: Text, absent, "'ledger-2026.key'", "a file of mode 0600";
        keyring: Text, absent, "'ledger-2026'", "a name in the keyring";
        command: Texts, absent, "['/usr/local/bin/sign-ledger']", "a program and its arguments";
        public: Text, absent, "'broker.example.com:7443/hoopctl+52e06b67+AcKGVUrHlZst8al3aLjBRqdtH8Uow0oU5kh4Sk68J+zv'", "the public key that the command's answers are checked with";
    }
    "witness" of "": "A witness of the ledger (C2SP tlog-witness). Takes effect at a restart. See [witnesses.md](../witnesses.md)." {
        name: Text, needed, "'audit-team'", "its name here: letters, digits and `-`";
        key: Text, needed, "'witness.example.com/w1+a0059f11+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4'", "its public key, as it prints it";
        url: Text, needed, "'https://witness.example.com/'", "where it takes submissions, `add-checkpoint` is put behind it; http for loopback hosts only";
    }
    "target" of "": "What can be reached. These keys are the same for every protocol." {
        name: Text, needed, "'db'", "what people type: lower-case letters, digits and `-`";
        protocol: Text, needed, "'postgres'", "`postgres`, `http`, `ssh` or `aws`; decides which other keys there are";
        description: Text, "''", "'what the agents thought and did'", "one line for `hoopctl list`";
        labels: Pairs, "{}", "{ env = 'production' }", "what rules may go by, as `env=production`";
        owner: Text, absent, "'corp/dba'", "the group that reviews what rules leave to the owner; else the one that `reviews.owners` names";
        grant_max: Duration, absent, "'1h'", "the longest grant on this target, in the place of `reviews.grant_max`";
        record: Text, "'full'", "'statements'", "what is recorded: `full` with what was shown, `statements` without, `metadata` who and when";
        issuer: Table, needed, "", "where a session's credential comes from";
    }
    "target.pattern" of "": "A pattern of your own, for the `detectors` of a database, an API or a host. See [masking.md](../masking.md)." {
        name: Text, needed, "'customer-id'", "its name among `detectors`: lower-case letters, digits and `-`";
        pattern: Text, needed, "'CUST-[0-9]{8}'", "a regular expression over bytes, without look-around; its longest match must be bounded: `{1,64}` in the place of `+` and `*`";
        check: Text, "'none'", "'luhn'", "what a match must be besides: `luhn`, `iban` or `none`";
    }
    "target" of "postgres": "A PostgreSQL database. See [postgres-admin.md](../postgres-admin.md) and [masking.md](../masking.md)." {
        host: Text, needed, "'db.internal'", "host name or address";
        port: Number, "5432", "6432", "its port";
        database: Text, needed, "'app'", "the database";
        also_databases: Texts, "[]", "['reports']", "further databases of the server that a client may name";
        tls: Text, "'verify-full'", "'verify-full'", "`verify-full`, or `disable` for loopback hosts";
        root_certificates: Text, absent, "'db-root.pem'", "PEM file of the authorities to trust; the platform's when absent";
        max_connections: Number, "10", "4", "how many connections one session may have at a time; 1 to 10000";
        trusted_functions: Texts, "[]", "['public.slug']", "functions of yours that may be called on a target with masks";
        objects: Flag, "false", "true", "whether the broker keeps a schema `hoopctl` in the database, with views for masks that read the value, and for row filters";
        replication: Flag, "false", "true", "whether replication connections are allowed; never on a target with masks";
        detectors: Texts, "[]", "['email', 'card']", "what is masked wherever it stands in results, errors and notices";
        pattern: Tables, "[]", "", "patterns of your own that `detectors` may name";
        grant: Tables, "[]", "", "the ceiling of what a session's role may do; policy only narrows";
        mask: Tables, "[]", "", "what is masked";
        filter: Tables, "[]", "", "which rows are seen";
        field: Tables, "[]", "", "what columns hold, for rules that look at labels";
    }
    "target.issuer" of "postgres/postgres-role": "A role for each session, made by an administrator." {
        kind: Text, needed, "'postgres-role'", "`postgres-role`";
        admin: Text, needed, "'hoop_admin'", "the administrator's role";
        admin_password: Secret, needed, "{ file = 'admin-password' }", "its password";
        rotate_admin: Duration, absent, "'24h'", "how often the broker replaces the password; it must come from a file";
    }
    "target.issuer" of "postgres/static": "One standing role for all sessions, where roles cannot be made." {
        kind: Text, needed, "'static'", "`static`";
        user: Text, needed, "'reader'", "the role";
        password: Secret, needed, "{ env = 'DB_PASSWORD' }", "its password";
    }
    "target.grant" of "postgres": "What the roles of sessions get." {
        privileges: Texts, needed, "['SELECT']", "of SELECT, INSERT, UPDATE, DELETE";
        on: Text, needed, "'public.*'", "`schema.table`, each a name or a pattern with `*`";
    }
    "target.mask" of "postgres": "A column that is masked. See [masking.md](../masking.md)." {
        name: Text, absent, "'customer'", "the rule's name in errors and the ledger; `mask.1`, `mask.2` … when absent";
        column: Text, needed, "'public.reasoning_traces.api_key'", "`schema.table.column`, each a name or a pattern with `*`";
        path: Text, absent, "'$.**.api_key'", "the members of a JSON column that are masked, instead of all of it; with the masks `full` and `null`";
        mask: Text, needed, "'full'", "`full`, `null`, `partial`, or `token` with `objects = true`";
        keep_last: Number, absent, "4", "how many characters `partial` leaves, 1 to 64; 4 when absent";
        lifted_for: Texts, absent, "['corp/dba']", "groups for whom it does not count";
    }
    "target.filter" of "postgres": "Which rows of a table are seen. See [row-filters.md](../row-filters.md)." {
        name: Text, absent, "'own-project'", "the filter's name in errors and the ledger; `filter.1`, `filter.2` … when absent";
        table: Text, needed, "'public.reasoning_traces'", "`schema.table`, each a name or a pattern with `*`";
        where: Text, needed, "'project = principal.project'", "an SQL expression that is true for the rows that are seen; `principal.NAME` is what the login carries";
        for: Texts, absent, "['corp/dba']", "makes it a slice of these groups: they see its rows, and whoever is in no slice of the table sees none";
        lifted_for: Texts, absent, "['corp/dba']", "groups for whom it does not count; not together with `for`";
    }
    "target.field" of "postgres": "What a column holds." {
        column: Text, needed, "'public.reasoning_traces.prompt'", "`schema.table.column`, as for masks";
        labels: Texts, needed, "['high-risk']", "what `context.labels` of a statement that reads it holds";
    }
    "target" of "http": "An HTTP API. See [http-targets.md](../http-targets.md)." {
        base: Text, needed, "'https://api.internal/v1'", "what every call's path is put behind: https, or http for loopback hosts";
        plaintext: Flag, "false", "true", "allows an http `base` that is not loopback: credentials and data pass in the clear";
        root_certificates: Text, absent, "'api-ca.pem'", "PEM file of the authorities to trust; the platform's when absent";
        only_http2: Flag, "false", "true", "whether it speaks nothing but HTTP/2; without TLS that has to be said";
        openapi: Text, absent, "'billing.json'", "an OpenAPI 3 document as JSON, whose operations get names for rules";
        graphql: Text, absent, "'/graphql'", "the path where GraphQL is spoken";
        detectors: Texts, "[]", "['email', 'card']", "what is masked wherever it stands in a text, JSON, CSV or a form";
        pattern: Tables, "[]", "", "patterns of your own that `detectors` may name";
        max_response: Number, absent, "50000000", "the longest answer, in bytes, unpacked";
        max_items: Number, absent, "1000", "the most elements of a listing, lines, records or events";
        items: Text, absent, "'$.data[*]'", "what counts as one; by default the elements of the outermost arrays";
        max_connections: Number, "100", "20", "how many connections one session may have at a time; 1 to 10000";
        page: Tables, "[]", "", "query parameters that say how many items are asked for";
        mask: Tables, "[]", "", "what is masked in JSON";
    }
    "target.issuer" of "http/none": "No credential." {
        kind: Text, needed, "'none'", "`none`";
    }
    "target.issuer" of "http/bearer": "A token in `Authorization`." {
        kind: Text, needed, "'bearer'", "`bearer`";
        secret: Secret, needed, "{ file = 'billing.key' }", "the token";
    }
    "target.issuer" of "http/basic": "User and password in `Authorization`." {
        kind: Text, needed, "'basic'", "`basic`";
        user: Text, needed, "'reader'", "the user, without a colon";
        secret: Secret, needed, "{ file = 'password' }", "the password";
    }
    "target.issuer" of "http/header": "A key in a header." {
        kind: Text, needed, "'header'", "`header`";
        name: Text, needed, "'X-Api-Key'", "the header";
        secret: Secret, needed, "{ env = 'API_KEY' }", "the key";
    }
    "target.issuer" of "http/cookie": "A key in a cookie." {
        kind: Text, needed, "'cookie'", "`cookie`";
        name: Text, needed, "'session'", "the cookie";
        secret: Secret, needed, "{ file = 'cookie' }", "its value";
    }
    "target.issuer" of "http/query": "A key in a query parameter." {
        kind: Text, needed, "'query'", "`query`";
        name: Text, needed, "'key'", "the parameter";
        secret: Secret, needed, "{ file = 'key' }", "its value";
    }
    "target.issuer" of "http/client-credentials": "A token by client credentials (RFC 6749 §4.4)." {
        kind: Text, needed, "'client-credentials'", "`client-credentials`";
        endpoint: Text, needed, "'https://login.example.com/token'", "the token endpoint";
        client: Text, needed, "'hoopctl-broker'", "the client";
        secret: Secret, needed, "{ file = 'client-secret' }", "its secret";
        scopes: Texts, "[]", "['billing.read']", "what to ask for";
        audience: Text, absent, "'https://api.internal'", "for whom";
    }
    "target.issuer" of "http/token-exchange": "A token in exchange for the person's own (RFC 8693)." {
        kind: Text, needed, "'token-exchange'", "`token-exchange`";
        endpoint: Text, needed, "'https://login.example.com/token'", "the token endpoint";
        client: Text, needed, "'hoopctl-broker'", "the client";
        secret: Secret, needed, "{ file = 'client-secret' }", "its secret";
        scopes: Texts, "[]", "['billing.read']", "what to ask for";
        audience: Text, absent, "'https://api.internal'", "for whom";
    }
    "target.issuer" of "http/jwt": "A token that the broker signs." {
        kind: Text, needed, "'jwt'", "`jwt`";
        audience: Text, needed, "'billing'", "for whom it is";
        scopes: Texts, "[]", "['billing.read']", "what it allows";
        valid: Duration, "'5m'", "'15m'", "how long each token is good, 1m to 1h: it cannot be taken back";
    }
    "target.issuer" of "http/mutual-tls": "A client certificate." {
        kind: Text, needed, "'mutual-tls'", "`mutual-tls`";
        certificate: Text, needed, "'client.pem'", "PEM file of the chain";
        key: Secret, needed, "{ file = 'client.key' }", "its private key in PEM";
    }
    "target.page" of "http": "A query parameter that says how many items a call asks for." {
        parameter: Text, needed, "'limit'", "its name";
        default: Number, absent, "50", "how many the API gives when the parameter is absent";
    }
    "target.mask" of "http": "Members of JSON answers that are masked." {
        name: Text, absent, "'keys'", "the rule's name in errors and the ledger; `mask.1`, `mask.2` … when absent";
        path: Text, needed, "'$..api_key'", "RFC 9535, as far as it can be decided while a document streams by";
        mask: Text, needed, "'full'", "`full`, `null`, `partial` or `token`";
        keep_last: Number, absent, "4", "how many characters `partial` leaves, 1 to 64; 4 when absent";
        lifted_for: Texts, absent, "['corp/dba']", "groups for whom it does not count";
    }
    "target" of "aws": "An account of AWS, seen through one role. See [aws.md](../aws.md)." {
        access: Text, needed, "'gateway'", "`gateway`: calls are judged and signed anew; `credentials`: a session gets credentials of STS, and its calls are not seen";
        region: Text, needed, "'eu-central-1'", "the region that calls are signed for";
        role: Text, needed, "'arn:aws:iam::123456789012:role/hoopctl-readers'", "the role that sessions assume";
        services: Texts, needed, "['s3', 'dynamodb']", "the services that may be called; with access `gateway` only";
        endpoints: Pairs, "{}", "{ s3 = 'https://s3.internal' }", "where services are, and `sts`; AWS's own of the region when absent";
        root_certificates: Text, absent, "'aws-ca.pem'", "PEM file of the authorities to trust; the platform's when absent";
        permission: Tables, "[]", "", "what sessions may do at the most, as their session policy; without one, what the role may";
        valid: Duration, "'1h'", "'15m'", "how long credentials last at the most, 15m to 12h";
        revoke: Text, "'none'", "'inline-deny'", "whether credentials are taken back with their session: `none`, or `inline-deny` by a policy of the role";
        unsigned_payload: Flag, "false", "true", "whether calls may leave their body out of their signature, with access `gateway`";
        max_response: Number, absent, "50000000", "the longest answer, in bytes, with access `gateway`";
        max_items: Number, absent, "1000", "the most entries of a listing, or items of an answer, with access `gateway`";
        max_connections: Number, "100", "20", "how many connections one session may have at a time; 1 to 10000";
        mask: Tables, "[]", "", "what is masked in objects and items, with access `gateway`";
    }
    "target.issuer" of "aws/assume-role": "The broker assumes the role by what it is to AWS itself." {
        kind: Text, needed, "'assume-role'", "`assume-role`";
        external_id: Text, absent, "'hoopctl-1'", "the external id that the role's trust policy asks for";
        source_identity: Flag, "true", "false", "whether the principal is the source identity (`sts:SetSourceIdentity`)";
        tags: Flag, "true", "false", "whether session and principal are session tags (`sts:TagSession`)";
        keys: Table, absent, "", "a standing key of the broker's; what its surroundings say when absent";
    }
    "target.issuer.keys" of "aws/assume-role": "A standing key of the broker's. An instance role or a web identity is better." {
        access_key_id: Text, needed, "'AKIAIOSFODNN7EXAMPLE'", "its id";
        secret: Secret, needed, "{ file = 'aws-secret' }", "its secret";
    }
    "target.issuer" of "aws/web-identity": "The role is assumed with a token that the broker signs; IAM knows the broker as an OpenID Connect provider." {
        kind: Text, needed, "'web-identity'", "`web-identity`";
        audience: Text, "'sts.amazonaws.com'", "'hoopctl'", "the token's audience";
    }
    "target.permission" of "aws": "What some sessions may do at the most." {
        actions: Texts, needed, "['s3:GetObject', 's3:ListBucket']", "as IAM names them, with `*`";
        resources: Texts, needed, "['arn:aws:s3:::traces', 'arn:aws:s3:::traces/*']", "ARNs, with `*`";
        groups: Texts, "[]", "['corp/dba']", "groups that it is for; everybody when empty";
    }
    "target.mask" of "aws": "Members of JSON objects, and attributes of items, that are masked. See [aws-gateway.md](../aws-gateway.md)." {
        name: Text, absent, "'keys'", "the rule's name in errors and the ledger; `mask.1`, `mask.2` … when absent";
        path: Text, needed, "'$..api_key'", "RFC 9535, as for HTTP; of an item, in the terms of its attributes";
        mask: Text, needed, "'full'", "`full`, `null`, `partial` or `token`";
        keep_last: Number, absent, "4", "how many characters `partial` leaves, 1 to 64; 4 when absent";
        lifted_for: Texts, absent, "['corp/dba']", "groups for whom it does not count";
        on: Texts, "[]", "['traces/2026/*']", "`bucket/prefix*` or a table's name; everything when empty";
    }
    "target" of "ssh": "A host with an SSH server. See [ssh.md](../ssh.md)." {
        host: Text, needed, "'bastion.internal'", "host name or address";
        port: Number, "22", "2222", "its port";
        login: Text, needed, "'deploy'", "the account to log in as";
        host_keys: Texts, needed, "['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGDYqEXLSFJ4rjfb1CzgNUMT/JFlpU7dqDeFDhFHhqZM']", "the host's keys, as `ssh-keyscan` prints them without the name; or `host_authorities`";
        host_authorities: Texts, "[]", "['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGDYqEXLSFJ4rjfb1CzgNUMT/JFlpU7dqDeFDhFHhqZM']", "keys that sign the host's certificates";
        supervised: Flag, "false", "true", "whether each line of a shell is judged before it runs";
        detectors: Texts, "[]", "['email']", "what is masked in what commands show";
        pattern: Tables, "[]", "", "patterns of your own that `detectors` may name";
        max_connections: Number, "10", "4", "how many connections one session may have at a time; 1 to 10000";
        max_channels: Number, "200", "50", "how many channels one connection may have; 1 to 10000";
    }
    "target.issuer" of "ssh/ssh-certificate": "A certificate for each session, signed by the broker's authority (`hoopctl broker ssh-ca`)." {
        kind: Text, needed, "'ssh-certificate'", "`ssh-certificate`";
        source_addresses: Texts, "[]", "['10.0.0.0/8']", "networks from which the host takes it: the broker's";
        valid: Duration, "'5m'", "'10m'", "how long it opens connections, at most 1h: it cannot be taken back";
    }
    "target.issuer" of "ssh/static": "One standing key, where certificates are not possible." {
        kind: Text, needed, "'static'", "`static`";
        key: Secret, needed, "{ file = 'host.key' }", "the private key, in OpenSSH's form";
    }
    "…secret" of "": "Where a secret is. It never stands in the configuration: exactly one of these does." {
        file: Text, absent, "'admin-password'", "a file that only the broker's user can read";
        env: Text, absent, "'DB_PASSWORD'", "a variable of the broker's environment";
        command: Texts, absent, "['/usr/local/bin/fetch-secret', 'db']", "a program and its arguments, run when the secret is needed; its first line counts";
    }
};
