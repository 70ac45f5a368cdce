// Ticks and microtasks run after each timer, not after all of them.
'use strict';
for (let i = 1; i <= 3; i++)
  setTimeout(() => {
    console.log('timer\t' + i);
    queueMicrotask(() => {
      console.log('microtask\t' + i);
      process.nextTick(() => console.log('tick of microtask\t' + i));
    });
    process.nextTick(() => console.log('tick\t' + i));
  }, 5);
