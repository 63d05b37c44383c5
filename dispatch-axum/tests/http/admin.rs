//! The dashboard: who gets in, and what they see.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use dispatch_core::name::InstallationId;
use dispatch_core::ports::StorePort;
use dispatch_core::ports::delivery_log::DeliveryAttempt;
use dispatch_core::ports::github::{Budget, PrimaryLimit};
use dispatch_core::ports::store::{Commit, Queue, Record, Write};
use dispatch_core::recovery::Recovery;
use dispatch_core::testing::World;

use crate::organisation::{HOSTILE_BRANCH, with_refusing_targets, world};
use crate::support::{Answer, Site, TOKEN, as_admin, from_peer, get, login, now, send, with_header};

/// The cookie of a browser that logged in.
async fn cookie(site: &Site) -> String {
    let answer = site.send(login(TOKEN)).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "../admin"));
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// Every address that a page leads to, as it stands there.
pub(crate) fn links(page: &str) -> Vec<String> {
    let attributes = ["href=\"", "src=\"", "action=\""];
    let links = attributes.iter().flat_map(|attribute| page.split(attribute).skip(1));
    links.map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&")).collect()
}

/// What a browser makes of a relative address.
pub(crate) fn resolve(page: &str, link: &str) -> String {
    let mut folders: Vec<_> = page.split('/').collect();
    folders.pop();
    let mut link = link.strip_prefix("./").unwrap_or(link);
    while let Some(rest) = link.strip_prefix("../") {
        folders.pop();
        link = rest;
    }
    format!("{}/{link}", folders.join("/"))
}

fn delivery_links(page: &str) -> Vec<String> {
    links(page).into_iter().filter(|link| link.contains("admin/deliveries/")).collect()
}

#[tokio::test]
async fn nothing_below_admin_and_no_metrics_without_the_token() {
    let closed = Site::with(World::new(now()), |service| service.admin_token("".into()));
    let site = Site::new();
    for path in [
        "/admin",
        "/admin/deliveries/x",
        "/admin/parked",
        "/admin/environments",
        "/admin/graph",
        "/admin/api/graph",
        "/admin/health",
        "/admin/nothing",
        "/metrics",
    ] {
        assert!([303, 401].contains(&site.send(get(path)).await.status.as_u16()), "{path}");
        assert_ne!(site.send(as_admin(get(path))).await.status, 401, "{path}");
        let wrong = with_header(get(path), "authorization", "Bearer guess");
        assert!([401, 429].contains(&site.send(wrong).await.status.as_u16()), "{path}");
        for request in [get(path), with_header(get(path), "authorization", "Bearer "), as_admin(get(path))] {
            assert_eq!(closed.send(request).await.status, 403, "{path} without any token set");
        }
    }
}

#[tokio::test]
async fn logging_in_begins_a_session_and_logging_out_ends_it() {
    let site = Site::new();
    let first = site.send(get("/admin")).await;
    assert_eq!((first.status.as_u16(), first.header("location")), (303, "./admin/login"));
    assert_eq!(site.send(get("/admin/login")).await.status, 200);
    let wrong = site.send(login("guess")).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("set-cookie")), (401, ""));

    let answer = site.send(login(TOKEN)).await;
    let attributes = answer.header("set-cookie").split_once("; ").unwrap().1.to_owned();
    assert_eq!(attributes, "Max-Age=43200; HttpOnly; SameSite=Strict");
    let cookie = cookie(&site).await;
    let page = site.send(with_header(get("/admin"), "cookie", &cookie)).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Nothing has arrived yet") && page.body.contains("Log out"));
    assert_eq!(
        site.send(with_header(get("/metrics"), "cookie", &cookie)).await.status,
        401,
        "metrics take the bearer only"
    );

    let mut logout = login("");
    *logout.uri_mut() = "/admin/logout".parse().unwrap();
    assert!(site.send(logout).await.header("set-cookie").contains("Max-Age=0"));
}

#[tokio::test]
async fn a_foreign_origin_cannot_send_our_forms() {
    for (name, origin, site_header, expected) in [
        ("ours", Some("http://127.0.0.1:3000"), Some("same-origin"), 303),
        ("ours, an old browser", Some("http://127.0.0.1:3000"), None, 303),
        ("foreign", Some("https://evil.example"), Some("cross-site"), 403),
        ("foreign, an old browser", Some("https://evil.example"), None, 403),
        ("a neighbour", Some("http://127.0.0.1:4000"), Some("same-site"), 403),
        ("an opaque one", Some("null"), None, 403),
        ("none at all", None, None, 403),
    ] {
        let mut request = login(TOKEN);
        for (header, value) in [("origin", origin), ("sec-fetch-site", site_header)] {
            request.headers_mut().remove(header);
            if let Some(value) = value {
                request.headers_mut().insert(header, value.parse().unwrap());
            }
        }
        assert_eq!(Site::new().send(request).await.status, expected, "{name}");
    }
}

#[tokio::test]
async fn rebinding_a_foreign_name_to_this_machine_is_refused() {
    let open = |service: dispatch_axum::Service| service;
    let named = |service: dispatch_axum::Service| service.hosts(vec!["dispatch.example.com".to_owned()]);
    let plain = Site::with(World::new(now()), open);
    let named = Site::with(World::new(now()), named);
    let request = |peer, host: &str| from_peer(peer, as_admin(with_header(get("/admin"), "host", host)));
    for (site, peer, host, expected) in [
        (&plain, "127.0.0.1", "localhost:3000", 200),
        (&plain, "127.0.0.1", "[::1]:3000", 200),
        (&plain, "127.0.0.1", "evil.example:3000", 421),
        (&plain, "192.0.2.1", "dispatch.example.com", 200),
        (&named, "127.0.0.1", "dispatch.example.com", 200),
        (&named, "192.0.2.1", "DISPATCH.example.com:443", 200),
        (&named, "192.0.2.1", "evil.example", 421),
    ] {
        assert_eq!(site.send(request(peer, host)).await.status, expected, "{peer} {host}");
    }
}

#[tokio::test]
async fn forging_x_forwarded_for_does_not_pass_the_allowlist_of_addresses() {
    let site = Site::with(World::new(now()), |service| {
        service
            .admin_ip_allowlist(vec!["192.0.2.0/24".parse().unwrap()])
            .trusted_proxies(vec!["10.0.0.1/32".parse().unwrap()])
    });
    for (name, peer, forwarded, expected) in [
        ("from the network", "192.0.2.9", None, 200),
        ("from elsewhere", "198.51.100.1", None, 403),
        ("from elsewhere, forged", "198.51.100.1", Some("192.0.2.9"), 403),
        ("through the proxy", "10.0.0.1", Some("192.0.2.9"), 200),
        ("through the proxy, forged", "10.0.0.1", Some("192.0.2.9, 198.51.100.1"), 403),
        ("the proxy itself", "10.0.0.1", None, 403),
        ("this machine", "127.0.0.1", None, 403),
    ] {
        let mut request = from_peer(peer, as_admin(get("/admin")));
        if let Some(forwarded) = forwarded {
            request = with_header(request, "x-forwarded-for", forwarded);
        }
        assert_eq!(site.send(request).await.status, expected, "{name}");
    }
    let mut nobody = as_admin(get("/admin"));
    nobody.extensions_mut().clear();
    assert_eq!(site.send(nobody).await.status, 403, "an address that is not known");
}

#[tokio::test]
async fn guessing_the_token_stops_being_answered() {
    let site = Site::new();
    for _ in 0..5 {
        assert_eq!(site.send(login("guess")).await.status, 401);
    }
    let sixth = site.send(login(TOKEN)).await;
    assert_eq!((sixth.status.as_u16(), sixth.header("set-cookie")), (429, ""));
    let bearer = site.send(as_admin(get("/admin"))).await;
    assert_eq!((bearer.status.as_u16(), bearer.header("retry-after")), (429, "60"), "the same limit for bearers");
}

#[tokio::test]
async fn behind_https_the_cookie_is_secure_if_a_trusted_proxy_says_so() {
    let site = Site::with(World::new(now()), |service| service.trusted_proxies(vec!["10.0.0.1/32".parse().unwrap()]));
    for (peer, secure) in [("10.0.0.1", true), ("192.0.2.1", false)] {
        let answer = site.send(from_peer(peer, with_header(login(TOKEN), "x-forwarded-proto", "https"))).await;
        assert_eq!(answer.header("set-cookie").ends_with("; Secure"), secure, "{peer}");
    }
}

#[tokio::test]
async fn the_cookie_is_secure_where_the_embedder_knows_that_the_client_speaks_https() {
    let mut request = login(TOKEN);
    request.extensions_mut().insert(dispatch_axum::Https);
    assert!(Site::new().send(request).await.header("set-cookie").ends_with("; Secure"));
}

#[tokio::test]
async fn every_answer_forbids_scripts_frames_guesses_and_memories() {
    let site = Site::new();
    for request in [get("/admin"), get("/admin/login"), as_admin(get("/admin")), as_admin(get("/admin/x")), login("x")]
    {
        let answer = site.send(request).await;
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'; style-src 'self';"));
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(!answer.body.contains("<script") && !answer.body.contains("style=\""), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_delivery_tells_its_whole_way_under_any_prefix() {
    let (world, _) = world();
    let site = Site::with(world, |service| service);
    site.rehearsal.run_until_quiet().unwrap();
    let nested = Router::new().nest("/tools/dispatch", site.router.clone());
    for (prefix, router) in [("", site.router.clone()), ("/tools/dispatch", nested)] {
        let open = async |path: String| -> Answer { send(&router, as_admin(get(&path))).await };
        let overview = open(format!("{prefix}/admin")).await;
        assert_eq!(overview.status, 200);
        let mut all = String::new();
        for link in delivery_links(&overview.body) {
            let path = resolve(&format!("{prefix}/admin"), &link);
            let page = open(path.clone()).await;
            assert_eq!(page.status, 200, "{path}");
            for link in links(&page.body).iter().filter(|link| link.contains("admin")) {
                let target = resolve(&path, link);
                assert_eq!(open(target.clone()).await.status, 200, "{link} on {path} leads to {target}");
            }
            all.push_str(&page.body);
        }
        for expected in [
            "acme/api/dispatching.yml:6",
            "acme/deploy/dispatching.yml:7",
            "acme/api/dispatching.yml:12",
            "missing_target_config",
            "the target repository has no policy file",
            "source_not_default_branch",
            "GitHub started run ",
            "environment",
            "production",
        ] {
            assert!(all.contains(expected), "{expected} is on no page");
        }
    }
}

#[tokio::test]
async fn a_branch_that_is_markup_stays_text() {
    let (world, _) = world();
    let site = Site::with(world, |service| service);
    site.rehearsal.run_until_quiet().unwrap();
    let overview = site.send(as_admin(get("/admin"))).await.body;
    let mut seen = 0;
    let mut pages = vec![overview.clone()];
    for link in delivery_links(&overview) {
        pages.push(site.send(as_admin(get(&resolve("/admin", &link)))).await.body);
    }
    for page in pages {
        assert!(!page.contains(HOSTILE_BRANCH) && !page.contains("<script"), "{page}");
        seen += page.matches("alert(1)").count();
    }
    assert!(seen >= 3, "the branch is shown, as text");
}

#[tokio::test]
async fn what_was_given_up_stands_on_a_page_of_its_own_and_is_counted() {
    let (world, targets) = with_refusing_targets(30);
    let site = Site::with(world, |service| service);
    let overview = site.send(as_admin(get("/admin"))).await.body;
    assert!(overview.contains("<strong>0</strong> <span><a href=\"./admin/parked\">need a look</a>"), "{overview}");
    site.rehearsal.run_until_quiet().unwrap();
    let overview = site.send(as_admin(get("/admin"))).await.body;
    assert!(overview.contains("<strong>30</strong> <span><a href=\"./admin/parked\">need a look</a>"), "{overview}");

    let (mut path, mut all, mut pages) = ("/admin/parked".to_owned(), String::new(), 0);
    loop {
        let page = site.send(as_admin(get(&path))).await.body;
        all.push_str(&page);
        pages += 1;
        match links(&page).into_iter().find(|link| link.contains("?before=")) {
            Some(older) => path = resolve("/admin/parked", &older),
            None => break,
        }
    }
    assert_eq!(pages, 2);
    for target in targets {
        assert_eq!(all.matches(&format!(">{target} · cd.yml</a>")).count(), 1, "{target}");
    }
    assert_eq!(all.matches(">acme/source · ci-").count(), 30);
    assert_eq!(all.matches("<span class=\"pill bad\">refused</span>").count(), 30);
    let journey = delivery_links(&all).into_iter().map(|link| resolve("/admin/parked", &link)).next().unwrap();
    let journey = site.send(as_admin(get(&journey))).await.body;
    assert!(journey.contains("workflow_dispatch"), "GitHub's own words: {journey}");
}

/// A button of the page of parked work, pressed in a browser that logged in.
async fn press(site: &Site, cookie: &str, action: &str, row: &str) -> Answer {
    let mut request = login("");
    *request.uri_mut() = "/admin/parked".parse().unwrap();
    *request.body_mut() = Body::from(format!("row={row}&action={action}"));
    site.send(with_header(request, "cookie", cookie)).await
}

/// The rows that can be decided about, as a browser sends them.
fn rows(page: &str) -> Vec<String> {
    let values = page.split("name=\"row\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let characters = |value: &str| value.replace("&#62;", ">").replace("&gt;", ">");
    values.map(|value| characters(value).bytes().map(|byte| format!("%{byte:02X}")).collect()).collect()
}

#[tokio::test]
async fn what_is_parked_is_retried_or_dropped_by_a_button() {
    let (world, _) = with_refusing_targets(1);
    let site = Site::with(world, |service| service);
    site.rehearsal.run_until_quiet().unwrap();
    let cookie = cookie(&site).await;
    let page = async || site.send(with_header(get("/admin/parked"), "cookie", &cookie)).await.body;
    let [first] = rows(&page().await).try_into().unwrap();
    assert!(rows(&site.send(as_admin(get("/admin/parked"))).await.body).is_empty(), "no buttons without a session");

    let answer = press(&site, &cookie, "retry", &first).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "parked"));
    assert!(site.woken().contains(&Queue::Dispatch), "the workers need not wait for their next look");
    assert!(page().await.contains("Nothing is parked"));
    assert_eq!(press(&site, &cookie, "retry", &first).await.status, 404, "it is not parked any more");

    site.rehearsal.world().advance(Duration::from_secs(1));
    site.rehearsal.run_until_quiet().unwrap();
    let journey = resolve("/admin/parked", &delivery_links(&page().await)[0]);
    let [again] = rows(&page().await).try_into().unwrap();
    assert_ne!(first, again, "it was tried again, and refused again");
    assert_eq!(press(&site, &cookie, "drop", &again).await.status, 303);
    site.rehearsal.run_until_quiet().unwrap();
    assert!(page().await.contains("Nothing is parked"));
    let journey = site.send(as_admin(get(&journey))).await.body;
    for expected in ["<strong>Refused</strong>", "<strong>Retried</strong>", "<strong>Dropped</strong>"] {
        assert!(journey.contains(expected), "{expected} is missing in {journey}");
    }
}

#[tokio::test]
async fn only_a_session_on_our_own_page_decides_about_parked_work() {
    let (world, _) = with_refusing_targets(1);
    let site = Site::with(world, |service| service);
    site.rehearsal.run_until_quiet().unwrap();
    let cookie = cookie(&site).await;
    let page = site.send(with_header(get("/admin/parked"), "cookie", &cookie)).await.body;
    let row = rows(&page).remove(0);
    let order = |cookie: &str| {
        let mut request = login("");
        *request.uri_mut() = "/admin/parked".parse().unwrap();
        *request.body_mut() = Body::from(format!("row={row}&action=drop"));
        with_header(request, "cookie", cookie)
    };
    let foreign =
        with_header(with_header(order(&cookie), "origin", "https://evil.example"), "sec-fetch-site", "cross-site");
    assert_eq!(site.send(foreign).await.status, 403);
    let nobody = site.send(order("dispatch_session=1.00")).await;
    assert_eq!((nobody.status.as_u16(), nobody.header("location")), (303, "../admin/login"));
    for body in ["", "row=x", "action=drop", "row=x&action=burn"] {
        let mut request = order(&cookie);
        *request.body_mut() = Body::from(body);
        assert!([400, 415, 422].contains(&site.send(request).await.status.as_u16()), "{body}");
    }
    let page = site.send(with_header(get("/admin/parked"), "cookie", &cookie)).await.body;
    assert_eq!(rows(&page).len(), 1, "nobody decided");
}

/// An installation that GitHub told to wait.
fn budget() -> Budget {
    let in_a_minute = now() + Duration::from_secs(60);
    Budget {
        installation: InstallationId(5),
        primary: Some(PrimaryLimit { limit: 5_000, remaining: 4_321, reset: in_a_minute }),
        points_left: 870,
        concurrent: 3,
        paused_until: Some(in_a_minute),
    }
}

#[tokio::test]
async fn health_tells_the_limits_the_missed_webhooks_and_what_waits() {
    let (world, _) = world();
    let site = Site::with(world, |service| service);
    let empty = site.send(as_admin(get("/admin/health"))).await.body;
    for expected in ["no installation was called", "was not read yet", "Every delivery is decided about"] {
        assert!(empty.contains(expected), "{expected} is missing in {empty}");
    }
    let attempt = |id, status: &str| DeliveryAttempt {
        id,
        delivery: format!("72d3162e-{id}").parse().unwrap(),
        delivered_at: now(),
        succeeded: false,
        status: status.to_owned(),
        event: "workflow_run".to_owned(),
        action: None,
        repository: None,
    };
    let mut recovery =
        Recovery { looked_at: Some(now()), error: Some("GitHub's rate limit: <b>".to_owned()), ..Recovery::default() };
    site.limit(budget());
    recovery.miss(attempt(1, "Invalid HTTP Response: 503"), now());
    recovery.miss(attempt(2, "<script>"), now());
    recovery.ask(&attempt(1, "").delivery, now(), |_| now());
    recovery.arrived(&attempt(2, "").delivery, now());
    let write = Write { record: Record::Recovery(Box::new(recovery)), expected: None };
    site.rehearsal.store().commit(Commit { writes: vec![write], facts: vec![] }).await.unwrap();
    let webhook = site.rehearsal.world().take_webhooks().pop().unwrap();
    site.send(crate::support::webhook("workflow_run", webhook.body)).await;

    let page = site.send(as_admin(get("/admin/health"))).await.body;
    for expected in [
        "Invalid HTTP Response: 503",
        "acme/api · ci.yml",
        "72d3162e-1",
        "<code>5</code>",
        "4321 of 5000",
        "<span class=\"pill warn\">waits</span>",
        "<span class=\"pill good\">arrived</span>",
        "did not come to its end",
    ] {
        assert!(page.contains(expected), "{expected} is missing in {page}");
    }
    assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
    let overview = site.send(as_admin(get("/admin"))).await.body;
    assert!(overview.contains("1 webhook was missed and is asked for again"), "{overview}");
    assert!(overview.contains("1 installation waits until later"), "{overview}");
    assert!(overview.contains("GitHub&#39;s delivery log cannot be read"), "{overview}");
}

#[tokio::test]
async fn what_is_not_there_is_a_page_that_leads_back() {
    let site = Site::new();
    let unknown = format!("/admin/deliveries/x:{}", "0".repeat(64));
    for path in ["/admin/nothing/here", "/admin/deliveries/x", &unknown, "/admin/deliveries/%3Cscript%3E", "/admin/"] {
        let answer = site.send(as_admin(get(path))).await;
        assert_eq!(answer.status, 404, "{path}");
        let back = links(&answer.body).into_iter().rfind(|link| link.ends_with("admin")).unwrap();
        assert_eq!(resolve(path, &back), "/admin", "{path}");
    }
    site.break_store();
    let broken = site.send(as_admin(get("/admin"))).await;
    assert_eq!(broken.status, 503);
    assert!(!broken.body.contains("full"), "what the store says stays in the log");
}

#[tokio::test]
async fn the_style_sheet_may_be_kept_for_ever_because_its_name_changes() {
    let site = Site::new();
    let page = site.send(get("/admin/login")).await.body;
    let style = links(&page).into_iter().find(|link| link.ends_with(".css")).unwrap();
    let answer = site.send(get(&resolve("/admin/login", &style))).await;
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(site.send(get("/admin/assets/dashboard.css")).await.status, 404);
}

#[tokio::test]
async fn many_deliveries_come_in_pages() {
    let (mut world, api) = world();
    for _ in 0..60 {
        world
            .complete_run(&api, dispatch_core::testing::world::RunSpec { conclusion: None, ..Default::default() })
            .unwrap();
    }
    let site = Site::with(world, |service| service);
    site.rehearsal.run_until_quiet().unwrap();
    let (mut path, mut seen) = ("/admin".to_owned(), std::collections::BTreeSet::new());
    loop {
        let page = site.send(as_admin(get(&path))).await.body;
        let deliveries = delivery_links(&page);
        assert!(!deliveries.is_empty() && deliveries.len() <= 25);
        for link in deliveries {
            assert!(seen.insert(link), "no delivery is on two pages");
        }
        match links(&page).into_iter().find(|link| link.contains("?before=")) {
            Some(older) => path = resolve("/admin", &older),
            None => break,
        }
    }
    assert!(seen.len() > 62, "{}", seen.len());
}

#[tokio::test]
async fn metrics_are_text_for_the_bearer() {
    let handle = dispatch_axum::telemetry::install().unwrap();
    let site = Site::with(World::new(now()), |service| service.metrics(handle));
    site.limit(budget());
    site.send(crate::support::webhook("made_up_by_a_stranger", "{}")).await;
    let unsigned = Request::post("/webhooks/github").header("x-github-event", "push").body(Body::empty()).unwrap();
    site.send(unsigned).await;
    let answer = site.send(as_admin(get("/metrics"))).await;
    for expected in [
        r#"dispatch_webhooks_total{event="other",outcome="ignored"}"#,
        r#"dispatch_webhooks_total{event="unknown",outcome="unauthorized"}"#,
        r#"dispatch_webhook_secret_matched_total{position="0"}"#,
        r#"dispatch_http_request_duration_seconds_bucket{route="/webhooks/github",method="POST",status="202""#,
        "dispatch_parked 0",
        r#"dispatch_github_points_left{installation="5"} 870"#,
        r#"dispatch_github_requests_left{installation="5"} 4321"#,
        r#"dispatch_github_paused{installation="5"} 1"#,
    ] {
        assert!(answer.body.contains(expected), "{expected} is missing in\n{}", answer.body);
    }
    assert!(!answer.body.contains("made_up_by_a_stranger"));
}
