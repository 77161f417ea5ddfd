//! The one page of the browser: set up so that nothing of its traffic reaches this process, and steered by evaluating.

use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::emulation::SetUserAgentOverrideParams;
use chromiumoxide::cdp::browser_protocol::network;
use chromiumoxide::cdp::browser_protocol::page::{EventFrameNavigated, NavigateParams, ReloadParams};
use chromiumoxide::cdp::browser_protocol::target::TargetId;
use chromiumoxide::cdp::js_protocol::runtime::{AddBindingParams, EvaluateParams, EventBindingCalled};
use chromiumoxide::listeners::EventStream;
use serde_json::Value;

use super::cdp::{CALL, CallError, within};

/// The function in the page that carries its events to us.
const BINDING: &str = "sessionPodEmit";

/// A page that has not loaded after this long may still load: whoever navigates looks again.
const NAVIGATION: Duration = Duration::from_secs(30);

/// A set-up page. Clones are the same page.
#[derive(Clone)]
pub struct Page(chromiumoxide::Page);

impl Page {
    pub(super) async fn set_up(page: chromiumoxide::Page) -> Result<Self, CallError> {
        // Otherwise every frame of every WebSocket of the page is mirrored to us.
        within("network off", CALL, page.execute(network::DisableParams::default())).await?;
        let agent: String = within("user agent", CALL, page.user_agent()).await?;
        if agent.contains("Headless") {
            let plain = SetUserAgentOverrideParams::new(agent.replace("HeadlessChrome", "Chrome"));
            within("set user agent", CALL, page.execute(plain)).await?;
        }
        within("add binding", CALL, page.execute(AddBindingParams::new(BINDING))).await?;
        Ok(Self(page))
    }

    /// What the page emits, in order. Must be read for ever: the library keeps what is not.
    pub async fn emitted(&self) -> Result<EventStream<EventBindingCalled>, CallError> {
        within("listen", CALL, self.0.event_listener()).await
    }

    /// Tells of every frame that begins a document.
    pub async fn navigations(&self) -> Result<EventStream<EventFrameNavigated>, CallError> {
        within("listen", CALL, self.0.event_listener()).await
    }

    /// Whether an event about a target is about this page.
    #[must_use]
    pub fn is(&self, target: &TargetId) -> bool {
        self.0.target_id() == target
    }

    /// Goes there. An error names the browser's own word, such as `net::ERR_NAME_NOT_RESOLVED`.
    pub async fn navigate(&self, url: &str) -> Result<(), CallError> {
        let answer = within("navigate", NAVIGATION, self.0.execute(NavigateParams::new(url))).await?;
        match answer.result.error_text {
            Some(error) => Err(CallError::Failed("navigate", error)),
            None => Ok(()),
        }
    }

    /// Loads the page anew.
    pub async fn reload(&self) -> Result<(), CallError> {
        within("reload", CALL, self.0.execute(ReloadParams::default())).await.map(drop)
    }

    /// The value of an expression, awaited if it is a promise.
    pub async fn evaluate(&self, name: &'static str, expression: &str, deadline: Duration) -> Result<Value, CallError> {
        let parameters = EvaluateParams {
            await_promise: Some(true),
            return_by_value: Some(true),
            ..EvaluateParams::new(expression)
        };
        let answer = within(name, deadline, self.0.execute(parameters)).await?.result;
        match answer.exception_details {
            Some(_) => Err(CallError::Threw(name)),
            None => Ok(answer.result.value.unwrap_or_default()),
        }
    }
}
