// One question and what came back: plain data, as it is kept over a reload and as it becomes messages for the service.
//
// state: "waiting" → "thinking" → "answering" → "done" | "stopped" | "failed"

export function newExchange(question) {
  return {
    question,
    id: null, // the service's, of the request that answers it
    state: "waiting",
    thought: "",
    answer: "",
    finish: null, // "stop" | "length" | "cancelled"
    usage: null, // the service's count of tokens
    budget: null, // the thought's, where one was asked for
    error: null, // {code, message}
    retry: null, // while waiting to be sent again: {code, percent} or {code, seconds}
    times: { first: null, thought: null, total: 0 }, // seconds since it was sent; the thought's end
  };
}

export const running = (exchange) => ["waiting", "thinking", "answering"].includes(exchange.state);

export function thoughtSeconds({ times, state }) {
  const end = times.thought ?? times.total;
  return state === "waiting" || times.first === null ? 0 : Math.max(end - times.first, 0);
}

// What the model is told: each question with its answer, as far as there is one. Thoughts stay out, as Qwen3 wants it.
export function messagesOf(exchanges, system) {
  const messages = system.trim() ? [{ role: "system", content: system }] : [];
  for (const { question, answer } of exchanges) {
    messages.push({ role: "user", content: question });
    if (answer) messages.push({ role: "assistant", content: answer });
  }
  return messages;
}

// From storage, which anyone may have written: what does not look like an exchange is left out, and of the others each field that
// is not what it should be.
export function restored(list) {
  if (!Array.isArray(list)) return [];
  return list.filter((item) => typeof item?.question === "string" && typeof item.answer === "string").map(checked);
}

const text = (value) => (typeof value === "string" ? value : "");
const count = (value) => (Number.isFinite(value) && value >= 0 ? value : null);

function checked({ question, state, thought, answer, finish, usage, budget, error, times }) {
  const tokens = count(usage?.completion_tokens);
  return {
    ...newExchange(question),
    state: ["done", "failed"].includes(state) ? state : "stopped",
    thought: text(thought),
    answer,
    finish: ["stop", "length", "cancelled"].includes(finish) ? finish : null,
    usage: tokens === null ? null
      : { completion_tokens: tokens, completion_tokens_details: { reasoning_tokens: count(usage.completion_tokens_details?.reasoning_tokens) } },
    budget: count(budget),
    error: state === "failed" ? { code: text(error?.code), message: text(error?.message) } : null,
    times: { first: count(times?.first), thought: count(times?.thought), total: count(times?.total) ?? 0 },
  };
}
