// The script ends, then ticks run, then microtasks.
'use strict';
Promise.resolve('then').then(console.log);
queueMicrotask(() => console.log('microtask'));
process.nextTick(console.log, 'tick 1');
queueMicrotask(() => console.log('microtask 2'));
process.nextTick(console.log, 'tick 2');
console.log('script');
