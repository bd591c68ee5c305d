//! The report as text: one table for each kind of measurement, in process and over the network.

use std::fmt::Write;

use session::{BATCH, Point};

use super::chart::Chart;
use super::table::{Table, count, duration, ratio};
use super::{Medians, Report};
use crate::contestant::{Contestant, Place};

/// What is done with each event, in the words of the report.
const WORKLOAD: &str = "Each event has a JSON payload of about 200 bytes, a UUIDv4 as its event \
    id and a correlation id. Events belong to 100,000 aggregates; every append expects the \
    sequence of its stream, and is on stable storage (fsync) before it is acknowledged. All \
    stores are measured in turn at each point of each round, on the same machine and disk, and \
    left alone for three seconds between writing and reading: what counts is the ratios, not the figures of one machine.";

/// A kind of measurement: how it is headed, and its points.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) file: &'static str,
    pub(super) unit: &'static str,
    /// Each with its name.
    pub(super) points: Vec<(String, Point)>,
}

/// The kinds in which events in a second are measured.
pub(super) fn rates() -> Vec<Group> {
    let appenders = |number: usize| match number {
        1 => "1 appender".to_owned(),
        number => format!("{} appenders", count(number as f64)),
    };
    let append = |number, events| {
        let point = Point::Append {
            appenders: number,
            events,
        };
        (appenders(number), point)
    };
    let bulk = |number| (appenders(number), Point::Bulk { appenders: number });
    let read = |name: &str, point| (name.to_owned(), point);
    vec![
        Group {
            title: "Durable appends of one event",
            file: "appends",
            unit: "events/s",
            points: [1, 16, 256].map(|appenders| append(appenders, 1)).into(),
        },
        Group {
            title: "Durable appends of 1,000 events",
            file: "batches",
            unit: "events/s",
            points: [1, 4].map(|appenders| append(appenders, BATCH)).into(),
        },
        Group {
            title: "Many batches of 1,000 events without a pause",
            file: "bulk",
            unit: "events/s",
            points: [1, 4].map(bulk).into(),
        },
        Group {
            title: "Reading",
            file: "reads",
            unit: "events/s",
            points: vec![
                read("stream, side by side", Point::Contiguous { cold: false }),
                read(
                    "stream, every 100th event",
                    Point::Scattered { cold: false },
                ),
                read(
                    "stream, side by side, cold",
                    Point::Contiguous { cold: true },
                ),
                read("stream, every 100th, cold", Point::Scattered { cold: true }),
                read("the whole log", Point::Log),
            ],
        },
    ]
}

/// The report.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::from("# Retold and its peers, measured\n\n");
    let _ = writeln!(
        text,
        "Written by `{}` at commit `{}`. {WORKLOAD}\n\nEach store was filled with {} events \
         first; a point lasts {} s; of {} rounds the medians are shown.\n",
        report.command,
        report.revision,
        count(report.events as f64),
        report.seconds,
        report.rounds
    );
    machine(&mut text, report);
    stores(&mut text, report);
    for group in rates() {
        let _ = writeln!(text, "## {}\n", group.title);
        for chart in Chart::of_group(report, &group) {
            let _ = writeln!(text, "![{}]({})\n", chart.title, chart.file);
        }
        for place in [Place::InProcess, Place::Network] {
            let table = rate_table(report, &group, place);
            if !table.is_empty() {
                let _ = writeln!(text, "{}:\n\n{table}", place.title());
            }
        }
    }
    live(&mut text, report);
    size(&mut text, report);
    text
}

fn machine(text: &mut String, report: &Report) {
    let (machine, disk) = (&report.machine, &report.disk);
    let mut table = Table::new(&["what", "measured"]);
    let mut row = |what: &str, value: String| table.row(vec![what.to_owned(), value]);
    row(
        "cores",
        format!("{} ({})", machine.cores, machine.processor),
    );
    row(
        "memory",
        format!(
            "{:.1} GiB",
            machine.memory_bytes as f64 / f64::from(1 << 30)
        ),
    );
    row("kernel", format!("Linux {}", machine.kernel));
    row(
        "overwrite 4 KiB and fdatasync, median over the run",
        duration(report.overwrite_ns()),
    );
    row(
        "write 4 GiB and fdatasync",
        format!("{:.0} MB/s", disk.sequential_bytes_per_second / 1e6),
    );
    row(
        "read 400 random bytes from the page cache",
        duration(disk.warm_read_ns),
    );
    row(
        "read 4 KiB at random from the disk, median",
        duration(disk.cold_read_ns),
    );
    let _ = writeln!(text, "## The machine and the limits of its disk\n\n{table}");
}

fn stores(text: &mut String, report: &Report) {
    let mut table = Table::new(&["store", "version", "how"]);
    for participant in &report.participants {
        let contestant = participant.contestant;
        table.row(vec![
            contestant.label().to_owned(),
            participant.version.clone(),
            contestant.notes().to_owned(),
        ]);
    }
    let _ = writeln!(text, "## The stores\n\n{table}");
    for failure in &report.failures {
        let _ = writeln!(
            text,
            "{} took no further part: failed to {}.\n",
            failure.contestant.label(),
            failure.error
        );
    }
}

/// Ours beside each peer of the same place.
fn rate_table(report: &Report, group: &Group, place: Place) -> Table {
    let has_latency = matches!(group.file, "appends" | "batches");
    let mut head = vec!["", "store", group.unit];
    if has_latency {
        head.extend(["p50", "p99", "events an overwrite"]);
    }
    head.push("Retold is so many times as fast");
    let mut table = Table::new(&head);
    for (name, point) in &group.points {
        let ours = ours(report, *point, place);
        let mut name = name.clone();
        for contestant in report.participants(place) {
            let Some(medians) = report.medians(*point, contestant) else {
                continue;
            };
            let mut cells = vec![
                std::mem::take(&mut name),
                contestant.label().to_owned(),
                count(medians.value),
            ];
            if has_latency {
                cells.push(medians.p50_ns.map_or_else(String::new, duration));
                cells.push(medians.p99_ns.map_or_else(String::new, duration));
                cells.push(ratio(medians.value * medians.overwrite_ns / 1e9));
            }
            cells.push(beside(contestant, ours, |ours| ours.value / medians.value));
            table.row(cells);
        }
    }
    table
}

fn live(text: &mut String, report: &Report) {
    let mut table = Table::new(&["", "store", "p50", "p99", "p50 is so many times ours"]);
    for place in [Place::InProcess, Place::Network] {
        let ours = ours(report, Point::Live, place).and_then(|ours| ours.p50_ns);
        let mut name = place.title().to_owned();
        for contestant in report.participants(place) {
            let medians = report.medians(Point::Live, contestant);
            let Some((p50, p99)) = medians.and_then(|it| it.p50_ns.zip(it.p99_ns)) else {
                continue;
            };
            let times = match ours {
                Some(ours) if !contestant.is_ours() => ratio(p50 / ours),
                _ => String::new(),
            };
            let store = contestant.label().to_owned();
            table.row(vec![
                std::mem::take(&mut name),
                store,
                duration(p50),
                duration(p99),
                times,
            ]);
        }
    }
    if !table.is_empty() {
        let _ = writeln!(
            text,
            "## From publishing to receiving\n\nOne event at a time, while a subscriber waits; \
             from before the append is sent until the event has come.\n"
        );
        if let Some(chart) = Chart::of_live(report) {
            let _ = writeln!(text, "![{}]({})\n", chart.title, chart.file);
        }
        let _ = writeln!(text, "{table}");
    }
}

fn size(text: &mut String, report: &Report) {
    let mut table = Table::new(&["store", "bytes an event on disk, closed", "resident memory"]);
    for place in [Place::InProcess, Place::Network] {
        for contestant in report.participants(place) {
            if matches!(contestant, Contestant::Null | Contestant::RetoldShared) {
                continue;
            }
            let Some(rest) = report.medians(Point::Rest, contestant) else {
                continue;
            };
            let memory = report.medians(Point::Memory, contestant);
            let mib = |memory: Medians| format!("{:.0} MiB", memory.value / f64::from(1 << 20));
            table.row(vec![
                contestant.label().to_owned(),
                count(rest.value),
                memory.map_or_else(String::new, mib),
            ]);
        }
    }
    if !table.is_empty() {
        let _ = write!(
            text,
            "## Disk and memory\n\nAfter {} events, with indexes and everything else that a \
             store keeps; the memory is that of the process that stores, opened again. In \
             process it holds what asks as well.\n\n{table}",
            count(report.events as f64)
        );
    }
}

/// What Retold gave in a place; the most, where it is measured in two ways.
fn ours(report: &Report, point: Point, place: Place) -> Option<Medians> {
    let ours = report.participants(place).filter(|it| it.is_ours());
    let medians = ours.filter_map(|ours| report.medians(point, ours));
    medians.max_by(|one, other| one.value.total_cmp(&other.value))
}

fn beside(contestant: Contestant, ours: Option<Medians>, of: impl Fn(Medians) -> f64) -> String {
    match ours {
        Some(ours) if !contestant.is_ours() => ratio(of(ours)),
        _ => String::new(),
    }
}
