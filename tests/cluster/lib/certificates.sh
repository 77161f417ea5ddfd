# The run's own certificate authority, and what it signs. Nothing in this cluster skips TLS.

authority() {
	mkdir -p "$pki"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=cluster-ca \
		-keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
	openssl ecparam -name prime256v1 -genkey -noout -out "$pki/sa.key" # the API server reads no PKCS#8 here
}

certificate() { # NAME SUBJECT [ALTERNATIVE NAMES]: with names it is a server's too
	local usage=clientAuth names=
	[[ -z ${3-} ]] || usage+=,serverAuth names="subjectAltName=$3"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$pki/$1.key" -subj "$2" 2>/dev/null |
		openssl x509 -req -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -set_serial "0x$(openssl rand -hex 8)" -days 365 \
			-out "$pki/$1.crt" -extfile <(printf '%s\n' "extendedKeyUsage=$usage" "$names") 2>/dev/null
}

kubeconfig() { # NAME SUBJECT: a client's certificate, and its kubeconfig with everything embedded
	certificate "$1" "$2"
	(
		umask 077
		cat >"$run/$1.kubeconfig" <<-YAML
			apiVersion: v1
			kind: Config
			clusters:
			- name: cluster
			  cluster: {server: "https://$address:$port", certificate-authority-data: $(base64 -w0 "$pki/ca.crt")}
			users:
			- name: $1
			  user: {client-certificate-data: $(base64 -w0 "$pki/$1.crt"), client-key-data: $(base64 -w0 "$pki/$1.key")}
			contexts:
			- name: cluster
			  context: {cluster: cluster, user: $1}
			current-context: cluster
		YAML
	)
}

kube() { "$bin/kubectl" --kubeconfig "$run/admin.kubeconfig" "$@"; }
