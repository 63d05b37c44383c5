//! What the HTTP surface needs, put together by whoever embeds it.

use std::fmt;
use std::sync::Arc;

use dispatch_core::Timestamp;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::store::Queue;
use dispatch_core::webhook::WebhookSecrets;
use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::{ExposeSecret, SecretString};

use crate::admin::Admin;
use crate::client::ClientRules;
use crate::health::Writes;
use crate::intake::Intake;
use crate::telemetry::SecretsInUse;

/// The HTTP surface before it is a router. What is not set is closed: without an admin token nobody gets in.
pub struct Service {
    pub(crate) pipeline: Pipeline,
    pub(crate) secrets: WebhookSecrets,
    pub(crate) intake: Intake,
    pub(crate) writes: Writes,
    pub(crate) secrets_in_use: SecretsInUse,
    pub(crate) admin: Option<Admin>,
    pub(crate) clients: ClientRules,
    pub(crate) on_work: Arc<dyn Fn(Queue) + Send + Sync>,
    pub(crate) metrics: Option<PrometheusHandle>,
    pub(crate) clock: fn() -> Timestamp,
    pub(crate) version: String,
    pub(crate) github_url: String,
}

impl Service {
    /// The surface over a pipeline, for webhooks signed with one of the secrets.
    #[must_use]
    pub fn new(pipeline: Pipeline, secrets: WebhookSecrets) -> Self {
        Self {
            pipeline,
            secrets,
            intake: Intake::default(),
            writes: Writes::default(),
            secrets_in_use: SecretsInUse::default(),
            admin: None,
            clients: ClientRules::default(),
            on_work: Arc::new(|_| ()),
            metrics: None,
            clock: Timestamp::now,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            github_url: "https://github.com".to_owned(),
        }
    }

    /// `ADMIN_TOKEN`: what opens the dashboard and the metrics. An empty one opens nothing. Make it long and random: it is
    /// also the key that sessions are signed with.
    #[must_use]
    pub fn admin_token(mut self, token: SecretString) -> Self {
        self.admin = (!token.expose_secret().is_empty()).then(|| Admin::new(&token));
        self
    }

    /// `ADMIN_IP_ALLOWLIST`: where clients of the dashboard and the metrics must come from, on top of the token. Empty:
    /// anywhere.
    #[must_use]
    pub fn admin_ip_allowlist(mut self, networks: Vec<IpNet>) -> Self {
        self.clients.allowed = networks;
        self
    }

    /// `TRUSTED_PROXIES`: whose `X-Forwarded-For` and `X-Forwarded-Proto` count. Everybody else's are ignored.
    #[must_use]
    pub fn trusted_proxies(mut self, networks: Vec<IpNet>) -> Self {
        self.clients.trusted_proxies = networks;
        self
    }

    /// The host names, without port, that the dashboard is reached by. Where some are set, another `Host` is refused;
    /// loopback names are always accepted. Where none is set, connections from this machine that did not come through a
    /// trusted proxy must use a loopback name, which is what ends DNS rebinding.
    #[must_use]
    pub fn hosts(mut self, hosts: Vec<String>) -> Self {
        self.clients.hosts = hosts;
        self
    }

    /// Called after something was made durable that wants work. Must return at once.
    #[must_use]
    pub fn on_work(mut self, wake: Arc<dyn Fn(Queue) + Send + Sync>) -> Self {
        self.on_work = wake;
        self
    }

    /// What `/metrics` renders. Without it, `/metrics` answers 404.
    #[must_use]
    pub fn metrics(mut self, handle: PrometheusHandle) -> Self {
        self.metrics = Some(handle);
        self
    }

    /// The clock, for tests.
    #[must_use]
    pub fn clock(mut self, now: fn() -> Timestamp) -> Self {
        self.clock = now;
        self
    }

    /// What `/version` answers; the crate's version unless set.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Where GitHub's pages are, such as `https://github.example.com`. Addresses of runs are links only when they lead
    /// there, or to this machine.
    #[must_use]
    pub fn github_url(mut self, url: impl Into<String>) -> Self {
        self.github_url = url.into();
        self
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("version", &self.version).finish_non_exhaustive()
    }
}
