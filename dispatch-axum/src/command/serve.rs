//! `dispatch serve`: the service.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use dispatch_axum::maintenance::{Maintenance, MaintenanceOptions};
use dispatch_axum::settings::PipelineSettings;
use dispatch_axum::step::Telling;
use dispatch_axum::store::SqliteStore;
use dispatch_axum::worker::{WorkerOptions, Workers};
use dispatch_axum::{Service as Surface, telemetry};
use dispatch_core::Timestamp;
use dispatch_core::guardrail::{Guardrails, Owners};
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::policies::BoundedPolicyMemory;
use dispatch_core::ports::{GitHubPort, StorePort};
use dispatch_github::{GitHub, GitHubOptions, GitHubOptionsError, emulator};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::Failure;
use super::server::{ConnectionLimits, GRACE, Server};
use super::settings::{AppSettings, Flags, Limits, Service, ServiceSettings, wrong};

/// Policy files that are remembered: more than most organisations have repositories.
const REMEMBERED_POLICIES: usize = 10_000;

/// Arguments of `dispatch serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Secrets are variables without a flag: GITHUB_APP_PRIVATE_KEY (PEM; two of them one after the other, while one is \
replaced by another), GITHUB_WEBHOOK_SECRET (several with commas, while \
one is replaced by another) and ADMIN_TOKEN (unset: one is made and printed). GITHUB_APP_PRIVATE_KEY_FILE, \
GITHUB_WEBHOOK_SECRET_FILE and ADMIN_TOKEN_FILE name a file to read instead.

The log goes to the standard output, one JSON object in each line. A token that was made goes to the standard error, to \
be in no log. SIGTERM and SIGINT end the service: work that has begun has 10 seconds to finish, everything else is in \
the database and goes on with the next start.

Exit code: 0 after a signal, 1 if the service cannot go on, 2 for a wrong setting.")]
pub(crate) struct Args {
    #[command(flatten)]
    service: Flags<Service>,
    #[command(flatten)]
    limits: Flags<Limits>,
}

/// Serves until a signal ends it.
///
/// # Errors
/// A setting is wrong, or something that the service needs is not there.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let settings = ServiceSettings::read(&args.service.settings()?)?;
    let guardrails = Guardrails::from_settings(args.limits.settings()?.as_map())?;
    refuse_the_emulators_key(&settings.app)?;
    write_log(settings.pipeline.log_level);
    super::runtime()?.block_on(serve(settings, guardrails))
}

async fn serve(settings: ServiceSettings, guardrails: Guardrails) -> Result<ExitCode, Failure> {
    let signals = super::Signals::new()?;
    let github = github(&settings.app)?;
    let listener = TcpListener::bind((settings.host, settings.port)).await.map_err(|error| {
        wrong("PORT", format_args!("cannot listen on port {} of {}: {error}", settings.port, settings.host))
    })?;
    let _alone = lock(&settings.database)?;
    let store =
        SqliteStore::open_alone(&settings.database, Timestamp::now()).map_err(|error| wrong("DATABASE_PATH", error))?;
    let PipelineSettings { retry, settle, max_event_age, retention, sweep_limit, .. } = settings.pipeline;
    let guardrails = know_the_app(settings.pipeline.limit(guardrails), &github).await?;
    let (github, store) = (Arc::new(github), Arc::new(store));
    let pipeline = Pipeline {
        github: Arc::clone(&github) as Arc<dyn GitHubPort>,
        store: Arc::clone(&store) as Arc<dyn StorePort>,
        policies: Arc::new(BoundedPolicyMemory::new(REMEMBERED_POLICIES)),
        guardrails,
        retry,
        settle,
        max_event_age,
    };
    let surface = Surface::new(pipeline.clone(), settings.webhook_secrets)
        .admin_token(admin_token(settings.admin_token)?)
        .admin_ip_allowlist(settings.admin_networks)
        .trusted_proxies(settings.trusted_proxies.clone())
        .github_url(pages(&settings.app.api_url))
        .metrics(telemetry::install().map_err(Failure::work)?);
    let telling = Telling::through(Arc::clone(&github));
    let workers = Workers::telling(pipeline.clone(), telling, WorkerOptions::default());
    let server = Server::start(listener, workers, surface, ConnectionLimits::new(settings.trusted_proxies))?;
    let options = MaintenanceOptions {
        retention,
        sweep_every: settings.sweep_every,
        sweep_limit,
        ..MaintenanceOptions::default()
    };
    let maintenance = Maintenance::start(pipeline, store, Some(github), options);
    tracing::info!(address = %server.address(), version = env!("CARGO_PKG_VERSION"), "listening");

    let signal = signals.ended().await;
    tracing::info!(signal, "ending: work that has begun may finish");
    // Side by side: nothing in them waits for the other.
    tokio::join!(maintenance.shutdown(GRACE), server.shutdown());
    tracing::info!("ended");
    Ok(ExitCode::SUCCESS)
}

/// The emulator's key is public. Whoever sets it for a real App by mistake would hand that App to everybody.
pub(crate) fn refuse_the_emulators_key(settings: &AppSettings) -> Result<(), Failure> {
    if emulator::is_emulator_key(settings.private_key.expose_secret()) && !settings.api_is_loopback() {
        return Err(wrong(
            "GITHUB_APP_PRIVATE_KEY",
            "is the emulator's key, which everybody knows; it is for a GITHUB_API_URL on this machine only",
        )
        .into());
    }
    Ok(())
}

pub(crate) fn github(settings: &AppSettings) -> Result<GitHub, Failure> {
    let options = GitHubOptions {
        api_url: settings.api_url.clone(),
        app_id: settings.app_id,
        private_key: settings.private_key.clone(),
        ..GitHubOptions::default()
    };
    GitHub::new(options).map_err(|error| match error {
        GitHubOptionsError::PrivateKey => wrong("GITHUB_APP_PRIVATE_KEY", error).into(),
        GitHubOptionsError::ApiUrl => wrong("GITHUB_API_URL", error).into(),
        other => Failure::work(other),
    })
}

/// Where the pages are that belong to an API: GitHub Enterprise Server has its API below them, at `/api/v3`.
fn pages(api_url: &str) -> &str {
    match api_url.strip_suffix("/api/v3") {
        Some(server) => server,
        None => "https://github.com",
    }
}

/// Without `OWNER_ALLOWLIST` the events of the App's owner count, and without `GITHUB_APP_SLUG` nobody knows which runs are
/// the App's own: GitHub is asked who the App is, and whose.
async fn know_the_app(guardrails: Guardrails, github: &GitHub) -> Result<Guardrails, Failure> {
    let owner_is_known = !matches!(guardrails.owners.value, Owners::OfTheApp(None));
    let login_is_known = guardrails.app_login.is_some();
    if owner_is_known && login_is_known {
        return Ok(guardrails);
    }
    let (setting, what) = if owner_is_known {
        ("GITHUB_APP_SLUG", "what the App is called")
    } else {
        ("OWNER_ALLOWLIST", "who owns the App")
    };
    let unknown = |setting, what, problem: &dyn std::fmt::Display| {
        wrong(setting, format_args!("is not set, and GitHub does not say {what} ({problem}); set it"))
    };
    let app = github.app().await.map_err(|error| unknown(setting, what, &error))?;
    let guardrails = if owner_is_known {
        guardrails
    } else {
        let owner = app.owner.ok_or_else(|| unknown(setting, what, &"an enterprise, which has no repositories"))?;
        tracing::info!(%owner, "OWNER_ALLOWLIST is not set: the events of the App's owner count");
        guardrails.with_app_owner(owner)
    };
    if login_is_known {
        return Ok(guardrails);
    }
    let login = app.login.ok_or_else(|| unknown("GITHUB_APP_SLUG", "what the App is called", &"it has no slug"))?;
    Ok(guardrails.with_app_login(login))
}

/// Two services on one database would do no harm - they would share its work - but each would remember policy files of
/// its own, and it is nearly always a mistake. The lock is the operating system's: it is gone when the process is.
fn lock(database: &Path) -> Result<File, Failure> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let path = Path::new(&name);
    let file = File::options().create(true).write(true).truncate(false).open(path).map_err(|error| {
        wrong("DATABASE_PATH", format_args!("cannot write `{}`: {error}", super::policy_tree::shown(path)))
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(wrong(
            "DATABASE_PATH",
            format_args!("`{}` is in use by another `dispatch serve`", super::policy_tree::shown(database)),
        )
        .into()),
        Err(TryLockError::Error(error)) => {
            Err(wrong("DATABASE_PATH", format_args!("cannot be locked: {error}")).into())
        }
    }
}

/// The token that was set, or a new one, printed once where only the operator reads.
fn admin_token(set: Option<SecretString>) -> Result<SecretString, Failure> {
    if let Some(token) = set {
        return Ok(token);
    }
    let token = super::random_token()?;
    writeln!(io::stderr(), "dispatch: ADMIN_TOKEN is not set; until the service ends it is {token}")?;
    Ok(token.into())
}

/// One JSON object in each line, with the spans around it: the delivery's id among them. Libraries speak up only for
/// warnings, whatever the level: what they say in detail may hold more than a log should.
fn write_log(level: Level) {
    let ours = ["dispatch", "dispatch_axum", "dispatch_core", "dispatch_github"].map(|target| (target, level));
    let targets = Targets::new().with_default(level.min(Level::WARN)).with_targets(ours);
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false);
    tracing_subscriber::registry().with(lines).with(targets).init();
}
