//! `dispatch parked`: what was given up, and how to go on with it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use dispatch_axum::parked::{self, Found, Parked};
use dispatch_axum::wording;
use dispatch_core::Timestamp;
use dispatch_core::decide::Verdict;
use dispatch_core::diagnostic::visible;
use dispatch_core::fact::Fact;
use dispatch_core::pipeline::ParkedOutcome;
use dispatch_core::ports::StorePort;
use dispatch_core::ports::store::Record;
use serde_json::json;

use super::database::{Database, offline};
use super::{Failure, write_json};

/// How many are read at once.
const PAGE: usize = 200;

/// Arguments of `dispatch parked`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Parked is what GitHub refused, what failed too often, what nobody knows the outcome of, and what is too old to be done \
without asking. An ID is what `list` prints, or as much of its beginning as no other one has, at least four characters.

The service may be running: it takes up what is retried within a second.

Exit code: 0 if it was done, 1 if nothing is parked under that ID, 2 for wrong use.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List what is parked, newest first.
    List {
        /// Print one JSON array instead of text.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: Database,
    },
    /// Show one with its whole history.
    Show(One),
    /// Decide about one again, by the policies as they are now, and do it if they allow it.
    ///
    /// Of an unknown one it means: look into the target first, because it may have been started.
    Retry(One),
    /// Say that one is not wanted, or was taken care of.
    Drop(One),
}

#[derive(Debug, clap::Args)]
struct One {
    /// What `dispatch parked list` prints first, or its beginning.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    database: Database,
}

/// Does what was asked.
///
/// # Errors
/// Nothing is parked under the id, or the database cannot be used.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    super::runtime()?.block_on(act(&args.action))
}

async fn act(action: &Action) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    match action {
        Action::List { json, database } => list(&mut out, &database.open()?, *json).await?,
        Action::Show(one) => {
            let store = one.database.open()?;
            let parked = find(&store, &one.id).await?;
            show(&mut out, &store, &parked).await?;
        }
        Action::Retry(one) => {
            let parked = obey(one, Order::Retry).await?;
            writeln!(out, "{} is taken up again: {}", parked.id(), what(&parked))?;
        }
        Action::Drop(one) => {
            let parked = obey(one, Order::Drop).await?;
            writeln!(out, "{} is dropped: {}", parked.id(), what(&parked))?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

enum Order {
    Retry,
    Drop,
}

/// Does what the operator wants with one, and answers with what it was.
async fn obey(one: &One, order: Order) -> Result<Parked, Failure> {
    let store: Arc<dyn StorePort> = Arc::new(one.database.open()?);
    let parked = find(&*store, &one.id).await?;
    let (pipeline, subject, now) = (offline(store)?, &parked.row.subject, Timestamp::now());
    let outcome = match order {
        Order::Retry => pipeline.retry_parked(subject, now).await,
        Order::Drop => pipeline.drop_parked(subject, now).await,
    };
    match outcome.map_err(Failure::work)? {
        ParkedOutcome::Done => Ok(parked),
        ParkedOutcome::NotParked | ParkedOutcome::NotFound => {
            Err(Failure::work(format_args!("{} is not parked any more", parked.id())))
        }
    }
}

async fn list(out: &mut impl Write, store: &dyn StorePort, as_json: bool) -> Result<(), Failure> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = parked::page(store, before, PAGE).await.map_err(Failure::work)?;
        all.extend(page.parked);
        before = page.older;
        if before.is_none() {
            break;
        }
    }
    if as_json {
        let all: Vec<_> = all.iter().map(as_value).collect();
        write_json(out, &all)?;
        return Ok(());
    }
    for parked in &all {
        let row = &parked.row;
        writeln!(out, "{}  {}  {}  {}", parked.id(), at(row.parked_at), row.kind, what(parked))?;
        writeln!(out, "{:width$}  {}", "", visible(&row.error), width = Parked::SHOWN)?;
    }
    match all.len() {
        0 => writeln!(out, "nothing is parked")?,
        count => writeln!(out, "\n{count} parked; see `dispatch parked --help` for what to do")?,
    }
    Ok(())
}

fn as_value(parked: &Parked) -> serde_json::Value {
    let row = &parked.row;
    json!({
        "id": parked.id(),
        "kind": row.kind,
        "error": row.error,
        "parked_at": row.parked_at,
        "source": parked.source,
        "target": parked.target,
        "delivery": row.subject.delivery.id,
    })
}

/// Finds the one that was meant.
async fn find(store: &dyn StorePort, id: &str) -> Result<Parked, Failure> {
    let shown = visible(id);
    if id.len() < Parked::LEAST || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let least = Parked::LEAST;
        return Err(Failure::input(format_args!("`{shown}` is no ID: it has {least} or more of 0-9 and a-f")));
    }
    match parked::find(store, id).await.map_err(Failure::work)? {
        Found::One(parked) => Ok(*parked),
        Found::Nothing => Err(Failure::work(format_args!("nothing is parked under `{shown}`"))),
        Found::Several(count) => {
            Err(Failure::input(format_args!("`{shown}` is the beginning of {count} IDs; write more of it")))
        }
    }
}

async fn show(out: &mut impl Write, store: &dyn StorePort, parked: &Parked) -> Result<(), Failure> {
    let row = &parked.row;
    let mut field = |name: &str, value: &str| writeln!(out, "{name:<10}{}", visible(value));
    field("id", &parked.id())?;
    field("what", &what(parked))?;
    field("why", &format!("{}: {}", row.kind, row.error))?;
    field("parked", &at(row.parked_at))?;
    field("delivery", row.subject.delivery.id.as_str())?;
    let record = store.load(&[parked::record_key(&row.subject)]).await.map_err(Failure::work)?.pop().flatten();
    if let Some(Record::Dispatch(dispatch)) = record.map(|stored| stored.record) {
        field("decided by", &dispatch.decision.outbound_rule.to_string())?;
        if let Verdict::Allowed(allowed) = &dispatch.decision.verdict {
            field("and by", &allowed.inbound_rule.to_string())?;
        }
    }
    writeln!(out)?;
    let facts = parked::facts(store, &row.subject).await.map_err(Failure::work)?;
    let about = |fact: &&Fact| fact.subject.dispatch.is_none() || fact.subject == row.subject;
    for fact in facts.iter().filter(about) {
        let step = wording::step(fact);
        let text = step.text.unwrap_or_default();
        writeln!(out, "{}  {:<15}  {}", at(fact.time), step.title, visible(&text))?;
    }
    Ok(())
}

/// `source → target`, as far as they are known.
fn what(parked: &Parked) -> String {
    let source = parked.source.as_deref().unwrap_or("a delivery that is not kept any more");
    let text = match &parked.target {
        Some(target) => format!("{source} → {target}"),
        None => source.to_owned(),
    };
    visible(&text).into_owned()
}

fn at(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
