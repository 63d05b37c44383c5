//! `dispatch demo`: the real service, told what happens in a little organisation on an emulated GitHub.
//!
//! Only GitHub is not real here. Webhooks are signed and travel over HTTP, the service is the one of `dispatch serve`
//! with its database in a temporary folder, and what it asks of GitHub it asks over HTTP, with tokens that the emulator
//! made and checks.

mod forgery;
mod journey;
mod life;
mod narrator;
mod organisation;
mod screen;
mod stage;
mod story;

use std::process::ExitCode;

use dispatch_core::Timestamp;
use dispatch_core::testing::world::Run;

use self::narrator::Narrator;
use self::screen::{Screen, Style};
use self::stage::Stage;
use self::story::{Act, acts};
use super::Failure;

/// Arguments of `dispatch demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code with --once: 0 if GitHub saw exactly what the story expects, else 1.")]
pub(crate) struct Args {
    /// What is told.
    #[arg(long, value_enum, default_value_t = Story::Runs)]
    story: Story,
    /// End after the story, and say by the exit code whether GitHub saw exactly what was expected.
    #[arg(long)]
    once: bool,
}

/// The stories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Story {
    /// Workflow runs that start workflows in other repositories, and those that do not.
    Runs,
    /// A preview for each pull request (examples/preview).
    Preview,
    /// Test environments by commands in comments (examples/command).
    Command,
    /// A stack of its own for each pull request, and a sweep for what was forgotten (examples/stack).
    Stack,
}

/// Tells the story, and then shows the dashboard until a signal ends it.
///
/// # Errors
/// Something that was expected did not happen, or something happened that was not expected.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    super::runtime()?.block_on(demonstrate(args.story, args.once))
}

async fn demonstrate(story: Story, once: bool) -> Result<ExitCode, Failure> {
    let screen = Screen::new();
    let (stage, differences) = match story {
        Story::Runs => tell_runs(&screen).await?,
        Story::Preview => life::tell(&screen, &life::PREVIEW).await?,
        Story::Command => life::tell(&screen, &life::COMMAND).await?,
        Story::Stack => life::tell(&screen, &life::STACK).await?,
    };
    if !once {
        let signals = super::Signals::new()?;
        stage.invite(&screen)?;
        signals.ended().await;
    }
    stage.take_down().await;
    match differences.as_slice() {
        [] => Ok(ExitCode::SUCCESS),
        _ => Err(Failure::work(format_args!("not what was expected: {}", differences.join("; ")))),
    }
}

/// The story of workflow runs; answers with what came otherwise than expected.
async fn tell_runs(screen: &Screen) -> Result<(Stage, Vec<String>), Failure> {
    let world = organisation::world(Timestamp::now()).map_err(Failure::work)?;
    // What is shown of it at GitHub is told by the other stories.
    let stage = Stage::set_up(world, organisation::OWNER, false).await?;
    let files = ("policy files", "dispatch-axum/demo", "those of everybody at fjord-coffee");
    stage.introduce(screen, "something starts only where both sides wrote down that they want it", files)?;
    let mut narrator = Narrator::new(screen, &stage.emulator, &*stage.pipeline.store, stage.webhook_url());
    for (number, act) in (1..).zip(acts()) {
        narrator.tell(number, act).await?;
    }
    let mut differences = narrator.into_differences();
    differences.extend(compare_runs(&stage, screen)?);
    Ok((stage, differences))
}

/// Compares the emulator's own record with what the story should have started.
fn compare_runs(stage: &Stage, screen: &Screen) -> Result<Option<String>, Failure> {
    let world = stage.emulator.world();
    let started: Vec<_> = world.runs().filter(|run| run.event == "workflow_dispatch").map(shown).collect();
    let expected: Vec<_> = acts().iter().flat_map(Act::started).map(|(r, w)| format!("{r} / {w}")).collect();
    let ok = started == expected;
    screen.line("")?;
    let (style, mark) = if ok { (Style::Yes, "✓") } else { (Style::No, "✗") };
    let word = if ok { "exactly the runs that both sides agreed to" } else { "other runs than both sides agreed to" };
    screen.line(format_args!("  {} GitHub's own record shows {word}:", screen.paint(style, mark)))?;
    for run in &started {
        screen.line(format_args!("      {run}"))?;
    }
    Ok((!ok).then(|| format!("expected the runs {expected:?}, GitHub has {started:?}")))
}

fn shown(run: &Run) -> String {
    format!("{} / {}", run.repository.name(), run.workflow)
}
