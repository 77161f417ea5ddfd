# Compiles the cluster's binaries from Go modules: 6 minutes on 2 cores with nothing cached, nothing when up to date.

cmd_build() {
	mkdir -p "$bin" "$images"
	# Two first runs side by side must not build into one directory.
	(
		flock 9
		build_if_changed
	) 9>"$cache/.build.lock"
}

build_if_changed() {
	local stamp
	need go "install Go 1.21 or newer (go.dev/doc/install); it fetches the release that go.mod names by itself"
	need gcc "run \`make deps\`"
	stamp=$(
		cd "$here"
		cat lib/binaries.sh kubernetes/go.* kubernetes/*.go addons/go.* addons/*.go pause/pause.c | sha256sum
		go env GOVERSION
	)
	[[ ! -f $bin/.stamp || $stamp != "$(<"$bin/.stamp")" ]] || return 0
	[[ -f $bin/.stamp ]] || say "compiling Kubernetes: about 6 minutes, once"
	export CGO_ENABLED=0
	build_kubernetes
	build_addons
	gcc -static -O2 -s -o "$bin/pause" "$here/pause/pause.c"
	echo "$stamp" >"$bin/.stamp"
}

build_kubernetes() {
	local version package component flags=(-s -w)
	cd "$here/kubernetes"
	version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
	# Without these the nodes would call themselves v0.0.0-master.
	for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
		flags+=(-X "$package.gitVersion=$version" -X "$package.gitMajor=1"
			-X "$package.gitMinor=$(cut -d. -f2 <<<"$version")" -X "$package.gitTreeState=clean")
	done
	go build -buildvcs=false -ldflags "${flags[*]}" -o "$bin/kube" .
	for component in etcd kube-{apiserver,controller-manager,scheduler,proxy} kubelet kubectl volume-provisioner network-policies; do
		ln -sf kube "$bin/$component"
	done
	say "built Kubernetes $version"
}

build_addons() {
	local helm kwok stage
	cd "$here/addons"
	helm=$(go list -m -f '{{.Version}}' helm.sh/helm/v3)
	go build -buildvcs=false -ldflags "-s -w" -o "$bin/coredns" .
	go build -buildvcs=false -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=$helm" -o "$bin/" \
		helm.sh/helm/v3/cmd/helm sigs.k8s.io/kwok/cmd/kwok
	# kwok does nothing by itself: these stages, from its own module, make nodes and pods Ready at once.
	kwok=$(go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage
	for stage in node/fast/node-initialize node/heartbeat-with-lease/node-heartbeat-with-lease pod/fast/pod-{ready,complete,delete}; do
		echo ---
		cat "$kwok/$stage.yaml"
	done >"$bin/kwok-stages.yaml"
	say "built CoreDNS, helm $helm, kwok"
}

need() { # COMMAND WHAT-TO-DO
	command -v "$1" >/dev/null || die "$1 is missing: $2"
}
