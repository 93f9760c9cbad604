// Watches the service: /health, often while it is not ready, seldom while it is; /model_info each time it has become ready.
import { ServiceError, health, modelInfo } from "./api.js";

const SOON_MS = 1500;
const SELDOM_MS = 30000;

export class ServiceState {
  state = "connecting"; // loading, healthy, draining, unhealthy as the service says; offline, key where it cannot be asked
  progress = 0; // of loading, 0…1
  model = null; // /model_info
  #timer = 0;

  constructor(changed) {
    this.changed = changed;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.look();
    });
    this.look();
  }

  async look() {
    clearTimeout(this.#timer);
    const before = this.state;
    try {
      const { status, progress } = await health();
      this.progress = progress ?? 0;
      if (status === "healthy" && (before !== "healthy" || !this.model)) this.model = await modelInfo();
      this.state = status;
    } catch (error) {
      this.state = error instanceof ServiceError && [401, 403].includes(error.status) ? "key" : "offline";
    }
    this.changed();
    clearTimeout(this.#timer);
    if (!document.hidden) this.#timer = setTimeout(() => this.look(), ["healthy", "key"].includes(this.state) ? SELDOM_MS : SOON_MS);
  }
}
