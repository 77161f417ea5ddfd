# The same commands by kind, where it and a Docker engine are at hand. Nodes, network policies, volumes and DNS are
# kind's own (kindnet, local-path, CoreDNS); kubectl and helm are the machine's.

kind_name=whatsapp-operator

provider_is_kind() {
	case ${CLUSTER_PROVIDER-} in
	kind) return 0 ;;
	own) return 1 ;;
	'') command -v kind >/dev/null && docker info >/dev/null 2>&1 ;;
	*) die "CLUSTER_PROVIDER is own or kind, not $CLUSTER_PROVIDER" ;;
	esac
}

kind_up() { # [--nodes N]
	local nodes=1 n tool
	[[ ${1-} != --nodes ]] || nodes=${2:?up: --nodes 1 to 9}
	for tool in kubectl helm; do need $tool "install it; with kind the cluster does not build its own"; done
	mkdir -p "$run"
	if kind get clusters 2>/dev/null | grep -qx $kind_name; then
		kind export kubeconfig -q --name $kind_name --kubeconfig "$run/admin.kubeconfig"
	else
		{
			printf 'kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n'
			# A single node takes pods too; with more of them, they go to the workers.
			for ((n = 2; n <= nodes; n++)); do printf -- '- role: worker\n'; done
		} | kind create cluster --name $kind_name --kubeconfig "$run/admin.kubeconfig" --wait 180s --config -
	fi
	say "kind cluster up; eval \"\$($0 env)\""
}

kind_load() { # IMAGE...
	kind load docker-image --name $kind_name "$@"
	say "loaded $*"
}

kind_down() {
	kind delete cluster --name $kind_name --kubeconfig "$run/admin.kubeconfig"
	rm -f "$run/admin.kubeconfig"
	say "down"
}

kind_status() { kind get nodes --name $kind_name; }

kind_env() { echo "export KUBECONFIG=\"$run/admin.kubeconfig\" CLUSTER_PROVIDER=kind"; }
