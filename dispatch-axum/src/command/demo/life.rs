//! The lives of pull requests: three systems whose files are in `examples`.

mod command;
mod examples;
mod markdown;
mod preview;
mod stack;
mod teller;

use std::future::Future;
use std::pin::Pin;

use dispatch_core::Timestamp;

use self::examples::{Example, OWNER};
use self::teller::Teller;
use super::screen::Screen;
use super::stage::Stage;
use crate::command::Failure;

/// What a story tells, as it goes on.
type Telling<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// A story about pull requests.
pub(super) struct Life {
    /// One line.
    promise: &'static str,
    example: &'static Example,
    tell: for<'a> fn(&'a mut Teller<'_>) -> Telling<'a>,
}

pub(super) const PREVIEW: Life = Life {
    promise: "every pull request of api gets a preview, which infra makes",
    example: &examples::PREVIEW,
    tell: |teller| Box::pin(preview::tell(teller)),
};

pub(super) const COMMAND: Life = Life {
    promise: "a comment deploys a pull request of cms, if a writer gives it",
    example: &examples::COMMAND,
    tell: |teller| Box::pin(command::tell(teller)),
};

pub(super) const STACK: Life = Life {
    promise: "every pull request of product has a stack of its own, and none outlives it",
    example: &examples::STACK,
    tell: |teller| Box::pin(stack::tell(teller)),
};

/// Tells a story; answers with what came otherwise than expected.
pub(super) async fn tell(screen: &Screen, life: &Life) -> Result<(Stage, Vec<String>), Failure> {
    let world = life.example.world(Timestamp::now()).map_err(Failure::work)?;
    let stage = Stage::set_up(world, OWNER, true).await?;
    let files = ("policy files", life.example.folder, "of both sides, and the receiving workflow");
    stage.introduce(screen, life.promise, files)?;
    let mut teller = Teller::new(screen, &stage.emulator, &stage.pipeline);
    (life.tell)(&mut teller).await?;
    let differences = teller.end()?;
    Ok((stage, differences))
}
