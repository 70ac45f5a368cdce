// Ticks queue microtasks, microtasks queue ticks: each queue empties in turn.
'use strict';
queueMicrotask(() => {
  console.log('microtask 1');
  process.nextTick(() => {
    console.log('tick of microtask 1');
    queueMicrotask(() => console.log('microtask of that tick'));
    process.nextTick(console.log, 'tick of that tick');
  });
  queueMicrotask(() => console.log('microtask of microtask 1'));
});
process.nextTick(() => {
  console.log('tick 1');
  queueMicrotask(() => console.log('microtask of tick 1'));
  process.nextTick(console.log, 'tick of tick 1');
});
queueMicrotask(() => console.log('microtask 2'));
console.log('script');
