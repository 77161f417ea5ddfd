//! The watches and what they fill and tell. Each watch has a backoff of its own and its errors are counted and dropped
//! before anything is merged: with one shared backoff a single broken watch can keep all others from ever coming back.

mod cache;
mod cluster;
mod companies;
mod connections;
mod life;
mod stream;

pub use cache::Word;
pub use cluster::{Cluster, Company};
pub use life::{KINDS, Lives};
pub use stream::Bounds;

use crds::WhatsAppConnection;
use futures::Stream;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::store;
use kube::{Api, Client};
use relay::{CompanyId, ConnectionId};
use tokio::sync::mpsc;

use stream::Watches;

/// What the watches tell besides filling the caches. Bounded: a slow reader slows the watch, which then relists.
pub struct Told {
    /// A connection's object changed, or something of its own did.
    pub look_at: mpsc::Receiver<ObjectRef<WhatsAppConnection>>,
    /// A connection is gone.
    pub deleted: mpsc::Receiver<ConnectionId>,
    /// A namespace is, or became again, a company's home.
    pub homes: mpsc::Receiver<(String, CompanyId)>,
}

/// Asks for a look at each of these. Gives whether somebody still listens; nobody does during shutdown.
pub async fn tell_all(
    look_at: &mpsc::Sender<ObjectRef<WhatsAppConnection>>,
    all: impl IntoIterator<Item = ObjectRef<WhatsAppConnection>> + Send,
) -> bool {
    for reference in all.into_iter().collect::<Vec<_>>() {
        if look_at.send(reference).await.is_err() {
            return false;
        }
    }
    true
}

/// Notes that wait for their reader.
const QUEUE: usize = 4096;

/// The caches, and the two futures that fill them while somebody polls them.
pub struct Started<Connections, Companies> {
    /// What reconciles read.
    pub cluster: Cluster,
    /// Every connection that appeared or changed; the controller polls it.
    pub connections: Connections,
    /// Follows the companies' namespaces; the caller owns the task.
    pub companies: Companies,
    /// What else is told.
    pub told: Told,
    /// How long each watch has been silent.
    pub lives: Lives,
}

/// Sets caches and watches up. Nothing is asked of the API server before the two futures are polled.
pub fn start(
    client: &Client,
    bounds: Bounds,
) -> Started<
    impl Stream<Item = WhatsAppConnection> + Send + 'static + use<>,
    impl Future<Output = ()> + Send + 'static + use<>,
> {
    let (connections, connections_writer) = store();
    let (namespaces, namespaces_writer) = store();
    let cluster = Cluster::new(connections, namespaces);
    let (look_at, look_at_receiver) = mpsc::channel(QUEUE);
    let (deleted, deleted_receiver) = mpsc::channel(QUEUE);
    let (homes, homes_receiver) = mpsc::channel(QUEUE);
    let lives = Lives::default();
    let watches = Watches { client: client.clone(), lives: lives.clone(), bounds };
    let events = watches.keep(Api::all, life::CONNECTION, None, connections_writer);
    let connections = connections::follow(events, cluster.references.clone(), deleted);
    let companies = companies::follow(watches, cluster.clone(), namespaces_writer, look_at, homes);
    let told = Told { look_at: look_at_receiver, deleted: deleted_receiver, homes: homes_receiver };
    Started { cluster, connections, companies, told, lives }
}
