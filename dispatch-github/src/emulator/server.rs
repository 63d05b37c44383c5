//! Connections, routes, and what every answer has in common.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{OriginalUri, RawPathParams, Request, State};
use axum::http::{HeaderValue, Response};
use axum::routing::{get, patch, post};
use dispatch_core::testing::world::{ApiError, Caller, Exchange, FaultKind, RateStatus};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::answer::{Answer, Call, Credential, Endpoint};
use super::{Shared, actions, auth, checks, contents, control, deliveries, issues, lock, people, pulls};

/// The largest body that is read: far over every limit of the API.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// Marks a response that must never be sent: the connection is cut in its place.
#[derive(Debug, Clone, Copy)]
struct Cut;

/// Accepts connections until it is dropped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = router(shared);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                let router = router.clone();
                let service = service_fn(move |request| answer(router.clone(), request));
                connections.spawn(async move {
                    // A connection that ends badly is the client's to notice.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One request. The error makes the server close the connection without a word.
async fn answer(router: Router, request: hyper::Request<hyper::body::Incoming>) -> io::Result<Response<Body>> {
    let response = router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {});
    match response.extensions().get::<Cut>() {
        Some(Cut) => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
        None => Ok(response),
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let repository = Router::new()
        .route("/", get(api(contents::repository)))
        .route("/installation", get(api(auth::repository_installation)))
        .route("/contents/{*path}", get(api(contents::read)).put(api(contents::write)))
        .route("/compare/{*basehead}", get(api(contents::compare)))
        .route("/collaborators/{username}/permission", get(api(people::permission)))
        .route("/actions/workflows", get(api(actions::workflows)))
        .route("/actions/workflows/{workflow}", get(api(actions::workflow)))
        .route("/actions/workflows/{workflow}/dispatches", post(api(actions::workflow_dispatch)))
        .route("/actions/runs", get(api(actions::runs)))
        .route("/actions/runs/{run}", get(api(actions::run)))
        .route("/dispatches", post(api(actions::repository_dispatch)))
        .route("/issues", get(api(issues::list)).post(api(issues::create)))
        .route("/issues/{number}", patch(api(issues::update)))
        .route("/issues/{number}/comments", get(api(issues::comments)).post(api(issues::comment)))
        .route("/issues/comments/{comment}", patch(api(issues::update_comment)))
        .route("/issues/comments/{comment}/reactions", post(api(issues::react)))
        .route("/pulls", get(api(pulls::list)))
        .route("/pulls/{number}", get(api(pulls::one)))
        .route("/check-runs", post(api(checks::create)))
        .route("/check-runs/{check}", patch(api(checks::update)))
        .route("/check-runs/{check}/annotations", get(api(checks::annotations)))
        .route("/commits/{commit}/check-runs", get(api(checks::list)));
    Router::new()
        .route("/app", get(api(auth::app)))
        .route("/app/installations", get(api(auth::installations)))
        .route("/app/installations/{installation}", get(api(auth::installation)))
        .route("/app/installations/{installation}/access_tokens", post(api(auth::mint)))
        .route("/users/{account}/installation", get(api(auth::account_installation)))
        .route("/orgs/{account}/installation", get(api(auth::account_installation)))
        .route("/installation/repositories", get(api(auth::covered)))
        .route("/app/hook/deliveries", get(api(deliveries::list)))
        .route("/app/hook/deliveries/{delivery}/attempts", post(api(deliveries::attempt)))
        .route("/orgs/{org}/teams/{team}/memberships/{username}", get(api(people::team_membership)))
        .route("/rate_limit", get(api(auth::rate_limit)))
        .nest("/repos/{owner}/{repo}", repository)
        .nest("/_emulator", control::router())
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere)
        .with_state(shared)
}

/// An endpoint of the API as a route.
fn api(endpoint: Endpoint) -> impl Fn(State<Arc<Shared>>, RawPathParams, Request) -> Exchanged + Clone {
    move |State(shared), parts, request| {
        let parts = parts.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Box::pin(exchange(shared, endpoint, parts, request))
    }
}

type Exchanged = std::pin::Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// What is nowhere, and what must not be seen, look alike.
async fn nowhere(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    exchange(shared, |_, _| Err(ApiError::not_found()), BTreeMap::new(), request).await
}

async fn exchange(
    shared: Arc<Shared>,
    endpoint: Endpoint,
    path: BTreeMap<String, String>,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    // The path of the whole request: nesting shortens the one in the head.
    let uri = head.extensions.get::<OriginalUri>().map_or(&head.uri, |OriginalUri(uri)| uri);
    let (method, raw_path) = (head.method.as_str().to_owned(), uri.path().to_owned());
    let fault = shared.world().take_fault(&method, &raw_path);
    if let Some(delay) = fault.as_ref().and_then(FaultKind::delay) {
        tokio::time::sleep(delay).await;
    }
    let body = to_bytes(body, MAX_BODY).await;
    let query = head.uri.query();
    let mut world = shared.world();
    let credential = auth::credential(&head.headers, world.app(), &lock(&shared.app_key));
    let (credential, bad_credential) = match credential {
        Ok(credential) => (credential, None),
        Err(error) => (Credential::Nobody, Some(error)),
    };
    let call = Call {
        credential,
        path,
        query: auth::query(query.unwrap_or_default()),
        headers: head.headers,
        body: body.as_ref().cloned().unwrap_or_default(),
        raw_path,
    };
    let too_large = body.is_err().then(|| ApiError::new(413, "Payload too large"));
    let refused = auth::refused_headers(&call).or(bad_credential).or(too_large);
    let caller = match &call.credential {
        Credential::Nobody => Caller::Nobody,
        Credential::App => Caller::App,
        Credential::Token(token) => Caller::Token(token),
    };
    let exchange = world.exchange_with(fault.as_ref(), caller, &method, &call.raw_path, |world| {
        let answer = refused.map_or_else(|| endpoint(world, &call), Err)?;
        Ok((answer.status, answer))
    });
    let rate = world.rate(caller);
    world.note_content(query, &call.body);
    match exchange {
        Exchange::Answered(answer) => finished(answer, rate),
        Exchange::Refused(error) => finished(error.into(), rate),
        Exchange::Cut => {
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(Cut);
            response
        }
    }
}

/// Adds what every answer of GitHub has.
fn finished(answer: Answer, rate: RateStatus) -> Response<Body> {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let mut response = answer.response();
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let common = [
        ("x-github-request-id", format!("E000:{number:06X}:000000:000000:00000000")),
        ("x-github-media-type", "github.v3; format=json".to_owned()),
        ("x-ratelimit-limit", rate.limit.to_string()),
        ("x-ratelimit-remaining", rate.remaining.to_string()),
        ("x-ratelimit-used", rate.used.to_string()),
        ("x-ratelimit-reset", rate.reset.to_string()),
        ("x-ratelimit-resource", "core".to_owned()),
    ];
    for (name, value) in common {
        if let (false, Ok(value)) = (response.headers().contains_key(name), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
