//! What the functions ask of AWS, against what their roles allow. The emulation records who asks for what, and each scenario
//! ends with this.

use serde_json::{Value, json};

use crate::aws;
use crate::deployment::Deployment;
use crate::terraform::{self, Permissions};

/// Something that a function asked of AWS.
pub(crate) struct Asked {
    pub(crate) function: String,
    pub(crate) action: String,
    pub(crate) resource: String,
    /// Some parameters, where the request had them.
    pub(crate) how: Value,
}

/// Nothing that the functions of a deployment have asked for is missing in their roles.
pub(crate) async fn are_enough(deployment: &Deployment) {
    compare(deployment).await;
}

/// The same, and each has asked for all that its role allows.
pub(crate) async fn are_exact(deployment: &Deployment) {
    let idle = compare(deployment).await;
    assert!(idle.is_empty(), "allowed, and nobody asks for it: {idle:#?}");
}

/// What is allowed and nobody has asked for; what was asked for must be allowed.
async fn compare(deployment: &Deployment) -> Permissions {
    let (asked, allowed) = (lines(&asked_by(deployment).await), terraform::allowed());
    assert!(!asked.is_empty(), "somebody asked for something");
    let missing: Vec<_> = asked.difference(&allowed).collect();
    assert!(missing.is_empty(), "not allowed: {missing:#?}");
    allowed.difference(&asked).cloned().collect()
}

/// What the functions of a deployment have asked for until now, each once.
pub(crate) async fn asked_by(deployment: &Deployment) -> Vec<Asked> {
    let recorded: Vec<[String; 4]> = serde_json::from_str(&ask("GET /recorded", "").await).unwrap();
    let of_deployment = recorded.into_iter().filter_map(|[key, action, resource, how]| {
        let function = key.strip_prefix(&deployment.table.name)?.strip_prefix('-')?.to_owned();
        Some(Asked { function, action, resource, how: serde_json::from_str(&how).unwrap() })
    });
    of_deployment.collect()
}

/// Takes these functions what their roles allow on the table, and gives it back to all others of the deployment.
pub(crate) async fn to_the_table_are_taken_from(deployment: &Deployment, functions: &[&str]) {
    let keys: Vec<_> = functions.iter().map(|function| format!("{}-{function}", deployment.table.name)).collect();
    ask("PUT /refused", &json!({ "of": deployment.table.name, "keys": keys }).to_string()).await;
}

fn lines(asked: &[Asked]) -> Permissions {
    let line = |Asked { function, action, resource, .. }: &Asked| format!("{function}: {action} on {resource}");
    asked.iter().map(line).collect()
}

async fn ask(what: &'static str, body: &str) -> String {
    let body = body.to_owned();
    tokio::task::spawn_blocking(move || exchange(what, &body)).await.unwrap()
}

fn exchange(what: &str, body: &str) -> String {
    use std::io::{Read as _, Write as _};
    let address = aws::endpoint().strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "{what} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{answer}");
    body.to_owned()
}
