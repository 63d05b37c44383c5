//! Where the boxes, the arrows and their labels of a drawing are, in pixels.
//!
//! Each end of an arrow has a place of its own at its box, and each label a line of its own between two columns: so neither
//! boxes nor labels lie upon one another.

use std::collections::BTreeMap;

use super::columns::Columns;

/// Around everything.
const MARGIN: i64 = 24;
/// Between what stands in one column.
const SPACE: i64 = 24;
/// Between the ends of two arrows at one box.
const PORT: i64 = 22;
/// Of a label and its line.
pub(super) const LINE: i64 = 22;
/// How far the way back of an arrow to its own box is below its label.
const TURN: i64 = 10;
/// For the curves between a box and a label.
const CURVE: i64 = 44;
/// The height of the place of an arrow that passes a column.
const BEND: i64 = 12;

/// An arrow between two boxes, by their numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    /// How wide its label is.
    pub(super) label: i64,
}

/// A box.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) x: i64,
    pub(super) y: i64,
    pub(super) width: i64,
    pub(super) height: i64,
}

/// An arrow.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// From its beginning to its end. The step between two points of one height is a straight line, any other one a curve.
    pub(super) points: Vec<(i64, i64)>,
    /// Where its label begins, on its line.
    pub(super) label: (i64, i64),
}

/// A drawing.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) width: i64,
    pub(super) height: i64,
    pub(super) boxes: Vec<Place>,
    pub(super) ways: Vec<Way>,
}

impl Layout {
    /// `widths`: of the boxes, by their numbers.
    pub(super) fn of(widths: &[i64], links: &[Link]) -> Self {
        let columns = Columns::of(widths.len(), links);
        let ports = Ports::of(&columns);
        let bands = Bands::of(&columns, widths, links);
        let places = places(&columns, &ports, &bands, widths);
        let ways = ways(&columns, &ports, &bands, &places, links);
        let boxes: Vec<_> = (0..widths.len()).map(|cell| places.get(&cell).copied().unwrap_or_default()).collect();
        let lowest_box = boxes.iter().map(|place| place.y + place.height);
        let lowest_line = ways.iter().flat_map(|way| &way.points).map(|(_, y)| *y);
        Self {
            width: bands.width,
            height: lowest_box.chain(lowest_line).max().unwrap_or_default() + MARGIN,
            boxes,
            ways,
        }
    }
}

/// In which order the arrows end at the two sides of each box.
#[derive(Default)]
struct Ports {
    /// For each box the arrows that go on to the right; one back to the same box is there twice.
    right: BTreeMap<usize, Vec<usize>>,
    left: BTreeMap<usize, Vec<usize>>,
}

impl Ports {
    fn of(columns: &Columns) -> Self {
        let places = columns.places();
        let place = |cell: Option<&usize>| cell.and_then(|cell| places.get(cell)).copied().unwrap_or_default();
        let mut right: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        let mut left: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for (arrow, way) in columns.ways.iter().enumerate() {
            match way.as_slice() {
                [own] => right.entry(*own).or_default().extend([(place(Some(own)), arrow); 2]),
                [first, .., last] => {
                    right.entry(*first).or_default().push((place(way.get(1)), arrow));
                    left.entry(*last).or_default().push((place(way.iter().rev().nth(1)), arrow));
                }
                [] => {}
            }
        }
        let sorted = |(cell, mut ends): (usize, Vec<(usize, usize)>)| {
            ends.sort_unstable();
            (cell, ends.into_iter().map(|(_, arrow)| arrow).collect())
        };
        Self { right: right.into_iter().map(sorted).collect(), left: left.into_iter().map(sorted).collect() }
    }

    /// How high the box must be.
    fn height(&self, cell: usize) -> i64 {
        let ends = [&self.right, &self.left].map(|side| side.get(&cell).map_or(0, Vec::len));
        let most = ends.into_iter().max().unwrap_or_default().max(1);
        PORT * (1 + i64::try_from(most).unwrap_or_default())
    }
}

/// The heights at which an arrow ends at one side of a box.
fn ends(side: &BTreeMap<usize, Vec<usize>>, cell: usize, arrow: usize, place: Place) -> impl Iterator<Item = i64> {
    let all = side.get(&cell).map(Vec::as_slice).unwrap_or_default();
    let count = i64::try_from(all.len()).unwrap_or_default();
    let first = place.y + (place.height - PORT * (count - 1).max(0)) / 2;
    let heights = (0..count).map(move |number| first + PORT * number);
    all.iter().zip(heights).filter(move |(other, _)| **other == arrow).map(|(_, height)| height)
}

/// Where the columns are, from left to right.
struct Bands {
    /// Of each column: where it begins and how wide it is.
    columns: Vec<(i64, i64)>,
    /// Everything.
    width: i64,
}

impl Bands {
    fn of(columns: &Columns, widths: &[i64], links: &[Link]) -> Self {
        let mut labels = vec![None; columns.cells.len()];
        for (way, link) in columns.ways.iter().zip(links) {
            let column = way.first().and_then(|cell| columns.columns.get(*cell));
            if let Some(widest) = column.and_then(|column| labels.get_mut(*column)) {
                *widest = Some(link.label.max(widest.unwrap_or_default()));
            }
        }
        let mut bands = Vec::new();
        let mut x = MARGIN;
        for (cells, label) in columns.cells.iter().zip(labels) {
            let width = cells.iter().filter_map(|cell| widths.get(*cell)).max().copied().unwrap_or_default();
            bands.push((x, width));
            x += width + label.map_or(0, |label| label + 2 * CURVE);
        }
        Self { columns: bands, width: x + MARGIN }
    }

    fn column(&self, number: usize) -> (i64, i64) {
        self.columns.get(number).copied().unwrap_or_default()
    }
}

/// Each column from top to bottom, all of them around the same middle.
fn places(columns: &Columns, ports: &Ports, bands: &Bands, widths: &[i64]) -> BTreeMap<usize, Place> {
    let height = |cell: usize| if cell < widths.len() { ports.height(cell) } else { BEND };
    let full = |cells: &Vec<usize>| cells.iter().map(|cell| height(*cell) + SPACE).sum::<i64>();
    let highest = columns.cells.iter().map(full).max().unwrap_or_default();
    let mut places = BTreeMap::new();
    for (number, cells) in columns.cells.iter().enumerate() {
        let (x, band) = bands.column(number);
        let mut y = MARGIN + (highest - full(cells)) / 2;
        for cell in cells {
            let width = widths.get(*cell).copied().unwrap_or(band);
            places.insert(*cell, Place { x, y, width, height: height(*cell) });
            y += height(*cell) + SPACE;
        }
    }
    places
}

/// The arrows. Labels that want the same line move down.
fn ways(columns: &Columns, ports: &Ports, bands: &Bands, places: &BTreeMap<usize, Place>, links: &[Link]) -> Vec<Way> {
    let place = |cell: &usize| places.get(cell).copied().unwrap_or_default();
    let mut lines: BTreeMap<usize, Vec<(i64, usize)>> = BTreeMap::new();
    let mut stops = Vec::new();
    for (arrow, way) in columns.ways.iter().enumerate() {
        let first = way.first().copied().unwrap_or_default();
        let mut heights: Vec<_> = ends(&ports.right, first, arrow, place(&first)).collect();
        let bends = way.iter().skip(1).take(way.len().saturating_sub(2));
        heights.extend(bends.map(|bend| place(bend).y + BEND / 2));
        if let Some(last) = way.last().filter(|last| **last != first) {
            heights.extend(ends(&ports.left, *last, arrow, place(last)));
        }
        let near: i64 = heights.iter().take(2).sum();
        lines.entry(columns.columns.get(first).copied().unwrap_or_default()).or_default().push((near / 2, arrow));
        stops.push(heights);
    }
    let mut line_of = BTreeMap::new();
    for wanted in lines.values_mut() {
        wanted.sort_unstable();
        let mut free = MARGIN;
        for (line, arrow) in wanted {
            let line = free.max(*line);
            line_of.insert(*arrow, line);
            let goes_back = columns.ways.get(*arrow).is_some_and(|way| way.len() == 1);
            free = line + LINE + if goes_back { TURN } else { 0 };
        }
    }
    let all = columns.ways.iter().zip(stops).zip(links).enumerate();
    all.map(|(arrow, ((way, stops), link))| {
        let line = line_of.get(&arrow).copied().unwrap_or_default();
        let first = place(way.first().unwrap_or(&link.from));
        let (x, band) =
            bands.column(columns.columns.get(way.first().copied().unwrap_or_default()).copied().unwrap_or_default());
        let from = x + band + CURVE;
        let to = from + link.label;
        let mut points = Vec::new();
        let mut stops = stops.into_iter();
        points.extend(stops.next().map(|height| (first.x + first.width, height)));
        points.extend([(from, line), (to, line)]);
        if way.len() == 1 {
            points.extend([(to, line + TURN), (from, line + TURN)]);
            points.extend(stops.next().map(|height| (first.x + first.width, height)));
        }
        for (cell, height) in way.iter().skip(1).zip(stops) {
            let Place { x, width, .. } = place(cell);
            points.push((x, height));
            points.extend((way.last() != Some(cell)).then_some((x + width, height)));
        }
        if way.first() != Some(&link.from) {
            points.reverse();
        }
        Way { points, label: (from, line) }
    })
    .collect()
}
