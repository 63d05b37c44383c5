//! GitHub behind real HTTP, on loopback: for tests, the demo, and people's own integration tests.
//!
//! The rules are those of [`World`]; here is only the way there and back: App JWTs that are verified, tokens, headers,
//! JSON, and signed webhooks that are sent for what happens. What goes wrong is ordered as [faults](dispatch_core::testing::world::Fault), also while
//! it runs, by the endpoints of [`control`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use dispatch_core::testing::World;
//! use dispatch_core::testing::world::{RepositoryOptions, RunSpec};
//! use dispatch_github::emulator::{Emulator, EmulatorOptions};
//!
//! let api = "octo-org/api".parse()?;
//! let mut world = World::new(jiff::Timestamp::now());
//! world.add_repository(&api, RepositoryOptions::default())?;
//! world.write_file(&api, "main", ".github/workflows/ci.yml", "on: push\njobs: {}\n")?;
//!
//! let emulator = Emulator::start(world, EmulatorOptions::default()).await?;
//! println!("{} {} {}", emulator.api_url(), emulator.app_id(), emulator.private_key_pem());
//! emulator.set_webhook_url("http://127.0.0.1:3000/webhooks/github");
//! emulator.world().complete_run(&api, RunSpec::new("ci.yml", "main"))?; // the webhook is on its way
//! emulator.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod actions;
mod answer;
mod auth;
mod checks;
mod contents;
pub mod control;
mod deliveries;
mod issues;
mod key;
mod load;
mod people;
mod pulls;
mod server;

pub use key::is_emulator_key;
pub use load::{LoadError, load_world};

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatch_core::testing::world::{Pace, World};
use jiff::Timestamp;
use jsonwebtoken::DecodingKey;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use deliveries::Parcel;

/// How an emulator runs.
#[derive(Debug, Clone)]
pub struct EmulatorOptions {
    /// The port on 127.0.0.1; 0 for any that is free.
    pub port: u16,
    /// Where webhooks go; None: nowhere, until [`Emulator::set_webhook_url`].
    pub webhook_url: Option<String>,
    /// The secret that webhooks are signed with.
    pub webhook_secret: String,
    /// How long a dispatched run takes; None: it stays queued until [`World::progress_runs`] is called.
    pub pace: Option<Pace>,
}

impl Default for EmulatorOptions {
    fn default() -> Self {
        Self {
            port: 0,
            webhook_url: None,
            webhook_secret: "emulator-webhook-secret".to_owned(),
            pace: Some(Pace { queued: Duration::from_millis(50), in_progress: Duration::from_millis(100) }),
        }
    }
}

/// A running emulator. It stops when it is dropped.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    tasks: JoinSet<()>,
}

/// What the tasks of an emulator share.
#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    webhook_url: Mutex<Option<String>>,
    secret: String,
    /// What verifies the App's JWTs.
    app_key: Mutex<DecodingKey>,
    parcels: mpsc::UnboundedSender<Parcel>,
    /// How many parcels nobody has answered yet.
    under_way: AtomicUsize,
    /// Something happened in the world: runs may be due earlier.
    changed: Notify,
}

/// The world of an emulator, held still. When it is let go, the webhooks of what happened in it are sent.
#[derive(Debug)]
pub struct WorldGuard<'a> {
    world: MutexGuard<'a, World>,
    shared: &'a Shared,
}

impl Emulator {
    /// Starts on 127.0.0.1. Webhooks that wait in the world are dropped: they are of a time before the App listened.
    ///
    /// # Errors
    /// The port is taken, or the secret is no webhook secret.
    pub async fn start(mut world: World, options: EmulatorOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        world.set_api_url(&format!("http://{address}"));
        world.take_webhooks();
        let (parcels, to_send) = mpsc::unbounded_channel();
        let courier = deliveries::Courier::new(&options.webhook_secret)?;
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            webhook_url: Mutex::new(options.webhook_url),
            secret: options.webhook_secret,
            app_key: Mutex::new(key::public_key().map_err(io::Error::other)?),
            parcels,
            under_way: AtomicUsize::new(0),
            changed: Notify::new(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(server::serve(listener, Arc::clone(&shared)));
        tasks.spawn(deliveries::deliver(Arc::clone(&shared), courier, to_send));
        if let Some(pace) = options.pace {
            tasks.spawn(progress(Arc::clone(&shared), pace));
        }
        Ok(Self { shared, address, tasks })
    }

    /// The base URL of the API, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The App's id.
    #[must_use]
    pub fn app_id(&self) -> u64 {
        self.world().app().id
    }

    /// The App's private key. It is no secret: see [`is_emulator_key`].
    #[must_use]
    pub fn private_key_pem(&self) -> &'static str {
        key::PRIVATE_PEM
    }

    /// Replaces the App's key, as its owner would on GitHub: JWTs of the one before are refused from now on.
    ///
    /// # Errors
    /// It is no public RSA key in PEM form.
    pub fn set_app_public_key(&self, pem: &str) -> io::Result<()> {
        let key = DecodingKey::from_rsa_pem(pem.as_bytes());
        *lock(&self.shared.app_key) = key.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(())
    }

    /// The secret that webhooks are signed with.
    #[must_use]
    pub fn webhook_secret(&self) -> &str {
        &self.shared.secret
    }

    /// Sends webhooks there from now on.
    pub fn set_webhook_url(&self, url: &str) {
        *lock(&self.shared.webhook_url) = Some(url.to_owned());
    }

    /// The world: to look at, and to let things happen in.
    #[must_use]
    pub fn world(&self) -> WorldGuard<'_> {
        self.shared.world()
    }

    /// How many webhooks are on their way: of what happened, and not answered yet.
    #[must_use]
    pub fn webhooks_under_way(&self) -> usize {
        self.shared.under_way.load(Ordering::SeqCst)
    }

    /// Stops, and waits until its port is free.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}

impl Shared {
    /// The world, at the present time.
    fn world(&self) -> WorldGuard<'_> {
        let mut world = lock(&self.world);
        world.tick(Timestamp::now());
        WorldGuard { world, shared: self }
    }

    fn send_webhooks(&self, world: &mut World) {
        for webhook in world.take_webhooks() {
            self.send(Parcel { webhook, signature: None, answer: None });
        }
    }

    fn send(&self, parcel: Parcel) {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        // Nobody receives any more only while the emulator stops.
        let _ = self.parcels.send(parcel);
    }

    /// Moves the runs that are due; answers how long it is until the next one is.
    fn progress(&self, pace: Pace) -> Option<Duration> {
        let mut world = lock(&self.world);
        world.tick(Timestamp::now());
        world.progress_due(pace);
        self.send_webhooks(&mut world);
        let wait = world.next_due(pace)?.duration_since(world.now());
        // At least a moment, because due times are compared by a clock that may stand still.
        Some(Duration::try_from(wait).unwrap_or_default().max(Duration::from_millis(1)))
    }
}

impl Deref for WorldGuard<'_> {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for WorldGuard<'_> {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Drop for WorldGuard<'_> {
    fn drop(&mut self) {
        self.shared.send_webhooks(&mut self.world);
        self.shared.changed.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Moves dispatched runs when they are due.
async fn progress(shared: Arc<Shared>, pace: Pace) {
    loop {
        let wait = shared.progress(pace);
        // A change between that look and this wait is not lost: the permit of `notify_one` is kept.
        let changed = shared.changed.notified();
        match wait {
            None => changed.await,
            Some(wait) => {
                let _ = tokio::time::timeout(wait, changed).await;
            }
        }
    }
}
