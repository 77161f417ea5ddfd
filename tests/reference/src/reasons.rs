//! Every reason that a condition can have.

use std::fmt::Write as _;

use crate::cell;

/// A page of reasons with their meanings, in the order given.
#[must_use]
pub fn reasons<'a>(reasons: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = "# Reasons\n\nWhat the conditions of a `WhatsAppConnection` give as `reason`, and `kubectl get wac` shows. Stable words: alerts and \
                    runbooks name them.\n\nGenerated from the types in `crds/`; `make generate` writes it anew. What to do: [operations](../operations.md).\n\n\
                    | reason | meaning |\n|---|---|\n"
        .to_owned();
    for (reason, meaning) in reasons {
        let _ = writeln!(text, "| `{reason}` | {} |", cell(meaning));
    }
    text
}
