// Ticks and microtasks that wait hold up nobody.
'use strict';
process.nextTick(async () => {
  console.log('tick 1');
  await Promise.resolve();
  console.log('tick 1 goes on');
});
process.nextTick(console.log, 'tick 2');
queueMicrotask(async () => {
  console.log('microtask 1');
  await Promise.resolve();
  console.log('microtask 1 goes on');
  process.nextTick(console.log, 'tick of microtask 1');
});
queueMicrotask(() => console.log('microtask 2'));
Promise.resolve().then(async () => {
  console.log('reaction');
  await Promise.resolve();
  console.log('reaction goes on');
});
