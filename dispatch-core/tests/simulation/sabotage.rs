//! Faults that no promise survives: with them the simulation must fail, or it proves nothing.

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// The port to GitHub keeps calls for up to half an hour, and sends them however late it is.
    LateCalls,
    /// The store counts some facts twice.
    FactsTwice,
    /// The store writes whatever version was expected.
    LostUpdates,
    /// The store says that it wrote, and forgets it, now and then.
    Forgetful,
    /// The store never shows that an action on an environment is under way, so that the next one begins beside it.
    ActionsAtOnce,
    /// A pull request of which GitHub does not tell is taken for closed.
    UnknownIsClosed,
    /// Whoever gives a command is taken for somebody who may write.
    EverybodyMayWrite,
    /// A comment that was changed is taken for one that was written.
    EditsAreCommands,
    /// What shows something at GitHub is never found there again.
    NothingIsFound,
}

impl Sabotage {
    /// Whether nothing shows of it where no pull request gets an environment.
    pub(crate) fn needs_previews(self) -> bool {
        matches!(self, Self::ActionsAtOnce | Self::UnknownIsClosed | Self::EverybodyMayWrite | Self::EditsAreCommands)
    }
}
