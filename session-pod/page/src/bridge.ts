// The entry: installs window.sessionBridge, once per page life, on top of a wa-js that has just been evaluated.
import { callTable } from './calls';
import { dispatch } from './dispatch';
import { EventLog } from './event-log';
import { registerEvents } from './events';
import { options } from './options';

function install(): void {
  const { life, patienceMs } = options();
  const log = new EventLog(life);
  const table = callTable(log);
  window.sessionBridge = { life, call: (method, argsJson) => dispatch(table, method, argsJson) };
  registerEvents(log.emit, patienceMs);
}

// A second bridge would number a second series of events; without wa-js there is nothing to bridge.
if (window.WPP && !window.sessionBridge) install();
