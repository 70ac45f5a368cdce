// One million timers of 1 to 1000 ms, set in one go; the harness measures the whole process.
const count = 1000000;
let fired = 0;

function on_timeout() {
  fired++;
  if (fired === count) console.log("fired", fired);
}

for (let i = 0; i < count; i++) setTimeout(on_timeout, 1 + (i * 7919) % 1000);
