//! Pictures: what is drawn is all there, legible, and nothing but a picture.

use std::collections::BTreeSet;

use dispatch_core::graph::{self, Arrow, Drawing, MAX_ARROWS};
use insta::assert_snapshot;
use proptest::prelude::*;
use roxmltree::{Document, Node};

use super::*;

/// A box of the picture: left, top, right, bottom.
type Area = (i64, i64, i64, i64);

fn number(node: Node<'_, '_>, attribute: &str) -> i64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}

fn of_class<'a, 'd>(picture: &'a Document<'d>, class: &'static str) -> impl Iterator<Item = Node<'a, 'd>> {
    let has =
        move |node: &Node<'_, '_>| node.attribute("class").is_some_and(|all| all.split(' ').any(|it| it == class));
    picture.descendants().filter(has)
}

fn child<'a, 'd>(node: Node<'a, 'd>, name: &str) -> Node<'a, 'd> {
    node.children().find(|child| child.has_tag_name(("http://www.w3.org/2000/svg", name))).unwrap()
}

fn boxes(picture: &Document<'_>) -> Vec<Area> {
    let area = |node| {
        let rect = child(node, "rect");
        let (x, y) = (number(rect, "x"), number(rect, "y"));
        (x, y, x + number(rect, "width"), y + number(rect, "height"))
    };
    of_class(picture, "repository").map(area).collect()
}

fn labels(picture: &Document<'_>) -> Vec<Area> {
    let area = |node| {
        let text = child(node, "text");
        let (x, y) = (number(text, "x"), number(text, "y"));
        (x, y - 10, x + 7 * text.text().unwrap_or_default().chars().count() as i64, y + 2)
    };
    of_class(picture, "arrow").map(area).collect()
}

/// The first two that lie upon one another.
fn overlap(areas: &[Area]) -> Option<(Area, Area)> {
    let upon = |a: &Area, b: &Area| a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3;
    areas.iter().enumerate().find_map(|(at, a)| Some((*a, *areas[at + 1..].iter().find(|b| upon(a, b))?)))
}

fn arrow(from: usize, to: usize, label: &str) -> Arrow {
    let [from, to] = [from, to].map(|number| format!("acme/r{number}").parse().unwrap());
    let (is_dashed, in_loop) = (label.len() % 2 == 1, label.len() % 3 == 1);
    Arrow { from, to, label: label.to_owned(), title: format!("about {label}"), is_dashed, in_loop }
}

proptest! {
    #[test]
    fn every_arrow_is_drawn_and_neither_boxes_nor_labels_lie_upon_one_another(
        arrows in prop::collection::vec((0_usize..14, 0_usize..14, "\\PC{0,60}"), 0..60),
    ) {
        let arrows: Vec<_> = arrows.iter().map(|(from, to, label)| arrow(*from, *to, label)).collect();
        let names: BTreeSet<_> = arrows.iter().flat_map(|arrow| [&arrow.from, &arrow.to]).collect();
        let drawing = Drawing { title: "all".to_owned(), arrows: arrows.clone(), unknown: BTreeSet::new() };
        let svg = drawing.svg();
        let picture = Document::parse(&svg).unwrap();
        let (width, height) = (number(picture.root_element(), "width"), number(picture.root_element(), "height"));

        let boxes = boxes(&picture);
        prop_assert_eq!(boxes.len(), names.len());
        prop_assert_eq!(overlap(&boxes), None);
        let labels = labels(&picture);
        prop_assert_eq!(labels.len(), arrows.len());
        prop_assert_eq!(overlap(&labels), None);
        let inside = |area: &Area| area.0 >= 0 && area.1 >= 0 && area.2 <= width && area.3 <= height;
        prop_assert!(boxes.iter().all(inside), "{boxes:?} in {width} {height}");
        let heads = of_class(&picture, "head").count();
        prop_assert_eq!(heads, arrows.len());
        prop_assert_eq!(drawing.svg(), svg, "the same again");
    }
}

#[test]
fn a_picture_says_what_is_in_it() {
    let svg = graph::svg(&super::graphs::world());
    let picture = Document::parse(&svg).unwrap();
    let titles = |class| {
        let title = |node: Node<'_, '_>| {
            format!("{}: {}\n", node.attribute("class").unwrap(), child(node, "title").text().unwrap())
        };
        of_class(&picture, class).map(title).collect::<String>()
    };
    assert_eq!(child(picture.root_element(), "title").text(), Some("Who may start whom"));
    assert_snapshot!(titles("repository") + &titles("arrow"), @"
    repository: acme/api
    repository: acme/deploy
    repository unknown: acme/elsewhere (only the name is known)
    arrow loop: acme/api → acme/deploy: ci.yml → cd.yml (loop)
    arrow dashed: acme/api → acme/deploy: ci.yml → other.yml (not accepted)
    arrow dashed: acme/api → acme/elsewhere: ci.yml → told (one side unknown)
    arrow: acme/api → acme/deploy: /go → gone
    arrow loop: acme/deploy → acme/api: cd.yml → ci.yml (loop)
    arrow dashed: acme/api → acme/deploy: pull request opened, closed → preview (not used)
    ");
}

#[test]
fn a_small_picture() {
    let api = wants("repository: deploy, workflow: cd.yml");
    let deploy = accepts("workflow: cd.yml, accept_refs: [main]");
    let svg = graph::svg(&examine(&[("acme/api/dispatching.yml", &api), ("acme/deploy/dispatching.yml", &deploy)]));
    let (_, drawn) = svg.split_once("</style>\n").unwrap();
    assert_snapshot!(drawn, @r#"
    <rect class="paper" width="430" height="92"/>
    <g class="arrow"><title>acme/api → acme/deploy: ci.yml → cd.yml</title><path d="M108 46H152H257H301"/><path class="head" d="M301 46l-9 -5v10z"/><text x="152" y="41">ci.yml → cd.yml</text></g>
    <g class="repository"><title>acme/api</title><rect x="24" y="24" width="84" height="44" rx="6"/><text x="38" y="50">acme/api</text></g>
    <g class="repository"><title>acme/deploy</title><rect x="301" y="24" width="105" height="44" rx="6"/><text x="315" y="50">acme/deploy</text></g>
    </svg>
    "#);
}

#[test]
fn a_name_stays_text() {
    let evil = "]]></text><script>alert(1)</script>&amp;\"'\u{1b}\u{202e}\u{ffff}";
    let svg = Drawing { title: evil.to_owned(), arrows: vec![arrow(0, 1, evil)], unknown: BTreeSet::new() }.svg();
    let picture = Document::parse(&svg).unwrap();
    assert!(picture.descendants().all(|node| node.tag_name().name() != "script"));
    let known = ["svg", "title", "style", "rect", "g", "path", "text"];
    assert!(picture.descendants().filter(Node::is_element).all(|node| known.contains(&node.tag_name().name())));
    assert!(svg.chars().all(|it| it == '\n' || !it.is_control()));
    let title = child(picture.root_element(), "title").text().unwrap();
    assert_eq!(title, "]]></text><script>alert(1)</script>&amp;\"'\\u{1b}\\u{202e}\u{fffd}");
}

#[test]
fn nothing_is_a_picture_too() {
    let svg = Drawing::default().svg();
    assert_eq!(boxes(&Document::parse(&svg).unwrap()), []);
}

#[test]
fn a_picture_of_very_much_is_bounded_and_says_so() {
    let long = "x".repeat(10_000);
    let chain = (0..2 * MAX_ARROWS).map(|number| arrow(number / 2, (number * 7) % 400, &long));
    let drawing = Drawing { title: String::new(), arrows: chain.collect(), unknown: BTreeSet::new() };
    let svg = drawing.svg();
    let picture = Document::parse(&svg).unwrap();
    assert_eq!(of_class(&picture, "arrow").count(), MAX_ARROWS);
    assert_eq!(of_class(&picture, "note").next().unwrap().text(), Some("500 more are not drawn"));
    assert_eq!(overlap(&boxes(&picture)), None);
    assert!(svg.len() < 2_000_000, "{}", svg.len());
}

#[test]
fn an_element_of_a_page_brings_no_style_of_its_own() {
    let drawing = Drawing { arrows: vec![arrow(0, 0, "again")], ..Drawing::default() };
    assert!(drawing.element().starts_with("<svg class=\"dispatch-graph\"") && !drawing.element().contains("<style"));
    assert!(drawing.svg().contains(graph::STYLE) && !graph::STYLE.contains(['<', '&', ']']));
}
