//! Reading policy files.

use std::time::Duration;

use dispatch_core::name::RepositoryId;
use dispatch_core::policy::{MAX_BYTES, PolicyPath};
use dispatch_core::ports::github::{FileRead, FileVersion, GitHubError, GitHubPort, RateLimitReset};
use dispatch_github::GitHub;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::fake::*;

async fn read(github: &GitHub, known: Option<&FileVersion>) -> Result<FileRead, GitHubError> {
    github.read_file(&app(), None, PolicyPath::Root, known).await
}

fn version(etag: &str) -> FileVersion {
    FileVersion { etag: etag.to_owned() }
}

#[tokio::test]
async fn a_file_comes_with_its_repository_its_blob_and_its_version() {
    let fake = Fake::start().await;
    let text = "outbound: []\n".repeat(100);
    fake.answer("GET", FILE, ok(file(text.as_bytes())).insert_header("etag", "W/\"v1\"")).await;
    let found = read(&fake.github(), None).await.unwrap();
    let expected = FileRead::Found {
        repository: FOUND,
        bytes: text.into_bytes(),
        blob_sha: "3d21ec53a331a6f037a91c368710b99387d012c1".to_owned(),
        version: Some(version("W/\"v1\"")),
    };
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_default_branch_is_read_with_the_headers_that_github_wants() {
    let fake = Fake::start().await;
    fake.answer("GET", "/repos/acme/app/contents/.github/dispatching.yml", ok(file(b"{}"))).await;
    fake.github().read_file(&app(), None, PolicyPath::DotGithub, None).await.unwrap();
    let requests = fake.requests("GET", "/repos/acme/app/contents/.github/dispatching.yml").await;
    assert_eq!(requests[0].url.query(), None, "no `ref`");
    for (name, value) in [
        ("authorization", "Bearer ghs_secret_1"),
        ("accept", "application/vnd.github+json"),
        ("x-github-api-version", "2022-11-28"),
        ("user-agent", concat!("dispatch-github/", env!("CARGO_PKG_VERSION"))),
    ] {
        let values: Vec<_> = requests[0].headers.get_all(name).iter().collect();
        assert_eq!(values, [value], "{name}");
    }
}

#[tokio::test]
async fn a_known_version_is_asked_for_with_its_quotes_and_need_not_come_again() {
    let fake = Fake::start().await;
    fake.answer_once("GET", FILE, ok(file(b"{}")).insert_header("etag", "\"v1\"")).await;
    fake.answer("GET", FILE, ResponseTemplate::new(304)).await;
    let github = fake.github();
    read(&github, None).await.unwrap();
    assert_eq!(read(&github, Some(&version("\"v1\""))).await.unwrap(), FileRead::NotModified);
    let requests = fake.requests("GET", FILE).await;
    assert!(!requests[0].headers.contains_key("if-none-match"));
    assert_eq!(requests[1].headers["if-none-match"], "\"v1\"");
}

#[tokio::test]
async fn an_etag_of_another_token_is_never_sent() {
    let fake = Fake::start().await;
    fake.install("other/app", 43, 8).await;
    let file = |text: &str| ok(file(text.as_bytes())).insert_header("etag", "\"same\"");
    fake.answer("GET", FILE, file("a: 1")).await;
    fake.answer("GET", "/repos/other/app/contents/dispatching.yml", file("b: 2")).await;
    let github = fake.github();
    read(&github, None).await.unwrap();
    // The other installation has not been given this version, whatever the caller believes.
    let other = "other/app".parse().unwrap();
    github.read_file(&other, None, PolicyPath::Root, Some(&version("\"same\""))).await.unwrap();
    // Nor has a new client's new token.
    read(&fake.github(), Some(&version("\"same\""))).await.unwrap();
    let all = fake.server.received_requests().await.unwrap();
    assert!(all.iter().all(|request| !request.headers.contains_key("if-none-match")));
}

/// A token outlives what it was made for, and then GitHub says of each file that it is not there.
#[tokio::test]
async fn a_file_that_is_gone_is_asked_for_with_a_new_token_so_that_a_lost_app_is_no_lost_file() {
    let gone = || status(404, "Not Found");
    for (case, installation, token_again, expected) in [
        ("no App any more", gone(), status(422, "not accessible"), FileRead::NotInstalled),
        (
            "no file any more",
            ok(json!({ "id": 7 })),
            token("ghs_2", Duration::from_secs(3600), &json!([{ "id": 42, "full_name": "acme/app", "private": true }])),
            FileRead::NoSuchFile { repository: FOUND },
        ),
    ] {
        let fake = Fake::bare().await;
        let found = json!([{ "id": 42, "full_name": "acme/app", "private": true }]);
        fake.answer_once("GET", INSTALLATION, ok(json!({ "id": 7 }))).await;
        fake.answer_once("POST", TOKENS, token("ghs_1", Duration::from_secs(3600), &found)).await;
        fake.answer_once("GET", FILE, ok(file(b"{}"))).await;
        fake.answer("GET", INSTALLATION, installation).await;
        fake.answer("POST", TOKENS, token_again).await;
        fake.answer("GET", FILE, gone()).await;
        let github = fake.github();
        assert!(matches!(read(&github, None).await.unwrap(), FileRead::Found { .. }), "{case}");
        assert_eq!(read(&github, None).await.unwrap(), expected, "{case}");
        // What is known to be gone costs no more.
        let before = fake.log().await.len();
        assert_eq!(read(&github, None).await.unwrap(), expected, "{case}");
        assert!(fake.log().await.len() <= before + 1, "{case}: {:#?}", fake.log().await);
    }
}

#[tokio::test]
async fn what_is_no_file_is_no_file() {
    let entry = json!({ "type": "file", "name": "x", "path": "dispatching.yml/x", "sha": "0", "size": 1 });
    let long_listing = json!(vec![json!({ "type": "file", "name": "x".repeat(4_000) }); 1_000]);
    for (case, answer) in [
        ("not there", status(404, "Not Found")),
        ("a directory", ok(json!([entry]))),
        ("a directory beyond the limit of a body", ok(long_listing)),
        ("a symlink to nowhere", ok(json!({ "type": "symlink", "target": "../x", "sha": "0", "size": 4 }))),
        ("a submodule", ok(json!({ "type": "submodule", "submodule_git_url": "x", "sha": "0", "size": 0 }))),
    ] {
        let fake = Fake::start().await;
        fake.answer("GET", FILE, answer).await;
        let answer = read(&fake.github(), None).await.unwrap();
        assert_eq!(answer, FileRead::NoSuchFile { repository: FOUND }, "{case}");
    }
}

#[tokio::test]
async fn a_file_that_is_too_long_is_cut_one_byte_behind_the_limit() {
    let without_content = json!({ "type": "file", "encoding": "none", "size": 5_000_000, "content": "", "sha": "0" });
    for (case, body) in [
        ("with its content", file(&vec![b'a'; MAX_BYTES + 10])),
        ("with the most content that GitHub gives", file(&vec![b'a'; 1_000_000])),
        ("without content", without_content),
    ] {
        let fake = Fake::start().await;
        fake.answer("GET", FILE, ok(body)).await;
        let FileRead::Found { bytes, .. } = read(&fake.github(), None).await.unwrap() else { panic!("{case}") };
        assert_eq!(bytes.len(), MAX_BYTES + 1, "{case}");
    }
}

#[tokio::test]
async fn a_moved_repository_is_no_repository_and_its_redirect_is_not_followed() {
    for code in [301, 302, 307, 308] {
        let fake = Fake::start().await;
        let location = format!("{}/elsewhere", fake.server.uri());
        fake.answer("GET", FILE, ResponseTemplate::new(code).insert_header("location", location)).await;
        assert_eq!(read(&fake.github(), None).await.unwrap(), FileRead::NoSuchRepository, "{code}");
        assert!(fake.requests("GET", "/elsewhere").await.is_empty());
    }
}

#[tokio::test]
async fn another_repository_behind_the_name_is_no_repository() {
    let fake = Fake::start().await;
    let read = fake.github().read_file(&app(), Some(RepositoryId(41)), PolicyPath::Root, None).await;
    assert_eq!(read.unwrap(), FileRead::NoSuchRepository);
    assert_eq!(fake.log().await, [format!("GET {INSTALLATION}"), format!("POST {TOKENS}")], "the file was not read");
}

#[tokio::test]
async fn a_read_is_never_in_doubt() {
    for (case, answer, expected) in [
        ("bad gateway", status(502, "Server Error"), unavailable("502 Bad Gateway: Server Error")),
        (
            "no JSON",
            ResponseTemplate::new(200).set_body_string("{"),
            unavailable("200 OK, but its body: cannot be understood"),
        ),
        (
            "not what was asked for",
            ResponseTemplate::new(304),
            GitHubError::Refused { status: 304, message: "Not Modified".to_owned(), permission: None },
        ),
        (
            "forbidden",
            status(403, "Resource not accessible by integration")
                .insert_header("x-accepted-github-permissions", "contents=read"),
            GitHubError::Refused {
                status: 403,
                message: "Resource not accessible by integration".to_owned(),
                permission: Some("contents=read".to_owned()),
            },
        ),
        (
            "rate limit",
            status(429, "slow down").insert_header("retry-after", "30"),
            GitHubError::RateLimited {
                until: RateLimitReset::After(std::time::Duration::from_secs(30)),
                message: "slow down".to_owned(),
            },
        ),
    ] {
        let fake = Fake::start().await;
        fake.answer("GET", FILE, answer).await;
        assert_eq!(read(&fake.github(), None).await, Err(expected), "{case}");
    }
}

fn unavailable(error: &str) -> GitHubError {
    GitHubError::Unavailable(error.to_owned())
}
