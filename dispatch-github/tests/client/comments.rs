//! Comments on pull requests, and reactions to them.

use dispatch_core::Timestamp;
use dispatch_core::name::{CommentId, PullRequestNumber};
use dispatch_core::notice::Reaction;
use dispatch_core::ports::github::GitHubError;
use dispatch_core::ports::notices::NoticePort;
use dispatch_github::GitHub;
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use crate::fake::*;

const SEVEN: PullRequestNumber = PullRequestNumber(7);
const MARKER: &str = "<!-- marker -->";

fn comment(id: u64, author: &str, body: Option<&str>) -> Value {
    json!({ "id": id, "user": { "login": author, "id": 1 }, "body": body })
}

/// A page of comments; `Link` names the last page, at an address that nobody may follow.
async fn page(fake: &Fake, number: usize, last: usize, comments: Vec<Value>) {
    let mut answer = ok(comments.into());
    if number < last {
        let elsewhere = format!("{}/elsewhere", fake.server.uri());
        let link = format!("<{elsewhere}?page={}>; rel=\"next\", <{elsewhere}?page={last}>; rel=\"last\"", number + 1);
        answer = answer.insert_header("link", link);
    }
    Mock::given(method("GET"))
        .and(path(COMMENTS))
        .and(query_param("page", number.to_string()))
        .and(query_param("per_page", "100"))
        .respond_with(answer)
        .mount(&fake.server)
        .await;
}

async fn find(github: &GitHub) -> Result<Option<CommentId>, GitHubError> {
    github.find_comment(&app_ref(), SEVEN, MARKER).await
}

async fn fake_with_app() -> Fake {
    let fake = Fake::start().await;
    fake.answer_app().await;
    fake
}

#[tokio::test]
async fn only_the_apps_own_comment_with_the_marker_is_found() {
    let fake = fake_with_app().await;
    let text = Some("text <!-- marker --> text");
    let mut nobody = comment(6, "x", text);
    nobody["user"] = Value::Null;
    let comments = vec![
        comment(1, "Dispatch[bot]", text),
        comment(2, "mallory", text),
        comment(3, "dispatch", text),
        comment(4, "dispatch[bot]", Some("another text")),
        comment(5, "dispatch[bot]", None),
        nobody,
    ];
    page(&fake, 1, 1, comments).await;
    let github = fake.github();
    assert_eq!(find(&github).await, Ok(Some(CommentId(1))));
    assert_eq!(github.find_comment(&app_ref(), SEVEN, "another marker").await, Ok(None));
    assert_eq!(fake.minted().await, [only("pull_requests", "write")]);
    assert_eq!(fake.requests("GET", "/app").await.len(), 1, "asked once");
}

#[tokio::test]
async fn the_newest_thousand_are_looked_through_newest_first() {
    let filler = |count: usize| vec![comment(1, "octocat", Some(MARKER)); count];
    let ours = |id| comment(id, "dispatch[bot]", Some(MARKER));
    // 12 pages, the last one with 30 comments: the newest thousand begin with the 31st comment of the second page.
    for (case, on_second, expected, pages) in [
        ("the oldest of them", 30, Some(CommentId(99)), vec![1, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]),
        ("one that is older", 29, None, vec![1, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]),
    ] {
        let fake = fake_with_app().await;
        for number in 1..=12 {
            let mut comments = filler(if number == 12 { 30 } else { 100 });
            if number == 2 {
                comments[on_second] = ours(99);
            }
            page(&fake, number, 12, comments).await;
        }
        assert_eq!(find(&fake.github()).await, Ok(expected), "{case}");
        let asked: Vec<usize> = fake
            .requests("GET", COMMENTS)
            .await
            .iter()
            .map(|request| request.url.query_pairs().find(|(name, _)| name == "page").unwrap().1.parse().unwrap())
            .collect();
        assert_eq!(asked, pages, "{case}");
        assert!(fake.requests("GET", "/elsewhere").await.is_empty());
    }
    let fake = fake_with_app().await;
    page(&fake, 1, 2, vec![ours(1); 100]).await;
    page(&fake, 2, 2, vec![ours(2), ours(3)]).await;
    assert_eq!(find(&fake.github()).await, Ok(Some(CommentId(3))), "the newest");
}

#[tokio::test]
async fn not_found_is_only_said_when_everything_was_seen() {
    let broken = |link: &str| ok(json!([])).insert_header("link", link);
    for (app, answer) in [
        (json!({ "slug": "dispatch" }), ok(json!([{ "body": "x" }]))),
        (json!({ "slug": "dispatch" }), ok(json!({}))),
        (json!({ "slug": "dispatch" }), ResponseTemplate::new(502)),
        (json!({ "slug": "dispatch" }), broken("<https://x/>; rel=\"last\"")),
        (json!({ "slug": "dispatch" }), broken("<https://x/?page=0>; rel=\"last\"")),
        (json!({ "slug": "dispatch" }), broken("<https://x/?page=-1>; rel=\"last\"")),
        (json!({ "slug": null }), ok(json!([]))),
    ] {
        let fake = Fake::start().await;
        fake.answer("GET", "/app", ok(app)).await;
        fake.answer("GET", COMMENTS, answer).await;
        let error = find(&fake.github()).await.unwrap_err();
        assert!(matches!(&error, GitHubError::Unavailable(_)), "{error}");
    }
}

#[tokio::test]
async fn a_last_page_that_is_absurdly_far_away_costs_a_bounded_number_of_requests() {
    let fake = fake_with_app().await;
    let link = format!("<https://x/?page={}>; rel=\"last\"", usize::MAX);
    fake.answer("GET", COMMENTS, ok(json!([])).insert_header("link", link)).await;
    assert_eq!(find(&fake.github()).await, Ok(None));
    assert_eq!(fake.requests("GET", COMMENTS).await.len(), 12);
}

#[tokio::test]
async fn a_comment_is_one_post_and_its_change_one_patch() {
    let fake = Fake::start().await;
    let created = ResponseTemplate::new(201).set_body_json(comment(31, "dispatch[bot]", None));
    fake.answer("POST", COMMENTS, created).await;
    fake.answer("PATCH", COMMENT, ok(comment(31, "dispatch[bot]", None))).await;
    let github = fake.github();
    assert_eq!(github.create_comment(&app_ref(), SEVEN, "text", Timestamp::MAX).await, Ok(CommentId(31)));
    github.update_comment(&app_ref(), CommentId(31), "other", Timestamp::MAX).await.unwrap();
    let sent: Value = fake.requests("POST", COMMENTS).await[0].body_json().unwrap();
    assert_eq!(sent, json!({ "body": "text" }));
    let sent: Value = fake.requests("PATCH", COMMENT).await[0].body_json().unwrap();
    assert_eq!(sent, json!({ "body": "other" }));
    assert_eq!(fake.minted().await, [only("pull_requests", "write")]);
}

#[tokio::test]
async fn a_reaction_that_is_there_already_is_a_success() {
    let fake = Fake::start().await;
    fake.answer_once("POST", REACTIONS, ResponseTemplate::new(201).set_body_json(json!({ "id": 1 }))).await;
    fake.answer("POST", REACTIONS, ok(json!({ "id": 1 }))).await;
    let github = fake.github();
    for reaction in [Reaction::Eyes, Reaction::Confused] {
        github.react(&app_ref(), CommentId(31), reaction).await.unwrap();
    }
    let sent: Vec<Value> =
        fake.requests("POST", REACTIONS).await.iter().map(|request| request.body_json().unwrap()).collect();
    assert_eq!(sent, [json!({ "content": "eyes" }), json!({ "content": "confused" })]);
    assert_eq!(fake.minted().await, [only("pull_requests", "write")]);
}

#[tokio::test]
async fn a_missing_answer_is_in_doubt_and_a_refusal_is_none() {
    type Expected = fn(&GitHubError) -> bool;
    let in_doubt: Expected = |error| matches!(error, GitHubError::InDoubt(_));
    let refused: Expected = |error| matches!(error, GitHubError::Refused { permission: None, .. });
    let forbidden: Expected = |error| matches!(error, GitHubError::Refused { permission: Some(wanted), .. } if wanted == "pull_requests=write");
    let missing = status(403, "Resource not accessible by integration");
    for (answer, expected) in [
        (ResponseTemplate::new(502), in_doubt),
        (ResponseTemplate::new(201).set_body_string("<html>"), in_doubt),
        (ResponseTemplate::new(301).insert_header("location", "/elsewhere"), refused),
        (missing.insert_header("x-accepted-github-permissions", "pull_requests=write"), forbidden),
        (status(404, "Not Found"), refused),
        (status(422, "Validation Failed"), refused),
    ] {
        let fake = Fake::start().await;
        fake.answer("POST", COMMENTS, answer).await;
        let error = fake.github().create_comment(&app_ref(), SEVEN, "text", Timestamp::MAX).await.unwrap_err();
        assert!(expected(&error), "{error}");
        assert_eq!(fake.requests("POST", COMMENTS).await.len(), 1);
    }
}

#[tokio::test]
async fn what_is_too_long_or_too_late_is_not_sent() {
    let fake = Fake::start().await;
    let github = fake.github();
    let long = "ä".repeat(65_537);
    for refused in [
        github.create_comment(&app_ref(), SEVEN, &long, Timestamp::MAX).await.map(drop),
        github.update_comment(&app_ref(), CommentId(31), &long, Timestamp::MAX).await,
    ] {
        assert!(matches!(refused, Err(GitHubError::Refused { status: 422, .. })), "{refused:?}");
    }
    assert!(fake.log().await.is_empty());
    let late = github.create_comment(&app_ref(), SEVEN, "text", Timestamp::UNIX_EPOCH).await;
    assert!(matches!(late, Err(GitHubError::Unavailable(_))), "{late:?}");
    assert!(fake.requests("POST", COMMENTS).await.is_empty());
}
