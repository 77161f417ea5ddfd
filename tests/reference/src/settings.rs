//! The settings of a program, from its command line's own description.

use std::fmt::Write as _;

use clap::{Arg, Command};

use crate::cell;

/// A page of all settings of a program. `command` must be the one that it parses its arguments with.
#[must_use]
pub fn settings(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = format!(
        "# Settings of `{}`\n\n{about}.\n\nGenerated from the program's own description (`--help`); `make generate` writes it anew. Each is an environment\n\
         variable or a flag. What is wrong with them is told at start-up, all at once.\n\n\
         | variable | flag | default | meaning |\n|---|---|---|---|\n",
        command.get_name(),
        about = about.trim_end_matches('.'),
    );
    for argument in command.get_arguments().filter(|argument| argument.get_env().is_some()) {
        let _ = writeln!(text, "{}", row(argument));
    }
    let tasks: Vec<_> = command.get_subcommands().filter(|task| task.get_name() != "help").collect();
    if !tasks.is_empty() {
        text.push_str("\n| subcommand | does |\n|---|---|\n");
    }
    for task in tasks {
        let about = task.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "| `{}` | {} |", task.get_name(), cell(&about));
    }
    text
}

fn row(argument: &Arg) -> String {
    let name = argument.get_env().unwrap_or_default().to_string_lossy().into_owned();
    let flag = argument.get_long().map(|long| format!("`--{long}`")).unwrap_or_default();
    let default: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = match default.join(" ") {
        none if none.is_empty() => String::new(),
        value => format!("`{}`", cell(&value)),
    };
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let values: Vec<_> = argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    let allowed = if values.is_empty() { String::new() } else { format!(" One of {}.", values.join(", ")) };
    format!("| `{name}` | {flag} | {default} | {}{allowed} |", cell(&help))
}
