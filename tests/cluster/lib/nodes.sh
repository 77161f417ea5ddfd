# Real nodes: a containerd and a kubelet each, with their own bridge, cgroup root and directory.

ctr() { # NUMBER ARGUMENTS...
	local n=$1
	shift
	command ctr -a "$run/node$n/containerd.sock" -n k8s.io "$@"
}

node_containerd() { # NUMBER
	local n=$1 node=$run/node$1 hierarchy
	mkdir -p "$node"/{cni,kubelet,logs,plugins,opt}
	add_bridge "$n"
	# cgroup v1: the kubelet wants its root to be there in every hierarchy.
	for hierarchy in /sys/fs/cgroup/*/; do [[ ! -f $hierarchy/cgroup.procs ]] || mkdir -p "$hierarchy/$cgroup$n"; done
	cat >"$node/cni/10-bridge.conflist" <<-JSON
		{"cniVersion": "0.4.0", "name": "$cgroup$n", "plugins": [{
		  "type": "bridge", "bridge": "$bridge$n", "isGateway": true, "ipMasq": false, "hairpinMode": true,
		  "ipam": {"type": "host-local", "dataDir": "$node/ipam", "ranges": [[{"subnet": "$net.$n.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}
		}]}
	JSON
	# restrict_oom_score_adj: without CAP_SYS_RESOURCE runc may not lower a score, as every pod's sandbox asks it to.
	cat >"$node/containerd.toml" <<-TOML
		version = 2
		root = "$node/containerd"
		state = "$node/state"
		disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
		[grpc]
		address = "$node/containerd.sock"
		[plugins."io.containerd.internal.v1.opt"]
		path = "$node/opt"
		[plugins."io.containerd.grpc.v1.cri"]
		sandbox_image = "localhost/pause:1"
		restrict_oom_score_adj = true
		netns_mounts_under_state_dir = true
		[plugins."io.containerd.grpc.v1.cri".cni]
		bin_dir = "/usr/lib/cni"
		conf_dir = "$node/cni"
		[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
		runtime_type = "io.containerd.runc.v2"
		[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
		Root = "$node/runc"
	TOML
	start "node$n-containerd" containerd -c "$node/containerd.toml"
}

node_kubelet() { # NUMBER
	local n=$1 node=$run/node$1
	if [[ ! -f $run/node$n.kubeconfig ]]; then
		kubeconfig "node$n" "/O=system:nodes/CN=system:node:node$n"
		certificate "node$n-serving" "/CN=node$n" "IP:$net.$n.1,DNS:node$n"
	fi
	: >"$node/resolv.conf"
	# oomScoreAdj: it may not lower its own score (CAP_SYS_RESOURCE again).
	# makeIPTablesUtilChains: kube-proxy runs in nftables mode, and nothing here uses iptables.
	# imageGCHighThresholdPercent: an image that is removed could not be pulled again.
	# nodeStatusUpdateFrequency, nodeLeaseDurationSeconds: a lost node is to be noticed after $grace s.
	cat >"$node/kubelet.yaml" <<-YAML
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		address: $net.$n.1
		healthzBindAddress: $net.$n.1
		tlsCertFile: $pki/node$n-serving.crt
		tlsPrivateKeyFile: $pki/node$n-serving.key
		authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
		authorization: {mode: Webhook}
		failCgroupV1: false
		cgroupDriver: cgroupfs
		cgroupRoot: /$cgroup$n
		failSwapOn: false
		oomScoreAdj: 0
		makeIPTablesUtilChains: false
		clusterDNS: [$services.0.10]
		clusterDomain: cluster.local
		resolvConf: $node/resolv.conf
		containerRuntimeEndpoint: unix://$node/containerd.sock
		podLogsDir: $node/logs
		volumePluginDir: $node/plugins
		evictionHard: {memory.available: 100Mi, nodefs.available: "2%", imagefs.available: "2%"}
		imageGCHighThresholdPercent: 100
		nodeStatusUpdateFrequency: 4s
		nodeLeaseDurationSeconds: 12
		serializeImagePulls: false
	YAML
	start "node$n-kubelet" "$bin/kubelet" --kubeconfig "$run/node$n.kubeconfig" --config "$node/kubelet.yaml" \
		--root-dir "$node/kubelet" --hostname-override "node$n" --node-ip "$net.$n.1" --node-labels cluster.local/real=true
}

node_ready() { # NUMBER: the kubelet itself is asked too, since the Node object may be from before a restart
	curl -sf "http://$net.$1.1:10248/healthz" &&
		kube get node "node$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' | grep -qx True
}

node_pids() { # NUMBER: all processes of its containers, and their shims
	local process
	find /sys/fs/cgroup/pids/$cgroup"$1" -name cgroup.procs -exec cat {} + 2>/dev/null || true
	for process in /proc/[0-9]*; do
		if [[ $(cat "$process/comm" 2>/dev/null) == containerd-shim ]] &&
			tr '\0' '\n' <"$process/cmdline" 2>/dev/null | grep -qxF "$run/node$1/containerd.sock"; then
			echo "${process#/proc/}"
		fi
	done
}

# As if its power went. The bridge goes first, so that no FIN of a dying process gets out: peers see silence.
node_crash() { # NUMBER
	local pids i
	ip link set "$bridge$1" down 2>/dev/null || true
	stop "node$1-kubelet" KILL
	stop "node$1-containerd" KILL
	for ((i = 0; i < 50; i++)); do
		mapfile -t pids < <(node_pids "$1")
		((${#pids[@]})) || break
		kill -KILL "${pids[@]}" 2>/dev/null || true
		sleep 0.1
	done
}

node_sweep() { # NUMBER: what a reboot of a real node would have cleared
	local node=$run/node$1 mount file attempt
	for file in "$node"/state/io.containerd.runtime.v2.task/k8s.io/*/address; do
		[[ ! -f $file ]] || rm -f "$(sed 's,^unix://,,' "$file")"
	done
	for attempt in 1 2 3; do
		while read -r mount; do
			umount "$mount" 2>/dev/null || umount -l "$mount" || true
		done < <(mounts_below "$node")
	done
	[[ -z $(mounts_below "$node") ]] || die "still mounted below $node after $attempt attempts"
	rm -rf "$node/state" "$node/runc" "$node/ipam" "$node/containerd.sock"* /var/lib/cni/results/$cgroup"$1"-*
	for file in /var/log/containers/*; do
		if [[ -L $file && $(readlink "$file") == "$node"/* ]]; then rm -f "$file"; fi
	done
}

mounts_below() { awk -v below="$1/" 'index($5, below) == 1 {print $5}' /proc/self/mountinfo | sort -r; }

node_remove() { # NUMBER
	local n=$1 hierarchy attempt
	node_crash "$n"
	node_sweep "$n"
	ip link del "$bridge$n" 2>/dev/null || true
	for hierarchy in /sys/fs/cgroup/*/; do
		for ((attempt = 0; attempt < 20; attempt++)); do # a dead process may keep its cgroup busy for a moment
			[[ -d $hierarchy/$cgroup$n ]] || break
			find "$hierarchy/$cgroup$n" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
		done
	done
}

cmd_kill_node() { # NUMBER [--keep-pods]
	local n=${1:?kill-node: which node (1 to 9)?}
	[[ -d $run/node$n ]] || die "there is no node$n"
	if [[ ${2-} == --keep-pods ]]; then
		# What a node looks like from inside a network partition.
		stop "node$n-kubelet" KILL
		say "node$n: kubelet killed, containers run on"
	else
		node_crash "$n"
		say "node$n: dead"
	fi
}

cmd_start_node() { # NUMBER
	local n=${1:?start-node: which node (1 to 9)?}
	[[ $n == [1-9] ]] || die "node numbers are 1 to 9"
	[[ -f $run/network ]] && alive kube-apiserver || die "not up: \`cluster up\` first"
	alive "node$n-kubelet" && die "node$n runs already"
	address=$host
	if ! alive "node$n-containerd"; then
		node_crash "$n"
		[[ ! -d $run/node$n ]] || node_sweep "$n"
		node_containerd "$n"
		node_images "$n"
	fi
	node_kubelet "$n"
	await 60 "node$n-kubelet" node_ready "$n"
	say "node$n Ready"
}
