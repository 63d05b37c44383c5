//! A drawing as SVG: one picture without scripts, which asks for nothing else and is light or dark as its reader is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::layout::{Layout, Link, Place, Way};
use crate::diagnostic::visible;
use crate::name::Repository;

/// How many arrows one picture has at most. The others are counted.
pub const MAX_ARROWS: usize = 500;
/// How many characters a name or a label has at most; the whole text is its title.
const MAX_SHOWN: usize = 48;
/// How many characters a title has at most.
const MAX_TITLE: usize = 600;
/// How wide a character is, in the type that the style names.
const CHARACTER: i64 = 7;
/// Between the text of a box and its border.
const PADDING: i64 = 14;

/// The rules of style that a drawing needs, for a page that it is an [element](Drawing::element) of.
pub const STYLE: &str = include_str!("style.css");

/// Repositories, and arrows between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drawing {
    /// What it shows, in a few words.
    pub title: String,
    /// The arrows. A repository is drawn where it has one; after the first [`MAX_ARROWS`], arrows are only counted.
    pub arrows: Vec<Arrow>,
    /// Repositories of which only the name is known.
    pub unknown: BTreeSet<Repository>,
}

/// An arrow from one repository to another one, or back to the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    /// Where it begins.
    pub from: Repository,
    /// Where it ends.
    pub to: Repository,
    /// The text on it. What is longer than 48 characters ends in `…`.
    pub label: String,
    /// What else there is to say, for whoever points at it.
    pub title: String,
    /// It may never be gone.
    pub is_dashed: bool,
    /// It is part of a way that comes back to where it began.
    pub in_loop: bool,
}

impl Drawing {
    /// The picture as a file of its own.
    #[must_use]
    pub fn svg(&self) -> String {
        let style = format!("<style>\n{STYLE}</style>\n");
        self.write(" xmlns=\"http://www.w3.org/2000/svg\"", &style)
    }

    /// The picture as an element of an HTML page that has the rules of [`STYLE`].
    #[must_use]
    pub fn element(&self) -> String {
        self.write("", "")
    }

    fn write(&self, attributes: &str, style: &str) -> String {
        let arrows: Vec<_> = self.arrows.iter().take(MAX_ARROWS).collect();
        let mut numbers: BTreeMap<&Repository, usize> =
            arrows.iter().flat_map(|arrow| [&arrow.from, &arrow.to]).map(|name| (name, 0)).collect();
        numbers.values_mut().enumerate().for_each(|(number, place)| *place = number);
        let number = |name: &Repository| numbers.get(name).copied().unwrap_or_default();
        let width = |text: &str| wide(&shortened(text, MAX_SHOWN)) + 2 * PADDING;
        let widths: Vec<_> = numbers.keys().map(|name| width(name.as_str())).collect();
        let link = |arrow: &&Arrow| Link {
            from: number(&arrow.from),
            to: number(&arrow.to),
            label: wide(&shortened(&arrow.label, MAX_SHOWN)),
        };
        let links: Vec<_> = arrows.iter().map(link).collect();
        let layout = Layout::of(&widths, &links);
        let left_out = self.arrows.len() - arrows.len();
        let note = if left_out > 0 { format!("{left_out} more are not drawn") } else { String::new() };
        let (width, height) =
            (layout.width.max(wide(&note) + 2 * PADDING), layout.height + 24 * i64::from(left_out > 0));

        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "<svg{attributes} class=\"dispatch-graph\" role=\"img\" aria-label=\"{title}\" width=\"{width}\" \
             height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n<title>{title}</title>\n{style}\
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>",
            title = escaped(&shortened(&self.title, MAX_TITLE)),
        );
        for (arrow, way) in arrows.iter().zip(&layout.ways) {
            write_arrow(&mut text, arrow, way);
        }
        for (name, place) in numbers.keys().zip(&layout.boxes) {
            write_box(&mut text, name, *place, !self.unknown.contains(*name));
        }
        if !note.is_empty() {
            let _ = writeln!(text, "<text class=\"note\" x=\"{PADDING}\" y=\"{}\">{note}</text>", height - 12);
        }
        text.push_str("</svg>\n");
        text
    }
}

fn write_box(text: &mut String, name: &Repository, place: Place, is_known: bool) {
    let Place { x, y, width, height } = place;
    let (class, title) = if is_known { ("", "") } else { (" unknown", " (only the name is known)") };
    let _ = writeln!(
        text,
        "<g class=\"repository{class}\"><title>{}{title}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" \
         height=\"{height}\" rx=\"6\"/><text x=\"{}\" y=\"{}\">{}</text></g>",
        escaped(name.as_str()),
        x + PADDING,
        y + height / 2 + 4,
        escaped(&shortened(name.as_str(), MAX_SHOWN)),
    );
}

fn write_arrow(text: &mut String, arrow: &Arrow, way: &Way) {
    let mut class = "arrow".to_owned();
    class.push_str(if arrow.is_dashed { " dashed" } else { "" });
    class.push_str(if arrow.in_loop { " loop" } else { "" });
    let _ = write!(
        text,
        "<g class=\"{class}\"><title>{}</title><path d=\"{}\"/>",
        escaped(&shortened(&arrow.title, MAX_TITLE)),
        path(&way.points),
    );
    if let [.., (before, _), (x, y)] = *way.points.as_slice() {
        let back = if before < x { -9 } else { 9 };
        let _ = write!(text, "<path class=\"head\" d=\"M{x} {y}l{back} -5v10z\"/>");
    }
    let (x, y) = way.label;
    let label = escaped(&shortened(&arrow.label, MAX_SHOWN));
    let _ = writeln!(text, "<text x=\"{x}\" y=\"{}\">{label}</text></g>", y - 5);
}

/// Curves that begin and end level.
fn path(points: &[(i64, i64)]) -> String {
    let mut path = String::new();
    let mut before = None;
    for (x, y) in points.iter().copied() {
        let _ = match before {
            None => write!(path, "M{x} {y}"),
            Some((_, level)) if level == y => write!(path, "H{x}"),
            Some((from, level)) => {
                let middle = if from == x { x + 12 } else { i64::midpoint(from, x) };
                write!(path, "C{middle} {level} {middle} {y} {x} {y}")
            }
        };
        before = Some((x, y));
    }
    path
}

/// At most so many characters, with what is not seen as itself written out.
fn shortened(text: &str, most: usize) -> String {
    let shown = visible(text);
    match shown.char_indices().nth(most) {
        None => shown.into_owned(),
        Some(_) => shown.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// How wide a text is at most: outside of ASCII, a character can be twice as wide.
fn wide(text: &str) -> i64 {
    text.chars()
        .map(|character| if character.is_ascii() || "…→".contains(character) { CHARACTER } else { 2 * CHARACTER })
        .sum()
}

/// Text that is nothing but text in XML and in HTML.
fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        match character {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            // No characters of XML 1.0.
            '\u{fffe}' | '\u{ffff}' => shown.push('\u{fffd}'),
            other => shown.push(other),
        }
    }
    shown
}
