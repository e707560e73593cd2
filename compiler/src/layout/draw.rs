//! Draws a layout: a table of text, or an SVG grid with a colour per lane and a note per cell.
//!
//! ```text
//!        0    1    2    3          a cell names one place that holds the element: lane 1, register 0;
//!   0  L0r0 L0r1 L1r0 L1r1         with several warps `w2L1r0`; `*` where others hold it, too
//! ```

use super::error::LayoutError;
use super::linear::{Coord, Dim, Linear, Position};
use super::shared::Shared;
use std::fmt::Write;

/// A grid of labelled cells; tiles of rank 3 are planes of it.
#[derive(Clone, Debug)]
pub struct Picture {
    planes: u32,
    rows: u32,
    columns: u32,
    cells: Vec<Cell>,
}

/// One element.
#[derive(Clone, Debug, Default)]
struct Cell {
    label: String,
    note: String,
    /// Hue in degrees and lightness in percent.
    colour: (u32, u32),
}

/// More elements than this are no picture.
pub const MOST_CELLS: u32 = 1 << 16;

impl Picture {
    /// Which place holds each element.
    pub fn of_layout(layout: &Linear) -> Result<Self, LayoutError> {
        let mut picture = Self::empty(layout)?;
        let mut holders: Vec<Vec<Position>> = vec![Vec::new(); picture.cells.len()];
        let total = Dim::ALL.iter().map(|&dim| layout.bits(dim)).sum::<u32>();
        if total > 20 {
            return Err(LayoutError::new(format!("the layout has 2^{total} places, too many for a picture")));
        }
        for position in layout.positions() {
            holders[layout.pack(layout.apply(position)) as usize].push(position);
        }
        for (element, (cell, places)) in (0..).zip(picture.cells.iter_mut().zip(&holders)) {
            let at = coordinates(layout, layout.unpack(element));
            let Some(first) = places.first() else {
                *cell = Cell { label: "-".into(), note: format!("{at}: nowhere"), colour: (0, 100) };
                continue;
            };
            let copies = if places.len() > 1 { "*" } else { "" };
            let listed: Vec<String> = places.iter().take(8).map(|p| label(layout, p)).collect();
            let more = if places.len() > 8 { ", …" } else { "" };
            cell.label = format!("{}{copies}", label(layout, first));
            cell.note = format!("{at}: {}{more}", listed.join(", "));
            cell.colour = (first.lane * 360 / layout.lanes(), 88 - first.warp * 36 / layout.warps());
        }
        Ok(picture)
    }

    /// Where each element lies in a buffer, coloured by the bank of its first byte.
    pub fn of_shared(shared: &Shared, banks: u32, bank_bytes: u32) -> Result<Self, LayoutError> {
        let layout = shared.layout();
        let mut picture = Self::empty(layout)?;
        for offset in 0..layout.elements() {
            let element = layout.apply(Position::offset(offset));
            let gapped = shared.gapped(offset);
            let bank = gapped * shared.element_bytes() / bank_bytes % banks;
            picture.cells[layout.pack(element) as usize] = Cell {
                label: gapped.to_string(),
                note: format!("{}: offset {gapped}, bank {bank}", coordinates(layout, element)),
                colour: (bank * 360 / banks, 82),
            };
        }
        Ok(picture)
    }

    fn empty(layout: &Linear) -> Result<Self, LayoutError> {
        if layout.elements() > MOST_CELLS {
            let message = format!("a tile of {} elements is too large for a picture", layout.elements());
            return Err(LayoutError::new(message));
        }
        let mut extents = [1; 3];
        extents[3 - layout.rank()..].copy_from_slice(layout.extents());
        let [planes, rows, columns] = extents;
        Ok(Self { planes, rows, columns, cells: vec![Cell::default(); layout.elements() as usize] })
    }

    fn cell(&self, plane: u32, row: u32, column: u32) -> &Cell {
        &self.cells[((plane * self.rows + row) * self.columns + column) as usize]
    }

    /// A table, a row of the tile per line.
    pub fn text(&self) -> String {
        let width = self.cells.iter().map(|cell| cell.label.chars().count()).max().unwrap_or(1);
        let width = width.max(self.columns.saturating_sub(1).to_string().len());
        let margin = self.rows.saturating_sub(1).to_string().len();
        let mut out = String::new();
        for plane in 0..self.planes {
            if self.planes > 1 {
                let _ = writeln!(out, "plane {plane}");
            }
            let header: Vec<String> = (0..self.columns).map(|column| format!("{column:>width$}")).collect();
            let _ = writeln!(out, "{:margin$}  {}", "", header.join(" "));
            for row in 0..self.rows {
                let cells: Vec<String> = (0..self.columns)
                    .map(|c| format!("{:>width$}", self.cell(plane, row, c).label))
                    .collect();
                let _ = writeln!(out, "{row:>margin$}  {}", cells.join(" "));
            }
        }
        out
    }

    /// An SVG image; a cell tells its places when pointed at.
    pub fn svg(&self) -> String {
        const HEIGHT: u32 = 22;
        const MARGIN: u32 = 34;
        let longest = self.cells.iter().map(|cell| cell.label.chars().count() as u32).max().unwrap_or(1);
        let width = (longest * 7 + 8).max(24);
        let plane_height = self.rows * HEIGHT + MARGIN;
        let (total_width, total_height) = (MARGIN + self.columns * width + 2, self.planes * plane_height + 2);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total_width}\" height=\"{total_height}\" \
             viewBox=\"0 0 {total_width} {total_height}\" font-family=\"monospace\" font-size=\"11\" \
             text-anchor=\"middle\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        for plane in 0..self.planes {
            let top = plane * plane_height + MARGIN - HEIGHT / 2;
            for column in 0..self.columns {
                let x = MARGIN + column * width + width / 2;
                let _ = writeln!(out, "<text x=\"{x}\" y=\"{}\" fill=\"#666\">{column}</text>", top - 5);
            }
            for row in 0..self.rows {
                let y = top + row * HEIGHT;
                let _ = writeln!(out, "<text x=\"16\" y=\"{}\" fill=\"#666\">{row}</text>", y + 15);
                for column in 0..self.columns {
                    let cell = self.cell(plane, row, column);
                    let (x, (hue, light)) = (MARGIN + column * width, cell.colour);
                    let _ = writeln!(
                        out,
                        "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" \
                         fill=\"hsl({hue},70%,{light}%)\" stroke=\"#999\"/><text x=\"{}\" y=\"{}\">{}</text></g>",
                        cell.note,
                        x + width / 2,
                        y + 15,
                        cell.label
                    );
                }
            }
        }
        out.push_str("</svg>\n");
        out
    }
}

fn label(layout: &Linear, place: &Position) -> String {
    match (layout.bits(Dim::Offset), layout.warps()) {
        (0, 1) => format!("L{}r{}", place.lane, place.register),
        (0, _) => format!("w{}L{}r{}", place.warp, place.lane, place.register),
        _ => place.offset.to_string(),
    }
}

fn coordinates(layout: &Linear, element: Coord) -> String {
    let list: Vec<String> = element[..layout.rank()].iter().map(u32::to_string).collect();
    format!("({})", list.join(", "))
}
