//! What the API changes in the cluster: connections are created, patched and deleted, and nothing else. Every write
//! names the UID it means, so that one meant for a deleted connection never hits a new one of the same name.

use std::time::Duration;

use crds::{COMPANY_LABEL, Link, TRACE_ANNOTATION, WhatsAppConnection, WhatsAppConnectionSpec};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, ResourceExt};
use relay::{CompanyId, ConnectionId, TraceParent};
use serde_json::{Value, json};

use super::{Fleet, Known, id_of};
use crate::problem::{Code, FieldError, Problem};

/// Longest wait for one answer of the API server.
const ANSWER: Duration = Duration::from_secs(8);

/// Objects in one page of a list.
const PAGE: u32 = 500;

/// How a call to the cluster can fail.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The API server refused or did not understand, or could not be reached.
    #[error("the API server: {0}")]
    Kubernetes(#[from] kube::Error),
    /// It did not answer in time.
    #[error("the API server did not answer within {ANSWER:?}")]
    Silent,
    /// It answered with an object that no API server makes.
    #[error("the API server gave a connection without a UID")]
    NoUid,
}

/// A connection that is to be made.
#[derive(Debug, Clone)]
pub struct NewConnection {
    /// Name of the resource.
    pub name: String,
    /// Name for people.
    pub display_name: String,
    /// How its phone is linked.
    pub link: Link,
}

impl Fleet {
    /// Creates a connection, suspended, in the namespace of its company. Gives the one that is there when it was
    /// created before under the same name for the same company.
    pub async fn create(
        &self,
        company: &CompanyId,
        namespace: &str,
        new: NewConnection,
    ) -> Result<Known, ClusterError> {
        let api: Api<WhatsAppConnection> = Api::namespaced(self.client.clone(), namespace);
        let resource = suspended(company, &new)?;
        let created = match in_time(api.create(&PostParams::default(), &resource)).await {
            Err(ClusterError::Kubernetes(kube::Error::Api(status))) if status.reason == "AlreadyExists" => {
                let there = in_time(api.get(&new.name)).await?;
                if there.spec.company_id != company.as_str() || there.spec.display_name != new.display_name {
                    return Err(ClusterError::Kubernetes(kube::Error::Api(status)));
                }
                there
            }
            other => other?,
        };
        let id = id_of(&created).ok_or(ClusterError::NoUid)?;
        self.settled(|index| index.exists(id)).await;
        Ok(Known { id, company: company.clone(), resource: created.into() })
    }

    /// Changes the spec of a connection, and leaves word of the request that asked for it.
    pub async fn change(&self, known: &Known, spec: Value) -> Result<Known, ClusterError> {
        let trace = runtime::trace::current::<TraceParent>().map(|trace| json!({TRACE_ANNOTATION: trace}));
        // An absent one stays absent; null would remove it.
        let metadata = match trace {
            Some(annotations) => json!({"uid": known.id, "annotations": annotations}),
            None => json!({"uid": known.id}),
        };
        let patch = json!({"metadata": metadata, "spec": spec});
        let call = self.api_of(known);
        let changed =
            in_time(call.patch(&known.resource.name_any(), &PatchParams::default(), &Patch::Merge(patch))).await?;
        let generation = changed.metadata.generation;
        self.settled(|index| {
            index.connection(known.id).is_none_or(|seen| seen.resource.metadata.generation >= generation)
        })
        .await;
        Ok(Known { resource: changed.into(), ..known.clone() })
    }

    /// Deletes a connection. Everything it owns follows.
    pub async fn delete(&self, known: &Known) -> Result<(), ClusterError> {
        let preconditions = Preconditions { uid: Some(known.id.to_string()), resource_version: None };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        in_time(self.api_of(known).delete(&known.resource.name_any(), &parameters)).await?;
        self.settled(|index| !index.exists(known.id)).await;
        Ok(())
    }

    /// Every connection that exists now, asked of the API server itself and not of the watch.
    pub async fn list(&self) -> Result<Vec<ConnectionId>, ClusterError> {
        let api: Api<WhatsAppConnection> = Api::all(self.client.clone());
        let mut page = ListParams::default().limit(PAGE);
        let mut ids = Vec::new();
        loop {
            let list = in_time(api.list_metadata(&page)).await?;
            let uids =
                list.items.iter().filter_map(|object| object.metadata.uid.as_deref()?.parse::<ConnectionId>().ok());
            ids.extend(uids);
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(ids),
            }
        }
    }

    fn api_of(&self, known: &Known) -> Api<WhatsAppConnection> {
        Api::namespaced(self.client.clone(), &known.resource.namespace().unwrap_or_default())
    }
}

fn suspended(company: &CompanyId, new: &NewConnection) -> Result<WhatsAppConnection, ClusterError> {
    let spec = json!({
        "companyId": company, "displayName": new.display_name, "state": "Suspended", "link": new.link,
    });
    let spec: WhatsAppConnectionSpec = serde_json::from_value(spec).map_err(kube::Error::SerdeError)?;
    let mut resource = WhatsAppConnection::new(&new.name, spec);
    resource.labels_mut().insert(COMPANY_LABEL.to_owned(), company.to_string());
    Ok(resource)
}

async fn in_time<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ClusterError> {
    tokio::time::timeout(ANSWER, call).await.map_err(|_| ClusterError::Silent)?.map_err(ClusterError::from)
}

impl From<ClusterError> for Problem {
    fn from(error: ClusterError) -> Self {
        let ClusterError::Kubernetes(kube::Error::Api(status)) = &error else {
            return Self::unavailable(Code::ClusterUnavailable, &error);
        };
        match (status.code, status.reason.as_str()) {
            // The rules of the resource's schema are ours to tell.
            (422, _) => {
                let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
                let field = |path: &str| path.strip_prefix("spec.").unwrap_or(path).to_owned();
                Self::invalid(
                    causes
                        .iter()
                        .map(|cause| FieldError { field: field(&cause.field), message: cause.message.clone() })
                        .collect(),
                )
            }
            (404, _) => Self::new(Code::ConnectionNotFound, "There is no connection of this id."),
            (403, _) if status.message.contains("exceeded quota") => {
                Self::new(Code::QuotaExceeded, "The company may not have more connections.")
            }
            (409, _) => Self::new(Code::Conflict, "The connection was changed or deleted meanwhile."),
            (403, _) => Self::internal(&error),
            _ => Self::unavailable(Code::ClusterUnavailable, &error),
        }
    }
}
