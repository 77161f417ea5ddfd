# Fake nodes by kwok, for measurements with many objects. A pod that names `nodeSelector: {type: kwok}` and tolerates
# kwok.x-k8s.io/node becomes Running there at once, and runs nothing.

cmd_fake_nodes() { # [HOW MANY]
	local count=${1:-5} n
	alive kube-controller-manager || die "fake nodes need \`cluster up\` or \`cluster control-plane --managers\`"
	address=$(sed -n 's|.*server: "https://\(.*\):[0-9]*".*|\1|p' "$run/admin.kubeconfig")
	if ! alive kwok; then
		kubeconfig kwok /O=system:masters/CN=kwok
		start kwok "$bin/kwok" --kubeconfig "$run/kwok.kubeconfig" --config "$bin/kwok-stages.yaml" \
			--manage-all-nodes=false --manage-nodes-with-annotation-selector kwok.x-k8s.io/node=fake \
			--cidr "$net.128.1/17" --server-address "127.0.0.1:$((port + 7))"
	fi
	for ((n = 1; n <= count; n++)); do fake_node "fake$n"; done | kube apply -f - >"$log/fake-nodes.log"
	await 60 kwok kube wait --for=condition=Ready --timeout=0 node -l type=kwok
	say "$count fake nodes Ready"
}

fake_node() { # NAME
	cat <<-YAML
		---
		apiVersion: v1
		kind: Node
		metadata:
		  name: $1
		  annotations: {kwok.x-k8s.io/node: fake}
		  labels: {type: kwok, kubernetes.io/hostname: $1, kubernetes.io/os: linux, kubernetes.io/arch: amd64}
		spec:
		  taints: [{key: kwok.x-k8s.io/node, value: fake, effect: NoSchedule}]
		status:
		  allocatable: {cpu: "64", memory: 256Gi, pods: "1000"}
		  capacity: {cpu: "64", memory: 256Gi, pods: "1000"}
	YAML
}
