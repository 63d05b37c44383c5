//! Events in the form in which AWS hands them to functions (AWS Lambda Developer Guide, "Invoking Lambda with events from other
//! AWS services").

mod gateway;

use std::collections::BTreeMap;

use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType};
use serde_json::{Value, json};

pub(crate) use self::gateway::gateway_event;

/// Messages as a queue hands them to a function.
pub(crate) fn queue_event(messages: &[(&str, &str)]) -> Value {
    let record = |(id, body): &(&str, &str)| {
        json!({
            "messageId": id,
            "receiptHandle": "handle",
            "body": body,
            "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1767323045000" },
            "messageAttributes": {},
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:tested",
            "awsRegion": "eu-west-1",
        })
    };
    json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
}

/// The messages or places that an answer says have failed.
pub(crate) fn failed(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array().expect("an answer about a batch");
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect()
}

/// A change as a stream hands it to a function.
pub(crate) fn stream_record(record: aws_sdk_dynamodbstreams::types::Record) -> Value {
    let change = record.dynamodb.unwrap();
    let texts = |item: Option<std::collections::HashMap<String, AttributeValue>>| -> BTreeMap<String, Value> {
        let texts = item.unwrap_or_default().into_iter();
        texts.filter_map(|(name, value)| Some((name, json!({ "S": value.as_s().ok()? })))).collect()
    };
    json!({
        "eventID": "1",
        "eventName": record.event_name.as_ref().map_or("", OperationType::as_str),
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_767_323_045,
            "Keys": texts(change.keys),
            "NewImage": texts(change.new_image),
            "SequenceNumber": change.sequence_number,
            "SizeBytes": 1,
            "StreamViewType": "NEW_IMAGE",
        },
    })
}
