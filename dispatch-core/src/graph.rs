//! Who may start whom, drawn: for [Mermaid](https://mermaid.js.org), for Graphviz, as a picture (SVG), and as JSON.
//!
//! Each repository is a node, each rule's target an edge that says what happens and what is then started. Edges that only
//! one side wants, or whose other side is not known, are dashed; edges of a way that comes back to where it began are marked.
//! Names are other people's: each format escapes them.

mod columns;
mod layout;
mod svg;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

pub use self::svg::{Arrow, Drawing, MAX_ARROWS, STYLE};
use crate::chain::Place;
use crate::diagnostic::visible;
use crate::name::Repository;
use crate::organisation::{Agreement, Edge, Examination, source_label};
use crate::policy::{Source, Start};
use crate::reason::Reason;

/// A flow chart in the language of Mermaid, which GitHub shows in Markdown.
#[must_use]
pub fn mermaid(examination: &Examination) -> String {
    let nodes = Nodes::of(examination);
    let mut text = "flowchart LR\n".to_owned();
    // Writing to a String cannot fail.
    for (repository, number) in &nodes.0 {
        let _ = writeln!(text, "  n{number}[\"{}\"]", mermaid_text(repository.as_str()));
    }
    for (from, to, edge) in nodes.edges(examination) {
        let arrow = match edge.agreement.is_mutual() {
            true if edge.in_loop => "==>",
            true => "-->",
            false => "-.->",
        };
        let _ = writeln!(text, "  n{from} {arrow}|\"{}\"| n{to}", mermaid_text(&label(edge)));
    }
    text
}

/// A directed graph in the language of Graphviz.
#[must_use]
pub fn dot(examination: &Examination) -> String {
    let nodes = Nodes::of(examination);
    let mut text = "digraph dispatch {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for (repository, number) in &nodes.0 {
        let _ = writeln!(text, "  n{number} [label=\"{}\"];", dot_text(repository.as_str()));
    }
    for (from, to, edge) in nodes.edges(examination) {
        let style = match edge.agreement.is_mutual() {
            true if edge.in_loop => ", color=red, penwidth=2",
            true => "",
            false => ", style=dashed",
        };
        let _ = writeln!(text, "  n{from} -> n{to} [label=\"{}\"{style}];", dot_text(&label(edge)));
    }
    text.push_str("}\n");
    text
}

/// A picture: at most [`MAX_ARROWS`] edges are drawn, and the others counted.
#[must_use]
pub fn svg(examination: &Examination) -> String {
    let arrow = |edge: &Edge| {
        let label = label(edge);
        Arrow {
            from: edge.from.clone(),
            to: edge.to.clone(),
            title: format!("{} → {}: {label}", edge.from, edge.to),
            label,
            is_dashed: !edge.agreement.is_mutual(),
            in_loop: edge.in_loop && edge.agreement.is_mutual(),
        }
    };
    let arrows = examination.edges.iter().map(arrow).collect();
    Drawing { title: "Who may start whom".to_owned(), arrows, unknown: examination.unknown.clone() }.svg()
}

/// The same as a JSON object of a stable shape: `repositories`, `edges` and `loops`.
#[must_use]
pub fn json(examination: &Examination) -> impl Serialize + use<> {
    #[derive(Serialize)]
    struct Graph {
        repositories: Vec<Node>,
        edges: Vec<JsonEdge>,
        loops: Vec<Vec<Place>>,
    }
    #[derive(Serialize)]
    struct Node {
        name: Repository,
        known: bool,
    }
    #[derive(Serialize)]
    struct JsonEdge {
        from: Repository,
        source: BTreeMap<&'static str, serde_json::Value>,
        to: Repository,
        start: Start,
        agreement: Agreement,
        reason: Option<Reason>,
        outbound: Option<String>,
        inbound: Option<String>,
        in_loop: bool,
    }
    let known = examination.repositories.iter().map(|name| Node { name: name.clone(), known: true });
    let unknown = examination.unknown.iter().map(|name| Node { name: name.clone(), known: false });
    let edge = |edge: &Edge| JsonEdge {
        from: edge.from.clone(),
        source: json_source(&edge.source),
        to: edge.to.clone(),
        start: edge.start.clone(),
        agreement: edge.agreement,
        reason: edge.reason,
        outbound: edge.outbound.as_ref().map(ToString::to_string),
        inbound: edge.inbound.as_ref().map(ToString::to_string),
        in_loop: edge.in_loop,
    };
    Graph {
        repositories: known.chain(unknown).collect(),
        edges: examination.edges.iter().map(edge).collect(),
        loops: examination.loops.clone(),
    }
}

fn json_source(source: &Source) -> BTreeMap<&'static str, serde_json::Value> {
    let (key, value) = match source {
        Source::WorkflowRun(source) => ("workflow", source.workflow.to_string().into()),
        Source::Command(source) => ("command", source.command.to_string().into()),
        Source::PullRequest(source) => {
            ("pull_request", source.actions.iter().map(ToString::to_string).collect::<Vec<_>>().into())
        }
    };
    [(key, value)].into()
}

/// The repositories that have an edge, numbered in the order of their names.
struct Nodes<'a>(BTreeMap<&'a Repository, usize>);

impl<'a> Nodes<'a> {
    fn of(examination: &'a Examination) -> Self {
        let names = examination.edges.iter().flat_map(|edge| [&edge.from, &edge.to]);
        let mut nodes: BTreeMap<_, _> = names.map(|name| (name, 0)).collect();
        nodes.values_mut().enumerate().for_each(|(number, node)| *node = number);
        Self(nodes)
    }

    fn edges<'e>(&self, examination: &'e Examination) -> impl Iterator<Item = (usize, usize, &'e Edge)> {
        examination.edges.iter().filter_map(|edge| Some((*self.0.get(&edge.from)?, *self.0.get(&edge.to)?, edge)))
    }
}

/// What happens, what is started, and what is special about it.
fn label(edge: &Edge) -> String {
    let special = match edge.agreement {
        Agreement::Agreed | Agreement::Depends if edge.in_loop => " (loop)",
        Agreement::Agreed => "",
        Agreement::Depends => " (depends on what is sent)",
        Agreement::Wanted => " (not accepted)",
        Agreement::Consented => " (not used)",
        Agreement::Unknown => " (one side unknown)",
    };
    format!("{} → {}{special}", source_label(&edge.source), edge.start)
}

/// Text between quotes of Mermaid. What could be markup is written as a number.
fn mermaid_text(text: &str) -> String {
    let mut shown = String::new();
    for character in visible(text).chars() {
        if character.is_alphanumeric() || " ._-/→,:()".contains(character) {
            shown.push(character);
        } else {
            let _ = write!(shown, "#{};", u32::from(character));
        }
    }
    shown
}

/// Text between quotes of Graphviz.
fn dot_text(text: &str) -> String {
    visible(text).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        let name = "a\"|b\\[c]`<i>#34;\u{1b}\u{202e}\n";
        assert_eq!(
            mermaid_text(name),
            "a#34;#124;b#92;#91;c#93;#96;#60;i#62;#35;34#59;#92;u#123;1b#125;#92;u#123;202e#125;#92;u#123;a#125;"
        );
        assert_eq!(dot_text(name), r#"a\"|b\\[c]`<i>#34;\\u{1b}\\u{202e}\\u{a}"#);
        assert_eq!(mermaid_text("ci.yml → release/deploy_it:1"), "ci.yml → release/deploy_it:1");
    }
}
