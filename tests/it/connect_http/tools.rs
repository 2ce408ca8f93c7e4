//! The tools that docs/http.md names, each as its users call it.

use super::{KEY, PLANTED, stage};
use crate::http::peers;

/// Each tool, and how it is told to fetch `/traces/7`; `{url}` is `https://traces-api/traces/7`.
const TOOLS: &[(&str, &str)] = &[
    ("curl", "curl -q -sS --fail {url}"),
    ("wget", "wget -q -O - --ca-certificate=\"$SSL_CERT_FILE\" {url}"),
    ("HTTPie", "{clients}/python/bin/http --ignore-stdin --check-status --body {url}"),
    (
        "HTTPie, base",
        "{clients}/python/bin/http --ignore-stdin --check-status --body $TRACES_API_URL/traces/7",
    ),
    (
        "urllib",
        "{clients}/python/bin/python -c 'import urllib.request as r; print(r.urlopen(\"{url}\").read().decode())'",
    ),
    ("requests", "{clients}/python/bin/python -c 'import requests; print(requests.get(\"{url}\").text)'"),
    (
        "requests, base",
        "{clients}/python/bin/python -c 'import os, requests; print(requests.get(os.environ[\"HOOP_URL\"] + \"/traces/7\").text)'",
    ),
    ("httpx", "{clients}/python/bin/python -c 'import httpx; print(httpx.get(\"{url}\").text)'"),
    (
        "aiohttp",
        "{clients}/python/bin/python -c '
import aiohttp, asyncio
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.get(\"{url}\") as answer:
            print(await answer.text())
asyncio.run(main())'",
    ),
    (
        "undici",
        "cd {clients}; node --input-type=module -e '
import { EnvHttpProxyAgent, fetch } from \"undici\";
const answer = await fetch(\"{url}\", { dispatcher: new EnvHttpProxyAgent() });
console.log(await answer.text());'",
    ),
    (
        "Node, base",
        "node --input-type=module -e '
const url = new URL(process.env.HOOP_URL + \"/traces/7\");
const authorization = \"Basic \" + btoa(url.username + \":\" + url.password);
url.username = url.password = \"\";
console.log(await (await fetch(url, { headers: { authorization } })).text());'",
    ),
    (
        "axios",
        "cd {clients}; node --input-type=module -e '
import axios from \"axios\";
console.log(JSON.stringify((await axios.get(\"http://traces-api/traces/7\")).data));'",
    ),
    (
        "got, base",
        "cd {clients}; node --input-type=module -e '
import got from \"got\";
console.log(await got(process.env.HOOP_URL + \"/traces/7\").text());'",
    ),
];

/// Every one of them gets the masked trace, and none sees the key.
#[tokio::test(flavor = "multi_thread")]
async fn the_tools_that_are_named_work() {
    let stage = stage().await;
    let clients = peers::place().display().to_string();
    let mut failed = Vec::new();
    for (name, call) in TOOLS {
        let call = call.replace("{clients}", &clients).replace("{url}", "https://traces-api/traces/7");
        let ran = stage.alice.run(&["exec", "traces-api", "--", "sh", "-c", &call]).await;
        let text = ran.text();
        assert!(!text.contains(PLANTED) && !text.contains(KEY), "{name}: {text}");
        if !ran.stdout.contains("\"api_key\":\"[masked]\"") {
            failed.push(format!("{name}: {text}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
