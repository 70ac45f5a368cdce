// One of each from a task that has just read a file.
'use strict';
const fs = require('fs');
const { promisify } = require('util');
const stat = promisify(fs.stat);
queueMicrotask(async () => {
  await stat('/');
  console.log('stat done');
  setTimeout(console.log, 0, 'timer');
  setImmediate(() => {
    console.log('immediate');
    process.nextTick(console.log, 'tick of immediate');
  });
  process.nextTick(console.log, 'tick');
  Promise.resolve('reaction').then(console.log);
  queueMicrotask(() => console.log('microtask'));
  await Promise.resolve();
  console.log('awaited');
  await new Promise(r => setImmediate(r));
  console.log('yielded');
});
console.log('script');
