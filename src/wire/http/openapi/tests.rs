#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use serde_json::json;

use super::*;

fn api() -> OpenApi {
    let get = |id: &str| json!({"get": {"operationId": id}});
    let document = json!({
        "openapi": "3.1.0",
        "servers": [{"url": "https://api.example.org/v1/"}, {"url": "/v2"}],
        "paths": {
            "/traces": {
                "parameters": [{"$ref": "#/components/parameters/Limit"}, {"in": "path", "name": "limit"}],
                "get": {"operationId": "listTraces", "parameters": [
                    {"in": "query", "name": "n", "x-hoopctl-page-size": true},
                    {"in": "query", "name": "size", "x-hoopctl-page-size": false},
                ]},
                "post": {"x-hoopctl-listing": false},
            },
            "/traces/{id}": get("getTrace"),
            "/traces/mine": get("getMine"),
            "/traces/{id}.json": get("getJson"),
            "/traces/{from}-{to}/steps": get("getRange"),
            "/traces/{id}/steps": {"get": {"operationId": "listSteps", "responses": {"200": {"$ref": "#/components/responses/List"}}}},
            "/a b/{x}": get("spaced"),
            "/": get("root"),
            "x-note": 1,
        },
        "components": {
            "parameters": {"Limit": {"in": "query", "name": "per_page"}},
            "responses": {"List": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/L"}}}}},
            "schemas": {"L": {"type": "array"}},
        },
    });
    OpenApi::parse(document.to_string().as_bytes()).unwrap()
}

#[test]
fn calls_get_the_names_of_their_operations() {
    let api = api();
    let id = |method, path| api.operation(method, path, "/").unwrap().map(|operation| operation.id.clone());
    for (path, expected) in [
        ("/v1/traces", Some("listTraces")),
        ("/v2/traces/7", Some("getTrace")),
        ("/v1/traces/mine", Some("getMine")),
        ("/v1/traces/7.json", Some("getJson")),
        ("/v1/traces/.json", Some("getTrace")),
        ("/v1/traces/1-2/steps", Some("getRange")),
        ("/v1/traces/1-/steps", Some("listSteps")),
        ("/v1/traces/mine/steps", Some("listSteps")),
        ("/v1/a%20b/c", Some("spaced")),
        ("/v1/", Some("root")),
        ("/v1", None),
        ("/v1/traces/", Some("listTraces")),
        ("/v1/Traces", Some("listTraces")),
        ("/v1/TRACES/7.JSON", Some("getJson")),
        ("/v1/traces/7/8", None),
        ("/v3/traces", None),
        ("/v11/traces", None),
        ("/traces", None),
    ] {
        assert_eq!(id("GET", path).as_deref(), expected, "{path}");
    }
    assert_eq!(id("HEAD", "/v1/traces").as_deref(), Some("listTraces"));
    assert_eq!(id("POST", "/v1/traces").as_deref(), Some("POST /traces"));
    assert_eq!(id("DELETE", "/v1/traces"), None);
}

#[test]
fn listings_and_page_sizes_are_known() {
    let api = api();
    let list = api.operation("GET", "/v1/traces", "/").unwrap().unwrap();
    assert!(list.is_listing);
    assert_eq!(list.page_sizes.iter().collect::<Vec<_>>(), ["n", "per_page"]);
    assert!(api.operation("GET", "/v1/traces/7/steps", "/").unwrap().unwrap().is_listing);
    assert!(!api.operation("GET", "/v1/traces/7", "/").unwrap().unwrap().is_listing);
    assert!(!api.operation("POST", "/v1/traces", "/").unwrap().unwrap().is_listing);
}

#[test]
fn documents_that_cannot_be_read_whole_are_refused() {
    let parse = |document: &Value| OpenApi::parse(document.to_string().as_bytes()).err();
    assert_eq!(OpenApi::parse(b"openapi: 3.0.0").err(), Some(OpenApiError::Json));
    assert_eq!(parse(&json!({"swagger": "2.0"})), Some(OpenApiError::Version));
    assert_eq!(parse(&json!({"openapi": "3.0.0", "paths": []})), Some(OpenApiError::Shape("paths".into())));
    for (path, item) in [
        ("a", json!({"get": {}})),
        ("/{", json!({"get": {}})),
        ("/{a", json!({"get": {}})),
        ("/{}", json!({"get": {}})),
        ("/a}", json!({"get": {}})),
        ("/a", json!({"get": 1})),
        ("/a", json!({"get": {"operationId": 1}})),
        ("/a", json!({"$ref": "other.json"})),
        ("/a", json!({"$ref": "#/paths/~1a"})),
        ("/a", json!({"get": {"parameters": [{"$ref": "#/nowhere"}]}})),
    ] {
        assert_eq!(
            parse(&json!({"openapi": "3.0.0", "paths": {path: item}})),
            Some(OpenApiError::Shape(path.into())),
            "{path}"
        );
    }
    let twice = json!({"openapi": "3.0.0", "paths": {"/a/{x}": {"get": {}}, "/a/{y}": {"get": {}}}});
    assert!(matches!(parse(&twice), Some(OpenApiError::Ambiguous(_))));
    let many: Map<String, Value> = (0..10_001).map(|at| (format!("/{at}"), json!({"get": {}}))).collect();
    assert_eq!(parse(&json!({"openapi": "3.0.0", "paths": many})), Some(OpenApiError::TooBig));
}

fn served_at(servers: &[&str], paths: &[(&str, &str)]) -> OpenApi {
    let servers: Vec<Value> = servers.iter().map(|url| json!({"url": url})).collect();
    let paths: Map<String, Value> =
        paths.iter().map(|(path, id)| ((*path).into(), json!({"get": {"operationId": id}}))).collect();
    OpenApi::parse(json!({"openapi": "3.1.0", "servers": servers, "paths": paths}).to_string().as_bytes())
        .unwrap()
}

/// A template as wide as `/{kind}/{id}` must not take a path for one of its own that begins with the base.
#[test]
fn paths_are_counted_from_one_place() {
    let paths = &[("/traces", "list"), ("/{kind}/{id}", "thing")];
    let id = |servers: &[&str], path, base| {
        let api = served_at(servers, paths);
        api.operation("GET", path, base).map(|found| found.map(|operation| operation.id.clone()))
    };
    for (servers, path, base, expected) in [
        (&[][..], "/v1/traces", "/v1", Some("list")),
        (&["https://api.example/v1"], "/v1/traces", "/v1", Some("list")),
        (&["https://api.example/v1"], "/v1/traces", "/v1/", Some("list")),
        (&["https://api.example/v1"], "/v1/traces", "/", Some("list")),
        (&["https://api.example/v1"], "/proxy/v1/traces", "/proxy", Some("list")),
        (&["https://api.example/v1/"], "/v1/traces/7", "/v1/traces", Some("thing")),
        (&["https://api.example/", "/v1"], "/v1/traces", "/v1", Some("list")),
        (&["https://api.example"], "/a/b", "/", Some("thing")),
    ] {
        assert_eq!(id(servers, path, base), Ok(expected.map(Into::into)), "{servers:?} {path} {base}");
    }
    // both `/traces` below `/v1` and `/{kind}/{id}` below nothing
    assert_eq!(id(&["/", "/v1"], "/v1/traces", "/"), Err(Unclear));
}

/// Routers that overlook case take `/Traces/7` for a trace, others for a thing: nobody can tell which is asked for.
#[test]
fn what_case_decides_is_refused() {
    let api = served_at(&[], &[("/traces/{id}", "trace"), ("/{kind}/{id}", "thing"), ("/a:b", "custom")]);
    let id = |path| api.operation("GET", path, "").map(|found| found.map(|operation| operation.id.clone()));
    assert_eq!(id("/traces/7"), Ok(Some("trace".into())));
    assert_eq!(id("/things/7"), Ok(Some("thing".into())));
    assert_eq!(id("/Traces/7"), Err(Unclear));
    let path = Resource::parse("/a%3Ab", PathPolicy::default()).unwrap();
    assert_eq!(id(path.path()), Ok(Some("custom".into())));
}
