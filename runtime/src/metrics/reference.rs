//! What is declared, as the table of `docs/reference/metrics.md`; and what an exposition holds beyond it.

use std::fmt::Write as _;

use super::{Kind, Label, Metric};

/// The table of a binary's metrics.
#[must_use]
pub fn section(all: &[&Metric]) -> String {
    let mut text = "| metric | type | unit | labels | what it tells |\n|---|---|---|---|---|\n".to_owned();
    for metric in all {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{}`: {}", label.name, words(label))).collect();
        let (name, kind, unit, help) = (metric.name, metric.kind.word(), metric.unit(), metric.help.trim());
        let _ = writeln!(text, "| `{name}` | {kind} | {unit} | {} | {help} |", labels.join("; "));
    }
    text
}

fn words(label: &Label) -> String {
    label.words.iter().map(|word| word.replace('|', "\\|")).collect::<Vec<_>>().join(", ")
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Metric {
    fn unit(&self) -> &'static str {
        let base = self.name.strip_suffix("_total").unwrap_or(self.name);
        ["seconds", "bytes"].into_iter().find(|unit| base.ends_with(&format!("_{unit}"))).unwrap_or_default()
    }
}

/// What an exposition holds that was not declared: a name, a type, a missing help, a label or a word of one. Each is said
/// once, with its line.
#[must_use]
pub fn undeclared(all: &[&Metric], exposition: &str) -> Vec<String> {
    let mut complaints: Vec<String> = Vec::new();
    for line in exposition.lines().filter(|line| !line.is_empty()) {
        let complaint = match line.strip_prefix("# TYPE ") {
            Some(declared) => wrong_type(all, declared, exposition),
            None if line.starts_with('#') => None,
            None => wrong_sample(all, line),
        };
        complaints.extend(complaint.map(|complaint| format!("{complaint}: {line}")));
    }
    complaints
}

fn wrong_type(all: &[&Metric], declared: &str, exposition: &str) -> Option<&'static str> {
    let (name, kind) = declared.split_once(' ')?;
    let Some(metric) = all.iter().find(|metric| metric.name == name) else { return Some("unknown name") };
    if metric.kind.word() != kind {
        return Some("another type");
    }
    let help = format!("# HELP {name} {}", metric.help.trim());
    (!exposition.lines().any(|line| line == help)).then_some("no help")
}

fn wrong_sample(all: &[&Metric], line: &str) -> Option<&'static str> {
    let (name, rest) = line.split_at(line.find(['{', ' '])?);
    let of_histogram = |metric: &&&Metric| {
        let suffix = name.strip_prefix(metric.name);
        metric.kind == Kind::Histogram && matches!(suffix, Some("_bucket" | "_sum" | "_count"))
    };
    let metric = all.iter().find(|metric| metric.name == name).or_else(|| all.iter().find(of_histogram));
    let Some(metric) = metric else { return Some("unknown name") };
    let labels = rest.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')).map_or("", |(labels, _)| labels);
    // No declared word holds a comma or a quote.
    for pair in labels.split(',').filter(|pair| !pair.is_empty() && !pair.starts_with("le=")) {
        let (label, word) = pair.split_once('=')?;
        let Some(label) = metric.labels.iter().find(|declared| declared.name == label) else {
            return Some("unknown label");
        };
        if !label.words.contains(&word.trim_matches('"')) {
            return Some("unknown word");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::declare_metrics! {
        /// Things done.
        DONE: Counter = "test_done_total" ["how": &["well", "badly"]];
        /// What it took.
        TOOK: Histogram = "test_took_seconds";
        /// Whether it is ready.
        READY: Gauge = "test_ready";
    }

    const GOOD: &str = "# HELP test_done_total Things done.\n# TYPE test_done_total counter\n\
        test_done_total{how=\"well\"} 1\n\n# HELP test_took_seconds What it took.\n# TYPE test_took_seconds histogram\n\
        test_took_seconds_bucket{le=\"0.5\"} 1\ntest_took_seconds_sum 0.1\n";

    #[test]
    fn what_was_declared_is_no_complaint_and_everything_else_is() {
        assert_eq!(undeclared(ALL, GOOD), Vec::<String>::new());
        for (from, to, complaint) in [
            ("test_done_total{", "test_undone_total{", "unknown name"),
            ("how=", "connection=", "unknown label"),
            ("\"well\"", "\"other\"", "unknown word"),
            ("counter", "gauge", "another type"),
            ("# HELP test_took_seconds What it took.\n", "", "no help"),
        ] {
            let complaints = undeclared(ALL, &GOOD.replace(from, to));
            assert!(complaints.len() == 1 && complaints[0].starts_with(complaint), "{to:?}: {complaints:?}");
        }
    }

    #[test]
    fn the_table_says_all_of_a_metric() {
        let table = section(ALL);
        assert!(table.contains("| `test_done_total` | counter |  | `how`: well, badly | Things done. |"), "{table}");
        assert!(table.contains("| `test_took_seconds` | histogram | seconds |  | What it took. |"), "{table}");
    }

    /// The recorder is the process' own: one test does it all.
    #[test]
    fn a_process_that_just_began_shows_its_counters_at_zero_and_only_words_that_were_declared() {
        let exposition = super::super::install(ALL, &READY).expect("the only recorder");
        DONE.count(["5511999999999@c.us"]);
        DONE.count(["well"]);
        TOOK.observe(std::time::Duration::from_millis(7), []);
        let text = exposition.render(true);
        for line in ["test_done_total{how=\"badly\"} 0", "test_done_total{how=\"well\"} 1", "test_ready 1"] {
            assert!(text.lines().any(|shown| shown == line), "{line} is missing in\n{text}");
        }
        assert!(text.contains("test_took_seconds_bucket{le=\"0.01\"} 1"), "{text}");
        let complaints = undeclared(ALL, &text);
        assert!(complaints.len() == 1 && complaints[0].contains("how=\"other\""), "{complaints:?}");
    }
}
