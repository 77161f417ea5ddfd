// Asked again and again before anything is injected: are WhatsApp's modules there, and has their number settled?
// wa-js counts modules to decide when to start. Injected before WhatsApp's own modules have arrived, it registers its
// listeners against nothing and never gets ready; that is why injection waits for this answer.
import { missingModules, registeredModules } from './modules';

/** JSON: `{"modules": <how many>, "missing": [<required, not there yet>]}`. */
export function look(): string {
  const registered = registeredModules();
  return JSON.stringify({ modules: registered.size, missing: missingModules(registered) });
}
