//! How a pod carries the trace in whose course it is made. Put on beside the pod's spec, and no part of its hash: a trace
//! never restarts anybody.

use k8s_openapi::api::core::v1::{EnvVar, Pod};
use relay::TraceParent;

/// Variable by which the session learns of it.
const VARIABLE: &str = "TRACEPARENT";

/// The pod with the trace on it.
#[must_use]
pub fn carrying(mut pod: Pod, trace: Option<TraceParent>) -> Pod {
    let Some(trace) = trace else { return pod };
    let variable = EnvVar { name: VARIABLE.to_owned(), value: Some(trace.to_string()), ..EnvVar::default() };
    for container in pod.spec.iter_mut().flat_map(|spec| &mut spec.containers) {
        container.env.get_or_insert_default().push(variable.clone());
    }
    pod.metadata.annotations.get_or_insert_default().insert(crds::TRACE_ANNOTATION.to_owned(), trace.to_string());
    pod
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::build::{drift::drift, pod::pod};
    use crate::connection::plan::fixtures;

    #[test]
    fn a_trace_is_carried_and_makes_it_no_other_pod() {
        let plain = pod(&fixtures::connection(), &fixtures::defaults());
        assert_eq!(carrying(plain.clone(), None), plain);
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let traced = carrying(plain.clone(), text.parse().ok());
        assert_eq!(drift(&fixtures::connection(), &traced), None);
        assert_eq!(traced.metadata.annotations.expect("some")[crds::TRACE_ANNOTATION], text);
        let environment = traced.spec.expect("a spec").containers[0].env.clone().expect("variables");
        assert_eq!(environment.last().and_then(|variable| variable.value.as_deref()), Some(text));
    }
}
