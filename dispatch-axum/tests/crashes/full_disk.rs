//! The disk is full for a while.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dispatch_core::testing::account::{Account, Expected, Outcomes};
use dispatch_core::testing::world::RunSpec;
use tempfile::TempDir;

use super::eventually;
use super::http::request;
use super::organisation::Organisation;
use super::program::Home;

// Longer than a call may take whose answer could not be written: it is looked for two minutes later.
const PATIENCE: Duration = Duration::from_secs(300);

/// A small file system in memory. Only root can make one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that there is.
    fn fill(&self) {
        let mut file = File::create(self.path().join("everything-else")).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.path().join("everything-else")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a process may not quite have ended.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_is_full_webhooks_are_refused_and_then_accepted_again_without_a_restart() {
    let Some(disk) = SmallDisk::new() else {
        eprintln!("SKIPPED: a small file system cannot be mounted here (only root can)");
        return;
    };
    let organisation = Organisation::new().await;
    let home = Home::new(&organisation.emulator).with_database_in(disk.path());
    let mut service = home.start();
    let address = service.address().await;
    let source = organisation.sources[0].clone();
    let mut expected = Expected::default();
    let mut complete_run = || {
        let run = organisation.emulator.world().complete_run(&source.name, RunSpec::new("ci.yml", "main")).unwrap();
        expected.completed.insert(run);
        expected.started.extend(source.targets.iter().map(|target| (target.clone(), run)));
    };
    let last_answer = || organisation.emulator.world().deliveries().next().map(|record| record.status_code);

    complete_run();
    eventually("a webhook is accepted", PATIENCE, async || last_answer() == Some(202)).await;
    assert_eq!(request(address, "GET", "/ready", "").0, 200);

    disk.fill();
    // What SQLite has reserved lasts for a few more.
    eventually("a webhook is refused", PATIENCE, async || {
        complete_run();
        tokio::time::sleep(Duration::from_millis(100)).await;
        last_answer() == Some(503)
    })
    .await;
    // It may have found room once more, where SQLite began its log anew: until webhooks have used that up, too.
    eventually("it says that it is not ready", PATIENCE, async || {
        let is_ready = ready(address).await == 200;
        if is_ready {
            complete_run();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        !is_ready
    })
    .await;
    assert_eq!(request(address, "GET", "/health", "").0, 200, "it is alive");

    disk.make_room();
    eventually("it is ready again", PATIENCE, async || ready(address).await == 200).await;
    complete_run();
    // What was refused would be found by the next look into GitHub's log. Nobody has to wait for it.
    let recovered = home.command("recover").output().unwrap();
    assert!(recovered.status.success(), "{recovered:?}");
    home.until_quiet(expected.completed.len(), PATIENCE).await;
    assert!(service.is_running(), "the same process");
    let outcomes = Account::read(home.store()).await.check(&expected, &organisation.dispatched()).await;
    assert_eq!(
        outcomes,
        Outcomes { triggered: expected.started.len(), doubts: outcomes.doubts, ..Outcomes::default() }
    );
}

async fn ready(address: SocketAddr) -> u16 {
    tokio::task::spawn_blocking(move || request(address, "GET", "/ready", "").0).await.unwrap()
}
