// Sends one exchange to the service and fills it in while the answer comes. Waits and sends again by itself where the service
// says that it will be ready: while the model loads, and a few times while it is busy.
import { ServiceError, health, streamChat } from "./api.js";

const MOST_BUSY_RETRIES = 5;
const LOADING_POLL_MS = 1000;
const TICK_MS = 100;

// `changed` is called after each change and, so that clocks move, ten times a second. Never throws.
export async function generate(exchange, fields, signal, changed) {
  let sent = performance.now();
  const now = () => (performance.now() - sent) / 1000;
  const clock = setInterval(() => {
    exchange.times.total = now();
    changed();
  }, TICK_MS);
  try {
    for (let attempt = 0; ; attempt += 1) {
      sent = performance.now();
      try {
        await receive(exchange, fields, signal, changed, now);
        break;
      } catch (error) {
        if (signal.aborted) throw error;
        await waitToRetry(error, exchange, attempt, signal, changed);
      }
    }
    exchange.state = "done";
  } catch (error) {
    exchange.state = signal.aborted ? "stopped" : "failed";
    if (!signal.aborted) exchange.error = { code: error.code ?? "bad_answer", message: error.message };
  } finally {
    clearInterval(clock);
    exchange.retry = null;
    exchange.times.total = now();
    changed();
  }
}

async function receive(exchange, fields, signal, changed, now) {
  for await (const chunk of streamChat(fields, signal, (id) => { exchange.id = id; })) {
    if (chunk.usage) exchange.usage = chunk.usage;
    const choice = chunk.choices?.[0];
    if (!choice) continue;
    const thought = choice.delta?.reasoning_content ?? "";
    const answer = choice.delta?.content ?? "";
    if (thought || answer) exchange.times.first ??= now();
    if (thought) {
      exchange.state = "thinking";
      exchange.thought += thought;
    }
    if (answer) {
      if (exchange.thought) exchange.times.thought ??= now();
      exchange.state = "answering";
      exchange.answer += answer;
    }
    if (choice.finish_reason) exchange.finish = choice.finish_reason;
    exchange.times.total = now();
    changed();
  }
}

// Returns when it is time to send again; throws the error where that would not help.
async function waitToRetry(error, exchange, attempt, signal, changed) {
  if (exchange.times.first !== null || !(error instanceof ServiceError)) throw error;
  if (error.code === "loading") return waitUntilLoaded(exchange, signal, changed);
  if (error.code !== "server_overloaded" || attempt >= MOST_BUSY_RETRIES) throw error;
  const seconds = Math.min(Math.max(error.retryAfter ?? 1, 1) * 2 ** attempt, 30);
  for (let left = Math.ceil(seconds); left > 0; left -= 1) {
    exchange.retry = { code: error.code, seconds: left };
    changed();
    await pause(1000, signal);
  }
  exchange.retry = null;
}

async function waitUntilLoaded(exchange, signal, changed) {
  for (;;) {
    const { status, progress } = await health(signal);
    if (status !== "loading") break;
    exchange.retry = { code: "loading", percent: Math.floor(100 * (progress ?? 0)) };
    changed();
    await pause(LOADING_POLL_MS, signal);
  }
  exchange.retry = null;
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
