# etcd and the API server; with --managers also controller manager and scheduler. All TLS, RBAC on, an audit log.

control_plane() { # --bare (nothing else will run) or --managers
	local etcd=http://127.0.0.1:$((port + 1)) peer=http://127.0.0.1:$((port + 2)) plugins=()
	# Without the controller manager no namespace gets its default ServiceAccount, which that plug-in would insist on.
	[[ $1 != --bare ]] || plugins=(--disable-admission-plugins ServiceAccount)
	authority
	certificate apiserver /CN=kube-apiserver "IP:$address,IP:$host,IP:127.0.0.1,IP:$services.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
	certificate apiserver-kubelet-client /CN=apiserver-kubelet-client
	kubeconfig admin /O=system:masters/CN=admin

	# No fsync: nothing here is to be kept.
	start etcd "$bin/etcd" --data-dir "$run/etcd" --unsafe-no-fsync \
		--listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
		--listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer"
	start kube-apiserver "$bin/kube-apiserver" --etcd-servers "$etcd" \
		--bind-address "$address" --secure-port "$port" --advertise-address "$host" \
		--cert-dir "$pki" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
		--client-ca-file "$pki/ca.crt" --kubelet-certificate-authority "$pki/ca.crt" --kubelet-preferred-address-types InternalIP \
		--kubelet-client-certificate "$pki/apiserver-kubelet-client.crt" --kubelet-client-key "$pki/apiserver-kubelet-client.key" \
		--service-account-issuer https://kubernetes.default.svc.cluster.local \
		--service-account-key-file "$pki/sa.key" --service-account-signing-key-file "$pki/sa.key" \
		--service-cluster-ip-range "$services.0.0/16" --allow-privileged \
		--authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction "${plugins[@]}" \
		--audit-policy-file "$here/audit.yaml" --audit-log-path "$log/audit.log" --audit-log-maxsize 8192
	await 60 kube-apiserver curl -sf --cacert "$pki/ca.crt" "https://$address:$port/readyz"
	say "API server ready"
	[[ $1 == --bare ]] || managers
}

# Their client-side rate limits are raised tenfold: at upstream's 20 requests/s a test with a thousand objects would
# wait for the garbage collector, not for what is being tested.
managers() {
	local name manager=$run/kube-controller-manager.kubeconfig scheduler=$run/kube-scheduler.kubeconfig
	for name in kube-controller-manager kube-scheduler; do kubeconfig $name /CN=system:$name; done
	start kube-controller-manager "$bin/kube-controller-manager" --leader-elect=false \
		--kubeconfig "$manager" --authentication-kubeconfig "$manager" --authorization-kubeconfig "$manager" \
		--bind-address 127.0.0.1 --secure-port $((port + 3)) \
		--use-service-account-credentials --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/ca.crt" \
		--cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key" \
		--node-monitor-grace-period "${grace}s" --kube-api-qps 200 --kube-api-burst 300
	start kube-scheduler "$bin/kube-scheduler" --leader-elect=false \
		--kubeconfig "$scheduler" --authentication-kubeconfig "$scheduler" --authorization-kubeconfig "$scheduler" \
		--bind-address 127.0.0.1 --secure-port $((port + 4)) --kube-api-qps 200 --kube-api-burst 300
}

cmd_control_plane() {
	local mode=--bare foreground= option
	for option; do
		case $option in
		--managers) mode=--managers ;;
		--foreground) foreground=1 ;;
		*) die "control-plane: unknown option $option" ;;
		esac
	done
	cmd_build
	alive kube-apiserver && die "already up in $run (\`cluster down\` ends it; CLUSTER_RUN_DIR and CLUSTER_PORT make room for another)"
	fresh_run
	[[ -z $foreground ]] || end_with_us
	address=127.0.0.1 # no bridge, so no root
	control_plane $mode
	[[ $mode == --bare ]] || await 30 kube-controller-manager kube get serviceaccount default
	say "control plane up; eval \"\$($0 env)\""
	[[ -z $foreground ]] || stay
}

# With --foreground: a TERM takes everything down in good order, and the kernel kills what `start` started should this
# shell be killed.
end_with_us() {
	leash=(setpriv --pdeathsig KILL)
	trap cmd_down EXIT
	trap 'exit 0' TERM INT HUP
}
stay() {
	"${leash[@]}" sleep infinity &
	wait $!
}

fresh_run() { # nothing of an earlier run may be left
	(cmd_down) 2>/dev/null || die "cannot clear $run: run \`cluster down\` to see why"
	rm -rf "$log"
	mkdir -p "$log"
}
