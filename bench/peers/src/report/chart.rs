//! A bar chart as SVG: a block of bars for each point, each block to a scale of its own.

use std::fmt;

use session::Point;

use super::Report;
use super::markdown::{Group, rates};
use super::table::{count, duration};
use crate::contestant::{Contestant, Place};

/// Lengths in pixels.
const WIDTH: f64 = 720.0;
const LABEL_WIDTH: f64 = 170.0;
const VALUE_WIDTH: f64 = 90.0;
const BAR_HEIGHT: f64 = 18.0;
const ROW_HEIGHT: f64 = 24.0;
const HEADING_HEIGHT: f64 = 30.0;
const MARGIN: f64 = 12.0;

pub(super) struct Chart {
    /// The file's name.
    pub(super) file: String,
    pub(super) title: String,
    blocks: Vec<Block>,
}

struct Block {
    heading: String,
    bars: Vec<Bar>,
}

struct Bar {
    contestant: Contestant,
    value: f64,
    shown: String,
}

impl Chart {
    /// All pictures of a report.
    pub(super) fn of(report: &Report) -> Vec<Chart> {
        let rates = rates();
        let rates = rates
            .iter()
            .flat_map(|group| Chart::of_group(report, group));
        rates.chain(Chart::of_live(report)).collect()
    }

    /// A kind of measurement: one picture for each place.
    pub(super) fn of_group(report: &Report, group: &Group) -> Vec<Chart> {
        let chart = |place: Place| {
            let blocks = group.points.iter().map(|(name, point)| Block {
                heading: format!("{name}, {}", group.unit),
                bars: bars(report, *point, place, |it| {
                    Some((it.value, count(it.value)))
                }),
            });
            Chart {
                file: format!("{}-{}.svg", group.file, place.file()),
                title: format!("{}, {}", group.title, place.words()),
                blocks: blocks.filter(|block| !block.bars.is_empty()).collect(),
            }
        };
        let charts = [Place::InProcess, Place::Network].map(chart).into_iter();
        charts.filter(|chart| !chart.blocks.is_empty()).collect()
    }

    /// From publishing to receiving, over the network.
    pub(super) fn of_live(report: &Report) -> Option<Chart> {
        let shown = |it: super::Medians| it.p50_ns.map(|p50| (p50, duration(p50)));
        let bars = bars(report, Point::Live, Place::Network, shown);
        let chart = Chart {
            file: "live-network.svg".to_owned(),
            title: "From publishing to receiving, over the network".to_owned(),
            blocks: vec![Block {
                heading: "p50, shorter is better".to_owned(),
                bars,
            }],
        };
        (!chart.blocks[0].bars.is_empty()).then_some(chart)
    }
}

fn bars(
    report: &Report,
    point: Point,
    place: Place,
    shown: impl Fn(super::Medians) -> Option<(f64, String)>,
) -> Vec<Bar> {
    let bars = report.participants(place).filter_map(|contestant| {
        let (value, shown) = shown(report.medians(point, contestant)?)?;
        Some(Bar {
            contestant,
            value,
            shown,
        })
    });
    bars.collect()
}

impl fmt::Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: usize = self.blocks.iter().map(|block| block.bars.len()).sum();
        let blocks = self.blocks.len() as f64;
        let height = 2.0 * MARGIN + HEADING_HEIGHT * (blocks + 1.0) + ROW_HEIGHT * rows as f64;
        writeln!(
            f,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13">"#
        )?;
        writeln!(
            f,
            r##"<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>"##
        )?;
        let mut y = MARGIN + 16.0;
        writeln!(
            f,
            r##"<text x="{MARGIN}" y="{y}" font-size="16" font-weight="bold" fill="#1a1a1a">{}</text>"##,
            self.title
        )?;
        for block in &self.blocks {
            y += HEADING_HEIGHT;
            let heading = &block.heading;
            writeln!(
                f,
                r##"<text x="{MARGIN}" y="{y}" fill="#555555">{heading}</text>"##
            )?;
            y += ROW_HEIGHT - BAR_HEIGHT;
            let largest = block.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
            for bar in &block.bars {
                bar.draw(f, y, largest)?;
                y += ROW_HEIGHT;
            }
            y -= ROW_HEIGHT - BAR_HEIGHT;
        }
        writeln!(f, "</svg>")
    }
}

impl Bar {
    fn draw(&self, f: &mut fmt::Formatter<'_>, y: f64, largest: f64) -> fmt::Result {
        let width = (WIDTH - LABEL_WIDTH - VALUE_WIDTH - 2.0 * MARGIN) * self.value / largest;
        let color = match self.contestant {
            ours if ours.is_ours() => "#c2410c",
            Contestant::Null => "#cbd5e1",
            _ => "#64748b",
        };
        let (label, shown) = (self.contestant.label(), &self.shown);
        let (left, middle) = (MARGIN + LABEL_WIDTH, y + 14.0);
        let (label_end, value_start) = (left - 8.0, left + width + 6.0);
        writeln!(
            f,
            r##"<text x="{label_end}" y="{middle}" text-anchor="end" fill="#1a1a1a">{label}</text><rect x="{left}" y="{y}" width="{width:.1}" height="{BAR_HEIGHT}" fill="{color}"/><text x="{value_start:.1}" y="{middle}" fill="#1a1a1a">{shown}</text>"##
        )
    }
}
