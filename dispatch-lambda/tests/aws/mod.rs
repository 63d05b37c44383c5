//! AWS, emulated by moto on this machine: installed once into the target folder, started once for each process of tests, and
//! ended with it.

pub(crate) mod table;

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_types::SdkConfig;

/// What is installed, and where: another version is another folder.
const MOTO: &str = "moto[server]==5.2.5";
const FOLDER: &str = "aws-emulator/moto-5.2.5";

/// A region of the emulation. Any would do.
pub(crate) const REGION: Region = Region::from_static("eu-west-1");

/// A running emulation. It ends when its standard input does: with this process, however that ends.
struct Emulator {
    endpoint: String,
    _process: Child,
}

/// Where the emulation is reached.
pub(crate) fn endpoint() -> &'static str {
    static EMULATOR: OnceLock<Emulator> = OnceLock::new();
    &EMULATOR.get_or_init(start).endpoint
}

/// A client of DynamoDB.
pub(crate) fn dynamo() -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&config())
}

/// A client of the streams of DynamoDB.
pub(crate) fn streams() -> aws_sdk_dynamodbstreams::Client {
    aws_sdk_dynamodbstreams::Client::new(&config())
}

/// The configuration of any client.
pub(crate) fn config() -> SdkConfig {
    let credentials = Credentials::new("emulated", "emulated", None, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(REGION)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint())
        .build()
}

fn start() -> Emulator {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/server.py");
    let installed = installed(FOLDER, &[MOTO]).unwrap_or_else(|problem| panic!("these tests emulate AWS: {problem}"));
    let mut process = Command::new(installed.join("bin/python"))
        // Nothing is written beside the script.
        .arg("-B")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the emulation of AWS starts");
    let mut port = String::new();
    let output = process.stdout.take().expect("its output");
    BufReader::new(output).read_line(&mut port).expect("its port");
    assert!(!port.is_empty(), "the emulation of AWS ended at once");
    Emulator { endpoint: format!("http://127.0.0.1:{}", port.trim_end()), _process: process }
}

/// A virtual environment with a package, which is made if it is not there. Of several processes of tests one makes it, and the
/// others wait. Answers with what is missing, if it cannot be made.
pub(crate) fn installed(folder: &str, package: &[&str]) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder").join(folder);
    std::fs::create_dir_all(&folder).expect("a folder for the emulation of AWS");
    // Beside the folder: making the environment clears it.
    let lock = File::create(folder.with_added_extension("lock")).expect("a lock file");
    lock.lock().expect("the lock");
    let complete = folder.join("complete");
    if !complete.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(folder.join("bin/python")).args(pip).args(package))?;
        File::create(complete).expect("a mark that all is installed");
    }
    Ok(folder)
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.stdin(Stdio::null()).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err("Python 3 (`python3`, with `venv`) is missing".to_owned())
        }
        Err(error) => Err(format!("{command:?} cannot run: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let error = String::from_utf8_lossy(&output.stderr);
            Err(format!("{command:?} failed, and it needs `venv` and a package index: {error}"))
        }
    }
}
