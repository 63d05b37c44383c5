//! Test environments of `cms`, by command.

use dispatch_core::event::Conclusion;
use dispatch_core::testing::world::PullRequestSpec;

use super::examples::repository;
use super::teller::{Shows, Teller};
use crate::command::Failure;

const TARGET: &str = "cms_infrastructure";
const DEPLOY: (&str, &str) = (TARGET, "deploy-ephemeral");
const CLOSED: (&str, &str) = (TARGET, "pr-closed");

pub(super) async fn tell(teller: &mut Teller<'_>) -> Result<(), Failure> {
    let cms = repository("cms").map_err(Failure::work)?;
    let target = repository(TARGET).map_err(Failure::work)?;
    let spec = |branch: &str, base: &str| PullRequestSpec {
        author: "alice".to_owned(),
        base: base.to_owned(),
        ..PullRequestSpec::new(branch)
    };

    teller.act(
        "A command deploys the pull request, and one comment tells where",
        "alice may write to cms, GitHub says. The base dev has an environment for each pull request.",
    )?;
    let opening = "alice opens a pull request of cms into dev, from feature/x";
    let number = teller.happens(opening, |world| world.open_pull_request(&cms, spec("feature/x", "dev"))).await?;
    teller.comments("cms", number, "alice", "/test-deploy").await?;
    teller.comes(&[DEPLOY], Shows::Check("cms", number, "live: https://pr-1-testing.example.com")).await?;

    teller.act(
        "bob may not write, and is told who may",
        "Everybody who can read cms can comment. The rule asks for write.",
    )?;
    teller.comments("cms", number, "bob", "/test-deploy").await?;
    teller.comes(&[], Shows::Comment("cms", number, "by `bob`")).await?;

    teller.act(
        "A push right behind a command: nobody deploys what nobody looked at",
        "The newest commit is not the one that alice saw. With the full commit she says which one she means.",
    )?;
    let line = "alice comments /test-deploy, and before anybody reads it carol pushes a commit";
    let head = teller
        .happens(line, |world| {
            world.comment(&cms, number, "alice", "/test-deploy")?;
            world.push_to_pull_request(&cms, number, "carol")
        })
        .await?;
    teller.comes(&[], Shows::Comment("cms", number, "by `alice`")).await?;
    teller.comments("cms", number, "alice", &format!("/test-deploy {head}")).await?;
    teller.comes(&[DEPLOY], Shows::Check("cms", number, "live: https://pr-1-testing.example.com")).await?;

    teller.act(
        "A deployment fails, and the comment says what to clean up by hand",
        "The rule says `required: false`: the check is neutral, and the pull request can be merged.",
    )?;
    let line = "the next run of cms_infrastructure is going to fail";
    teller.happens(line, |world| world.order_conclusion(&target, "ephemeral.yml", Conclusion::Failure)).await?;
    teller.comments("cms", number, "alice", &format!("/test-deploy {head}")).await?;
    teller.comes(&[DEPLOY], Shows::Comment("cms", number, "terraform destroy")).await?;

    teller.act(
        "Closing destroys the environment",
        "The record of what was created decides, and `merged` is a JSON boolean.",
    )?;
    teller.happens("alice closes the pull request", |world| world.close_pull_request(&cms, number, false)).await?;
    teller.comes(&[CLOSED], Shows::Check("cms", number, "destroyed")).await?;

    teller.act(
        "A pull request into main gets staging",
        "The base main has one environment for all, named staging, which deploys the branch dev.",
    )?;
    let opening = "alice opens a pull request of cms into main, from feature/y";
    let other = teller.happens(opening, |world| world.open_pull_request(&cms, spec("feature/y", "main"))).await?;
    teller.comments("cms", other, "alice", "/test-deploy").await?;
    teller.comes(&[DEPLOY], Shows::Check("cms", other, "live: https://staging.example.com")).await
}
