//! Hostile bytes for every parser: small valid examples, damaged in the same ways each time, and for some time in new ones.

mod bodies;

use std::time::{Duration, Instant};

use bytes::BytesMut;
use hoopctl::domain::event::{Event, VerdictWord, What};
use hoopctl::domain::facts::{Facts, StatementKind};
use hoopctl::domain::name::{Digest, RuleName};
use hoopctl::ledger::checkpoint::Checkpoint;
use hoopctl::ledger::note::Signer;
use hoopctl::ledger::rotation::{Cause, Chain, Rotation};
use hoopctl::ledger::tile;
use hoopctl::ledger::tree::Hash;
use hoopctl::ledger::witness::Request;
use hoopctl::recording::chunk::{ChunkWriter, Place};
use hoopctl::recording::item::ItemKind;
use hoopctl::wire::postgres::fuzz::{client_samples, server_samples};
use hoopctl::wire::{dpop, review};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

#[test]
fn postgres_returns() {
    let mut seeds: Vec<Vec<u8>> = vec![b"\0\0\0\x21\0\x03\0\0user\0alice\0database\0db\0\0".to_vec()];
    let mut all = BytesMut::new();
    for sample in client_samples() {
        let mut one = BytesMut::new();
        sample.encode(&mut one);
        all.extend_from_slice(&one);
        seeds.push(one.to_vec());
    }
    for sample in server_samples() {
        let mut one = BytesMut::new();
        sample.encode(&mut one);
        all.extend_from_slice(&one);
        seeds.push(one.to_vec());
    }
    seeds.push(all.to_vec());
    damage(&seeds, 30_000, bodies::postgres);
}

#[test]
fn ssh_returns() {
    damage(&hoopctl::wire::ssh::fuzz::samples(), 30_000, bodies::ssh);
}

#[test]
fn aws_signatures_return() {
    damage(&hoopctl::wire::aws::fuzz::signatures::samples(), 3_000, bodies::aws_signatures);
}

#[test]
fn http_returns() {
    let seeds: &[&[u8]] = &[
        b"/v1/a%2e%2E/..;/b%2Fc//d;x=1?query=%7Ba%7D&limit=5",
        b"https://api.example.org:443/a/../b?c",
        br#"{"query":"query Q($i: ID!) { t: trace(id: $i) { id ...F ... on T { key } } } fragment F on T { a { b } }","operationName":"Q","variables":{"i":1}}"#,
        b"mutation M { a(x: [1, {y: \"z\"}]) @include(if: $b) { c } } subscription S { d }",
        br##"{"openapi":"3.0.0","servers":[{"url":"/v1"}],"paths":{"/a/{b}.json":{"get":{"operationId":"x","parameters":[{"$ref":"#/c"}]}}},"c":{"in":"query","name":"limit"}}"##,
        b"Bearer abcdefgh YWJjZGVmZ2g= 6162636465666768 %61%62%63%64%65%66%67%68",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c\x4a\x06\x00\xc2\x41\x24\x35\x03\x00\x00\x00",
        b"\x78\x9c\x4b\x4c\x4a\x06\x00\x02\x4d\x01\x27",
        b"\x28\xb5\x2f\xfd\x04\x58\x19\x00\x00\x61\x62\x63\xf3\xf3\xb4\xda",
        b"\x0b\x01\x80\x61\x62\x63\x03",
    ];
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    damage(&seeds, 3_000, bodies::http);
}

#[test]
fn aws_calls_return() {
    let seeds = AWS_CALLS.map(|text| text.as_bytes().to_vec());
    damage(&seeds, 20_000, bodies::aws_calls);
}

#[test]
fn document_returns() {
    let seeds: &[&[u8]] = &[
        b"\x01{\"Items\":[{\"api_key\":{\"S\":\"s\"},\"a\":{\"L\":[{\"M\":{\"b\":{\"N\":\"1\"}}}]},\"x\":{\"M\":{\"y\":{\"S\":\"{\\\"p\\\":1}\"}}}}],\"Count\":1}",
        b"\x01{\"api_key\":\"s\",\"a\":[1,{\"b\":null},{\"b\":-1.5e3}],\"p\":\"gr\xc3\xbc\\ud83d\\ude00\",\"x\":{\"y\":true}}",
        b"\x03{\"api\\u005fkey\":[{}]}\n\n[{\"t\":\"v\"}]\n",
        b"\x02\x1e{\"p\":\"abcdef\"}\n\x1e[]\n",
        b"\x05a,api_key,\"p\"\r\n1,\"x\"\"y\",abcdef\r\n",
        b"\x04a=1&api_key=s%20t&user[p]=abc+def",
        b"\x02event: e\ndata: {\"api_key\":\ndata: 1}\n\ndata: [DONE]\n\n",
        b"\x07to alice@example.org 4111 1111 1111 1111 DE89 3704 0044 0532 0130 00 AKIAIOSFODNN7EXAMPLE -----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY----- sk-abcdefghijklmnopqrst eyJhbGciOiJI.eyJzdWIiOiIx.abc",
        b"$..a['b',0,1:2:3].*",
    ];
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    damage(&seeds, 3_000, bodies::document);
}

#[test]
fn dpop_returns() {
    let key = dpop::DeviceKey::from_bytes(&[7; 32]);
    let url = url::Url::parse("https://broker.example/v1/sessions").expect("a URL");
    let now = jiff::Timestamp::from_second(1_700_000_000).expect("a time");
    let proof = dpop::prove(&key, "POST", &url, Some("token"), "id", now).expect("a proof");
    damage(&[proof.into_bytes()], 10_000, bodies::dpop);
}

#[test]
fn config_returns() {
    let template = hoopctl::broker::config::Config::template();
    let seeds =
        [template, include_str!("../../examples/broker.toml"), include_str!("../../examples/laptop.toml")];
    damage(&seeds.map(|seed| seed.as_bytes().to_vec()), 60, bodies::config);
}

#[test]
fn chunk_returns() {
    let mut writer = ChunkWriter::default();
    for (number, kind) in [ItemKind::Statement, ItemKind::Answer, ItemKind::Outcome].into_iter().enumerate() {
        let at = jiff::Timestamp::from_second(1_700_000_000 + i64::try_from(number).expect("small"));
        assert!(writer.push(at.expect("a time"), kind, b"{\"number\":1}", usize::MAX).is_none());
    }
    let place = Place { session: bodies::session(), connection: 1, chunk: 0 };
    damage(&[writer.seal(&place).expect("memory")], 60_000, bodies::chunk);
}

#[test]
fn ledger_returns() {
    let what = What::StatementJudged {
        session: bodies::session(),
        connection: 1,
        statement: 2,
        verdict: VerdictWord::Allow,
        rule: RuleName::new("read").expect("a name"),
        verb: "select".into(),
        text: "SELECT 'é', 1".into(),
        digest: Digest::from_bytes(&[1; 32]),
        sent: None,
        facts: Some(Box::new(Facts::new("select", StatementKind::Read))),
        facts_of: None,
    };
    let at = jiff::Timestamp::from_second(1_700_000_000).expect("a time");
    let event = Event { at, actor: None, policy: Digest::from_bytes(&[2; 32]), what };
    let mut entry = Vec::new();
    hoopctl::ledger::entry::encode(&event, &mut entry).expect("an entry");
    let mut bundle = Vec::new();
    tile::append_entry(&mut bundle, &entry).expect("short");
    let paths = ["tile/entries/x001/234.p/7", "tile/0/000", "tile/3/x123/x456/789"];
    let mut seeds = vec![entry, bundle];
    seeds.extend(paths.map(|path| path.as_bytes().to_vec()));
    damage(&seeds, 60_000, bodies::ledger);
}

#[test]
fn note_returns() {
    let signer = bodies::signer();
    let checkpoint = Checkpoint { size: 7, root: Hash::new([9; 32]) };
    let seeds = [
        checkpoint.sign(&signer),
        signer.to_secret_text(),
        signer.verifier().to_string(),
        signer.sign("a\n"),
    ];
    damage(&seeds.map(String::into_bytes), 25_000, bodies::note);
}

#[test]
fn rotation_returns() {
    let [one, two, three] =
        [1, 2, 3].map(|number| Signer::new("example.org/log", &[number; 32]).expect("a key"));
    let note = |index, old: &Signer, new: &Signer, cause| {
        let (before, after) = (old.verifier().clone(), new.verifier().clone());
        let rotation = Rotation { index, old: before, new: after, cause };
        rotation.sign(old, new).expect("signed")
    };
    let (first, second) = (note(7, &one, &two, Cause::Planned), note(9, &two, &three, Cause::Compromised));
    let seeds = [first.clone(), second.clone(), format!("{first}\n{second}"), String::new()];
    assert!(Chain::parse(&seeds[2]).is_ok(), "undamaged, it is a chain");
    damage(&seeds.map(String::into_bytes), 15_000, bodies::rotation);
}

#[test]
fn witness_returns() {
    let (log, cosigner) = (bodies::signer(), bodies::cosigner());
    let note = Checkpoint { size: 7, root: Hash::new([9; 32]) }.sign(&log);
    let text = note.split_once("\n\n").expect("a note").0.to_owned() + "\n";
    let line = cosigner.cosign(&text, 1_700_000_000);
    let request = |old, proof| Request { old, proof, note: &note }.to_string();
    let policy = format!(
        "# who\nlog {}\nwitness a {} https://a.example/\ngroup g 1 a\ngroup h all g\nquorum h\n",
        log.verifier(),
        cosigner.public(),
    );
    let seeds = [
        request(7, Vec::new()),
        request(0, vec![Hash::empty(); 3]),
        policy,
        "quorum none\n".into(),
        cosigner.to_secret_text(),
        cosigner.public().to_string(),
        format!("{note}{line}"),
        line,
    ];
    damage(&seeds.map(String::into_bytes), 15_000, bodies::witness);
}

#[test]
fn proof_file_returns() {
    let seed = crate::proofs::story::proof(&crate::proofs::story::small(), &bodies::session());
    assert!(seed.len() < 4096, "{} bytes: what is damaged is cut", seed.len());
    damage(&[seed], 3_000, bodies::proof_file);
}

#[test]
fn review_returns() {
    let key = dpop::DeviceKey::from_bytes(&bodies::REVIEWER);
    let seeds = bodies::reviews().map(|claims| review::sign(&key, &claims).expect("a signature"));
    for seed in &seeds {
        review::open(seed).expect("undamaged, it opens");
    }
    damage(&seeds.map(String::into_bytes), 10_000, bodies::review);
}

#[test]
fn control_returns() {
    for message in MESSAGES {
        serde_json::from_str::<serde_json::Value>(message)
            .unwrap_or_else(|error| panic!("{message}: {error}"));
    }
    let mut seeds = MESSAGES.map(|text| text.as_bytes().to_vec()).to_vec();
    seeds.extend(bodies::reviews().map(|claims| serde_json::to_vec(&claims).expect("JSON")));
    damage(&seeds, 40_000, bodies::control);
}

#[test]
fn sql_returns() {
    // of these pg_query's scanner makes no token, which it took badly
    for empty in ["", " ", "\r\n\t\u{b}\u{c}"] {
        bodies::sql(empty.as_bytes());
    }
    let seeds = STATEMENTS.map(|text| text.as_bytes().to_vec());
    damage(&seeds, 40_000, bodies::sql);
}

#[test]
fn shell_returns() {
    let seeds = COMMANDS.map(|text| text.as_bytes().to_vec());
    damage(&seeds, 4_000, bodies::shell);
}

/// Gives the body each seed, then `rounds` damaged ones, the same in each run; then others for two seconds, and no more rounds than
/// before. Which these are is said beforehand, since some faults end the process; `HOOPCTL_FUZZ_SEED` repeats them.
#[track_caller]
fn damage(seeds: &[Vec<u8>], rounds: usize, body: fn(&[u8])) {
    for seed in seeds {
        body(seed);
    }
    let mut random = StdRng::seed_from_u64(0x68_6f_6f_70);
    for _ in 0..rounds {
        body(&damaged(seeds, &mut random));
    }
    let given = std::env::var("HOOPCTL_FUZZ_SEED").ok();
    let seed = given.as_ref().map_or_else(rand::random, |seed| seed.parse().expect("a number"));
    let line = std::panic::Location::caller().line();
    crate::idle::say(&format!("fuzz.rs:{line}: new damage by HOOPCTL_FUZZ_SEED={seed}"));
    let mut random = StdRng::seed_from_u64(seed);
    let began = Instant::now();
    for _ in 0..rounds {
        // a seed that found something may have taken longer to find it, on a slower machine
        if given.is_none() && began.elapsed() > Duration::from_secs(2) {
            break;
        }
        body(&damaged(seeds, &mut random));
    }
}

fn damaged(seeds: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..random.random_range(1..=6) {
        let other = &seeds[random.random_range(0..seeds.len())];
        change(&mut bytes, other, random);
    }
    bytes.truncate(4096);
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut StdRng) {
    let at = random.random_range(0..=bytes.len());
    let end = (at + random.random_range(0..24)).min(bytes.len());
    match random.random_range(0..10) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
        1 if at < bytes.len() => bytes[at] = random.random(),
        2 => bytes.insert(at, random.random_range(0x20..0x7f)),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let piece = bytes[at..end].to_vec();
            let to = random.random_range(0..=bytes.len());
            bytes.splice(to..to, piece);
        }
        5 => {
            let from = random.random_range(0..=other.len());
            let to = (from + random.random_range(0..40)).min(other.len());
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        6 => {
            // lengths and counts at their limits
            let edge = [0_u32, 1, 4, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX];
            let edge = edge[random.random_range(0..edge.len())].to_be_bytes();
            let width = random.random_range(1..=4);
            let end = (at + width).min(bytes.len());
            bytes.splice(at..end, edge[4 - width..].iter().copied());
        }
        7 => bytes.truncate(at),
        _ => {
            // one word for another keeps a text nearly valid
            let words: Vec<&[u8]> = other.split(|byte| *byte == b' ').collect();
            let word = words[random.random_range(0..words.len())];
            let is_space = |byte: &u8| *byte == b' ';
            let begin = bytes[..at].iter().rposition(is_space).map_or(0, |space| space + 1);
            let end = bytes[at..].iter().position(is_space).map_or(bytes.len(), |space| at + space);
            bytes.splice(begin..end, word.iter().copied());
        }
    }
}

const AWS_CALLS: [&str; 10] = [
    "s3 GET /bkt/a//b%2Fc%20d?versionId=v&partNumber=1&response-content-type=text%2Fplain&x-id=GetObject\nrange: bytes=0-9\nif-match: x\n\n",
    "s3 GET /bkt?list-type=2&prefix=a%2F&max-keys=7\n\n<?xml version=\"1.0\"?><R xmlns=\"x\"><Contents><Key>a&amp;</Key><ETag>&quot;e&quot;</ETag></Contents><CommonPrefixes/></R>",
    "s3 PUT /bkt/k?uploadId=u&partNumber=2\nx-amz-copy-source: /b-2/a%20b?versionId=v\nx-amz-copy-source-if-match: e\n\n",
    "s3 PUT /bkt/k?X-Amz-Signature=s&X-Amz-Credential=c&X-Amz-Acl=public-read&x-amz-tagging=a%3Db\nx-amz-request-payer: requester\n\n",
    "s3 POST /bkt?delete\n\n<Delete xmlns=\"x\"><Quiet>true</Quiet><Object><Key>a&#x41;</Key><VersionId>v</VersionId></Object></Delete>",
    "dynamodb POST /\nx-amz-target: DynamoDB_20120810.Query\ncontent-type: application/x-amz-json-1.0\n\n{\"TableName\":\"t\",\"Limit\":5,\"KeyConditionExpression\":\"#k = :v AND begins_with ( a.b[0] , :w )\",\"FilterExpression\":\"NOT size(c) BETWEEN :a AND :b\",\"ExpressionAttributeNames\":{\"#k\":\"x\"}}",
    "dynamodb POST /\nx-amz-target: DynamoDB_20120810.ListTables\ncontent-type: application/x-amz-json-1.0\n\n{\"TableNames\":[\"a\",\"b\"],\"Items\":[{},{\"a\":{\"S\":\"x\"}}],\"Responses\":{\"t\":[{}]}}",
    "dynamodb POST /\nx-amz-target: DynamoDB_20120810.TransactWriteItems\ncontent-type: application/x-amz-json-1.0\n\n{\"TransactItems\":[{\"Update\":{\"TableName\":\"t\",\"Key\":{\"k\":{\"S\":\"a\"}},\"UpdateExpression\":\"SET a = if_not_exists(b, :v) + :w, c[1].d = :x REMOVE e ADD f :y DELETE g :z\"}}]}",
    "dynamodb POST /\nx-amz-target: DynamoDB_20120810.Scan\ncontent-type: application/x-amz-json-1.0\n\n{\"TableName\":\"arn:aws:dynamodb:eu-west-1:1:table/t\",\"IndexName\":\"i\"}",
    "sts POST /\ncontent-type: application/x-www-form-urlencoded\n\nAction=GetCallerIdentity&Version=2011-06-15",
];

const MESSAGES: [&str; 13] = [
    r#"{"target": "db", "host": "laptop", "reason": "incident 4711", "seconds": 3600, "starts": "2026-01-01T00:00:00Z", "once": true, "key": "k"}"#,
    r#"{"version": "1.0.0", "public_url": "https://broker.example/", "gateway_key": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE", "providers": [{"name": "corp", "issuer": "https://id.example/", "client_id": "hoopctl", "scopes": ["openid"]}], "workloads": [{"name": "ci", "issuer": "https://ci.example/", "audience": "a"}]}"#,
    r#"{"code": "ABCD-EFGH", "device": "ddddddddddddddddddddddddddddddddddddddddddd", "host": "h", "address": "192.0.2.1", "asked": "2026-01-01T00:00:00Z", "expires": "2026-01-01T00:10:00Z"}"#,
    r#"{"items": [{"id": "ddddddddddddddddddddddddddddddddddddddddddd", "principal": {"provider": "corp", "subject": "alice"}, "host": "laptop", "enrolled": "2026-01-01T00:00:00Z", "revoked": null}]}"#,
    r#"{"target": {"name": "db", "protocol": "postgres", "description": "", "masked": true, "record": "full", "approval": "two of corp/dba"}, "database": "app", "masked": [{"rule": "m", "column": "a.b.c", "path": "$.x", "mask": "full", "locks": "two locks"}], "denied": [{"rule": "r", "reason": "because"}], "held": [], "recorded": "all", "credential": "a role", "broker_reach": "r", "objects": ["hoopctl"], "not_covered": []}"#,
    r#"{"proof": "eyJ0eXAiOiJob29wY3RsLXJldmlldytqd3QiLCJhbGciOiJFZERTQSJ9.e30.AA"}"#,
    r#"{"session": "ses_00000000000000000000000000", "protocol": "postgres", "expires": "2026-01-01T00:00:00Z", "secret": "s", "user": "alice", "database": "app", "gateway_key": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"}"#,
    r#"{"type": "urn:hoopctl:problem:forbidden", "status": 403, "title": "not permitted", "detail": "d", "hint": "h", "code": "forbidden", "confirmation": {"code": "ABCD", "expires": "2026-01-01T00:00:00Z"}}"#,
    r#"{"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "e30.e30.e30", "subject_token_type": "urn:ietf:params:oauth:token-type:id_token", "host": "laptop"}"#,
    r#"{"access_token": "t", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "DPoP", "expires_in": 300}"#,
    r#"{"principal": {"provider": "corp", "subject": "alice"}, "display": "alice", "kind": "human", "groups": ["corp/dba"], "device": "ddddddddddddddddddddddddddddddddddddddddddd", "login_expires": "2026-01-01T00:00:00Z"}"#,
    r#"{"request": "req_00000000000000000000000000", "principal": {"provider": "corp", "subject": "alice"}, "target": "db", "rules": ["r"], "text": "SELECT 1", "free": [0, 65535], "by": [], "ends": "2026-01-01T00:00:00Z", "revoked": false, "uses": 18446744073709551615}"#,
    r#"{"session": {"id": "ses_00000000000000000000000000", "state": "active"}, "connections": [["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"]]}"#,
];

const STATEMENTS: [&str; 16] = [
    "SELECT a, count(*) FILTER (WHERE b > 1) OVER (PARTITION BY c) FROM s.t AS x WHERE d IN (1, 2) LIMIT 3",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT * FROM r, LATERAL f(n) ORDER BY 1",
    "INSERT INTO t (a, b) VALUES ($1, DEFAULT) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING *",
    "UPDATE t SET (a, b) = (SELECT 1, 2), c['x'] = '1' FROM u WHERE t.id = u.id",
    "DELETE FROM t USING u WHERE t.a = u.a RETURNING old.a",
    "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED AND u.b THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)",
    "COPY (SELECT 1) TO STDOUT (FORMAT csv, HEADER); COPY t (a) FROM STDIN",
    "CREATE TABLE t (a int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, b text COLLATE \"C\" CHECK (b <> ''))",
    "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS $$ SELECT a $$; DO $x$ BEGIN END $x$",
    "ALTER ROLE alice PASSWORD 'secret' VALID UNTIL '2030-01-01'; GRANT SELECT (a) ON t TO PUBLIC",
    "EXPLAIN (ANALYZE, COSTS off) SELECT json_table.* FROM json_table('[]', '$[*]' COLUMNS (a int PATH '$.a'))",
    "PREPARE p (int) AS SELECT $1; EXECUTE p (1); DEALLOCATE p; DECLARE c CURSOR FOR SELECT 1; FETCH 3 FROM c",
    "SET LOCAL search_path = a, \"B\"; SHOW ALL; SELECT set_config('jit', $1, false); RESET ALL",
    "BEGIN ISOLATION LEVEL SERIALIZABLE; SAVEPOINT a; ROLLBACK TO a; COMMIT AND CHAIN",
    "SELECT E'\\x41', U&'\\0041', $tag$ ' $tag$, B'01', x::numeric(3, 1), ARRAY[[1]], (r).f, CASE WHEN a THEN 1 END -- c",
    "VACUUM (FULL) t; REINDEX TABLE t; LISTEN n; NOTIFY n, 'x'; CALL f(1); TRUNCATE t CASCADE; LOCK t",
];

const COMMANDS: [&str; 12] = [
    "rm -rf / && echo \"$(date +%F)\" | tee -a 'a b' >/dev/null 2>&1",
    "sudo -u root env A=b sh -c 'cd /srv; for f in *.log; do wc -l \"$f\"; done'",
    "cat <<'E' | while read x; do case $x in a|b) echo `id`;; *) [ -f y ] || exit 1;; esac; done\nx\nE\n",
    "find / -type f -name '*.c' -exec grep -l foo {} + | xargs -0 -I% cp % /tmp",
    "if [[ -f x && -d y ]]; then { ls; } else (cat <(ls) >&2) fi",
    "f() { $'\\x72m' -rf ${x:-/}; }; f & wait $!",
    "scp -r -p -t -- '/srv/in'",
    "rsync --server -logDtpre.iLsfxCIvu --delete . /srv/in/",
    "git-upload-pack '/srv/it'\\''s.git'",
    "tar xzf x.tgz -C /opt --checkpoint-action=exec=sh",
    "sed -n '/a/,$s/x/y/gw out' f; awk '{print $1 > \"f\"}' g",
    "echo $((1 + 2)) {a,b}{1..3} ~/x \\\n# comment\ntrue",
];
