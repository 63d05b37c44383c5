//! The dashboard behind the HTTP API, in a browser.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::deployment::{ADMIN_TOKEN, Deployment};
use crate::events::gateway_event;
use crate::stage::Stage;

/// A browser: it keeps the cookie, and says where a form comes from.
pub(crate) struct Browser<'a> {
    deployment: &'a Deployment,
    cookie: Option<String>,
}

/// What it got.
pub(crate) struct Answer {
    pub(crate) status: u64,
    pub(crate) location: String,
    pub(crate) page: String,
    /// The cookies that were set, with their attributes.
    pub(crate) cookies: Vec<String>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(deployment: &'a Deployment) -> Self {
        Self { deployment, cookie: None }
    }

    /// One that logged in.
    pub(crate) async fn inside(deployment: &'a Deployment) -> Self {
        let mut browser = Self::new(deployment);
        assert_eq!(browser.submits("/admin/login", &[("token", ADMIN_TOKEN)]).await.status, 303);
        browser
    }

    pub(crate) async fn opens(&mut self, path: &str) -> Answer {
        self.asks("GET", path, json!({ "host": "dispatch.example.com" }), None).await
    }

    /// Sends a form of one of our pages.
    pub(crate) async fn submits(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let headers = json!({
            "host": "dispatch.example.com",
            "origin": "https://dispatch.example.com",
            "sec-fetch-site": "same-origin",
            "content-type": "application/x-www-form-urlencoded",
        });
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.asks("POST", path, headers, Some(&fields.join("&"))).await
    }

    async fn asks(&mut self, method: &str, path: &str, headers: Value, body: Option<&str>) -> Answer {
        let mut event = gateway_event(method, path, &headers, body);
        event["cookies"] = self.cookie.iter().map(String::as_str).collect();
        let answer = self.deployment.invoke("admin", event).await.unwrap();
        let texts =
            |value: &Value| value.as_array().into_iter().flatten().map(|it| it.as_str().unwrap().to_owned()).collect();
        let cookies: Vec<String> = texts(&answer["cookies"]);
        if let Some(set) = cookies.first() {
            self.cookie = (!set.contains("Max-Age=0")).then(|| set.split(';').next().unwrap().to_owned());
        }
        Answer {
            status: answer["statusCode"].as_u64().unwrap(),
            location: answer["headers"]["location"].as_str().unwrap_or_default().to_owned(),
            page: answer["body"].as_str().unwrap_or_default().to_owned(),
            cookies,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_opens_a_session_that_the_browser_keeps_to_https_and_that_ends() {
    // No other function has anything to do here, and `admin` is given no secret of theirs.
    let stage = Stage::new().await;
    let mut browser = Browser::new(&stage.deployment);
    let first = browser.opens("/admin").await;
    assert_eq!((first.status, first.location.as_str()), (303, "./admin/login"));
    let form = browser.opens("/admin/login").await;
    assert!(form.status == 200 && form.page.contains("name=\"token\""), "{}", form.page);

    let wrong = browser.submits("/admin/login", &[("token", "a token that somebody guessed")]).await;
    assert_eq!((wrong.status, wrong.cookies.len()), (401, 0));
    assert_eq!(browser.opens("/admin").await.status, 303, "still outside");

    let right = browser.submits("/admin/login", &[("token", ADMIN_TOKEN)]).await;
    assert_eq!((right.status, right.location.as_str()), (303, "../admin"));
    let attributes = right.cookies[0].split_once("; ").unwrap().1;
    assert_eq!(attributes, "Max-Age=43200; HttpOnly; SameSite=Strict; Secure");
    let page = browser.opens("/admin").await;
    assert!(page.status == 200 && page.page.contains("Log out"), "{}", page.page);

    let out = browser.submits("/admin/logout", &[]).await;
    assert_eq!(out.cookies, ["dispatch_session=; Max-Age=0; HttpOnly; SameSite=Strict; Secure"]);
    assert_eq!(browser.opens("/admin").await.status, 303, "outside again");
}

/// Opens every page of the dashboard, with what stands in them by now. A route that is not among these is noticed.
pub(crate) async fn every_page_opens(stage: &Stage) {
    let mut browser = Browser::inside(&stage.deployment).await;
    let overview = browser.opens("/admin").await;
    let linked = |to: &str| {
        let rest = overview.page.split(&format!("admin/{to}/")).nth(1);
        rest.unwrap_or_else(|| panic!("no link to {to}: {}", overview.page)).split('"').next().unwrap().to_owned()
    };
    let mut visited = BTreeSet::new();
    for (route, path, expected) in [
        ("/admin", "/admin".to_owned(), 200),
        ("/admin/parked", "/admin/parked".to_owned(), 200),
        ("/admin/environments", "/admin/environments".to_owned(), 200),
        ("/admin/graph", "/admin/graph".to_owned(), 200),
        ("/admin/api/graph", "/admin/api/graph".to_owned(), 200),
        ("/admin/health", "/admin/health".to_owned(), 200),
        ("/admin/deliveries/{key}", format!("/admin/deliveries/{}", linked("deliveries")), 200),
        ("/admin/login", "/admin/login".to_owned(), 200),
        ("/admin/assets/{name}", format!("/admin/assets/{}", linked("assets")), 200),
        ("/admin/", "/admin/".to_owned(), 404),
        ("/admin/{*rest}", "/admin/nothing".to_owned(), 404),
    ] {
        let answer = browser.opens(&path).await;
        assert_eq!(answer.status, expected, "{path}: {}", answer.page);
        visited.insert(route.to_owned());
    }
    assert_eq!(browser.submits("/admin/logout", &[]).await.status, 303);
    visited.insert("/admin/logout".to_owned());
    assert_eq!(routes(), visited);
}

/// The routes that a browser reaches.
fn routes() -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dispatch-axum/src/admin.rs");
    let text = std::fs::read_to_string(file).unwrap();
    let routes = text.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    routes.filter(|route| route.starts_with("/admin")).collect()
}
