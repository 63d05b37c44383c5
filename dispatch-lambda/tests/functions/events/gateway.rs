//! What an HTTP API hands to a function.

use serde_json::{Value, json};

/// A request as an HTTP API hands it on (payload format 2.0).
pub(crate) fn gateway_event(method: &str, path: &str, headers: &Value, body: Option<&str>) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "api-id",
            "domainName": "dispatch.example.com",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x" },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "time": "02/Jan/2026:03:04:05 +0000",
            "timeEpoch": 1_767_323_045_000_u64,
        },
        "body": body,
        "isBase64Encoded": false,
    })
}
