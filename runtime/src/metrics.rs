//! Metrics, each declared once: name, kind, help, and its labels with every word they may hold. What is recorded under
//! another word counts as `other`, so that no input of anybody can make a series of its own.

mod exposition;
mod reference;

pub use exposition::{Exposition, install};
pub use reference::{section, undeclared};

use metrics::Label as Pair;

/// What stands in for a word that was not declared.
pub const OTHER: &str = "other";

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, and begins at zero with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size; its name ends in `_seconds`.
    Histogram,
}

/// A label and the words that it may hold.
#[derive(Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Every value there is.
    pub words: &'static [&'static str],
}

/// The declaration of a metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name, with its unit at the end.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it tells, in a sentence.
    pub help: &'static str,
    /// What it is split by.
    pub labels: &'static [Label],
}

/// A counter. Made by [`declare_metrics!`](crate::declare_metrics).
#[derive(Debug)]
pub struct Counter(pub Metric);

/// A gauge. Made by [`declare_metrics!`](crate::declare_metrics).
#[derive(Debug)]
pub struct Gauge(pub Metric);

/// A histogram of seconds. Made by [`declare_metrics!`](crate::declare_metrics).
#[derive(Debug)]
pub struct Histogram(pub Metric);

/// Declares all metrics of a binary, as statics and as the list `ALL`. The comment of each is its help text.
#[macro_export]
macro_rules! declare_metrics {
    ($($(#[doc = $help:literal])+ $id:ident: $kind:ident = $name:literal $([$($label:literal: $words:expr),+ $(,)?])?;)+) => {
        $(
            $(#[doc = $help])+
            pub static $id: $crate::metrics::$kind = $crate::metrics::$kind($crate::metrics::Metric {
                name: $name,
                kind: $crate::metrics::Kind::$kind,
                help: concat!($($help),+),
                labels: &[$($($crate::metrics::Label { name: $label, words: $words }),+)?],
            });
        )+

        /// Every metric of this binary.
        pub static ALL: &[&$crate::metrics::Metric] = &[$(&$id.0),+];
    };
}

impl Counter {
    /// Counts one, under a word for each label in the order of their declaration.
    pub fn count<const N: usize>(&self, words: [&'static str; N]) {
        self.add(1, words);
    }

    /// Counts several.
    pub fn add<const N: usize>(&self, number: usize, words: [&'static str; N]) {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        metrics::counter!(self.0.name, self.0.pairs(words)).increment(number);
    }
}

impl Gauge {
    /// Sets it, under a word for each label in the order of their declaration.
    pub fn set<const N: usize>(&self, value: f64, words: [&'static str; N]) {
        metrics::gauge!(self.0.name, self.0.pairs(words)).set(value);
    }

    /// Sets it to a number of things.
    pub fn set_count<const N: usize>(&self, number: usize, words: [&'static str; N]) {
        self.set(f64::from(u32::try_from(number).unwrap_or(u32::MAX)), words);
    }
}

impl Histogram {
    /// Adds an observation, under a word for each label in the order of their declaration.
    pub fn observe<const N: usize>(&self, took: std::time::Duration, words: [&'static str; N]) {
        metrics::histogram!(self.0.name, self.0.pairs(words)).record(took);
    }
}

impl Metric {
    fn pairs<const N: usize>(&self, words: [&'static str; N]) -> Vec<Pair> {
        let pair = |(label, word): (&Label, &'static str)| {
            let word = if label.words.contains(&word) { word } else { OTHER };
            Pair::from_static_parts(label.name, word)
        };
        self.labels.iter().zip(words).map(pair).collect()
    }

    /// Every combination of words; none when there are more than `most`.
    fn combinations(&self, most: usize) -> Vec<Vec<Pair>> {
        if self.labels.iter().map(|label| label.words.len()).product::<usize>() > most {
            return Vec::new();
        }
        self.labels.iter().fold(vec![Vec::new()], |so_far, label| {
            let with = |word: &&'static str| {
                let pair = Pair::from_static_parts(label.name, word);
                so_far.iter().map(|row| [row.as_slice(), std::slice::from_ref(&pair)].concat()).collect::<Vec<_>>()
            };
            label.words.iter().flat_map(with).collect()
        })
    }
}
