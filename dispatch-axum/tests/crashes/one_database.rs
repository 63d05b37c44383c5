//! The service is started twice by mistake.

use std::time::Duration;

use dispatch_core::testing::world::RunSpec;

use super::eventually;
use super::organisation::Organisation;
use super::program::Home;

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_on_one_database_says_so_and_ends_and_the_first_goes_on() {
    let organisation = Organisation::new().await;
    let home = Home::new(&organisation.emulator);
    let mut first = home.start();
    first.address().await;

    let second = home.command("serve").output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("DATABASE_PATH") && said.contains("in use by another"), "{said}");

    let source = &organisation.sources[0];
    organisation.emulator.world().complete_run(&source.name, RunSpec::new("ci.yml", "main")).unwrap();
    let started = async || organisation.dispatched().len() == source.targets.len();
    eventually("the first starts runs", Duration::from_secs(30), started).await;
    assert!(first.is_running());
}
