// WhatsApp's base classes: an event emitter, models whose attributes fire change events, collections of models.
// Never anything of a particular model here.
'use strict';

(function ({ define }) {
  class EventEmitter {
    #listeners = new Map();

    on(names, listener, context) {
      for (const name of names.split(/[ ,]+/)) {
        const listeners = this.#listeners.get(name) ?? [];
        this.#listeners.set(name, [...listeners, { listener, context }]);
      }
      return this;
    }

    off(name, listener) {
      const kept = listener ? (this.#listeners.get(name) ?? []).filter((one) => one.listener !== listener && one.listener.original !== listener) : [];
      this.#listeners.set(name, kept);
      return this;
    }

    once(name, listener, context) {
      const wrapped = (...args) => {
        this.off(name, wrapped);
        listener.apply(context ?? this, args);
      };
      wrapped.original = listener;
      return this.on(name, wrapped);
    }

    trigger(name, ...args) {
      for (const { listener, context } of this.#listeners.get(name) ?? []) listener.apply(context ?? this, args);
      for (const { listener, context } of this.#listeners.get('all') ?? []) listener.apply(context ?? this, [name, ...args]);
      return this;
    }
  }

  /** Attributes are plain properties; writing one fires `change:<name>` on the model and on its collection. */
  class BaseModel extends EventEmitter {
    constructor(attributes = {}) {
      super();
      this.attributes = {};
      for (const [name, value] of Object.entries(attributes)) this.#define(name, value);
    }

    #define(name, value) {
      this.attributes[name] = value;
      if (Object.hasOwn(this, name)) return;
      Object.defineProperty(this, name, {
        enumerable: true,
        configurable: true,
        get: () => this.attributes[name],
        set: (next) => this.set(name, next),
      });
    }

    set(name, value) {
      if (typeof name === 'object') {
        for (const [each, its] of Object.entries(name)) this.set(each, its);
        return this;
      }
      const previous = this.attributes[name];
      this.#define(name, value);
      if (previous !== value) {
        this.trigger(`change:${name}`, this, value, previous);
        this.collection?.trigger(`change:${name}`, this, value, previous);
      }
      return this;
    }

    unset(name) {
      return this.set(name, undefined);
    }

    toJSON() {
      return { ...this.attributes };
    }
  }

  class BaseCollection extends EventEmitter {
    #models = new Map();

    constructor(modelClass) {
      super();
      this.modelClass = modelClass;
    }

    /** Adds what is not there yet and fires `add` for it. The first collection a model is added to hears its changes. */
    add(added) {
      for (const one of [added].flat()) {
        const model = one instanceof BaseModel ? one : new this.modelClass(one);
        if (this.#models.has(keyOf(model))) continue;
        model.collection ??= this;
        this.#models.set(keyOf(model), model);
        this.trigger('add', model, this);
      }
      return added;
    }

    remove(which) {
      const model = this.get(which);
      if (!model) return;
      this.#models.delete(keyOf(model));
      this.trigger('remove', model, this);
    }

    /** By id object, id string, model or attributes. */
    get(which) {
      return this.#models.get(keyOf(which));
    }

    async find(which) {
      return this.get(which);
    }

    getModelsArray() {
      return [...this.#models.values()];
    }

    map(each) {
      return this.getModelsArray().map(each);
    }

    forEach(each) {
      this.getModelsArray().forEach(each);
    }

    filter(wanted) {
      return this.getModelsArray().filter(wanted);
    }

    findFirst(wanted) {
      return this.getModelsArray().find(wanted);
    }

    get length() {
      return this.#models.size;
    }
  }

  /** Models and attributes have an id; a message key has one too, but that is only a part of it and a string. */
  function keyOf(which) {
    if (which instanceof BaseModel || (which && typeof which.id === 'object')) return String(which.id);
    return String(which);
  }

  define('WAWebEventEmitter', () => ({ default: EventEmitter }));
  define('WAWebBaseModel', () => ({ BaseModel, defineModel: (model) => model }));
  define('WAWebBaseCollection', () => ({ BaseCollection }));
})(simulator);
