// What the answers since the page was opened have cost, for the plots.
import type { Stats } from "../lib/tree";

export interface Measured extends Stats {
  model: string;
}

const MOST = 100;

class Metrics {
  answers = $state.raw<Measured[]>([]);

  add(stats: Stats, model: string): void {
    this.answers = [...this.answers, { ...stats, model }].slice(-MOST);
  }
}

export const metrics = new Metrics();
