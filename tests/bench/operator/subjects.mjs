// Whom the benchmark can measure: under which name the API server knows it, what it is asked for, and how its program is
// called. Each makes one Pod for each object.

const OURS = {
  title: 'Operator',
  user: 'system:serviceaccount:whatsapp-system:whatsapp-operator',
  resource: 'whatsappconnections',
  path: (company) => `/apis/whatsapp-operator.dev/v1alpha1/namespaces/company-${company}/whatsappconnections`,
  object: (company, name, spec) => ({
    apiVersion: 'whatsapp-operator.dev/v1alpha1',
    kind: 'WhatsAppConnection',
    metadata: { name },
    spec: { companyId: company, ...spec },
  }),
};

/** As a session's pod where the API server looks at it, without volume, Secret and probes: less work than ours has. */
const CONTAINER = {
  name: 'session',
  image: 'localhost/whatsapp-operator/session:dev',
  resources: { requests: { cpu: '100m', memory: '512Mi' }, limits: { memory: '1536Mi' } },
  securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
};

const PEER = {
  title: 'agent-sandbox',
  user: 'system:serviceaccount:agent-sandbox-system:agent-sandbox-controller',
  resource: 'sandboxes',
  path: (company) => `/apis/agents.x-k8s.io/v1beta1/namespaces/company-${company}/sandboxes`,
  object: (_, name) => ({
    apiVersion: 'agents.x-k8s.io/v1beta1',
    kind: 'Sandbox',
    metadata: { name },
    spec: {
      podTemplate: {
        spec: {
          automountServiceAccountToken: false,
          securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: 'RuntimeDefault' } },
          containers: [CONTAINER],
        },
      },
    },
  }),
};

export const subject = process.env.BENCH_PEER ? PEER : OURS;
