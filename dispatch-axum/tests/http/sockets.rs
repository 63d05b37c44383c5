//! Over real sockets: what only shows there.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{ID, Site, push, secrets};

async fn serve(site: &Site) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = site.router.clone().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

async fn talk(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("an answer in time").unwrap();
    String::from_utf8(answer).unwrap()
}

fn signed(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: {ID}\r\n\
         X-Hub-Signature-256: {}\r\nContent-Length: {}\r\n\r\n",
        secrets().sign(body),
        body.len(),
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn flooding_with_unsigned_requests_that_stall_does_not_stop_a_signed_one() {
    let site = Site::new();
    let address = serve(&site).await;
    let signature = "0".repeat(64);
    let mut flood = Vec::new();
    for length in ["26214400", "262144"].repeat(40) {
        let head = format!(
            "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256={signature}\r\nContent-Length: {length}\r\n\r\n{{"
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        flood.push(stream);
    }
    let answer = tokio::time::timeout(Duration::from_secs(5), talk(address, &signed(&push("main")))).await;
    assert!(answer.expect("answered while the flood stalls").starts_with("HTTP/1.1 202"));
}

#[tokio::test]
async fn announcing_a_huge_body_is_answered_without_waiting_for_it() {
    let site = Site::new();
    let request =
        b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n";
    let answer = talk(serve(&site).await, request).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_proxy_on_the_same_host_does_not_make_strangers_administrators() {
    let site = Site::new();
    let address = serve(&site).await;
    for (host, expected) in [("127.0.0.1", "303"), ("dispatch.example.com", "421")] {
        let request =
            format!("GET /admin HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 127.0.0.1\r\nConnection: close\r\n\r\n");
        let answer = talk(address, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{host}: {answer}");
    }
}

#[tokio::test]
async fn flooding_with_unsigned_bodies_that_stall_before_their_last_byte_does_not_stop_a_signed_one() {
    const SIZE: usize = 256 * 1024;
    let site = Site::new();
    let address = serve(&site).await;
    let head = format!(
        "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256={}\r\nContent-Length: {SIZE}\r\n\r\n",
        "0".repeat(64)
    );
    let stalled = [head.as_bytes(), &vec![b' '; SIZE - 1]].concat();
    // More than 64 MiB, all of it sent, none of it complete.
    let mut flood = Vec::new();
    for _ in 0..280 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Cannot end where the service reads no more.
        let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(&stalled)).await;
        flood.push(stream);
    }
    let answer = tokio::time::timeout(Duration::from_secs(5), talk(address, &signed(&push("main")))).await;
    assert!(answer.expect("answered while the flood stalls").starts_with("HTTP/1.1 202"));
    drop(flood);
}

#[tokio::test]
async fn a_login_that_never_ends_or_is_far_too_long_holds_nothing() {
    let site = Site::new();
    let address = serve(&site).await;
    for (length, expected) in [(100, "HTTP/1.1 408"), (1_000_000, "HTTP/1.1 413")] {
        let request = format!(
            "POST /admin/login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\ntoken="
        );
        let answer = talk(address, request.as_bytes()).await;
        assert!(answer.starts_with(expected), "{length}: {answer}");
    }
}

#[tokio::test]
async fn flooding_with_large_unsigned_bodies_that_stall_does_not_stop_a_large_signed_one() {
    let site = Site::new();
    let address = serve(&site).await;
    let head = format!(
        "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256={}\r\nContent-Length: 26214400\r\n\r\n",
        "0".repeat(64)
    );
    let stalled = [head.as_bytes(), &vec![b' '; 20 * 1024 * 1024]].concat();
    let mut flood = Vec::new();
    for _ in 0..12 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Cannot end where the service reads no more.
        let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(&stalled)).await;
        flood.push(stream);
    }
    let mut large = push("main");
    large.resize(2 * 1024 * 1024, b' ');
    let answer = tokio::time::timeout(Duration::from_secs(5), talk(address, &signed(&large))).await;
    assert!(answer.expect("answered while the flood stalls").starts_with("HTTP/1.1 202"));
    let answer = tokio::time::timeout(Duration::from_secs(5), talk(address, &signed(&push("small")))).await;
    assert!(answer.expect("a small one as well").starts_with("HTTP/1.1 202"));
    drop(flood);
}
