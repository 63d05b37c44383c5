//! GitHub's limits on a payload: nothing beyond them is sent, and nothing is cut so that it fits.

use std::fmt::Write;

use crate::house::{House, event, world_of};
use crate::policies::{File, file};

/// `api` sends these properties to `infra` when a pull request is opened. It is given as YAML.
fn payload(properties: &[(&str, &str)]) -> Vec<File> {
    let (mut outbound, mut inbound) = (String::new(), String::new());
    for (name, value) in properties {
        write!(outbound, "\n          {name}: \"{value}\"").unwrap();
        write!(inbound, "\n          {name}: {{ pattern: \"*\" }}").unwrap();
    }
    let source = "pull_request: [opened]";
    let api = format!(
        "outbound:\n  - source: {{ {source} }}\n    targets:\n      - repository: infra\n        event: opened\n        \
         payload:{outbound}\n"
    );
    let infra = format!(
        "inbound:\n  - source: {{ repository: api, {source} }}\n    targets:\n      - event: opened\n        \
         accept_payload:{inbound}\n"
    );
    vec![file("api", "dispatching.yml", &api), file("infra", "dispatching.yml", &infra)]
}

/// What `infra` gets of it, and what the check says.
async fn sent(properties: &[(&str, &str)]) -> (Vec<String>, String) {
    let house = House::over(world_of(&payload(properties), &[])).await;
    let number = house.opens("api", "alice", "feature/x", "main").await;
    let checks = house.shown_checks("api", number);
    (house.end().await.writes_to("infra"), checks)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_has_ten_properties_at_most() {
    let names: Vec<String> = (0..11).map(|at| format!("property_{at:02}")).collect();
    let properties: Vec<_> = names.iter().map(|name| (name.as_str(), "{{ pr.number }}")).collect();
    let (ten, _) = sent(&properties[..10]).await;
    let json: Vec<_> = names[..10].iter().map(|name| format!(r#""{name}":"1""#)).collect();
    assert_eq!(ten, [event("opened", &format!("{{{}}}", json.join(",")))]);
    let (eleven, checks) = sent(&properties).await;
    assert_eq!(eleven, Vec::<String>::new());
    insta::assert_snapshot!(checks, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_65536_bytes_is_not_sent_and_not_cut() {
    // `{"n":"1","text":""}` is 20 bytes.
    for number in ["1", "{{ pr.number }}"] {
        let (sent, checks) = sent(&[("n", number), ("text", &"x".repeat(65_536 - 20))]).await;
        assert_eq!(sent, Vec::<String>::new(), "{checks}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_payload_is_sent_whole() {
    let names: Vec<String> = (0..10).map(|at| format!("property_{at:02}")).collect();
    let long = "\u{1f680}".repeat(1_024);
    let properties: Vec<_> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
    let (sent, checks) = sent(&properties).await;
    let json: Vec<_> = names.iter().map(|name| format!(r#""{name}":"{long}""#)).collect();
    assert_eq!(sent, [event("opened", &format!("{{{}}}", json.join(",")))], "{checks}");
}
