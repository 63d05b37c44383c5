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
}
