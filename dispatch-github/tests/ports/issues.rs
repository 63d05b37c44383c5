//! Issues.

use dispatch_core::Timestamp;
use dispatch_core::ports::github::RepositoryRef;
use dispatch_core::ports::issues::IssueChange;
use dispatch_core::testing::world::{FaultKind, World};

use crate::{Issues, Ports, all, app, fault, limited, told};

/// What is done with issues.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Looks for the open one with this in its text.
    Find(&'static str),
    /// Opens one with this title and this text.
    Create(&'static str, &'static str),
    /// Opens one whose text has so many characters.
    CreateLong(usize),
    /// Changes one: its text, and whether it is open.
    Change(u64, Option<&'static str>, Option<bool>),
}
use Step::{Change, Create, CreateLong, Find};

pub(crate) async fn ask(port: &dyn Ports, app: &RepositoryRef, steps: &[Step]) -> String {
    let mut answers = Vec::new();
    for step in steps {
        answers.push(match *step {
            Find(marker) => told(port.find_issue(app, marker).await),
            Create(title, body) => told(port.create_issue(app, title, body, Timestamp::MAX).await),
            CreateLong(characters) => told(port.create_issue(app, "t", &"ä".repeat(characters), Timestamp::MAX).await),
            Change(number, body, open) => told(port.update_issue(app, number, IssueChange { body, open }).await),
        });
    }
    answers.join("; ")
}

const TITLE: &str = "cd.yml could not be started";

#[tokio::test]
async fn issues_are_found_opened_and_changed() {
    let told = all(&[
        ("none", |_| (), Issues(&[Find("<!-- m -->")])),
        ("one", |_| (), Issues(&[Create(TITLE, "a <!-- m --> b"), Find("<!-- m -->"), Find("<!-- n -->")])),
        (
            "closed and open again",
            |_| (),
            Issues(&[
                Create(TITLE, "m"),
                Change(1, None, Some(false)),
                Find("m"),
                Change(1, Some("n"), Some(true)),
                Find("m"),
                Find("n"),
            ]),
        ),
        ("of a stranger", strangers, Issues(&[Find("m")])),
        ("no such issue", |_| (), Issues(&[Change(7, None, Some(false))])),
        ("as long as can be", |_| (), Issues(&[CreateLong(65_536)])),
        ("switched off", |w| w.set_has_issues(&app(), false).unwrap(), Issues(&[Create(TITLE, "m")])),
        ("no permission", forbidden, Issues(&[Find("m"), Create(TITLE, "m")])),
        ("server error", |w| fault(w, FaultKind::status(502)), Issues(&[Find("m"), Create(TITLE, "m"), CHANGED])),
        (
            "cut after the effect",
            |w| fault(w, FaultKind::CutAfter),
            Issues(&[Create(TITLE, "m"), CHANGED, FOUND, FOUND]),
        ),
        ("cut before it", |w| fault(w, FaultKind::CutBefore), Issues(&[Create(TITLE, "m"), FOUND, FOUND])),
        ("rate limit", |w| fault(w, limited(Some(7), None, false)), Issues(&[Create(TITLE, "m")])),
        ("forbidden", |w| fault(w, FaultKind::status(403)), Issues(&[Create(TITLE, "m")])),
        ("no App any more", |w| w.uninstall(&app()).unwrap(), Issues(&[Find("m")])),
    ])
    .await;
    insta::assert_snapshot!(told, @r#"
    none: None, 0 started
    one: 1; Some(1); None, 0 started
    closed and open again: 1; (); None; (); None; Some(1), 0 started
    of a stranger: None, 0 started
    no such issue: GitHub refused (404): Not Found, 0 started
    as long as can be: 1, 0 started
    switched off: GitHub refused (410): Issues has been disabled in this repository., 0 started
    no permission: GitHub refused (422): The permissions requested are not granted to this installation. It wants issues: write; GitHub refused (422): The permissions requested are not granted to this installation. It wants issues: write, 0 started
    server error: unavailable; in doubt; in doubt, 0 started
    cut after the effect: in doubt; in doubt; unavailable; None, 0 started
    cut before it: in doubt; unavailable; None, 0 started
    rate limit: rate-limited: After(7s), 0 started
    forbidden: GitHub refused (403): Something went wrong, 0 started
    no App any more: the App is not installed on acme/app, 0 started
    "#);
}

const CHANGED: Step = Change(1, Some("n"), None);
const FOUND: Step = Find("m");

/// An issue that somebody else wrote, with the marker in it.
fn strangers(world: &mut World) {
    world.open_issue(&app(), "mallory", TITLE, "m").unwrap();
}

fn forbidden(world: &mut World) {
    let mut permissions = world.app().permissions.clone();
    permissions.remove("issues");
    world.set_permissions(&"acme".parse().unwrap(), permissions).unwrap();
}
