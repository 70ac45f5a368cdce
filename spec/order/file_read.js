// Reading a file: the queues before it, and after it in the microtask phase.
'use strict';
const fs = require('fs');
const { promisify } = require('util');
const readFile = promisify(fs.readFile);
(async () => {
  process.nextTick(console.log, 'tick before');
  queueMicrotask(() => console.log('microtask before'));
  console.log('script reads');
  const text = await readFile('/dev/null');
  console.log('read\t' + text.length);
  process.nextTick(console.log, 'tick after');
  queueMicrotask(() => console.log('microtask after'));
  console.log('script ends');
})();
