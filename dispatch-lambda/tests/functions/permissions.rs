//! What the functions ask of AWS is allowed by their roles. The emulation records who asks for what; each scenario ends with this.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::aws;
use crate::deployment::Deployment;

/// Who may do what with what: `function: action on resource`, one a line.
type Permissions = BTreeSet<String>;

/// Nothing that the functions of a deployment have asked for is missing in their roles.
pub(crate) async fn are_enough(deployment: &Deployment) {
    let (asked, allowed) = (asked_for(&deployment.table.name).await, allowed());
    assert!(!asked.is_empty(), "somebody asked for something");
    let missing: Vec<_> = asked.difference(&allowed).collect();
    assert!(missing.is_empty(), "not allowed: {missing:?}");
}

/// What the roles allow, as far as the functions themselves need it.
fn allowed() -> Permissions {
    let file = "../infrastructure/terraform/modules/dispatch_service/permissions.json";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let roles: Value = serde_json::from_str(&text).unwrap();
    let mut allowed = Permissions::new();
    for (function, role) in roles.as_object().unwrap() {
        for (resource, actions) in role["calls"].as_object().unwrap() {
            let actions = actions.as_array().unwrap().iter().map(|action| action.as_str().unwrap());
            allowed.extend(actions.map(|action| format!("{function}: {action} on {resource}")));
        }
    }
    allowed
}

/// What the functions of a deployment have asked for until now.
async fn asked_for(deployment: &str) -> Permissions {
    let recorded = tokio::task::spawn_blocking(|| get("/recorded")).await.unwrap();
    let recorded: Vec<[String; 3]> = serde_json::from_str(&recorded).unwrap();
    let of_deployment = recorded.into_iter().filter_map(|[key, action, resource]| {
        let function = key.strip_prefix(deployment)?.strip_prefix('-')?;
        Some(format!("{function}: {action} on {resource}"))
    });
    of_deployment.collect()
}

fn get(path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let address = aws::endpoint().strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{answer}");
    body.to_owned()
}
