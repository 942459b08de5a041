// Repeats a request, one at a time, while the page is visible and the stream is live.
import { state } from './state.js';

// poll calls work, which returns a promise, every so many milliseconds. It returns a function
// that calls it at once. wrong gets the error, or an empty text. A signal ends it for good.
export function poll(every, work, wrong = () => {}, signal = undefined) {
  let timer = 0;
  let running = false;
  let again = false;
  async function run() {
    if (signal?.aborted) return;
    if (running) {
      again = true; // the request under way may not see the change
      return;
    }
    clearTimeout(timer);
    running = true;
    if (state.live && !document.hidden) {
      try {
        await work();
        if (!signal?.aborted) wrong('');
      } catch (e) {
        if (!signal?.aborted) wrong(e.message);
      }
    }
    running = false;
    if (!signal?.aborted) timer = setTimeout(run, again ? 0 : every);
    again = false;
  }
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) run();
  }, { signal });
  signal?.addEventListener('abort', () => clearTimeout(timer));
  return run;
}
