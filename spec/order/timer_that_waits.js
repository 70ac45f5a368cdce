// A timer's callback that waits does not hold up the next timer.
'use strict';
let open;
const gate = new Promise(r => { open = r; });
setTimeout(async () => {
  console.log('first begins');
  await gate;
  console.log('first ends');
}, 10);
setTimeout(async () => {
  console.log('second begins');
  await Promise.resolve();
  console.log('second ends');
}, 10);
setTimeout(() => {
  console.log('third opens the gate');
  open();
  process.nextTick(console.log, 'tick of third');
}, 10);
