// What the parts print: numbers by nearest rank, tables in Markdown, and the machine that they were seen on.
import { readFileSync, readdirSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';

/** Nearest rank: of 30 values the 99th percentile is the greatest. */
export function percentile(values, p) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil((p / 100) * sorted.length) - 1];
}

/** A table whose columns after the first are numbers, except the last, which is the unit. */
export function table(heads, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = heads.map((_, i) => (i === 0 || heads[i] === 'unit' ? '---' : '---:'));
  return [line(heads), `|${rule.join('|')}|`, ...rows.map(line)].join('\n');
}

/** Seconds of processor time that the programs of this machine have used, by name. A tick is a hundredth of a second. */
export function processorTimes() {
  const times = {};
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [, name, rest] = /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'));
      const fields = rest.split(' ');
      times[name] = (times[name] ?? 0) + (Number(fields[11]) + Number(fields[12])) / 100;
    } catch {
      // It ended meanwhile.
    }
  }
  return times;
}

/** What else runs on the machine is in every figure: asked before the first one. */
export const machine = () =>
  `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${loadavg()[0].toFixed(1)} at the start`;
