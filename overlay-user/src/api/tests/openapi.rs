//! The OpenAPI document against the router and against real answers.

use super::*;
use crate::api::router::router;
use serde_json::Value;
use std::collections::BTreeSet;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

async fn document(server: &Server) -> Value {
    server.client().get("/v1/openapi.json").await.expect("the document")
}

/// A path that the fake knows, for the template of one.
fn example(template: &str) -> String {
    template.replace("{name}", "blue").replace("{id}", &web().id).replace("{table}", "fdb")
}

/// Status and body of what the server answers; no body is no value.
async fn ask(server: &Server, method: &str, path: &str, body: &str) -> (u16, Value) {
    let method = method.to_uppercase();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let answer = server.raw(request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// What of `value` the schema does not allow. Stricter than JSON Schema: a key that is not described is told.
fn faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#")) {
        let target = document.pointer(name).unwrap_or_else(|| panic!("{name} is not in the document"));
        return faults(document, target, value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fit = choices.iter().filter(|choice| faults(document, choice, value, at).is_empty()).count();
        return if fit == 1 { Vec::new() } else { vec![format!("{at}: fits {fit} of the choices: {value}")] };
    }
    if schema.is_object() && schema.get("type").is_none() {
        return Vec::new();
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = &schema["type"];
    let allowed = kinds == kind || kinds.as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind));
    if !allowed {
        return vec![format!("{at}: {kind} instead of {kinds}")];
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return vec![format!("{at}: {value} is none of {words:?}")];
    }
    match value {
        Value::Array(items) => {
            items.iter().flat_map(|item| faults(document, &schema["items"], item, at)).collect()
        }
        Value::Object(members) => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let missing = required.filter(|key| !members.contains_key(*key));
            let mut found: Vec<_> = missing.map(|key| format!("{at}.{key} is missing")).collect();
            for (key, member) in members {
                let described = schema["properties"].get(key).unwrap_or(&schema["additionalProperties"]);
                found.extend(faults(document, described, member, &format!("{at}.{key}")));
            }
            found
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Asserts that the answer is one that the document foresees for this operation.
fn assert_foreseen(document: &Value, operation: &Value, status: u16, body: &Value, what: &str) {
    let response = &operation["responses"][status.to_string()];
    assert!(response.is_object(), "{what}: {status} is not in the document");
    match response.get("content") {
        Some(content) => {
            let schema = &content["application/json"]["schema"];
            let found = faults(document, schema, body, "answer");
            assert!(found.is_empty(), "{what}: {status}: {found:?}");
        }
        None => assert!(body.is_null(), "{what}: {status}: {body}"),
    }
}

#[tokio::test]
async fn every_route_is_in_the_document_and_the_reverse() {
    let server = server();
    let document = document(&server).await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "overlay agent");
    let described: BTreeSet<&str> =
        document["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
    // axum shows its routes nowhere else; two of them are those of the fallback.
    let shown = format!("{:?}", router(Fake::default(), Admins::nobody()));
    let routed: BTreeSet<&str> = shown
        .split('"')
        .filter(|word| word.starts_with('/') && *word != "/" && !word.contains("__private__"))
        .collect();
    assert_eq!(described, routed);
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in METHODS {
            let (status, _) = ask(&server, method, &example(path), "").await;
            assert_eq!(status != 405, item.get(method).is_some(), "{method} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn real_answers_are_those_of_the_document() {
    let (server, members) = (server(), Server::start_for(Admins::nobody(), Duration::from_secs(30)));
    let document = document(&server).await;
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let what = format!("{method} {path}");
            let bodies: &[&str] = match operation.get("requestBody") {
                None => &[""],
                Some(_) => &["", r#"{"name": "red"}"#, r#"{"x": 1}"#],
            };
            for server in [&server, &members] {
                for path in [example(path), path.replace("{name}", "%20").replace("{id}", "%ff")] {
                    for body in bodies {
                        let (status, answer) = ask(server, method, &path, body).await;
                        assert_foreseen(&document, operation, status, &answer, &what);
                        asked += 1;
                    }
                }
            }
        }
    }
    assert!(asked > 50, "{asked}");
    let (status, answer) = ask(&server, "post", "/v1/networks", &" ".repeat(100_000)).await;
    assert_foreseen(&document, &document["paths"]["/v1/networks"]["post"], status, &answer, "a large body");
    assert_eq!(status, 413);
}

#[test]
fn the_document_would_notice_another_answer() {
    let shape = router_document();
    let schema = serde_json::json!({ "$ref": "#/components/schemas/NodeInfo" });
    let mut value = serde_json::to_value(node()).expect("JSON");
    assert!(faults(&shape, &schema, &value, "node").is_empty());
    value["state"] = "lost".into();
    assert_eq!(faults(&shape, &schema, &value, "node").len(), 1);
    value["more"] = 1.into();
    value.as_object_mut().expect("an object").remove("vtep");
    let found = faults(&shape, &schema, &value, "node");
    assert_eq!(found.len(), 3, "{found:?}");
}

/// The document without a server.
fn router_document() -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { document(&server()).await })
}

#[tokio::test]
async fn what_is_read_changes_nothing() {
    let fake = Fake::default();
    let server = Server::start_with(fake.clone(), Admins::nobody(), Duration::from_secs(30));
    let document = document(&server).await;
    let paths = document["paths"].as_object().expect("paths");
    for path in paths.iter().filter(|(_, item)| item.get("get").is_some()).map(|(path, _)| path) {
        assert_eq!(ask(&server, "get", &example(path), "").await.0, 200, "{path}");
    }
    assert_eq!(fake.changes(), 0);
    // The control: the fake does count.
    let root = Server::start_with(fake.clone(), Admins::resolve(&[]).expect("we"), Duration::from_secs(30));
    root.client().delete("/v1/networks/blue").await.expect("deleted");
    assert_eq!(fake.changes(), 1);
}
