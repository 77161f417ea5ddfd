# The nodes' bridges on the host. All nodes share its network namespace, and nothing of theirs leaves the machine.

add_bridge() { # NUMBER
	local name=$bridge$1
	ip link show "$name" >/dev/null 2>&1 || ip link add "$name" address "02:00:0a:64:0$1:01" type bridge
	# Service addresses are translated in the IP layer, and policies stand there: pods of one bridge must pass it too.
	ip link set "$name" type bridge nf_call_iptables 1
	ip addr replace "$net.$1.1/24" dev "$name"
	ip link set "$name" up
}

network_up() {
	! ip link show ${bridge}0 >/dev/null 2>&1 ||
		die "bridge ${bridge}0 is there: another CLUSTER_RUN_DIR is up (end it with \`cluster down\`), or was deleted while up (then: ip link del ${bridge}0)"
	touch "$run/network"
	add_bridge 0
	# What has no bridge of its own goes nowhere, not to the default route.
	ip route replace blackhole "$net.0.0/16"
	ip route replace "$services.0.0/16" dev ${bridge}0 src $host
	nft -f - <<-NFT
		table inet cluster-isolation {
		  chain forward {
		    type filter hook forward priority 0; policy accept;
		    iifname "$bridge*" oifname != "$bridge*" reject
		    iifname != "$bridge*" oifname "$bridge*" reject
		  }
		}
	NFT
}

network_down() {
	local table
	[[ -f $run/network ]] || return 0
	ip link del ${bridge}0 2>/dev/null || true
	ip route del blackhole "$net.0.0/16" 2>/dev/null || true
	for table in 'inet cluster-isolation' 'ip cluster-policies' 'ip kube-proxy' 'ip6 kube-proxy'; do
		nft delete table $table 2>/dev/null || true
	done
}
