// Numbers, sizes and times as people read them.

const UNITS = ["B", "KB", "MB", "GB", "TB"];

// Decimal units, as the operating systems' own tools use them.
export function bytes(n: number): string {
  if (!Number.isFinite(n) || n < 0) return "–";
  let unit = 0;
  while (n >= 999.5 && unit < UNITS.length - 1) {
    n /= 1000;
    ++unit;
  }
  return `${unit === 0 || n >= 99.95 ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}

export const count = (n: number): string => Math.round(n).toLocaleString("en-US");
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;
export const percent = (part: number, whole: number): number => (whole > 0 ? Math.round((100 * part) / whole) : 0);
export const rate = (perSecond: number): string => (perSecond >= 100 ? Math.round(perSecond).toString() : perSecond.toFixed(1));

export function duration(ms: number): string {
  if (ms < 1) return "0 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

const DAY = 86_400_000;
const midnight = (time: number): number => new Date(time).setHours(0, 0, 0, 0);

export function dayGroup(time: number, now = Date.now()): string {
  const days = Math.round((midnight(now) - midnight(time)) / DAY);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days < 7) return "This week";
  if (days < 31) return "This month";
  return new Date(time).toLocaleDateString("en-US", { month: "long", year: "numeric" });
}

// A title out of the first message.
export function titleOf(text: string): string {
  const line = text.split("\n").map((part) => part.replace(/^[#>\s*`-]+/, "").trim()).find((part) => part !== "") ?? "";
  if (line.length <= 60) return line || "New chat";
  const cut = line.slice(0, 60);
  return `${cut.slice(0, cut.lastIndexOf(" ") > 30 ? cut.lastIndexOf(" ") : 60)}…`;
}
