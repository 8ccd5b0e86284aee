// Svelte reads TypeScript by itself; nothing to set. svelte-check wants the file.
export default {};
