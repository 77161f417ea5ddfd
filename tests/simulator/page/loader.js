// The module loader of WhatsApp Web, as far as wa-js looks at it: __d registers, require and importNamespace run a
// module's factory at its first use, require('__debug').modulesMap lists what is registered. Nothing of the simulator
// is a global but `simulator.define`: all the rest lives in modules, as in the real page.
(function (global) {
  'use strict';
  const modulesMap = Object.create(null);
  const loaded = Object.create(null);
  /** How this page differs from the usual one: {pauseMs, changed, renamed, syncMs, refuseWaJs}. */
  const plan = JSON.parse(document.documentElement.dataset.plan);
  if (plan.refuseWaJs) {
    document.documentElement.dataset.refused = '0';
    Object.defineProperty(global, 'WPP', {
      get: () => undefined,
      set: () => {
        document.documentElement.dataset.refused++;
        throw new Error('refused');
      },
    });
  }
  const registeredAs = (id) => (plan.renamed.includes(id) ? `${id}Next` : id);

  function load(id) {
    if (id in loaded) return loaded[id].exports;
    const definition = modulesMap[id];
    if (!definition) throw new Error(`Requiring unknown module "${id}"`);
    const module = (loaded[id] = { exports: {} });
    definition.factory(global, global.require, importDefault, load, global.requireLazy, module, module.exports);
    return module.exports;
  }

  function importDefault(id) {
    const exports = load(id);
    return 'default' in exports ? exports.default : exports;
  }

  global.__d = (id, dependencies, factory) => {
    modulesMap[id] = { id, dependencies, factory };
  };
  global.require = (id) => (id === '__debug' ? { modulesMap } : load(id));
  global.importDefault = importDefault;
  global.importNamespace = load;
  global.requireLazy = (ids, callback) => callback(...ids.map(load));
  global.ErrorGuard = { skipGuardGlobal() {} };

  // How this simulator writes its modules: `make(require)` returns the exports. Ids that begin with WA are WhatsApp's,
  // with the exports that wa-js recognises them by; ids that begin with Simulator are ours and unseen by wa-js.
  // They go on working when the plan gives a module another id or its exports other names: only others are surprised.
  const originals = Object.create(null);
  const inside = (id) => {
    const exports = id.startsWith('__') ? global.require(id) : load(registeredAs(id));
    return originals[id] ?? exports;
  };
  global.simulator = {
    plan,
    require: inside,
    define: (id, make) =>
      global.__d(registeredAs(id), [], (_global, _require, _default, _namespace, _lazy, _module, exports) => {
        const made = make(inside);
        if (!plan.changed.includes(id)) return void Object.assign(exports, made);
        originals[id] = made;
        for (const name of Object.keys(made)) exports[`${name}Next`] = made[name];
      }),
  };
})(window);
