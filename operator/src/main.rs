//! The operator: turns `WhatsAppConnection` resources into session pods and tells how they are.

use std::process::ExitCode;

use clap::Parser;
use operator::settings::{Arguments, Task};

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().task() {
        Task::PrintDefinitions => operator::print_definitions(),
        Task::Run(settings) => match settings.validate() {
            Ok(settings) => operator::run(settings).await,
            Err(complaints) => complaints.report(),
        },
    }
}
