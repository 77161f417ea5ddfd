//! The API: serves connections, chats and messages of WhatsApp over REST and Socket.IO.

use std::process::ExitCode;

use api::settings::{Arguments, Task};
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().task() {
        Task::Serve(settings) => match settings.for_serving() {
            Ok(settings) => api::serve::run(settings).await,
            Err(complaints) => complaints.report(),
        },
        Task::Migrate(settings) => match settings.for_migrating() {
            Ok(settings) => api::serve::run_migrations(settings).await,
            Err(complaints) => complaints.report(),
        },
    }
}
