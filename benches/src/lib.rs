//! What the benchmarks and the load program share: an event, as GitHub would send it.

use dispatch_core::Timestamp;
use dispatch_core::name::{NameError, Repository};
use dispatch_core::testing::world::{OutgoingWebhook, RepositoryOptions, RunSpec, World, WorldError};

/// The webhook of a run of `ci.yml` that succeeded on the default branch of `acme/api`: about 19 KB, most of it URLs that
/// nobody reads, as in GitHub's own.
///
/// # Errors
/// The world refuses; a defect of this function.
pub fn completed_run(now: Timestamp) -> Result<OutgoingWebhook, WorldError> {
    let mut world = World::new(now);
    let api: Repository = "acme/api".parse().map_err(|error: NameError| WorldError(error.to_string()))?;
    world.add_repository(&api, RepositoryOptions::default())?;
    world.write_file(&api, "main", ".github/workflows/ci.yml", "name: ci\non: push\njobs: {}\n")?;
    world.take_webhooks();
    world.complete_run(&api, RunSpec::new("ci.yml", "main"))?;
    world.take_webhooks().pop().ok_or_else(|| WorldError("no webhook was sent".to_owned()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_webhook_is_as_large_as_a_real_one() {
        let body = super::completed_run("2026-01-02T03:04:05Z".parse().unwrap()).unwrap().body;
        assert!((17_000..=21_000).contains(&body.len()), "{} bytes", body.len());
    }
}
