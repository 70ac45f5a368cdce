// A failed operation takes the way of a successful one.
'use strict';
const fs = require('fs');
const { promisify } = require('util');
const stat = promisify(fs.stat);
(async () => {
  for (let i = 1; i <= 3; i++) {
    try {
      await stat('/no/such/file');
    } catch (e) {
      console.log([i, 'nil', e.code].join('\t'));
    }
    queueMicrotask(() => console.log('microtask\t' + i));
    process.nextTick(() => console.log('tick\t' + i));
  }
})();
