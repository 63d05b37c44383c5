//! The gate: YAML events to spanned nodes. Strict and bounded; the bytes are parsed once, here.
//!
//! YAML can do more than a policy may: share nodes, merge maps, name types, nest without end, say a key twice. All of it
//! is refused here, each with its place, so that what comes behind sees text, lists and mappings and nothing else.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::MAX_BYTES;
use super::finding::Findings;
use crate::diagnostic::{Diagnostic, Span, quoted};

/// How deep lists and mappings may nest. A policy needs 8, and nothing needs more.
pub(crate) const MAX_DEPTH: usize = 16;
/// How many nodes a file may have. 256 KiB of sensible rules have fewer.
pub(crate) const MAX_NODES: usize = 50_000;

/// What kind of file is read, for what is said about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// As a noun phrase.
    pub(crate) noun: &'static str,
    /// How many levels of lists and mappings it needs.
    pub(crate) levels: usize,
    /// What to do where it is too large.
    pub(crate) split: &'static str,
}

/// A file that passed.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    /// The file's text.
    pub(crate) text: &'t str,
    nodes: Vec<Node>,
    root: Option<NodeId>,
}

/// The position of a node in its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId(pub(crate) u32);

/// A node, and where it is.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    /// The key that it stands behind.
    pub(crate) key: Option<Key>,
    pub(crate) content: Content,
}

/// A key of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// Nothing: a plain `null`, `~` or no text at all.
    Nothing,
    /// Text as written, whatever it looks like. `plain`: without quotes.
    Text {
        text: String,
        plain: bool,
    },
    List(Vec<NodeId>),
    /// The values; each knows its key.
    Mapping(Vec<NodeId>),
}

impl Document<'_> {
    /// The only node that is in no other; None for a file without content.
    pub(crate) fn root(&self) -> Option<NodeId> {
        self.root
    }

    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0 as usize)
    }
}

/// Reads a file. None if there is nothing to go on with; every problem is in `findings`.
pub(crate) fn read<'t>(bytes: &'t [u8], kind: Kind, findings: &mut Findings) -> Option<Document<'t>> {
    let text = match decode(bytes, kind) {
        Ok(text) => text,
        Err(problem) => {
            findings.invalid(*problem);
            return None;
        }
    };
    let mut builder = Builder::new(text, kind, findings);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => builder.syntax(&error),
        };
        step?;
    }
    Some(Document { text, nodes: builder.nodes, root: builder.root })
}

/// Checks size, encoding and characters.
fn decode(bytes: &[u8], kind: Kind) -> Result<&str, Box<Diagnostic>> {
    let refuse = |code, span, message: String, label: &str, help: &str| {
        Err(Box::new(Diagnostic::error(code, span, message, label).help(help)))
    };
    if bytes.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, and at most {MAX_BYTES} are read", bytes.len());
        return refuse("file_too_large", Span::TOP, message, "this file", kind.split);
    }
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).and_then(|valid| str::from_utf8(valid).ok());
            let span = place_behind(valid.unwrap_or_default(), 1);
            let message = "the file is not UTF-8".to_owned();
            return refuse("not_utf8", span, message, "this byte", "save the file as UTF-8");
        }
    };
    // The characters that YAML allows in a file (YAML 1.2.2, section 5.1). A byte order mark may only start it.
    let allowed =
        |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    let forbidden = |at: usize, c: char| !allowed(c) || (c == '\u{feff}' && at != 0);
    if let Some((at, character)) = text.char_indices().find(|(at, character)| forbidden(*at, *character)) {
        let span = place_behind(text.get(..at).unwrap_or_default(), character.len_utf8());
        // Not all of them can be seen.
        let message = format!("the file has a character that YAML does not allow: `{}`", character.escape_unicode());
        return refuse("forbidden_character", span, message, "this character", "remove it");
    }
    if let Some(at) = directive(text) {
        let span = place_behind(text.get(..at).unwrap_or_default(), "%".len());
        let message = "directives are not allowed".to_owned();
        return refuse("yaml_directive", span, message, "a directive", "remove the line");
    }
    Ok(text)
}

/// Where a directive (`%YAML`, `%TAG`) stands before the document. Behind one the parser miscounts.
fn directive(text: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive(['\n', '\r']) {
        let start = line.strip_prefix('\u{feff}').unwrap_or(line);
        if start.starts_with('%') {
            return Some(at + line.len() - start.len());
        }
        if !start.trim_start().is_empty() && !start.trim_start().starts_with('#') {
            return None;
        }
        at += line.len();
    }
    None
}

/// The place right behind a text that starts the file. A byte order mark takes no column.
fn place_behind(text: &str, length: usize) -> Span {
    let (mark, text) = text.strip_prefix('\u{feff}').map_or((0, text), |text| ('\u{feff}'.len_utf8(), text));
    let start = Span { start: mark, ..Span::TOP };
    start.inside(text, text.len()..text.len() + length)
}

/// A list or a mapping that is not closed yet.
struct Open {
    id: NodeId,
    children: Vec<NodeId>,
    /// For mappings: the keys so far, and the one whose value comes next.
    keys: Option<Keys>,
}

#[derive(Default)]
struct Keys {
    seen: BTreeMap<String, Span>,
    waiting: Option<Key>,
}

struct Builder<'t, 'f> {
    text: &'t str,
    kind: Kind,
    /// The byte of every character; None where a character is a byte.
    bytes: Option<Vec<usize>>,
    nodes: Vec<Node>,
    open: Vec<Open>,
    root: Option<NodeId>,
    documents: usize,
    findings: &'f mut Findings,
}

impl<'t, 'f> Builder<'t, 'f> {
    fn new(text: &'t str, kind: Kind, findings: &'f mut Findings) -> Self {
        let bytes = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Self { text, kind, bytes, nodes: Vec::new(), open: Vec::new(), root: None, documents: 0, findings }
    }

    /// Takes one event. None: the file is refused, and nothing more is read of it.
    fn take(&mut self, event: Event<'_>, span: saphyr_parser::Span) -> Option<()> {
        let span = self.span(span.start, span.end);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "the file holds more than one document";
                    return self.refuse("yaml_documents", span, message, "a second document", "keep one document");
                }
            }
            Event::Alias(_) => {
                let help = format!("write it out: {} says everything where it counts", self.kind.noun);
                return self.refuse("yaml_alias", span, "aliases are not allowed", "an alias", &help);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.plain_yaml(anchor, tag.is_some(), span)?;
                return self.scalar(text.into_owned(), style, span);
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain_yaml(anchor, tag.is_some(), span)?;
                self.start(Content::List(Vec::new()), span)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.plain_yaml(anchor, tag.is_some(), span)?;
                self.start(Content::Mapping(Vec::new()), span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Some(())
    }

    /// Refuses what would make a node more than it looks like.
    fn plain_yaml(&mut self, anchor: usize, tagged: bool, span: Span) -> Option<()> {
        if anchor != 0 {
            let help = format!("remove the `&name`: {} says everything where it counts", self.kind.noun);
            return self.refuse("yaml_anchor", span, "anchors are not allowed", "has an anchor", &help);
        }
        if tagged {
            return self.refuse("yaml_tag", span, "tags are not allowed", "has a tag", "remove the `!...`");
        }
        Some(())
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, span: Span) -> Option<()> {
        let plain = style == ScalarStyle::Plain;
        // A node without text is where the parser noticed, which can be on the next token.
        let end = if plain && text.is_empty() { span.start } else { self.trimmed(span) };
        let span = Span { end, ..span };
        if let Some(keys) = self.open.last_mut().and_then(|open| open.keys.as_mut())
            && keys.waiting.is_none()
        {
            if plain && text == "<<" {
                let help = "write the merged keys out";
                return self.refuse("yaml_merge_key", span, "merge keys are not allowed", "a merge key", help);
            }
            if let Some(first) = keys.seen.insert(text.clone(), span) {
                keys.seen.insert(text.clone(), first);
                let message = format!("the key {} is there twice", quoted(&text));
                let problem = Diagnostic::error("duplicate_key", span, message, "again here");
                self.findings.invalid(problem.related(first, "first here").help("keep one of them"));
            }
            keys.waiting = Some(Key { text, span });
            return Some(());
        }
        let nothing = plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
        let content = if nothing { Content::Nothing } else { Content::Text { text, plain } };
        self.add(content, span).map(|_| ())
    }

    fn start(&mut self, content: Content, span: Span) -> Option<()> {
        if self.open.last().and_then(|open| open.keys.as_ref()).is_some_and(|keys| keys.waiting.is_none()) {
            // Two braces without quotes are a mapping whose key is a mapping.
            let [before, behind] =
                [self.text.get(..span.start), self.text.get(span.start..)].map(Option::unwrap_or_default);
            let help = match before.ends_with('{') && behind.starts_with('{') {
                true => "put a value with variables in quotes, such as `\"{{ source.sha }}\"`",
                false => "write the key as plain text",
            };
            return self.refuse("yaml_complex_key", span, "a list or a mapping cannot be a key", "this key", help);
        }
        if self.open.len() >= MAX_DEPTH {
            let message = format!("the file nests deeper than {MAX_DEPTH} levels");
            let help = format!("{} needs {} levels", self.kind.noun, self.kind.levels);
            return self.refuse("yaml_too_deep", span, message, "one level too many", &help);
        }
        let keys = matches!(content, Content::Mapping(_)).then(Keys::default);
        let id = self.add(content, span)?;
        self.open.push(Open { id, children: Vec::new(), keys });
        Some(())
    }

    fn end(&mut self, span: Span) {
        let Some(open) = self.open.pop() else { return };
        let last = open.children.last().and_then(|id| self.nodes.get(id.0 as usize)).map(|node| node.span.end);
        let Some(node) = self.nodes.get_mut(open.id.0 as usize) else { return };
        // Only `]` and `}` have a place; a block ends where its last child does.
        let end = if span.end > span.start { span.end } else { last.unwrap_or(node.span.end) };
        node.span.end = end.max(node.span.start);
        match &mut node.content {
            Content::List(children) | Content::Mapping(children) => *children = open.children,
            Content::Nothing | Content::Text { .. } => {}
        }
    }

    /// Puts a node into what is open.
    fn add(&mut self, content: Content, span: Span) -> Option<NodeId> {
        if self.nodes.len() >= MAX_NODES {
            let message = format!("the file has more than {MAX_NODES} values");
            self.refuse("yaml_too_many_nodes", span, message, "one too many", self.kind.split)?;
        }
        let id = NodeId(u32::try_from(self.nodes.len()).ok()?);
        let key = match self.open.last_mut() {
            Some(open) => {
                open.children.push(id);
                open.keys.as_mut().and_then(|keys| keys.waiting.take())
            }
            None => {
                self.root = Some(id);
                None
            }
        };
        self.nodes.push(Node { span, key, content });
        Some(id)
    }

    fn syntax(&mut self, error: &ScanError) -> Option<()> {
        let at = self.span(*error.marker(), *error.marker()).start;
        let span = place_behind(self.text.get(..at).unwrap_or_default(), 0);
        // The parser looks ahead, so it can see these before their events come.
        match error.info() {
            info if info.contains("recursion limit") => {
                let message = format!("the file nests deeper than {MAX_DEPTH} levels");
                let help = format!("{} needs {} levels", self.kind.noun, self.kind.levels);
                self.refuse("yaml_too_deep", span, message, "far too many levels", &help)
            }
            info if info.contains("unknown anchor") => {
                self.refuse("yaml_alias", span, "aliases are not allowed", "an alias", "write it out")
            }
            info => {
                let message = format!("this is not YAML: {info}");
                let help = match info.starts_with("unexpected character") {
                    true => "put the text in quotes",
                    false => "the mistake can be on the line before",
                };
                self.refuse("yaml_syntax", span, message, "found here", help)
            }
        }
    }

    fn refuse<T>(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: &str,
        help: &str,
    ) -> Option<T> {
        self.findings.invalid(Diagnostic::error(code, span, message, label).help(help));
        None
    }

    /// Where a scalar ends without the line ends that a block scalar takes along.
    fn trimmed(&self, span: Span) -> usize {
        self.text.get(span.start..span.end).map_or(span.end, |text| span.start + text.trim_end().len())
    }

    /// The parser counts characters and columns from 0.
    fn span(&self, start: Marker, end: Marker) -> Span {
        let byte = |marker: Marker| match &self.bytes {
            Some(bytes) => bytes.get(marker.index()).copied().unwrap_or(self.text.len()),
            None => marker.index().min(self.text.len()),
        };
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (first, last) = (byte(start), byte(end));
        if first == self.text.len() {
            // Here the parser counts a line more than there is when the last one does not end.
            return place_behind(self.text, 0);
        }
        Span { start: first, end: last.max(first), line: count(start.line()), column: count(start.col() + 1) }
    }
}
