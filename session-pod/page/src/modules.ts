// The WhatsApp modules without which wa-js cannot get ready, and how to look for them without running any.

/** The list of modules that have to be registered before wa-js may be injected. */
export const REQUIRED_MODULES = [
  'WAWebStreamModel',
  'WAWebSocketModel',
  'WAWebConnModel',
  'WAWebCmd',
  'WAWebMsgCollection',
  'WAWebChatCollection',
  'WAWebContactCollection',
  'WAWebUserPrefsMeUser',
] as const;

interface MetaLoader {
  require?: (id: '__debug') => { modulesMap?: Record<string, unknown> } | undefined;
  importNamespace?: unknown;
}

/** Ids of the modules registered so far; empty while WhatsApp's loader is not there. Executes no module. */
export function registeredModules(): ReadonlySet<string> {
  const loader = globalThis as MetaLoader;
  try {
    if (!loader.importNamespace) return new Set();
    return new Set(Object.keys(loader.require?.('__debug')?.modulesMap ?? {}));
  } catch {
    // `require` exists before its debug module does.
    return new Set();
  }
}

export function missingModules(registered: ReadonlySet<string>): string[] {
  return REQUIRED_MODULES.filter((id) => !registered.has(id));
}
