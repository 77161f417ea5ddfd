// The entry: installs window.sessionBridge, once per page life, on top of a wa-js that has just been evaluated.
import { callTable } from './calls';
import { dispatch } from './dispatch';
import { EventLog } from './event-log';
import { registerEvents } from './events';

function install(): void {
  const log = new EventLog();
  const table = callTable(log);
  window.sessionBridge = { call: (method, argsJson) => dispatch(table, method, argsJson) };
  registerEvents(log.emit);
}

// A second bridge would number a second series of events; without wa-js there is nothing to bridge.
if (window.WPP && !window.sessionBridge) install();
