// A queue built of promises, one consumer and two producers.
'use strict';
const items = [];
let waiting = null;
function push(v) {
  items.push(v);
  if (waiting) {
    const wake = waiting;
    waiting = null;
    wake();
  }
}
queueMicrotask(async () => {
  for (let i = 0; i < 6; i++) {
    while (items.length === 0) {
      const p = new Promise(r => { waiting = r; });
      await p;
    }
    console.log('got\t' + items.shift());
  }
});
for (const name of ['a', 'b'])
  queueMicrotask(async () => {
    for (let i = 1; i <= 3; i++) {
      console.log('push\t' + name + i);
      push(name + i);
      await Promise.resolve();
    }
  });
