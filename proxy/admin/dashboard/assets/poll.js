// Asks again and again, one question at a time, as long as somebody looks and the
// server answers the stream.
import { state } from './state.js';

// poll calls work, which returns a promise, every so many milliseconds. The function
// that it returns has it called at once. wrong is told what failed, or nothing.
export function poll(every, work, wrong = () => {}) {
  let timer = 0;
  let running = false;
  let again = false;
  async function run() {
    if (running) {
      again = true; // what is asked now is about what was
      return;
    }
    clearTimeout(timer);
    running = true;
    if (state.live && !document.hidden) {
      try {
        await work();
        wrong('');
      } catch (e) {
        wrong(e.message);
      }
    }
    running = false;
    timer = setTimeout(run, again ? 0 : every);
    again = false;
  }
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) run();
  });
  return run;
}
