//! Requests of an HTTP API, through the Router of [`dispatch_axum`].

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::Response;
use dispatch_axum::{Https, Service};
use lambda_http::request::RequestContext;
use lambda_http::{Error, Request, RequestExt, service_fn};

/// Serves the surface until the environment ends. Call it once, from the `main` of a function.
///
/// # Errors
/// The Lambda runtime API ended the conversation.
pub async fn run(service: Service) -> Result<(), Error> {
    lambda_http::run(handler(dispatch_axum::router(service))).await
}

/// A Router as what [`lambda_http::run`] runs. Use it to serve dispatch nested in a Router of your own; behind a stage
/// other than `$default`, nest it under `/<stage>`, which is part of the path there.
///
/// The client's address is the one that the gateway saw, as it would be a socket's peer: `X-Forwarded-For` is text that the
/// client wrote, here as everywhere. That it speaks https is certain: the gateway has no other endpoints (Amazon API Gateway
/// Developer Guide, "Data encryption in Amazon API Gateway").
pub fn handler(
    router: Router,
) -> impl lambda_http::Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone {
    service_fn(move |request: Request| answer(router.clone(), request))
}

/// Answers one request.
pub(crate) async fn answer(mut router: Router, mut request: Request) -> Result<Response, Infallible> {
    if let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() {
        let address = context.http.source_ip.as_deref().and_then(|address| address.parse::<IpAddr>().ok());
        request.extensions_mut().insert(Https);
        if let Some(address) = address {
            // The gateway does not tell the port, and nobody asks for it.
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address, 0)));
        }
    }
    lambda_http::Service::call(&mut router, request).await
}
