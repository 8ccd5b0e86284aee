// The time in milliseconds since the page was opened, told twice a second while anything reads it.
import { createSubscriber } from "svelte/reactivity";

const TICK_MS = 500;
const subscribe = createSubscriber((update) => {
  const timer = setInterval(update, TICK_MS);
  return () => clearInterval(timer);
});

export const clock = {
  get now(): number {
    subscribe();
    return performance.now();
  },
};
