//! What it costs to believe a webhook: the HMAC alone, and the HMAC with reading the body into an event.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dispatch_core::webhook::{WebhookSecrets, parse};

fn webhook(c: &mut Criterion) {
    let body = dispatch_benches::completed_run("2026-01-02T03:04:05Z".parse().unwrap()).unwrap().body;
    let secrets: WebhookSecrets = "one secret of thirty-two letters".parse().unwrap();
    let signature = secrets.sign(&body);

    let mut group = c.benchmark_group("webhook");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("verify", |b| {
        b.iter(|| secrets.verify(Some(black_box(signature.as_bytes())), black_box(&body)).unwrap());
    });
    group.bench_function("verify_parse_normalise", |b| {
        b.iter(|| {
            secrets.verify(Some(black_box(signature.as_bytes())), black_box(&body)).unwrap();
            parse("workflow_run", black_box(&body)).unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, webhook);
criterion_main!(benches);
