//! Functions under the Runtime API of `cargo lambda`, which others wrote: what these tests' own one takes for granted, it does
//! not. It is also a gateway, which makes events of HTTP requests.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use dispatch_core::Timestamp;
use dispatch_core::ports::store::{Queue, StorePort as _, WaitingQuery};
use dispatch_core::testing::account::STARTS;
use dispatch_core::testing::world::RunSpec;
use dispatch_github::emulator::{Emulator, EmulatorOptions};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::aws;
use crate::aws::table::Table;
use crate::deployment::{secrets, until};
use crate::events::{failed, gateway_event, queue_event};
use crate::stage::{agreed, repository};

/// What is installed, and where.
const CARGO_LAMBDA: &str = "cargo-lambda==1.9.2";
const FOLDER: &str = "aws-emulator/cargo-lambda-1.9.2";

/// A function, and what it runs under.
struct Function {
    address: SocketAddr,
    program: PathBuf,
    /// In the order in which they end.
    processes: [Child; 2],
}

impl Function {
    /// None where `cargo lambda` cannot be installed: not for every machine there is one.
    #[allow(clippy::print_stderr, reason = "who reads the tests' output is told that something was left out")]
    async fn start(name: &str, table: &Table, more: &BTreeMap<&str, String>) -> Option<Self> {
        // Its dependency is a compiler, for those who build with it.
        let program = match aws::installed(FOLDER, &["--no-deps", CARGO_LAMBDA]) {
            Ok(folder) => folder.join("bin/cargo-lambda"),
            Err(problem) => {
                eprintln!("not tested under `cargo lambda`: {problem}");
                return None;
            }
        };
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut watch = Command::new(&program);
        watch.args(["lambda", "watch", "--only-lambda-apis", "--ignore-changes", "--invoke-address", "127.0.0.1"]);
        watch.arg("--invoke-port").arg(address.port().to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut watch = watch.current_dir(env!("CARGO_MANIFEST_DIR")).spawn().unwrap();
        // Whoever asks for an event before it listens gives up.
        until("it listens", async || {
            assert_eq!(watch.try_wait().unwrap(), None, "`cargo lambda watch` goes on");
            TcpStream::connect(address).await.is_ok()
        })
        .await;
        let mut function = Command::new(env!("CARGO_BIN_EXE_dispatch-lambda"));
        function.arg(name).env_clear().envs(more).stdout(Stdio::null());
        function.env("AWS_LAMBDA_RUNTIME_API", format!("http://{address}/.rt"));
        let rest = [
            ("AWS_LAMBDA_FUNCTION_NAME", "_"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "4096"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "emulated"),
            ("AWS_SECRET_ACCESS_KEY", "emulated"),
            ("AWS_ENDPOINT_URL", aws::endpoint()),
            ("TABLE_NAME", &table.name),
        ];
        Some(Self { address, program, processes: [function.envs(rest).spawn().unwrap(), watch] })
    }

    fn invoke(&self, event: &Value) -> Value {
        let mut invoke = Command::new(&self.program);
        invoke.args(["lambda", "invoke", "--invoke-address", "127.0.0.1", "--invoke-port"]);
        invoke.arg(self.address.port().to_string()).arg("--data-ascii").arg(event.to_string());
        let output = invoke.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_cargo_lambda_github_delivers_a_webhook_and_a_wrong_signature_is_refused() {
    let (table, emulator) = (Table::new().await, {
        let options = EmulatorOptions { pace: None, ..EmulatorOptions::default() };
        Emulator::start(agreed(Timestamp::now()), options).await.unwrap()
    });
    let name = format!("{}-cargo-lambda", table.name);
    let secret = secrets().create_secret().name(name).secret_string(emulator.webhook_secret()).send().await.unwrap();
    let queue = format!("{}/queue", aws::endpoint());
    let variables = BTreeMap::from([
        ("REQUESTS_QUEUE_URL", queue.clone()),
        ("TARGETS_QUEUE_URL", queue),
        ("GITHUB_APP_SLUG", emulator.world().app().slug.clone()),
        ("OWNER_ALLOWLIST", "acme".to_owned()),
        ("GITHUB_WEBHOOK_SECRET_ARN", secret.arn.unwrap()),
    ]);
    let Some(ingress) = Function::start("ingress", &table, &variables).await else { return };
    emulator.set_webhook_url(&format!("http://{}/webhooks/github", ingress.address));
    emulator.world().complete_run(&repository("acme/api"), RunSpec::new(STARTS, "main")).unwrap();
    until("it is durable", async || {
        let query = WaitingQuery { queue: Queue::Plan, after: None, limit: 10 };
        table.store().waiting(query).await.unwrap().len() == 1
    })
    .await;
    let headers = json!({ "x-github-event": "ping", "x-hub-signature-256": "sha256=00" });
    let answer = ingress.invoke(&gateway_event("POST", "/webhooks/github", &headers, Some("{}")));
    assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&401.into(), &false.into()), "{answer}");
    assert_eq!(answer["headers"]["content-type"], "application/json", "{answer}");
    assert_eq!(answer["body"], r#"{"error":"the signature is missing or wrong"}"#, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_cargo_lambda_a_batch_is_answered_with_what_failed() {
    let table = Table::new().await;
    let Some(facts) = Function::start("facts", &table, &BTreeMap::new()).await else { return };
    // One that is not there any more, and one that is none.
    let unknown = json!({ "detail": { "id": "unknown" } }).to_string();
    let answer = facts.invoke(&queue_event(&[("unknown", unknown.as_str()), ("damaged", "{")]));
    assert_eq!(failed(&answer), ["damaged"], "{answer}");
}
