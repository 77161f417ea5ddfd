//! The two watches that fill the index. Each has its own stream and its own backoff: one that cannot be opened must not
//! make the other deaf.

use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::pin;

use crds::{COMPANY_LABEL, WhatsAppConnection};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as open};
use kube::{Api, Resource, ResourceExt};
use runtime::health::{Gate, Health};
use runtime::shutdown::Shutdown;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::client::WATCH;
use super::{Change, Fleet, Index};
use crate::metrics;

/// Runs both watches until the process ends, and opens a gate of `health` for each once its list is whole.
pub fn follow(fleet: &Fleet, health: &Health, shutdown: &Shutdown) {
    let config = watcher::Config::default().timeout(WATCH);
    let namespaces = config.clone().labels(COMPANY_LABEL);
    let (client, index, stop) = (fleet.client.clone(), fleet.clone(), shutdown.token());
    let watch = Watch { name: "namespaces", gate: health.gate("namespaces"), fleet: index, take: Index::namespace };
    shutdown.spawn("watch of namespaces", watch.run(Api::<Namespace>::all(client.clone()), namespaces, stop));

    let (index, stop) = (fleet.clone(), shutdown.token());
    let watch = Watch { name: "connections", gate: health.gate("connections"), fleet: index, take: Index::resource };
    let connections = Api::<WhatsAppConnection>::all(client);
    shutdown.spawn("watch of connections", watch.run(connections, config, stop));
}

struct Watch<K> {
    name: &'static str,
    gate: Gate,
    fleet: Fleet,
    take: fn(&mut Index, Event<K>) -> Vec<Change>,
}

impl<K> Watch<K>
where
    K: Resource<DynamicType: Default> + DeserializeOwned + Clone + Debug + Send + 'static,
{
    async fn run(self, api: Api<K>, config: watcher::Config, stop: CancellationToken) -> Result<(), Infallible> {
        let name = self.name;
        let counted = open(api, config).inspect(move |event| {
            if let Err(error) = event {
                metrics::WATCH_ERRORS.count([name]);
                tracing::warn!(resource = name, %error, "watch failed");
            }
        });
        let mut events = pin!(counted.default_backoff().take_until(stop.cancelled_owned()));
        while let Some(event) = events.next().await {
            let Ok(event) = event else { continue };
            let whole = matches!(event, Event::InitDone);
            // Half of an object's size, and of no use to anybody here.
            let event = event.modify(|object| object.managed_fields_mut().clear());
            self.fleet.update(|index| (self.take)(index, event));
            if whole {
                self.gate.open();
            }
        }
        Ok(())
    }
}
