//! A stack of its own for each pull request of `product`.

use dispatch_core::Timestamp;
use dispatch_core::pipeline::SweepOptions;
use dispatch_core::testing::world::{PullRequestSpec, World};

use super::examples::repository;
use super::teller::{Shows, Teller};
use crate::command::Failure;

const TARGET: &str = "product_infrastructure";
const APPLY: (&str, &str) = (TARGET, "stack-apply");
const DESTROY: (&str, &str) = (TARGET, "stack-destroy");

pub(super) async fn tell(teller: &mut Teller<'_>) -> Result<(), Failure> {
    let product = repository("product").map_err(Failure::work)?;
    let open = |branch: &str| {
        let spec = PullRequestSpec { author: "alice".to_owned(), ..PullRequestSpec::new(branch) };
        let product = product.clone();
        move |world: &mut World| world.open_pull_request(&product, spec)
    };
    let live = |number| Shows::Check("product", number, "live");

    teller.act(
        "Two pull requests, two stacks, each with its own names",
        "The names hold the number of the pull request, and nothing else that anybody can choose.",
    )?;
    let first = teller.happens("alice opens a pull request from feature/one", open("feature/one")).await?;
    teller.comes(&[APPLY], live(first)).await?;
    let second = teller.happens("alice opens a pull request from feature/two", open("feature/two")).await?;
    teller.comes(&[APPLY], live(second)).await?;

    teller.act("A push updates its own stack", "The same environment, never a second one.")?;
    let push = "alice pushes to the first one";
    teller.happens(push, |world| world.push_to_pull_request(&product, first, "alice")).await?;
    teller.comes(&[APPLY], live(first)).await?;

    teller.act("Merging destroys it, and leaves the other one alone", "Each pull request holds its own stack.")?;
    teller.happens("alice merges the first one", |world| world.close_pull_request(&product, first, true)).await?;
    teller.comes(&[DESTROY], Shows::Check("product", first, "destroyed")).await?;

    teller.act(
        "A webhook is lost, and a stack is forgotten",
        "Nobody tells the service that the pull request is closed.",
    )?;
    let third = teller.happens("alice opens a pull request from feature/three", open("feature/three")).await?;
    teller.comes(&[APPLY], live(third)).await?;
    let closing = "alice closes it, and GitHub's webhook never arrives";
    teller
        .happens(closing, |world| {
            world.close_pull_request(&product, third, false)?;
            world.take_webhooks();
            Ok(())
        })
        .await?;
    teller.comes(&[], live(third)).await?;

    teller.act(
        "The sweep destroys what was forgotten",
        "It runs every week, and by `dispatch sweep`: it asks GitHub about the pull request of each stack.",
    )?;
    let swept = teller.pipeline.sweep(&SweepOptions::default(), Timestamp::now()).await.map_err(Failure::work)?;
    for gone in &swept.going {
        let name = &gone.environment.name;
        teller
            .says(&format!("dispatch sweep: {name} is to go, because pull request {} is closed", gone.pull_request))?;
    }
    teller.says(&format!("dispatch sweep: stacks left alone, because their pull requests are open: {}", swept.open))?;
    teller.comes(&[DESTROY], Shows::Check("product", third, "destroyed")).await
}
