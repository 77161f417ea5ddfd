// The processes of the product's containers as the kernel has them: who they are, what they may, and what everybody on the
// node could read of them.

/**
 * Prints a line a process: container id, pid, user, effective capabilities, no-new-privileges, seccomp mode, options of its
 * root mount, whether its root took a file, arguments and environment in base64.
 */
const LOOK = `
for process in /proc/[0-9]*; do
  container=$(grep -aoE '[0-9a-f]{64}' "$process/cgroup" 2>/dev/null | tail -1)
  [[ -n $container && $* == *$container* ]] || continue
  field() { awk -v name="$1:" '$1 == name {print $2; exit}' "$process/status"; }
  root=$(awk '$5 == "/" {print $6; exit}' "$process/mountinfo")
  wrote=no
  if (: >"$process/root/probe-was-here") 2>/dev/null; then wrote=yes; rm -f "$process/root/probe-was-here"; fi
  echo "$container" "\${process#/proc/}" "$(field Uid)" "$(field CapEff)" "$(field NoNewPrivs)" "$(field Seccomp)" "$root" "$wrote" \\
    "$(base64 -w0 <"$process/cmdline")." "$(base64 -w0 <"$process/environ")."
done 2>/dev/null
true`;

/** The processes of these containers (ids as in a pod's status), looked at from their node. */
export async function processes(node, containers) {
  const text = await node.exec(LOOK, ...containers);
  const decoded = (field) => Buffer.from(field.slice(0, -1), 'base64').toString().replaceAll('\0', '\n');
  // One that ended while it was looked at leaves fields empty.
  return text.trim().split('\n').map((line) => line.split(' ')).filter((fields) => fields.every(Boolean)).map((fields) => {
    const [container, pid, user, capabilities, noNewPrivileges, seccomp, root, wrote, args, environment] = fields;
    return {
      container,
      pid,
      user: Number(user),
      capabilities: BigInt(`0x${capabilities}`),
      noNewPrivileges: noNewPrivileges === '1',
      seccomp: seccomp === '2',
      readOnlyRoot: root.split(',').includes('ro') && wrote === 'no',
      args: decoded(args),
      environment: decoded(environment),
    };
  });
}

/** `{id, name}` of every container that runs in these pods by their specs; not those that tests have put beside. */
export function containersOf(pods) {
  return pods.flatMap(({ metadata, status }) =>
    (status.containerStatuses ?? []).filter(({ state }) => state.running).map(({ name, containerID }) => ({
      id: containerID.split('://')[1],
      name: `${metadata.namespace}/${metadata.name}/${name}`,
    })),
  );
}
