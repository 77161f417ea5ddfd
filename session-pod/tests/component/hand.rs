//! A test's own hand in the pod's browser, beside the pod: what goes wrong in the page is done by this.

use chromiumoxide::Page;
use chromiumoxide::browser::Browser;
use futures::StreamExt as _;
use harness::eventually;

use super::world::{SHORT, World};

/// A second connection to the pod's browser, with which a test does to the page what nobody should.
pub struct Hand {
    pub page: Page,
    _browser: Browser,
    _handler: tokio::task::JoinHandle<()>,
}

impl Hand {
    pub async fn on(world: &World) -> Self {
        let file = world.volume().join("profile/DevToolsActivePort");
        let file = std::fs::read_to_string(file).expect("the browser says where it listens");
        let (port, path) = file.split_once('\n').expect("two lines");
        let (browser, mut handler) =
            Browser::connect(format!("ws://127.0.0.1:{port}{}", path.trim())).await.expect("connects");
        let handler = tokio::spawn(async move { while handler.next().await.is_some() {} });
        // The browser tells its targets by itself. To ask as well would attach to each a second time, and the session that
        // a page was given first would be another's.
        let page = eventually(SHORT, "WhatsApp's page", async || {
            for page in browser.pages().await.map_err(|error| error.to_string())? {
                if page.url().await.ok().flatten().is_some_and(|url| url.starts_with("https://web.whatsapp.com")) {
                    return Ok(page);
                }
            }
            Err("no such page".to_owned())
        })
        .await;
        Self { page, _browser: browser, _handler: handler }
    }

    /// Runs a script that does not come back.
    pub fn run(self, script: &'static str) {
        // The whole hand, or its connection would end before the script begins.
        let hand = self;
        tokio::spawn(async move {
            let hand = hand;
            hand.page.evaluate(script).await.map(drop)
        });
    }
}

impl World {
    /// Runs a script in the page, to its end.
    pub async fn in_page(&self, script: &str) {
        let hand = Hand::on(self).await;
        let done = tokio::time::timeout(SHORT, hand.page.evaluate(script)).await.expect("an answer");
        done.expect("the script runs");
    }

    /// As WhatsApp's page does by itself for an update, linked or not.
    pub async fn reload_page(&self) {
        self.in_page("setTimeout(() => location.reload(), 50)").await;
    }
}
