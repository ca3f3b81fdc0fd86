//! The picture of a table as SVG, drawn without any other program.
//!
//! Every state has a layer of its own, top to bottom as the table lists them. The two ends are bars: `Complete` on the
//! left, `Failed` on the right, as high as the states that lead there. So every arrow is of one of four kinds, and each
//! kind has a region of its own: to the next layer (straight down), to `Complete` (left), to `Failed` (right), and
//! between other layers (right, then along a track of its own). Each arrow leaves and enters a box at a height of its
//! own, so labels cannot overlap: they stand above the horizontal piece of their arrow, and tracks run where no labels
//! are. The arrows of `Cancel` are left out, as in the other pictures.

#[cfg(test)]
mod tests;

use core::fmt::Write;

use super::{COMPLETE, FAILED, StateId, StateKind, StateRow, Table};

/// Width of a character of the labels, and of the names.
const LABEL: f64 = 6.7;
const NAME: f64 = 8.5;
/// Height of a line of a label.
const LINE: f64 = 14.0;
const PAD: f64 = 12.0;
/// Between two tracks.
const TRACK: f64 = 14.0;
const MARGIN: f64 = 20.0;
/// Of an arrow's head, and of what follows it.
const STUB: f64 = 14.0;

const STYLE: &str = "text{font:11px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1c2430}\
.n{font-size:14px;font-weight:bold}.e{font-size:11px;fill:#4a5563}\
.b{fill:#f4f7fb;stroke:#3b5b7d;stroke-width:1.4}.r{fill:#fff6df;stroke:#9a6b00;stroke-width:2.4}\
.c{fill:#e8f6ec;stroke:#2a7a45;stroke-width:1.4}.f{fill:#fdecea;stroke:#b03a2e;stroke-width:1.4}\
.a{fill:none;stroke:#3b4654;stroke-width:1.2;marker-end:url(#h)}";

type Edge = (StateId, StateId, Vec<String>);

/// Where an arrow touches a box: its number among the table's arrows, and the height above which its label stands.
struct Slot {
    edge: usize,
    y: f64,
    is_end: bool,
}

/// A box of the column, with what leaves and enters it on either side.
struct Layer<'a> {
    row: &'a StateRow,
    top: f64,
    height: f64,
    right: Vec<Slot>,
    left: Vec<Slot>,
    /// The arrow to the next layer.
    down: Option<usize>,
}

impl Table {
    /// Draws the table as an SVG picture. The same table always gives the same text.
    pub fn svg(&self) -> String {
        Picture::new(self).drawn()
    }
}

struct Picture<'a> {
    table: &'a Table,
    edges: Vec<Edge>,
    layers: Vec<Layer<'a>>,
    /// The arrows that run along a track, in the order of their tracks.
    tracks: Vec<usize>,
    complete_x: f64,
    box_x: f64,
    box_width: f64,
    track_x: f64,
    failed_x: f64,
}

impl<'a> Picture<'a> {
    fn new(table: &'a Table) -> Self {
        let edges = table.edges();
        let column: Vec<&StateRow> = table.states.iter().filter(|row| row.kind != StateKind::Terminal).collect();
        let next = |from: StateId, to: StateId| {
            let at = column.iter().position(|row| row.id == from);
            let after = at.and_then(|at| column.get(at.saturating_add(1)));
            after.is_some_and(|row| row.id == to)
        };
        let is_end = |id: StateId| id == COMPLETE || id == FAILED;
        let tracks: Vec<usize> = numbered(&edges)
            .filter(|(_, (from, to, _))| !is_end(*to) && !next(*from, *to))
            .map(|(number, _)| number)
            .collect();
        let mut top = MARGIN;
        let mut layers: Vec<Layer<'a>> = Vec::new();
        for row in &column {
            let layer = Layer::new(row, top, &edges, &tracks, next);
            let gap = layer.down.and_then(|edge| edges.get(edge)).map_or(2.0 * PAD, |edge| tall(&edge.2) + 3.0 * PAD);
            top += layer.height + gap;
            layers.push(layer);
        }
        let widest = |chosen: &dyn Fn(&Edge) -> bool| {
            edges.iter().filter(|edge| chosen(edge)).map(|edge| wide(&edge.2)).fold(0.0, f64::max)
        };
        let to_left = widest(&|edge| edge.1 == COMPLETE);
        let to_right = widest(&|edge| edge.1 != COMPLETE && !next(edge.0, edge.1));
        let down = widest(&|edge| next(edge.0, edge.1));
        let box_width = column
            .iter()
            .map(|row| (count(row.id.0) * NAME).max(row.label().map_or(0.0, |label| count(&label) * LABEL)))
            .fold(down * 2.0, f64::max)
            + 2.0 * PAD;
        let end_width = count("Complete") * NAME + 2.0 * PAD;
        let (complete_x, box_x) = (MARGIN, MARGIN + end_width + to_left + 2.0 * STUB);
        let track_x = box_x + box_width + to_right + STUB;
        let failed_x = track_x + number(tracks.len()) * TRACK + 2.0 * STUB;
        Self { table, edges, layers, tracks, complete_x, box_x, box_width, track_x, failed_x }
    }

    fn drawn(&self) -> String {
        let bottom = self.layers.last().map_or(MARGIN, |layer| layer.top + layer.height) + MARGIN + PAD;
        let width = self.failed_x + count("Failed") * NAME + 2.0 * PAD + MARGIN;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {bottom:.0}\" width=\"{width:.0}\" \
             height=\"{bottom:.0}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n<defs><marker id=\"h\" \
             viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
             <path d=\"M0 0L8 4L0 8z\" fill=\"#3b4654\"/></marker></defs>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
            escaped(self.table.machine),
        );
        self.draw_end(&mut out, COMPLETE, "c", self.complete_x);
        self.draw_end(&mut out, FAILED, "f", self.failed_x);
        for layer in &self.layers {
            self.draw_arrows(&mut out, layer);
        }
        for layer in &self.layers {
            self.draw_box(&mut out, layer);
        }
        out.push_str("</svg>\n");
        out
    }

    /// The bar of an end, from the highest arrow that leads there to the lowest.
    fn draw_end(&self, out: &mut String, id: StateId, class: &str, x: f64) {
        let leads_here = |slot: &&Slot| self.edges.get(slot.edge).is_some_and(|edge| edge.1 == id);
        let slots = self.layers.iter().flat_map(|layer| layer.left.iter().chain(&layer.right)).filter(leads_here);
        let (first, last) =
            slots.fold((f64::MAX, 0.0_f64), |(first, last), slot| (first.min(slot.y), last.max(slot.y)));
        if last == 0.0 {
            return;
        }
        let (top, width) = (first - 1.5 * PAD, count(id.0) * NAME + 2.0 * PAD);
        let height = last - first + 3.0 * PAD;
        rectangle(out, class, (x, top), (width, height));
        text(out, "n", "middle", (x + width / 2.0, top + height / 2.0 + 5.0), id.0);
    }

    fn draw_box(&self, out: &mut String, layer: &Layer<'_>) {
        let class = if layer.row.kind == StateKind::Resting { "r" } else { "b" };
        rectangle(out, class, (self.box_x, layer.top), (self.box_width, layer.height));
        let middle = (self.box_x + self.box_width / 2.0, layer.top + layer.height / 2.0);
        match layer.row.label() {
            None => text(out, "n", "middle", (middle.0, middle.1 + 5.0), layer.row.id.0),
            Some(label) => {
                text(out, "n", "middle", (middle.0, middle.1 - 3.0), layer.row.id.0);
                text(out, "e", "middle", (middle.0, middle.1 + 14.0), &label);
            }
        }
    }

    fn draw_arrows(&self, out: &mut String, layer: &Layer<'_>) {
        let right = self.box_x + self.box_width;
        for slot in &layer.left {
            let Some((_, _, labels)) = self.edges.get(slot.edge) else { continue };
            let end = self.complete_x + count(COMPLETE.0) * NAME + 2.0 * PAD;
            arrow(out, &format!("M{:.1} {:.1}H{end:.1}", self.box_x, slot.y));
            lines(out, "end", (self.box_x - STUB / 2.0, slot.y), labels);
        }
        for slot in layer.right.iter().filter(|slot| !slot.is_end) {
            let Some((_, to, labels)) = self.edges.get(slot.edge) else { continue };
            lines(out, "start", (right + STUB / 2.0, slot.y), labels);
            if *to == FAILED {
                arrow(out, &format!("M{right:.1} {:.1}H{:.1}", slot.y, self.failed_x));
                continue;
            }
            let track = self.tracks.iter().position(|edge| *edge == slot.edge).unwrap_or_default();
            let x = self.track_x + number(track) * TRACK;
            let ends = self.layers.iter().flat_map(|layer| &layer.right);
            let end = ends.filter(|end| end.is_end).find(|end| end.edge == slot.edge).map_or(slot.y, |end| end.y);
            arrow(out, &format!("M{right:.1} {:.1}H{x:.1}V{end:.1}H{right:.1}", slot.y));
        }
        if let Some((_, _, labels)) = layer.down.and_then(|edge| self.edges.get(edge)) {
            let (x, top) = (self.box_x + self.box_width / 2.0, layer.top + layer.height);
            let bottom = top + tall(labels) + 3.0 * PAD;
            arrow(out, &format!("M{x:.1} {top:.1}V{bottom:.1}"));
            lines(out, "start", (x + PAD / 2.0, bottom - PAD), labels);
        }
    }
}

impl<'a> Layer<'a> {
    fn new(
        row: &'a StateRow,
        top: f64,
        edges: &[Edge],
        tracks: &[usize],
        next: impl Fn(StateId, StateId) -> bool,
    ) -> Self {
        let leaving = || numbered(edges).filter(|(_, edge)| edge.0 == row.id);
        let (mut y, mut right) = (top + PAD / 2.0, Vec::new());
        for (edge, _) in numbered(edges).filter(|(edge, (_, to, _))| *to == row.id && tracks.contains(edge)) {
            y += LINE;
            right.push(Slot { edge, y, is_end: true });
        }
        if !right.is_empty() {
            y += 4.0;
        }
        for (edge, (_, _, labels)) in leaving().filter(|(_, edge)| edge.1 != COMPLETE && !next(edge.0, edge.1)) {
            y += tall(labels) + 4.0;
            right.push(Slot { edge, y, is_end: false });
        }
        let (mut low, mut left) = (top + PAD / 2.0, Vec::new());
        for (edge, (_, _, labels)) in leaving().filter(|(_, edge)| edge.1 == COMPLETE) {
            low += tall(labels) + 4.0;
            left.push(Slot { edge, y: low, is_end: false });
        }
        let down = leaving().find(|(_, edge)| next(edge.0, edge.1)).map(|(edge, _)| edge);
        let height = (y.max(low) - top + PAD / 2.0 + 2.0).max(46.0);
        Self { row, top, height, right, left, down }
    }
}

fn numbered(edges: &[Edge]) -> impl Iterator<Item = (usize, &Edge)> {
    edges.iter().enumerate()
}

fn arrow(out: &mut String, path: &str) {
    let _ = writeln!(out, "<path class=\"a\" d=\"{path}\"/>");
}

fn rectangle(out: &mut String, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"7\"/>"
    );
}

fn text(out: &mut String, class: &str, anchor: &str, (x, y): (f64, f64), content: &str) {
    let content = escaped(content);
    let _ =
        writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{content}</text>");
}

/// A label of several lines that stands on `y`.
fn lines(out: &mut String, anchor: &str, (x, y): (f64, f64), labels: &[String]) {
    for (above, label) in labels.iter().rev().enumerate() {
        text(out, "l", anchor, (x, y - 4.0 - number(above) * LINE), label);
    }
}

fn tall(labels: &[String]) -> f64 {
    number(labels.len()) * LINE
}

fn wide(labels: &[String]) -> f64 {
    labels.iter().map(|label| count(label) * LABEL).fold(0.0, f64::max)
}

fn count(text: &str) -> f64 {
    number(text.chars().count())
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(0.0, f64::from)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
