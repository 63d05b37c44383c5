//! Any body under any event name is an event, ignored, or refused; an event survives being stored.
#![no_main]

use dispatch_core::event::Event;
use dispatch_core::webhook::{Webhook, parse};
use libfuzzer_sys::fuzz_target;

/// The first byte of an input chooses: the digit `2` the first of these, and so on.
const EVENTS: [&str; 10] = [
    "workflow_run",
    "push",
    "ping",
    "pull_request",
    "issue_comment",
    "check_run",
    "installation",
    "installation_repositories",
    "star",
    "never\u{7}heard\nof",
];

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    let name = EVENTS[usize::from(*choice) % EVENTS.len()];
    match parse(name, body) {
        Ok(Webhook::Event(event)) => {
            assert_eq!(event.kind.name(), name, "the event is not the one of the header");
            let stored = serde_json::to_string(&event).expect("an event can be stored");
            let read: Event = serde_json::from_str(&stored).expect("a stored event can be read");
            assert_eq!(*event, read, "an event changed while it was stored");
            assert_eq!(event.identity(), read.identity());
        }
        Ok(Webhook::AccessLost(lost)) => {
            assert!(name.starts_with("installation"), "access is lost by {name}");
            let stored = serde_json::to_string(&lost).expect("it can be stored");
            assert_eq!(*lost, serde_json::from_str(&stored).expect("it can be read"));
        }
        Ok(Webhook::Ignored { action }) => assert!(action.is_none_or(|action| action.chars().count() <= 100)),
        Err(error) => {
            let message = error.to_string();
            assert!(!message.chars().any(char::is_control), "a message would write into the log: {message:?}");
            assert!(message.len() < 4_096, "a message as long as the body");
        }
    }
});
