//! The DynamoDB store keeps the contract of stores, on an emulation of AWS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../aws/mod.rs"]
mod aws;
mod facts;
mod followed;
mod items;
mod model;

use dispatch_core::testing::contract::store_contract;

use self::followed::Followed;

#[tokio::test]
async fn it_keeps_the_contract_of_stores() {
    store_contract(Followed::new).await;
}
