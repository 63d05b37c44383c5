//! `dispatch-lambda FUNCTION`: one of the functions of dispatch on AWS Lambda.

use std::io::Write;
use std::process::ExitCode;

use dispatch_axum::settings::{PipelineSettings, Settings};
use dispatch_lambda::{Function, NoFunction};
use lambda_http::Error;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Err(error) = run().await else { return ExitCode::SUCCESS };
    // Where even that cannot be said, the exit code says it.
    let _ = writeln!(std::io::stderr(), "dispatch-lambda: {error}");
    if error.is::<NoFunction>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

async fn run() -> Result<(), Error> {
    let function: Function = std::env::args().nth(1).unwrap_or_default().parse()?;
    // What is no text is none of ours.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let settings: Settings = variables.collect();
    let pipeline = PipelineSettings::read(&settings)?;
    write_log(pipeline.log_level);
    function.run(&settings, pipeline).await
}

/// One JSON object in each line, with the spans around it. Libraries speak up only for warnings.
fn write_log(level: Level) {
    let ours = ["dispatch_lambda", "dispatch_axum", "dispatch_core", "dispatch_github"].map(|target| (target, level));
    let targets = Targets::new().with_default(level.min(Level::WARN)).with_targets(ours);
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false);
    tracing_subscriber::registry().with(lines).with(targets).init();
}
