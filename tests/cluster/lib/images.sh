# Container images: the base that stands for Debian's own, the pause image, and the way from buildah's storage to the
# nodes. There is no registry: an image is a tar file in $images, written anew only when its id changed.

buildah() { BUILDAH_ISOLATION=chroot STORAGE_DRIVER=overlay command buildah "$@"; }

image_from_nothing() { # IMAGE FILE DESTINATION BUILDAH-CONFIG...
	local container image=$1 file=$2 destination=$3
	shift 3
	container=$(buildah from scratch)
	buildah add -q "$container" "$file" "$destination" >/dev/null
	buildah config "$@" "$container"
	buildah commit -q "$container" "$image" >/dev/null
	buildah rm "$container" >/dev/null
}

cmd_base_image() {
	need mmdebstrap "run \`make deps\`"
	mkdir -p "$cache"
	local tar=$cache/base.tar
	rm -f "$tar"
	# As in Debian's own slim images: no manuals, no translations, no package lists.
	mmdebstrap --quiet --variant=minbase --include=ca-certificates \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--aptopt='Acquire::Languages "none"' --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
		bookworm "$tar"
	image_from_nothing docker.io/library/debian:bookworm-slim "$tar" / --cmd bash
	rm -f "$tar"
	say "docker.io/library/debian:bookworm-slim is in buildah's storage"
}

pause_image() {
	[[ ! $images/pause.tar -nt $bin/pause ]] || return 0
	image_from_nothing localhost/pause:1 "$bin/pause" /pause --entrypoint '["/pause"]'
	rm -f "$images/pause.tar"
	buildah push -q localhost/pause:1 "docker-archive:$images/pause.tar:localhost/pause:1"
}

cmd_load() {
	(($#)) || die "load which images?"
	local image tar id n job jobs=()
	mkdir -p "$images"
	for image; do
		tar=$(tr -c 'a-zA-Z0-9.\n' _ <<<"$image").tar
		id=$(buildah inspect --type image -f '{{.FromImageID}}' "$image") || die "no image $image in buildah's storage: \`make images\` builds ours"
		if [[ ! -f $images/$tar || $id != "$(cat "$images/$tar.from" 2>/dev/null)" ]]; then
			rm -f "$images/$tar"
			buildah push -q "$image" "docker-archive:$images/$tar:$image"
			echo "$id" >"$images/$tar.from"
		fi
		if [[ -f $run/network ]] && ! grep -qxF "$tar" "$run/loaded" 2>/dev/null; then echo "$tar" >>"$run/loaded"; fi
	done
	for ((n = 1; n <= 9; n++)); do
		if alive "node$n-containerd"; then node_images "$n" & jobs+=($!); fi
	done
	for job in "${jobs[@]}"; do wait "$job" || die "a node did not take an image: see $log/node*-images.log"; done
	say "loaded $*"
}

node_images() { # NUMBER: the pause image, and what `load` was given in this run; skips what the node has
	local tar mark
	await 30 "node$1-containerd" ctr "$1" version
	for tar in pause.tar $(cat "$run/loaded" 2>/dev/null); do
		mark=$(stat -c '%Y %s' "$images/$tar")
		[[ $mark != "$(cat "$run/node$1/$tar.loaded" 2>/dev/null)" ]] || continue
		ctr "$1" images import "$images/$tar" >>"$log/node$1-images.log" 2>&1
		echo "$mark" >"$run/node$1/$tar.loaded"
	done
}
