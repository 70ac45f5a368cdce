// With nothing else to do an await still moves on to the microtask phase.
'use strict';
setTimeout(async () => {
  console.log('timer');
  await Promise.resolve();
  process.nextTick(console.log, 'tick');
  queueMicrotask(() => console.log('microtask'));
  console.log('end of timer');
}, 1);
setTimeout(() => {
  console.log('timer 2');
  process.nextTick(console.log, 'tick 2');
  queueMicrotask(() => console.log('microtask 2'));
}, 20);
