//! The custom resource definitions as YAML: what `operator crd` prints and what stands beside this crate.

use kube::CustomResourceExt;

use crate::WhatsAppConnection;

/// Every definition with the name of the file that holds it.
pub fn definitions() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    let definition = WhatsAppConnection::crd();
    let name = format!("{}.yaml", WhatsAppConnection::crd_name());
    Ok(vec![(name, serde_saphyr::to_string(&definition)?)])
}
