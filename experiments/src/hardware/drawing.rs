//! The graph of a node model as a picture: SVG, the same bytes each time.
//!
//! The PCIe trees hang from the sockets; every GPU and network card has a column of its own, and what is
//! above them stands over its columns, so no two boxes meet. NVLinks are drawn below the GPUs: arcs
//! between two, or lines to a bar that is the NVSwitches.

use std::collections::BTreeMap;
use std::fmt::Write;

use windtunnel_core::topology::{Device, LinkKind};

use super::HardwareModel;
use super::matrix::gb;

/// Width of a column \[px\], as of a box and the gap beside it.
const COLUMN: usize = 68;
const BOX: usize = 58;
const BOX_HEIGHT: usize = 34;
/// From one row of boxes to the next.
const ROW: usize = 66;
const MARGIN: usize = 24;
/// Room for the title.
const TOP: usize = 64;
/// From the GPUs to the bar of the NVSwitches.
const DROP: usize = 44;
/// Between two anchors of NVLinks at a GPU.
const ANCHOR: usize = 7;
/// A line of the legend.
const LINE: usize = 22;
/// So wide is the picture at least.
const LEAST: usize = 640;

macro_rules! put {
    ($out:expr, $($what:tt)*) => {{
        let _ = writeln!($out, $($what)*);
    }};
}

/// A link: its ends, what it is, what it carries.
type Wire = (usize, usize, LinkKind, u32);

/// Where everything stands.
struct Page<'m> {
    model: &'m HardwareModel,
    devices: Vec<&'m Device>,
    wires: Vec<Wire>,
    /// Below each device those that hang on it.
    below: Vec<Vec<usize>>,
    /// Centre and row of each device.
    centre: Vec<usize>,
    row: Vec<usize>,
    columns: usize,
    /// The row of GPUs and network cards.
    last: usize,
}

impl HardwareModel {
    /// Draws the graph: SVG, with a legend of the kinds of link and what each carries.
    #[must_use]
    pub fn svg(&self) -> String {
        Page::new(self).draw()
    }
}

impl<'m> Page<'m> {
    fn new(model: &'m HardwareModel) -> Self {
        let graph = model.graph().graph();
        let devices: Vec<&Device> = graph.node_weights().collect();
        let wires = graph.edge_indices().filter_map(|edge| {
            let (a, b) = graph.edge_endpoints(edge)?;
            let link = &graph[edge];
            Some((a.index(), b.index(), link.kind, link.bandwidth))
        });
        let count = devices.len();
        let mut page = Self {
            model,
            devices,
            wires: wires.collect(),
            below: vec![Vec::new(); count],
            centre: vec![0; count],
            row: vec![0; count],
            columns: 0,
            last: 0,
        };
        // Links were added from above to below.
        for &(a, b, kind, _) in &page.wires {
            if !matches!(kind, LinkKind::NvLink { .. } | LinkKind::Socket) {
                page.below[a].push(b);
            }
        }
        for device in page.all(|device| matches!(device, Device::Socket { .. })) {
            page.place(device, 0);
        }
        for device in page.all(|device| matches!(device, Device::Gpu { .. } | Device::Nic(_))) {
            page.row[device] = page.last;
        }
        page
    }

    fn all(&self, is_one: fn(&Device) -> bool) -> Vec<usize> {
        let places = self.devices.iter().enumerate();
        places
            .filter(|(_, device)| is_one(device))
            .map(|(place, _)| place)
            .collect()
    }

    /// Gives a device and all below it their columns and rows.
    fn place(&mut self, device: usize, row: usize) {
        self.row[device] = row;
        self.last = self.last.max(row);
        let first = self.columns;
        for below in self.below[device].clone() {
            self.place(below, row + 1);
        }
        if self.columns == first {
            self.columns += 1;
        }
        self.centre[device] = MARGIN + (first + self.columns) * COLUMN / 2;
    }

    fn y(&self, device: usize) -> usize {
        TOP + self.row[device] * ROW
    }

    fn width(&self) -> usize {
        (2 * MARGIN + self.columns * COLUMN).max(LEAST)
    }

    fn draw(&self) -> String {
        let mut body = String::new();
        self.trees(&mut body);
        let below = self.nvlinks(&mut body);
        for device in 0..self.devices.len() {
            self.device(&mut body, device);
        }
        let height = self.legend(&mut body, below + 30);
        let width = self.width();
        let mut out = String::new();
        put!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"Helvetica, Arial, sans-serif\" \
             font-size=\"12\">"
        );
        put!(
            out,
            "<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"
        );
        let model = self.model;
        text(&mut out, MARGIN, 28, "start", 16, &model.title);
        let what = format!(
            "{} x {}, {} cores, {} GiB",
            model.gpus, model.gpu.name, model.cpu.cores, model.cpu.memory_gib
        );
        text(&mut out, MARGIN, 48, "start", 12, &what);
        out + &body + "</svg>\n"
    }

    /// The links above the GPUs.
    fn trees(&self, out: &mut String) {
        for &(a, b, kind, _) in &self.wires {
            let (xa, xb) = (self.centre[a], self.centre[b]);
            match kind {
                LinkKind::NvLink { .. } => {}
                LinkKind::Socket => self.across(out, a, b),
                _ => {
                    let from = self.y(a) + BOX_HEIGHT;
                    let (turn, to) = (from + 16, self.y(b));
                    path(out, kind, &format!("M{xa} {from} V{turn} H{xb} V{to}"));
                }
            }
        }
    }

    /// The link between two sockets: straight to the next, over those between to another.
    fn across(&self, out: &mut String, a: usize, b: usize) {
        let (xa, xb) = (self.centre[a], self.centre[b]);
        let y = self.y(a) + BOX_HEIGHT / 2;
        let sockets = self.all(|device| matches!(device, Device::Socket { .. }));
        let place = |device| sockets.iter().position(|&socket| socket == device);
        match place(a).zip(place(b)) {
            Some((one, other)) if one.abs_diff(other) > 1 => {
                let top = self.y(a);
                let peak = top - 8;
                path(
                    out,
                    LinkKind::Socket,
                    &format!("M{xa} {top} V{peak} H{xb} V{top}"),
                );
            }
            _ => path(out, LinkKind::Socket, &format!("M{xa} {y} H{xb}")),
        }
    }

    /// The NVLinks; how far down they reach.
    fn nvlinks(&self, out: &mut String) -> usize {
        let from = TOP + self.last * ROW + BOX_HEIGHT;
        let mut reach = from;
        let is_direct = |&&(a, b, kind, _): &&Wire| {
            let both = [a, b].map(|end| matches!(self.devices[end], Device::Gpu { .. }));
            matches!(kind, LinkKind::NvLink { .. }) && both == [true, true]
        };
        let arcs: Vec<&Wire> = self.wires.iter().filter(is_direct).collect();
        for &&(a, b, kind, _) in &arcs {
            let (xa, xb) = (self.anchor(&arcs, a, b), self.anchor(&arcs, b, a));
            let depth = 30 + xa.abs_diff(xb) * 3 / 10;
            let low = from + depth;
            reach = reach.max(from + depth * 3 / 4);
            path(
                out,
                kind,
                &format!("M{xa} {from} C{xa} {low} {xb} {low} {xb} {from}"),
            );
        }
        for switch in self.all(|device| matches!(device, Device::NvSwitch { .. })) {
            reach = self.switch(out, switch, from, reach);
        }
        reach
    }

    /// The bar of a switch and the lines to it.
    fn switch(&self, out: &mut String, switch: usize, from: usize, reach: usize) -> usize {
        let y = reach + DROP;
        let plugs = self
            .wires
            .iter()
            .filter_map(|&(a, b, kind, bandwidth)| match () {
                () if a == switch => Some((b, kind, bandwidth)),
                () if b == switch => Some((a, kind, bandwidth)),
                () => None,
            });
        let plugs: Vec<(usize, LinkKind, u32)> = plugs.collect();
        for &(gpu, kind, _) in &plugs {
            path(out, kind, &format!("M{} {from} V{y}", self.centre[gpu]));
        }
        let centres = plugs.iter().map(|&(gpu, ..)| self.centre[gpu]);
        let (first, last) = (
            centres.clone().min().unwrap_or(0),
            centres.max().unwrap_or(0),
        );
        let (x, width) = (first.saturating_sub(BOX / 2), last - first + BOX);
        put!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX_HEIGHT}\" rx=\"4\" \
             fill=\"#d9f0d3\" stroke=\"#1b7837\"/>"
        );
        let nodes = match self.devices[switch] {
            Device::NvSwitch { nodes } if *nodes > 1 => format!(", shared by {nodes} nodes"),
            _ => String::new(),
        };
        let label = format!("NVSwitch{nodes}");
        text(out, x + width / 2, y + 22, "middle", 12, &label);
        y + BOX_HEIGHT
    }

    /// Where at a GPU the arc to another begins: arcs stand beside each other in the order of where
    /// they go.
    fn anchor(&self, arcs: &[&Wire], gpu: usize, to: usize) -> usize {
        let mut ends: Vec<usize> = arcs
            .iter()
            .filter_map(|&&(a, b, ..)| match () {
                () if a == gpu => Some(b),
                () if b == gpu => Some(a),
                () => None,
            })
            .collect();
        ends.sort_by_key(|&end| (self.centre[end], end));
        ends.dedup();
        let place = ends.iter().position(|&end| end == to).unwrap_or(0);
        (self.centre[gpu] + ANCHOR * place).saturating_sub(ANCHOR * (ends.len().max(1) - 1) / 2)
    }

    fn device(&self, out: &mut String, device: usize) {
        let (fill, stroke, width, title, under) = match self.devices[device] {
            Device::NvSwitch { .. } => return,
            Device::Socket { .. } => (
                "#f7d6cf",
                "#b2182b",
                BOX,
                "socket".to_owned(),
                self.number(device),
            ),
            Device::Numa { id, .. } => {
                ("#fdecd2", "#b35806", BOX, "NUMA".to_owned(), id.to_string())
            }
            Device::HostBridge => (
                "#f0f0f0",
                "#777777",
                BOX,
                "host".to_owned(),
                "bridge".to_owned(),
            ),
            Device::PcieSwitch => (
                "#d6e6f4",
                "#2166ac",
                BOX,
                "PCIe".to_owned(),
                "switch".to_owned(),
            ),
            Device::Gpu { index } => (
                "#d9f0d3",
                "#1b7837",
                BOX,
                format!("GPU{index}"),
                String::new(),
            ),
            Device::Nic(port) => {
                let nics = self.all(|device| matches!(device, Device::Nic(_)));
                let place = nics.iter().position(|&nic| nic == device).unwrap_or(0);
                let name: String = port.name.chars().take(10).collect();
                ("#e7d9ee", "#762a83", BOX, format!("NIC{place}"), name)
            }
            _ => return,
        };
        let (x, y) = (self.centre[device] - width / 2, self.y(device));
        put!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX_HEIGHT}\" rx=\"4\" \
             fill=\"{fill}\" stroke=\"{stroke}\"/>"
        );
        let middle = self.centre[device];
        if under.is_empty() {
            text(out, middle, y + 22, "middle", 12, &title);
        } else {
            text(out, middle, y + 15, "middle", 12, &title);
            text(out, middle, y + 28, "middle", 10, &under);
        }
    }

    /// The number of a socket.
    fn number(&self, device: usize) -> String {
        let sockets = self.all(|device| matches!(device, Device::Socket { .. }));
        let place = sockets.iter().position(|&socket| socket == device);
        place.unwrap_or(0).to_string()
    }

    /// The kinds of link and what each carries; the height of the picture.
    fn legend(&self, out: &mut String, from: usize) -> usize {
        let kinds: BTreeMap<(LinkKind, u32), ()> = self
            .wires
            .iter()
            .filter(|(_, _, kind, _)| *kind != LinkKind::Inside)
            .map(|&(_, _, kind, bandwidth)| ((kind, bandwidth), ()))
            .collect();
        text(
            out,
            MARGIN,
            from,
            "start",
            12,
            "Effective bandwidth per direction:",
        );
        let mut y = from;
        for (kind, bandwidth) in kinds.into_keys() {
            y += LINE;
            let (x, line) = (MARGIN, y - 4);
            path(out, kind, &format!("M{x} {line} H{}", x + 40));
            let what = match kind {
                LinkKind::NvLink { links: 1 } => "1 NVLink".to_owned(),
                LinkKind::NvLink { links } => format!("{links} NVLinks"),
                LinkKind::Pcie { generation } => format!("PCIe {generation}"),
                LinkKind::C2c => "NVLink-C2C".to_owned(),
                LinkKind::Mesh => "between NUMA nodes".to_owned(),
                _ => "between sockets".to_owned(),
            };
            let label = format!("{what}: {} GB/s", gb(bandwidth));
            text(out, x + 52, y, "start", 12, &label);
        }
        y + LINE
    }
}

/// Colour and width of a link.
fn stroke(kind: LinkKind) -> (&'static str, usize) {
    match kind {
        LinkKind::NvLink { links: 1 } => ("#7fbf7b", 2),
        LinkKind::NvLink { links: 2 } => ("#1b7837", 3),
        LinkKind::NvLink { .. } => ("#1b7837", 5),
        LinkKind::Pcie { .. } => ("#2166ac", 2),
        LinkKind::C2c => ("#762a83", 4),
        LinkKind::Mesh => ("#b35806", 3),
        LinkKind::Socket => ("#b2182b", 4),
        _ => ("#999999", 1),
    }
}

fn path(out: &mut String, kind: LinkKind, way: &str) {
    let (colour, width) = stroke(kind);
    put!(
        out,
        "<path d=\"{way}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
    );
}

fn text(out: &mut String, x: usize, y: usize, anchor: &str, size: usize, words: &str) {
    let words = words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    put!(
        out,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{words}</text>"
    );
}
