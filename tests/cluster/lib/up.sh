# The whole cluster: control plane, network, add-ons and nodes, up and down.

cmd_up() { # [--nodes N]
	local nodes=1
	while (($#)); do
		case $1 in
		--nodes) nodes=${2:?up: --nodes 1 to 9} && shift 2 ;;
		*) die "up: unknown option $1" ;;
		esac
	done
	[[ $nodes == [1-9] ]] || die "up: --nodes 1 to 9"
	((EUID == 0)) || die "up needs root, for containers and bridges (control-plane does not)"
	((${#run} <= 74)) || die "the path $run is too long for the sockets in it: set CLUSTER_RUN_DIR to a shorter one"
	local tool
	for tool in containerd runc nft ip openssl curl bc buildah; do need "$tool" "run \`make deps\`"; done
	cmd_build
	if [[ -f $run/network ]] && alive kube-apiserver; then
		add_missing_nodes "$nodes"
	else
		up_from_nothing "$nodes"
	fi
	say "cluster up; eval \"\$($0 env)\""
}

add_missing_nodes() { # NODES
	local n
	for ((n = 1; n <= $1; n++)); do alive "node$n-kubelet" || cmd_start_node "$n"; done
}

up_from_nothing() { # NODES
	local n
	pause_image
	fresh_run
	network_up
	for ((n = 1; n <= $1; n++)); do node_containerd "$n"; done
	address=$host
	control_plane --managers
	addons
	for ((n = 1; n <= $1; n++)); do node_images "$n"; done
	for ((n = 1; n <= $1; n++)); do node_kubelet "$n"; done
	for ((n = 1; n <= $1; n++)); do
		await 60 "node$n-kubelet" node_ready "$n"
		say "node$n Ready"
	done
	await 60 addons dns_ready "$1"
	say "DNS ready"
}

dns_ready() { # NODES
	[[ $(kube -n kube-system get daemonset coredns -o 'jsonpath={.status.numberReady}') == "$1" ]]
}

addons() {
	sed "s|@DNS_IP@|$services.0.10|; s|@BIN@|$bin|" "$here/addons.yaml" | kube apply -f - >"$log/addons.log" 2>&1 ||
		die "the add-ons were refused: $(cat "$log/addons.log")"
	kubeconfig kube-proxy /CN=system:kube-proxy
	cat >"$run/kube-proxy.yaml" <<-YAML
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		mode: nftables
		clusterCIDR: $net.0.0/16
		clientConnection: {kubeconfig: $run/kube-proxy.kubeconfig}
		hostnameOverride: node1
		oomScoreAdj: 0
		conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
		healthzBindAddress: 127.0.0.1:$((port + 5))
		metricsBindAddress: 127.0.0.1:$((port + 6))
	YAML
	start kube-proxy "$bin/kube-proxy" --config "$run/kube-proxy.yaml"
	kubeconfig volume-provisioner /CN=volume-provisioner
	mkdir -p "$run/volumes"
	start volume-provisioner "$bin/volume-provisioner" --kubeconfig "$run/volume-provisioner.kubeconfig" --root "$run/volumes"
	kubeconfig network-policies /CN=network-policies
	start network-policies "$bin/network-policies" --kubeconfig "$run/network-policies.kubeconfig" --cluster-cidr "$net.0.0/17"
}

cmd_down() {
	local file name n
	[[ -d $run ]] || return 0
	for file in "$run"/*.pid; do
		name=$(basename "$file" .pid)
		# The nodes' end with their node, below; etcd last, for the others to end in peace.
		[[ ! -f $file || $name == node* || $name == etcd ]] || stop "$name" KILL
	done
	stop etcd KILL
	for ((n = 1; n <= 9; n++)); do
		[[ ! -d $run/node$n ]] || node_remove "$n"
	done
	network_down
	[[ -z $(mounts_below "$run") ]] || die "still mounted: $(mounts_below "$run")"
	find "$run" -mindepth 1 -maxdepth 1 ! -name log -exec rm -rf --one-file-system {} +
	say "down"
}

cmd_env() {
	cat <<-ENV
		export KUBECONFIG="$run/admin.kubeconfig"
		export PATH="$bin:\$PATH"
		export CLUSTER_DIR="$cache" CLUSTER_RUN_DIR="$run"
		export CLUSTER_HOST_IP="$host"
		export CLUSTER_AUDIT_LOG="$log/audit.log"
		export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=overlay
	ENV
}
