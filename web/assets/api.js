// The service's HTTP API. Whatever goes wrong is a ServiceError whose `code` is the service's own ("loading", "invalid_value", …),
// or "connection_lost" where there was no whole answer, or "bad_answer" where it was not what this service says.
import { readEvents } from "./sse.js";
import { ofThisTab } from "./storage.js";

export class ServiceError extends Error {
  constructor(code, message, status = 0, retryAfter = null) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter; // seconds
  }
}

export const apiKey = {
  get: () => ofThisTab.load("api_key") ?? "",
  set: (key) => ofThisTab.save("api_key", key || null),
};

async function request(path, options = {}) {
  const headers = { ...options.headers };
  if (apiKey.get()) headers.Authorization = `Bearer ${apiKey.get()}`;
  try {
    return await fetch(path, { ...options, headers, cache: "no-store", credentials: "same-origin" });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ServiceError("connection_lost", "");
  }
}

async function failure(response) {
  const seconds = Number.parseFloat(response.headers.get("Retry-After"));
  let error = null;
  try {
    error = (await response.json()).error;
  } catch {
    // a proxy's own page
  }
  const code = error?.code ?? (response.status === 401 ? "unauthorized" : "bad_answer");
  return new ServiceError(code, error?.message ?? `HTTP ${response.status}`, response.status, Number.isFinite(seconds) ? seconds : null);
}

// {status, progress, …}, also where the service is not ready.
export async function health(signal) {
  const response = await request("health", { signal });
  try {
    return await response.json();
  } catch {
    throw new ServiceError("bad_answer", `HTTP ${response.status}`, response.status);
  }
}

export async function modelInfo(signal) {
  const response = await request("model_info", { signal });
  if (!response.ok) throw await failure(response);
  return response.json();
}

// Has the request that runs under this id answer at once: its thought ends, the answer follows in its stream.
export async function finishThinking(id) {
  const response = await request(`requests/${encodeURIComponent(id)}/finish_thinking`, { method: "POST" });
  if (!response.ok) throw await failure(response);
}

// The chunks of a chat completion; `named` is called with its id before the first one. Ends after [DONE]; an end without it is a
// lost connection.
export async function* streamChat(fields, signal, named) {
  const response = await request("v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...fields, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  if (!response.ok) throw await failure(response);
  named(response.headers.get("X-Request-Id"));
  try {
    for await (const data of readEvents(response.body)) {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new ServiceError(chunk.error.code ?? "bad_answer", chunk.error.message ?? "");
      yield chunk;
    }
  } catch (error) {
    if (error instanceof ServiceError || signal?.aborted) throw error;
    throw new ServiceError(error instanceof SyntaxError ? "bad_answer" : "connection_lost", "");
  }
  throw new ServiceError("connection_lost", "");
}
