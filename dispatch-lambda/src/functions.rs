//! The functions, each put together with what it needs and nothing else.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use dispatch_axum::Service;
use dispatch_axum::settings::{
    PipelineSettings, Settings, admin_token, api_url, app_id, missing, networks, private_key, wrong,
};
use dispatch_axum::step::{Steps, Telling};
use dispatch_core::guardrail::{Guardrails, SettingError};
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::{BoundedPolicyMemory, GitHubPort, Offline, StorePort};
use dispatch_github::{GitHub, GitHubOptions};
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::{Error, service_fn};

use crate::announce::{Announcer, Announcing};
use crate::aws;
use crate::consumer::Consumer;
use crate::event::{QueueBatch, StreamBatch};
use crate::facts::Facts;
use crate::gateway;
use crate::ingress::Ingress;
use crate::publisher::Publisher;
use crate::schedule::{Chore, Schedule};
use crate::secrets::Secret;
use crate::store::DynamoStore;

/// Policy files that one environment of a function remembers.
const REMEMBERED_POLICIES: usize = 1_000;

/// What the binary is, told by its first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Webhooks come in.
    Ingress,
    /// Deliveries are decided about.
    Planner,
    /// Dispatches are called, results shown.
    Dispatcher,
    /// Facts update the read models.
    Facts,
    /// The dashboard.
    Admin,
    /// Chores.
    Schedule,
    /// Facts go from the table's stream to the bus.
    Publisher,
}

impl Function {
    /// Every function, by its name.
    pub const ALL: [(&str, Self); 7] = [
        ("ingress", Self::Ingress),
        ("planner", Self::Planner),
        ("dispatcher", Self::Dispatcher),
        ("facts", Self::Facts),
        ("admin", Self::Admin),
        ("schedule", Self::Schedule),
        ("publisher", Self::Publisher),
    ];

    /// Serves the events of this function, until its environment ends. Each client of AWS is built once.
    ///
    /// # Errors
    /// A setting is missing or wrong, a secret cannot be read, or the runtime API ended the conversation.
    pub async fn run(self, settings: &Settings, pipeline: PipelineSettings) -> Result<(), Error> {
        let with = Environment { settings, pipeline, aws: aws::config(settings)? };
        match self {
            Self::Ingress => {
                let pipeline = with.pipeline(announcing(&with.store()?, &with.announcer()?), Arc::new(Offline))?;
                let ingress = Ingress::new(pipeline, with.secret("GITHUB_WEBHOOK_SECRET_ARN")?).await?;
                lambda_http::run(Arc::new(ingress).handler()).await
            }
            Self::Planner | Self::Dispatcher => {
                let consumer = with.consumer().await?;
                lambda_runtime::run(service_fn(|event: LambdaEvent<QueueBatch>| async {
                    Ok::<_, Error>(consumer.consume(event.payload).await)
                }))
                .await
            }
            Self::Facts => {
                let facts = Facts::new(with.store()?);
                lambda_runtime::run(service_fn(|event: LambdaEvent<QueueBatch>| async {
                    Ok::<_, Error>(facts.apply(event.payload).await)
                }))
                .await
            }
            Self::Admin => gateway::run(with.admin().await?).await,
            Self::Schedule => {
                let schedule = &with.schedule().await?;
                lambda_runtime::run(service_fn(|event: LambdaEvent<Chore>| async move {
                    Ok::<_, Error>(schedule.run(event.payload).await?)
                }))
                .await
            }
            Self::Publisher => {
                let bus = with.required("EVENT_BUS_NAME", "the bus that facts go to")?;
                let publisher = Publisher::new(aws_sdk_eventbridge::Client::new(&with.aws), bus);
                lambda_runtime::run(service_fn(|event: LambdaEvent<StreamBatch>| async {
                    Ok::<_, Error>(publisher.publish(event.payload).await)
                }))
                .await
            }
        }
    }
}

/// No function has this name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of a function: {}", Function::ALL.map(|(name, _)| name).join(", "))]
pub struct NoFunction;

impl FromStr for Function {
    type Err = NoFunction;

    fn from_str(text: &str) -> Result<Self, NoFunction> {
        let found = Self::ALL.into_iter().find(|(name, _)| *name == text);
        found.map(|(_, function)| function).ok_or(NoFunction)
    }
}

/// What functions are made of.
struct Environment<'a> {
    settings: &'a Settings,
    pipeline: PipelineSettings,
    aws: aws_types::SdkConfig,
}

impl Environment<'_> {
    fn required(&self, name: &'static str, what: impl Display) -> Result<&str, SettingError> {
        self.settings.text(name).ok_or_else(|| missing(name, &what.to_string()))
    }

    fn store(&self) -> Result<DynamoStore, SettingError> {
        let table = self.required("TABLE_NAME", "the DynamoDB table")?;
        Ok(DynamoStore::new(aws_sdk_dynamodb::Client::new(&self.aws), table, self.pipeline.retention))
    }

    fn announcer(&self) -> Result<Announcer, SettingError> {
        let requests = self.required("REQUESTS_QUEUE_URL", "the queue of deliveries to decide about")?;
        let targets = self.required("TARGETS_QUEUE_URL", "the queue of dispatches to call")?;
        Ok(Announcer::new(aws_sdk_sqs::Client::new(&self.aws), requests, targets))
    }

    fn secret(&self, name: &'static str) -> Result<Secret, SettingError> {
        Secret::of(aws_sdk_secretsmanager::Client::new(&self.aws), self.settings, name)
    }

    /// Who the App is must be said: asking GitHub would take its time whenever a function starts.
    fn pipeline(&self, store: Arc<dyn StorePort>, github: Arc<dyn GitHubPort>) -> Result<Pipeline, SettingError> {
        self.required("GITHUB_APP_SLUG", "the App's name in URLs")?;
        self.required("OWNER_ALLOWLIST", "whose events count, with commas; `*` for everybody's")?;
        let guardrails = self.pipeline.limit(Guardrails::from_settings(self.settings.as_map())?);
        let policies = Arc::new(BoundedPolicyMemory::new(REMEMBERED_POLICIES));
        let PipelineSettings { retry, settle, max_event_age, .. } = self.pipeline;
        Ok(Pipeline { github, store, policies, guardrails, retry, settle, max_event_age })
    }

    async fn github(&self) -> Result<Arc<GitHub>, Error> {
        const KEY: &str = "GITHUB_APP_PRIVATE_KEY_ARN";
        let options = GitHubOptions {
            api_url: api_url(self.settings)?,
            app_id: app_id(self.settings)?,
            private_key: private_key(self.secret(KEY)?.read().await?),
            ..GitHubOptions::default()
        };
        Ok(Arc::new(GitHub::new(options).map_err(|error| wrong(KEY, error))?))
    }

    async fn consumer(&self) -> Result<Consumer, Error> {
        let (announcer, github) = (self.announcer()?, self.github().await?);
        let store = announcing(&self.store()?, &announcer);
        let pipeline = self.pipeline(Arc::clone(&store), Arc::clone(&github) as _)?;
        Ok(Consumer::new(store, Steps::new(pipeline, Some(Telling::through(github))), announcer))
    }

    async fn schedule(&self) -> Result<Schedule, Error> {
        let (store, announcer, github) = (self.store()?, self.announcer()?, self.github().await?);
        let pipeline = self.pipeline(announcing(&store, &announcer), Arc::clone(&github) as _)?;
        Ok(Schedule { pipeline, store, announcer, log: github, sweep_limit: self.pipeline.sweep_limit })
    }

    async fn admin(&self) -> Result<Service, Error> {
        let pipeline = self.pipeline(announcing(&self.store()?, &self.announcer()?), Arc::new(Offline))?;
        let token = admin_token(self.secret("ADMIN_TOKEN_ARN")?.read().await?)?;
        let networks = networks(self.settings, "ADMIN_IP_ALLOWLIST")?;
        // Webhooks go to another function: nobody can sign one for this.
        let random = || getrandom::u64().map_err(|error| error.to_string());
        let nobodys = format!("{:016x}{:016x}", random()?, random()?);
        Ok(Service::new(pipeline, nobodys.parse()?).admin_token(token).admin_ip_allowlist(networks))
    }
}

/// A store whose steps are announced.
fn announcing(store: &DynamoStore, announcer: &Announcer) -> Arc<dyn StorePort> {
    Arc::new(Announcing::new(store.clone(), announcer.clone()))
}
