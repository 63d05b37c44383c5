//! A table as a deployment makes it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType,
};
use dispatch_lambda::DynamoStore;

pub(crate) const RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A new table.
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) client: aws_sdk_dynamodb::Client,
    pub(crate) stream: String,
}

impl Table {
    pub(crate) async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("dispatch-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let key =
            |name: &str, key_type| KeySchemaElement::builder().attribute_name(name).key_type(key_type).build().unwrap();
        let keys = |hash, range| Some(vec![key(hash, KeyType::Hash), key(range, KeyType::Range)]);
        let attributes = ["pk", "sk", "wq", "wd", "key"].map(|name| {
            let definition = AttributeDefinition::builder().attribute_name(name);
            definition.attribute_type(ScalarAttributeType::S).build().unwrap()
        });
        let index = |name: &str, range, projection| {
            let index = GlobalSecondaryIndex::builder().index_name(name).set_key_schema(keys("wq", range));
            index.projection(projection).build().unwrap()
        };
        let to_claim = Projection::builder().projection_type(ProjectionType::Include);
        let to_claim = to_claim.set_non_key_attributes(Some(vec!["v".into(), "lane".into()])).build();
        let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
        let client = super::dynamo();
        let table = client
            .create_table()
            .table_name(&name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(keys("pk", "sk"))
            .set_attribute_definitions(Some(attributes.into()))
            .global_secondary_indexes(index("work", "wd", to_claim))
            .global_secondary_indexes(index("work_by_key", "key", keys_only))
            .stream_specification(stream.build().unwrap());
        let made = table.send().await.unwrap();
        let stream = made.table_description.and_then(|table| table.latest_stream_arn).unwrap();
        Self { name, client, stream }
    }

    pub(crate) fn store(&self) -> DynamoStore {
        DynamoStore::new(self.client.clone(), &self.name, RETENTION)
    }
}
