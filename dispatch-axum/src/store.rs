//! Where the work is kept on one machine.

mod sqlite;

pub use sqlite::{SqliteStore, back_up};
