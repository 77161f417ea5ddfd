//! The recorder of the process and the text that Prometheus reads.

use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::{Gauge, Kind, Metric};

/// Seconds, from what a page call takes to what a start-up takes.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// Counters with at most so many series begin with all of them at zero.
const SERIES: usize = 128;

/// What renders the metrics of the process. Clones share them.
#[derive(Clone)]
pub struct Exposition {
    handle: PrometheusHandle,
    ready: &'static Gauge,
}

/// Installs the process' recorder, and describes to it what was declared. `ready` is set to whether the process is ready
/// each time somebody looks.
pub fn install(all: &[&Metric], ready: &'static Gauge) -> Result<Exposition, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .install_recorder()?;
    for metric in all {
        metric.describe();
    }
    Ok(Exposition { handle, ready })
}

impl Exposition {
    /// The text, version 0.0.4.
    #[must_use]
    pub fn render(&self, ready: bool) -> String {
        self.ready.set(f64::from(u8::from(ready)), []);
        self.handle.render()
    }

    /// Sorts what was observed into its buckets. Until then every observation is kept as it is, so whoever is not looked
    /// at by any Prometheus must call this from time to time, or it grows for ever.
    pub fn tidy(&self) {
        self.handle.run_upkeep();
    }
}

impl Metric {
    fn describe(&self) {
        let (name, help) = (self.name, self.help.trim());
        match self.kind {
            Kind::Counter => {
                metrics::describe_counter!(name, help);
                // What begins at one has never increased, and no alert hears of the first.
                for labels in self.combinations(SERIES) {
                    metrics::counter!(name, labels).increment(0);
                }
            }
            Kind::Gauge => metrics::describe_gauge!(name, help),
            Kind::Histogram => metrics::describe_histogram!(name, Unit::Seconds, help),
        }
    }
}
