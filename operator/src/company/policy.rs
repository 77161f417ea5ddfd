//! The network policy of a company's session pods. Pure.
//!
//! In: the kubelet's probes (which policies never hold up) and Prometheus. Out: DNS, Redis, and HTTPS to the internet
//! without private and metadata addresses, so that a page gone wild reaches nothing inside.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use relay::CompanyId;

use crate::connection::build::pod::ADMIN_PORT;
use crate::connection::build::{MANAGED_BY, SESSION, short_hash};
use crate::settings::SessionNetwork;

/// Annotation that says which rules stand in the policy.
pub const HASH: &str = "whatsapp-operator.dev/policy-hash";

/// Name of the policy.
pub const NAME: &str = "whatsapp-sessions";

/// The internet in two halves: the AWS network plug-in mishandles 0.0.0.0/0. Each with what is not the internet: private,
/// shared (RFC 6598), loopback, link-local with the clouds' metadata, benchmarking, multicast and reserved.
const INTERNET: [(&str, &[&str]); 3] = [
    ("0.0.0.0/1", &["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8"]),
    ("128.0.0.0/1", &["169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"]),
    ("2000::/3", &[]),
];

/// The policy for a company's home.
pub fn policy(namespace: &str, company: &CompanyId, network: &SessionNetwork) -> NetworkPolicy {
    let spec = NetworkPolicySpec {
        pod_selector: Some(selector(&[SESSION])),
        policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
        // As the API server keeps it, which drops an empty list: or it would differ for ever and be put right for ever.
        ingress: Some(ingress(network)).filter(|rules| !rules.is_empty()),
        egress: Some(egress(network)),
    };
    let hash = short_hash(&format!("{spec:?}"));
    NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(map(&[MANAGED_BY, (crds::COMPANY_LABEL, company.as_str())])),
            annotations: Some(map(&[(HASH, &hash)])),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
    }
}

fn ingress(network: &SessionNetwork) -> Vec<NetworkPolicyIngressRule> {
    // An empty `from` would mean everybody, so no peers means no rule.
    if network.metrics_peers.is_empty() {
        return Vec::new();
    }
    vec![NetworkPolicyIngressRule {
        from: Some(network.metrics_peers.clone()),
        ports: Some(vec![port("TCP", ADMIN_PORT.1)]),
    }]
}

fn egress(network: &SessionNetwork) -> Vec<NetworkPolicyEgressRule> {
    let dns = NetworkPolicyPeer {
        namespace_selector: Some(selector(&[("kubernetes.io/metadata.name", "kube-system")])),
        pod_selector: Some(selector(&[("k8s-app", "kube-dns")])),
        ip_block: None,
    };
    // Where the node-local cache answers instead of the DNS pods, this is its address on every node.
    let node_local_dns = block("169.254.20.10/32", &[]);
    let internet = INTERNET.iter().map(|(cidr, except)| block(cidr, except)).collect();
    let mut rules = vec![
        rule(vec![dns, node_local_dns], vec![port("UDP", 53), port("TCP", 53)]),
        rule(internet, vec![port("TCP", 443)]),
    ];
    if !network.redis_peers.is_empty() {
        rules.push(rule(network.redis_peers.clone(), vec![port("TCP", network.redis_port)]));
    }
    rules.extend(network.extra_egress.iter().cloned().map(as_kept));
    rules
}

/// A rule of somebody's settings as the API server keeps it, or it would differ for ever and be put right for ever.
fn as_kept(mut rule: NetworkPolicyEgressRule) -> NetworkPolicyEgressRule {
    for port in rule.ports.iter_mut().flatten() {
        port.protocol.get_or_insert_with(|| "TCP".to_owned());
    }
    rule
}

fn rule(to: Vec<NetworkPolicyPeer>, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { to: Some(to), ports: Some(ports) }
}

fn port(protocol: &str, port: i32) -> NetworkPolicyPort {
    NetworkPolicyPort { protocol: Some(protocol.to_owned()), port: Some(IntOrString::Int(port)), end_port: None }
}

fn block(cidr: &str, except: &[&str]) -> NetworkPolicyPeer {
    let except = (!except.is_empty()).then(|| except.iter().map(|&range| range.to_owned()).collect());
    NetworkPolicyPeer { ip_block: Some(IPBlock { cidr: cidr.to_owned(), except }), ..NetworkPolicyPeer::default() }
}

fn selector(labels: &[(&str, &str)]) -> LabelSelector {
    LabelSelector { match_labels: Some(map(labels)), match_expressions: None }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> SessionNetwork {
        SessionNetwork { redis_peers: vec![], redis_port: 6379, metrics_peers: vec![], extra_egress: vec![] }
    }

    #[test]
    fn every_private_and_metadata_range_is_kept_out() {
        let excepted: Vec<&str> = INTERNET.iter().flat_map(|(_, except)| except.iter().copied()).collect();
        for range in ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "100.64.0.0/10"]
        {
            assert!(excepted.contains(&range), "{range} is reachable");
        }
    }

    #[test]
    fn without_peers_nobody_gets_in_and_redis_is_not_everywhere() {
        let spec = policy("home", &"acme".parse().expect("valid"), &network()).spec.expect("has rules");
        assert_eq!(spec.ingress, None, "the policy is for Ingress, so no rule lets nobody in");
        for rule in spec.egress.expect("has egress") {
            assert!(rule.to.is_some_and(|to| !to.is_empty()), "a rule without peers allows everything");
        }
    }
}
