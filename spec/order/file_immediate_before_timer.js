// After I/O the check phase comes before the timers.
'use strict';
const fs = require('fs');
const { promisify } = require('util');
const stat = promisify(fs.stat);
(async () => {
  console.log((await stat('/')).isDirectory() ? 'directory' : '?');
  setTimeout(console.log, 0, 'timer');
  setImmediate(console.log, 'immediate');
  console.log('stat done');
})();
