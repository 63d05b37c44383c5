//! Making events.

use dispatch_core::request::{DispatchRequest, RepositoryDispatch};
use dispatch_core::testing::world::FaultKind;

use crate::{Event, all, app, fault, limited, without};

pub(crate) fn request(name: &str) -> DispatchRequest {
    let payload = [("merged".to_owned(), true.into()), ("pr_number".to_owned(), "7".into())].into();
    DispatchRequest::Event(RepositoryDispatch::new(name.parse().unwrap(), payload).unwrap())
}

#[tokio::test]
async fn events() {
    const CLOSED: crate::Ask = Event("pr-closed");
    let told = all(&[
        ("that nobody listens to", |_| (), CLOSED),
        ("no permission", |w| without(w, "contents"), CLOSED),
        ("no App any more", |w| w.uninstall(&app()).unwrap(), CLOSED),
        ("forbidden", |w| fault(w, FaultKind::status(403)), CLOSED),
        ("server error", |w| fault(w, FaultKind::status(502)), CLOSED),
        ("cut before the effect", |w| fault(w, FaultKind::CutBefore), CLOSED),
        ("cut after the effect", |w| fault(w, FaultKind::CutAfter), CLOSED),
        ("rate limit", |w| fault(w, limited(Some(7), None, true)), CLOSED),
    ])
    .await;
    insta::assert_snapshot!(told, @r#"
    that nobody listens to: None, 1 started
    no permission: GitHub refused (422): The permissions requested are not granted to this installation. It wants contents: write, 0 started
    no App any more: the App is not installed on acme/app, 0 started
    forbidden: GitHub refused (403): Something went wrong, 0 started
    server error: in doubt, 0 started
    cut before the effect: in doubt, 0 started
    cut after the effect: in doubt, 1 started
    rate limit: rate-limited: After(7s), 0 started
    "#);
}
