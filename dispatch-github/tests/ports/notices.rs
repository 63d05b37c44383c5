//! Check runs, comments and reactions.

use dispatch_core::Timestamp;
use dispatch_core::name::{CheckRunId, CommentId, CommitSha, PullRequestNumber};
use dispatch_core::notice::{AnnotationLevel, Check, CheckAnnotation, CheckConclusion, CheckStatus, Reaction};
use dispatch_core::ports::github::RepositoryRef;
use dispatch_core::testing::world::{FaultKind, MintRequest, PullRequestSpec, World};

use crate::{Notices, Ports, all, app, fault, limited, told, without};

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Looks for the check.
    FindCheck,
    /// Makes the check, with a summary of so many characters.
    CreateCheck(usize),
    /// Makes the check when it is too late for it.
    CreateCheckLate,
    /// Completes the check that was made last, or one that is not there.
    Complete,
    /// Looks for the comment with this in it.
    FindComment(&'static str),
    /// Comments on pull request 1 or another one.
    Comment(u64, &'static str),
    /// Comments with so many characters.
    CommentLong(usize),
    /// Changes the comment that was made last, or one that is not there.
    Change(&'static str),
    /// Reacts to the comment that was made last, or to one that is not there.
    React(Reaction),
}
use Step::{Change, Comment, CommentLong, Complete, CreateCheck, CreateCheckLate, FindCheck, FindComment, React};

pub(crate) async fn ask(port: &dyn Ports, app: &RepositoryRef, head: &CommitSha, steps: &[Step]) -> String {
    let mut answers = Vec::new();
    let (mut last_check, mut last_comment) = (CheckRunId(1), CommentId(1));
    let pull = PullRequestNumber(1);
    for step in steps {
        let mut check = check(app, head);
        answers.push(match *step {
            FindCheck => told(port.find_check(&check).await),
            CreateCheck(characters) => {
                check.summary = "ä".repeat(characters);
                let made = port.create_check(&check, Timestamp::MAX).await;
                last_check = made.as_ref().copied().unwrap_or(last_check);
                told(made)
            }
            CreateCheckLate => {
                told(port.create_check(&check, Timestamp::now() - std::time::Duration::from_secs(1)).await)
            }
            Complete => {
                check.status = CheckStatus::Completed(CheckConclusion::Neutral);
                told(port.update_check(last_check, &check, Timestamp::MAX).await)
            }
            FindComment(marker) => told(port.find_comment(app, pull, marker).await),
            Comment(number, body) => {
                let made = port.create_comment(app, PullRequestNumber(number), body, Timestamp::MAX).await;
                last_comment = made.as_ref().copied().unwrap_or(last_comment);
                told(made)
            }
            CommentLong(characters) => {
                told(port.create_comment(app, pull, &"ä".repeat(characters), Timestamp::MAX).await)
            }
            Change(body) => told(port.update_comment(app, last_comment, body, Timestamp::MAX).await),
            React(reaction) => told(port.react(app, last_comment, reaction).await),
        });
    }
    answers.join("; ")
}

fn check(app: &RepositoryRef, head: &CommitSha) -> Check {
    let annotation = |line| CheckAnnotation {
        path: "dispatching.yml".to_owned(),
        start_line: line,
        end_line: line,
        level: AnnotationLevel::Warning,
        title: "t".to_owned(),
        message: "m".to_owned(),
    };
    Check {
        id: "ab".repeat(32).parse().unwrap(),
        repository: app.clone(),
        head_sha: head.clone(),
        name: "dispatch / acme/app / cd.yml".to_owned(),
        origin: None,
        status: CheckStatus::Queued,
        title: "queued".to_owned(),
        summary: "It waits.".to_owned(),
        details_url: Some("https://example.com/run".to_owned()),
        annotations: (1..=51).map(annotation).collect(),
    }
}

fn opened(world: &mut World) {
    world.open_pull_request(&app(), PullRequestSpec::new("topic")).unwrap();
}

#[tokio::test]
async fn checks_are_found_made_and_completed() {
    let told = all(&[
        ("none", opened, Notices(&[FindCheck, Complete])),
        ("one", opened, Notices(&[CreateCheck(9), FindCheck, Complete, FindCheck])),
        ("the newest", opened, Notices(&[CreateCheck(9), CreateCheck(9), FindCheck])),
        ("as long as can be", opened, Notices(&[CreateCheck(65_535), CreateCheck(65_536)])),
        ("too late", opened, Notices(&[CreateCheckLate, FindCheck])),
        ("cut after the effect", cut_after, Notices(&[CreateCheck(9), FindCheck, FindCheck])),
        ("cut before it", cut_before, Notices(&[CreateCheck(9), FindCheck, FindCheck])),
        ("server error", broken, Notices(&[CreateCheck(9), FindCheck, Complete])),
        ("rate limit", slow, Notices(&[CreateCheck(9)])),
        ("no permission", without_checks, Notices(&[FindCheck, CreateCheck(9)])),
        ("no App any more", uninstalled, Notices(&[CreateCheck(9)])),
    ])
    .await;
    insta::assert_snapshot!(told, @r#"
    none: None; GitHub refused (404): Not Found, 0 started
    one: CheckRunId(5000000028); Some(CheckRunId(5000000028)); (); Some(CheckRunId(5000000028)), 0 started
    the newest: CheckRunId(5000000028); CheckRunId(5000000029); Some(CheckRunId(5000000029)), 0 started
    as long as can be: CheckRunId(5000000028); GitHub refused (422): summary is too long (maximum is 65535 characters), 0 started
    too late: unavailable; None, 0 started
    cut after the effect: in doubt; unavailable; Some(CheckRunId(5000000028)), 0 started
    cut before it: in doubt; unavailable; None, 0 started
    server error: in doubt; unavailable; in doubt, 0 started
    rate limit: rate-limited: After(7s), 0 started
    no permission: GitHub refused (422): The permissions requested are not granted to this installation. It wants checks: write; GitHub refused (422): The permissions requested are not granted to this installation. It wants checks: write, 0 started
    no App any more: the App is not installed on acme/app, 0 started
    "#);
}

#[tokio::test]
async fn comments_are_found_made_changed_and_reacted_to() {
    let told = all(&[
        ("none", opened, Notices(&[FindComment("<!-- m -->"), Change("n"), React(Reaction::Eyes)])),
        (
            "one",
            opened,
            Notices(&[
                Comment(1, "a <!-- m --> b"),
                FindComment("<!-- m -->"),
                Change("<!-- n -->"),
                FindComment("<!-- m -->"),
                FindComment("<!-- n -->"),
            ]),
        ),
        ("of a stranger", strangers, Notices(&[FindComment("m")])),
        ("among many", many, Notices(&[FindComment("early"), FindComment("late"), FindComment("none")])),
        ("no pull request", |_| (), Notices(&[Comment(7, "m"), FindComment("m")])),
        ("as long as can be", opened, Notices(&[CommentLong(65_536), CommentLong(65_537)])),
        (
            "reactions",
            opened,
            Notices(&[Comment(1, "m"), React(Reaction::Eyes), React(Reaction::Eyes), React(Reaction::Confused)]),
        ),
        ("cut after the effect", cut_after, Notices(&[Comment(1, "m"), FOUND, FOUND])),
        ("cut before it", cut_before, Notices(&[Comment(1, "m"), FOUND, FOUND])),
        ("server error", broken, Notices(&[Comment(1, "m"), FOUND, Change("n")])),
        ("no permission", without_pull_requests, Notices(&[FOUND, Comment(1, "m")])),
    ])
    .await;
    insta::assert_snapshot!(told, @r#"
    none: None; GitHub refused (404): Not Found; GitHub refused (404): Not Found, 0 started
    one: CommentId(5000000028); Some(CommentId(5000000028)); (); None; Some(CommentId(5000000028)), 0 started
    of a stranger: None, 0 started
    among many: None; Some(CommentId(5000000228)); None, 0 started
    no pull request: GitHub refused (404): Not Found; GitHub refused (404): Not Found, 0 started
    as long as can be: CommentId(5000000028); GitHub refused (422): body is too long (maximum is 65536 characters), 0 started
    reactions: CommentId(5000000028); (); (); (), 0 started
    cut after the effect: in doubt; unavailable; Some(CommentId(5000000028)), 0 started
    cut before it: in doubt; unavailable; None, 0 started
    server error: in doubt; unavailable; in doubt, 0 started
    no permission: GitHub refused (422): The permissions requested are not granted to this installation. It wants pull_requests: write; GitHub refused (422): The permissions requested are not granted to this installation. It wants pull_requests: write, 0 started
    "#);
}

const FOUND: Step = FindComment("m");

fn cut_after(world: &mut World) {
    opened(world);
    fault(world, FaultKind::CutAfter);
}

fn cut_before(world: &mut World) {
    opened(world);
    fault(world, FaultKind::CutBefore);
}

fn broken(world: &mut World) {
    opened(world);
    fault(world, FaultKind::status(502));
}

fn slow(world: &mut World) {
    opened(world);
    fault(world, limited(Some(7), None, false));
}

fn without_checks(world: &mut World) {
    opened(world);
    without(world, "checks");
}

fn without_pull_requests(world: &mut World) {
    opened(world);
    without(world, "pull_requests");
}

fn uninstalled(world: &mut World) {
    opened(world);
    world.uninstall(&app()).unwrap();
}

/// Somebody else's comments with the marker in them.
fn strangers(world: &mut World) {
    opened(world);
    world.comment(&app(), 1, "mallory", "m").unwrap();
    world.comment_through_app(&app(), 1, "other[bot]", "m", "other").unwrap();
}

/// The App's comment among 1,100: one too early, and one that is near enough.
fn many(world: &mut World) {
    opened(world);
    let installation = world.installation(&app()).unwrap().id;
    let token = world.mint_token(installation, MintRequest::default()).unwrap().token;
    for number in 0..1_100 {
        let _id = match number {
            99 => world.create_comment(&token, &app(), 1, "early").unwrap().id,
            100 => world.create_comment(&token, &app(), 1, "late").unwrap().id,
            _ => world.comment(&app(), 1, "octocat", "hello").unwrap(),
        };
    }
}
