// What the server and the page say to each other. docs/page.md shows each with examples.

export interface ModelList {
  data: { id: string; created?: number; meta?: { n_ctx?: number; n_ctx_train?: number; n_params?: number; size?: number } }[];
}

export type Role = "system" | "user" | "assistant" | "tool";

export interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

export interface WireMessage {
  role: Role;
  content: string | null;
  tool_calls?: ToolCall[];
  tool_call_id?: string;
}

export interface Sampling {
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  repeat_penalty?: number;
  presence_penalty?: number;
  frequency_penalty?: number;
  max_tokens?: number;
  seed?: number;
  stop?: string[];
}

export interface ChatRequest extends Sampling {
  model?: string;
  messages: WireMessage[];
  stream: true;
  stream_options: { include_usage: true };
  return_progress: true;
  continue_final_message?: true;
  tools?: unknown[];
  chat_template_kwargs?: Record<string, unknown>;
}

export interface ToolCallDelta {
  index: number;
  id?: string;
  function?: { name?: string; arguments?: string };
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number };
}

export interface Timings {
  cache_n?: number;
  prompt_n?: number;
  prompt_ms?: number;
  prompt_per_second?: number;
  predicted_n?: number;
  predicted_ms?: number;
  predicted_per_second?: number;
  first_token_ms?: number;
}

// Where the prompt stopped matching what was kept, and the text on both sides.
export interface CacheMiss {
  position: number;
  cached: string;
  given: string;
}

export interface CacheReport {
  prompt_tokens: number;
  cached_tokens: number;
  miss: CacheMiss | null;
}

export interface ChatChunk {
  choices?: {
    index: number;
    delta?: { role?: Role; content?: string | null; reasoning_content?: string | null; tool_calls?: ToolCallDelta[] };
    finish_reason?: string | null;
  }[];
  usage?: Usage | null;
  timings?: Timings;
  medlar?: { cache?: CacheReport; seed?: number };
  prompt_progress?: { processed: number; total: number };
  error?: ErrorFacts;
}

export interface ErrorFacts {
  message: string;
  type?: string;
  code?: string | number | null;
  param?: string | null;
  n_prompt_tokens?: number;
  n_ctx?: number;
  largest_context?: number;
}

export interface Props {
  default_generation_settings?: { n_ctx?: number; params?: Sampling };
  model_path?: string;
  build_info?: string;
}

export interface Slot {
  id: number;
  is_processing: boolean;
}

// A model that is on the server's machine.
export interface StoredModel {
  name: string;
  size: number;
  source?: string;
  details?: { family?: string; parameter_size?: string; quantization_level?: string };
  problem?: string; // why it cannot be used
  loaded: boolean;
  context_length?: number; // of the one that is loaded
}

// One that could be pulled by its name.
export interface CatalogueModel {
  name: string;
  size: number;
  parameter_size?: string;
  quantization_level?: string;
  license?: string;
  note?: string;
}

export interface StoredList {
  data: StoredModel[];
  catalogue: CatalogueModel[];
}

export interface PullProgress {
  status?: string;
  digest?: string;
  total?: number;
  completed?: number;
  error?: string;
}

// What a model's file says of itself.
export interface ModelFacts {
  name: string;
  chat: boolean; // has a chat template
  facts: Record<string, string | number>;
}

// Bytes.
export interface Memory {
  limit: number;
  categories: {
    weights_mapped: number;
    weights_resident: number;
    kv: number;
    cache: number;
    activations: number;
    scratch: number;
    tables: number;
    buffers: number;
    other: number;
  };
}

export interface ConversationHead {
  id: string;
  title: string;
  created: number; // milliseconds since 1970
  updated: number;
  revision?: number; // counted by the server
  snippet?: string; // of a search: the text around the match
}

export interface ConversationList {
  data: ConversationHead[];
}
