// Immediates in order, ticks and microtasks after each.
'use strict';
for (let i = 1; i <= 3; i++)
  setImmediate(arg => {
    console.log(['immediate', i, arg].join('\t'));
    process.nextTick(() => console.log('tick\t' + i));
    queueMicrotask(() => console.log('microtask\t' + i));
  }, 'x' + i);
queueMicrotask(() => console.log('microtask'));
process.nextTick(console.log, 'tick');
console.log('script');
