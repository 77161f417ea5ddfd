// The pure half of NetworkPolicy enforcement: pods, namespaces and policies in, one nftables table out. No I/O here.
//
// As real plug-ins do: what the host itself sends to a pod (probes, kubectl) always passes; a pod's egress rules also
// hold for what it sends to the host; connections made before a policy came are left alone. IPv4 only.
package main

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const table = "cluster-policies"

type policies struct {
	cidr       netip.Prefix
	pods       []*v1.Pod
	namespaces map[string]labels.Set
	policies   []*netv1.NetworkPolicy
}

// real says whether the pod has an address of its own in this cluster (and not on the host, ended, or faked by kwok).
func (s *policies) real(p *v1.Pod) bool {
	a, err := netip.ParseAddr(p.Status.PodIP)
	return err == nil && !p.Spec.HostNetwork && s.cidr.Contains(a) && p.Status.Phase != v1.PodSucceeded && p.Status.Phase != v1.PodFailed
}

func selects(s *metav1.LabelSelector, l labels.Set) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(l)
}

// peers answers one matching expression for the blocks and the pods that an entry of from/to names.
func (s *policies) peers(namespace string, peer netv1.NetworkPolicyPeer) (block string, pods []*v1.Pod) {
	if b := peer.IPBlock; b != nil {
		if p, err := netip.ParsePrefix(b.CIDR); err != nil || !p.Addr().Is4() {
			return "", nil
		}
		block = "ADDR " + b.CIDR
		if len(b.Except) > 0 {
			block += " ADDR != { " + strings.Join(b.Except, ", ") + " }"
		}
		return block, nil
	}
	for _, p := range s.pods {
		if peer.NamespaceSelector == nil {
			if p.Namespace != namespace {
				continue
			}
		} else if !selects(peer.NamespaceSelector, s.namespaces[p.Namespace]) {
			continue
		}
		if peer.PodSelector == nil || selects(peer.PodSelector, p.Labels) {
			pods = append(pods, p)
		}
	}
	return "", pods
}

func addresses(pods []*v1.Pod) string {
	var ips []string
	for _, p := range pods {
		ips = append(ips, p.Status.PodIP)
	}
	slices.Sort(ips)
	return "{ " + strings.Join(slices.Compact(ips), ", ") + " }"
}

func namedPort(p *v1.Pod, name string, protocol v1.Protocol) (int32, bool) {
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		for _, port := range c.Ports {
			if port.Name == name && cmp.Or(port.Protocol, v1.ProtocolTCP) == protocol {
				return port.ContainerPort, true
			}
		}
	}
	return 0, false
}

// rules writes the accept rules of one entry of ingress (dir "saddr", self the receiving pod) or egress ("daddr").
func (s *policies) rules(out *bytes.Buffer, dir string, self *v1.Pod, namespace string, from []netv1.NetworkPolicyPeer, ports []netv1.NetworkPolicyPort) {
	type source struct {
		match string
		pods  []*v1.Pod
	}
	var sources []source
	for _, peer := range from {
		block, pods := s.peers(namespace, peer)
		if block != "" {
			sources = append(sources, source{match: strings.ReplaceAll(block, "ADDR", "ip "+dir)})
		} else if len(pods) > 0 {
			sources = append(sources, source{"ip " + dir + " " + addresses(pods), pods})
		}
	}
	if len(from) == 0 { // no from/to: anyone
		sources = []source{{pods: s.pods}}
	}
	for _, src := range sources {
		if len(ports) == 0 {
			fmt.Fprintf(out, "    %s accept\n", src.match)
		}
		for _, p := range ports {
			protocol := v1.ProtocolTCP
			if p.Protocol != nil {
				protocol = *p.Protocol
			}
			l4 := strings.ToLower(string(protocol))
			switch {
			case p.Port == nil:
				fmt.Fprintf(out, "    %s meta l4proto %s accept\n", src.match, l4)
			case p.Port.Type == intstr.Int && p.EndPort != nil:
				fmt.Fprintf(out, "    %s %s dport %d-%d accept\n", src.match, l4, p.Port.IntVal, *p.EndPort)
			case p.Port.Type == intstr.Int:
				fmt.Fprintf(out, "    %s %s dport %d accept\n", src.match, l4, p.Port.IntVal)
			case dir == "saddr": // a port's name is the receiving pod's
				if n, ok := namedPort(self, p.Port.StrVal, protocol); ok {
					fmt.Fprintf(out, "    %s %s dport %d accept\n", src.match, l4, n)
				}
			default:
				for _, peer := range src.pods {
					if n, ok := namedPort(peer, p.Port.StrVal, protocol); ok {
						fmt.Fprintf(out, "    ip daddr %s %s dport %d accept\n", peer.Status.PodIP, l4, n)
					}
				}
			}
		}
	}
}

func (s *policies) compile() string {
	s.pods = slices.DeleteFunc(s.pods, func(p *v1.Pod) bool { return !s.real(p) })
	slices.SortFunc(s.pods, func(a, b *v1.Pod) int { return cmp.Compare(a.Status.PodIP, b.Status.PodIP) })
	slices.SortFunc(s.policies, func(a, b *netv1.NetworkPolicy) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	var chains bytes.Buffer
	var ingress, egress []string
	for _, pod := range s.pods {
		ip, id := pod.Status.PodIP, strings.ReplaceAll(pod.Status.PodIP, ".", "_")
		var in, out bytes.Buffer
		var hasIn, hasOut bool
		for _, p := range s.policies {
			if p.Namespace != pod.Namespace || !selects(&p.Spec.PodSelector, pod.Labels) {
				continue
			}
			if slices.Contains(p.Spec.PolicyTypes, netv1.PolicyTypeIngress) {
				hasIn = true
				for _, r := range p.Spec.Ingress {
					s.rules(&in, "saddr", pod, p.Namespace, r.From, r.Ports)
				}
			}
			if slices.Contains(p.Spec.PolicyTypes, netv1.PolicyTypeEgress) {
				hasOut = true
				for _, r := range p.Spec.Egress {
					s.rules(&out, "daddr", pod, p.Namespace, r.To, r.Ports)
				}
			}
		}
		if hasIn {
			fmt.Fprintf(&chains, "  chain in_%s { # %s/%s\n    ip saddr %s accept\n%s    counter drop\n  }\n", id, pod.Namespace, pod.Name, ip, &in)
			ingress = append(ingress, ip+" : jump in_"+id)
		}
		if hasOut {
			fmt.Fprintf(&chains, "  chain out_%s { # %s/%s\n    ip daddr %s accept\n%s    counter drop\n  }\n", id, pod.Namespace, pod.Name, ip, &out)
			egress = append(egress, ip+" : jump out_"+id)
		}
	}
	// An accept ends only its own base chain: egress and ingress stand in two, so that both must let a packet pass.
	var b bytes.Buffer
	fmt.Fprintf(&b, "table ip %s {}\ndelete table ip %s\ntable ip %s {\n%s", table, table, table, &chains)
	base := func(name, hook string, priority int, addr string, verdicts []string) {
		if len(verdicts) > 0 {
			fmt.Fprintf(&b, "  chain %s {\n    type filter hook %s priority %d; policy accept;\n    ct state established,related accept\n    ip %s vmap { %s }\n  }\n",
				name, hook, priority, addr, strings.Join(verdicts, ", "))
		}
	}
	base("egress-to-host", "input", -10, "saddr", egress)
	base("egress", "forward", -10, "saddr", egress)
	base("ingress", "forward", -9, "daddr", ingress)
	b.WriteString("}\n")
	return b.String()
}
