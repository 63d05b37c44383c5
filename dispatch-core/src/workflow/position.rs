//! Where a reader of a workflow's text is.

/// How deep lists and mappings may nest. A workflow needs about 8.
const MAX_DEPTH: usize = 64;

/// The lists and mappings that are not closed yet.
#[derive(Default)]
pub(super) struct Position(Vec<Open>);

/// A list or a mapping that is not closed yet.
pub(super) enum Open {
    List,
    /// The key whose value comes next.
    Mapping(Option<String>),
}

impl Position {
    /// How many lists and mappings are open.
    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }

    /// Whether what comes next is a key.
    pub(super) fn at_key(&self) -> bool {
        matches!(self.0.last(), Some(Open::Mapping(None)))
    }

    /// The keys that lead here. Lists have none.
    pub(super) fn path(&self) -> Vec<&str> {
        let key = |open| if let &Open::Mapping(Some(ref key)) = open { Some(key.as_str()) } else { None };
        self.0.iter().filter_map(key).collect()
    }

    /// A list or a mapping begins. None where it is a key, or too deep.
    pub(super) fn enter(&mut self, open: Open) -> Option<()> {
        (!self.at_key() && self.0.len() < MAX_DEPTH).then(|| self.0.push(open))
    }

    /// A list or a mapping ends.
    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    /// A text comes. Whether it is a key.
    pub(super) fn take_key(&mut self, text: &str) -> bool {
        match self.0.last_mut() {
            Some(Open::Mapping(key @ None)) => {
                *key = Some(text.to_owned());
                true
            }
            _ => false,
        }
    }

    /// A value is complete: the next one has another key. Answers with the key that it had.
    pub(super) fn value_ended(&mut self) -> Option<String> {
        match self.0.last_mut() {
            Some(Open::Mapping(key)) => key.take(),
            _ => None,
        }
    }
}
