// What the browser keeps for this page. Storage may be forbidden or full: then values live as long as the page.

function keeper(name) {
  const fallback = new Map();
  const store = () => window[name];
  return {
    load(key) {
      try {
        const text = store().getItem(key);
        if (text !== null) return JSON.parse(text);
      } catch {
        // forbidden, or written by something else
      }
      return fallback.get(key) ?? null;
    },
    save(key, value) {
      fallback.set(key, value);
      try {
        if (value === null) store().removeItem(key);
        else store().setItem(key, JSON.stringify(value));
      } catch {
        // the fallback has it
      }
    },
  };
}

export const lasting = keeper("localStorage"); // settings, language
export const ofThisTab = keeper("sessionStorage"); // the key, the conversation
