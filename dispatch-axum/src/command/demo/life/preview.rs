//! A preview for each pull request of `api`.

use dispatch_core::testing::world::PullRequestSpec;

use super::examples::repository;
use super::teller::{Shows, Teller};
use crate::command::Failure;

const CREATE: (&str, &str) = ("infra", "preview-create-from-api");
const TEARDOWN: (&str, &str) = ("infra", "preview-teardown-from-api");

pub(super) async fn tell(teller: &mut Teller<'_>) -> Result<(), Failure> {
    let api = repository("api").map_err(Failure::work)?;
    let infra = repository("infra").map_err(Failure::work)?;
    let spec = |branch: &str| PullRequestSpec { author: "alice".to_owned(), ..PullRequestSpec::new(branch) };

    teller.act(
        "A pull request is opened, and gets its preview",
        "api's dispatching.yml sends the event to infra, and infra's accepts it from api, with these values.",
    )?;
    let opening = "alice opens a pull request of api, from feature/latte-art";
    let number = teller.happens(opening, |world| world.open_pull_request(&api, spec("feature/latte-art"))).await?;
    teller.comes(&[CREATE], Shows::Check("api", number, "live")).await?;

    teller.act(
        "A push updates the same preview",
        "The environment is named after the pull request, so it is the same.",
    )?;
    let push = "alice pushes a commit";
    teller.happens(push, |world| world.push_to_pull_request(&api, number, "alice")).await?;
    teller.comes(&[CREATE], Shows::Check("api", number, "live")).await?;

    teller.act(
        "A pull request of a fork gets none",
        "Anybody can open one. Both sides would have to say `forks: true`.",
    )?;
    let fork = PullRequestSpec {
        author: "mallory".to_owned(),
        fork: "mallory/api".parse().ok(),
        ..PullRequestSpec::new("main")
    };
    let opening = "mallory opens a pull request from a fork";
    teller.happens(opening, |world| world.open_pull_request(&api, fork)).await?;
    teller.comes(&[], Shows::Nothing).await?;

    teller.act("Merging tears the preview down", "Closing would do the same, and send `merged` as \"false\".")?;
    let merging = "alice merges the first pull request";
    teller.happens(merging, |world| world.close_pull_request(&api, number, true)).await?;
    teller.comes(&[TEARDOWN], Shows::Check("api", number, "destroyed")).await?;

    teller.act(
        "infra takes the App away, and the pull request stays green",
        "The rule says `required: false`: where infra cannot be reached, the check is neutral and says why.",
    )?;
    teller.happens("infra takes the App away", |world| world.uninstall(&infra)).await?;
    let opening = "alice opens a pull request of api, from feature/cortado";
    let other = teller.happens(opening, |world| world.open_pull_request(&api, spec("feature/cortado"))).await?;
    teller.comes(&[], Shows::Check("api", other, "the App is not installed there")).await
}
