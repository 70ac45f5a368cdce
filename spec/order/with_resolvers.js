// A promise settled from a tick, a microtask and a timer.
'use strict';
function one(name, how) {
  let resolve;
  const p = new Promise(r => { resolve = r; });
  p.then(() => console.log('reaction\t' + name));
  queueMicrotask(async () => {
    await p;
    console.log('task\t' + name);
  });
  how(() => {
    console.log('settle\t' + name);
    resolve();
    process.nextTick(() => console.log('tick after\t' + name));
    queueMicrotask(() => console.log('microtask after\t' + name));
  });
}
one('timer', f => setTimeout(f, 5));
one('microtask', queueMicrotask);
one('tick', process.nextTick);
