//! Who has which connection. Pure: watch events in, changes out. A connection counts only when its namespace carries the
//! label of the company that the resource names: otherwise a tenant who may write resources could name another's.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crds::{COMPANY_LABEL, State, WhatsAppConnection};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::runtime::watcher::Event;
use relay::{CompanyId, ConnectionId};

/// A connection in its company's own namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its id.
    pub id: ConnectionId,
    /// The company that its namespace belongs to.
    pub company: CompanyId,
    /// The resource.
    pub resource: Arc<WhatsAppConnection>,
}

impl Known {
    /// The name that people gave it, or the resource's.
    #[must_use]
    pub fn display_name(&self) -> String {
        let given = &self.resource.spec.display_name;
        if given.is_empty() { self.resource.name_any() } else { given.clone() }
    }

    /// Whether it is to be online.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.resource.spec.state == State::Running
    }

    /// When it was created.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.resource.creation_timestamp().map(|time| time.0).unwrap_or_default()
    }
}

/// Something that people at a screen want to know, and no event of a session tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It was created, suspended or resumed.
    Wanted(Known),
    /// It is gone, with everything in it.
    Deleted(Known),
}

/// The connections and the companies' namespaces.
#[derive(Debug, Default)]
pub struct Index {
    namespaces: BTreeMap<String, CompanyId>,
    resources: HashMap<ConnectionId, Arc<WhatsAppConnection>>,
    listed_namespaces: Option<BTreeMap<String, CompanyId>>,
    listed_resources: Option<HashMap<ConnectionId, Arc<WhatsAppConnection>>>,
}

impl Index {
    /// The connection of that id.
    #[must_use]
    pub fn connection(&self, id: ConnectionId) -> Option<Known> {
        self.known(id, self.resources.get(&id)?)
    }

    /// A company's connections, the oldest first. Walks all: a thousand take microseconds.
    #[must_use]
    pub fn of_company(&self, company: &CompanyId) -> Vec<Known> {
        let of_it = |known: &Known| known.company == *company;
        let mut all: Vec<_> =
            self.resources.iter().filter_map(|(id, resource)| self.known(*id, resource)).filter(of_it).collect();
        all.sort_by_key(|known| (known.created_at(), known.id));
        all
    }

    /// Every connection that counts.
    #[must_use]
    pub fn all(&self) -> Vec<ConnectionId> {
        self.resources.iter().filter_map(|(id, resource)| self.known(*id, resource)).map(|known| known.id).collect()
    }

    /// Whether there is a resource of that id, counting or not.
    #[must_use]
    pub fn exists(&self, id: ConnectionId) -> bool {
        self.resources.contains_key(&id)
    }

    /// The namespace of a company; the first by name when several claim it.
    #[must_use]
    pub fn namespace_of(&self, company: &CompanyId) -> Option<String> {
        self.namespaces.iter().find(|(_, owner)| *owner == company).map(|(name, _)| name.clone())
    }

    fn known(&self, id: ConnectionId, resource: &Arc<WhatsAppConnection>) -> Option<Known> {
        let company = self.namespaces.get(&resource.namespace()?)?;
        (company.as_str() == resource.spec.company_id).then(|| Known {
            id,
            company: company.clone(),
            resource: Arc::clone(resource),
        })
    }

    /// Takes in what a watch of the labelled namespaces tells.
    pub fn namespace(&mut self, event: Event<Namespace>) -> Vec<Change> {
        match event {
            Event::Init => self.listed_namespaces = Some(BTreeMap::new()),
            Event::InitApply(namespace) => {
                if let (Some(listed), Some(company)) = (&mut self.listed_namespaces, company_of(&namespace)) {
                    listed.insert(namespace.name_any(), company);
                }
            }
            Event::InitDone => self.namespaces = self.listed_namespaces.take().unwrap_or_default(),
            Event::Apply(namespace) => match company_of(&namespace) {
                Some(company) => drop(self.namespaces.insert(namespace.name_any(), company)),
                None => drop(self.namespaces.remove(&namespace.name_any())),
            },
            Event::Delete(namespace) => drop(self.namespaces.remove(&namespace.name_any())),
        }
        Vec::new()
    }

    /// Takes in what a watch of the connections tells.
    pub fn resource(&mut self, event: Event<WhatsAppConnection>) -> Vec<Change> {
        match event {
            Event::Init => {
                self.listed_resources = Some(HashMap::new());
                Vec::new()
            }
            Event::InitApply(resource) => {
                if let (Some(listed), Some(id)) = (&mut self.listed_resources, id_of(&resource)) {
                    listed.insert(id, Arc::new(resource));
                }
                Vec::new()
            }
            Event::InitDone => self.replace_all(),
            Event::Apply(resource) => {
                let Some(id) = id_of(&resource) else { return Vec::new() };
                let before = self.resources.insert(id, Arc::new(resource));
                self.compare(id, before.as_deref()).into_iter().collect()
            }
            Event::Delete(resource) => {
                let Some(id) = id_of(&resource) else { return Vec::new() };
                let before = self.connection(id);
                self.resources.remove(&id);
                before.map(Change::Deleted).into_iter().collect()
            }
        }
    }

    /// A new list takes the place of the old: what is not on it was deleted while nobody watched.
    fn replace_all(&mut self) -> Vec<Change> {
        let listed = self.listed_resources.take().unwrap_or_default();
        let gone = self.resources.keys().filter(|id| !listed.contains_key(id));
        let mut changes: Vec<_> = gone.filter_map(|id| self.connection(*id)).map(Change::Deleted).collect();
        let before = std::mem::replace(&mut self.resources, listed);
        let ids: Vec<_> = self.resources.keys().copied().collect();
        // The first list of all is no news.
        if !before.is_empty() {
            changes.extend(ids.into_iter().filter_map(|id| self.compare(id, before.get(&id).map(AsRef::as_ref))));
        }
        changes
    }

    fn compare(&self, id: ConnectionId, before: Option<&WhatsAppConnection>) -> Option<Change> {
        let now = self.connection(id)?;
        let same = before.is_some_and(|before| {
            before.spec.state == now.resource.spec.state && before.spec.display_name == now.resource.spec.display_name
        });
        (!same).then_some(Change::Wanted(now))
    }
}

fn company_of(namespace: &Namespace) -> Option<CompanyId> {
    namespace.labels().get(COMPANY_LABEL)?.parse().ok()
}

/// The id of the connection that a resource is; nothing for one that no API server has seen.
#[must_use]
pub fn id_of(resource: &WhatsAppConnection) -> Option<ConnectionId> {
    resource.metadata.uid.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    const ONE: &str = "0190a1b2-0000-7000-8000-000000000001";

    fn namespace(name: &str, company: &str) -> Namespace {
        from_value(json!({"metadata": {"name": name, "labels": {(COMPANY_LABEL): company}}})).expect("valid")
    }

    fn resource(namespace: &str, company: &str, spec: &Value) -> WhatsAppConnection {
        let mut text = json!({
            "apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": "WhatsAppConnection",
            "metadata": {"name": "sales", "namespace": namespace, "uid": ONE},
            "spec": {"companyId": company},
        });
        text["spec"].as_object_mut().expect("object").extend(spec.as_object().expect("object").clone());
        from_value(text).expect("valid")
    }

    fn id() -> ConnectionId {
        ONE.parse().expect("valid")
    }

    #[test]
    fn a_connection_that_names_another_company_than_its_namespace_is_nobodys() {
        let mut index = Index::default();
        index.namespace(Event::Apply(namespace("company-acme", "acme")));
        index.resource(Event::Apply(resource("company-acme", "globex", &json!({}))));
        assert_eq!(index.connection(id()), None);
        assert!(index.exists(id()));
        assert!(index.of_company(&"globex".parse().expect("valid")).is_empty());
    }

    #[test]
    fn it_does_not_matter_which_watch_is_first() {
        let mut index = Index::default();
        index.resource(Event::Apply(resource("company-acme", "acme", &json!({}))));
        assert_eq!(index.connection(id()), None);
        index.namespace(Event::Apply(namespace("company-acme", "acme")));
        assert_eq!(index.all(), [id()]);
        index.namespace(Event::Delete(namespace("company-acme", "acme")));
        assert_eq!(index.connection(id()), None);
    }

    #[test]
    fn suspending_is_told_and_a_status_is_not() {
        let mut index = Index::default();
        index.namespace(Event::Apply(namespace("company-acme", "acme")));
        let running = || resource("company-acme", "acme", &json!({"state": "Running"}));
        assert!(matches!(index.resource(Event::Apply(running()))[..], [Change::Wanted(_)]));
        assert!(index.resource(Event::Apply(running())).is_empty());
        let suspended = resource("company-acme", "acme", &json!({"state": "Suspended"}));
        assert!(matches!(&index.resource(Event::Apply(suspended))[..], [Change::Wanted(known)] if !known.wanted()));
    }

    #[test]
    fn what_was_deleted_while_nobody_watched_is_told() {
        let mut index = Index::default();
        index.namespace(Event::Apply(namespace("company-acme", "acme")));
        index.resource(Event::Init);
        index.resource(Event::InitApply(resource("company-acme", "acme", &json!({}))));
        assert!(index.resource(Event::InitDone).is_empty(), "the first list is no news");
        index.resource(Event::Init);
        assert!(index.exists(id()), "the old list counts until the new one is whole");
        assert!(matches!(index.resource(Event::InitDone)[..], [Change::Deleted(_)]));
        assert!(!index.exists(id()));
    }
}
