//! What the library counts, as metrics. It is read when it is asked for, so that nothing is
//! counted twice.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use retold::{Distribution, Retold};

/// Microseconds in a second, which is what Prometheus counts in.
const MICROS: f64 = 1e6;

/// A handle whose statistics are collected.
#[derive(Debug)]
pub(super) struct Collected(pub(super) Retold);

impl Collector for Collected {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let statistics = self.0.statistics();
        let mut writing = Writing(encoder);
        writing.count(
            "hot_state_hits",
            "Transitions and commands that found their state in memory",
            statistics.hot_state_hits,
        )?;
        writing.count(
            "hot_state_misses",
            "Transitions and commands that had to derive their state",
            statistics.hot_state_misses,
        )?;
        writing.count(
            "snapshots_made",
            "Snapshots that were kept",
            statistics.snapshots_made,
        )?;
        writing.gauge(
            "snapshots_in_progress",
            "Snapshots that are being made or wait for their turn",
            statistics.snapshots_in_progress,
        )?;
        writing.count(
            "bus_delivered",
            "Events that a handler of the bus answered well",
            statistics.bus.delivered,
        )?;
        writing.count(
            "bus_failed",
            "Events that a handler of the bus failed on",
            statistics.bus.failed,
        )?;
        let store = &statistics.store;
        writing.count(
            "appended_events",
            "Events that were written",
            store.group_events.sum,
        )?;
        writing.distribution(
            "group_events",
            "Events that were written and synced together",
            &store.group_events,
            1.0,
        )?;
        writing.distribution(
            "group_write_seconds",
            "Time to write and sync a group of events",
            &store.write_micros,
            MICROS,
        )
    }
}

struct Writing<'a>(DescriptorEncoder<'a>);

impl Writing<'_> {
    fn count(&mut self, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
        let metric = ConstCounter::new(value);
        let encoder = self
            .0
            .encode_descriptor(name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
        let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        let encoder = self
            .0
            .encode_descriptor(name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }

    fn distribution(
        &mut self,
        name: &str,
        help: &str,
        values: &Distribution,
        unit: f64,
    ) -> Result<(), fmt::Error> {
        let within: u64 = values.buckets.iter().map(|(_, count)| count).sum();
        let mut buckets: Vec<(f64, u64)> = values
            .buckets
            .iter()
            .map(|(bound, count)| (*bound as f64 / unit, *count))
            .collect();
        // The encoder writes this bound as +Inf.
        buckets.push((f64::INFINITY, values.count - within));
        let kind = MetricType::Histogram;
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        encoder.encode_histogram::<NoLabelSet>(
            values.sum as f64 / unit,
            values.count,
            &buckets,
            None,
        )
    }
}
