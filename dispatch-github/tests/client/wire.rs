//! Connections that break: what was sent, and how often.

use std::sync::{Arc, Mutex};

use dispatch_core::Timestamp;
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::github::{FileRead, GitHubError, GitHubPort};
use dispatch_github::{GitHub, GitHubOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::fake::*;

/// Answers installation and token properly, and everything else with these bytes; then it hangs up.
struct Broken {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Broken {
    async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer, Arc::clone(&seen)));
            }
        });
        Self { url, requests }
    }

    fn github(&self) -> GitHub {
        GitHub::new(GitHubOptions { api_url: self.url.clone(), ..options() }).unwrap()
    }

    fn to(&self, what: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|request| request.contains(what)).count()
    }
}

async fn serve(mut stream: TcpStream, answer: &str, seen: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = next_request(&mut stream).await {
        seen.lock().unwrap().push(request.clone());
        match set_up(&request) {
            Some(body) => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
            None => {
                stream.write_all(answer.as_bytes()).await.unwrap();
                return;
            }
        }
    }
}

fn set_up(request: &str) -> Option<String> {
    if request.starts_with("GET /repos/acme/app/installation ") {
        return Some(r#"{"id":7}"#.to_owned());
    }
    request.starts_with("POST /app/installations/7/access_tokens ").then(|| {
        let repository = r#"{"id":42,"full_name":"acme/app","private":true}"#;
        format!(r#"{{"token":"t","expires_at":"2999-01-01T00:00:00Z","repositories":[{repository}]}}"#)
    })
}

/// Reads one request whole, and gives its first line.
async fn next_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return Some(String::from_utf8_lossy(&bytes).lines().next().unwrap().to_owned());
        }
    }
}

#[tokio::test]
async fn a_dispatch_that_is_cut_off_is_in_doubt_and_was_sent_once() {
    for answer in ["", "HTTP/1.1 20", "no HTTP at all\r\n\r\n", "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 9\r\n\r\n"]
    {
        let broken = Broken::start(answer).await;
        let error = broken.github().dispatch(&app_ref(), &cd(), Timestamp::MAX).await.unwrap_err();
        assert!(matches!(&error, GitHubError::InDoubt(_)), "{answer:?}: {error}");
        assert_eq!(broken.to("/dispatches"), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn a_success_is_a_success_even_if_its_body_never_comes() {
    let broken = Broken::start("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"workflow_run_id\"").await;
    assert_eq!(broken.github().dispatch(&app_ref(), &cd(), Timestamp::MAX).await, Ok(None));
}

#[tokio::test]
async fn a_refusal_is_a_refusal_even_if_its_body_never_comes() {
    let broken = Broken::start("HTTP/1.1 422 Nope\r\ncontent-length: 100\r\n\r\n{").await;
    let refused = GitHubError::Refused { status: 422, message: "Unprocessable Entity".to_owned(), permission: None };
    assert_eq!(broken.github().dispatch(&app_ref(), &cd(), Timestamp::MAX).await, Err(refused));
}

#[tokio::test]
async fn a_read_that_is_cut_off_is_only_unavailable() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"type\":"] {
        let broken = Broken::start(answer).await;
        let error = broken.github().read_file(&app(), None, PolicyPath::Root, None).await.unwrap_err();
        assert!(matches!(&error, GitHubError::Unavailable(_)), "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn without_a_connection_a_dispatch_was_certainly_not_sent() {
    // The token is minted; then nobody listens any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let github = GitHub::new(GitHubOptions { api_url: url, ..options() }).unwrap();
    let minting = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let body = set_up(&next_request(&mut stream).await.unwrap()).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            if body.contains("token") {
                drop(listener);
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
                return;
            }
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    let error = github.dispatch(&app_ref(), &cd(), Timestamp::MAX).await.unwrap_err();
    assert!(matches!(&error, GitHubError::Unavailable(message) if message.contains("refused")), "{error}");
    minting.await.unwrap();
}

#[tokio::test]
async fn a_body_without_end_is_read_up_to_its_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            next_request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"type\":\"").await;
            while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
        }
    });
    let github = GitHub::new(GitHubOptions { api_url: url, ..options() }).unwrap();
    let read: Result<FileRead, _> = github.read_file(&app(), None, PolicyPath::Root, None).await;
    assert_eq!(read, Err(GitHubError::Unavailable("200 OK, but its body: is too long".to_owned())));
}
