//! Any bytes as the JSON of whatever is stored or handed on: refused, or read, written and read again as the same value.
#![no_main]

use std::fmt::Debug;

use dispatch_core::chain::Chain;
use dispatch_core::decide::Plan;
use dispatch_core::delivery::Delivery;
use dispatch_core::dispatch::Dispatch;
use dispatch_core::environment::Environment;
use dispatch_core::event::{Event, EventIdentity, RunProgress};
use dispatch_core::fact::Fact;
use dispatch_core::ledger::Ledger;
use dispatch_core::name::{
    ArgumentWord, Branch, CheckId, CommandName, CommitSha, DeliveryId, EnvironmentName, EventType, GitRef, Login,
    Owner, Repository, TeamName, WorkflowFile,
};
use dispatch_core::notice::{Notice, NoticeKey};
use dispatch_core::pattern::PatternSet;
use dispatch_core::policy::{RuleLocation, Start};
use dispatch_core::ports::delivery_log::DeliveryAttempt;
use dispatch_core::ports::store::{Queue, Record, RecordKey};
use dispatch_core::projection::ViewRow;
use dispatch_core::proposal::ProposalRecord;
use dispatch_core::pull_request::PullRequestRecord;
use dispatch_core::reason::Reason;
use dispatch_core::recovery::Recovery;
use dispatch_core::report::Report;
use dispatch_core::request::DispatchRequest;
use dispatch_core::revocation::{AccessLost, Revocation};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Tries the bytes as each of the types.
macro_rules! each {
    ($bytes:ident: $($of:ty,)*) => { $(survives::<$of>($bytes);)* };
}

fuzz_target!(|bytes: &[u8]| {
    each!(
        bytes: Event, EventIdentity, RunProgress, Delivery, Dispatch, Plan, Chain, Environment, Fact, Ledger, Notice,
        NoticeKey, ProposalRecord, PullRequestRecord, Recovery, Report, Revocation, AccessLost, DeliveryAttempt, Record,
        RecordKey, Queue, ViewRow, DispatchRequest, RuleLocation, Start, Reason, PatternSet, ArgumentWord, Branch, CheckId,
        CommandName, CommitSha, DeliveryId, EnvironmentName, EventType, GitRef, Login, Owner, Repository, TeamName,
        WorkflowFile,
    );
});

fn survives<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
    let written = serde_json::to_string(&value).expect("what was read can be written");
    let read: T = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
    assert_eq!(read, value, "changed while it was stored");
    assert_eq!(serde_json::to_string(&read).expect("what was read can be written"), written);
}
