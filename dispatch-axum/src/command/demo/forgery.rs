//! A webhook from somebody who does not know the secret: one HTTP request, written by hand.

use dispatch_core::webhook::WebhookSecrets;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::command::Failure;

/// Sends a body with a signature of a guessed secret, and answers with the status.
pub(super) async fn post(url: &str, body: &[u8]) -> Result<u16, Failure> {
    let failed =
        |problem: &dyn std::fmt::Display| Failure::work(format_args!("cannot send the forged webhook: {problem}"));
    let uri: http::Uri = url.parse().map_err(|error| failed(&error))?;
    let authority = uri.authority().ok_or_else(|| failed(&"no address"))?;
    let guess: WebhookSecrets = "a guess".parse().map_err(|error| failed(&error))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         X-GitHub-Event: workflow_run\r\nX-GitHub-Delivery: 00000000-f0e9-0000-0000-000000000000\r\n\
         X-Hub-Signature-256: {signature}\r\nContent-Length: {length}\r\n\r\n",
        path = uri.path(),
        signature = guess.sign(body),
        length = body.len(),
    );
    let mut stream = TcpStream::connect(authority.as_str()).await.map_err(|error| failed(&error))?;
    stream.write_all(head.as_bytes()).await.map_err(|error| failed(&error))?;
    stream.write_all(body).await.map_err(|error| failed(&error))?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer).await.map_err(|error| failed(&error))?;
    let status = String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| failed(&"no answer"))
}
