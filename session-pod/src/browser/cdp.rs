//! The connection to a browser that we started. Every call has a deadline of ours: several of chromiumoxide's can wait
//! for ever, and so can a browser.

use std::time::Duration;

use chromiumoxide::browser::Browser;
use chromiumoxide::cdp::browser_protocol::system_info::GetProcessInfoParams;
use chromiumoxide::cdp::browser_protocol::target::EventTargetCrashed;
use chromiumoxide::error::CdpError;
use chromiumoxide::handler::{Handler, HandlerConfig};
use chromiumoxide::listeners::EventStream;
use futures::StreamExt;
use rustix::process::Pid;
use tokio::task::JoinHandle;

use super::page::Page;

/// Longest wait for what the browser does at once: attach, reload, set, ask.
pub(super) const CALL: Duration = Duration::from_secs(10);

/// Longest wait for what the browser's own process answers from memory, however busy its page is.
const ALIVE: Duration = Duration::from_secs(5);

/// The library's own deadline; ours are shorter, except that it must not end a slow evaluation before us.
const LIBRARY: Duration = Duration::from_mins(3);

/// Why a call did not work.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer in time.
    #[error("{0}: no answer in time")]
    Timeout(&'static str),
    /// The browser or the library refused, or the browser is gone. Never holds a value of the page.
    #[error("{0}: {1}")]
    Failed(&'static str, String),
    /// The script threw. What it threw may hold content and is not kept.
    #[error("{0}: the script threw")]
    Threw(&'static str),
}

/// The call's outcome within the deadline.
pub(super) async fn within<T>(
    name: &'static str,
    deadline: Duration,
    call: impl Future<Output = Result<T, CdpError>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(deadline, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(CdpError::Timeout)) | Err(_) => Err(CallError::Timeout(name)),
        Ok(Err(CdpError::JavascriptException(_))) => Err(CallError::Threw(name)),
        Ok(Err(error)) => Err(CallError::Failed(name, kind(&error))),
    }
}

/// The kind of an error, and its text only where the browser itself made it: other texts may quote what was sent.
fn kind(error: &CdpError) -> String {
    match error {
        CdpError::Chrome(error) => format!("browser error {}: {}", error.code, error.message),
        CdpError::Ws(_) => "connection lost".to_owned(),
        CdpError::ChannelSendError(_) | CdpError::NoResponse => "browser gone".to_owned(),
        CdpError::NotFound => "not found".to_owned(),
        _ => "protocol error".to_owned(),
    }
}

/// A connected browser.
pub struct Cdp {
    browser: Browser,
    handler: JoinHandle<()>,
}

impl Cdp {
    /// Connects to `DevTools` at this address.
    pub async fn connect(address: &str) -> Result<Self, CallError> {
        let config = HandlerConfig {
            ignore_https_errors: false,
            ignore_invalid_messages: true,
            viewport: None,
            request_timeout: LIBRARY,
            ..HandlerConfig::default()
        };
        let connect = Browser::connect_with_config(address, config);
        let (browser, handler) = within("connect", CALL, connect).await?;
        // Before anything else: without somebody who drives the handler every call waits for ever.
        Ok(Self { browser, handler: tokio::spawn(drive(handler)) })
    }

    /// Ends when the connection to the browser has ended, for whatever reason.
    pub async fn ended(&mut self) {
        let _ = (&mut self.handler).await;
    }

    /// Product and version, such as `Chrome/156.0.8078.79`.
    pub async fn version(&self) -> Result<String, CallError> {
        Ok(within("version", CALL, self.browser.version()).await?.product)
    }

    /// Tells of crashed renderers. The browser hears of them; the page itself never does.
    pub async fn crashes(&self) -> Result<EventStream<EventTargetCrashed>, CallError> {
        within("listen", CALL, self.browser.event_listener()).await
    }

    /// The processes that render its pages. An answer proves that the browser itself does not hang.
    pub async fn renderers(&self) -> Result<Vec<Pid>, CallError> {
        let answer = within("processes", ALIVE, self.browser.execute(GetProcessInfoParams::default())).await?;
        let renderers = answer.result.process_info.into_iter().filter(|process| process.r#type == "renderer");
        Ok(renderers.filter_map(|process| i32::try_from(process.id).ok().and_then(Pid::from_raw)).collect())
    }

    /// Opens the one page and closes the tab that the browser opened by itself, on which a navigation hangs.
    pub async fn open(&self) -> Result<Page, CallError> {
        let page = within("new page", CALL, self.browser.new_page("about:blank")).await?;
        for other in within("pages", CALL, self.browser.pages()).await? {
            if other.target_id() != page.target_id() {
                // A second tab costs memory and nothing else.
                let _ = within("close tab", CALL, other.close()).await;
            }
        }
        Page::set_up(page).await
    }

    /// Asks the browser to close, which writes its profile. It may be gone before it answers.
    pub async fn close(&mut self, deadline: Duration) {
        let _ = within("close", deadline, self.browser.close()).await;
    }
}

impl Drop for Cdp {
    fn drop(&mut self) {
        // Ends all calls that still wait.
        self.handler.abort();
    }
}

/// A connection that failed may stay pending for ever afterwards: the first error is its end.
async fn drive(mut handler: Handler) {
    while let Some(result) = handler.next().await {
        match result {
            Ok(()) | Err(CdpError::InvalidMessage(..)) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    /// A call of the library without `within` can wait for ever, and with it whoever made it. What may wait for ever is
    /// named: streams of events, and the end of the connection.
    #[test]
    fn every_call_has_a_deadline_of_ours() {
        let others = ["timeout(deadline, call)", "self.handler).await", "handler.next().await", "Page::set_up(page)"];
        for source in [include_str!("cdp.rs"), include_str!("page.rs")] {
            let code = source.split("#[cfg(test)]").next().expect("code");
            for line in code.lines().filter(|line| line.contains(".await")) {
                assert!(line.contains("within(") || others.iter().any(|other| line.contains(other)), "{line}");
            }
        }
    }
}
