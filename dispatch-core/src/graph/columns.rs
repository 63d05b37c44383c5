//! Which column each box of a drawing stands in, and in which order the boxes of a column stand.
//!
//! Arrows go from left to right, except one of each way around. An arrow that passes a column takes a place in it, a bend,
//! so that it goes between the boxes and not behind them.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::Link;

/// How many places arrows may take in columns that they pass. With more, long arrows go straight, behind the boxes.
const MAX_BENDS: usize = 5_000;
/// How often the order of the columns is improved, from left to right and back.
const SWEEPS: usize = 4;

/// Boxes and bends by column, and the way of each arrow through them.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// The cells of each column, from top to bottom. The first cells are the boxes by number; the others are bends.
    pub(super) cells: Vec<Vec<usize>>,
    /// The cells of each arrow from left to right: one for an arrow back to its own box.
    pub(super) ways: Vec<Vec<usize>>,
    /// The column of each box.
    pub(super) columns: Vec<usize>,
}

impl Columns {
    pub(super) fn of(boxes: usize, links: &[Link]) -> Self {
        let columns = columns(boxes, links);
        let column = |number: usize| columns.get(number).copied().unwrap_or_default();
        let mut cells = vec![Vec::new(); columns.iter().max().map_or(0, |last| last + 1)];
        for (number, column) in columns.iter().enumerate() {
            cells.get_mut(*column).into_iter().for_each(|cells| cells.push(number));
        }
        let ends = links.iter().map(|link| match column(link.from) <= column(link.to) {
            true => (link.from, link.to),
            false => (link.to, link.from),
        });
        let passed = |left: usize, right: usize| column(left) + 1..column(right);
        let bends: usize = ends.clone().map(|(left, right)| passed(left, right).len()).sum();
        let mut next = boxes;
        let mut ways = Vec::new();
        for (left, right) in ends {
            let mut way = vec![left];
            for passed in passed(left, right).filter(|_| bends <= MAX_BENDS) {
                cells.get_mut(passed).into_iter().for_each(|cells| cells.push(next));
                way.push(next);
                next += 1;
            }
            way.extend((left != right).then_some(right));
            ways.push(way);
        }
        let mut columns = Self { cells, ways, columns };
        columns.put_in_order();
        columns
    }

    /// The place of each cell in its column.
    pub(super) fn places(&self) -> BTreeMap<usize, usize> {
        let places = self.cells.iter().flat_map(|cells| cells.iter().enumerate());
        places.map(|(place, cell)| (*cell, place)).collect()
    }

    /// Moves cells near to the cells that they are joined with (the barycentre heuristic), so that fewer arrows cross.
    fn put_in_order(&mut self) {
        let mut joined: BTreeMap<usize, [Vec<usize>; 2]> = BTreeMap::new();
        for pair in self.ways.iter().flat_map(|way| way.windows(2)) {
            if let [left, right] = *pair {
                let [_, after] = joined.entry(left).or_default();
                after.push(right);
                let [before, _] = joined.entry(right).or_default();
                before.push(left);
            }
        }
        let last = self.cells.len();
        for sweep in 0..SWEEPS {
            let forward = sweep % 2 == 0;
            for step in 0..last {
                let column = if forward { step } else { last - 1 - step };
                let places = self.places();
                let Some(cells) = self.cells.get_mut(column) else { continue };
                cells.sort_by_cached_key(|cell| {
                    let near = joined.get(cell).map(|[before, after]| if forward { before } else { after });
                    let near: Vec<_> = near.into_iter().flatten().filter_map(|cell| places.get(cell)).collect();
                    let own = places.get(cell).copied().unwrap_or_default();
                    // A thousandth of a place is fine enough, and whole numbers are the same on every machine.
                    match near.len() {
                        0 => (own * 1_000, own),
                        count => (near.into_iter().sum::<usize>() * 1_000 / count, own),
                    }
                });
            }
        }
    }
}

/// The column of each box: the longest way that leads to it, where ways back are left out. A box that nothing leads to
/// stands right before what it leads to.
fn columns(boxes: usize, links: &[Link]) -> Vec<usize> {
    let mut next: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for link in links.iter().filter(|link| link.from != link.to) {
        next.entry(link.from).or_default().insert(link.to);
    }
    let reached: BTreeSet<usize> = next.values().flatten().copied().collect();
    let roots = (0..boxes).filter(|number| !reached.contains(number)).chain(0..boxes);
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    for root in roots {
        let mut stack = vec![(root, false)];
        while let Some((number, is_left)) = stack.pop() {
            if is_left {
                order.push(number);
            } else if seen.insert(number) {
                stack.push((number, true));
                stack.extend(next.get(&number).into_iter().flatten().rev().map(|next| (*next, false)));
            }
        }
    }
    order.reverse();
    let rank: BTreeMap<usize, usize> = order.iter().enumerate().map(|(rank, number)| (*number, rank)).collect();
    let after = |number: &usize| {
        let own = rank.get(number).copied();
        let next = next.get(number).into_iter().flatten().copied();
        let is_forward = |next: &usize| rank.get(next).copied() > own;
        next.filter(is_forward).collect::<Vec<_>>()
    };
    let mut columns = vec![0_usize; boxes];
    for number in &order {
        let column = columns.get(*number).map_or(0, |column| column + 1);
        for next in after(number) {
            columns.get_mut(next).into_iter().for_each(|next| *next = column.max(*next));
        }
    }
    for number in order.iter().filter(|number| !reached.contains(number)) {
        let nearest = after(number).into_iter().filter_map(|next| columns.get(next)).min().copied();
        let column = nearest.unwrap_or_default().saturating_sub(1);
        columns.get_mut(*number).into_iter().for_each(|own| *own = column);
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns_of(boxes: usize, links: &[(usize, usize)]) -> Vec<usize> {
        columns(boxes, &links.iter().map(|(from, to)| Link { from: *from, to: *to, label: 0 }).collect::<Vec<_>>())
    }

    #[test]
    fn a_box_is_right_of_everything_that_leads_to_it() {
        assert!(columns_of(0, &[]).is_empty());
        assert_eq!(columns_of(3, &[(0, 1), (1, 2), (0, 2)]), [0, 1, 2]);
        assert_eq!(columns_of(4, &[(0, 1), (1, 2), (3, 2)]), [0, 1, 2, 1], "a beginning stands near to what follows");
        assert_eq!(columns_of(2, &[(1, 0)]), [1, 0]);
    }

    #[test]
    fn a_way_around_is_opened_where_it_begins() {
        assert_eq!(columns_of(1, &[(0, 0)]), [0]);
        assert_eq!(columns_of(2, &[(0, 1), (1, 0)]), [0, 1]);
        assert_eq!(columns_of(4, &[(3, 0), (0, 1), (1, 2), (2, 0)]), [1, 2, 3, 0]);
    }

    #[test]
    fn a_long_chain_with_long_arrows_is_bounded() {
        let last = 500;
        let link = |from, to| Link { from, to, label: 0 };
        let mut links: Vec<_> = (0..last).map(|number| link(number, number + 1)).collect();
        links.extend((0..last).map(|_| link(0, last)));
        let columns = Columns::of(last + 1, &links);
        assert!(columns.ways.iter().all(|way| way.len() == 2));
    }
}
