#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use http::{HeaderName, HeaderValue};

use super::*;

/// What the AWS CLI, boto3 and rclone sent to a server, without signatures and dates: `# CLIENT OPERATION`, service, method and
/// address, headers, and an empty line before a body.
const CLIENTS: &str = include_str!("clients.txt");

#[test]
fn what_clients_send_is_judged() {
    let mut calls = 0;
    for block in CLIENTS.split("# ").filter(|block| !block.is_empty()) {
        let (named, call) = block.split_once('\n').unwrap();
        let (client, operation) = named.split_once(' ').unwrap();
        let (top, body) = call.split_once("\n\n").unwrap_or((call, ""));
        let mut lines = top.lines();
        let words: Vec<&str> = lines.next().unwrap().split(' ').collect();
        let &[service, method, target] = words.as_slice() else { panic!("{block}") };
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = lines.map(header).collect();
        let head = Head { method, path, query, headers: &headers };
        let body = needs_body(service, &head).map(|_| body.trim_end().as_bytes());
        let call = read(service, &head, body, "us-east-1")
            .unwrap_or_else(|error| panic!("{client}: {error}: {block}"));
        assert_eq!(call.facts.operation, operation, "{block}");
        // keys are sent on as these clients write them
        assert_eq!(call.path, path);
        calls += 1;
    }
    assert!(calls >= 60, "{calls} calls");
}
